//! A participant's WebSocket, version 1 of the conference's protocol.

use anyhow::{Context, Result, bail};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

pub(super) struct Signalling(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Signalling {
    /// Connects to `/rtc/{space}`.
    pub(super) async fn open(host: &str, space: &str) -> Result<Self> {
        let (socket, _) = tokio_tungstenite::connect_async(format!("ws://{host}/rtc/{space}"))
            .await
            .context("opening the WebSocket")?;
        Ok(Self(socket))
    }

    pub(super) async fn send(&mut self, message: Value) -> Result<()> {
        self.0.send(Message::text(message.to_string())).await?;
        Ok(())
    }

    pub(super) async fn join(&mut self, number: usize, sdp: &str, feeds: &[Value]) -> Result<()> {
        self.send(json!({
            "type": "join", "version": 1, "name": format!("participant {number}"),
            "identity": format!("load-{number:04}-{:016x}", fastrand::u64(..)),
            "sdp": sdp, "feeds": feeds, "client": "load",
        }))
        .await
    }

    /// The next message. Cancel safe.
    pub(super) async fn next(&mut self) -> Result<Value> {
        loop {
            match self.0.next().await.context("the WebSocket ended")?? {
                Message::Text(text) => return Ok(serde_json::from_str(&text)?),
                Message::Close(frame) => bail!("closed: {frame:?}"),
                _ => {}
            }
        }
    }
}
