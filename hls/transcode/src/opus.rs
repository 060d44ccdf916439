//! Sound of cameras and telephones to Opus, all by libraries: `syom` decodes AAC (LC, HE, LD), `audio-codec` G.722 and G.711,
//! `rubato` brings every rate to 48 kHz, `opus-rs` encodes. Linear samples need no decoder.
//!
//! Stereo takes about one percent of a core: cameras have a thread for it, G.711 of WebRTC is made on the packaging thread.

use std::sync::Arc;

use audio_codec::Decoder as _;
use audio_codec::g722::G722Decoder;
use audio_codec::pcma::PcmaDecoder;
use audio_codec::pcmu::PcmuDecoder;
use bytes::Bytes;
use opus_rs::{Application, OpusEncoder};
use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler};
use syom::{DecodeOptions, Decoder};

/// Hz.
const RATE: u32 = 48_000;
/// Hz, of G.711.
const G711_RATE: u32 = 8_000;
/// Hz, of G.722.
const G722_RATE: u32 = 16_000;
/// Samples in a packet of 20 ms.
const FRAME: usize = 960;
/// Samples at 48 kHz by which timestamps may differ from what the samples' number says before a gap is assumed: 50 ms.
const GAP: i64 = 2_400;
/// Samples that the resampler takes at once, about 10 ms.
const CHUNK: usize = 512;
const STEREO_BPS: i32 = 128_000;
const MONO_BPS: i32 = 72_000;
/// Opus packets are at most 1275 bytes a frame, RFC 6716 section 3.4; ours have to fit into an RTP packet.
const OPUS_MAX: usize = payload::PAYLOAD_MAX;

/// Why sound cannot be transcoded.
#[derive(Debug, thiserror::Error)]
pub enum TranscodeError {
    /// A configuration or unit that the library refuses.
    #[error("its AAC cannot be decoded: {0}")]
    Decoder(#[from] syom::AacError),
    /// The library makes none, or failed.
    #[error("no encoder for Opus: {0}")]
    Encoder(&'static str),
    /// No filter for it.
    #[error("its sample rate cannot be converted: {0}")]
    Rate(#[from] rubato::ResamplerConstructionError),
    /// The filter failed.
    #[error("its sound cannot be converted: {0}")]
    Resample(#[from] rubato::ResampleError),
}

/// What is decoded at once: an access unit of AAC (`raw_data_block()`), or what a packet has of another codec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Ticks since the session's beginning; `None` for a unit that follows another one in the same packet.
    pub elapsed: Option<i64>,
    /// Without any header.
    pub data: Bytes,
}

/// What the sound is.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// Access units; the `AudioSpecificConfig`.
    Aac(&'a [u8]),
    /// One byte a sample, 8 kHz.
    Pcma,
    /// The same by the other law.
    Pcmu,
    /// 64 kbit/s.
    G722,
    /// Samples of 16 bits, most significant byte first, of the first channel, the second, ...
    L16 {
        /// Hz.
        rate: u32,
        /// Of which two at most are kept.
        channels: usize,
    },
}

/// The same at work.
enum Source {
    Aac { asc: Vec<u8>, decoder: Box<Decoder> },
    Pcma(PcmaDecoder),
    Pcmu(PcmuDecoder),
    G722(Box<G722Decoder>),
    L16 { rate: u32, channels: usize },
}

/// 20 ms of Opus.
#[derive(Debug, Clone)]
pub struct OpusPacket {
    /// Ticks of 1/48000 s since the session's beginning.
    pub elapsed: i64,
    /// The first one, or the first after a gap.
    pub starts: bool,
    /// Of at most [`payload::PAYLOAD_MAX`] bytes.
    pub payload: Arc<[u8]>,
}

/// The sound of one session: decodes, resamples and encodes, without a thread.
pub struct Transcoder {
    source: Source,
    /// Of the units' timestamps, in Hz.
    clock_rate: u32,
    channels: usize,
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
    /// Takes the clock rate of the timestamps in Hz.
    pub fn new(input: Input<'_>, clock_rate: u32) -> Result<Self, TranscodeError> {
        let (source, is_mono) = Source::new(input)?;
        let channels = if is_mono { 1 } else { 2 };
        let mut encoder = OpusEncoder::new(RATE as i32, channels, Application::Audio)
            .map_err(TranscodeError::Encoder)?;
        encoder.bitrate_bps = if channels == 1 { MONO_BPS } else { STEREO_BPS };
        Ok(Self {
            source,
            clock_rate: clock_rate.max(1),
            channels,
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
    pub fn is_stereo(&self) -> bool {
        self.channels == 2
    }

    /// Units that could not be decoded.
    pub fn failures(&self) -> u64 {
        self.failures
    }

    /// Decodes a unit and gives the packets that it completes. A unit that cannot be decoded leaves a gap.
    pub fn push(&mut self, unit: &Unit) -> Result<Vec<OpusPacket>, TranscodeError> {
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
        let decoded = self.source.decode(&unit.data, self.channels, &mut samples);
        let Some((rate, length)) = decoded else {
            self.failures += 1;
            self.source.reset()?;
            self.due = None;
            return Ok(Vec::new());
        };
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

impl Source {
    /// And whether it has one channel.
    fn new(input: Input<'_>) -> Result<(Self, bool), TranscodeError> {
        Ok(match input {
            Input::Aac(asc) => {
                let decoder = Box::new(Decoder::from_asc(asc, options())?);
                let asc = asc.to_vec();
                let is_mono = is_mono(&asc);
                (Self::Aac { asc, decoder }, is_mono)
            }
            Input::Pcma => (Self::Pcma(PcmaDecoder::new()), true),
            Input::Pcmu => (Self::Pcmu(PcmuDecoder::new()), true),
            Input::G722 => (Self::G722(Box::default()), true),
            Input::L16 { rate, channels } => {
                let channels = channels.max(1);
                (Self::L16 { rate, channels }, channels == 1)
            }
        })
    }

    /// Appends the interleaved samples of a unit; their rate in Hz, and how many there are of each channel. `None` when it
    /// cannot be decoded.
    fn decode(
        &mut self,
        data: &[u8],
        channels: usize,
        samples: &mut Vec<f32>,
    ) -> Option<(u32, usize)> {
        let linear = |sample: i16| f32::from(sample) / 32_768.0;
        match self {
            Self::Aac { decoder, .. } => {
                let mut format = (0, 0);
                let decoded = decoder.decode_au(data, |frame| {
                    format = (frame.sample_rate, frame.samples);
                    interleave(frame.planar, channels, samples);
                    Ok(())
                });
                (decoded.is_ok() && format.0 != 0).then_some(format)
            }
            Self::Pcma(decoder) => {
                let decoded = decoder.decode(data);
                samples.extend(decoded.iter().copied().map(linear));
                (!decoded.is_empty()).then_some((G711_RATE, decoded.len()))
            }
            Self::Pcmu(decoder) => {
                let decoded = decoder.decode(data);
                samples.extend(decoded.iter().copied().map(linear));
                (!decoded.is_empty()).then_some((G711_RATE, decoded.len()))
            }
            Self::G722(decoder) => {
                let decoded = decoder.decode_frame(data);
                samples.extend(decoded.iter().copied().map(linear));
                (!decoded.is_empty()).then_some((G722_RATE, decoded.len()))
            }
            Self::L16 { rate, channels: of } => {
                let whole = data.chunks_exact(2 * *of);
                let length = whole.len();
                for frame in whole {
                    let frame = frame.chunks_exact(2).take(channels);
                    samples
                        .extend(frame.map(|pair| linear(i16::from_be_bytes([pair[0], pair[1]]))));
                }
                (length > 0).then_some((*rate, length))
            }
        }
    }

    /// Forgets what a unit that could not be decoded has left behind.
    fn reset(&mut self) -> Result<(), TranscodeError> {
        match self {
            Self::Aac { asc, decoder } => **decoder = Decoder::from_asc(asc, options())?,
            Self::G722(decoder) => **decoder = G722Decoder::default(),
            // Each sample by itself.
            Self::Pcma(_) | Self::Pcmu(_) | Self::L16 { .. } => {}
        }
        Ok(())
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

#[cfg(test)]
mod tests;
