//! The rings between media threads: one writer, one reader each, no locks.

use std::collections::VecDeque;
use std::sync::Arc;

use mio::Waker;
use rtrb::{Consumer, Producer, PushError, RingBuffer};
use sfu::{Relay, WorkerId};

/// Messages that wait in one ring: 0.4 s of a thread that forwards 20 publishers of 600 packets/s. A replay of a whole
/// group of pictures at a subscription needs most of it.
const RING_MAX: usize = 1 << 15;

/// Control messages that wait for room in a full ring; each belongs to a stream, of which there are bounded many.
const WAITING_MAX: usize = 1 << 14;

/// One thread's ends of the rings to and from all others.
pub(super) struct Mesh {
    outgoing: Vec<Option<Outgoing>>,
    incoming: Vec<(WorkerId, Consumer<Relay>)>,
    overflows: u64,
}

struct Outgoing {
    ring: Producer<Relay>,
    /// Messages that must arrive, for which the ring had no room.
    waiting: VecDeque<Relay>,
    waker: Arc<Waker>,
    /// Something was put into the ring since the reader was last woken.
    is_dirty: bool,
}

/// Connects every thread with every other.
pub(super) fn connect(wakers: &[Arc<Waker>]) -> Vec<Mesh> {
    let count = wakers.len();
    let mut meshes: Vec<Mesh> = (0..count)
        .map(|_| Mesh {
            outgoing: (0..count).map(|_| None).collect(),
            incoming: Vec::new(),
            overflows: 0,
        })
        .collect();
    for from in 0..count {
        for to in (0..count).filter(|to| *to != from) {
            let (producer, consumer) = RingBuffer::new(RING_MAX);
            meshes[from].outgoing[to] = Some(Outgoing {
                ring: producer,
                waiting: VecDeque::new(),
                waker: wakers[to].clone(),
                is_dirty: false,
            });
            let id = WorkerId(u8::try_from(from).expect("at most THREADS_MAX"));
            meshes[to].incoming.push((id, consumer));
        }
    }
    meshes
}

impl Mesh {
    /// Queues `message` for another thread. A packet that finds no room is dropped and counted: media never waits.
    pub(super) fn send(&mut self, to: WorkerId, message: Relay) {
        let Some(outgoing) = self
            .outgoing
            .get_mut(usize::from(to.0))
            .and_then(Option::as_mut)
        else {
            return;
        };
        let is_packet = matches!(message, Relay::Packet { .. });
        let refused = if outgoing.waiting.is_empty() {
            outgoing.is_dirty = true;
            match outgoing.ring.push(message) {
                Ok(()) => return,
                Err(PushError::Full(message)) => message,
            }
        } else {
            message
        };
        if is_packet || outgoing.waiting.len() >= WAITING_MAX {
            self.overflows += 1;
        } else {
            outgoing.waiting.push_back(refused);
        }
    }

    /// Retries what waits and wakes the readers that have something new. Returns whether something still waits.
    pub(super) fn flush(&mut self) -> bool {
        let mut waits = false;
        for outgoing in self.outgoing.iter_mut().flatten() {
            while let Some(message) = outgoing.waiting.pop_front() {
                if let Err(PushError::Full(message)) = outgoing.ring.push(message) {
                    outgoing.waiting.push_front(message);
                    waits = true;
                    break;
                }
                outgoing.is_dirty = true;
            }
            if std::mem::take(&mut outgoing.is_dirty) && outgoing.waker.wake().is_err() {
                tracing::warn!(
                    "a media thread cannot be woken; it will look by itself within 100 ms"
                );
            }
        }
        waits
    }

    /// Takes up to `limit` messages from each other thread. Returns whether more may wait.
    pub(super) fn receive(&mut self, limit: usize, mut each: impl FnMut(WorkerId, Relay)) -> bool {
        let mut more = false;
        for (from, ring) in &mut self.incoming {
            let mut taken = 0;
            while taken < limit {
                let Ok(message) = ring.pop() else { break };
                taken += 1;
                each(*from, message);
            }
            more |= taken == limit;
        }
        more
    }

    /// Messages that found no room.
    pub(super) fn overflows(&self) -> u64 {
        self.overflows
    }
}
