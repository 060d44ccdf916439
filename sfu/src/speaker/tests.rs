//! Rooms of people who speak, pause, cough and make noise, 20 ms at a time.

mod dominance;
mod heard;
mod properties;

use std::time::{Duration, Instant};

use super::{Speakers, TICK};
use crate::conference::Speaker;
use crate::id::StreamId;

const PACKET: Duration = Duration::from_millis(20);

/// What a microphone sends in 20 ms.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Sound {
    /// This level, in -dBov.
    Level(u8),
    /// The sender does not say how loud it is.
    Untold,
    /// No packet: muted, or DTX.
    Nothing,
}

const QUIET: Sound = Sound::Level(72);
const SPEECH: Sound = Sound::Level(30);

/// A room on virtual time.
struct Room {
    speakers: Speakers,
    now: Instant,
    ticked: Instant,
    streams: Vec<(StreamId, bool)>,
    changes: usize,
    reports: Vec<(Instant, Vec<Speaker>, Option<StreamId>)>,
}

impl Room {
    /// `people` streams 0.. that speak, after them `music` streams that play; `loudest` are heard.
    #[expect(clippy::disallowed_methods, reason = "an epoch for virtual time")]
    fn new(people: u64, music: u64, loudest: usize) -> Room {
        let now = Instant::now();
        let streams: Vec<(StreamId, bool)> = (0..people + music)
            .map(|at| (StreamId(at), at >= people))
            .collect();
        let mut speakers = Speakers::new(loudest);
        speakers.set_streams(now, &streams, loudest);
        Room {
            speakers,
            now,
            ticked: now,
            streams,
            changes: 0,
            reports: Vec::new(),
        }
    }

    /// 20 ms in which each stream sends what `sound` says.
    fn step(&mut self, mut sound: impl FnMut(u64) -> Sound) {
        for at in 0..self.streams.len() {
            let stream = self.streams[at].0;
            let level = match sound(stream.0) {
                Sound::Level(level) => Some((level, true)),
                Sound::Untold => None,
                Sound::Nothing => continue,
            };
            self.changes += usize::from(self.speakers.observe(self.now, stream, level));
        }
        self.now += PACKET;
        if self.now - self.ticked >= TICK {
            self.ticked += TICK;
            self.changes += usize::from(self.speakers.tick(self.now));
            if let Some((active, dominant)) = self.speakers.report(self.now) {
                self.reports.push((self.now, active, dominant));
            }
        }
    }

    /// `who` makes `sound` for `ms`, the others are quiet.
    fn play(&mut self, ms: u64, who: &[u64], sound: Sound) {
        for _ in 0..ms / 20 {
            self.step(|stream| if who.contains(&stream) { sound } else { QUIET });
        }
    }

    fn heard(&self) -> Vec<u64> {
        let slots = self.speakers.slots().iter();
        slots
            .filter_map(|slot| slot.map(|stream| stream.0))
            .collect()
    }

    fn dominant(&self) -> Option<u64> {
        self.speakers.dominance.stream().map(|stream| stream.0)
    }
}
