//! What is remembered of one picture: its costs, its rung, and how its last steps went.

use std::time::{Duration, Instant};

use super::{RUNGS_MAX, Request, Rung};
use crate::conference::Priority;
use crate::id::StreamId;

/// Measured rates are averaged over this time, in seconds.
const COST_TIME: f64 = 0.5;

/// A cost follows the averaged rate once they differ by more than this share: one tenth.
const COST_BAND: u64 = 10;

/// Between two steps up of one picture.
const UP_INTERVAL: Duration = Duration::from_secs(1);

/// No step up so soon after a step down that came out of the blue.
const HOLD: Duration = Duration::from_secs(2);

/// A step down this soon after a step up means that the step up was wrong. Up, down and up again then takes at least
/// 20 s, which is one change in ten.
const SOON: Duration = Duration::from_secs(20);

/// A black tile is not left black longer than this because of what went wrong before.
const HOLD_BLACK_MAX: Duration = Duration::from_secs(30);

/// After a wrong step up the next one waits four times as long, up to a minute.
const HOLD_FACTOR: u32 = 4;
const HOLD_MAX: Duration = Duration::from_secs(60);

/// Whatever the reasons, after two falls in this time it stays down: up and down and up and down in a minute is enough.
const FALLS_TIME: Duration = Duration::from_secs(60);

/// A budget so many percent of the one that failed is news: the short wait is enough.
const NEWS_PERCENT: u64 = 140;

/// Below one simulcast layer's first temporal layer of three there are 7.5 pictures per second: fine for a small
/// picture that has nothing else, not for a large one.
const JERKY_OF: u8 = 2;

/// Which rung, as it is called while ladders change: layer, spatial, temporal.
type Name = (u8, u8, u8);

#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    name: Name,
    /// Averaged.
    average: f64,
    /// What is reckoned with.
    bps: u64,
}

/// One request's memory, and its place in the plan that is being made.
#[derive(Debug)]
pub(super) struct Leg {
    key: usize,
    stream: StreamId,
    priority: Priority,
    costs: [Cost; RUNGS_MAX],
    rungs: usize,
    /// Rungs that are no steps: one bit each.
    jerky: u16,
    name: Option<Name>,
    /// The rung that is sent now.
    pub(super) current: Option<usize>,
    /// The rung in the plan.
    pub(super) granted: Option<usize>,
    /// Gets no further in the plan.
    pub(super) is_done: bool,
    /// Steps it has had in the plan.
    pub(super) steps: usize,
    last_up: Option<Instant>,
    last_down: Option<Instant>,
    hold: Duration,
    /// The last two times that it went down after having gone up, the older first.
    falls: [Option<Instant>; 2],
    /// The budget at the last step up, and at the last one that went wrong.
    up_bps: u64,
    wrong_bps: u64,
}

impl Leg {
    pub(super) fn new(request: &Request<'_>) -> Self {
        Leg {
            key: request.key,
            stream: request.stream,
            priority: request.priority,
            costs: [Cost::default(); RUNGS_MAX],
            rungs: 0,
            jerky: 0,
            name: None,
            current: None,
            granted: None,
            is_done: true,
            steps: 0,
            last_up: None,
            last_down: None,
            hold: HOLD,
            falls: [None; 2],
            up_bps: 0,
            wrong_bps: 0,
        }
    }

    pub(super) fn is(&self, request: &Request<'_>) -> bool {
        self.key == request.key && self.stream == request.stream
    }

    /// Takes the request's present ladder in, `elapsed` after the last.
    pub(super) fn take(&mut self, request: &Request<'_>, elapsed: Duration) {
        if request.priority > self.priority {
            // Somebody wants to see it now: earlier mistakes do not count.
            self.last_up = None;
            self.last_down = None;
            self.hold = HOLD;
            self.falls = [None; 2];
        }
        self.priority = request.priority;
        let rungs = &request.rungs[..request.rungs.len().min(RUNGS_MAX)];
        let before = self.costs;
        let known = &before[..self.rungs];
        let seconds = elapsed.as_secs_f64();
        let mut least = 0;
        for (at, rung) in rungs.iter().enumerate() {
            let name = name(rung);
            let same = known.get(at).filter(|cost| cost.name == name);
            let same = same.or_else(|| known.iter().find(|cost| cost.name == name));
            let mut cost = match same {
                Some(cost) => follow(*cost, rung.bps, seconds),
                None => Cost {
                    name,
                    average: to_f64(rung.bps),
                    bps: rung.bps,
                },
            };
            cost.bps = cost.bps.max(least);
            least = cost.bps;
            self.costs[at] = cost;
        }
        self.rungs = rungs.len();
        self.jerky = if request.is_detail { 0 } else { jerky(rungs) };
        self.current = self.name.and_then(|name| self.nearest(name));
    }

    /// The rung of that name, else the best below it.
    fn nearest(&self, name: Name) -> Option<usize> {
        let costs = &self.costs[..self.rungs];
        costs.iter().rposition(|cost| cost.name <= name)
    }

    /// How many rungs there are.
    pub(super) fn rungs(&self) -> usize {
        self.rungs
    }

    /// The step after the one in the plan.
    pub(super) fn next(&self) -> Option<usize> {
        let next = self.granted? + 1;
        (next..self.rungs).find(|at| self.jerky & (1 << at) == 0)
    }

    /// How many more bits per second rung `to` needs than the one in the plan.
    pub(super) fn price(&self, to: usize) -> u64 {
        let granted = self.granted.map_or(0, |at| self.costs[at].bps);
        self.costs[to].bps.saturating_sub(granted)
    }

    /// Whether rung `to` is sent already, or a better one.
    pub(super) fn holds(&self, to: usize) -> bool {
        self.current.is_some_and(|current| current >= to)
    }

    /// What is sent now.
    pub(super) fn sent_bps(&self) -> u64 {
        self.current.map_or(0, |at| self.costs[at].bps)
    }

    /// What of it is above the lowest rung.
    pub(super) fn spare_bps(&self) -> u64 {
        self.current
            .map_or(0, |at| self.costs[at].bps.saturating_sub(self.costs[0].bps))
    }

    /// Whether a step up may be tried, on a budget of at least `floor_bps`.
    pub(super) fn may_rise(&self, now: Instant, floor_bps: u64) -> bool {
        let is_past = |then: Option<Instant>, age: Duration| {
            then.is_none_or(|then| now.saturating_duration_since(then) >= age)
        };
        let is_news = |of_bps| floor_bps >= super::percent(of_bps, NEWS_PERCENT);
        let hold = if is_news(self.wrong_bps) {
            HOLD
        } else {
            self.hold
        };
        let hold = if self.current.is_none() {
            hold.min(HOLD_BLACK_MAX)
        } else {
            hold
        };
        is_past(self.last_up, UP_INTERVAL)
            && is_past(self.last_down, hold)
            && (is_past(self.falls[0], FALLS_TIME) || is_news(self.up_bps))
    }

    /// Whether the plan gives less than is sent now.
    pub(super) fn falls(&self) -> bool {
        self.granted < self.current
    }

    /// What the best rung needs.
    pub(super) fn full_bps(&self) -> u64 {
        self.costs[..self.rungs].last().map_or(0, |cost| cost.bps)
    }

    /// The plan is carried out.
    pub(super) fn commit(&mut self, now: Instant, floor_bps: u64) {
        if self.granted > self.current {
            self.last_up = Some(now);
            self.up_bps = floor_bps;
        } else if self.granted < self.current {
            let age = |then: Instant| now.saturating_duration_since(then);
            let is_fall = self.last_up > self.last_down;
            if is_fall {
                self.falls = [self.falls[1], Some(now)];
            }
            if is_fall && self.last_up.is_some_and(|up| age(up) < SOON) {
                self.hold = (self.hold * HOLD_FACTOR).min(HOLD_MAX);
                self.wrong_bps = self.up_bps;
            } else if self.last_up.is_none_or(|up| age(up) >= HOLD_MAX) {
                // What held for a minute was right.
                self.hold = HOLD;
                self.wrong_bps = 0;
            }
            self.last_down = Some(now);
        }
        self.current = self.granted;
        self.name = self.granted.map(|at| self.costs[at].name);
    }
}

fn name(rung: &Rung) -> Name {
    (rung.layer, rung.spatial, rung.temporal)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "rates stay far below 2^52 bits per second"
)]
fn to_f64(bps: u64) -> f64 {
    bps as f64
}

/// Averages a measured rate, and changes the cost only if it differs by much.
fn follow(mut cost: Cost, measured_bps: u64, seconds: f64) -> Cost {
    cost.average += (to_f64(measured_bps) - cost.average) * seconds / (COST_TIME + seconds);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an average of rates is a rate"
    )]
    let average = cost.average as u64;
    if average.abs_diff(cost.bps) > cost.bps / COST_BAND {
        cost.bps = average;
    }
    cost
}

/// One bit for each rung of a larger picture with a quarter of its pictures per second.
fn jerky(rungs: &[Rung]) -> u16 {
    let place = |rung: &Rung| (rung.layer, rung.spatial);
    let Some(first) = rungs.first() else {
        return 0;
    };
    let is_jerky = |rung: &Rung| {
        rung.temporal == 0
            && place(rung) != place(first)
            && rungs
                .iter()
                .any(|other| place(other) == place(rung) && other.temporal >= JERKY_OF)
    };
    rungs.iter().enumerate().fold(0, |bits, (at, rung)| {
        bits | (u16::from(is_jerky(rung)) << at)
    })
}
