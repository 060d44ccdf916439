//! `/rtc/{space}`: the WebSocket of one participant of the conference. What is said over it is `conference`'s, who is told what is decided
//! in [`crate::conference`]; here are frames, pings and closes.
//!
//! Any page of any origin may connect, as it may publish with WHIP: nothing here depends on cookies.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Router};
use conference::protocol::TEXT_MAX;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::time::{MissedTickBehavior, interval_at, sleep_until, timeout};
use tokio_tungstenite::tungstenite;

use super::AppState;
use super::errors::{self, FULL_RETRY_S, Problem};
use super::limits;
use super::place::Space;
use crate::bus::household;
use crate::clock;
use crate::conference::{Close, Connection, Frame, Outbox, Refused};

/// How often a client is asked whether it is there; also keeps proxies from closing what looks idle.
const PING_EVERY: Duration = Duration::from_secs(15);

/// A client of which nothing was heard for so long is gone: its answer to a ping, or its next one, is overdue.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// How long a client may take to hear that it is closed.
const CLOSE_MAX: Duration = Duration::from_secs(2);

/// What is gathered before it is written; each connection has as much.
const WRITE_BUFFER: usize = 16 * 1024;

/// What is read at a time; each connection has as much.
const READ_BUFFER: usize = 8 * 1024;

/// RFC 6455 section 7.4.1.
const PROTOCOL_ERROR: u16 = 1002;
const NO_BINARY: u16 = 1003;
const NO_UTF8: u16 = 1007;
const TOO_LARGE: u16 = 1009;

pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route("/rtc/{space}", get(connect))
        .method_not_allowed_fallback(errors::method_not_allowed)
}

async fn connect(
    State(state): State<AppState>,
    Space(space): Space,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade = upgrade.map_err(|_| upgrade_required())?;
    let peer = peer.map_or(
        IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        |Extension(ConnectInfo(peer))| peer.ip(),
    );
    limits::count_request(&state, peer, &headers)?;
    let address = limits::client_address(peer, &headers, &state.app.trusted_proxies);
    let (connection, outbox) = state.app.conferences.connect(&space, household(address))?;
    Ok(upgrade
        .max_message_size(TEXT_MAX)
        .max_frame_size(TEXT_MAX)
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .on_upgrade(|socket| serve(socket, connection, outbox)))
}

fn upgrade_required() -> Problem {
    let detail = "this is a WebSocket; connect with new WebSocket(...) and see PROTOCOL.md, or open the space's /meet in a browser";
    Problem::new(StatusCode::UPGRADE_REQUIRED, detail)
        .with(header::UPGRADE, HeaderValue::from_static("websocket"))
        .with(header::CONNECTION, HeaderValue::from_static("Upgrade"))
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Stopping => Self::stopping(),
            Refused::Full(_) | Refused::NoRandom => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                format!("{refused}; try again later"),
            )
            .retry_after(FULL_RETRY_S),
        }
    }
}

/// One connection's life.
async fn serve(socket: WebSocket, connection: Connection, outbox: Outbox) {
    let heard = Heard::new();
    let (mut sink, mut stream) = socket.split();
    let end = tokio::select! {
        end = read(&mut stream, &connection, &heard) => end,
        end = write(&mut sink, &outbox) => end,
        () = outbox.overflowed() => match outbox.try_next() {
            Some(Frame::Close(close)) => End::Close(close),
            _ => End::Gone,
        },
        () = heard.silence() => End::Gone,
    };
    // The space hears of it before the last word is said and answered: that may take a while.
    drop(connection);
    let goodbye = async {
        match end {
            End::Gone => {}
            End::Closing => while let Some(Ok(_)) = stream.next().await {},
            End::Close(close) => {
                let _ = sink.send(message(Frame::Close(close))).await;
            }
        }
        let _ = sink.close().await;
    };
    let _ = timeout(CLOSE_MAX, goodbye).await;
}

/// How a connection ended.
enum End {
    /// It is broken, silent, or closed by the client.
    Gone,
    /// The client was sent a close.
    Closing,
    /// The client is to be sent a close.
    Close(Close),
}

/// Hands on what the client says, until it ends.
async fn read(stream: &mut SplitStream<WebSocket>, connection: &Connection, heard: &Heard) -> End {
    let refuse = |code, reason| End::Close(Close { code, reason });
    loop {
        let message = match stream.next().await {
            Some(Ok(message)) => message,
            Some(Err(error)) => return unreadable(error),
            None => return End::Gone,
        };
        heard.now();
        match message {
            Message::Text(text) => {
                if !connection.text(text.to_string()).await {
                    return refuse(1001, "the conference is over; connect again");
                }
                // A space that is behind makes its clients wait: that is not their silence.
                heard.now();
            }
            Message::Binary(_) => return refuse(NO_BINARY, "text messages only"),
            Message::Close(_) => return End::Gone,
            Message::Ping(_) | Message::Pong(_) => {}
        }
    }
}

/// What a client deserves that sent what cannot be read.
fn unreadable(error: axum::Error) -> End {
    let error = error.into_inner();
    let (code, reason) = match error.downcast_ref::<tungstenite::Error>() {
        Some(tungstenite::Error::Capacity(_)) => (TOO_LARGE, "a message is longer than 512 KiB"),
        Some(tungstenite::Error::Utf8(_)) => (NO_UTF8, "a message is not UTF-8"),
        Some(tungstenite::Error::Protocol(_)) => (PROTOCOL_ERROR, "not RFC 6455"),
        _ => return End::Gone,
    };
    tracing::debug!(%error, "an unreadable message");
    End::Close(Close { code, reason })
}

/// Writes what waits for the client, all of it before each flush; and pings.
async fn write(sink: &mut SplitSink<WebSocket, Message>, outbox: &Outbox) -> End {
    let mut ping = interval_at((clock::now() + PING_EVERY).into(), PING_EVERY);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let mut next = tokio::select! {
            frame = outbox.next() => Some(frame),
            _ = ping.tick() => {
                if sink.feed(Message::Ping(Vec::new().into())).await.is_err() {
                    return End::Gone;
                }
                outbox.try_next()
            }
        };
        while let Some(frame) = next {
            let is_last = matches!(frame, Frame::Close(_));
            if sink.feed(message(frame)).await.is_err() {
                return End::Gone;
            }
            if is_last {
                let _ = sink.flush().await;
                return End::Closing;
            }
            next = outbox.try_next();
        }
        if sink.flush().await.is_err() {
            return End::Gone;
        }
    }
}

fn message(frame: Frame) -> Message {
    match frame {
        Frame::Text(text) => Message::text(&*text),
        Frame::Close(Close { code, reason }) => Message::Close(Some(CloseFrame {
            code,
            reason: reason.into(),
        })),
    }
}

/// When something was last heard of a client.
struct Heard {
    start: Instant,
    after_ms: AtomicU64,
}

impl Heard {
    fn new() -> Self {
        Self {
            start: clock::now(),
            after_ms: AtomicU64::new(0),
        }
    }

    fn now(&self) {
        let after = clock::now().saturating_duration_since(self.start);
        let after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        self.after_ms.store(after_ms, Ordering::Relaxed);
    }

    /// Returns when nothing was heard for [`SILENCE_MAX`].
    async fn silence(&self) {
        loop {
            let last = Duration::from_millis(self.after_ms.load(Ordering::Relaxed));
            let due = self.start + last + SILENCE_MAX;
            if clock::now() >= due {
                return;
            }
            sleep_until(due.into()).await;
        }
    }
}
