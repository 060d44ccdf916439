//! One division of a budget.

use std::time::Instant;

use super::leg::Leg;
use super::{RAISE_PERCENT, Request, percent};
use crate::conference::Priority;

/// From the first served to the last.
const CLASSES: [Priority; 4] = [
    Priority::Pinned,
    Priority::High,
    Priority::Normal,
    Priority::Low,
];

/// A lowest rung that costs more than this is no small picture: among equals it comes after those that are, because a
/// camera without layers must not blacken ten others.
const SMALL_BPS_MAX: u64 = 600_000;

/// What becomes of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Granted,
    /// There is room, but it is too early.
    Early,
    Refused,
}

/// What may be spent, and what is.
#[derive(Debug)]
pub(super) struct Plan {
    now: Instant,
    /// The least budget of the last second.
    floor_bps: u64,
    /// For what is sent already.
    hold_bps: u64,
    /// For steps up.
    raise_bps: u64,
    spent_bps: u64,
    /// Kept for steps up that must wait, so that nobody else takes their room meanwhile and then has to give it back.
    /// It takes nothing from what is sent already.
    reserved_bps: u64,
}

impl Plan {
    pub(super) fn new(now: Instant, floor_bps: u64, hold_bps: u64) -> Self {
        Plan {
            now,
            floor_bps,
            hold_bps,
            raise_bps: 0,
            spent_bps: 0,
            reserved_bps: 0,
        }
    }

    /// Gives every leg its rung. `legs` and `requests` are in the same order.
    pub(super) fn make(&mut self, legs: &mut [Leg], requests: &[Request<'_>]) {
        // What somebody has above the lowest rung is given for somebody who has nothing. That needs no margin, because
        // no more is sent than before.
        let margin_bps = percent(self.floor_bps, RAISE_PERCENT);
        let sent_bps: u64 = legs.iter().map(Leg::sent_bps).sum();
        let spare_bps: u64 = legs.iter().map(Leg::spare_bps).sum();
        let given_bps = sent_bps.min(margin_bps.saturating_add(spare_bps));
        self.raise_bps = margin_bps.max(given_bps.min(self.floor_bps));
        for leg in legs.iter_mut() {
            leg.granted = None;
            leg.steps = 0;
            leg.is_done = true;
        }
        for class in CLASSES {
            for is_large in [false, true] {
                for (leg, _) in of(class, legs, requests) {
                    if leg.rungs() > 0 && (leg.price(0) > SMALL_BPS_MAX) == is_large {
                        leg.is_done = !self.step(leg, 0);
                    }
                }
            }
        }
        self.raise_bps = margin_bps;
        for class in CLASSES {
            for (leg, request) in of(class, legs, requests) {
                if request.is_detail && !leg.is_done {
                    self.climb(leg);
                }
            }
        }
        for class in CLASSES {
            let mut round = 0;
            while self.round(round, class, legs, requests) {
                round += 1;
            }
        }
    }

    /// Offers one step to everybody of a class. Whoever has it already keeps it before others get theirs, so that a
    /// new order of equals moves nothing. Whether anybody goes on; each round ends a leg or takes it one rung up.
    fn round(
        &mut self,
        round: usize,
        class: Priority,
        legs: &mut [Leg],
        requests: &[Request<'_>],
    ) -> bool {
        let mut goes_on = false;
        for holders in [true, false] {
            for (leg, _) in of(class, legs, requests) {
                if !leg.is_done && leg.steps == round {
                    self.advance(leg, holders);
                }
                goes_on |= !leg.is_done;
            }
        }
        goes_on
    }

    /// The next step of one leg, if it is one to hold (or one to raise).
    fn advance(&mut self, leg: &mut Leg, holders: bool) {
        match leg.next() {
            None => leg.is_done = true,
            Some(to) if leg.holds(to) == holders => {
                leg.is_done = !self.step(leg, to);
                leg.steps += 1;
            }
            Some(_) => {}
        }
    }

    /// A shared screen takes the best rung that fits. Ladders drop temporal layers before resolution, so that this
    /// keeps the detail.
    fn climb(&mut self, leg: &mut Leg) {
        leg.is_done = true;
        let mut is_reserved = false;
        for to in (1..leg.rungs()).rev() {
            match self.weigh(leg, to) {
                Verdict::Granted => {
                    self.grant(leg, to);
                    return;
                }
                Verdict::Early if !is_reserved => {
                    is_reserved = true;
                    self.reserved_bps += leg.price(to);
                }
                Verdict::Early | Verdict::Refused => {}
            }
        }
    }

    /// Tries to give `leg` rung `to`.
    fn step(&mut self, leg: &mut Leg, to: usize) -> bool {
        let verdict = self.weigh(leg, to);
        match verdict {
            Verdict::Granted => self.grant(leg, to),
            Verdict::Early => self.reserved_bps += leg.price(to),
            Verdict::Refused => {}
        }
        verdict == Verdict::Granted
    }

    fn grant(&mut self, leg: &mut Leg, to: usize) {
        self.spent_bps += leg.price(to);
        leg.granted = Some(to);
    }

    fn weigh(&self, leg: &Leg, to: usize) -> Verdict {
        let sum = self.spent_bps.saturating_add(leg.price(to));
        if leg.holds(to) {
            return match sum <= self.hold_bps {
                true => Verdict::Granted,
                false => Verdict::Refused,
            };
        }
        if sum.saturating_add(self.reserved_bps) > self.raise_bps {
            Verdict::Refused
        } else if leg.may_rise(self.now, self.floor_bps) {
            Verdict::Granted
        } else {
            Verdict::Early
        }
    }
}

/// The legs of one class, in order.
fn of<'a, 'b>(
    class: Priority,
    legs: &'a mut [Leg],
    requests: &'a [Request<'b>],
) -> impl Iterator<Item = (&'a mut Leg, &'a Request<'b>)> {
    legs.iter_mut()
        .zip(requests)
        .filter(move |(_, request)| request.priority == class)
}
