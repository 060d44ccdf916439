//! Who is heard and who has the floor in one room.
//!
//! Up to `loudest_max` people are always heard. Beyond that a slot goes to whoever begins to speak, with the first
//! packet that shows it, from whoever has been silent the longest; nobody who spoke within [`HOLD`] loses theirs to
//! an equally loud voice. Music has slots of its own.
//!
//! Budget: [`Speakers::observe`] is on the packet path. No allocation, one binary search, about twenty operations on
//! numbers and, only while somebody without a slot speaks, one look at each slot: below 300 ns at 200 streams.
//! `cargo bench -p sfu --bench conference`.

mod dominant;
mod slots;
#[cfg(test)]
mod tests;
mod voice;

use std::time::{Duration, Instant};

use crate::conference::{AUDIO_SLOTS_MAX, PUBLICATIONS_MAX, Speaker};
use crate::id::StreamId;
use dominant::Dominance;
use slots::Slots;
use voice::Voice;

/// Streams of one room: a thousand participants, each with all its publications. More are not heard.
const STREAMS_MAX: usize = 1000 * PUBLICATIONS_MAX;

/// Whoever spoke within this time is speaking, and keeps the slot from an equally loud voice: the pause between two
/// words. Longer, and a slot would be kept empty while somebody is not heard; whoever goes on after a breath is a
/// newcomer with a slot from the first packet.
const HOLD: Duration = Duration::from_millis(400);

/// The step of the slower decisions.
const TICK: Duration = Duration::from_millis(100);

/// Between two reports.
const REPORT_INTERVAL: Duration = Duration::from_millis(200);

/// A speaker's level is told again once it moved by this many dB.
const LEVEL_STEP: u8 = 3;

/// Listens to the levels of a room's streams.
#[derive(Debug, Default)]
pub(crate) struct Speakers {
    /// Sorted by stream, for binary search.
    voices: Vec<Voice>,
    slots: Slots,
    dominance: Dominance,
    arrivals: u64,
    ticked: Option<Instant>,
    reported: Option<Instant>,
    last: (Vec<Speaker>, Option<StreamId>),
}

impl Speakers {
    /// A room without streams, in which `loudest_max` people are heard beside the music.
    pub(crate) fn new(loudest_max: usize) -> Self {
        let mut speakers = Speakers::default();
        speakers.slots.loudest_max = loudest_max.min(AUDIO_SLOTS_MAX);
        speakers
    }

    /// The room's streams are these, each with whether it is music. The whole state, in order of coming; those that
    /// stay keep their history and their slots.
    pub(crate) fn set_streams(
        &mut self,
        now: Instant,
        streams: &[(StreamId, bool)],
        loudest_max: usize,
    ) {
        if streams.len() > STREAMS_MAX {
            tracing::warn!(
                streams = streams.len(),
                max = STREAMS_MAX,
                "more streams in a room than can be heard; the last ones are not"
            );
        }
        let mut voices = Vec::with_capacity(streams.len().min(STREAMS_MAX));
        for &(stream, is_music) in streams.iter().take(STREAMS_MAX) {
            self.arrivals += 1;
            let mut voice = match self.find(stream) {
                Some(at) => self.voices[at],
                None => Voice::new(stream, self.arrivals),
            };
            voice.set_music(is_music.then_some(self.arrivals));
            voices.push(voice);
        }
        voices.sort_by_key(|voice| voice.stream);
        voices.dedup_by_key(|voice| voice.stream);
        self.voices = voices;
        self.ticked.get_or_insert(now);
        self.slots.loudest_max = loudest_max.min(AUDIO_SLOTS_MAX);
        self.slots.rebuild(&mut self.voices);
        self.dominance.keep(&self.voices);
    }

    /// One audio packet of `stream`: its level in -dBov (0..=127) and voice flag of RFC 6464. Without a level it is
    /// taken for speech of medium loudness, for as long as packets come. True when the set of slots changed.
    pub(crate) fn observe(
        &mut self,
        now: Instant,
        stream: StreamId,
        level: Option<(u8, bool)>,
    ) -> bool {
        let Some(at) = self.find(stream) else {
            return false;
        };
        let speaks = self.voices[at].hear(now, level);
        speaks && self.slots.compete(now, at, &mut self.voices)
    }

    /// Every 100 ms: who has the floor. Somebody who speaks and found no slot tries again. True when the set of slots
    /// changed.
    pub(crate) fn tick(&mut self, now: Instant) -> bool {
        let ticked = *self.ticked.get_or_insert(now);
        let ticks = now.saturating_duration_since(ticked).as_millis() / TICK.as_millis();
        let ticks = u32::try_from(ticks).unwrap_or(u32::MAX);
        if ticks == 0 {
            return false;
        }
        self.ticked = Some(ticked + TICK * ticks);
        for voice in &mut self.voices {
            voice.tick(ticks);
        }
        self.dominance.tick(&self.voices);
        let mut changed = false;
        for at in 0..self.voices.len() {
            if self.voices[at].spoke_within(now, TICK) {
                changed |= self.slots.compete(now, at, &mut self.voices);
            }
        }
        changed
    }

    /// Slot `i` carries this stream. A stream keeps its slot while it is in; never longer than
    /// [`AUDIO_SLOTS_MAX`].
    pub(crate) fn slots(&self) -> &[Option<StreamId>] {
        self.slots.streams()
    }

    /// Who speaks, loudest first, and who has the floor: only when that changed since the last report, at most five
    /// times a second.
    pub(crate) fn report(&mut self, now: Instant) -> Option<(Vec<Speaker>, Option<StreamId>)> {
        if self
            .reported
            .is_some_and(|last| now.saturating_duration_since(last) < REPORT_INTERVAL)
        {
            return None;
        }
        let mut active: Vec<Speaker> = self
            .voices
            .iter()
            .filter(|voice| voice.is_active())
            .map(|voice| Speaker {
                stream: voice.stream,
                level: voice.level(),
            })
            .collect();
        active.sort_by_key(|speaker| (speaker.level, speaker.stream));
        active.truncate(AUDIO_SLOTS_MAX);
        let dominant = self.dominance.stream();
        if dominant == self.last.1 && is_nearly(&active, &self.last.0) {
            return None;
        }
        self.reported = Some(now);
        self.last = (active, dominant);
        Some(self.last.clone())
    }

    fn find(&self, stream: StreamId) -> Option<usize> {
        self.voices
            .binary_search_by_key(&stream, |voice| voice.stream)
            .ok()
    }
}

/// Whether the same people speak about as loudly as before.
fn is_nearly(active: &[Speaker], last: &[Speaker]) -> bool {
    active.len() == last.len()
        && active.iter().all(|speaker| {
            last.iter().any(|before| {
                before.stream == speaker.stream && before.level.abs_diff(speaker.level) < LEVEL_STEP
            })
        })
}
