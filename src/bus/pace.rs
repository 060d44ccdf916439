//! How far turns are apart.
//!
//! A turn that is delivered to 500 clients costs 500 system calls, whether it has one message or a hundred. Turns therefore keep a
//! distance that grows with what the last one took to write: whoever speaks after a pause is heard at once, and in a storm each system
//! call carries what came in some milliseconds.

use std::time::Duration;

/// What writing to one client takes one core, its wake included.
const WRITE_COST: Duration = Duration::from_micros(16);

/// The longest distance: with as much again for writing it is below the 20 ms that people take for at once.
const GAP_MAX: Duration = Duration::from_millis(8);

/// A shorter distance is no use: timers are no finer.
const GAP_MIN: Duration = Duration::from_millis(1);

/// How long the next turn has to wait after the begin of one that was delivered `deliveries` times and is written by `cores`.
pub(super) fn gap(deliveries: usize, cores: usize) -> Option<Duration> {
    let deliveries = u32::try_from(deliveries).unwrap_or(u32::MAX);
    let cores = u32::try_from(cores).unwrap_or(u32::MAX).max(1);
    let gap = WRITE_COST.saturating_mul(deliveries) / cores;
    (gap >= GAP_MIN).then_some(gap.min(GAP_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_keep_a_distance_that_grows_with_the_audience_up_to_a_limit() {
        let check = |deliveries, cores, expected: Option<u64>| {
            let gap = gap(deliveries, cores).map(|gap| gap.as_millis());
            assert_eq!(gap, expected.map(u128::from), "{deliveries} over {cores}");
        };
        check(0, 1, None);
        check(10, 1, None);
        check(100, 1, Some(1));
        check(500, 1, Some(8));
        check(500, 4, Some(2));
        check(100_000, 1, Some(8));
        check(usize::MAX, 0, Some(8));
    }
}
