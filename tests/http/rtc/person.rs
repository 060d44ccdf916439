//! Somebody in a conference, as the server sees it: one WebSocket.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::phone::Phone;
use crate::server::Server;

const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Person {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// What came while something else was waited for, oldest first.
    heard: Vec<Value>,
}

/// Who the server says somebody is.
pub(crate) struct Welcome {
    pub(crate) id: String,
    pub(crate) resume: String,
    pub(crate) all: Value,
}

/// The first message of `name`, whose identity is made of it.
pub(crate) fn join(name: &str) -> Value {
    json!({ "type": "join", "version": 1, "name": name, "identity": format!("identity-of-{name:-<16}") })
}

impl Person {
    pub(crate) async fn connect(server: &Server, space: &str) -> Self {
        Self::try_connect(server, space).await.unwrap()
    }

    /// The status of the refusal, if it is refused.
    pub(crate) async fn try_connect(server: &Server, space: &str) -> Result<Self, u16> {
        let url = format!("ws://{}/rtc/{space}", server.address);
        match tokio_tungstenite::connect_async(url).await {
            Ok((socket, _)) => Ok(Self {
                socket,
                heard: Vec::new(),
            }),
            Err(tungstenite::Error::Http(answer)) => Err(answer.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    /// Somebody whose system takes hardly anything before it is read.
    pub(crate) async fn connect_narrowly(server: &Server, space: &str) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let stream = socket.connect(server.address).await.unwrap();
        let url = format!("ws://{}/rtc/{space}", server.address);
        let stream = MaybeTlsStream::Plain(stream);
        let (socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
        Self {
            socket,
            heard: Vec::new(),
        }
    }

    /// Somebody who has joined, without media.
    pub(crate) async fn join(server: &Server, space: &str, name: &str) -> (Self, Welcome) {
        Self::join_with(server, space, join(name)).await
    }

    pub(crate) async fn join_with(server: &Server, space: &str, join: Value) -> (Self, Welcome) {
        let mut person = Self::connect(server, space).await;
        person.say(join).await;
        let welcome = person.welcome().await;
        (person, welcome)
    }

    /// Somebody who has joined with the connection of `phone`, and has its answer.
    pub(crate) async fn call(
        server: &Server,
        space: &str,
        name: &str,
        phone: &Phone,
    ) -> (Self, Welcome) {
        let mut join = join(name);
        join["sdp"] = json!(phone.offer());
        let (mut person, welcome) = Self::join_with(server, space, join).await;
        let answer = person.hear("answer").await;
        assert_eq!(answer["id"], 0, "{answer}");
        phone.take_answer(answer["sdp"].as_str().unwrap());
        (person, welcome)
    }

    pub(crate) async fn welcome(&mut self) -> Welcome {
        let all = self.hear("welcome").await;
        Welcome {
            id: all["id"].as_str().unwrap().to_owned(),
            resume: all["resume"].as_str().unwrap().to_owned(),
            all,
        }
    }

    pub(crate) async fn say(&mut self, message: Value) {
        self.say_raw(message.to_string()).await;
    }

    pub(crate) async fn say_raw(&mut self, text: impl Into<String>) {
        let text: String = text.into();
        self.socket.send(Message::text(text)).await.unwrap();
    }

    pub(crate) async fn send(&mut self, message: Message) -> bool {
        self.socket.send(message).await.is_ok()
    }

    /// The next message of this type; others are kept.
    pub(crate) async fn hear(&mut self, kind: &str) -> Value {
        self.hear_where(kind, |_| true).await
    }

    /// The next message of one of these types; others are kept.
    pub(crate) async fn hear_any(&mut self, kinds: &[&str]) -> Value {
        self.hear_where_any(kinds, |_| true).await
    }

    /// The next message of this type that fits; others are kept.
    pub(crate) async fn hear_where(&mut self, kind: &str, fits: impl Fn(&Value) -> bool) -> Value {
        self.hear_where_any(&[kind], fits).await
    }

    /// The next message of one of these types that fits; others are kept.
    pub(crate) async fn hear_where_any(
        &mut self,
        kinds: &[&str],
        fits: impl Fn(&Value) -> bool,
    ) -> Value {
        let wanted =
            |message: &Value| kinds.iter().any(|kind| message["type"] == *kind) && fits(message);
        if let Some(at) = self.heard.iter().position(wanted) {
            return self.heard.remove(at);
        }
        loop {
            let message = self.next_text().await;
            if wanted(&message) {
                return message;
            }
            self.heard.push(message);
        }
    }

    /// Waits for what `change` says about a participant, alone or in a batch: `joined` or `updated`.
    pub(crate) async fn hear_of(
        &mut self,
        change: &str,
        id: &str,
        fits: impl Fn(&Value) -> bool,
    ) -> Value {
        let find = |message: &Value| {
            let one = (message["type"] == change).then(|| message["participant"].clone());
            let many = (message["type"] == "participants")
                .then(|| message[change].as_array().cloned())
                .flatten()
                .unwrap_or_default();
            one.into_iter()
                .chain(many)
                .find(|participant| participant["id"] == id && fits(participant))
        };
        if let Some(found) = self.heard.iter().find_map(find) {
            return found;
        }
        loop {
            let message = self.next_text().await;
            let found = find(&message);
            self.heard.push(message);
            if let Some(found) = found {
                return found;
            }
        }
    }

    async fn next_text(&mut self) -> Value {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.socket.next()).await;
            match next {
                Ok(Some(Ok(Message::Text(text)))) => return serde_json::from_str(&text).unwrap(),
                Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => {}
                other => panic!("{other:?} after {:?}", self.summary()),
            }
        }
    }

    /// What was heard, without SDP.
    fn summary(&self) -> Vec<String> {
        let short = |message: &Value| message.to_string().chars().take(300).collect();
        self.heard.iter().map(short).collect()
    }

    /// Whether a message of this type came that was not asked for.
    pub(crate) fn has_heard(&self, kind: &str) -> bool {
        self.heard.iter().any(|message| message["type"] == kind)
    }

    /// Forgets what was heard and not asked for.
    pub(crate) fn forget(&mut self) {
        self.heard.clear();
    }

    /// The code with which the server closes; what comes before is kept.
    pub(crate) async fn closed(&mut self) -> u16 {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.socket.next()).await;
            match next.unwrap() {
                Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
                Some(Ok(Message::Text(text))) => {
                    self.heard.push(serde_json::from_str(&text).unwrap());
                }
                Some(Ok(_)) => {}
                other => panic!("no close, but {other:?} after {:?}", self.summary()),
            }
        }
    }

    /// Says good-bye like a page that is left.
    pub(crate) async fn hang_up(mut self) {
        let _ = self.socket.close(None).await;
    }
}
