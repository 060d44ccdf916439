//! A participant's place in its conference: what it wants to see, what it does not want to hear, what it was told.

use std::time::Instant;

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
