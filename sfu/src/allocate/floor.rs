//! The least budget of the last second: what a step up may count on.

use std::time::{Duration, Instant};

const WINDOW: Duration = Duration::from_millis(500);

/// The minimum of the current half second and the one before.
#[derive(Debug, Default)]
pub(super) struct Floor {
    began: Option<Instant>,
    current_bps: u64,
    previous_bps: u64,
}

impl Floor {
    /// Takes the budget of this moment in and returns the least of the last 500 to 1000 ms.
    pub(super) fn update(&mut self, now: Instant, bps: u64) -> u64 {
        match self.began {
            None => {
                self.began = Some(now);
                self.previous_bps = bps;
                self.current_bps = bps;
            }
            Some(began) if now.saturating_duration_since(began) >= WINDOW => {
                // A window that ended long ago says nothing of now.
                let is_stale = now.saturating_duration_since(began) >= WINDOW * 2;
                self.previous_bps = if is_stale { bps } else { self.current_bps };
                self.current_bps = bps;
                self.began = Some(now);
            }
            Some(_) => self.current_bps = self.current_bps.min(bps),
        }
        self.current_bps.min(self.previous_bps)
    }
}
