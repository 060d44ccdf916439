//! What bundles want to happen later.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::packet::TimeTag;

/// How far ahead a bundle may be dated. Programs use some 100 ms to hide the network's jitter.
pub(super) const AHEAD_MAX: Duration = Duration::from_secs(10);

/// Messages that wait: four full datagrams and then some.
const WAITING_MAX: usize = 4096;

/// Bytes that wait.
const BYTES_MAX: usize = 4_000_000;

/// Seconds from 1900 to 1970.
const SECONDS_TO_1970: u64 = 2_208_988_800;

/// When something dated so is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// Now: it has no date, or one of the past.
    Now,
    /// Then.
    At(Instant),
    /// In more than [`AHEAD_MAX`]: a clock is wrong.
    TooFar(Duration),
}

/// When a bundle's time is, by this machine's clock.
pub(super) fn due(tag: TimeTag, now: Instant, wall: SystemTime) -> Due {
    let Some(tag) = tag else {
        return Due::Now;
    };
    let Some(seconds) = (tag >> 32).checked_sub(SECONDS_TO_1970) else {
        return Due::Now;
    };
    let nanos = ((tag & 0xffff_ffff) * 1_000_000_000) >> 32;
    let at = UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_nanos(nanos);
    match at.duration_since(wall) {
        Err(_) | Ok(Duration::ZERO) => Due::Now,
        Ok(wait) if wait > AHEAD_MAX => Due::TooFar(wait),
        Ok(wait) => Due::At(now + wait),
    }
}

/// Things that wait for their time; those of the same time keep their order.
#[derive(Debug)]
pub(super) struct Schedule<T> {
    waiting: BinaryHeap<Reverse<Entry<T>>>,
    bytes: usize,
    next: u64,
}

#[derive(Debug)]
struct Entry<T> {
    at: Instant,
    number: u64,
    bytes: usize,
    item: T,
}

impl<T> Entry<T> {
    fn order(&self) -> (Instant, u64) {
        (self.at, self.number)
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}

impl<T> Default for Schedule<T> {
    fn default() -> Self {
        Self {
            waiting: BinaryHeap::new(),
            bytes: 0,
            next: 0,
        }
    }
}

impl<T> Schedule<T> {
    /// Keeps it until then; `false` when too much waits already.
    pub(super) fn push(&mut self, at: Instant, bytes: usize, item: T) -> bool {
        if self.waiting.len() == WAITING_MAX || self.bytes + bytes > BYTES_MAX {
            return false;
        }
        self.bytes += bytes;
        let number = self.next;
        self.next += 1;
        self.waiting.push(Reverse(Entry {
            at,
            number,
            bytes,
            item,
        }));
        true
    }

    /// The next one whose time has come.
    pub(super) fn pop(&mut self, now: Instant) -> Option<T> {
        if self.deadline()? > now {
            return None;
        }
        let Reverse(entry) = self.waiting.pop()?;
        self.bytes -= entry.bytes;
        Some(entry.item)
    }

    /// When the next one is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.waiting.peek().map(|Reverse(entry)| entry.at)
    }
}
