//! A camera or a screen with a VP8 simulcast encoder.

use std::time::{Duration, Instant};

use str0m::Rtc;
use str0m::format::Codec;
use str0m::media::{Mid, Rid};
use str0m::rtp::{RtpWrite, SeqNo};

use crate::media::{Packetizer, Parameters, Picture, Video};

/// Packets that are kept for retransmission.
const RESEND_MAX: usize = 2000;

/// Share of the uplink that an encoder with perfect congestion control fills.
const UPLINK_SHARE: f64 = 0.7;

pub const RIDS: [&str; 3] = ["q", "h", "f"];

/// 160x90, 320x180 and 640x360 at 15 pictures a second.
pub const LAYERS: [u64; 3] = [60_000, 200_000, 700_000];

#[derive(Debug)]
struct Layer {
    rid: Option<Rid>,
    ssrc: u32,
    sequence: u64,
    timestamp_base: u32,
    bps: u64,
    packetizer: Packetizer,
    number: u32,
    wants_key: bool,
    /// Whether somebody watches it, as the server said last.
    is_watched: bool,
    was_active: bool,
}

#[derive(Debug)]
pub struct Camera {
    pub mid: Mid,
    /// Names its pictures.
    pub publication: u16,
    pub is_on: bool,
    /// Rate of each layer, lowest first.
    pub rates: Vec<u64>,
    pub frames_per_second: u32,
    /// What the uplink carries, if it is known to be narrow.
    pub uplink_bps: Option<u64>,
    /// Requests that came, and keyframes that were made, by layer.
    pub requests: [u64; 3],
    pub keyframes: [u64; 3],
    /// Pictures sent by layer.
    pub pictures: [u64; 3],
    has_rids: bool,
    base: Instant,
    started: Option<Instant>,
    frame: u32,
    next_layer: usize,
    layers: Vec<Layer>,
}

impl Camera {
    pub fn new(base: Instant, mid: Mid, has_rids: bool) -> Self {
        Self {
            mid,
            publication: 0,
            is_on: false,
            rates: if has_rids {
                LAYERS.to_vec()
            } else {
                vec![500_000]
            },
            frames_per_second: 15,
            uplink_bps: None,
            requests: [0; 3],
            keyframes: [0; 3],
            pictures: [0; 3],
            has_rids,
            base,
            started: None,
            frame: 0,
            next_layer: 0,
            layers: Vec::new(),
        }
    }

    /// Begins, at the moment of the connection.
    pub fn start(&mut self, now: Instant, rtc: &mut Rtc) {
        self.started = Some(now);
        let rids: Vec<Option<Rid>> = if self.has_rids {
            RIDS.iter().map(|rid| Some(Rid::from(*rid))).collect()
        } else {
            vec![None]
        };
        let mut api = rtc.direct_api();
        for (rid, bps) in rids.into_iter().zip(self.rates.clone()) {
            let Some(stream) = api.stream_tx_by_mid(self.mid, rid) else {
                continue;
            };
            // Browsers repair whatever is asked for; str0m by itself stops at 15 percent.
            stream.set_rtx_cache(RESEND_MAX, Duration::from_secs(3), None);
            self.layers.push(Layer {
                rid,
                ssrc: *stream.ssrc(),
                // High enough to wrap soon.
                sequence: u64::from(fastrand::u16(50_000..65_000)),
                timestamp_base: u32::MAX - fastrand::u32(..2_000_000),
                bps,
                packetizer: Packetizer::new(Video::Vp8, Parameters::Apart, fastrand::u16(..)),
                number: 0,
                wants_key: true,
                is_watched: true,
                was_active: false,
            });
        }
    }

    pub fn on_keyframe_request(&mut self, rid: Option<Rid>) {
        for (at, layer) in self.layers.iter_mut().enumerate() {
            if rid.is_none() || layer.rid == rid {
                layer.wants_key = true;
                self.requests[at] += 1;
            }
        }
    }

    /// Which layers are worth sending.
    pub fn on_watched(&mut self, watched: &[bool]) {
        for (layer, watched) in self.layers.iter_mut().zip(watched) {
            layer.is_watched = *watched;
        }
    }

    /// The layers that are sent now: those that are watched and fit, lowest first.
    pub fn active(&self) -> Vec<bool> {
        let mut left = self
            .uplink_bps
            .map_or(f64::INFINITY, |bps| bps as f64 * UPLINK_SHARE);
        let fits = |layer: &Layer| {
            let takes = layer.is_watched && left >= layer.bps as f64;
            if takes {
                left -= layer.bps as f64;
            }
            takes
        };
        self.layers.iter().map(fits).collect()
    }

    fn captured(&self) -> Option<Instant> {
        let at = Duration::from_secs(1) * self.frame / self.frames_per_second;
        Some(self.started? + at)
    }

    pub fn next(&self) -> Option<Instant> {
        self.captured().filter(|_| self.is_on)
    }

    /// Turned on or off. Begins again with keyframes.
    pub fn switch(&mut self, now: Instant, is_on: bool) {
        self.is_on = is_on;
        if let Some(started) = self.started {
            let since = now.saturating_duration_since(started).as_millis();
            let frames = since * u128::from(self.frames_per_second) / 1000;
            self.frame = self.frame.max(u32::try_from(frames).unwrap());
        }
        for layer in &mut self.layers {
            layer.wants_key = true;
        }
    }

    /// Writes one picture that is due; returns whether there was one.
    pub fn write(&mut self, now: Instant, rtc: &mut Rtc) -> bool {
        let Some(captured) = self.captured().filter(|at| self.is_on && *at <= now) else {
            return false;
        };
        let active = self.active();
        while self.next_layer < active.len() {
            let at = self.next_layer;
            self.next_layer += 1;
            if active[at] {
                self.write_picture(at, captured, rtc);
                return true;
            }
            self.layers[at].was_active = false;
        }
        self.next_layer = 0;
        self.frame += 1;
        true
    }

    fn write_picture(&mut self, at: usize, captured: Instant, rtc: &mut Rtc) {
        let layer = &mut self.layers[at];
        // A layer that comes back begins with a keyframe, as browsers begin it.
        let resumes = !std::mem::replace(&mut layer.was_active, true);
        let key = std::mem::take(&mut layer.wants_key) || resumes;
        let picture = Picture {
            publication: self.publication,
            layer: u8::try_from(at).unwrap(),
            key,
            number: layer.number,
            reference: layer.number.saturating_sub(1),
            captured_us: u64::try_from((captured - self.base).as_micros()).unwrap(),
        };
        layer.number += 1;
        self.keyframes[at] += u64::from(key);
        self.pictures[at] += 1;
        let mean = usize::try_from(layer.bps / 8 / u64::from(self.frames_per_second)).unwrap();
        let length = if key {
            mean * 4
        } else {
            mean * (70 + fastrand::usize(..40)) / 100
        };
        let started = self.started.unwrap_or(captured);
        let ticks = (captured - started).as_micros() * 9 / 100;
        #[expect(clippy::cast_possible_truncation, reason = "RTP time wraps")]
        let timestamp = layer.timestamp_base.wrapping_add(ticks as u32);
        let params = rtc.codec_config().params().iter();
        let pt = params
            .into_iter()
            .find(|params| params.spec().codec == Codec::Vp8)
            .expect("VP8 was offered")
            .pt();
        let payloads = layer.packetizer.packetize(&picture, length);
        let last = payloads.len() - 1;
        for (at, payload) in payloads.into_iter().enumerate() {
            let sequence = SeqNo::from(layer.sequence);
            layer.sequence += 1;
            let write = RtpWrite::new(pt, sequence, timestamp, captured, payload);
            if let Some(stream) = rtc.direct_api().stream_tx(&layer.ssrc.into()) {
                stream.write_rtp(write.marker(at == last).nackable(true));
            }
        }
    }
}
