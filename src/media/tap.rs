//! From the media threads to the one thread that consumes tapped streams: one ring each, one writer, one reader, no locks. The
//! reader looks every few milliseconds while something is live; a media thread spends no system call on waking it.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::thread::Thread;
use std::time::Duration;

use rtrb::{Consumer, Producer, PushError, RingBuffer};
use sfu::{StreamId, TapItem};

/// Items that wait in one ring: 0.8 s of twenty publishers of 1,000 packets/s, or the kept groups of several that begin.
pub const TAP_ITEMS_MAX: usize = 1 << 14;

/// Items that must arrive and wait for room; a few for each publication.
const WAITING_MAX: usize = 1 << 14;

type Message = (StreamId, TapItem);

/// Wakes the reader, once it has said who it is.
#[derive(Debug, Clone, Default)]
struct Reader(Arc<OnceLock<Thread>>);

/// A media thread's end.
#[derive(Debug)]
pub(super) struct TapOut {
    ring: Producer<Message>,
    waiting: VecDeque<Message>,
    overflows: u64,
}

/// The consumer's end: what all media threads tap.
#[derive(Debug)]
pub struct Taps {
    rings: Vec<Consumer<Message>>,
    reader: Reader,
}

/// Wakes the thread that reads the taps, from anywhere.
#[derive(Debug, Clone)]
pub struct TapWaker(Reader);

/// The two ends for `count` media threads.
pub(super) fn connect(count: usize) -> (Vec<TapOut>, Taps) {
    let reader = Reader::default();
    let (writers, rings) = (0..count)
        .map(|_| RingBuffer::new(TAP_ITEMS_MAX))
        .unzip::<_, _, Vec<_>, Vec<_>>();
    let outs = writers
        .into_iter()
        .map(|ring| TapOut {
            ring,
            waiting: VecDeque::new(),
            overflows: 0,
        })
        .collect();
    (outs, Taps { rings, reader })
}

impl TapOut {
    /// Queues one item. A packet that finds no room is dropped and counted: media never waits for a consumer.
    pub(super) fn send(&mut self, stream: StreamId, item: TapItem) {
        let is_packet = matches!(item, TapItem::Packet { .. });
        let refused = if self.waiting.is_empty() {
            match self.ring.push((stream, item)) {
                Ok(()) => return,
                Err(PushError::Full(message)) => message,
            }
        } else {
            (stream, item)
        };
        if is_packet || self.waiting.len() >= WAITING_MAX {
            self.overflows += 1;
        } else {
            self.waiting.push_back(refused);
        }
    }

    /// Retries what waits. Returns whether something still waits.
    pub(super) fn flush(&mut self) -> bool {
        while let Some(message) = self.waiting.pop_front() {
            if let Err(PushError::Full(message)) = self.ring.push(message) {
                self.waiting.push_front(message);
                break;
            }
        }
        !self.waiting.is_empty()
    }

    /// Items that found no room.
    pub(super) fn overflows(&self) -> u64 {
        self.overflows
    }
}

impl Reader {
    fn wake(&self) {
        if let Some(thread) = self.0.get() {
            thread.unpark();
        }
    }
}

impl TapWaker {
    /// Ends the reader's wait.
    pub fn wake(&self) {
        self.0.wake();
    }
}

impl Taps {
    /// A way to end [`Self::wait`] early.
    pub fn waker(&self) -> TapWaker {
        TapWaker(self.reader.clone())
    }

    /// Takes up to `limit` items of each media thread, in the order of each. Returns whether more may wait.
    pub fn receive(&mut self, limit: usize, mut each: impl FnMut(StreamId, TapItem)) -> bool {
        let mut more = false;
        for ring in &mut self.rings {
            let mut taken = 0;
            while taken < limit {
                let Ok((stream, item)) = ring.pop() else {
                    break;
                };
                taken += 1;
                each(stream, item);
            }
            more |= taken == limit;
        }
        more
    }

    /// Waits for `timeout`, or until a [`TapWaker`] ends it. To be called by one thread, always the same.
    pub fn wait(&self, timeout: Duration) {
        self.reader.0.get_or_init(std::thread::current);
        std::thread::park_timeout(timeout);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_dropped_and_counted_when_nobody_reads_but_ends_arrive() {
        let (mut outs, mut taps) = connect(1);
        for _ in 0..TAP_ITEMS_MAX {
            outs[0].send(
                StreamId(1),
                TapItem::Ended {
                    publisher: sfu::PeerId(1),
                },
            );
        }
        outs[0].send(
            StreamId(2),
            TapItem::Ended {
                publisher: sfu::PeerId(1),
            },
        );
        assert!(outs[0].flush());
        assert_eq!(outs[0].overflows(), 0);
        let mut seen = 0;
        assert!(taps.receive(TAP_ITEMS_MAX, |_, _| seen += 1));
        assert!(!outs[0].flush());
        let mut last = None;
        taps.receive(TAP_ITEMS_MAX, |stream, _| last = Some(stream));
        assert_eq!((seen, last), (TAP_ITEMS_MAX, Some(StreamId(2))));
    }
}
