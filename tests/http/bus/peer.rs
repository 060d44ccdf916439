//! A client of the message bus, to the byte.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use hyper::Request;
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::server::Server;

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Peer {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// What came while something else was waited for, oldest first.
    heard: VecDeque<Message>,
}

/// An envelope as clients write it.
pub(crate) fn envelope(kind: &str, channel: &str, user: &str, value: Value) -> String {
    json!({
        "id": "abcdefghijklmnop", "datetime": "2024-05-04T20:00:00.000Z", "type": kind,
        "channel": channel, "userId": user, "userName": user, "value": value,
    })
    .to_string()
}

impl Peer {
    /// Comes to `/`, `/ws/stage` or the like.
    pub(crate) async fn come(server: &Server, path: &str) -> Self {
        Self::try_come(server, path, None).await.unwrap()
    }

    /// The status of the refusal, if it is refused.
    pub(crate) async fn try_come(
        server: &Server,
        path: &str,
        bearer: Option<&str>,
    ) -> Result<Self, u16> {
        let mut request = Request::builder()
            .uri(format!("ws://{}{path}", server.address))
            .header("host", server.address.to_string())
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header(
                "sec-websocket-key",
                tungstenite::handshake::client::generate_key(),
            );
        if let Some(bearer) = bearer {
            request = request.header("authorization", format!("Bearer {bearer}"));
        }
        match tokio_tungstenite::connect_async(request.body(()).unwrap()).await {
            Ok((socket, _)) => Ok(Self::of(socket)),
            Err(tungstenite::Error::Http(answer)) => Err(answer.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    /// Somebody whose system takes hardly anything before it is read.
    pub(crate) async fn come_narrowly(server: &Server, path: &str) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let stream = socket.connect(server.address).await.unwrap();
        let url = format!("ws://{}{path}", server.address);
        let stream = MaybeTlsStream::Plain(stream);
        let (socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
        Self::of(socket)
    }

    pub(super) fn of(socket: WebSocketStream<MaybeTlsStream<TcpStream>>) -> Self {
        Self {
            socket,
            heard: VecDeque::new(),
        }
    }

    pub(crate) async fn send(&mut self, message: Message) {
        self.socket.send(message).await.unwrap();
    }

    pub(crate) async fn say(&mut self, text: impl Into<String>) {
        self.send(Message::text(text.into())).await;
    }

    /// The next message that is no ping; `None` when the connection ends.
    async fn receive(&mut self) -> Option<Message> {
        let next = async {
            loop {
                match self.socket.next().await? {
                    Ok(Message::Ping(_)) => {}
                    Ok(message) => return Some(message),
                    Err(error) => panic!("{error}"),
                }
            }
        };
        tokio::time::timeout(PATIENCE, next).await.unwrap()
    }

    /// The next message, or how the connection broke.
    pub(super) async fn try_receive(&mut self) -> tungstenite::Result<Option<Message>> {
        let next = tokio::time::timeout(PATIENCE, self.socket.next());
        next.await.unwrap().transpose()
    }

    /// The next message, whatever it is.
    pub(crate) async fn next(&mut self) -> Message {
        match self.heard.pop_front() {
            Some(message) => message,
            None => self.receive().await.unwrap(),
        }
    }

    /// The first message that fits; others are kept for later.
    pub(crate) async fn hear_where(&mut self, fits: impl Fn(&Message) -> bool) -> Message {
        if let Some(at) = self.heard.iter().position(&fits) {
            return self.heard.remove(at).unwrap();
        }
        loop {
            let message = self.receive().await;
            let Some(message) = message else {
                panic!("the connection ended after {:?}", self.summary());
            };
            if fits(&message) {
                return message;
            }
            self.heard.push_back(message);
        }
    }

    /// The first message of this type on `/`.
    pub(crate) async fn hear(&mut self, kind: &str) -> Value {
        let message = self
            .hear_where(|message| value(message)["type"] == kind)
            .await;
        value(&message)
    }

    /// The first frame of a space that says this, e.g. `message`, whole.
    pub(crate) async fn hear_frame(&mut self, key: &str) -> Value {
        let message = self
            .hear_where(|message| value(message).get(key).is_some())
            .await;
        value(&message)
    }

    /// The messages that came and were not asked for.
    pub(crate) fn kept(&self) -> Vec<Value> {
        self.heard.iter().map(value).collect()
    }

    /// The code with which the server closes; what comes before is kept.
    pub(crate) async fn closed(&mut self) -> u16 {
        loop {
            match self.receive().await {
                Some(Message::Close(Some(frame))) => return frame.code.into(),
                Some(message) => self.heard.push_back(message),
                None => panic!("no close after {:?}", self.summary()),
            }
        }
    }

    /// Whether the server has closed, without waiting for it.
    pub(crate) fn is_open(&mut self) -> bool {
        match self.socket.next().now_or_never() {
            None => true,
            Some(Some(Ok(Message::Close(_)) | Err(_)) | None) => false,
            Some(Some(Ok(message))) => {
                self.heard.push_back(message);
                true
            }
        }
    }

    /// Says good-bye like a page that is left.
    pub(crate) async fn leave(mut self) {
        let _ = self.socket.close(None).await;
        while let Ok(Some(Ok(_))) = tokio::time::timeout(PATIENCE, self.socket.next()).await {}
    }

    fn summary(&self) -> Vec<String> {
        let short = |message: &Message| format!("{message:?}").chars().take(300).collect();
        self.heard.iter().map(short).collect()
    }
}

/// What a message says; `null` for what is no JSON.
pub(crate) fn value(message: &Message) -> Value {
    serde_json::from_slice(&message.clone().into_data()).unwrap_or_default()
}
