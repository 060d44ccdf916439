//! AAC to Opus, all by libraries: `syom` decodes (LC, HE, LD), `rubato` brings every rate to 48 kHz, `opus-rs` encodes.
//!
//! It runs on a thread of tokio's blocking pool, one for each camera with AAC, and takes about one percent of a core.
//! Both queues are bounded: when the thread does not keep up, the newest unit is dropped and counted, and the sound
//! goes on after a gap.

use std::sync::Arc;

use opus_rs::{Application, OpusEncoder};
use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler};
use syom::{DecodeOptions, Decoder};
use tokio::sync::mpsc;

use super::aac::Unit;

/// Access units that wait: 1.3 s at 48 kHz.
const UNITS_MAX: usize = 64;
/// Opus packets that wait: 1.3 s.
const PACKETS_MAX: usize = 64;
/// Hz.
const RATE: u32 = 48_000;
/// Samples in a packet of 20 ms.
const FRAME: usize = 960;
/// Samples at 48 kHz by which timestamps may differ from what the samples' number says before a gap is assumed: 50 ms.
const GAP: i64 = 2_400;
/// Samples that the resampler takes at once, about 10 ms.
const CHUNK: usize = 512;
const STEREO_BPS: i32 = 128_000;
const MONO_BPS: i32 = 72_000;
/// Opus packets are at most 1275 bytes a frame, RFC 6716 section 3.4; ours have to fit into an RTP packet.
const OPUS_MAX: usize = sfu::PAYLOAD_MAX;

/// Why sound cannot be transcoded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TranscodeError {
    #[error("its AAC cannot be decoded: {0}")]
    Decoder(#[from] syom::AacError),
    #[error("no encoder for Opus: {0}")]
    Encoder(&'static str),
    #[error("its sample rate cannot be converted: {0}")]
    Rate(#[from] rubato::ResamplerConstructionError),
    #[error("its sound cannot be converted: {0}")]
    Resample(#[from] rubato::ResampleError),
}

/// 20 ms of Opus.
#[derive(Debug, Clone)]
pub(crate) struct OpusPacket {
    /// Ticks of 1/48000 s since the session's beginning.
    pub elapsed: i64,
    /// The first one, or the first after a gap.
    pub starts: bool,
    pub payload: Arc<[u8]>,
}

/// The sound of one session: decodes, resamples and encodes, without a thread.
pub(crate) struct Transcoder {
    asc: Vec<u8>,
    /// Of the units' timestamps, in Hz.
    clock_rate: u32,
    channels: usize,
    decoder: Decoder,
    resampler: Option<Resampling>,
    encoder: OpusEncoder,
    /// Interleaved samples at 48 kHz, and when the first one is due.
    pending: Vec<f32>,
    due: Option<i64>,
    /// When the next unit is due if none is missing.
    expected: i64,
    starts: bool,
    failures: u64,
}

struct Resampling {
    fft: Fft<f32>,
    rate: u32,
    input: Vec<f32>,
    /// Samples that the filter lets out before the first real one.
    skip: usize,
}

impl Transcoder {
    /// Takes an `AudioSpecificConfig` and the clock rate of the timestamps in Hz.
    pub(crate) fn new(asc: &[u8], clock_rate: u32) -> Result<Self, TranscodeError> {
        let channels = if is_mono(asc) { 1 } else { 2 };
        let mut encoder = OpusEncoder::new(RATE as i32, channels, Application::Audio)
            .map_err(TranscodeError::Encoder)?;
        encoder.bitrate_bps = if channels == 1 { MONO_BPS } else { STEREO_BPS };
        Ok(Self {
            asc: asc.to_vec(),
            clock_rate: clock_rate.max(1),
            channels,
            decoder: Decoder::from_asc(asc, options())?,
            resampler: None,
            encoder,
            pending: Vec::with_capacity(4 * FRAME * channels),
            due: None,
            expected: 0,
            starts: true,
            failures: 0,
        })
    }

    /// Whether two channels come out.
    pub(crate) fn is_stereo(&self) -> bool {
        self.channels == 2
    }

    /// Units that could not be decoded.
    pub(crate) fn failures(&self) -> u64 {
        self.failures
    }

    /// Decodes a unit and gives the packets that it completes. A unit that cannot be decoded leaves a gap.
    pub(crate) fn push(&mut self, unit: &Unit) -> Result<Vec<OpusPacket>, TranscodeError> {
        let at = match (unit.elapsed, self.due) {
            (Some(ticks), _) => {
                (i128::from(ticks) * i128::from(RATE) / i128::from(self.clock_rate)) as i64
            }
            (None, Some(_)) => self.expected,
            // Nothing is known of a unit that follows one that was lost.
            (None, None) => return Ok(Vec::new()),
        };
        if self.due.is_none() || at.saturating_sub(self.expected).saturating_abs() > GAP {
            self.begin_at(at);
        }
        let mut samples = Vec::new();
        let mut format = (0, 0);
        let channels = self.channels;
        let decoded = self.decoder.decode_au(&unit.data, |frame| {
            format = (frame.sample_rate, frame.samples);
            interleave(frame.planar, channels, &mut samples);
            Ok(())
        });
        let (rate, length) = format;
        if decoded.is_err() || rate == 0 {
            self.failures += 1;
            self.decoder = Decoder::from_asc(&self.asc, options())?;
            self.due = None;
            return Ok(Vec::new());
        }
        self.expected = self
            .expected
            .saturating_add((length as u64 * u64::from(RATE) / u64::from(rate)) as i64);
        self.convert(samples, rate)?;
        self.encode()
    }

    /// Forgets what was pending and goes on at `at`.
    fn begin_at(&mut self, at: i64) {
        self.pending.clear();
        self.resampler = None;
        self.due = Some(at);
        self.expected = at;
        self.starts = true;
    }

    /// Appends samples to what is pending, at 48 kHz.
    fn convert(&mut self, samples: Vec<f32>, rate: u32) -> Result<(), TranscodeError> {
        if rate == RATE {
            self.resampler = None;
            self.pending.extend_from_slice(&samples);
            return Ok(());
        }
        if self
            .resampler
            .as_ref()
            .is_none_or(|resampler| resampler.rate != rate)
        {
            let fft = Fft::new(
                rate as usize,
                RATE as usize,
                CHUNK,
                self.channels,
                FixedSync::Input,
            )?;
            let skip = fft.output_delay();
            self.resampler = Some(Resampling {
                fft,
                rate,
                input: Vec::new(),
                skip,
            });
        }
        match &mut self.resampler {
            Some(resampler) => resampler.convert(&samples, self.channels, &mut self.pending),
            None => Ok(()),
        }
    }

    /// Encodes all whole frames that are pending.
    fn encode(&mut self) -> Result<Vec<OpusPacket>, TranscodeError> {
        let mut packets = Vec::new();
        let mut taken = 0;
        let mut buffer = [0u8; OPUS_MAX];
        for frame in self.pending.chunks_exact(FRAME * self.channels) {
            let length = self
                .encoder
                .encode(frame, FRAME, &mut buffer)
                .map_err(TranscodeError::Encoder)?;
            let elapsed = self.due.unwrap_or(self.expected);
            let starts = std::mem::take(&mut self.starts);
            packets.push(OpusPacket {
                elapsed,
                starts,
                payload: Arc::from(&buffer[..length]),
            });
            self.due = Some(elapsed.saturating_add(FRAME as i64));
            taken += frame.len();
        }
        self.pending.drain(..taken);
        Ok(packets)
    }
}

impl Resampling {
    fn convert(
        &mut self,
        samples: &[f32],
        channels: usize,
        output: &mut Vec<f32>,
    ) -> Result<(), TranscodeError> {
        self.input.extend_from_slice(samples);
        let mut taken = 0;
        loop {
            let frames = self.fft.input_frames_next();
            let Some(chunk) = self.input.get(taken..taken + frames * channels) else {
                break;
            };
            let chunk = InterleavedSlice::new(chunk, channels, frames)
                .expect("the slice was cut to this size");
            let converted = self.fft.process(&chunk, None)?.take_data();
            let skipped = self.skip.min(converted.len() / channels);
            self.skip -= skipped;
            output.extend_from_slice(&converted[skipped * channels..]);
            taken += frames * channels;
        }
        self.input.drain(..taken);
        Ok(())
    }
}

/// Every channel, for as long as a camera runs.
fn options() -> DecodeOptions {
    DecodeOptions::unbounded().with_max_sample_rate(96_000)
}

/// Whether an `AudioSpecificConfig` (ISO/IEC 14496-3 section 1.6.2.1) says AAC-LC with one channel. Everything else is
/// encoded as stereo: parametric stereo shows only in the units.
fn is_mono(asc: &[u8]) -> bool {
    match asc {
        [first, second, ..] => {
            let has_table_rate = (first & 7) << 1 | second >> 7 != 15;
            first >> 3 == 2 && has_table_rate && second >> 3 & 15 == 1
        }
        _ => false,
    }
}

/// Brings any number of planes to one or two interleaved channels; more than two are mixed to the same sound on both.
fn interleave(planes: &[&[f32]], channels: usize, output: &mut Vec<f32>) {
    let length = planes.iter().map(|plane| plane.len()).min().unwrap_or(0);
    for index in 0..length {
        match (planes, channels) {
            ([left, right], 2) => output.extend([left[index], right[index]]),
            _ => {
                let mixed =
                    planes.iter().map(|plane| plane[index]).sum::<f32>() / planes.len() as f32;
                output.extend(std::iter::repeat_n(mixed, channels));
            }
        }
    }
}

/// A [`Transcoder`] on a thread. The thread ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Worker {
    units: mpsc::Sender<Unit>,
    packets: mpsc::Receiver<OpusPacket>,
    overflows: u64,
}

impl Worker {
    /// Starts the thread. Call it inside of a tokio runtime.
    pub(crate) fn spawn(mut transcoder: Transcoder) -> Self {
        let (units, mut input) = mpsc::channel::<Unit>(UNITS_MAX);
        let (output, packets) = mpsc::channel(PACKETS_MAX);
        tokio::task::spawn_blocking(move || {
            while let Some(unit) = input.blocking_recv() {
                match transcoder.push(&unit) {
                    // A full queue means that the session stands still; its sound would be late anyway.
                    Ok(packets) => packets
                        .into_iter()
                        .for_each(|packet| drop(output.try_send(packet))),
                    Err(error) => {
                        tracing::warn!(%error, "a camera's sound ends, its picture goes on");
                        return;
                    }
                }
            }
            if transcoder.failures() > 0 {
                tracing::debug!(
                    failures = transcoder.failures(),
                    "units of a camera's sound could not be decoded"
                );
            }
        });
        Self {
            units,
            packets,
            overflows: 0,
        }
    }

    /// Hands a unit over, without waiting.
    pub(crate) fn push(&mut self, unit: Unit) {
        if self.units.try_send(unit).is_err() {
            self.overflows += 1;
        }
    }

    /// Units that the thread had no time for.
    pub(crate) fn overflows(&self) -> u64 {
        self.overflows
    }

    /// The next packet; `None` when the thread has ended. Can be cancelled.
    pub(crate) async fn next(&mut self) -> Option<OpusPacket> {
        self.packets.recv().await
    }
}

#[cfg(test)]
mod tests {
    use std::f32::consts::TAU;

    use bytes::Bytes;
    use opus_rs::OpusDecoder;

    use super::*;

    const HZ: f32 = 1_000.0;

    /// `seconds` of a tone of [`HZ`] that begins after `silence`, as AAC-LC access units with their configuration.
    fn tone(rate: u32, channels: usize, silence: f32, seconds: f32) -> (Vec<u8>, Vec<Unit>) {
        let plane: Vec<f32> = (0..(seconds * rate as f32) as usize)
            .map(|i| i as f32 / rate as f32)
            .map(|at| {
                if at < silence {
                    0.0
                } else {
                    0.25 * (at * HZ * TAU).sin()
                }
            })
            .collect();
        let mut options = syom::EncodeOptions::raw();
        options.bitrate_bps = 128_000.min(5 * rate * channels as u32);
        let mut encoder = syom::Encoder::new(rate, channels, &options).unwrap();
        let mut units = Vec::new();
        let mut keep = |frame: syom::EncodedFrame<'_>| {
            let elapsed = Some(units.len() as i64 * 1_024);
            units.push(Unit {
                elapsed,
                data: Bytes::copy_from_slice(frame.payload),
            });
            Ok(())
        };
        encoder
            .feed(&vec![&plane[..]; channels], &mut keep)
            .unwrap();
        encoder.finish(&mut keep).unwrap();
        (encoder.asc().to_vec(), units)
    }

    fn transcode(transcoder: &mut Transcoder, units: &[Unit]) -> Vec<OpusPacket> {
        units
            .iter()
            .flat_map(|unit| transcoder.push(unit).unwrap())
            .collect()
    }

    /// The left channel.
    fn decode(packets: &[OpusPacket], channels: usize) -> Vec<f32> {
        let mut decoder = OpusDecoder::new(RATE as i32, channels).unwrap();
        let mut samples = Vec::new();
        for packet in packets {
            let mut frame = vec![0.0; FRAME * channels];
            assert_eq!(
                decoder.decode(&packet.payload, FRAME, &mut frame).unwrap(),
                FRAME
            );
            samples.extend(frame.iter().step_by(channels));
        }
        samples
    }

    /// Amplitude of the part of `samples` that has the frequency `hz`, by correlation with it.
    fn amplitude(samples: &[f32], hz: f32) -> f32 {
        let (mut real, mut imaginary) = (0.0f64, 0.0f64);
        for (i, sample) in samples.iter().enumerate() {
            let angle = f64::from(hz) * std::f64::consts::TAU * i as f64 / f64::from(RATE);
            real += f64::from(*sample) * angle.cos();
            imaginary += f64::from(*sample) * angle.sin();
        }
        (2.0 * real.hypot(imaginary) / samples.len() as f64) as f32
    }

    fn check(rate: u32, channels: usize) {
        let (asc, units) = tone(rate, channels, 0.0, 3.0);
        let mut transcoder = Transcoder::new(&asc, rate).unwrap();
        assert_eq!(transcoder.is_stereo(), channels == 2);
        let packets = transcode(&mut transcoder, &units);
        let length = packets.len() as f32 * 0.02;
        let fed = units.len() as f32 * 1_024.0 / rate as f32;
        assert!(
            (fed - 0.045..=fed).contains(&length),
            "{rate} Hz: {length} s of {fed} s"
        );
        for (index, packet) in packets.iter().enumerate() {
            assert_eq!(
                (packet.elapsed, packet.starts),
                (index as i64 * 960, index == 0),
                "{rate} Hz"
            );
            assert!(packet.payload.len() <= OPUS_MAX);
        }
        let samples = decode(&packets, channels);
        let middle = &samples[48_000..96_000];
        let tone = amplitude(middle, HZ);
        let energy = (middle.iter().map(|s| s * s).sum::<f32>() / middle.len() as f32).sqrt();
        assert!((0.22..0.28).contains(&tone), "{rate} Hz: amplitude {tone}");
        assert!(
            (energy * 2f32.sqrt() / tone - 1.0).abs() < 0.02,
            "{rate} Hz: {energy} holds more than the tone {tone}"
        );
    }

    #[test]
    fn a_tone_keeps_its_pitch_level_and_length_at_every_sample_rate_of_cameras() {
        for rate in [8_000, 16_000, 22_050, 32_000, 44_100, 48_000] {
            check(rate, 1);
        }
        check(44_100, 2);
        check(48_000, 2);
    }

    #[test]
    fn sound_comes_out_at_its_time_within_the_delay_of_two_codecs() {
        for rate in [16_000, 44_100, 48_000] {
            let (asc, units) = tone(rate, 1, 1.0, 2.0);
            let packets = transcode(&mut Transcoder::new(&asc, rate).unwrap(), &units);
            let onset = decode(&packets, 1)
                .iter()
                .position(|sample| sample.abs() > 0.1)
                .unwrap();
            let late_ms = (onset as f32 / 48.0) - 1_000.0;
            // One AAC frame of the encoder in this test, which its timestamps do not know, and 6.5 ms of Opus.
            let encoder_ms = 1_024_000.0 / rate as f32;
            assert!(
                (-5.0..encoder_ms + 15.0).contains(&late_ms),
                "{rate} Hz: {late_ms} ms"
            );
        }
    }

    #[test]
    fn a_gap_is_left_where_units_are_missing() {
        let (asc, units) = tone(48_000, 1, 0.0, 2.0);
        let mut transcoder = Transcoder::new(&asc, 48_000).unwrap();
        let before = transcode(&mut transcoder, &units[..40]);
        let after = transcode(&mut transcoder, &units[60..]);
        assert!(after[0].starts);
        assert_eq!(after[0].elapsed, 60 * 1_024);
        assert!(before.last().unwrap().elapsed < after[0].elapsed);
    }

    #[test]
    fn units_without_a_timestamp_follow_the_one_before() {
        let (asc, mut units) = tone(44_100, 2, 0.0, 1.0);
        units
            .iter_mut()
            .skip(1)
            .step_by(2)
            .for_each(|unit| unit.elapsed = None);
        let packets = transcode(&mut Transcoder::new(&asc, 44_100).unwrap(), &units);
        assert!(
            packets
                .windows(2)
                .all(|pair| pair[1].elapsed - pair[0].elapsed == 960)
        );
        assert!(packets.len() >= 48);
    }

    #[test]
    fn units_that_cannot_be_decoded_cost_a_gap_and_nothing_else() {
        let (asc, units) = tone(48_000, 1, 0.0, 2.0);
        let mut transcoder = Transcoder::new(&asc, 48_000).unwrap();
        let mut state = 7u32;
        for (index, unit) in units.iter().enumerate() {
            let mut data = unit.data.to_vec();
            if index % 10 == 5 {
                data.iter_mut().for_each(|byte| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    *byte ^= (state >> 24) as u8;
                });
            }
            if index % 10 == 7 {
                data.clear();
            }
            transcoder
                .push(&Unit {
                    elapsed: unit.elapsed,
                    data: data.into(),
                })
                .unwrap();
        }
        assert!(transcoder.failures() >= 9);
        let packets = transcode(&mut transcoder, &units);
        assert!(amplitude(&decode(&packets, 1)[24_000..72_000], HZ) > 0.22);
    }

    #[test]
    fn wild_timestamps_and_configurations_do_no_harm() {
        let (asc, units) = tone(48_000, 1, 0.0, 0.2);
        let mut transcoder = Transcoder::new(&asc, 1).unwrap();
        for wild in [i64::MAX, i64::MIN, 0, -1, 1 << 40] {
            transcoder
                .push(&Unit {
                    elapsed: Some(wild),
                    data: units[3].data.clone(),
                })
                .unwrap();
        }
        for asc in [&[][..], &[0], &[0xff; 5], &[0x12], &[0, 0]] {
            assert!(Transcoder::new(asc, 48_000).is_err(), "{asc:02x?}");
        }
    }
}
