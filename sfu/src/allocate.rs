//! How a subscriber's bandwidth is shared among the pictures it wants.
//!
//! Every picture has a ladder of rungs. Everybody's lowest rung comes first, so that there are small pictures before
//! black tiles; then shared screens as far as they go; then cameras, class by class of [`Priority`], each class one
//! step for each in turn. What is held is kept while it fits the budget and 5 % more; a step up must leave a sixth of
//! the budget free for a second, and waits the longer after a step down the sooner it failed.
//!
//! Budget: requests x rungs, no allocation once the lists have grown; below 20 us for 49 pictures of nine rungs, ten
//! times a second for each subscriber. `cargo bench -p sfu --bench conference`.

mod floor;
mod ladder;
mod leg;
mod plan;
#[cfg(test)]
mod tests;

use std::time::Instant;

use crate::conference::Priority;
use crate::id::StreamId;
use floor::Floor;
pub(crate) use ladder::{LayerRate, cut, ladder};
use leg::Leg;
use plan::Plan;

/// Rungs of one picture that are looked at: four layers with four temporal layers each.
const RUNGS_MAX: usize = 16;

/// Held rungs stay while they need at most this share of the budget. Less than the sender's pacing catches up with.
const HOLD_PERCENT: u64 = 105;

/// A step up may bring the sum to this share of the least budget of the last second: a margin of 20 %. Between this
/// and [`HOLD_PERCENT`] lies more than an estimate's noise of 10 % either way, and a back-off to 85 %.
const RAISE_PERCENT: u64 = 83;

/// One step of quality of one picture, cheapest first in its ladder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rung {
    /// The simulcast layer.
    pub(crate) layer: u8,
    /// The highest spatial layer inside it (SVC).
    pub(crate) spatial: u8,
    /// The highest temporal layer inside it.
    pub(crate) temporal: u8,
    /// All of it in bits per second.
    pub(crate) bps: u64,
}

/// One picture that a subscriber wants.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    /// Which of the subscriber's legs; no two requests have the same.
    pub(crate) key: usize,
    /// What it shows. Another stream on the same leg begins anew.
    pub(crate) stream: StreamId,
    /// Better ones later, cut to what is wanted; empty while nothing is known.
    pub(crate) rungs: &'a [Rung],
    /// What comes first.
    pub(crate) priority: Priority,
    /// A shared screen: full resolution at fewer pictures per second.
    pub(crate) is_detail: bool,
}

/// Shares one subscriber's bandwidth, and remembers so as not to flap.
#[derive(Debug, Default)]
pub(crate) struct Allocator {
    floor: Floor,
    /// In the order of the last requests.
    legs: Vec<Leg>,
    last: Option<Instant>,
}

impl Allocator {
    /// Chooses a rung for each request, in the same order: an index into its `rungs`, or `None` while it is paused.
    /// `requests` have the most important first. `budget_bps` is the estimate less sound and overhead.
    ///
    /// Returns the budget in bits per second that would carry everything in full with the margin that a step up
    /// needs: what probes should aim at.
    pub(crate) fn allocate(
        &mut self,
        now: Instant,
        budget_bps: u64,
        requests: &[Request<'_>],
        into: &mut Vec<Option<usize>>,
    ) -> u64 {
        let elapsed = self
            .last
            .map(|last| now.saturating_duration_since(last))
            .unwrap_or_default();
        self.last = Some(now);
        let floor_bps = self.floor.update(now, budget_bps);
        self.meet(requests);
        for (leg, request) in self.legs.iter_mut().zip(requests) {
            leg.take(request, elapsed);
        }

        let mut plan = Plan::new(now, floor_bps, percent(budget_bps, HOLD_PERCENT));
        plan.make(&mut self.legs, requests);
        if self.legs.iter().any(Leg::falls) {
            // The tolerance is for staying. Whoever has to move makes room for everything that is sent.
            plan = Plan::new(now, floor_bps, budget_bps);
            plan.make(&mut self.legs, requests);
        }

        into.clear();
        for leg in &mut self.legs {
            leg.commit(now, floor_bps);
            into.push(leg.granted);
        }
        let full: u64 = self.legs.iter().map(Leg::full_bps).sum();
        full.saturating_mul(100).div_ceil(RAISE_PERCENT)
    }

    /// Puts what is remembered of each leg at its request's place, and forgets the rest.
    fn meet(&mut self, requests: &[Request<'_>]) {
        for (at, request) in requests.iter().enumerate() {
            let known = self.legs[at..]
                .iter()
                .position(|leg| leg.is(request))
                .map(|offset| at + offset);
            let found = known.unwrap_or_else(|| {
                self.legs.push(Leg::new(request));
                self.legs.len() - 1
            });
            self.legs.swap(at, found);
        }
        self.legs.truncate(requests.len());
    }
}

fn percent(bps: u64, percent: u64) -> u64 {
    bps.saturating_mul(percent) / 100
}
