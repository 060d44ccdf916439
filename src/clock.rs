//! The only place that asks the time. Everything else is told, or asks here, so that a reader can see who depends on it.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The monotonic time, for durations and deadlines.
#[must_use]
pub fn now() -> Instant {
    Instant::now()
}

/// The calendar time, for what people and other machines read.
#[must_use]
pub fn wall() -> SystemTime {
    SystemTime::now()
}

/// Whole seconds since 1970-01-01 UTC; 0 on a machine whose clock stands before that.
#[must_use]
pub fn unix_seconds() -> i64 {
    wall()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |age| i64::try_from(age.as_secs()).unwrap_or(i64::MAX))
}

/// Microseconds since 1970-01-01 UTC, which messages are numbered by.
#[must_use]
pub fn unix_micros() -> u64 {
    wall()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |age| u64::try_from(age.as_micros()).unwrap_or(u64::MAX))
}
