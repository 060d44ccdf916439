//! A participant's data channels, between its media thread and the task that speaks for it.
//!
//! Each participant has its own two queues' worth of room: one that is slow, or says too much, costs nobody else anything. Toward the
//! task: what was said waits, up to [`MESSAGES_MAX`] and [`BYTES_MAX`], and one message more closes the channel (the client opens it
//! again and catches up); of positions only the newest waits. Toward the thread: one queue for all of its participants, and who finds
//! it full tries again.

use std::collections::VecDeque;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mio::Waker;
use sfu::{Command, DataChannel, DataEvent, PeerId};
use tokio::sync::Notify;

use super::thread::{Busy, Message};

/// Messages of one participant that wait for its task: what it may say at once, many times over.
const MESSAGES_MAX: usize = 1024;

/// Bytes of one participant that wait for its task: sixteen of the longest messages.
const BYTES_MAX: usize = 16 * sfu::DATA_RECEIVED_MAX;

/// What goes from a participant's task to its media thread.
pub(super) struct Outgoing {
    pub(super) peer: PeerId,
    pub(super) channel: DataChannel,
    pub(super) is_binary: bool,
    pub(super) bytes: Arc<[u8]>,
}

/// The media thread has too much to do, or is gone. What was to be sent is given back.
#[derive(Debug)]
pub struct Behind(pub Arc<[u8]>);

/// The task's end. Its drop leaves the channels open and unheard.
pub struct DataChannels {
    peer: PeerId,
    queue: Arc<Queue>,
    sender: DataSender,
}

/// The media thread's end. Its drop tells the task that the participant is gone.
pub(super) struct DataFeed(Arc<Queue>);

/// A way into a media thread's queue.
#[derive(Clone)]
pub(super) struct DataSender {
    pub(super) outgoing: SyncSender<Outgoing>,
    pub(super) commands: SyncSender<Message>,
    pub(super) waker: Arc<Waker>,
}

#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    filled: Notify,
}

#[derive(Default)]
struct Waiting {
    events: VecDeque<DataEvent>,
    /// Of the messages among them.
    bytes: usize,
    /// The newest, with whether it is binary.
    position: Option<(bool, Vec<u8>)>,
    /// Not told yet.
    taken: usize,
    is_over: bool,
}

/// Both ends for a participant.
pub(super) fn connect(peer: PeerId, sender: DataSender) -> (DataFeed, DataChannels) {
    let queue = Arc::new(Queue::default());
    let feed = DataFeed(queue.clone());
    let channels = DataChannels {
        peer,
        queue,
        sender,
    };
    (feed, channels)
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing in here is ever half changed.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DataFeed {
    /// Hands an event to the task. `false` when it is a message that finds no room: its channel is to be closed.
    pub(super) fn put(&self, event: DataEvent) -> bool {
        let mut waiting = self.0.lock();
        match event {
            DataEvent::Taken { bytes } => waiting.taken += bytes,
            DataEvent::Message {
                channel: DataChannel::Positions,
                is_binary,
                bytes,
            } => waiting.position = Some((is_binary, bytes)),
            DataEvent::Message { ref bytes, .. } => {
                if waiting.events.len() >= MESSAGES_MAX || waiting.bytes + bytes.len() > BYTES_MAX {
                    return false;
                }
                waiting.bytes += bytes.len();
                waiting.events.push_back(event);
            }
            // Opened and closed in turns, and rarely: the worker sees to it.
            DataEvent::Open { .. } | DataEvent::Closed { .. } => waiting.events.push_back(event),
        }
        drop(waiting);
        self.0.filled.notify_one();
        true
    }

    /// Whether nobody listens any more.
    pub(super) fn is_abandoned(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }
}

impl Drop for DataFeed {
    fn drop(&mut self) {
        self.0.lock().is_over = true;
        self.0.filled.notify_one();
    }
}

impl DataChannels {
    /// What comes next; `None` when the participant is gone. Of positions only the newest is told. For one reader. Cancel safe.
    pub async fn next(&self) -> Option<DataEvent> {
        loop {
            {
                let mut waiting = self.queue.lock();
                if let Some(event) = waiting.next() {
                    return Some(event);
                }
                if waiting.is_over {
                    return None;
                }
            }
            self.queue.filled.notified().await;
        }
    }

    /// Sends a message, at the next [`flush`](Self::flush). At most [`DATA_QUEUE_MAX`](sfu::DATA_QUEUE_MAX) bytes over `messages` may
    /// be under way, which [`DataEvent::Taken`] tells.
    ///
    /// # Errors
    /// [`Behind`]: try again a little later.
    pub fn send(
        &self,
        channel: DataChannel,
        is_binary: bool,
        bytes: Arc<[u8]>,
    ) -> Result<(), Behind> {
        let outgoing = Outgoing {
            peer: self.peer,
            channel,
            is_binary,
            bytes,
        };
        self.sender
            .outgoing
            .try_send(outgoing)
            .map_err(|error| match error {
                TrySendError::Full(back) | TrySendError::Disconnected(back) => Behind(back.bytes),
            })
    }

    /// Has the media thread look at what was sent.
    pub fn flush(&self) {
        // A thread that cannot be woken is gone, and with it the participant.
        let _ = self.sender.waker.wake();
    }

    /// Closes a channel; what was sent before may be lost. `false` when the media thread takes no commands now.
    pub fn close(&self, channel: DataChannel) -> bool {
        let peer = self.peer;
        let command = Message::Command(Command::CloseData { peer, channel }, None);
        let sent = self.sender.commands.try_send(command).map_err(Busy::from);
        if sent == Err(Busy::Full) {
            return false;
        }
        self.flush();
        true
    }
}

impl Waiting {
    fn next(&mut self) -> Option<DataEvent> {
        if self.taken > 0 {
            let bytes = std::mem::take(&mut self.taken);
            return Some(DataEvent::Taken { bytes });
        }
        if let Some(event) = self.events.pop_front() {
            if let DataEvent::Message { bytes, .. } = &event {
                self.bytes -= bytes.len();
            }
            return Some(event);
        }
        let (is_binary, bytes) = self.position.take()?;
        Some(DataEvent::Message {
            channel: DataChannel::Positions,
            is_binary,
            bytes,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use mio::{Poll, Token};

    use super::*;

    fn ends() -> (DataFeed, DataChannels) {
        let poll = Poll::new().unwrap();
        let sender = DataSender {
            outgoing: sync_channel(1).0,
            commands: sync_channel(1).0,
            waker: Arc::new(Waker::new(poll.registry(), Token(0)).unwrap()),
        };
        connect(PeerId(1), sender)
    }

    fn message(channel: DataChannel, bytes: &[u8]) -> DataEvent {
        DataEvent::Message {
            channel,
            is_binary: false,
            bytes: bytes.to_vec(),
        }
    }

    #[tokio::test]
    async fn messages_come_in_order_and_of_positions_the_newest() {
        let (feed, channels) = ends();
        let (said, moved) = (DataChannel::Messages, DataChannel::Positions);
        for (channel, bytes) in [(moved, b"1"), (said, b"a"), (moved, b"2"), (said, b"b")] {
            assert!(feed.put(message(channel, bytes)));
        }
        assert!(feed.put(DataEvent::Taken { bytes: 3 }));
        assert!(feed.put(DataEvent::Taken { bytes: 4 }));
        drop(feed);
        let mut came = Vec::new();
        while let Some(event) = channels.next().await {
            came.push(event);
        }
        let expected = [
            DataEvent::Taken { bytes: 7 },
            message(said, b"a"),
            message(said, b"b"),
            message(moved, b"2"),
        ];
        assert_eq!(came, expected);
    }

    #[tokio::test]
    async fn one_message_too_many_finds_no_room_but_the_close_does() {
        let (feed, channels) = ends();
        let said = DataChannel::Messages;
        for _ in 0..MESSAGES_MAX {
            assert!(feed.put(message(said, b"x")));
        }
        assert!(!feed.put(message(said, b"x")));
        assert!(feed.put(DataEvent::Closed { channel: said }));
        assert!(feed.put(message(DataChannel::Positions, b"x")));
        for _ in 0..MESSAGES_MAX {
            assert_eq!(channels.next().await, Some(message(said, b"x")));
        }
        let closed = DataEvent::Closed { channel: said };
        assert_eq!(channels.next().await, Some(closed));
        let large = vec![0; sfu::DATA_RECEIVED_MAX];
        let taken = (0..100).take_while(|_| feed.put(message(said, &large)));
        assert_eq!(taken.count(), 16);
        assert!(!feed.is_abandoned());
        drop(channels);
        assert!(feed.is_abandoned());
    }
}
