//! How many bits per second a layer carries, over about the last second.

use std::time::{Duration, Instant};

const WINDOW: Duration = Duration::from_millis(500);

/// After this long without a packet a layer counts as paused.
const SILENT_AFTER: Duration = Duration::from_millis(1500);

/// Two half-second buckets: cheap on the packet path, and never older than a second.
#[derive(Debug, Default)]
pub(crate) struct RateMeter {
    window_start: Option<Instant>,
    bytes: u64,
    last_bps: u64,
    last_packet: Option<Instant>,
}

impl RateMeter {
    /// Counts one packet of `bytes`.
    pub(crate) fn add(&mut self, now: Instant, bytes: usize) {
        self.last_packet = Some(now);
        self.bytes += bytes as u64;
        let start = *self.window_start.get_or_insert(now);
        let elapsed = now.saturating_duration_since(start);
        if elapsed >= WINDOW {
            let bps =
                self.bytes * 8_000_000 / u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
            // A fresh stream's first window counts whole; later ones are smoothed.
            self.last_bps = if self.last_bps == 0 {
                bps
            } else {
                (self.last_bps + bps) / 2
            };
            self.bytes = 0;
            self.window_start = Some(now);
        }
    }

    /// Bits per second, 0 until half a second has been seen.
    pub(crate) fn bps(&self) -> u64 {
        self.last_bps
    }

    /// Whether packets came lately.
    pub(crate) fn is_active(&self, now: Instant) -> bool {
        self.last_packet
            .is_some_and(|last| now.saturating_duration_since(last) < SILENT_AFTER)
    }
}
