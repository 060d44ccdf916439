//! A camera, a microphone and their encoders.

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime};

use str0m::Rtc;
use str0m::media::ExtensionValues;
use str0m::media::{Mid, Rid};
use str0m::rtp::{AbsCaptureTime, RtpWrite, SeqNo, rtcp::NackEntry};

use crate::media::{Packetizer, Parameters, Picture, Video, opus};

/// Packets that an encoder without RTX can send again.
const RESEND_MAX: usize = 2000;

const AUDIO_INTERVAL: Duration = Duration::from_millis(20);

/// How a publisher behaves.
#[derive(Debug, Clone)]
pub struct Manner {
    /// Names the publication in its pictures.
    pub publication: u16,
    pub codec: Video,
    pub parameters: Parameters,
    pub frames_per_second: u32,
    /// Pictures from keyframe to keyframe; 0 for no further keyframe.
    pub gop: u32,
    /// Rate of each layer, in bits per second.
    pub layers: Vec<u64>,
    pub answers_keyframe_requests: bool,
    pub has_audio: bool,
    pub red: bool,
    /// Whether each packet says when it was captured.
    pub capture_times: bool,
    /// Encoder latency of pictures: they leave this much later than the sound of the same moment.
    pub video_latency: Duration,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            publication: 1,
            codec: Video::H264,
            parameters: Parameters::Apart,
            frames_per_second: 30,
            gop: 60,
            layers: vec![1_000_000],
            answers_keyframe_requests: true,
            has_audio: true,
            red: false,
            capture_times: false,
            video_latency: Duration::ZERO,
        }
    }
}

#[derive(Debug)]
struct Sent {
    sequence: u64,
    timestamp: u32,
    wallclock: Instant,
    marker: bool,
    captured_us: Option<u64>,
    payload: Vec<u8>,
}

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
    sent: VecDeque<Sent>,
}

#[derive(Debug)]
pub struct Publisher {
    pub manner: Manner,
    base: Instant,
    started: Option<Instant>,
    layers: Vec<Layer>,
    audio_ssrc: u32,
    audio_timestamp_base: u32,
    audio_sequence: u64,
    audio_number: u32,
    video_number: u32,
    /// The layer whose picture is written next.
    next_layer: usize,
    /// SSRC and packets that were asked for again.
    nacked: Vec<(u32, Vec<NackEntry>)>,
    /// Keyframe requests that arrived.
    pub requests: u64,
    pub keyframes: u64,
    /// Packets of pictures that were sent.
    pub packets: u64,
    pub is_muted: bool,
}

impl Publisher {
    pub fn new(base: Instant, manner: Manner) -> Self {
        Self {
            manner,
            base,
            started: None,
            layers: Vec::new(),
            audio_ssrc: 0,
            audio_timestamp_base: 0,
            audio_sequence: 0,
            audio_number: 0,
            video_number: 0,
            next_layer: 0,
            nacked: Vec::new(),
            requests: 0,
            keyframes: 0,
            packets: 0,
            is_muted: false,
        }
    }

    /// Begins, at the moment of the connection.
    pub fn start(
        &mut self,
        now: Instant,
        rtc: &mut Rtc,
        audio: Option<Mid>,
        video: Option<Mid>,
        rids: &[&str],
    ) {
        self.started = Some(now);
        let mut api = rtc.direct_api();
        if let Some(stream) = audio.and_then(|mid| api.stream_tx_by_mid(mid, None)) {
            self.audio_ssrc = *stream.ssrc();
        }
        self.audio_timestamp_base = fastrand::u32(..);
        // RFC 3550: a random start; low enough that SRTP's rollover counter begins at zero, high enough to wrap soon.
        self.audio_sequence = u64::from(fastrand::u16(..60_000));
        let rids: Vec<Option<Rid>> = if rids.is_empty() {
            vec![None]
        } else {
            rids.iter().map(|rid| Some(Rid::from(*rid))).collect()
        };
        for (rid, bps) in rids.into_iter().zip(self.manner.layers.clone()) {
            let ssrc = video
                .and_then(|mid| api.stream_tx_by_mid(mid, rid))
                .map(|stream| {
                    // Browsers repair whatever is asked for; str0m by itself stops at 15 percent.
                    stream.set_rtx_cache(RESEND_MAX, Duration::from_secs(3), None);
                    *stream.ssrc()
                });
            let Some(ssrc) = ssrc else { continue };
            self.layers.push(Layer {
                rid,
                ssrc,
                sequence: u64::from(fastrand::u16(50_000..65_000)),
                timestamp_base: u32::MAX - fastrand::u32(..2_000_000),
                bps,
                packetizer: Packetizer::new(
                    self.manner.codec,
                    self.manner.parameters,
                    fastrand::u16(..),
                ),
                number: 0,
                wants_key: true,
                sent: VecDeque::new(),
            });
        }
    }

    pub fn is_started(&self) -> bool {
        self.started.is_some()
    }

    pub fn on_keyframe_request(&mut self, rid: Option<Rid>) {
        self.requests += 1;
        if self.manner.answers_keyframe_requests {
            for layer in &mut self.layers {
                if rid.is_none() || layer.rid == rid {
                    layer.wants_key = true;
                }
            }
        }
    }

    pub fn on_nack(&mut self, ssrc: u32, entries: impl Iterator<Item = NackEntry>) {
        self.nacked.push((ssrc, entries.collect()));
    }

    fn audio_due(&self) -> Option<Instant> {
        (self.manner.has_audio).then_some(self.started? + AUDIO_INTERVAL * self.audio_number)
    }

    fn captured(&self) -> Option<Instant> {
        let at = Duration::from_secs(1) * self.video_number / self.manner.frames_per_second;
        Some(self.started? + at)
    }

    pub fn next(&self) -> Option<Instant> {
        let video = (!self.layers.is_empty())
            .then(|| self.captured())
            .flatten()
            .map(|at| at + self.manner.video_latency);
        let Some(audio) = self.audio_due() else {
            return video;
        };
        Some(video.map_or(audio, |video| video.min(audio)))
    }

    /// Writes one thing that is due; call again until it returns `false`. One at a time, so that the order does not
    /// depend on str0m's hash maps.
    pub fn write(&mut self, now: Instant, rtc: &mut Rtc) -> bool {
        if !self.nacked.is_empty() {
            self.resend(rtc);
            return true;
        }
        if let Some(due) = self.audio_due().filter(|due| *due <= now) {
            self.write_audio(due, rtc);
            return true;
        }
        let Some(captured) = self
            .captured()
            .filter(|at| *at + self.manner.video_latency <= now && !self.layers.is_empty())
        else {
            return false;
        };
        self.write_picture(self.next_layer, captured, rtc);
        self.next_layer += 1;
        if self.next_layer == self.layers.len() {
            self.next_layer = 0;
            self.video_number += 1;
        }
        true
    }

    fn write_audio(&mut self, due: Instant, rtc: &mut Rtc) {
        let number = self.audio_number;
        self.audio_number += 1;
        if self.is_muted {
            return;
        }
        let (kind, payload) = if self.manner.red {
            (true, opus::redundant(self.manner.publication, number))
        } else {
            (false, opus::packet(self.manner.publication, number))
        };
        let params = rtc.codec_config().params();
        let opus = params
            .iter()
            .find(|params| params.spec().codec.is_audio())
            .expect("Opus was offered");
        let pt = if kind {
            opus.red().expect("RED was offered")
        } else {
            opus.pt()
        };
        let timestamp = self
            .audio_timestamp_base
            .wrapping_add(number.wrapping_mul(960));
        let write = RtpWrite::new(
            pt,
            SeqNo::from(self.audio_sequence),
            timestamp,
            due,
            payload,
        );
        self.audio_sequence += 1;
        if let Some(stream) = rtc.direct_api().stream_tx(&self.audio_ssrc.into()) {
            stream.write_rtp(write.marker(number == 0));
        }
    }

    fn write_picture(&mut self, at: usize, captured: Instant, rtc: &mut Rtc) {
        let manner = &self.manner;
        let layer = &mut self.layers[at];
        let is_key = layer.number == 0
            || std::mem::take(&mut layer.wants_key)
            || (manner.gop != 0 && self.video_number.is_multiple_of(manner.gop));
        layer.wants_key = false;
        let picture = Picture {
            publication: manner.publication,
            layer: u8::try_from(at).unwrap(),
            key: is_key,
            number: layer.number,
            reference: layer.number.saturating_sub(1),
            captured_us: u64::try_from(captured.duration_since(self.base).as_micros()).unwrap(),
        };
        layer.number += 1;
        self.keyframes += u64::from(is_key);
        let mean = usize::try_from(layer.bps / 8 / u64::from(manner.frames_per_second)).unwrap();
        let length = if is_key {
            mean * 5
        } else {
            mean * (70 + fastrand::usize(..40)) / 100
        };
        let ticks = captured
            .duration_since(self.started.unwrap_or(captured))
            .as_micros()
            * 9
            / 100;
        #[expect(clippy::cast_possible_truncation, reason = "RTP time wraps")]
        let timestamp = layer.timestamp_base.wrapping_add(ticks as u32);
        let payloads = layer.packetizer.packetize(&picture, length);
        if self.is_muted {
            return;
        }
        let last = payloads.len() - 1;
        for (at, payload) in payloads.into_iter().enumerate() {
            let sent = Sent {
                sequence: layer.sequence,
                timestamp,
                wallclock: captured,
                marker: at == last,
                captured_us: manner.capture_times.then_some(picture.captured_us),
                payload,
            };
            layer.sequence += 1;
            self.packets += 1;
            send(rtc, layer.ssrc, manner.codec, &sent);
            layer.sent.push_back(sent);
            if layer.sent.len() > RESEND_MAX {
                layer.sent.pop_front();
            }
        }
    }

    /// Sends on the same SSRC what was asked for, as encoders without RTX do.
    fn resend(&mut self, rtc: &mut Rtc) {
        for (ssrc, entries) in std::mem::take(&mut self.nacked) {
            let Some(layer) = self.layers.iter().find(|layer| layer.ssrc == ssrc) else {
                continue;
            };
            for entry in entries {
                for sequence in entry.into_iter(SeqNo::from(layer.sequence)) {
                    if let Some(sent) = layer.sent.iter().find(|sent| sent.sequence == *sequence) {
                        send(rtc, ssrc, self.manner.codec, sent);
                    }
                }
            }
        }
    }

    /// Sends one packet of `length` bytes that is no picture.
    pub fn write_monster(&mut self, rtc: &mut Rtc, length: usize) {
        let layer = &mut self.layers[0];
        let sent = Sent {
            sequence: layer.sequence,
            timestamp: layer.timestamp_base,
            wallclock: self.base,
            marker: false,
            captured_us: None,
            payload: vec![0x41; length],
        };
        layer.sequence += 1;
        send(rtc, layer.ssrc, self.manner.codec, &sent);
    }
}

/// Where publishers' clocks stand when a simulation starts: in 2020, far from ours.
pub fn epoch() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_577_836_800)
}

fn send(rtc: &mut Rtc, ssrc: u32, codec: Video, sent: &Sent) {
    let name = match codec {
        Video::H264 => str0m::format::Codec::H264,
        Video::Vp8 => str0m::format::Codec::Vp8,
        Video::Vp9 => str0m::format::Codec::Vp9,
        Video::Av1 => str0m::format::Codec::Av1,
    };
    let params = rtc.codec_config().params();
    let params = params.iter().find(|params| params.spec().codec == name);
    let (pt, nackable) = params
        .map(|params| (params.pt(), params.resend().is_some()))
        .expect("it was offered");
    let write = RtpWrite::new(
        pt,
        SeqNo::from(sent.sequence),
        sent.timestamp,
        sent.wallclock,
        sent.payload.clone(),
    );
    let values = ExtensionValues {
        abs_capture_time: sent.captured_us.map(|us| AbsCaptureTime {
            capture_time: epoch() + Duration::from_micros(us),
            clock_offset: Some(0),
        }),
        ..ExtensionValues::default()
    };
    let write = write.marker(sent.marker).nackable(nackable);
    if let Some(stream) = rtc.direct_api().stream_tx(&ssrc.into()) {
        stream.write_rtp(write.ext_vals(values));
    }
}
