//! Whether a stream's sound is whole, as it is packaged.

use std::collections::VecDeque;
use std::fmt;

use hls::SoundCounters;
use payload::frames::Counters;

/// What is looked at: the sound of so long.
const WINDOW_US: i64 = 10_000_000;
/// In steps of this.
const STEP_US: i64 = 1_000_000;
/// Ticks of 48 kHz in a millisecond.
const TICKS_PER_MS: u64 = 48;
/// More than one percent of it missing or late is heard.
const TROUBLE_PERMILLE: u64 = 10;
/// Sound that is looked at must be this long: a lost packet at the very beginning is no trouble yet.
const LEAST_TICKS: u64 = 5 * 48_000;

/// What is wrong with a stream's sound, in percent of the last ten seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SoundTrouble {
    /// What never came, or not in time, and was replaced.
    pub filled_percent: f64,
    /// What came too late and was left out.
    pub dropped_percent: f64,
}

impl fmt::Display for SoundTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (filled, dropped) = (self.filled_percent, self.dropped_percent);
        write!(
            f,
            "{filled:.1} % of the sound is missing and {dropped:.1} % came too late: the audience of HLS and the recording hear gaps; send over a better network, or from a computer that has less to do"
        )
    }
}

/// What has changed since the last look.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Change {
    /// Milliseconds of sound that were replaced and left out.
    pub(super) counted_ms: (u64, u64),
    /// The trouble that there is now, if that is news.
    pub(super) said: Option<Option<SoundTrouble>>,
}

/// All sound, what was replaced, what was left out, until a moment; in ticks.
#[derive(Debug, Default, Clone, Copy)]
struct Sum {
    at_us: i64,
    all: u64,
    filled: u64,
    dropped: u64,
}

/// One publication's sound.
#[derive(Debug, Default)]
pub(super) struct SoundQuality {
    /// What the packager had counted before.
    before: Option<SoundCounters>,
    sums: VecDeque<Sum>,
    is_troubled: bool,
}

impl SoundQuality {
    /// To be called often; looks once a second.
    pub(super) fn look(
        &mut self,
        now_us: i64,
        frames: Counters,
        packaged: SoundCounters,
    ) -> Change {
        let is_due = self
            .sums
            .back()
            .is_none_or(|last| now_us.saturating_sub(last.at_us) >= STEP_US);
        if !is_due {
            return Change::default();
        }
        // A publisher that was silent is begun with anew.
        let all = frames.sound_ticks + frames.missing_ticks;
        if self.sums.back().is_some_and(|last| all < last.all) {
            *self = Self::default();
        }
        let before = *self.before.get_or_insert(packaged);
        let late = packaged.dropped - before.dropped;
        let now = Sum {
            at_us: now_us,
            all,
            // What the packager filled and did not have to leave out afterwards was a pause of the performer.
            filled: frames.missing_ticks + late.min(packaged.filled - before.filled),
            dropped: frames.late_ticks + late,
        };
        let last = self.sums.back().copied().unwrap_or_default();
        self.sums.push_back(now);
        while self.sums.len() > 1 && now_us.saturating_sub(self.sums[0].at_us) > WINDOW_US {
            self.sums.pop_front();
        }
        let ms = |now: u64, last: u64| now.saturating_sub(last) / TICKS_PER_MS;
        let was_troubled = self.is_troubled;
        let trouble = self.trouble(now);
        self.is_troubled = trouble.is_some();
        Change {
            counted_ms: (ms(now.filled, last.filled), ms(now.dropped, last.dropped)),
            said: (was_troubled != self.is_troubled).then_some(trouble),
        }
    }

    fn trouble(&self, now: Sum) -> Option<SoundTrouble> {
        let first = self.sums.front().copied().unwrap_or_default();
        let all = now.all.saturating_sub(first.all);
        let filled = now.filled.saturating_sub(first.filled);
        let dropped = now.dropped.saturating_sub(first.dropped);
        let is_long = all >= LEAST_TICKS;
        // Once said, it is true until the window is clean again.
        let limit = if self.is_troubled {
            1
        } else {
            TROUBLE_PERMILLE
        };
        let percent = |part: u64| (part * 1_000 / all.max(1)) as f64 / 10.0;
        (is_long && filled.max(dropped) * 1_000 > limit * all).then(|| SoundTrouble {
            filled_percent: percent(filled),
            dropped_percent: percent(dropped),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A second of sound after another, of each of which `missing` ticks never came and `late` came too late.
    fn run(seconds: &[(u64, u64)]) -> Vec<(u64, Option<SoundTrouble>)> {
        let mut quality = SoundQuality::default();
        let (mut frames, mut packaged) = (Counters::default(), SoundCounters::default());
        let mut said = Vec::new();
        quality.look(0, frames, packaged);
        for (second, (missing, late)) in (1..).zip(seconds) {
            frames.sound_ticks += 48_000 - missing;
            frames.missing_ticks += missing;
            packaged.dropped += late;
            packaged.filled += late;
            let change = quality.look(second * 1_000_000, frames, packaged);
            let counted = (
                missing / TICKS_PER_MS + late / TICKS_PER_MS,
                late / TICKS_PER_MS,
            );
            assert_eq!(change.counted_ms, counted);
            said.extend(change.said.map(|said| (second as u64, said)));
        }
        said
    }

    #[test]
    fn counting_may_begin_anew() {
        let mut quality = SoundQuality::default();
        let mut frames = Counters {
            sound_ticks: 480_000,
            ..Counters::default()
        };
        quality.look(0, frames, SoundCounters::default());
        frames.sound_ticks = 960;
        let change = quality.look(1_000_000, frames, SoundCounters::default());
        assert_eq!(change, Change::default());
    }

    #[test]
    fn a_lost_packet_now_and_then_is_no_trouble() {
        assert_eq!(
            run(&[(0, 0), (960, 0), (0, 0), (0, 0), (0, 0), (960, 0), (0, 0)]),
            []
        );
    }

    #[test]
    fn more_than_a_hundredth_is_said_once_and_taken_back_when_it_is_over() {
        let mut seconds = vec![(0, 0); 6];
        seconds.extend([(960, 4_800); 5]);
        seconds.extend([(0, 0); 12]);
        let said = run(&seconds);
        assert_eq!(said.len(), 2, "{said:?}");
        let trouble = said[0].1.unwrap();
        assert!(
            trouble.filled_percent > 1.0 && trouble.dropped_percent > 1.0,
            "{trouble:?}"
        );
        assert_eq!((said[0].0, said[1]), (7, (21, None)));
    }
}
