//! What webhooks count.

use std::sync::atomic::{AtomicU64, Ordering};

/// Numbers since the start, of all receivers together.
#[derive(Debug, Default)]
pub struct NotifyCounters {
    /// Events that a receiver has taken.
    pub delivered: AtomicU64,
    /// Attempts that failed and were, or will be, repeated.
    pub retried: AtomicU64,
    /// Events that were given up: refused for good, or tried too often.
    pub given_up: AtomicU64,
    /// Events that had to make room in a full queue.
    pub dropped: AtomicU64,
}

impl NotifyCounters {
    pub(super) fn count(number: &AtomicU64) {
        number.fetch_add(1, Ordering::Relaxed);
    }

    /// Name, help and value of each; all of them only grow.
    #[must_use]
    pub fn all(&self) -> [(&'static str, &'static str, u64); 4] {
        let of = |number: &AtomicU64| number.load(Ordering::Relaxed);
        [
            (
                "webhooks_delivered",
                "Events that receivers of webhooks have taken.",
                of(&self.delivered),
            ),
            (
                "webhooks_retried",
                "Attempts to deliver an event that failed and are repeated.",
                of(&self.retried),
            ),
            (
                "webhooks_given_up",
                "Events that a receiver refused, or did not take in time.",
                of(&self.given_up),
            ),
            (
                "webhooks_dropped",
                "Events that had to make room in the queue of a receiver.",
                of(&self.dropped),
            ),
        ]
    }
}
