//! A client of the message bus over a WebSocket.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::server::Server;

const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Visitor(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Visitor {
    /// Comes to `/`, `/ws/stage` or the like.
    pub(crate) async fn come(server: &Server, path: &str) -> Self {
        let url = format!("ws://{}{path}", server.address);
        let (socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
        Self(socket)
    }

    pub(crate) async fn say(&mut self, text: impl Into<String>) {
        self.0.send(Message::text(text.into())).await.unwrap();
    }

    /// The next text for which this is so; others are passed over.
    pub(crate) async fn hear(&mut self, is_it: impl Fn(&Value) -> bool) -> (String, Value) {
        let heard = async {
            loop {
                let message = self.0.next().await.unwrap().unwrap();
                if let Message::Text(text) = message
                    && let Ok(value) = serde_json::from_str::<Value>(&text)
                    && is_it(&value)
                {
                    return (text.to_string(), value);
                }
            }
        };
        tokio::time::timeout(PATIENCE, heard).await.unwrap()
    }

    /// Says something and waits until it is heard: it is kept then, if it is one that is.
    pub(crate) async fn say_and_hear(&mut self, text: &str) -> Value {
        self.say(text).await;
        let wanted: Value = serde_json::from_str(text).unwrap();
        let is_it = |value: &Value| *value == wanted || value["message"] == wanted;
        self.hear(is_it).await.1
    }
}
