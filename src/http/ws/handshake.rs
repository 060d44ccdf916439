//! The opening handshake (RFC 6455 section 4.2), and the connection that it leaves.
//!
//! By hand, because what follows needs the TCP stream itself: the library's own WebSocket hides it and copies what is written.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use data_encoding::BASE64;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::upgrade::downcast;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::super::errors::Problem;

/// Bytes of `Sec-WebSocket-Key`, decoded.
const KEY_LEN: usize = 16;

/// A request that asks for a WebSocket and may have one.
pub(crate) struct Handshake {
    accept: HeaderValue,
    upgrade: OnUpgrade,
}

impl<S: Send + Sync> FromRequestParts<S> for Handshake {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let headers = &parts.headers;
        if !is_asked_for(headers) {
            return Err(upgrade_required(
                "this is a WebSocket; connect with new WebSocket(...) and see BUS.md",
            ));
        }
        if parts.method != Method::GET || parts.version < Version::HTTP_11 {
            return Err(bad("a WebSocket begins with GET and HTTP/1.1"));
        }
        if !has_token(headers, &header::CONNECTION, "upgrade") {
            return Err(bad(
                "the header Connection does not say Upgrade; a proxy may take it out",
            ));
        }
        if headers.get(header::SEC_WEBSOCKET_VERSION) != Some(&HeaderValue::from_static("13")) {
            // RFC 6455 section 4.4.
            let problem = upgrade_required("only version 13 of the WebSocket protocol is spoken");
            return Err(problem.with(
                header::SEC_WEBSOCKET_VERSION,
                HeaderValue::from_static("13"),
            ));
        }
        let key = headers.get(header::SEC_WEBSOCKET_KEY);
        let key = key.filter(|key| {
            BASE64
                .decode(key.as_bytes())
                .is_ok_and(|bytes| bytes.len() == KEY_LEN)
        });
        let key = key.ok_or_else(|| bad("Sec-WebSocket-Key is not 16 bytes in base64"))?;
        let accept = HeaderValue::try_from(derive_accept_key(key.as_bytes()))
            .map_err(|_| bad("Sec-WebSocket-Key is not 16 bytes in base64"))?;
        let upgrade = parts.extensions.remove::<OnUpgrade>();
        let upgrade = upgrade
            .ok_or_else(|| bad("this connection cannot become a WebSocket; use HTTP/1.1"))?;
        Ok(Self { accept, upgrade })
    }
}

/// Whether a request asks for a WebSocket at all, rightly or not.
pub(crate) fn is_asked_for(headers: &HeaderMap) -> bool {
    has_token(headers, &header::UPGRADE, "websocket")
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let lines = headers.get_all(name).iter();
    lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .any(|found| found.trim().eq_ignore_ascii_case(token))
}

fn bad(detail: &'static str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

fn upgrade_required(detail: &'static str) -> Problem {
    Problem::new(StatusCode::UPGRADE_REQUIRED, detail)
        .with(header::UPGRADE, HeaderValue::from_static("websocket"))
        .with(header::CONNECTION, HeaderValue::from_static("Upgrade"))
}

/// What the handshake leaves: the stream, and what of it was read already.
pub(super) struct Opened {
    pub(super) stream: TcpStream,
    pub(super) read: Bytes,
}

impl Handshake {
    /// Answers with 101, and runs `serve` when the client has it. No subprotocol and no extension is ever chosen: `permessage-deflate`
    /// would have the same bytes compressed for each client.
    pub(super) fn accept<F>(self, serve: impl FnOnce(Opened) -> F + Send + 'static) -> Response
    where
        F: Future<Output = ()> + Send,
    {
        let Self { accept, upgrade } = self;
        tokio::spawn(async move {
            let upgraded = match upgrade.await {
                Ok(upgraded) => upgraded,
                Err(error) => {
                    tracing::debug!(%error, "a client is gone before its WebSocket was open");
                    return;
                }
            };
            match downcast::<TokioIo<TcpStream>>(upgraded) {
                Ok(parts) => {
                    serve(Opened {
                        stream: parts.io.into_inner(),
                        read: parts.read_buf,
                    })
                    .await;
                }
                Err(_) => tracing::error!("a connection is no TCP stream; please report this"),
            }
        });
        let headers = [
            (header::CONNECTION, HeaderValue::from_static("Upgrade")),
            (header::UPGRADE, HeaderValue::from_static("websocket")),
            (header::SEC_WEBSOCKET_ACCEPT, accept),
        ];
        (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
    }
}
