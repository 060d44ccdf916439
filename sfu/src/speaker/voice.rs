//! One stream's sound: is this speech, how loud is it, and when was it.
//!
//! Loudness here is 127 less the level of RFC 6464, so that more is louder: 127 is full scale, 0 digital silence.

use std::time::{Duration, Instant};

use crate::id::StreamId;

/// The loudness of a sender that does not tell: speech at -40 dBov.
const UNTOLD: f32 = 87.0;

/// Where the background is taken to be before it was heard: -60 dBov.
const BACKGROUND_FIRST: f32 = 67.0;

/// Below -68 dBov it does not matter how quiet a room is: noise suppression leaves clicks at -60.
const BACKGROUND_MIN: f32 = 59.0;

/// The background never rises above -40 dBov: singing without a pause stays a voice.
const BACKGROUND_MAX: f32 = 87.0;

/// The background follows a fan that starts, in dB per second. A pause between two words takes it back at once.
const BACKGROUND_RISE: f32 = 2.0;

/// Over this time loudness is averaged before it counts as background, in seconds.
const BACKGROUND_TIME: f32 = 0.1;

/// A packet speaks for a voice by as many dB as it exceeds the background and this margin. Senders set the voice flag
/// on nearly everything (libwebrtc without DTX: always), so that it is worth little.
const MARGIN_FLAGGED: f32 = 9.0;
const MARGIN: f32 = 12.0;

/// That much evidence, in dB summed over packets (Page's cumulative sum), is a voice: one packet 18 dB above the
/// background, two that are 14 dB above. Noise of 3 dB deviation gets there once in hours.
const EVIDENCE: f32 = 9.0;

/// More is not collected, so that a voice ends within three quiet packets.
const EVIDENCE_MAX: f32 = 30.0;

/// Over this time a voice's loudness is averaged, in seconds: longer than a word.
const LOUDNESS_TIME: f32 = 1.0;

/// A packet's length is guessed from when it came; bursts and gaps are not taken at their word.
const PACKET_MIN: Duration = Duration::from_millis(10);
const PACKET_FIRST: Duration = Duration::from_millis(20);
const PACKET_MAX: Duration = Duration::from_millis(60);

/// A tick has speech in it if a voice was heard for so long.
const SPOKEN_MIN: Duration = Duration::from_millis(40);

/// Ticks of the past in which speech shows as active, and how many of them need it: lit within 200 ms, for half a
/// second after the last word.
const ACTIVE_TICKS: u32 = 6;
const ACTIVE_MIN: u32 = 2;

/// What is known of one stream's sound.
#[derive(Debug, Clone, Copy)]
pub(super) struct Voice {
    pub(super) stream: StreamId,
    /// In the order of coming.
    pub(super) arrival: u64,
    /// Since when, in the order of coming, it is music.
    pub(super) music_since: Option<u64>,
    /// Has a slot because it is music.
    pub(super) is_exempt: bool,
    pub(super) slot: Option<u8>,
    /// When speech was last heard.
    pub(super) last_voice: Option<Instant>,
    /// While speaking.
    pub(super) loudness: f32,
    background: f32,
    smooth: f32,
    evidence: f32,
    last_packet: Option<Instant>,
    spoken: Duration,
    /// One bit for each tick, the latest lowest: was there speech?
    history: u64,
}

impl Voice {
    pub(super) fn new(stream: StreamId, arrival: u64) -> Self {
        Voice {
            stream,
            arrival,
            music_since: None,
            is_exempt: false,
            slot: None,
            last_voice: None,
            loudness: BACKGROUND_FIRST,
            background: BACKGROUND_FIRST,
            smooth: BACKGROUND_FIRST,
            evidence: 0.0,
            last_packet: None,
            spoken: Duration::ZERO,
            history: 0,
        }
    }

    /// Music since `since`, or no more.
    pub(super) fn set_music(&mut self, since: Option<u64>) {
        self.music_since = match (self.music_since, since) {
            (Some(earlier), Some(_)) => Some(earlier),
            (_, since) => since,
        };
    }

    /// Takes one packet in. Whether somebody speaks in it.
    pub(super) fn hear(&mut self, now: Instant, level: Option<(u8, bool)>) -> bool {
        let length = match self.last_packet {
            Some(last) => now
                .saturating_duration_since(last)
                .clamp(PACKET_MIN, PACKET_MAX),
            None => PACKET_FIRST,
        };
        self.last_packet = Some(now);
        let seconds = length.as_secs_f32();
        let loudness = match level {
            Some((level, flag)) => {
                let loudness = 127.0 - f32::from(level.min(127));
                self.weigh(loudness, flag, seconds);
                loudness
            }
            None => {
                self.evidence = EVIDENCE_MAX;
                UNTOLD
            }
        };
        if self.evidence < EVIDENCE {
            return false;
        }
        self.loudness += (loudness - self.loudness) * seconds / (LOUDNESS_TIME + seconds);
        self.last_voice = Some(now);
        self.spoken += length;
        true
    }

    /// Follows the background and collects evidence of a voice above it.
    fn weigh(&mut self, loudness: f32, flag: bool, seconds: f32) {
        let margin = if flag { MARGIN_FLAGGED } else { MARGIN };
        let excess = loudness - self.background - margin;
        self.evidence = (self.evidence + excess).clamp(0.0, EVIDENCE_MAX);
        self.smooth += (loudness - self.smooth) * seconds / (BACKGROUND_TIME + seconds);
        if self.music_since.is_some() {
            // Music has no background: a held chord must not become one.
            self.background = BACKGROUND_FIRST;
            return;
        }
        let risen = self.background + BACKGROUND_RISE * seconds;
        self.background = self.smooth.min(risen).clamp(BACKGROUND_MIN, BACKGROUND_MAX);
    }

    /// `ticks` have passed since the last call.
    pub(super) fn tick(&mut self, ticks: u32) {
        // Ticks that come late share what was heard since the last one.
        let recent = match self.spoken >= SPOKEN_MIN * ticks.min(64) {
            true => u64::MAX.checked_shl(ticks).map_or(u64::MAX, |rest| !rest),
            false => u64::from(self.spoken >= SPOKEN_MIN),
        };
        self.history = self.history.checked_shl(ticks).unwrap_or(0) | recent;
        self.spoken = Duration::ZERO;
    }

    /// In how many of the last `ticks` (below 64) there was speech.
    pub(super) fn spoken_ticks(&self, ticks: u32) -> u32 {
        (self.history & ((1 << ticks) - 1)).count_ones()
    }

    /// Whether to show it as speaking.
    pub(super) fn is_active(&self) -> bool {
        self.spoken_ticks(ACTIVE_TICKS) >= ACTIVE_MIN
    }

    pub(super) fn spoke_within(&self, now: Instant, time: Duration) -> bool {
        self.last_voice
            .is_some_and(|last| now.saturating_duration_since(last) < time)
    }

    /// Smoothed loudness in -dBov.
    pub(super) fn level(&self) -> u8 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to 0..=127"
        )]
        let level = (127.0 - self.loudness).clamp(0.0, 127.0).round() as u8;
        level
    }
}
