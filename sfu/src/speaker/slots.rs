//! Which streams are in slots.

use std::cmp::{Ordering, Reverse};
use std::time::Instant;

use super::HOLD;
use super::voice::Voice;
use crate::conference::AUDIO_SLOTS_MAX;
use crate::id::StreamId;

/// Slots that music leaves to those who speak, if anybody could: a conversation needs two.
const SPEECH_MIN: usize = 2;

/// Among people who all spoke just now, a voice without a slot takes the quietest one's if it is louder by so many dB.
/// One second's averages of equally loud voices differ by about 4 dB between the extremes of twenty.
const LOUDER: f32 = 6.0;

/// The slots of a room. Free ones at the end are cut off; one in between waits for the next stream, because a stream
/// that moved would be a cut for everybody who hears it.
#[derive(Debug, Default)]
pub(super) struct Slots {
    pub(super) loudest_max: usize,
    streams: Vec<Option<StreamId>>,
    /// Slots that are not for music now.
    speech_max: usize,
    /// The voice in each slot, as an index.
    voices: [Option<usize>; AUDIO_SLOTS_MAX],
}

impl Slots {
    pub(super) fn streams(&self) -> &[Option<StreamId>] {
        &self.streams
    }

    /// The voices have changed: music sits down, the loudest have the rest, and who can stay stays.
    pub(super) fn rebuild(&mut self, voices: &mut [Voice]) {
        self.streams.reserve(AUDIO_SLOTS_MAX);
        let music = exempt(voices, self.loudest_max);
        self.speech_max = self.loudest_max.min(AUDIO_SLOTS_MAX - music);
        self.voices = [None; AUDIO_SLOTS_MAX];
        for (at, voice) in voices.iter().enumerate() {
            if let Some(slot) = voice.slot {
                self.voices[usize::from(slot)] = Some(at);
            }
        }
        while self.speakers(voices).count() > self.speech_max {
            let Some(last) = self.speakers(voices).min_by(|a, b| rank(voices, *a, *b)) else {
                break;
            };
            self.clear(last, voices);
        }
        for at in 0..voices.len() {
            if voices[at].is_exempt && voices[at].slot.is_none() {
                self.seat(at, voices);
            }
        }
        let free = self.speech_max - self.speakers(voices).count();
        for _ in 0..free {
            let waiting =
                (0..voices.len()).filter(|at| !voices[*at].is_exempt && voices[*at].slot.is_none());
            let Some(next) = waiting.max_by(|a, b| rank(voices, *a, *b)) else {
                break;
            };
            self.seat(next, voices);
        }
        self.list(voices);
    }

    /// Voice `challenger` speaks. True if it took a slot just now.
    pub(super) fn compete(
        &mut self,
        now: Instant,
        challenger: usize,
        voices: &mut [Voice],
    ) -> bool {
        if voices[challenger].slot.is_some() {
            return false;
        }
        let Some(silent) = self.speakers(voices).min_by(|a, b| rank(voices, *a, *b)) else {
            return false;
        };
        let loser = if voices[silent].spoke_within(now, HOLD) {
            let quietest = self
                .speakers(voices)
                .min_by(|a, b| voices[*a].loudness.total_cmp(&voices[*b].loudness));
            quietest.filter(|at| voices[challenger].loudness >= voices[*at].loudness + LOUDER)
        } else {
            Some(silent)
        };
        let Some(loser) = loser else {
            return false;
        };
        self.clear(loser, voices);
        self.seat(challenger, voices);
        self.list(voices);
        true
    }

    /// Those in slots who are not there for their music.
    fn speakers<'a>(&'a self, voices: &'a [Voice]) -> impl Iterator<Item = usize> + 'a {
        self.voices
            .iter()
            .filter_map(|at| *at)
            .filter(|at| !voices[*at].is_exempt)
    }

    fn clear(&mut self, at: usize, voices: &mut [Voice]) {
        if let Some(slot) = voices[at].slot.take() {
            self.voices[usize::from(slot)] = None;
        }
    }

    fn seat(&mut self, at: usize, voices: &mut [Voice]) {
        let Some(free) = self.voices.iter().position(Option::is_none) else {
            return;
        };
        self.voices[free] = Some(at);
        voices[at].slot = u8::try_from(free).ok();
    }

    fn list(&mut self, voices: &[Voice]) {
        let length = self.voices.iter().rposition(Option::is_some);
        self.streams.clear();
        let used = &self.voices[..length.map_or(0, |last| last + 1)];
        self.streams
            .extend(used.iter().map(|at| at.map(|at| voices[at].stream)));
    }
}

/// Who spoke last, then who is louder, then who came first.
fn rank(voices: &[Voice], a: usize, b: usize) -> Ordering {
    let (a, b) = (&voices[a], &voices[b]);
    a.last_voice
        .cmp(&b.last_voice)
        .then(a.loudness.total_cmp(&b.loudness))
        .then(Reverse(a.arrival).cmp(&Reverse(b.arrival)))
}

/// Marks the streams of music that have slots, first come; the rest must be loud like everybody else. How many.
fn exempt(voices: &mut [Voice], loudest_max: usize) -> usize {
    let mut music: Vec<(u64, usize)> = voices
        .iter()
        .enumerate()
        .filter_map(|(at, voice)| voice.music_since.map(|since| (since, at)))
        .collect();
    music.sort_unstable();
    let speech = SPEECH_MIN.min(loudest_max).min(voices.len() - music.len());
    music.truncate(AUDIO_SLOTS_MAX - speech);
    for voice in voices.iter_mut() {
        voice.is_exempt = false;
    }
    for &(_, at) in &music {
        voices[at].is_exempt = true;
    }
    music.len()
}
