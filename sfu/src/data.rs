//! Data channels of participants: their names, their limits, and what waits for one.
//!
//! A participant's client opens two of them in-band (RFC 8832), by their labels: `messages`, ordered and reliable, and `positions`,
//! unordered and never sent again. What they carry is not looked at here. Publishers and viewers have none.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One of a participant's data channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DataChannel {
    /// Ordered and reliable: everything that is said.
    Messages,
    /// Unordered, without retransmission: only the newest counts.
    Positions,
}

impl DataChannel {
    /// The channel that is opened under this label.
    pub(crate) fn of(label: &str) -> Option<Self> {
        match label {
            "messages" => Some(Self::Messages),
            "positions" => Some(Self::Positions),
            _ => None,
        }
    }
}

/// What a worker tells of a participant's data channels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataEvent {
    /// The participant has opened one.
    Open {
        /// Which.
        channel: DataChannel,
        /// The `protocol` that it was opened with, at most 256 characters.
        protocol: String,
    },
    /// One is closed, by either side. What waited is lost. Not told when the whole peer is.
    Closed {
        /// Which.
        channel: DataChannel,
    },
    /// A message came. None is ever left out of `messages`: the channel of whoever says too much is closed.
    Message {
        /// Over which.
        channel: DataChannel,
        /// Bytes, or text that may be no UTF-8.
        is_binary: bool,
        /// At most [`DATA_RECEIVED_MAX`] bytes.
        bytes: Vec<u8>,
    },
    /// So many bytes of what was sent over `messages` have left the queue, of which [`DATA_QUEUE_MAX`] may wait.
    Taken {
        /// In messages without what is around them.
        bytes: usize,
    },
}

/// The longest message in bytes that a participant may send, announced as `a=max-message-size`: the longest of the message bus but for
/// pictures, which may be larger over its WebSocket. It is put together in memory, on the thread that forwards media.
pub const DATA_RECEIVED_MAX: usize = 64 * 1024;

/// The longest message in bytes that can be sent to a participant: what SCTP buffers of a connection, with some room for the
/// channels' own messages.
pub const DATA_SENT_MAX: usize = 120 * 1024;

/// Bytes that wait for a participant beside what SCTP has taken; one more closes the channel. Who sends waits for
/// [`DataEvent::Taken`] before.
pub const DATA_QUEUE_MAX: usize = 256 * 1024;

/// Frames of positions that may be on their way, in bytes: seven full ones, which is 20 Hz over 350 ms. What is lost on the way counts
/// until that is known.
pub(crate) const POSITIONS_SENT_MAX: usize = 8 * 1024;

/// What a participant may say per second for long, and at once: ten times what the message bus takes of one, which says so to
/// whoever says more. Beyond this it is not asked any more: the channel is closed.
const MESSAGES: Allowance = Allowance::new(500, 1000);

/// As [`MESSAGES`], in bytes: 4 Mbit/s.
const BYTES: Allowance = Allowance::new(512 * 1024, 2 * 1024 * 1024);

/// How often a participant may move; more often is not looked at.
const POSITIONS: Allowance = Allowance::new(120, 240);

/// So much per second, and so much at once.
#[derive(Debug, Clone, Copy)]
struct Allowance {
    per_second: u32,
    at_once: u32,
}

impl Allowance {
    const fn new(per_second: u32, at_once: u32) -> Self {
        Self {
            per_second,
            at_once,
        }
    }

    /// What is left of it.
    fn full(self, now: Instant) -> Bucket {
        Bucket {
            allowance: self,
            left: f64::from(self.at_once),
            at: now,
        }
    }
}

/// What is left of an allowance.
#[derive(Debug)]
struct Bucket {
    allowance: Allowance,
    left: f64,
    at: Instant,
}

impl Bucket {
    /// Takes so much, if there is.
    fn take(&mut self, now: Instant, how_much: usize) -> bool {
        let passed = now.saturating_duration_since(self.at);
        self.at = self.at.max(now);
        let gained = passed.min(Duration::from_secs(60)).as_secs_f64()
            * f64::from(self.allowance.per_second);
        self.left = (self.left + gained).min(f64::from(self.allowance.at_once));
        // Messages are at most DATA_RECEIVED_MAX bytes.
        let how_much = f64::from(u32::try_from(how_much).unwrap_or(u32::MAX));
        if self.left < how_much {
            return false;
        }
        self.left -= how_much;
        true
    }
}

/// What became of something that a participant sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Taken,
    /// It is one too many of what may be left out.
    Dropped,
    /// It is one too many of what must not be left out: the channel is to be closed.
    Flood,
}

/// A message that waits.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) is_binary: bool,
    pub(crate) bytes: Arc<[u8]>,
}

/// A participant's channels.
#[derive(Debug)]
pub(crate) struct Data {
    messages: Bucket,
    bytes: Bucket,
    positions: Bucket,
    /// For `messages`: what SCTP has not taken yet.
    pub(crate) queue: VecDeque<Waiting>,
    pub(crate) queued: usize,
}

impl Data {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            messages: MESSAGES.full(now),
            bytes: BYTES.full(now),
            positions: POSITIONS.full(now),
            queue: VecDeque::new(),
            queued: 0,
        }
    }

    /// Counts what came.
    pub(crate) fn admit(&mut self, now: Instant, channel: DataChannel, length: usize) -> Verdict {
        match channel {
            DataChannel::Positions if self.positions.take(now, 1) => Verdict::Taken,
            DataChannel::Positions => Verdict::Dropped,
            DataChannel::Messages => {
                let is_taken = self.messages.take(now, 1) && self.bytes.take(now, length);
                if is_taken {
                    Verdict::Taken
                } else {
                    Verdict::Flood
                }
            }
        }
    }

    /// Lets a message wait. `false` when too much does.
    pub(crate) fn enqueue(&mut self, is_binary: bool, bytes: Arc<[u8]>) -> bool {
        if self.queued + bytes.len() > DATA_QUEUE_MAX {
            return false;
        }
        self.queued += bytes.len();
        self.queue.push_back(Waiting { is_binary, bytes });
        true
    }

    /// Nothing waits any more.
    pub(crate) fn clear(&mut self) {
        self.queue = VecDeque::new();
        self.queued = 0;
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "an epoch for virtual time")]
mod tests {
    use super::*;

    #[test]
    fn only_two_labels_are_known() {
        assert_eq!(DataChannel::of("messages"), Some(DataChannel::Messages));
        assert_eq!(DataChannel::of("positions"), Some(DataChannel::Positions));
        for other in ["", "Messages", "messages?since=1", "chat"] {
            assert_eq!(DataChannel::of(other), None, "{other}");
        }
    }

    #[test]
    fn who_says_too_much_is_a_flood_and_who_moves_too_often_is_not_looked_at() {
        let now = Instant::now();
        let mut data = Data::new(now);
        let taken = |data: &mut Data, channel, length, now| {
            (0..2000)
                .take_while(|_| data.admit(now, channel, length) == Verdict::Taken)
                .count()
        };
        assert_eq!(taken(&mut data, DataChannel::Messages, 10, now), 1000);
        assert_eq!(data.admit(now, DataChannel::Messages, 10), Verdict::Flood);
        assert_eq!(taken(&mut data, DataChannel::Positions, 36, now), 240);
        assert_eq!(
            data.admit(now, DataChannel::Positions, 36),
            Verdict::Dropped
        );
        let later = now + Duration::from_secs(1);
        assert_eq!(taken(&mut data, DataChannel::Messages, 10, later), 500);
        assert_eq!(taken(&mut data, DataChannel::Positions, 36, later), 120);
        let much_later = later + Duration::from_secs(3600);
        let large = DATA_RECEIVED_MAX;
        assert_eq!(
            taken(&mut data, DataChannel::Messages, large, much_later),
            32
        );
    }

    #[test]
    fn what_waits_is_bounded_by_its_bytes() {
        let mut data = Data::new(Instant::now());
        let message: Arc<[u8]> = vec![0; DATA_QUEUE_MAX / 4].into();
        for _ in 0..4 {
            assert!(data.enqueue(false, message.clone()));
        }
        assert!(!data.enqueue(false, Arc::new([0])));
        data.clear();
        assert!(data.enqueue(false, message));
    }
}
