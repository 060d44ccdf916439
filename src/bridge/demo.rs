//! The built-in performer of `proscenium demo`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::clip::{AUDIO, Clip, Item};
use crate::clock;
use crate::media::{Handle, Refused, Source, SourceClosed, StreamKey};

/// How often it looks whether the stream is free again after somebody took it over.
const RETRY: Duration = Duration::from_secs(3);
/// A machine that slept for longer than this goes on from now instead of sending what was missed in one burst.
const LATE_MAX: Duration = Duration::from_secs(1);

/// Plays the embedded clip for ever as the stream `main` of `space`, with RTP timestamps that follow the real time.
///
/// When somebody else publishes that stream, it waits and comes back, from the clip's first frame, when the stream is
/// free again. Returns only when the server stops; drop the future to end it earlier.
pub async fn run_demo(media: Handle, space: &str) {
    let key = StreamKey {
        space: Arc::from(space),
        stream: Arc::from("main"),
    };
    let clip = Clip::embedded();
    let epoch = clock::now();
    let mut schedule = Schedule::new(&clip);
    let mut told = None;
    loop {
        if !media.directory().is_live(&key) {
            match media.open_source(key.clone(), clip.tracks(), false).await {
                Ok(source) => {
                    told = None;
                    tracing::info!(space, stream = "main", "the built-in performer is on stage");
                    perform(&mut schedule, epoch, source).await;
                    tracing::info!(space, stream = "main", "the built-in performer makes room");
                }
                Err(Refused::Stopping) => return,
                Err(refused) => {
                    let reason = refused.to_string();
                    if told.as_ref() != Some(&reason) {
                        tracing::warn!(
                            space,
                            reason,
                            "the built-in performer is refused, and tries again"
                        );
                    }
                    told = Some(reason);
                }
            }
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Plays until the source is closed.
async fn perform(schedule: &mut Schedule<'_>, epoch: Instant, mut source: Source) {
    schedule.restart(clock::now() - epoch);
    let mut talking = false;
    while !source.is_closed() {
        let elapsed = clock::now() - epoch;
        schedule.catch_up(elapsed);
        let due = schedule.next();
        if due.at > elapsed {
            tokio::time::sleep_until((epoch + due.at).into()).await;
        }
        // RFC 7587 section 4.1: the marker is for the first packet of a talk spurt.
        let is_sound = due.item.track == AUDIO;
        if send(&mut source, &due, is_sound && !talking).is_err() {
            return;
        }
        talking |= is_sound;
    }
}

fn send(source: &mut Source, due: &Due<'_>, talk_starts: bool) -> Result<(), SourceClosed> {
    let last = due.item.payloads.len() - 1;
    for (index, payload) in due.item.payloads.iter().enumerate() {
        let marker = if due.item.track == AUDIO {
            talk_starts
        } else {
            index == last
        };
        source.send(due.item.track, due.timestamp, marker, Arc::clone(payload))?;
    }
    Ok(())
}

/// What is sent when, without a clock: the clip again and again.
struct Schedule<'a> {
    clip: &'a Clip,
    /// When the current round began, since the epoch; whole milliseconds, which both RTP clocks can count.
    base: Duration,
    index: usize,
}

/// One frame with its place on the endless time line.
struct Due<'a> {
    item: &'a Item,
    /// Since the epoch.
    at: Duration,
    /// `at` in the track's RTP clock.
    timestamp: u32,
}

impl<'a> Schedule<'a> {
    fn new(clip: &'a Clip) -> Self {
        Self {
            clip,
            base: Duration::ZERO,
            index: 0,
        }
    }

    /// Begins a new round with the first frame, due at `elapsed`.
    fn restart(&mut self, elapsed: Duration) {
        self.base = ceil_millis(elapsed);
        self.index = 0;
    }

    /// Moves everything to come, so that nothing is more than [`LATE_MAX`] late at `elapsed`.
    fn catch_up(&mut self, elapsed: Duration) {
        let lateness = elapsed.saturating_sub(self.base + self.clip.items[self.index].at);
        if lateness > LATE_MAX {
            self.base += ceil_millis(lateness);
        }
    }

    fn next(&mut self) -> Due<'a> {
        let item = &self.clip.items[self.index];
        let clock = if item.track == AUDIO { 48 } else { 90 };
        // Truncation is the wrap-around of RTP timestamps.
        let timestamp = (self.base.as_millis() as u64 * clock + item.ticks) as u32;
        let due = Due {
            item,
            at: self.base + item.at,
            timestamp,
        };
        self.index += 1;
        if self.index == self.clip.items.len() {
            self.index = 0;
            self.base += self.clip.duration;
        }
        due
    }
}

fn ceil_millis(time: Duration) -> Duration {
    Duration::from_millis(time.as_nanos().div_ceil(1_000_000) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::clip::VIDEO;

    /// The frames of three rounds.
    fn three_rounds(schedule: &mut Schedule<'_>) -> Vec<(usize, Duration, u32)> {
        (0..3 * schedule.clip.items.len())
            .map(|_| schedule.next())
            .map(|due| (due.item.track, due.at, due.timestamp))
            .collect()
    }

    fn check_steps(frames: &[(usize, Duration, u32)], track: usize, step: u32) {
        let track: Vec<_> = frames.iter().filter(|frame| frame.0 == track).collect();
        for pair in track.windows(2) {
            assert_eq!(
                pair[1].2.wrapping_sub(pair[0].2),
                step,
                "at {:?}",
                pair[0].1
            );
        }
    }

    #[test]
    fn three_rounds_have_no_gap_at_the_seams() {
        let clip = Clip::embedded();
        let mut schedule = Schedule::new(&clip);
        let frames = three_rounds(&mut schedule);
        assert!(frames.windows(2).all(|pair| pair[0].1 <= pair[1].1));
        check_steps(&frames, VIDEO, 3_000);
        check_steps(&frames, AUDIO, 960);
        assert_eq!(schedule.base, clip.duration * 3);
    }

    #[test]
    fn timestamps_stay_even_where_they_wrap_around() {
        let clip = Clip::embedded();
        let mut schedule = Schedule::new(&clip);
        // Thirteen hours, twenty minutes of video; a day and three quarters of an hour of sound.
        for wrap in [u64::from(u32::MAX) / 90_000, u64::from(u32::MAX) / 48_000] {
            schedule.restart(Duration::from_secs(wrap - 14));
            let frames = three_rounds(&mut schedule);
            check_steps(&frames, VIDEO, 3_000);
            check_steps(&frames, AUDIO, 960);
        }
    }

    #[test]
    fn timestamps_follow_the_real_time_after_a_restart_and_after_a_stall() {
        let clip = Clip::embedded();
        let mut schedule = Schedule::new(&clip);
        schedule.restart(Duration::from_micros(5_000_300));
        let first = schedule.next();
        assert_eq!(
            (first.at, first.timestamp % 3),
            (Duration::from_millis(5_001), 5_001 * 90 % 3)
        );
        schedule.catch_up(Duration::from_secs(6));
        assert!(
            schedule.next().at < Duration::from_millis(5_050),
            "half a second late is made good in a burst"
        );
        schedule.catch_up(Duration::from_secs(600));
        let resumed = schedule.next();
        assert!(
            resumed.at >= Duration::from_secs(600) && resumed.at < Duration::from_millis(600_002)
        );
        let clock = if resumed.item.track == AUDIO {
            48_000.0
        } else {
            90_000.0
        };
        assert!((f64::from(resumed.timestamp) / clock - resumed.at.as_secs_f64()).abs() < 0.001);
    }
}
