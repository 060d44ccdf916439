//! The time, as the shell tells it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The time of an input: for deadlines, and for what people read.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// Monotonic.
    pub now: Instant,
    /// Microseconds since 1970-01-01 UTC.
    pub unix_us: u64,
}

impl Moment {
    pub(crate) fn wall(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_micros(self.unix_us)
    }
}
