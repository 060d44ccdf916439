//! Outgoing RTP timestamps: one timeline per viewer and track that never steps back, whatever sources feed it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The later of two points on a 32-bit circle comes less than half a turn after the other (RFC 3550 A.1).
pub(crate) fn is_newer(timestamp: u32, than: u32) -> bool {
    timestamp != than && timestamp.wrapping_sub(than) < 1 << 31
}

/// `duration` in ticks of `clock_rate` Hz.
pub(crate) fn ticks(duration: Duration, clock_rate: u32) -> u32 {
    let ticks = duration.as_nanos() * u128::from(clock_rate) / 1_000_000_000;
    u32::try_from(ticks).unwrap_or(u32::MAX)
}

/// `ticks` of `clock_rate` Hz as a duration.
pub(crate) fn duration(ticks: u32, clock_rate: u32) -> Duration {
    Duration::from_nanos(u64::from(ticks) * 1_000_000_000 / u64::from(clock_rate))
}

/// Pictures of a replay whose late packets are known: a packet is repaired within a few of them.
const RECENT_MAX: usize = 16;

/// Rewrites source timestamps for one viewer.
#[derive(Debug)]
pub(crate) struct Timeline {
    clock_rate: u32,
    /// Outgoing minus source, modulo 2^32.
    offset: u32,
    /// The newest outgoing timestamp, and the wall clock of its source packet.
    last: Option<(u32, Instant)>,
    /// The newest source timestamp since the last restart, and what became of it.
    newest: Option<(u32, u32)>,
    /// The same of the pictures before it while they are squeezed: their late packets belong to them.
    recent: VecDeque<(u32, u32)>,
    /// Squeezes a replayed group of pictures; `None` when the source is followed as it comes.
    squeeze: Option<Squeeze>,
}

/// Old pictures are shown in fast motion: source time `[live - span, live]` takes `span_out` ticks of outgoing time.
#[derive(Debug, Clone, Copy)]
struct Squeeze {
    live: u32,
    span: u32,
    span_out: u32,
}

impl Timeline {
    /// A timeline in ticks of `clock_rate` Hz.
    pub(crate) fn new(clock_rate: u32) -> Self {
        Self {
            clock_rate,
            offset: 0,
            last: None,
            newest: None,
            recent: VecDeque::new(),
            squeeze: None,
        }
    }

    /// From here on a source is followed whose packet `timestamp` was captured at `wallclock`.
    pub(crate) fn restart(&mut self, timestamp: u32, wallclock: Instant) {
        self.squeeze = None;
        self.newest = None;
        self.recent.clear();
        self.offset = match self.last {
            None => 0,
            Some((last, at)) => {
                let elapsed = ticks(wallclock.saturating_duration_since(at), self.clock_rate);
                last.wrapping_add(elapsed.max(1)).wrapping_sub(timestamp)
            }
        };
    }

    /// Replays the source from `first` up to its live edge `live` (captured at `wallclock`) within `span_out`, then
    /// follows it. `frames` is how many distinct timestamps lie between; each keeps one of its own.
    pub(crate) fn restart_squeezed(
        &mut self,
        first: u32,
        live: u32,
        wallclock: Instant,
        span_out: Duration,
        frames: u32,
    ) {
        self.restart(live, wallclock);
        let span = live.wrapping_sub(first);
        if span == 0 || span >= 1 << 31 {
            return;
        }
        let mut span_out = ticks(span_out, self.clock_rate).min(span);
        if let Some((last, _)) = self.last {
            let live_out = live.wrapping_add(self.offset);
            let room = live_out.wrapping_sub(last).saturating_sub(1);
            if room < frames {
                // Too little has passed since the last picture: the replay needs a tick for each of its own.
                self.offset = self.offset.wrapping_add(frames - room);
            }
            span_out = span_out.min(room.max(frames));
        }
        self.squeeze = Some(Squeeze {
            live,
            span,
            span_out,
        });
    }

    /// Two pictures that a squeeze brings onto one tick keep two: pictures are not always evenly spaced.
    fn distinct(&mut self, timestamp: u32, mut out: u32) -> u32 {
        match self.newest {
            Some((newest, known)) if newest == timestamp => return known,
            Some((newest, _)) if !is_newer(timestamp, newest) => {
                let known = self.recent.iter().find(|(source, _)| *source == timestamp);
                return known.map_or(out, |(_, known)| *known);
            }
            _ => {}
        }
        if let Some((last, _)) = self.last
            && !is_newer(out, last)
        {
            let late = last.wrapping_add(1).wrapping_sub(out);
            out = out.wrapping_add(late);
            let is_live = self
                .squeeze
                .is_none_or(|squeeze| !is_newer(squeeze.live, timestamp));
            if is_live {
                self.offset = self.offset.wrapping_add(late);
            }
        }
        self.newest = Some((timestamp, out));
        if self
            .squeeze
            .is_some_and(|squeeze| !is_newer(timestamp, squeeze.live))
        {
            if self.recent.len() >= RECENT_MAX {
                self.recent.pop_front();
            }
            self.recent.push_back((timestamp, out));
        }
        out
    }

    /// The outgoing timestamp and wall clock of a packet.
    pub(crate) fn rewrite(&mut self, timestamp: u32, wallclock: Instant) -> (u32, Instant) {
        let mut out = timestamp.wrapping_add(self.offset);
        let mut at = wallclock;
        if let Some(squeeze) = self.squeeze {
            let age = squeeze.live.wrapping_sub(timestamp);
            if age != 0 && age < 1 << 31 {
                let age_out = u64::from(age.min(squeeze.span)) * u64::from(squeeze.span_out)
                    / u64::from(squeeze.span);
                let age_out = u32::try_from(age_out).expect("no larger than span_out");
                out = squeeze.live.wrapping_add(self.offset).wrapping_sub(age_out);
                at =
                    wallclock + duration(age, self.clock_rate) - duration(age_out, self.clock_rate);
            }
        }
        out = self.distinct(timestamp, out);
        if self.last.is_none_or(|(last, _)| is_newer(out, last)) {
            self.last = Some((out, at));
        }
        (out, at)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "an epoch for virtual time")]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn unevenly_spaced_pictures_keep_a_timestamp_each() {
        let start = Instant::now();
        let mut timeline = Timeline::new(90_000);
        timeline.restart(0, start);
        timeline.rewrite(0, start);
        // Twenty pictures a tick of the squeeze apart, after a pause of ten seconds.
        let sources: Vec<u32> = std::iter::once(10_000)
            .chain((0..20).map(|at| 900_000 + at * 90))
            .collect();
        let live = *sources.last().unwrap();
        timeline.restart_squeezed(
            10_000,
            live,
            start + Duration::from_millis(1),
            Duration::from_millis(1),
            21,
        );
        let mut outs: Vec<u32> = sources
            .iter()
            .map(|source| timeline.rewrite(*source, start).0)
            .collect();
        assert_eq!(timeline.rewrite(live, start).0, outs[20], "one picture");
        outs.push(timeline.rewrite(live + 3000, start).0);
        assert!(
            outs.windows(2).all(|pair| is_newer(pair[1], pair[0])),
            "{outs:?}"
        );
    }

    #[test]
    fn a_switch_goes_on_where_the_wall_clock_says() {
        let start = Instant::now();
        let mut timeline = Timeline::new(90_000);
        timeline.restart(5_000_000, start);
        assert_eq!(timeline.rewrite(5_000_000, start).0, 5_000_000);
        timeline.restart(77, start + 100 * MS);
        assert_eq!(timeline.rewrite(77, start + 100 * MS).0, 5_009_000);
        timeline.restart(4_000_000_000, start + 100 * MS);
        assert_eq!(
            timeline.rewrite(4_000_000_000, start + 100 * MS).0,
            5_009_001
        );
    }

    #[test]
    fn a_replay_is_squeezed_and_ends_at_the_live_edge() {
        let start = Instant::now();
        let live = start + 10_000 * MS;
        let mut timeline = Timeline::new(90_000);
        timeline.restart_squeezed(0, 900_000, live, 500 * MS, 300);
        let (first, at) = timeline.rewrite(0, start);
        assert_eq!(first, 900_000 - 45_000);
        assert_eq!(at, live - 500 * MS);
        let mut last = first;
        for frame in 1..300 {
            let (out, _) = timeline.rewrite(frame * 3000, start + 33 * MS * frame);
            assert!(is_newer(out, last), "frame {frame}");
            last = out;
        }
        assert_eq!(timeline.rewrite(900_000, live).0, 900_000);
        assert_eq!(timeline.rewrite(903_000, live + 33 * MS).0, 903_000);
    }

    #[test]
    fn a_replay_in_the_middle_never_steps_back() {
        let start = Instant::now();
        let live = start + 10_000 * MS;
        let mut timeline = Timeline::new(90_000);
        timeline.restart(880_000, live);
        let (mut last, _) = timeline.rewrite(900_000, live);
        timeline.restart_squeezed(0, 901_000, live + MS, 500 * MS, 301);
        for frame in 0..301 {
            let (out, _) = timeline.rewrite(frame * 3000, start + 33 * MS * frame);
            assert!(is_newer(out, last), "frame {frame}: {out} after {last}");
            last = out;
        }
        assert!(is_newer(timeline.rewrite(904_000, live + 33 * MS).0, last));
    }
}
