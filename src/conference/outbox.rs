//! What waits for one client: a bounded queue between its space's task and its WebSocket.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use conference::protocol::close;
use tokio::sync::Notify;

/// Messages that wait for one client. In a storm of 200 joins everybody hears of some 600 changes; a phone that is away for five
/// seconds of it must not be cut off.
pub const QUEUE_FRAMES_MAX: usize = 2048;

/// Bytes that wait for one client. Messages for many are shared between their queues; what belongs to one alone (offers, slots) is a few
/// kilobytes.
pub const QUEUE_BYTES_MAX: usize = 1 << 20;

/// How a WebSocket is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Close {
    /// RFC 6455 section 7.4, or 4000 and above.
    pub code: u16,
    /// For people, at most 123 bytes.
    pub reason: &'static str,
}

/// What comes next for a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A text message.
    Text(Arc<str>),
    /// The end; nothing follows.
    Close(Close),
}

/// The queue was full: the connection is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Overflow;

/// The receiving end, for the WebSocket.
#[derive(Debug)]
pub struct Outbox(Arc<Queue>);

/// The sending end, for the space's task.
#[derive(Debug)]
pub(super) struct Sender(Arc<Queue>);

#[derive(Debug)]
struct Queue {
    waiting: Mutex<Waiting>,
    bytes_max: usize,
    filled: Notify,
    overflowed: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    texts: VecDeque<Arc<str>>,
    bytes: usize,
    close: Option<Close>,
    has_overflowed: bool,
}

/// A queue for at most `bytes_max` bytes and [`QUEUE_FRAMES_MAX`] texts.
pub(super) fn outbox(bytes_max: usize) -> (Sender, Outbox) {
    let queue = Arc::new(Queue {
        waiting: Mutex::default(),
        bytes_max,
        filled: Notify::new(),
        overflowed: Notify::new(),
    });
    (Sender(queue.clone()), Outbox(queue))
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing in here is ever half changed.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sender {
    /// Queues a text. A full queue is thrown away, and the client told so by a close.
    pub(super) fn send(&self, text: Arc<str>) -> Result<(), Overflow> {
        let mut waiting = self.0.lock();
        if waiting.close.is_some() {
            return Ok(());
        }
        let is_full = waiting.texts.len() >= QUEUE_FRAMES_MAX
            || (waiting.bytes + text.len() > self.0.bytes_max && !waiting.texts.is_empty());
        if is_full {
            waiting.texts.clear();
            waiting.bytes = 0;
            waiting.has_overflowed = true;
            waiting.close = Some(Close {
                code: close::FULL,
                reason: "too slow: messages were lost; connect again",
            });
            drop(waiting);
            self.0.overflowed.notify_one();
            self.0.filled.notify_one();
            return Err(Overflow);
        }
        waiting.bytes += text.len();
        waiting.texts.push_back(text);
        drop(waiting);
        self.0.filled.notify_one();
        Ok(())
    }

    /// Closes after what is queued. The first close counts.
    pub(super) fn close(&self, close: Close) {
        self.0.lock().close.get_or_insert(close);
        self.0.filled.notify_one();
    }
}

impl Drop for Sender {
    /// Whoever is forgotten without a close hears one all the same.
    fn drop(&mut self) {
        self.close(Close {
            code: close::STOPPING,
            reason: "the conference is over",
        });
    }
}

impl Outbox {
    /// The next frame; waits for one. Cancel safe.
    pub async fn next(&self) -> Frame {
        loop {
            if let Some(frame) = self.try_next() {
                return frame;
            }
            self.0.filled.notified().await;
        }
    }

    /// The next frame, if there is one.
    pub fn try_next(&self) -> Option<Frame> {
        let mut waiting = self.0.lock();
        match waiting.texts.pop_front() {
            Some(text) => {
                waiting.bytes -= text.len();
                Some(Frame::Text(text))
            }
            None => waiting.close.map(Frame::Close),
        }
    }

    /// Returns when the client was too slow: what is being written to it is not worth waiting for. Cancel safe.
    pub async fn overflowed(&self) {
        while !self.0.lock().has_overflowed {
            self.0.overflowed.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(length: usize) -> Arc<str> {
        "x".repeat(length).into()
    }

    #[tokio::test]
    async fn texts_come_in_order_and_the_close_after_them() {
        let (sender, outbox) = outbox(QUEUE_BYTES_MAX);
        sender.send("one".into()).unwrap();
        sender.send("two".into()).unwrap();
        let left = Close {
            code: 1000,
            reason: "left",
        };
        sender.close(left);
        sender.send("late".into()).unwrap();
        drop(sender);
        assert_eq!(outbox.next().await, Frame::Text("one".into()));
        assert_eq!(outbox.next().await, Frame::Text("two".into()));
        assert_eq!(outbox.next().await, Frame::Close(left));
        assert_eq!(outbox.next().await, Frame::Close(left));
    }

    #[tokio::test]
    async fn one_message_too_many_closes_the_connection_with_1013() {
        let (sender, outbox) = outbox(QUEUE_BYTES_MAX);
        for _ in 0..QUEUE_FRAMES_MAX {
            sender.send(text(1)).unwrap();
        }
        assert_eq!(sender.send(text(1)), Err(Overflow));
        outbox.overflowed().await;
        assert!(matches!(outbox.next().await, Frame::Close(close) if close.code == 1013));
        assert_eq!(sender.send(text(1)), Ok(()));
    }

    #[test]
    fn one_byte_too_many_does_too_but_a_single_message_may_be_long() {
        let (sender, outbox) = outbox(QUEUE_BYTES_MAX);
        sender.send(text(QUEUE_BYTES_MAX + 1)).unwrap();
        assert!(matches!(outbox.try_next(), Some(Frame::Text(_))));
        sender.send(text(QUEUE_BYTES_MAX)).unwrap();
        assert_eq!(sender.send(text(1)), Err(Overflow));
    }

    #[test]
    fn a_forgotten_connection_is_closed() {
        let (sender, outbox) = outbox(QUEUE_BYTES_MAX);
        drop(sender);
        assert!(matches!(outbox.try_next(), Some(Frame::Close(close)) if close.code == 1001));
    }
}
