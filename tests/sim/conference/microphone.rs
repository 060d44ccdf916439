//! A microphone whose owner speaks by a script, with levels of RFC 6464.

use std::time::{Duration, Instant};

use str0m::Rtc;
use str0m::media::{ExtensionValues, Mid};
use str0m::rtp::{RtpWrite, SeqNo};

use super::voice::Voice;

pub const FRAME: Duration = Duration::from_millis(20);

/// Frames from one packet of a pause to the next, as Opus does it with DTX.
const QUIET_FRAMES: u32 = 20;

/// Level of a pause: digital silence.
const SILENCE: i8 = -127;

/// From when until when somebody speaks, in time since the start of the world.
#[derive(Debug, Clone, Copy)]
pub struct Turn {
    pub from: Duration,
    pub until: Duration,
    /// In dBov, -127 to 0.
    pub level: i8,
}

impl Turn {
    pub fn new(from: Duration, until: Duration) -> Self {
        Self {
            from,
            until,
            level: -25,
        }
    }
}

/// A packet that was sent; its place is its number.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    pub at: Instant,
    pub is_voiced: bool,
}

#[derive(Debug)]
pub struct Microphone {
    pub mid: Mid,
    /// Names its packets.
    pub publication: u16,
    pub is_on: bool,
    /// In order, not overlapping.
    pub turns: Vec<Turn>,
    /// The level between turns, in packets all the time. `None`: DTX.
    pub noise: Option<i8>,
    pub ssrc: u32,
    /// The sequence number of packet 0.
    pub first_sequence: u64,
    pub sent: Vec<Sent>,
    base: Instant,
    started: Option<Instant>,
    timestamp_base: u32,
    /// The frame that is next, since the start.
    frame: u32,
    was_voiced: bool,
}

impl Microphone {
    pub fn new(base: Instant, mid: Mid) -> Self {
        Self {
            mid,
            publication: 0,
            is_on: false,
            turns: Vec::new(),
            noise: None,
            ssrc: 0,
            first_sequence: 0,
            sent: Vec::new(),
            base,
            started: None,
            timestamp_base: 0,
            frame: 0,
            was_voiced: false,
        }
    }

    /// Begins, at the moment of the connection.
    pub fn start(&mut self, now: Instant, rtc: &mut Rtc) {
        self.started = Some(now);
        if let Some(stream) = rtc.direct_api().stream_tx_by_mid(self.mid, None) {
            self.ssrc = *stream.ssrc();
        }
        self.timestamp_base = fastrand::u32(..);
        // RFC 3550: a random start; low enough that SRTP's rollover counter begins at zero.
        self.first_sequence = u64::from(fastrand::u16(..60_000));
    }

    fn turn_at(&self, at: Duration) -> Option<&Turn> {
        let after = self.turns.partition_point(|turn| turn.until <= at);
        self.turns.get(after).filter(|turn| turn.from <= at)
    }

    fn time_of(&self, frame: u32) -> Option<Instant> {
        Some(self.started? + FRAME * frame)
    }

    /// The next frame that is sent.
    fn due(&self) -> Option<(u32, Instant)> {
        let here = self.time_of(self.frame)?;
        if !self.is_on {
            return None;
        }
        let since = here - self.base;
        if self.noise.is_some() || self.turn_at(since).is_some() {
            return Some((self.frame, here));
        }
        let mut frame = self.frame.next_multiple_of(QUIET_FRAMES);
        let after = self.turns.partition_point(|turn| turn.until <= since);
        if let Some(turn) = self.turns.get(after) {
            let wait = turn.from.saturating_sub(since);
            let frames = wait.as_nanos().div_ceil(FRAME.as_nanos());
            frame = frame.min(self.frame + u32::try_from(frames).unwrap_or(u32::MAX / 2));
        }
        Some((frame, self.time_of(frame)?))
    }

    pub fn next(&self) -> Option<Instant> {
        self.due().map(|(_, at)| at)
    }

    /// Turned on or off; the frames of the time between were not sent.
    pub fn switch(&mut self, now: Instant, is_on: bool) {
        self.is_on = is_on;
        if let Some(started) = self.started {
            let frames = now.saturating_duration_since(started).as_nanos() / FRAME.as_nanos();
            self.frame = self.frame.max(u32::try_from(frames).unwrap());
        }
    }

    /// Writes one frame that is due; returns whether there was one.
    pub fn write(&mut self, now: Instant, rtc: &mut Rtc) -> bool {
        let Some((frame, at)) = self.due().filter(|(_, at)| *at <= now) else {
            return false;
        };
        self.frame = frame + 1;
        let turn = self.turn_at(at - self.base).copied();
        let is_voiced = turn.is_some();
        let number = u32::try_from(self.sent.len()).unwrap();
        let voice = Voice {
            publication: self.publication,
            number,
            is_voiced,
        };
        let params = rtc.codec_config().params().iter();
        let pt = params
            .into_iter()
            .find(|params| params.spec().codec.is_audio())
            .expect("Opus was offered")
            .pt();
        // Speech swells and ebbs.
        let swell = i8::try_from(number * 7 % 9).unwrap() - 4;
        let level = turn.map_or(self.noise.unwrap_or(SILENCE), |turn| turn.level + swell);
        let extensions = ExtensionValues {
            audio_level: Some(level),
            voice_activity: Some(is_voiced),
            ..ExtensionValues::default()
        };
        let write = RtpWrite::new(
            pt,
            SeqNo::from(self.first_sequence + u64::from(number)),
            self.timestamp_base.wrapping_add(frame.wrapping_mul(960)),
            at,
            voice.encode(),
        );
        let begins = is_voiced && !std::mem::replace(&mut self.was_voiced, is_voiced);
        if let Some(stream) = rtc.direct_api().stream_tx(&self.ssrc.into()) {
            stream.write_rtp(write.marker(begins).ext_vals(extensions));
        }
        self.sent.push(Sent { at: now, is_voiced });
        true
    }

    /// The number of the packet with this 16-bit sequence number.
    pub fn number_of(&self, sequence: u16) -> Option<u32> {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "sequence numbers are 16 bits"
        )]
        let number = u32::from(sequence.wrapping_sub(self.first_sequence as u16));
        ((number as usize) < self.sent.len()).then_some(number)
    }

    /// First and last number of each run of voiced packets.
    pub fn spoken(&self) -> Vec<(u32, u32)> {
        let mut runs: Vec<(u32, u32)> = Vec::new();
        for (number, sent) in (0_u32..).zip(&self.sent) {
            if !sent.is_voiced {
                continue;
            }
            match runs.last_mut() {
                Some((_, last)) if *last + 1 == number => *last = number,
                _ => runs.push((number, number)),
            }
        }
        runs
    }
}
