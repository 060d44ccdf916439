//! Cameras' timestamps onto one outgoing time line that never jumps back, whatever cameras do.

use std::time::{Duration, Instant};

/// A step of a camera's clock that differs from the real time by more than this is taken for a new clock.
const JUMP_MAX: Duration = Duration::from_secs(5);
/// Two tracks of a session that claim to begin further apart than this are not believed.
const SKEW_MAX: Duration = Duration::from_secs(2);
/// What a new session keeps from the last timestamp of the one before.
const SEAM: Duration = Duration::from_millis(20);

/// The outgoing time line of one camera, across all its sessions.
#[derive(Debug)]
pub(crate) struct Timeline {
    epoch: Instant,
    /// Where the current session's beginning lies, since `epoch`.
    base: Duration,
    /// When the current session began, since `epoch`.
    begun: Duration,
    tracks: Vec<Track>,
}

#[derive(Debug, Clone)]
struct Track {
    /// Hz, of the outgoing timestamps.
    clock_rate: u32,
    /// The latest timestamp that went out.
    latest: Option<i64>,
    anchor: Option<Anchor>,
}

/// How a session's ticks are moved onto the time line.
#[derive(Debug, Clone)]
struct Anchor {
    shift: i64,
    /// Of the packet before, in the outgoing clock.
    ticks: i64,
    /// Of the packet before, since the epoch.
    at: Duration,
}

impl Timeline {
    /// Begins with timestamp 0 at `epoch`.
    pub(crate) fn new(epoch: Instant) -> Self {
        Self {
            epoch,
            base: Duration::ZERO,
            begun: Duration::ZERO,
            tracks: Vec::new(),
        }
    }

    /// A new session begins, whose tracks go out with these clock rates in Hz.
    pub(crate) fn begin(&mut self, now: Instant, clock_rates: &[u32]) {
        let latest = self
            .tracks
            .iter()
            .filter_map(|track| Some(to_duration(track.latest?, track.clock_rate)))
            .max();
        self.begun = now.saturating_duration_since(self.epoch);
        self.base = latest.map_or(self.begun, |latest| self.begun.max(latest + SEAM));
        self.tracks = clock_rates
            .iter()
            .map(|&clock_rate| Track {
                clock_rate,
                latest: None,
                anchor: None,
            })
            .collect();
    }

    /// The outgoing timestamp of a packet of `track` that came at `now` and lies `elapsed` ticks of `clock_rate` Hz after
    /// the session's beginning, if the camera is to be believed.
    pub(crate) fn timestamp(
        &mut self,
        track: usize,
        elapsed: i64,
        clock_rate: u32,
        now: Instant,
    ) -> u32 {
        let at = now.saturating_duration_since(self.epoch);
        let track = &mut self.tracks[track];
        let ticks = rescale(elapsed, clock_rate, track.clock_rate);
        let jump_max = to_ticks(JUMP_MAX, track.clock_rate);
        let shift = match &track.anchor {
            Some(anchor) => {
                let passed = to_ticks(at.saturating_sub(anchor.at), track.clock_rate);
                let step = ticks.saturating_sub(anchor.ticks);
                if step.saturating_sub(passed).saturating_abs() <= jump_max {
                    anchor.shift
                } else {
                    anchor
                        .ticks
                        .wrapping_add(anchor.shift)
                        .wrapping_add(passed)
                        .wrapping_sub(ticks)
                }
            }
            None => {
                let passed = to_ticks(at.saturating_sub(self.begun), track.clock_rate);
                let base = to_ticks(self.base, track.clock_rate);
                let skew = ticks.saturating_sub(passed).saturating_abs();
                let believed = skew <= to_ticks(SKEW_MAX, track.clock_rate);
                if believed && ticks >= 0 {
                    base
                } else {
                    base.wrapping_add(passed).wrapping_sub(ticks)
                }
            }
        };
        track.anchor = Some(Anchor { shift, ticks, at });
        let out = ticks.wrapping_add(shift);
        track.latest = track.latest.max(Some(out));
        // Truncation is the wrap-around of RTP timestamps.
        out as u32
    }
}

fn rescale(ticks: i64, from: u32, to: u32) -> i64 {
    (i128::from(ticks) * i128::from(to) / i128::from(from.max(1))) as i64
}

fn to_ticks(time: Duration, clock_rate: u32) -> i64 {
    (time.as_nanos() * u128::from(clock_rate) / 1_000_000_000) as i64
}

fn to_duration(ticks: i64, clock_rate: u32) -> Duration {
    Duration::from_nanos(
        (u128::from(ticks.max(0) as u64) * 1_000_000_000 / u128::from(clock_rate.max(1))) as u64,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIDEO: usize = 0;
    const AUDIO: usize = 1;

    fn timeline() -> (Timeline, Instant) {
        let epoch = crate::clock::now();
        (Timeline::new(epoch), epoch)
    }

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn the_cameras_own_steps_are_carried_through() {
        let (mut timeline, t0) = timeline();
        timeline.begin(t0, &[90_000, 48_000]);
        let mut expected = 0;
        // Uneven steps of the camera at arrival times that jitter by up to 150 ms.
        for (index, step) in [0, 3_003, 6_006, 3_003, 1, 2_999].into_iter().enumerate() {
            expected += step;
            let now = t0 + ms(40 * index as u64 + 150 * (index as u64 % 2));
            assert_eq!(
                timeline.timestamp(VIDEO, i64::from(expected), 90_000, now),
                expected
            );
        }
        // A track in another clock: 44.1 kHz in, 48 kHz out.
        assert_eq!(
            timeline.timestamp(AUDIO, 44_100, 44_100, t0 + ms(900)),
            48_000
        );
    }

    #[test]
    fn a_reconnected_camera_goes_on_in_real_time_with_both_tracks_together() {
        let (mut timeline, t0) = timeline();
        timeline.begin(t0, &[90_000, 8_000]);
        assert_eq!(
            timeline.timestamp(VIDEO, 900_000, 90_000, t0 + ms(10_000)),
            900_000
        );
        timeline.begin(t0 + ms(15_000), &[90_000, 8_000]);
        assert_eq!(
            timeline.timestamp(VIDEO, 0, 90_000, t0 + ms(15_010)),
            15 * 90_000
        );
        assert_eq!(
            timeline.timestamp(AUDIO, 160, 8_000, t0 + ms(15_300)),
            15 * 8_000 + 160
        );
    }

    #[test]
    fn a_camera_that_ran_ahead_of_time_does_not_make_the_next_session_jump_back() {
        let (mut timeline, t0) = timeline();
        timeline.begin(t0, &[90_000]);
        // Two seconds of stored pictures in a burst.
        let ahead = timeline.timestamp(VIDEO, 180_000, 90_000, t0 + ms(10));
        timeline.begin(t0 + ms(1_000), &[90_000]);
        let next = timeline.timestamp(VIDEO, 0, 90_000, t0 + ms(1_010));
        assert_eq!(next, ahead + 1_800);
    }

    #[test]
    fn wild_beginnings_are_replaced_by_the_time_of_arrival() {
        for wild in [i64::MIN, -5, 1 << 31, 90_000 * 3, i64::MAX] {
            let (mut timeline, t0) = timeline();
            timeline.begin(t0, &[90_000]);
            let first = timeline.timestamp(VIDEO, wild, 90_000, t0 + ms(500));
            assert_eq!(first, 45_000, "a first timestamp of {wild}");
        }
    }

    #[test]
    fn a_clock_that_jumps_is_followed_from_where_it_stood() {
        let (mut timeline, t0) = timeline();
        timeline.begin(t0, &[90_000]);
        timeline.timestamp(VIDEO, 0, 90_000, t0);
        for (index, wild) in [1 << 40, 7, -(1 << 40), i64::MAX, i64::MIN]
            .into_iter()
            .enumerate()
        {
            let now = t0 + ms(40 * (index as u64 + 1));
            let out = timeline.timestamp(VIDEO, wild, 90_000, now);
            assert_eq!(
                i64::from(out),
                3_600 * (index as i64 + 1),
                "after a jump to {wild}"
            );
        }
    }

    #[test]
    fn a_clock_that_runs_slow_for_days_is_never_corrected_by_a_jump() {
        let (mut timeline, t0) = timeline();
        timeline.begin(t0, &[90_000]);
        let mut before = timeline.timestamp(VIDEO, 0, 90_000, t0);
        // 100 parts per million, a packet a second, for two days: 17 s in the end.
        for second in 1..=172_800u64 {
            let out = timeline.timestamp(
                VIDEO,
                second as i64 * 89_991,
                90_000,
                t0 + ms(second * 1_000),
            );
            assert_eq!(out.wrapping_sub(before), 89_991, "at second {second}");
            before = out;
        }
    }
}
