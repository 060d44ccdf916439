//! What a viewer keeps of what it got.

use std::time::{Duration, Instant, SystemTime};

use str0m::rtp::RtpPacket;

use crate::receiver::{AudioReceiver, Format, VideoReceiver};

/// Between two keyframe requests of a viewer, and between two looks at what is missing.
const ASK_INTERVAL: Duration = Duration::from_millis(500);
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub struct Viewer {
    pub video: VideoReceiver,
    pub audio: AudioReceiver,
    /// NTP time and RTP timestamp of the last sender report, for sound and picture.
    pub reports: [Option<(SystemTime, u32)>; 2],
    /// Whether it asks for keyframes when its picture is broken, as browsers do.
    pub asks: bool,
    /// After so long without a picture it asks for one, broken or not.
    pub patience: Option<Duration>,
    /// Capture times that packets of pictures brought, by the publisher's clock, and whether they came with an offset.
    pub captured: Vec<(SystemTime, bool)>,
    next_look: Option<Instant>,
    last_asked: Option<Instant>,
}

impl Viewer {
    pub fn new() -> Self {
        Self {
            video: VideoReceiver::new(),
            audio: AudioReceiver::new(),
            reports: [None; 2],
            asks: true,
            patience: None,
            captured: Vec::new(),
            next_look: None,
            last_asked: None,
        }
    }

    pub fn on_packet(&mut self, now: Instant, packet: &RtpPacket, format: Format) {
        match format {
            Format::Video(_) => {
                let captured = packet.header.ext_vals.abs_capture_time;
                let captured = captured.map(|at| (at.capture_time, at.clock_offset.is_some()));
                self.captured.extend(captured);
                self.video.push(now, packet, format);
            }
            Format::Opus | Format::Red => self.audio.push(now, packet, format),
        }
        self.next_look.get_or_insert(now + LOOK_INTERVAL);
    }

    pub fn on_report(&mut self, is_audio: bool, ntp: SystemTime, timestamp: u32) {
        self.reports[usize::from(!is_audio)] = Some((ntp, timestamp));
    }

    pub fn next(&self) -> Option<Instant> {
        self.next_look
    }

    /// Lets time pass; returns whether a keyframe is wanted.
    pub fn look(&mut self, now: Instant) -> bool {
        if self.next_look.is_none_or(|at| at > now) {
            return false;
        }
        self.next_look = Some(now + LOOK_INTERVAL);
        self.video.advance(now);
        self.audio.advance(now);
        let may_ask = self
            .last_asked
            .is_none_or(|last| now.saturating_duration_since(last) >= ASK_INTERVAL);
        let last_shown = self.video.decoded.last().map(|decoded| decoded.at);
        let is_frozen = self
            .patience
            .zip(last_shown)
            .is_some_and(|(patience, shown)| now - shown >= patience);
        if self.asks && (self.video.is_broken || is_frozen) && may_ask {
            self.last_asked = Some(now);
            return true;
        }
        false
    }

    /// Everything that was wrong.
    pub fn violations(&self) -> impl Iterator<Item = &String> {
        self.video.violations.iter().chain(&self.audio.violations)
    }

    /// The highest age of a picture shown between two instants.
    pub fn age_max(&self, base: Instant, from: Instant, until: Instant) -> Option<Duration> {
        self.video
            .decoded
            .iter()
            .filter(|decoded| (from..until).contains(&decoded.at))
            .map(|decoded| age(base, decoded.at, decoded.picture.captured_us))
            .max()
    }
}

/// The age of something captured that was shown at `at`.
pub fn age(base: Instant, at: Instant, captured_us: u64) -> Duration {
    at.saturating_duration_since(base + Duration::from_micros(captured_us))
}
