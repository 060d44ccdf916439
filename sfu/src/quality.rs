//! How good a participant's connection is, in three words that do not flicker.

use std::time::{Duration, Instant};

use crate::conference::Quality;

/// Worse is told after this long.
const WORSE_AFTER: Duration = Duration::from_secs(1);

/// Better is told after this long: an icon that comes and goes says nothing.
const BETTER_AFTER: Duration = Duration::from_secs(3);

/// The estimate of a new connection begins low and grows; until then too little bandwidth is no news.
const STARTUP: Duration = Duration::from_secs(5);

/// Above these, loss and round trip are fair or poor.
const LOSS_FAIR: f32 = 0.03;
const LOSS_POOR: f32 = 0.1;
const RTT_FAIR: Duration = Duration::from_millis(250);
const RTT_POOR: Duration = Duration::from_millis(500);

/// What is wanted includes a margin for steps up; a budget of this share carries everything.
const ENOUGH_PERCENT: u64 = 83;

/// Watches one participant's connection.
#[derive(Debug, Default)]
pub(crate) struct QualityMeter {
    began: Option<Instant>,
    told: Option<Quality>,
    /// Since when it has been on the other side of what was told, and the nearest to it since.
    run: Option<(Instant, Quality)>,
}

impl QualityMeter {
    /// Takes one measurement in, several times a second: the share of packets lost (0 to 1), the round trip if known,
    /// what would carry everything with the margin (as [`Allocator::allocate`](crate::allocate::Allocator::allocate)
    /// returns it), what there is, and how many pictures are paused for want of it.
    ///
    /// Returns the quality when it changed: good at first, worse after one second, better after three.
    pub(crate) fn update(
        &mut self,
        now: Instant,
        loss_fraction: f32,
        rtt: Option<Duration>,
        wanted_bps: u64,
        budget_bps: u64,
        paused: usize,
    ) -> Option<Quality> {
        let began = *self.began.get_or_insert(now);
        let Some(told) = self.told else {
            self.told = Some(Quality::Good);
            return self.told;
        };
        let path = of_path(loss_fraction, rtt);
        let seen = if now.saturating_duration_since(began) < STARTUP {
            path
        } else {
            path.min(of_bandwidth(wanted_bps, budget_bps, paused))
        };
        if seen == told {
            self.run = None;
            return None;
        }
        let (since, nearest) = match self.run {
            // Between fair and poor alike it is worse than good: then fair is told, and poor only once it stays so.
            Some((since, nearest)) if (nearest < told) == (seen < told) => {
                let nearest = match seen < told {
                    true => nearest.max(seen),
                    false => nearest.min(seen),
                };
                (since, nearest)
            }
            _ => (now, seen),
        };
        self.run = Some((since, nearest));
        let after = match seen < told {
            true => WORSE_AFTER,
            false => BETTER_AFTER,
        };
        if now.saturating_duration_since(since) < after {
            return None;
        }
        self.run = None;
        self.told = Some(nearest);
        self.told
    }
}

fn of_path(loss_fraction: f32, rtt: Option<Duration>) -> Quality {
    let is_above = |loss, time| loss_fraction > loss || rtt.is_some_and(|rtt| rtt > time);
    if is_above(LOSS_POOR, RTT_POOR) {
        Quality::Poor
    } else if is_above(LOSS_FAIR, RTT_FAIR) {
        Quality::Fair
    } else {
        Quality::Good
    }
}

fn of_bandwidth(wanted_bps: u64, budget_bps: u64, paused: usize) -> Quality {
    if paused > 0 {
        Quality::Poor
    } else if budget_bps < wanted_bps.saturating_mul(ENOUGH_PERCENT) / 100 {
        Quality::Fair
    } else {
        Quality::Good
    }
}

#[cfg(test)]
mod tests {
    use super::Quality::{Fair, Good, Poor};
    use super::*;

    /// A measurement: loss in percent, round trip in ms, wanted and there in kbit/s, paused pictures.
    type Measured = (u8, u64, u64, u64, usize);

    const FINE: Measured = (0, 40, 1000, 2000, 0);
    const LOSSY: Measured = (5, 40, 1000, 2000, 0);
    const BROKEN: Measured = (20, 40, 1000, 2000, 0);

    /// Measures every 100 ms for so many ms each, after ten seconds in which all was fine. What was told, and when.
    #[expect(clippy::disallowed_methods, reason = "an epoch for virtual time")]
    fn told(before_ms: u64, turns: &[(u64, Measured)]) -> Vec<(u64, Quality)> {
        let start = Instant::now();
        let mut meter = QualityMeter::default();
        let mut told = Vec::new();
        let mut at = 0;
        for &(ms, (loss, rtt_ms, wanted, there, paused)) in [(before_ms, FINE)].iter().chain(turns)
        {
            let rtt = (rtt_ms > 0).then_some(Duration::from_millis(rtt_ms));
            for _ in 0..ms / 100 {
                let now = start + Duration::from_millis(at);
                let loss = f32::from(loss) / 100.0;
                let quality = meter.update(now, loss, rtt, wanted * 1000, there * 1000, paused);
                if let Some(quality) = quality {
                    told.push((at.saturating_sub(before_ms), quality));
                }
                at += 100;
            }
        }
        told
    }

    #[test]
    fn each_cause_makes_its_word() {
        let check = |measured: Measured, expected: Quality| {
            let told = told(10_000, &[(10_000, measured)]);
            assert_eq!(told.last().unwrap().1, expected, "{measured:?}");
        };
        check(FINE, Good);
        check((3, 250, 1000, 1000, 0), Good);
        check((4, 40, 1000, 1000, 0), Fair);
        check((10, 40, 1000, 1000, 0), Fair);
        check((11, 40, 1000, 1000, 0), Poor);
        check((0, 251, 1000, 1000, 0), Fair);
        check((0, 500, 1000, 1000, 0), Fair);
        check((0, 501, 1000, 1000, 0), Poor);
        check((0, 0, 1000, 1000, 0), Good);
        check((0, 40, 1000, 830, 0), Good);
        check((0, 40, 1000, 829, 0), Fair);
        check((0, 40, 1000, 10, 0), Fair);
        check((0, 40, 1000, 100, 1), Poor);
        check((4, 40, 1000, 100, 1), Poor);
        check((0, 40, 0, 0, 0), Good);
    }

    #[test]
    fn worse_is_told_after_one_second_and_better_after_three() {
        let check = |turns: &[(u64, Measured)], expected: &[(u64, Quality)]| {
            let told = told(10_000, turns);
            assert_eq!(told[0], (0, Good), "good at first");
            assert_eq!(&told[1..], expected, "{turns:?}");
        };
        check(&[(9000, FINE)], &[]);
        check(&[(1000, LOSSY), (9000, FINE)], &[]);
        check(&[(1100, LOSSY)], &[(1000, Fair)]);
        check(
            &[(2000, BROKEN), (9000, FINE)],
            &[(1000, Poor), (5000, Good)],
        );
        // A short good moment is none.
        let moment = [(2000, LOSSY), (2900, FINE), (1000, LOSSY), (3100, FINE)];
        check(&moment, &[(1000, Fair), (8900, Good)]);
        // To and fro between fair and poor is fair.
        let mixed = [(500, BROKEN), (300, LOSSY), (500, BROKEN)];
        check(&mixed, &[(1000, Fair)]);
        check(
            &[(500, LOSSY), (3000, BROKEN)],
            &[(1000, Fair), (2100, Poor)],
        );
        // Better, but how much is not yet known.
        let slow = [(2000, BROKEN), (1000, LOSSY), (9000, FINE)];
        check(&slow, &[(1000, Poor), (5000, Fair), (8100, Good)]);
    }

    #[test]
    fn a_connection_that_begins_is_not_blamed_for_its_first_estimate() {
        let little = (0, 40, 5000, 300, 2);
        assert_eq!(told(0, &[(5900, little)]), [(0, Good)]);
        assert_eq!(told(0, &[(9000, little)]), [(0, Good), (6000, Poor)]);
        assert_eq!(told(0, &[(2000, BROKEN)]), [(0, Good), (1100, Poor)]);
    }
}
