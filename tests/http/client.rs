//! A plain HTTP/1.1 client: one connection per request.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{HeaderMap, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(20);

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    pub(crate) octets: Bytes,
}

impl Answer {
    /// A header's value; empty when it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// The sentence of a problem document, after checking that it is one and fits the status.
    pub(crate) fn detail(&self) -> String {
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{self:?}"
        );
        let document: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(document["status"], self.status.as_u16());
        assert_eq!(document["title"], self.status.canonical_reason().unwrap());
        document["detail"].as_str().unwrap().to_owned()
    }

    /// Checks status and that the sentence contains `words`.
    #[track_caller]
    pub(crate) fn check_problem(&self, status: u16, words: &str) {
        assert_eq!(self.status, status, "{self:?}");
        let detail = self.detail();
        assert!(detail.contains(words), "{words:?} is not in {detail:?}");
    }
}

/// A request in the making.
pub(crate) struct Ask {
    to: SocketAddr,
    method: &'static str,
    path: String,
    headers: Vec<(String, String)>,
    body: Bytes,
}

pub(crate) fn ask(to: SocketAddr, method: &'static str, path: impl Into<String>) -> Ask {
    Ask {
        to,
        method,
        path: path.into(),
        headers: Vec::new(),
        body: Bytes::new(),
    }
}

impl Ask {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn body(mut self, kind: &str, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.header("content-type", kind)
    }

    /// With a body of no stated type.
    pub(crate) fn bare_body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) async fn send(self) -> Answer {
        tokio::time::timeout(PATIENCE, self.exchange())
            .await
            .unwrap()
    }

    async fn exchange(self) -> Answer {
        let stream = TcpStream::connect(self.to).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        let driver = tokio::spawn(connection);
        let mut request = Request::builder()
            .method(self.method)
            .uri(&self.path)
            .header("host", self.to.to_string());
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(self.body)).unwrap();
        let answer = sender.send_request(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        drop(sender);
        driver.abort();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8(body.to_vec())
                .unwrap_or_else(|_| format!("({} bytes)", body.len())),
            octets: body,
        }
    }
}

/// Writes `bytes` as they are and reads until the server closes, or for `patience`.
pub(crate) async fn raw(to: SocketAddr, bytes: &[u8], patience: Duration) -> String {
    let mut stream = TcpStream::connect(to).await.unwrap();
    // The server may answer and close before everything is written.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(patience, stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// Checks that scripts of other origins may read this.
pub(crate) fn check_cors(answer: &Answer) {
    assert_eq!(
        answer.header("access-control-allow-origin"),
        "*",
        "{answer:?}"
    );
    let exposed = answer.header("access-control-expose-headers");
    for name in ["Location", "ETag", "Link"] {
        assert!(exposed.contains(name), "{name} is not in {exposed}");
    }
}
