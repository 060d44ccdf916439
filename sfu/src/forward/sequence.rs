//! Outgoing RTP sequence numbers: gap-free where packets were left out on purpose, with the source's own gaps kept so
//! that a viewer asks for what was really lost.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

/// Runs of packets left out that are remembered. A stream of 60 pictures per second of which every other is left out
/// has 30 a second: eight seconds, more than any packet is late.
const RUNS_MAX: usize = 256;

/// Rewrites one source's extended sequence numbers into one viewer's.
///
/// Outgoing numbers start at 1: a fresh SRTP receiver assumes rollover counter 0 (RFC 3711 section 3.3.1).
#[derive(Debug, Default)]
pub(crate) struct SequenceRewriter {
    /// Source number of the first packet of the current run; earlier ones are not this viewer's.
    first: u64,
    /// Outgoing number of `first`.
    first_out: u64,
    /// The highest number given out; 0 before the first.
    highest: u64,
    /// One more than the highest source number that was given an outgoing one.
    forwarded: u64,
    /// What was left out, oldest first; neither overlapping nor touching.
    runs: VecDeque<Run>,
}

/// Source numbers `start..end` were left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    start: u64,
    end: u64,
    /// How many were left out since the restart, these included.
    total: u64,
}

impl SequenceRewriter {
    /// The next packet comes from another source, or from another place of the same one, and begins at `source`.
    pub(crate) fn restart(&mut self, source: u64) {
        self.first = source;
        self.first_out = self.highest + 1;
        self.forwarded = source;
        self.runs.clear();
    }

    /// Whether `source` is no earlier than the restart.
    pub(crate) fn is_current(&self, source: u64) -> bool {
        source >= self.first
    }

    /// The outgoing number for `source`, or `None` for a packet from before the restart, for one that was left out and
    /// for one that is later than [`RUNS_MAX`] can tell.
    pub(crate) fn rewrite(&mut self, source: u64) -> Option<u64> {
        let since = source.checked_sub(self.first)?;
        let before = self.runs.iter().rposition(|run| run.start <= source);
        let left_out = match before.map(|at| self.runs[at]) {
            Some(run) if source < run.end => return None,
            Some(run) => run.total,
            None => match self.runs.front() {
                // What was left out before the oldest run was forgotten.
                Some(oldest) if oldest.total > oldest.end - oldest.start => return None,
                _ => 0,
            },
        };
        let out = self.first_out + since - left_out;
        self.highest = self.highest.max(out);
        self.forwarded = self.forwarded.max(source + 1);
        Some(out)
    }

    /// Leaves packets out so that those after them close up. Where a later packet already has its number the hole
    /// stays: the viewer takes it for a loss, which it was on its way here.
    pub(crate) fn leave_out(&mut self, sources: RangeInclusive<u64>) {
        let start = (*sources.start()).max(self.forwarded).max(self.first);
        let end = sources.end().saturating_add(1);
        if start >= end {
            return;
        }
        // Runs from `from` up to `to` overlap or touch the new one.
        let from = self.runs.partition_point(|run| run.end < start);
        let to = self.runs.partition_point(|run| run.start <= end);
        let known: u64 = self
            .runs
            .range(from..to)
            .map(|run| run.end - run.start)
            .sum();
        let merged = Run {
            start: self
                .runs
                .range(from..to)
                .next()
                .map_or(start, |run| run.start.min(start)),
            end: self
                .runs
                .range(from..to)
                .next_back()
                .map_or(end, |run| run.end.max(end)),
            total: 0,
        };
        let added = merged.end - merged.start - known;
        let before = from
            .checked_sub(1)
            .map_or_else(|| self.forgotten(), |at| self.runs[at].total);
        self.runs.drain(from..to);
        self.runs.insert(
            from,
            Run {
                total: before + merged.end - merged.start,
                ..merged
            },
        );
        for run in self.runs.range_mut(from + 1..) {
            run.total += added;
        }
        if self.runs.len() > RUNS_MAX {
            self.runs.pop_front();
        }
    }

    /// How many were left out before the oldest run that is remembered.
    fn forgotten(&self) -> u64 {
        self.runs
            .front()
            .map_or(0, |oldest| oldest.total - (oldest.end - oldest.start))
    }

    /// Whether `out` is the highest number given out.
    pub(crate) fn is_newest(&self, out: u64) -> bool {
        out == self.highest
    }

    /// Leaves a hole that nothing will fill.
    pub(crate) fn skip(&mut self) {
        self.highest += 1;
    }

    /// The next number, for a packet of no source, while none is followed.
    pub(crate) fn append(&mut self) -> u64 {
        self.highest += 1;
        self.highest
    }

    /// A number for a packet that the source did not send; everything after it moves up by one. Only before anything
    /// was left out.
    pub(crate) fn insert(&mut self) -> u64 {
        let out = self.first_out;
        self.first_out += 1;
        self.highest = self.highest.max(out);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sources_gaps_stay_and_switches_leave_none() {
        let mut rewriter = SequenceRewriter::default();
        rewriter.restart(1000);
        assert_eq!(rewriter.rewrite(1000), Some(1));
        assert_eq!(rewriter.rewrite(1003), Some(4));
        assert_eq!(rewriter.rewrite(1001), Some(2), "late, still ours");
        assert_eq!(rewriter.rewrite(999), None, "before our time");
        rewriter.restart(70_000);
        assert_eq!(rewriter.rewrite(70_000), Some(5));
        assert_eq!(rewriter.rewrite(1004), None, "the old source is gone");
    }

    #[test]
    fn an_inserted_packet_moves_the_rest_up() {
        let mut rewriter = SequenceRewriter::default();
        rewriter.restart(10);
        assert_eq!(rewriter.insert(), 1);
        assert_eq!(rewriter.rewrite(10), Some(2));
        assert_eq!(rewriter.rewrite(11), Some(3));
    }

    #[test]
    fn packets_left_out_leave_no_gap_and_late_ones_around_them_find_their_place() {
        let mut rewriter = SequenceRewriter::default();
        rewriter.restart(10);
        assert_eq!(rewriter.rewrite(10), Some(1));
        rewriter.leave_out(12..=13);
        assert_eq!(rewriter.rewrite(15), Some(4));
        assert_eq!(rewriter.rewrite(11), Some(2), "late, before the run");
        assert_eq!(rewriter.rewrite(14), Some(3), "late, after the run");
        assert_eq!(rewriter.rewrite(12), None, "left out");
        rewriter.leave_out(16..=16);
        rewriter.leave_out(17..=20);
        assert_eq!(rewriter.rewrite(21), Some(5));
        assert_eq!(rewriter.runs.len(), 2, "runs that touch become one");
    }

    #[test]
    fn a_late_packet_is_left_out_without_a_hole_while_nothing_after_it_was_sent() {
        let mut rewriter = SequenceRewriter::default();
        rewriter.restart(10);
        assert_eq!(rewriter.rewrite(10), Some(1));
        rewriter.leave_out(13..=13);
        rewriter.leave_out(11..=11);
        rewriter.leave_out(12..=12);
        assert_eq!(rewriter.rewrite(14), Some(2));
        rewriter.leave_out(18..=18);
        rewriter.leave_out(16..=16);
        assert_eq!(rewriter.rewrite(19), Some(5));
        assert_eq!(rewriter.rewrite(17), Some(4));
        assert_eq!(rewriter.rewrite(15), Some(3));
        rewriter.leave_out(22..=22);
        assert_eq!(rewriter.rewrite(23), Some(8), "20 and 21 are missing");
        rewriter.leave_out(20..=20);
        assert_eq!(rewriter.rewrite(21), Some(7), "6 stays a hole");
    }

    #[test]
    fn what_is_too_old_to_be_placed_is_refused() {
        let mut rewriter = SequenceRewriter::default();
        rewriter.restart(0);
        assert_eq!(rewriter.rewrite(0), Some(1));
        let runs = RUNS_MAX as u64 + 10;
        for pair in 0..runs {
            rewriter.leave_out(pair * 2 + 1..=pair * 2 + 1);
            assert_eq!(rewriter.rewrite(pair * 2 + 2), Some(pair + 2));
        }
        assert_eq!(rewriter.runs.len(), RUNS_MAX);
        assert_eq!(rewriter.rewrite(10), None);
        assert_eq!(rewriter.rewrite(runs * 2), Some(runs + 1));
        assert_eq!(rewriter.rewrite(runs * 2 - 2), Some(runs));
    }

    #[test]
    fn it_agrees_with_counting() {
        let seed = fastrand::u64(..);
        eprintln!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        let mut rewriter = SequenceRewriter::default();
        rewriter.restart(5);
        // What is left out is known from the start here, so the order must not matter.
        let left_out: Vec<bool> = (0..2000).map(|_| random.u8(..4) == 0).collect();
        let number = |source: usize| source - left_out[..source].iter().filter(|out| **out).count();
        let mut late: Vec<usize> = Vec::new();
        for (source, &is_left_out) in left_out.iter().enumerate() {
            if is_left_out {
                rewriter.leave_out(5 + source as u64..=5 + source as u64);
            } else if source % 7 == 3 {
                late.push(source);
            } else {
                let out = rewriter.rewrite(5 + source as u64);
                assert_eq!(out, Some(1 + number(source) as u64));
            }
            while late.len() > random.usize(1..10) {
                let source = late.swap_remove(random.usize(..late.len()));
                let out = rewriter.rewrite(5 + source as u64);
                assert_eq!(out, Some(1 + number(source) as u64), "late");
            }
        }
    }
}
