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
    /// Pictures are late on a link that became narrow: none is sent until those have left.
    pub(crate) is_jammed: bool,
    /// The estimate of a moment ago, and whether there is much less now.
    pub(crate) estimate: Option<(Instant, u64)>,
    pub(crate) has_fallen: bool,
    /// Reports in a row without loss or delay.
    pub(crate) clean: u32,
    /// What the pictures would take in full, what they may take, and what they were given, in bits per second.
    pub(crate) desired_bps: u64,
    pub(crate) budget_bps: u64,
    pub(crate) given_bps: u64,
    pub(crate) look: Look,
    /// Reused by the allocation.
    pub(crate) rungs: Vec<Rung>,
    pub(crate) choices: Vec<Option<usize>>,
}

/// Loss up to this share without delay is radio, not a queue that is full.
const RADIO_LOSS_MAX: f32 = 0.1;

/// An estimate that falls below this share of what it was within a second is that of a link that became narrow.
const FALL_PERCENT: u64 = 75;
const FALL_TIME: Duration = Duration::from_secs(1);

/// Loss below this share is none.
const CLEAN_LOSS_MAX: f32 = 0.01;

/// Reports, one a second, after which a connection is believed to be clean.
const CLEAN_MIN: u32 = 2;

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
        let is_clean = stats.loss < CLEAN_LOSS_MAX && !self.is_queueing();
        self.clean = if is_clean {
            self.clean.saturating_add(1)
        } else {
            0
        };
    }

    /// Whether everything that is sent has arrived for a while, and in time.
    pub(crate) fn is_clean(&self) -> bool {
        self.clean >= CLEAN_MIN
    }

    /// Whether the link carries less than is sent, of which the estimator knows before any report does.
    pub(crate) fn is_congested(&self) -> bool {
        self.has_fallen
            || self.stats.loss > RADIO_LOSS_MAX
            || (self.stats.round_trip.is_some() && self.is_queueing())
    }

    /// What the estimator believes now.
    pub(crate) fn follow(&mut self, now: Instant, estimate_bps: u64) {
        let (since, before) = *self.estimate.get_or_insert((now, estimate_bps));
        self.has_fallen = estimate_bps < before * FALL_PERCENT / 100;
        if estimate_bps > before || now.saturating_duration_since(since) > FALL_TIME {
            self.estimate = Some((now, estimate_bps));
        }
    }

    /// Whether packets wait somewhere on their way, or nothing is known.
    pub(crate) fn is_queueing(&self) -> bool {
        match (self.stats.round_trip, self.best_round_trip) {
            (Some(now), Some(best)) => now > best + QUEUE_MIN,
            _ => true,
        }
    }

    /// What certainly arrives of what is sent now. Estimators take the losses of a radio link for congestion and fall below
    /// it; nothing is gained by sending less there.
    pub(crate) fn arriving_bps(&self) -> u64 {
        if self.is_queueing() || !(CLEAN_LOSS_MAX..=RADIO_LOSS_MAX).contains(&self.stats.loss) {
            return 0;
        }
        // Less the loss and a margin, so that it falls when it does not help.
        self.given_bps * 85 / 100
    }
}

/// When the estimator is asked to look for more than it found: a look at a link that is full costs those who are on it.
#[derive(Debug, Default)]
pub(crate) struct Look {
    last: Option<(Instant, u64)>,
    /// Looks in a row that found nothing.
    in_vain: u32,
}

impl Look {
    /// The first wait, doubled after each look in vain.
    const WAIT: Duration = Duration::from_secs(1);

    /// Doublings: 16 s at most.
    const IN_VAIN_MAX: u32 = 4;

    /// Whether to look now, at an estimate of `bps`; it counts as done.
    pub(crate) fn is_due(&mut self, now: Instant, bps: u64) -> bool {
        if let Some((at, before)) = self.last {
            let waited = now.saturating_duration_since(at);
            // What rose shows that there is more; what fell much is another link.
            let has_risen = bps > before + before / 10;
            let wait = if has_risen {
                Self::WAIT
            } else {
                Self::WAIT * 2u32.pow(self.in_vain)
            };
            if waited < wait {
                return false;
            }
            self.in_vain = if has_risen {
                0
            } else {
                (self.in_vain + 1).min(Self::IN_VAIN_MAX)
            };
        }
        self.last = Some((now, bps));
        true
    }
}
