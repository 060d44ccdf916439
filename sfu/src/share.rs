//! How a participant's bandwidth is shared among its pictures: in the order of its list, each the best that is left.

use std::time::Instant;

use crate::conference::Priority;
use crate::id::StreamId;

/// One step of quality of one picture, cheapest first in its ladder.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rung {
    pub(crate) layer: u8,
    pub(crate) bps: u64,
}

/// What one layer takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LayerRate {
    pub(crate) layer: u8,
    pub(crate) bps: u64,
}

/// One picture that is wanted.
#[expect(dead_code, reason = "importance is the order, until it is more")]
pub(crate) struct Request<'a> {
    pub(crate) key: usize,
    pub(crate) stream: StreamId,
    pub(crate) rungs: &'a [Rung],
    pub(crate) priority: Priority,
    pub(crate) is_detail: bool,
}

/// Shares a budget.
#[derive(Debug, Default)]
pub(crate) struct Allocator;

impl Allocator {
    /// The rung of each request, and what all would take in full.
    #[expect(clippy::unused_self, reason = "it will remember")]
    pub(crate) fn allocate(
        &mut self,
        _now: Instant,
        budget_bps: u64,
        requests: &[Request<'_>],
        into: &mut Vec<Option<usize>>,
    ) -> u64 {
        into.clear();
        let mut left = budget_bps;
        for request in requests {
            let choice = request.rungs.iter().rposition(|rung| rung.bps <= left);
            left -= choice.map_or(0, |choice| request.rungs[choice].bps);
            into.push(choice);
        }
        requests
            .iter()
            .filter_map(|request| request.rungs.last())
            .map(|rung| rung.bps)
            .sum()
    }
}

/// What a layer takes that was never seen, lowest first.
const NOMINAL_BPS: [u64; 4] = [150_000, 500_000, 1_500_000, 3_000_000];

/// The steps of one picture.
pub(crate) fn build(rates: &[LayerRate], into: &mut Vec<Rung>) {
    into.extend(rates.iter().map(|rate| Rung {
        layer: rate.layer,
        bps: if rate.bps == 0 {
            NOMINAL_BPS[usize::from(rate.layer).min(3)]
        } else {
            rate.bps
        },
    }));
}
