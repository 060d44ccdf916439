//! Who has the floor.
//!
//! The idea of three time scales is Volfin and Cohen's ("Dominant speaker identification for multipoint
//! videoconferencing", 2013): a cough is loud now but not for a second, a short "yes" lasts but interrupts somebody
//! who has spoken for longer. Here each scale is a count of ticks with speech, which needs no tuning to microphones.

use super::voice::Voice;
use crate::id::StreamId;

/// Now: somebody who is not speaking any more takes nothing.
const NOW_TICKS: u32 = 3;
const NOW_MIN: u32 = 2;

/// The last second: that many ticks of speech, and so many more than whoever has the floor. After 600 ms of speech
/// into silence it changes; "yes, exactly" is over before.
const MEDIUM_TICKS: u32 = 10;
const MEDIUM_MIN: u32 = 6;
const MEDIUM_MORE: u32 = 4;

/// When nobody has the floor yet, 300 ms take it.
const FIRST_MIN: u32 = 3;

/// The last four seconds, for two who speak at once: the one who does it nearly all the time and is much louder has
/// it. Steady noise at the other's microphone does not hold the floor for ever.
const LONG_TICKS: u32 = 40;
const LONG_MIN: u32 = 32;
const LONG_LOUDER: f32 = 10.0;

/// Remembers who has the floor.
#[derive(Debug, Default)]
pub(super) struct Dominance {
    stream: Option<StreamId>,
}

impl Dominance {
    pub(super) fn stream(&self) -> Option<StreamId> {
        self.stream
    }

    /// Gives the floor up if whoever had it is gone.
    pub(super) fn keep(&mut self, voices: &[Voice]) {
        self.stream = self.holder(voices).map(|voice| voice.stream);
    }

    /// The floor is taken by whoever has clearly more speech; it stays where it is in silence.
    pub(super) fn tick(&mut self, voices: &[Voice]) {
        let holder = self.holder(voices);
        let taker = voices
            .iter()
            .filter(|voice| takes(voice, holder))
            .max_by(|a, b| {
                let is_speech = |voice: &Voice| voice.music_since.is_none();
                (is_speech(a).cmp(&is_speech(b)))
                    .then(
                        a.spoken_ticks(MEDIUM_TICKS)
                            .cmp(&b.spoken_ticks(MEDIUM_TICKS)),
                    )
                    .then(a.spoken_ticks(LONG_TICKS).cmp(&b.spoken_ticks(LONG_TICKS)))
                    .then(a.loudness.total_cmp(&b.loudness))
                    .then(b.arrival.cmp(&a.arrival))
            });
        if let Some(taker) = taker {
            self.stream = Some(taker.stream);
        }
    }

    fn holder<'a>(&self, voices: &'a [Voice]) -> Option<&'a Voice> {
        let stream = self.stream?;
        let at = voices.binary_search_by_key(&stream, |voice| voice.stream);
        at.ok().map(|at| &voices[at])
    }
}

/// Whether `voice` takes the floor from `holder`.
fn takes(voice: &Voice, holder: Option<&Voice>) -> bool {
    if voice.spoken_ticks(NOW_TICKS) < NOW_MIN {
        return false;
    }
    let medium = voice.spoken_ticks(MEDIUM_TICKS);
    let Some(holder) = holder else {
        return medium >= FIRST_MIN;
    };
    if holder.stream == voice.stream || medium < MEDIUM_MIN {
        return false;
    }
    let (is_music, over_music) = (voice.music_since.is_some(), holder.music_since.is_some());
    match (is_music, over_music) {
        // Somebody speaks to the music.
        (false, true) => true,
        // Music under somebody's words: only once they have been silent for a while.
        (true, false) => holder.spoken_ticks(LONG_TICKS) == 0,
        _ => {
            medium >= holder.spoken_ticks(MEDIUM_TICKS) + MEDIUM_MORE
                || (voice.spoken_ticks(LONG_TICKS) >= LONG_MIN
                    && voice.loudness >= holder.loudness + LONG_LOUDER)
        }
    }
}
