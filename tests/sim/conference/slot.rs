//! A section in which a participant receives now this stream, now that.

use std::time::{Duration, Instant};

use sfu::{SlotState, StreamId};
use str0m::media::Mid;
use str0m::rtp::RtpPacket;

use super::voice::Voice;
use crate::receiver::{Format, VideoReceiver};

/// Between two keyframe requests for one slot.
const ASK_INTERVAL: Duration = Duration::from_millis(500);

/// A packet of sound that came.
#[derive(Debug, Clone, Copy)]
pub struct Heard {
    pub at: Instant,
    pub sequence: u64,
    pub timestamp: u32,
    pub voice: Voice,
}

#[derive(Debug)]
pub struct Slot {
    pub mid: Mid,
    pub is_audio: bool,
    pub ssrc: Option<u32>,
    /// What it carries, as the server said last.
    pub carries: Option<(StreamId, SlotState)>,
    /// Sound, in the order in which it came.
    pub heard: Vec<Heard>,
    pub picture: VideoReceiver,
    pub violations: Vec<String>,
    last_asked: Option<Instant>,
}

impl Slot {
    pub fn new(mid: Mid, is_audio: bool) -> Self {
        Self {
            mid,
            is_audio,
            ssrc: None,
            carries: None,
            heard: Vec::new(),
            picture: VideoReceiver::new(),
            violations: Vec::new(),
            last_asked: None,
        }
    }

    pub fn on_packet(&mut self, now: Instant, packet: &RtpPacket, format: Format) {
        match (self.is_audio, format) {
            (true, Format::Opus) => self.on_sound(now, packet),
            (false, Format::Video(_)) => self.picture.push(now, packet, format),
            (is_audio, format) => self.violations.push(format!(
                "{format:?} in a slot for {}",
                if is_audio { "sound" } else { "pictures" }
            )),
        }
    }

    fn on_sound(&mut self, now: Instant, packet: &RtpPacket) {
        let ssrc = *packet.header.ssrc;
        if self.ssrc.is_some_and(|known| known != ssrc) {
            self.violations
                .push(format!("the SSRC changed from {:?} to {ssrc}", self.ssrc));
        }
        match Voice::decode(&packet.payload) {
            Some(voice) => self.heard.push(Heard {
                at: now,
                sequence: *packet.seq_no,
                timestamp: packet.header.timestamp,
                voice,
            }),
            None => self
                .violations
                .push("sound that nobody sent, or changed on its way".into()),
        }
    }

    /// Lets time pass; returns whether a keyframe is wanted.
    pub fn look(&mut self, now: Instant) -> bool {
        if self.is_audio {
            return false;
        }
        self.picture.advance(now);
        let may_ask = self
            .last_asked
            .is_none_or(|last| now.saturating_duration_since(last) >= ASK_INTERVAL);
        let asks = self.picture.is_broken && may_ask && self.carries.is_some();
        if asks {
            self.last_asked = Some(now);
        }
        asks
    }
}
