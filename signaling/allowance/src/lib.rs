//! How much one client may ask for.
//!
//! This crate reads no clock: who asks says what time it is. It knows nobody either: what is asked for, and what follows when there is no
//! more, is its callers' matter.

#![warn(missing_docs)]

use std::time::{Duration, Instant};

/// A bucket that holds `burst` requests and gets one more every `interval`.
#[derive(Debug, Clone)]
pub struct Allowance {
    interval: Duration,
    tolerance: Duration,
    /// When the bucket will be full again, as in the generic cell rate algorithm: one moment instead of a counter and a clock.
    full_at: Instant,
}

impl Allowance {
    /// A full bucket.
    pub fn new(burst: u32, interval: Duration, now: Instant) -> Self {
        Self {
            interval,
            tolerance: interval * burst.saturating_sub(1),
            full_at: now,
        }
    }

    /// Takes one out; `false` when there is none.
    pub fn take(&mut self, now: Instant) -> bool {
        let full_at = self.full_at.max(now);
        if full_at - now > self.tolerance {
            return false;
        }
        self.full_at = full_at + self.interval;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any moment will do")]
    fn a_burst_passes_then_one_per_interval() {
        let start = Instant::now();
        let mut allowance = Allowance::new(5, Duration::from_millis(100), start);
        assert_eq!((0..20).filter(|_| allowance.take(start)).count(), 5);
        let later = start + Duration::from_millis(250);
        assert_eq!((0..20).filter(|_| allowance.take(later)).count(), 2);
        let much_later = start + Duration::from_secs(60);
        assert_eq!((0..20).filter(|_| allowance.take(much_later)).count(), 5);
    }
}
