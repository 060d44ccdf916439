//! How long to wait before trying again.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_secs(30);
/// A connection that held for this long ends a series of failures.
const HEALTHY: Duration = Duration::from_secs(30);

/// Doubles from one second to thirty; starts again after half a minute of health.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The wait after an attempt that lived for `lived`. `random` in 0..1 takes off up to a quarter, so that cameras
    /// behind one switch do not all come back in the same instant.
    pub(crate) fn next(&mut self, lived: Duration, random: f64) -> Duration {
        if lived >= HEALTHY {
            self.failures = 0;
        }
        let wait = FIRST
            .saturating_mul(1 << self.failures.min(16))
            .min(WAIT_MAX);
        self.failures = self.failures.saturating_add(1);
        wait.mul_f64(1.0 - 0.25 * random.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_from_one_second_to_thirty() {
        let mut backoff = Backoff::default();
        let waits: Vec<u64> = (0..8)
            .map(|_| backoff.next(Duration::ZERO, 0.0).as_secs())
            .collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30, 30]);
    }

    #[test]
    fn half_a_minute_of_health_starts_again_and_less_does_not() {
        let mut backoff = Backoff::default();
        for _ in 0..5 {
            backoff.next(Duration::ZERO, 0.0);
        }
        assert_eq!(backoff.next(Duration::from_secs(29), 0.0).as_secs(), 30);
        assert_eq!(backoff.next(Duration::from_secs(30), 0.0).as_secs(), 1);
    }

    #[test]
    fn jitter_takes_off_a_quarter_at_most_and_a_thousand_failures_do_not_overflow() {
        let mut backoff = Backoff::default();
        for _ in 0..1_000 {
            backoff.next(Duration::ZERO, 0.5);
        }
        assert_eq!(
            backoff.next(Duration::ZERO, 1.0),
            Duration::from_millis(22_500)
        );
    }
}
