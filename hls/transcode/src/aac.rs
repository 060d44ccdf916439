//! Opus to AAC-LC, all by libraries: `opus-rs` decodes, `syom` encodes. For players that do not take Opus in HLS.
//!
//! Without a thread; whoever wants AAC calls [`OpusToAac::push`] with each packet, where no media waits for it. What
//! this deliberately does not do: resample (both sides run at 48 kHz), or use Opus's forward error correction.
//!
//! Time: a unit's timestamp is that of the sound in it. The encoder's delay of one unit is subtracted: what an Opus
//! decoder plays at a timestamp, an AAC decoder plays at the same one. Opus's own delay of 6.5 ms is in both alike.
//!
//! Budget: a second of stereo takes 25 ms of one core with the profile of the tests.

mod later;

use std::collections::VecDeque;

use bytes::Bytes;
use hls::Frame;
use opus_rs::OpusDecoder;
use payload::opus;
use syom::{EncodeOptions, Encoder};

pub use later::{lacks_sound, opus_packets, reaches, with_sound};

/// Hz, of the samples and of all timestamps.
const RATE: u32 = 48_000;
/// Samples in an access unit, ISO/IEC 14496-3 section 4.5.1.1; also the encoder's delay.
const UNIT: i64 = 1_024;
/// Samples in the shortest Opus frame, 2.5 ms: larger deviations are losses, smaller ones are followed.
const STEP: i64 = 120;
/// Samples in the longest Opus packet: 120 ms, RFC 6716 section 3.2.5.
const PACKET_MAX: usize = 5_760;
/// Samples by which a timestamp may differ from what the samples' number says before all begins anew: 50 ms.
const JUMP: i64 = 2_400;
/// Samples that may be missing after a packet which says that silence begins: senders repeat it each 400 ms.
const SILENCE_MAX: i64 = RATE as i64;
/// Of the packets that are passed, so many ticks are kept: more than the longest part that is not yet published, 1 s, and
/// [`later::LEAD`] before it.
const PASSED_TICKS: i64 = RATE as i64 + later::LEAD;
/// And no more than so many: those ticks in packets of 2.5 ms.
const PASSED_MAX: usize = (PASSED_TICKS / STEP) as usize + 1;
const STEREO_BPS: u32 = 128_000;
const MONO_BPS: u32 = 72_000;

/// Why there is no AAC.
#[derive(Debug, thiserror::Error)]
pub enum AacError {
    /// Neither one nor two channels.
    #[error("sound with {0} channels cannot be encoded, only with one or two")]
    Channels(u8),
    /// The library makes none.
    #[error("no decoder for Opus: {0}")]
    Decoder(&'static str),
    /// From the library.
    #[error("the encoder for AAC failed: {0}")]
    Encoder(#[from] syom::AacError),
}

/// One Opus track on its way to AAC. Holds no more sound than one packet and two units.
pub struct OpusToAac {
    channels: usize,
    // The decoder has 175 kB.
    decoder: Box<OpusDecoder>,
    encoder: Encoder,
    config: Bytes,
    clock: Option<Clock>,
    /// The last packet said that silence begins, so the next one may come late.
    is_silent: bool,
    undecodable: u64,
    /// Units only hold their places, see [`Self::pass`].
    is_asleep: bool,
    /// The packets that were passed last: [`PASSED_TICKS`] of them.
    passed: VecDeque<Frame>,
    /// Samples of each channel that are not encoded, so that units begin where they are to begin, see [`Self::aim`].
    skip: usize,
    /// Interleaved samples of the packet in work.
    samples: Box<[f32]>,
    planes: [Vec<f32>; 2],
}

/// Where the samples are on the timeline, in ticks of 1/48000 s.
///
/// Samples are counted from the first packet's timestamp on. By how much the timestamps have left that count since is known for each
/// packet, so that a unit's timestamp says which samples are in it: whoever begins elsewhere finds the same ones.
#[derive(Debug, Clone)]
struct Clock {
    /// The sample that is decoded next.
    next: i64,
    /// The first sample of the unit that is encoded next.
    unit: i64,
    /// From which sample on the timestamps are later than the count by how much; ascending, and one for what is before all.
    offsets: VecDeque<(i64, i64)>,
    /// Units before this timestamp are not given out.
    floor: i64,
}

/// What a timestamp is after which all begins anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Jump {
    Forward,
    Back,
}

impl Clock {
    /// The encoder's first unit is the delay; it is given out only where nothing else is.
    fn at(pts: i64, floor: i64) -> Self {
        Self {
            next: pts,
            unit: pts.saturating_sub(UNIT),
            offsets: VecDeque::from([(i64::MIN, 0)]),
            floor: floor.max(0),
        }
    }

    /// By how much a packet of this timestamp comes after what was decoded.
    fn ahead(&self, pts: i64) -> i64 {
        let offset = self.offsets.back().map_or(0, |last| last.1);
        pts.saturating_sub(offset).saturating_sub(self.next)
    }

    /// Whether a packet of this timestamp goes on with the count (`None`), after silence or not.
    fn jump(&self, pts: i64, is_silent: bool) -> Option<Jump> {
        let ahead_max = if is_silent { SILENCE_MAX } else { JUMP };
        match self.ahead(pts) {
            ahead if ahead > ahead_max => Some(Jump::Forward),
            ahead if ahead < -JUMP => Some(Jump::Back),
            _ => None,
        }
    }

    /// The clock of a packet behind a jump. Nothing is given out twice: not before what was given out, after a jump forward.
    fn behind(&self, jump: Jump, pts: i64) -> Self {
        let floor = match jump {
            Jump::Forward => self.unit_pts(),
            Jump::Back => pts,
        };
        Self::at(pts, floor)
    }

    /// The packet that is decoded next is by so much later than the count says.
    fn follow(&mut self, ticks: i64) {
        let offset = self.offsets.back().map_or(0, |last| last.1);
        if ticks == 0 {
            return;
        }
        self.offsets.retain(|(from, _)| *from != self.next);
        self.offsets
            .push_back((self.next, offset.saturating_add(ticks)));
    }

    /// The timestamp of the unit that is encoded next.
    fn unit_pts(&self) -> i64 {
        let offset = self.offsets.iter().rfind(|(from, _)| *from <= self.unit);
        self.unit.saturating_add(offset.map_or(0, |found| found.1))
    }

    /// The sample that has this timestamp.
    fn sample_at(&self, pts: i64) -> i64 {
        let of = |(from, offset): &(i64, i64)| (*from, pts.saturating_sub(*offset));
        let mut all = self.offsets.iter().map(of).rev();
        all.find(|(from, sample)| from <= sample)
            .map_or(pts, |found| found.1)
    }

    /// Counts a packet without decoding it; not one that comes late. Returns whether it was counted.
    fn pass(&mut self, packet: &Frame) -> bool {
        let ahead = self.ahead(packet.pts);
        if ahead <= -STEP {
            return false;
        }
        let missing = ahead.max(0) / STEP * STEP;
        self.next = self.next.saturating_add(missing);
        self.follow(ahead - missing);
        // Its own length: the frame's has the correction of its clock in it.
        let length = opus::duration(&packet.data).unwrap_or_default();
        self.next = self.next.saturating_add(length.into());
        true
    }

    /// The timestamp of a unit that was completed, `None` if it is not to be given out.
    fn tick(&mut self) -> Option<i64> {
        let pts = self.unit_pts();
        self.unit = self.unit.saturating_add(UNIT);
        while self.offsets.get(1).is_some_and(|next| next.0 <= self.unit) {
            self.offsets.pop_front();
        }
        (pts >= self.floor).then_some(pts)
    }
}

impl OpusToAac {
    /// For one or two channels; packets with the other number are mixed or doubled.
    ///
    /// # Errors
    ///
    /// Any other number of channels.
    pub fn new(channels: u8) -> Result<Self, AacError> {
        let bitrate_bps = match channels {
            1 => MONO_BPS,
            2 => STEREO_BPS,
            _ => return Err(AacError::Channels(channels)),
        };
        let channels = usize::from(channels);
        // Both buy 2 dB less noise at the same rate.
        let options = EncodeOptions::raw()
            .with_bitrate_bps(bitrate_bps)
            .with_band_refine(true)
            .with_short_group(true);
        let encoder = Encoder::new(RATE, channels, &options)?;
        Ok(Self {
            channels,
            decoder: decoder(channels)?,
            config: Bytes::copy_from_slice(encoder.asc()),
            encoder,
            clock: None,
            is_silent: false,
            undecodable: 0,
            is_asleep: false,
            passed: VecDeque::new(),
            skip: 0,
            samples: vec![0.0; PACKET_MAX * channels].into(),
            planes: [Vec::new(), Vec::new()],
        })
    }

    /// The `AudioSpecificConfig` (ISO/IEC 14496-3 section 1.6.2.1), the same for the whole life.
    pub fn config(&self) -> Bytes {
        self.config.clone()
    }

    /// Packets that could not be decoded.
    #[cfg(test)]
    pub fn undecodable(&self) -> u64 {
        self.undecodable
    }

    /// Takes an Opus packet, in order, and appends the AAC units that it completes: raw, of 1024 samples, with
    /// timestamps in ticks of 1/48000 s that are never negative, and 1024 ticks apart but for what packets' timestamps are followed by.
    ///
    /// Up to 50 ms that are missing, or that cannot be decoded, are bridged with what the decoder makes of a loss, and
    /// 1 s after a packet which says that silence begins. Packets that come late or twice are left out. After a larger
    /// jump in either direction all begins anew at the new timestamp, so that after a jump back timestamps come again.
    /// At most 55 units come out at once.
    ///
    /// # Errors
    ///
    /// Failures of the encoder; the next packet begins anew.
    pub fn push(&mut self, frame: &Frame, out: &mut Vec<Frame>) -> Result<(), AacError> {
        let result = self.convert(frame, out);
        if result.is_err() {
            self.encoder.reset()?;
            self.clock = None;
            self.skip = 0;
        }
        result
    }

    fn convert(&mut self, frame: &Frame, out: &mut Vec<Frame>) -> Result<(), AacError> {
        if self.is_asleep {
            self.wake(out)?;
        }
        let mut clock = match self.clock.take() {
            Some(mut clock) => match clock.jump(frame.pts, self.is_silent) {
                None => clock,
                Some(jump) => {
                    self.begin_again(jump, &mut clock, out)?;
                    clock.behind(jump, frame.pts)
                }
            },
            None => Clock::at(frame.pts, 0),
        };
        let ahead = clock.ahead(frame.pts);
        if ahead <= -STEP {
            // Late, or a second time: what it holds was heard or bridged.
            self.clock = Some(clock);
            return Ok(());
        }
        let missing = ahead.max(0) / STEP * STEP;
        self.bridge(missing as usize, &mut clock, out)?;
        clock.follow(ahead - missing);
        self.is_silent = frame.data.len() <= 2;
        // One that cannot be decoded is as good as lost: the next one's timestamp says how much is missing.
        if let Some(decoded) = self.decode(&frame.data) {
            self.encode(decoded, &mut clock, out)?;
        }
        self.clock = Some(clock);
        Ok(())
    }

    /// Takes a packet as [`Self::push`] does, but gives units without sound in the places of those that this would make: it
    /// costs nothing. The next [`Self::push`] goes on with sound as if it had been made all the time.
    pub fn pass(&mut self, frame: &Frame, out: &mut Vec<Frame>) {
        if !self.is_asleep {
            self.is_asleep = true;
            self.passed.clear();
        }
        let mut clock = match self.clock.take() {
            Some(mut clock) => match clock.jump(frame.pts, self.is_silent) {
                None => clock,
                Some(jump) => {
                    self.pass_again(jump, &mut clock, out);
                    clock.behind(jump, frame.pts)
                }
            },
            None => Clock::at(frame.pts, 0),
        };
        if clock.pass(frame) {
            self.is_silent = frame.data.len() <= 2;
            self.remember(frame);
        }
        while clock.next.saturating_sub(clock.unit) >= 2 * UNIT {
            self.hold_place(&mut clock, out);
        }
        self.clock = Some(clock);
    }

    /// The packets that were passed last, in their order: at least those that the last places stand for, until others are passed.
    pub fn passed(&self) -> impl Iterator<Item = &Frame> {
        self.passed.iter()
    }

    /// What [`Self::begin_again`] is to sound: the places of what was passed before a jump, unless they come again.
    fn pass_again(&mut self, jump: Jump, clock: &mut Clock, out: &mut Vec<Frame>) {
        self.passed.clear();
        self.is_silent = false;
        while jump == Jump::Forward && clock.unit < clock.next {
            self.hold_place(clock, out);
        }
    }

    fn hold_place(&self, clock: &mut Clock, out: &mut Vec<Frame>) {
        if let Some(pts) = clock.tick() {
            out.push(Frame {
                pts,
                keyframe: true,
                data: later::place(self.channels),
                duration: Some(UNIT as u32),
            });
        }
    }

    fn remember(&mut self, frame: &Frame) {
        let oldest = frame.pts.saturating_sub(PASSED_TICKS);
        while let Some(first) = self.passed.front()
            && (first.pts < oldest || self.passed.len() >= PASSED_MAX)
        {
            self.passed.pop_front();
        }
        self.passed.push_back(frame.clone());
    }

    /// Decoder and encoder hear what was passed last, and give no unit of it: the next one comes when a place would have come.
    fn wake(&mut self, out: &mut Vec<Frame>) -> Result<(), AacError> {
        self.is_asleep = false;
        let Some(clock) = self.clock.take() else {
            return Ok(());
        };
        self.encoder.reset()?;
        self.decoder = decoder(self.channels)?;
        self.is_silent = false;
        let pts = clock.unit_pts();
        let passed: Vec<Frame> = self.passed().cloned().collect();
        let first = passed.partition_point(|packet| packet.pts < pts.saturating_sub(later::LEAD));
        self.aim(&passed[first..], pts);
        for packet in &passed[first..] {
            self.convert(packet, out)?;
        }
        Ok(())
    }

    /// Before these packets are pushed: the unit of this timestamp is the first that is given out.
    fn aim(&mut self, packets: &[Frame], pts: i64) {
        let Some(first) = packets.first() else {
            return;
        };
        // Packets' timestamps may be followed by some ticks on the way to it.
        let mut clock = Clock::at(first.pts, pts.saturating_sub(UNIT / 2));
        let mut count = clock.clone();
        for packet in packets.iter().take_while(|packet| packet.pts <= pts) {
            count.pass(packet);
        }
        let skip = count.sample_at(pts).saturating_sub(first.pts);
        self.skip = skip.rem_euclid(UNIT) as usize;
        clock.unit = clock.unit.saturating_add(self.skip as i64);
        self.clock = Some(clock);
    }

    /// Appends what the encoder still holds.
    fn finish(&mut self, out: &mut Vec<Frame>) -> Result<(), AacError> {
        if let Some(mut clock) = self.clock.take()
            && self.encoder.samples() > 0
        {
            self.encoder
                .finish(|unit| give(&mut clock, unit.payload, out))?;
        }
        Ok(())
    }

    /// Before a jump: lets the encoder give what it still holds, unless that comes again, and forgets everything else.
    fn begin_again(
        &mut self,
        jump: Jump,
        clock: &mut Clock,
        out: &mut Vec<Frame>,
    ) -> Result<(), AacError> {
        if jump == Jump::Forward && self.encoder.samples() > 0 {
            // At most two units, which end less than one unit after the last sample; what is new begins one unit before
            // its first sample. A jump is longer than both.
            self.encoder.finish(|unit| give(clock, unit.payload, out))?;
        }
        self.encoder.reset()?;
        self.decoder = decoder(self.channels)?;
        self.is_silent = false;
        self.skip = 0;
        Ok(())
    }

    /// Encodes what the decoder makes of a loss of `missing` samples, a multiple of [`STEP`]; silence where it cannot.
    fn bridge(
        &mut self,
        mut missing: usize,
        clock: &mut Clock,
        out: &mut Vec<Frame>,
    ) -> Result<(), AacError> {
        while missing > 0 {
            let length = missing.min(PACKET_MAX);
            match self.decoder.decode(&[], length, &mut self.samples) {
                Ok(decoded) if decoded == length => {}
                _ => self.samples[..length * self.channels].fill(0.0),
            }
            self.encode(length, clock, out)?;
            missing -= length;
        }
        Ok(())
    }

    /// Decodes a packet into [`Self::samples`] and says how many there are per channel.
    fn decode(&mut self, packet: &[u8]) -> Option<usize> {
        // A packet without more than one byte of sound says that silence goes on. As in libopus, that is a loss.
        let packet = match packet {
            [toc, _] if toc & 3 == 0 => &packet[..1],
            _ => packet,
        };
        let decoded = match packet {
            // To the library this is a loss of any length.
            [] => Err("nothing in it"),
            _ => self.decoder.decode(packet, PACKET_MAX, &mut self.samples),
        };
        self.undecodable += u64::from(decoded.is_err());
        decoded.ok()
    }

    /// Encodes the first samples of [`Self::samples`].
    fn encode(
        &mut self,
        length: usize,
        clock: &mut Clock,
        out: &mut Vec<Frame>,
    ) -> Result<(), AacError> {
        let channels = self.channels;
        let skipped = self.skip.min(length);
        self.skip -= skipped;
        clock.next = clock.next.saturating_add(length as i64);
        if skipped == length {
            return Ok(());
        }
        let samples = &self.samples[skipped * channels..length * channels];
        for (channel, plane) in self.planes.iter_mut().take(channels).enumerate() {
            plane.clear();
            let of_channel = samples.iter().skip(channel).step_by(channels);
            plane.extend(of_channel.map(|sample| audible(*sample)));
        }
        let [left, right] = &self.planes;
        let planes = [&left[..], &right[..]];
        self.encoder
            .feed(&planes[..channels], |unit| give(clock, unit.payload, out))?;
        Ok(())
    }
}

/// Appends one unit.
fn give(clock: &mut Clock, payload: &[u8], out: &mut Vec<Frame>) -> syom::Result<()> {
    if let Some(pts) = clock.tick() {
        out.push(Frame {
            pts,
            keyframe: true,
            data: Bytes::copy_from_slice(payload),
            duration: Some(UNIT as u32),
        });
    }
    Ok(())
}

fn decoder(channels: usize) -> Result<Box<OpusDecoder>, AacError> {
    let decoder = OpusDecoder::new(RATE as i32, channels).map_err(AacError::Decoder)?;
    Ok(Box::new(decoder))
}

/// The encoder refuses samples outside of -1 to 1.
fn audible(sample: f32) -> f32 {
    if sample.is_finite() {
        sample.clamp(-1.0, 1.0)
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests;
