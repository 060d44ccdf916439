//! A participant's place in its conference: what it wants to see, what it does not want to hear, what it was told.

use std::time::{Duration, Instant};

use crate::allocate::{Allocator, Rung};
use crate::conference::{Slot, Want};
use crate::id::StreamId;
use crate::quality::QualityMeter;
use crate::rtc::Stats;

/// One participant's wishes, and the state of serving them.
#[derive(Default)]
pub(crate) struct Seat {
    /// Slot of the conference.
    pub(crate) room: usize,
    /// Pictures, most important first.
    pub(crate) wants: Vec<Want>,
    pub(crate) silenced: Vec<StreamId>,
    /// The slot map that was told last.
    pub(crate) told: Vec<Slot>,
    /// The slot map may have changed since.
    pub(crate) is_stale: bool,
    /// Slots that were asked for last: sound, pictures.
    pub(crate) asked: (usize, usize),
    pub(crate) is_unreachable: bool,
    pub(crate) allocator: Allocator,
    pub(crate) meter: QualityMeter,
    /// How the connection did lately.
    pub(crate) stats: Stats,
    pub(crate) best_round_trip: Option<Duration>,
    /// What the pictures would take in full, what they may take, and what they were given, in bits per second.
    pub(crate) desired_bps: u64,
    pub(crate) budget_bps: u64,
    pub(crate) given_bps: u64,
    /// When the estimator was last asked to look for more.
    pub(crate) probed: Option<Instant>,
    /// Reused by the allocation.
    pub(crate) rungs: Vec<Rung>,
    pub(crate) choices: Vec<Option<usize>>,
}

/// Loss up to this share without delay is radio, not a queue that is full.
const RADIO_LOSS_MAX: f32 = 0.1;

/// A round trip this much above the best is a queue.
const QUEUE_MIN: Duration = Duration::from_millis(100);

impl Seat {
    /// How the connection did lately.
    pub(crate) fn note(&mut self, stats: Stats) {
        self.stats = stats;
        self.best_round_trip = [self.best_round_trip, stats.round_trip]
            .into_iter()
            .flatten()
            .min();
    }

    /// What certainly arrives of what is sent now. Estimators take the losses of a radio link for congestion and fall below
    /// it; nothing is gained by sending less there.
    pub(crate) fn arriving_bps(&self) -> u64 {
        let is_queueing = match (self.stats.round_trip, self.best_round_trip) {
            (Some(now), Some(best)) => now > best + QUEUE_MIN,
            _ => true,
        };
        if is_queueing || !(0.01..=RADIO_LOSS_MAX).contains(&self.stats.loss) {
            return 0;
        }
        // Less the loss and a margin, so that it falls when it does not help.
        self.given_bps * 85 / 100
    }
}
