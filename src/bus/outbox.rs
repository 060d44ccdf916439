//! What waits for one client: a bounded queue between the bus and whoever writes to the client.
//!
//! While a client keeps up, what is pushed is one shared batch per turn. When it falls behind, its queue is thinned: of each state
//! (a position, who is present, a picture) only the newest stays ([`super::thin`]). What is left over and still too much costs the
//! client its connection: it comes again, and catches up with `since`.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bus::{FrameKind, Message};
use bytes::Bytes;

use super::batch::{self, Batch, Form};
use super::thin;

/// Bytes that wait for one client, what it is being sent included. A joiner's history alone is 1 MB of messages, twice of it with its
/// frames; a phone that is away for five seconds of a full house misses some 2 MB. 100 such phones hold 400 MB at the very most, and
/// much less, because they hold the same batches.
pub const QUEUE_BYTES_MAX: usize = 4 << 20;

/// Bytes of states that wait for one client before the older ones of them are left out: more than that is half a second of what a phone
/// can take.
const STATES_MAX: usize = 128 * 1024;

/// What an entry costs beside what it holds.
const ENTRY_OVERHEAD: usize = 64;

/// Entries that an empty queue keeps room for.
const ROOM_KEPT: usize = 8;

/// RFC 6455 section 7.4.1: going away.
pub const STOPPING: u16 = 1001;

/// The IANA registry of close codes: try again later.
pub const TOO_SLOW: u16 = 1013;

/// What comes next for a client.
#[derive(Debug, Clone)]
pub enum Item {
    /// Messages for several clients.
    Batch(Arc<Batch>),
    /// A message for this client alone, or one that is left of a batch.
    One(Arc<Message>),
    /// Who has moved.
    Positions {
        /// JSON as text, or bytes.
        frame: FrameKind,
        /// As they go over the wire.
        bytes: Bytes,
    },
    /// The end; nothing follows.
    Close {
        /// RFC 6455 section 7.4, or 4000 and above.
        code: u16,
        /// For people, at most 123 bytes.
        reason: &'static str,
    },
}

impl Item {
    pub(super) fn weight(&self) -> usize {
        ENTRY_OVERHEAD
            + match self {
                Self::Batch(batch) => batch.weight(),
                Self::One(message) => batch::weight(message),
                Self::Positions { bytes, .. } => bytes.len(),
                Self::Close { .. } => 0,
            }
    }

    /// Whether something newer may replace it, or a part of it.
    pub(super) fn has_states(&self) -> bool {
        match self {
            Self::Batch(batch) => batch.has_states(),
            Self::One(message) => batch::is_state(message),
            Self::Positions { .. } => true,
            Self::Close { .. } => false,
        }
    }
}

/// The receiving end, for whoever writes to the client. There is only one.
#[derive(Debug)]
pub struct Outbox {
    queue: Arc<Queue>,
    form: Form,
}

/// The sending end, for the bus. Dropping it closes with [`STOPPING`] after what is queued.
#[derive(Debug)]
pub(super) struct Sender(Arc<Queue>);

/// What became of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pushed {
    /// It waits. So many older states were dropped for newer ones.
    Queued(usize),
    /// Positions were left out, now or before: the client has to be told all of them once it has read what waits.
    Stale(usize),
    /// The queue was full and was thrown away; the client is told so by a close.
    Overflowed,
}

#[derive(Debug)]
struct Queue {
    waiting: Mutex<Waiting>,
    bytes_max: usize,
}

#[derive(Debug)]
struct Waiting {
    items: VecDeque<Item>,
    /// Of `items`, and of what was taken and may still be held.
    bytes: usize,
    /// Of what was taken last.
    taken: usize,
    /// Of items that have states.
    state_bytes: usize,
    /// The queue is thinned when those weigh more.
    thin_at: usize,
    is_stale: bool,
    close: Option<(u16, &'static str)>,
    has_overflowed: bool,
    /// Of the receiving end, if it waits.
    waker: Option<Waker>,
}

/// A queue for at most `bytes_max` bytes.
pub(super) fn outbox(form: Form, bytes_max: usize) -> (Sender, Outbox) {
    let queue = Arc::new(Queue {
        waiting: Mutex::new(Waiting {
            items: VecDeque::new(),
            bytes: 0,
            taken: 0,
            state_bytes: 0,
            thin_at: STATES_MAX,
            is_stale: false,
            close: None,
            has_overflowed: false,
            waker: None,
        }),
        bytes_max,
    });
    (Sender(queue.clone()), Outbox { queue, form })
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing in here is ever half changed.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sender {
    /// Queues something.
    pub(super) fn push(&self, item: Item) -> Pushed {
        let mut waiting = self.0.lock();
        if waiting.close.is_some() {
            return Pushed::Queued(0);
        }
        waiting.add(item);
        let pushed = waiting.limit(self.0.bytes_max);
        let waker = waiting.waker.take();
        drop(waiting);
        wake(waker);
        pushed
    }

    /// Queues positions; `is_whole`: of everybody.
    pub(super) fn push_positions(&self, frame: FrameKind, bytes: Bytes, is_whole: bool) -> Pushed {
        let mut waiting = self.0.lock();
        if waiting.is_stale && !is_whole {
            // Without what was left out these mean nothing.
            return Pushed::Stale(1);
        }
        waiting.is_stale = false;
        drop(waiting);
        self.push(Item::Positions { frame, bytes })
    }

    /// Whether positions were left out and all that waited has been taken since.
    pub(super) fn wants_positions(&self) -> bool {
        let waiting = self.0.lock();
        waiting.is_stale && waiting.items.is_empty() && waiting.close.is_none()
    }

    /// Whether positions were left out.
    pub(super) fn is_stale(&self) -> bool {
        self.0.lock().is_stale
    }

    /// Closes after what is queued. The first close counts.
    pub(super) fn close(&self, code: u16, reason: &'static str) {
        let mut waiting = self.0.lock();
        waiting.close.get_or_insert((code, reason));
        let waker = waiting.waker.take();
        drop(waiting);
        wake(waker);
    }
}

impl Drop for Sender {
    /// Whoever is forgotten without a close hears one all the same.
    fn drop(&mut self) {
        self.close(STOPPING, "the server stops; connect again in some seconds");
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl Waiting {
    fn add(&mut self, item: Item) {
        let weight = item.weight();
        self.bytes += weight;
        if item.has_states() {
            self.state_bytes += weight;
        }
        self.items.push_back(item);
    }

    /// Keeps the queue within `bytes_max`, and short of old states.
    fn limit(&mut self, bytes_max: usize) -> Pushed {
        let is_full = self.bytes > bytes_max;
        let is_thick = self.state_bytes > self.thin_at && self.items.len() > 1;
        if !is_full && !is_thick {
            return Pushed::Queued(0);
        }
        let thinned = thin::thin(&mut self.items);
        self.recount();
        let mut dropped = thinned.dropped;
        self.is_stale |= thinned.has_dropped_positions;
        // A full queue must have room again: else each push would look through all of it.
        let room_from = bytes_max / 4 * 3;
        if is_full && self.bytes > room_from {
            dropped += thin::drop_pictures(&mut self.items, self.bytes - bytes_max / 2);
            self.recount();
        }
        // One message, such as a joiner's history, may be longer than the rest of the queue may be.
        let is_lone = self.items.len() <= 1 && self.taken == 0;
        if is_full && self.bytes > room_from && !is_lone {
            self.items = VecDeque::new();
            self.recount();
            self.has_overflowed = true;
            self.close = Some((
                TOO_SLOW,
                "too slow: messages were lost; connect again with since",
            ));
            return Pushed::Overflowed;
        }
        self.thin_at = (2 * self.state_bytes).max(STATES_MAX);
        if thinned.has_dropped_positions {
            Pushed::Stale(dropped)
        } else {
            Pushed::Queued(dropped)
        }
    }

    fn recount(&mut self) {
        let weight = |item: &Item| item.weight();
        self.bytes = self.taken + self.items.iter().map(weight).sum::<usize>();
        let states = self.items.iter().filter(|item| item.has_states());
        self.state_bytes = states.map(weight).sum();
    }

    /// What was taken last is written.
    fn settle(&mut self) {
        self.bytes -= std::mem::take(&mut self.taken);
    }

    fn take(&mut self, bytes_max: usize) -> Option<Item> {
        let weight = self.items.front()?.weight();
        if self.taken > 0 && self.taken + weight > bytes_max {
            return None;
        }
        self.taken += weight;
        let item = self.items.pop_front();
        if item.as_ref().is_some_and(Item::has_states) {
            self.state_bytes -= weight;
        }
        if self.items.is_empty() {
            self.thin_at = STATES_MAX;
            self.items.shrink_to(ROOM_KEPT);
        }
        item
    }

    fn closing(&self) -> Option<Item> {
        let (code, reason) = self.close.filter(|_| self.items.is_empty())?;
        Some(Item::Close { code, reason })
    }
}

impl Drop for Outbox {
    /// Nobody will read what waits.
    fn drop(&mut self) {
        let mut waiting = self.queue.lock();
        waiting.items = VecDeque::new();
        waiting.close.get_or_insert((STOPPING, ""));
    }
}

impl Outbox {
    /// How this client gets messages.
    #[must_use]
    pub fn form(&self) -> Form {
        self.form
    }

    /// The next item; waits for one. What was taken before counts as written. Cancel safe.
    pub async fn next(&mut self) -> Item {
        std::future::poll_fn(|context| {
            let mut waiting = self.queue.lock();
            waiting.settle();
            if let Some(item) = waiting.take(1).or_else(|| waiting.closing()) {
                return Poll::Ready(item);
            }
            register(&mut waiting.waker, context);
            Poll::Pending
        })
        .await
    }

    /// The next item, if there is one. What was taken before counts as written.
    pub fn try_next(&mut self) -> Option<Item> {
        let mut waiting = self.queue.lock();
        waiting.settle();
        waiting.take(1).or_else(|| waiting.closing())
    }

    /// Hands over items until they weigh `bytes_max`, at least one. What was taken before counts as written.
    pub fn poll_take(
        &mut self,
        context: &Context<'_>,
        bytes_max: usize,
        mut hand_over: impl FnMut(Item),
    ) -> Poll<()> {
        let mut waiting = self.queue.lock();
        waiting.settle();
        let mut has_taken = false;
        while let Some(item) = waiting.take(bytes_max) {
            has_taken = true;
            hand_over(item);
        }
        if let Some(close) = waiting.closing() {
            has_taken = true;
            hand_over(close);
        }
        if has_taken {
            return Poll::Ready(());
        }
        register(&mut waiting.waker, context);
        Poll::Pending
    }

    /// Ready when the client was too slow: what is being written to it is not worth waiting for.
    pub fn poll_overflowed(&self, context: &Context<'_>) -> Poll<()> {
        let mut waiting = self.queue.lock();
        if waiting.has_overflowed {
            return Poll::Ready(());
        }
        register(&mut waiting.waker, context);
        Poll::Pending
    }
}

fn register(slot: &mut Option<Waker>, context: &Context<'_>) {
    match slot {
        Some(waker) if waker.will_wake(context.waker()) => {}
        _ => *slot = Some(context.waker().clone()),
    }
}

#[cfg(test)]
mod tests;
