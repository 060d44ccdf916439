//! From the media threads to the few threads that consume tapped streams: one ring from each to each, one writer, one reader, no
//! locks. A reader looks every few milliseconds while something is live; a media thread spends no system call on waking it.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroUsize;
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

/// Threads that read the taps: two at least, so that a stream which takes long delays half of the others, and no more than four,
/// which carry more streams than a venue has publishers. Each has a ring of 2.6 MB from each media thread.
const READERS: std::ops::RangeInclusive<usize> = 2..=4;

/// One of those who read the taps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReaderId(usize);

/// A media thread's end.
#[derive(Debug)]
pub(super) struct TapOut {
    ways: Vec<Way>,
    /// Who reads a stream that is tapped.
    routes: BTreeMap<StreamId, ReaderId>,
    overflows: u64,
}

/// To one reader.
#[derive(Debug)]
struct Way {
    ring: Producer<Message>,
    waiting: VecDeque<Message>,
}

/// A consumer's end: what all media threads tap for it.
#[derive(Debug)]
pub struct Taps {
    id: ReaderId,
    rings: Vec<Consumer<Message>>,
    reader: Reader,
}

/// Wakes the thread that reads the taps, from anywhere.
#[derive(Debug, Clone)]
pub struct TapWaker(Reader);

/// How many readers there are: as many as cores, within [`READERS`].
pub(super) fn readers() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    cores.clamp(*READERS.start(), *READERS.end())
}

/// The two ends for `count` media threads and `readers` threads that consume.
pub(super) fn connect(count: usize, readers: usize) -> (Vec<TapOut>, Vec<Taps>) {
    let mut taps: Vec<Taps> = (0..readers)
        .map(|at| Taps {
            id: ReaderId(at),
            rings: Vec::with_capacity(count),
            reader: Reader::default(),
        })
        .collect();
    let mut way = |taps: &mut Taps| {
        let (ring, end) = RingBuffer::new(TAP_ITEMS_MAX);
        taps.rings.push(end);
        let waiting = VecDeque::new();
        Way { ring, waiting }
    };
    let outs = (0..count)
        .map(|_| TapOut {
            ways: taps.iter_mut().map(&mut way).collect(),
            routes: BTreeMap::new(),
            overflows: 0,
        })
        .collect();
    (outs, taps)
}

impl TapOut {
    /// From here on `reader` gets what is tapped of a stream; `None`: nobody.
    pub(super) fn route(&mut self, stream: StreamId, reader: Option<ReaderId>) {
        match reader {
            Some(reader) => self.routes.insert(stream, reader),
            None => self.routes.remove(&stream),
        };
    }

    /// Queues one item. A packet that finds no room is dropped and counted: media never waits for a consumer. What nobody reads
    /// any more is nothing.
    pub(super) fn send(&mut self, stream: StreamId, item: TapItem) {
        let reader = self.routes.get(&stream);
        let Some(way) = reader.and_then(|reader| self.ways.get_mut(reader.0)) else {
            return;
        };
        let is_packet = matches!(item, TapItem::Packet { .. });
        let refused = if way.waiting.is_empty() {
            match way.ring.push((stream, item)) {
                Ok(()) => return,
                Err(PushError::Full(message)) => message,
            }
        } else {
            (stream, item)
        };
        if is_packet || way.waiting.len() >= WAITING_MAX {
            self.overflows += 1;
        } else {
            way.waiting.push_back(refused);
        }
    }

    /// Retries what waits. Returns whether something still waits.
    pub(super) fn flush(&mut self) -> bool {
        self.ways
            .iter_mut()
            .fold(false, |waits, way| way.flush() | waits)
    }

    /// Items that found no room.
    pub(super) fn overflows(&self) -> u64 {
        self.overflows
    }
}

impl Way {
    fn flush(&mut self) -> bool {
        while let Some(message) = self.waiting.pop_front() {
            if let Err(PushError::Full(message)) = self.ring.push(message) {
                self.waiting.push_front(message);
                break;
            }
        }
        !self.waiting.is_empty()
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
    /// Which of the readers this is.
    pub fn id(&self) -> ReaderId {
        self.id
    }

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
        let (mut outs, taps) = connect(1, 1);
        let mut taps = taps.into_iter().next().unwrap();
        outs[0].route(StreamId(1), Some(taps.id()));
        outs[0].route(StreamId(2), Some(taps.id()));
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

    #[test]
    fn a_reader_that_does_not_read_keeps_nothing_from_another_one() {
        let (mut outs, mut taps) = connect(2, 2);
        let ended = || TapItem::Ended {
            publisher: sfu::PeerId(1),
        };
        for out in &mut outs {
            out.route(StreamId(1), Some(taps[0].id()));
            out.route(StreamId(2), Some(taps[1].id()));
            for _ in 0..=TAP_ITEMS_MAX {
                out.send(StreamId(1), ended());
            }
            out.send(StreamId(2), ended());
            out.send(StreamId(3), ended());
            assert!(out.flush(), "one waits for the first reader");
        }
        let mut seen = Vec::new();
        let more = taps[1].receive(TAP_ITEMS_MAX, |stream, _| seen.push(stream));
        assert_eq!((more, seen), (false, vec![StreamId(2); 2]));
        let mut seen = 0;
        assert!(taps[0].receive(TAP_ITEMS_MAX, |stream, _| {
            assert_eq!(stream, StreamId(1));
            seen += 1;
        }));
        assert_eq!(seen, 2 * TAP_ITEMS_MAX);
        outs[0].route(StreamId(2), None);
        outs[0].send(StreamId(2), ended());
        assert!(!taps[1].receive(1, |stream, _| panic!("{stream} is not tapped any more")));
    }
}
