//! One client's life: what it says goes to the bus, what the bus has for it goes to it. One task, which never waits for one while the
//! other could go on.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bus::FrameKind;
use bytes::Bytes;
use tokio::time::{Interval, MissedTickBehavior, interval_at, timeout};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::socket::Socket;
use crate::bus::{Behind, Client, Form, Item, Large, Outbox, frames, payload};
use crate::clock;

/// A client is looked after so often.
const TICK: Duration = Duration::from_secs(15);

/// Every so many ticks a client is asked whether it is there; that also keeps proxies from closing what looks idle.
const PING_TICKS: u32 = 2;

/// A client of which nothing was heard in so many ticks is gone: two pings were not answered.
const SILENT_TICKS_MAX: u32 = 5;

/// More of a message than this is read only when there is room for a large one. Nothing but a picture may be so large.
const LARGE_FROM: usize = 64 * 1024;

/// A large message has to be there after so many ticks, half a minute, because others may wait for its room.
const LARGE_TICKS_MAX: u32 = 2;

/// What is taken from the outbox at a time: a large send buffer's worth.
const TAKE_BYTES: usize = 512 * 1024;

/// What is shorter than this is copied out of the read buffer, which else would live as long as the message.
const COPY_BELOW: usize = 2048;

/// How long a client may take to hear that it is closed, and to answer.
const CLOSE_MAX: Duration = Duration::from_secs(2);

/// RFC 6455 section 7.4.1.
const PROTOCOL_ERROR: u16 = 1002;
const NO_UTF8: u16 = 1007;
const POLICY: u16 = 1008;
const TOO_LARGE: u16 = 1009;

/// How a connection ended.
enum End {
    /// It is broken, silent, or closed by the client, whose close is answered.
    Gone,
    /// The client is to be sent a close.
    Close(u16, &'static str),
}

struct Talk {
    socket: Socket,
    outbox: Outbox,
    client: Client,
    /// What the client said last waits for the bus to take it; nothing is read meanwhile.
    saying: Option<Pin<Box<dyn Future<Output = bool> + Send>>>,
    /// Room for a large message that has begun, or the wait for it.
    large: Option<Large>,
    making_room: Option<Pin<Box<dyn Future<Output = Option<Large>> + Send>>>,
    large_ticks: u32,
    tick: Interval,
    ticks: u32,
    silent_ticks: u32,
    is_closing: bool,
}

/// Serves a client until it ends.
pub(super) async fn talk(socket: Socket, client: Client, outbox: Outbox) {
    let mut tick = interval_at((clock::now() + TICK).into(), TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut talk = Talk {
        socket,
        outbox,
        client,
        saying: None,
        large: None,
        making_room: None,
        large_ticks: 0,
        tick,
        ticks: 0,
        silent_ticks: 0,
        is_closing: false,
    };
    let end = poll_fn(|context| talk.poll(context)).await;
    let Talk {
        mut socket,
        client,
        outbox,
        ..
    } = talk;
    // The bus hears of it before the last word is said and answered: that may take a while.
    drop((client, outbox));
    let goodbye = async {
        let is_asked = matches!(end, End::Close(..));
        if let End::Close(code, reason) = end {
            socket.close(code, reason);
        }
        poll_fn(|context| socket.poll_write(context)).await.ok()?;
        poll_fn(|context| socket.poll_shutdown(context))
            .await
            .ok()?;
        // A socket that is closed with something unread is reset, and the client may not see the close.
        if is_asked {
            poll_fn(|context| socket.poll_discard(context)).await;
        }
        Some(())
    };
    let _ = timeout(CLOSE_MAX, goodbye).await;
}

impl Talk {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<End> {
        if self.tick.poll_tick(context).is_ready() {
            // It is due again in any case, and has to be told whom to wake.
            while self.tick.poll_tick(context).is_ready() {}
            if let Some(end) = self.look() {
                return Poll::Ready(end);
            }
        }
        loop {
            if let Poll::Ready(end) = self.poll_write(context) {
                return Poll::Ready(end);
            }
            if let Poll::Ready(end) = self.poll_read(context) {
                return Poll::Ready(end);
            }
            // A ping may have come that is to be answered now.
            if !self.socket.has_answer() {
                return Poll::Pending;
            }
            if self.socket.poll_write(context).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// What is to be done at each tick.
    fn look(&mut self) -> Option<End> {
        self.ticks += 1;
        // A client that waits for the bus is not silent.
        self.silent_ticks = match self.saying.is_some() || self.making_room.is_some() {
            true => 0,
            false => self.silent_ticks + 1,
        };
        self.large_ticks += 1;
        if self.large.is_some() && self.large_ticks > LARGE_TICKS_MAX {
            return Some(End::Close(
                POLICY,
                "a large message took too long; send smaller ones",
            ));
        }
        if self.silent_ticks >= SILENT_TICKS_MAX {
            return Some(End::Gone);
        }
        if self.ticks.is_multiple_of(PING_TICKS) && self.socket.is_written() {
            self.socket.put(frames::PING_FRAME);
        }
        None
    }

    /// Writes what is there, and what the bus has next, until the system takes no more.
    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<End> {
        loop {
            match self.socket.poll_write(context) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(End::Gone),
                Poll::Pending => {
                    // The outbox is full before the client reads on: what is being written is not worth waiting for.
                    if self.outbox.poll_overflowed(context).is_pending() {
                        return Poll::Pending;
                    }
                }
            }
            let form = self.outbox.form();
            let socket = &mut self.socket;
            let mut end = None;
            let taken = self.outbox.poll_take(context, TAKE_BYTES, |item| {
                end = put(socket, form, item);
            });
            if let Some(end) = end {
                return Poll::Ready(end);
            }
            if taken.is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Hands on what the client says.
    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<End> {
        loop {
            if let Some(saying) = &mut self.saying {
                let Poll::Ready(is_said) = saying.as_mut().poll(context) else {
                    return Poll::Pending;
                };
                self.saying = None;
                // The outbox says why.
                self.is_closing |= !is_said;
            }
            if self.is_closing {
                return Poll::Pending;
            }
            if self.wants_room() {
                let client = &self.client;
                let room = (self.making_room).get_or_insert_with(|| Box::pin(client.large()));
                let Poll::Ready(room) = room.as_mut().poll(context) else {
                    return Poll::Pending;
                };
                self.making_room = None;
                self.large = room;
                self.large_ticks = 0;
                self.is_closing |= self.large.is_none();
                continue;
            }
            let unread_max = match self.large {
                Some(_) => usize::MAX,
                None => LARGE_FROM,
            };
            let message = match self.socket.poll_read(context, unread_max) {
                Poll::Ready(Ok(message)) => message,
                Poll::Ready(Err(error)) => return Poll::Ready(unreadable(&error)),
                Poll::Pending if self.wants_room() => continue,
                Poll::Pending => return Poll::Pending,
            };
            self.silent_ticks = 0;
            match message {
                Message::Text(text) => self.say(FrameKind::Text, text.into()),
                Message::Binary(bytes) => self.say(FrameKind::Binary, bytes),
                // Reading on writes the answer, and ends.
                Message::Close(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    /// Whether the client is in the middle of a large message for which there is no room yet.
    fn wants_room(&self) -> bool {
        self.large.is_none() && self.socket.unread() > LARGE_FROM
    }

    fn say(&mut self, frame: FrameKind, bytes: Bytes) {
        self.large = None;
        let bytes = match bytes.len() < COPY_BELOW {
            true => Bytes::copy_from_slice(&bytes),
            false => bytes,
        };
        match self.client.try_say(frame, bytes) {
            Ok(true) => {}
            Ok(false) => self.is_closing = true,
            Err(Behind(bytes)) => {
                self.saying = Some(Box::pin(self.client.say_later(frame, bytes)));
            }
        }
    }
}

/// Puts an item to what is to be written; or it is the end.
fn put(socket: &mut Socket, form: Form, item: Item) -> Option<End> {
    match item {
        Item::Batch(batch) => socket.put(batch.wire(form).clone()),
        Item::One(message) => {
            let (kind, bytes) = payload(&message, form);
            put_whole(socket, kind, bytes);
        }
        Item::Positions { frame, bytes } => put_whole(socket, frame, bytes),
        Item::Close { code, reason } => return Some(End::Close(code, reason)),
    }
    None
}

fn put_whole(socket: &mut Socket, kind: FrameKind, bytes: Bytes) {
    socket.put(frames::head(kind, bytes.len()));
    socket.put(bytes);
}

/// What a client deserves that sent what cannot be read.
fn unreadable(error: &Error) -> End {
    let (code, reason) = match error {
        Error::Capacity(_) => (
            TOO_LARGE,
            "a message is longer than 1 MB; send less at a time",
        ),
        Error::Utf8(_) => (NO_UTF8, "a text is not UTF-8; send it as a binary message"),
        Error::Protocol(
            tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
        ) => return End::Gone,
        Error::Protocol(_) => (PROTOCOL_ERROR, "not RFC 6455"),
        _ => return End::Gone,
    };
    tracing::debug!(%error, "an unreadable message");
    End::Close(code, reason)
}
