//! The clip that the built-in performer plays: demultiplexed and cut into RTP payloads once, then only referred to.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mp4_atom::{Atom, Avc1, Codec as Entry, Header, Moov, ReadAtom, ReadFrom, StszSamples, Trak};
use payload::h264;
use sfu::{Codec, CodecKind};

/// `assets/make-demo` makes it and says what it consists of.
const DEMO: &[u8] = include_bytes!("../../assets/demo.mp4");

/// Place of the video in [`Clip::tracks`].
pub(crate) const VIDEO: usize = 0;
/// Place of the sound in [`Clip::tracks`].
pub(crate) const AUDIO: usize = 1;

/// Why a file cannot be played as a loop.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClipError {
    #[error("not an MP4 file: {0}")]
    Container(#[from] mp4_atom::Error),
    #[error("the clip has no {0}")]
    Missing(&'static str),
    #[error("{0} lies outside of the file")]
    OutOfBounds(&'static str),
    #[error(
        "picture and sound do not end together: {video} and {audio} ticks of 1/90000 and 1/48000 s"
    )]
    Uneven { video: u64, audio: u64 },
    #[error("the loop has {0} ticks of 1/90000 s, which is not a whole number of milliseconds")]
    Fraction(u64),
}

/// One video frame or one Opus packet.
#[derive(Debug)]
pub(crate) struct Item {
    /// [`VIDEO`] or [`AUDIO`].
    pub track: usize,
    /// When it is due, counted from the start of the clip.
    pub at: Duration,
    /// The same in the track's RTP clock.
    pub ticks: u64,
    /// RTP payloads in order.
    pub payloads: Vec<Arc<[u8]>>,
}

/// A clip whose picture and sound have the same length, so that it can be repeated without a gap.
#[derive(Debug)]
pub(crate) struct Clip {
    /// Sorted by [`Item::at`]. Not empty.
    pub items: Vec<Item>,
    /// A whole number of milliseconds, which both RTP clocks can count.
    pub duration: Duration,
    profile: u32,
    stereo: bool,
}

impl Clip {
    /// The clip inside the binary.
    pub(crate) fn embedded() -> Self {
        Self::parse(DEMO).expect("the embedded clip is the one that the tests have parsed")
    }

    /// What it consists of, in the order of [`VIDEO`] and [`AUDIO`].
    pub(crate) fn tracks(&self) -> Vec<Codec> {
        vec![
            Codec {
                kind: CodecKind::H264,
                h264_profile: Some(self.profile),
                stereo: false,
            },
            Codec {
                kind: CodecKind::Opus,
                h264_profile: None,
                stereo: self.stereo,
            },
        ]
    }

    /// Reads an MP4 file with one H.264 track without B-frames and one Opus track.
    pub(crate) fn parse(file: &'static [u8]) -> Result<Self, ClipError> {
        let moov = read_moov(file)?;
        let mut video = None;
        let mut audio = None;
        for trak in &moov.trak {
            match trak.mdia.minf.stbl.stsd.codecs.first() {
                Some(Entry::Avc1(entry)) => video = Some((trak, entry)),
                Some(Entry::Opus(entry)) => audio = Some((trak, entry)),
                _ => {}
            }
        }
        let (video, avc) = video.ok_or(ClipError::Missing("H.264 track"))?;
        let (audio, opus) = audio.ok_or(ClipError::Missing("Opus track"))?;
        let sps = avc
            .avcc
            .sequence_parameter_sets
            .first()
            .ok_or(ClipError::Missing("SPS"))?;
        let profile = h264::profile_of(sps).ok_or(ClipError::Missing("SPS"))?;

        let (frames, video_ticks) = samples(file, video, CodecKind::H264.clock_rate())?;
        let (sounds, audio_ticks) = samples(file, audio, CodecKind::Opus.clock_rate())?;
        if video_ticks * 48 != audio_ticks * 90 {
            return Err(ClipError::Uneven {
                video: video_ticks,
                audio: audio_ticks,
            });
        }
        if !video_ticks.is_multiple_of(90) || video_ticks == 0 {
            return Err(ClipError::Fraction(video_ticks));
        }
        let mut items = Vec::with_capacity(frames.len() + sounds.len());
        for sample in frames {
            let payloads = h264::packetise(nals(avc, &sample)?);
            items.push(Item {
                track: VIDEO,
                at: duration(sample.ticks, 90_000),
                ticks: sample.ticks,
                payloads,
            });
        }
        for sample in sounds {
            let payloads = vec![Arc::from(sample.data)];
            items.push(Item {
                track: AUDIO,
                at: duration(sample.ticks, 48_000),
                ticks: sample.ticks,
                payloads,
            });
        }
        items.sort_by_key(|item| item.at);
        let duration = Duration::from_millis(video_ticks / 90);
        Ok(Self {
            items,
            duration,
            profile,
            stereo: opus.audio.channel_count == 2,
        })
    }
}

fn duration(ticks: u64, clock_rate: u32) -> Duration {
    Duration::from_nanos(ticks * 1_000_000_000 / u64::from(clock_rate))
}

fn read_moov(file: &[u8]) -> Result<Moov, ClipError> {
    let mut rest = file;
    while let Some(header) = Option::<Header>::read_from(&mut rest)? {
        if header.kind == Moov::KIND {
            return Ok(Moov::read_atom(&header, &mut rest)?);
        }
        let size = header.size.unwrap_or(rest.len());
        rest = rest.get(size..).ok_or(ClipError::OutOfBounds("a box"))?;
    }
    Err(ClipError::Missing("moov box"))
}

/// One coded frame as the container holds it.
struct Sample {
    /// Decoding time in the RTP clock.
    ticks: u64,
    data: &'static [u8],
    is_key: bool,
}

/// The samples of a track, with times in ticks of `clock_rate`, and the whole track's length.
fn samples(
    file: &'static [u8],
    trak: &Trak,
    clock_rate: u32,
) -> Result<(Vec<Sample>, u64), ClipError> {
    let table = &trak.mdia.minf.stbl;
    let timescale = u64::from(trak.mdia.mdhd.timescale.max(1));
    let count = match &table.stsz.samples {
        StszSamples::Identical { count, .. } => *count as usize,
        StszSamples::Different { sizes } => sizes.len(),
    };
    let mut deltas = table
        .stts
        .entries
        .iter()
        .flat_map(|run| std::iter::repeat_n(run.sample_delta, run.sample_count as usize));
    let chunks = table.stco.as_ref().ok_or(ClipError::Missing("stco box"))?;
    let mut samples = Vec::with_capacity(count);
    let mut time = 0u64;
    for (number, offset) in (1u32..).zip(&chunks.entries) {
        let run = table
            .stsc
            .entries
            .iter()
            .rev()
            .find(|run| run.first_chunk <= number);
        let in_chunk = run
            .ok_or(ClipError::Missing("stsc entry"))?
            .samples_per_chunk;
        let mut offset = *offset as usize;
        for _ in 0..in_chunk {
            let index = samples.len();
            let size = match &table.stsz.samples {
                StszSamples::Identical { size, .. } => *size as usize,
                StszSamples::Different { sizes } => {
                    *sizes.get(index).ok_or(ClipError::OutOfBounds("a chunk"))? as usize
                }
            };
            let data = file
                .get(offset..offset.saturating_add(size))
                .ok_or(ClipError::OutOfBounds("a sample"))?;
            let is_key = table
                .stss
                .as_ref()
                .is_none_or(|keys| keys.entries.contains(&(index as u32 + 1)));
            samples.push(Sample {
                ticks: time * u64::from(clock_rate) / timescale,
                data,
                is_key,
            });
            time += u64::from(
                deltas
                    .next()
                    .ok_or(ClipError::Missing("duration of a sample"))?,
            );
            offset += size;
        }
    }
    Ok((samples, time * u64::from(clock_rate) / timescale))
}

/// A sample's NAL units, with the parameter sets before a key frame.
fn nals(avc: &Avc1, sample: &Sample) -> Result<Vec<Bytes>, ClipError> {
    let length_size = usize::from(avc.avcc.length_size);
    let mut nals = Vec::new();
    if sample.is_key {
        let sets = avc
            .avcc
            .sequence_parameter_sets
            .iter()
            .chain(&avc.avcc.picture_parameter_sets);
        nals.extend(sets.map(|set| Bytes::copy_from_slice(set)));
    }
    let mut rest = sample.data;
    while !rest.is_empty() {
        let (prefix, after) = rest
            .split_at_checked(length_size)
            .ok_or(ClipError::OutOfBounds("a NAL length"))?;
        let length = prefix
            .iter()
            .fold(0usize, |length, byte| length << 8 | usize::from(*byte));
        let (nal, after) = after
            .split_at_checked(length)
            .ok_or(ClipError::OutOfBounds("a NAL unit"))?;
        nals.push(Bytes::from_static(nal));
        rest = after;
    }
    Ok(nals)
}

#[cfg(test)]
mod tests {
    use payload::h264::NalType;

    use super::*;

    fn of(clip: &Clip, track: usize) -> Vec<&Item> {
        clip.items
            .iter()
            .filter(|item| item.track == track)
            .collect()
    }

    #[test]
    fn the_embedded_clip_is_twelve_even_seconds_of_constrained_baseline_and_stereo_opus() {
        let clip = Clip::embedded();
        assert_eq!(clip.duration, Duration::from_secs(12));
        assert_eq!(of(&clip, VIDEO).len(), 360);
        assert_eq!(of(&clip, AUDIO).len(), 600);
        let tracks = clip.tracks();
        assert_eq!(
            tracks[VIDEO].h264_profile.map(|profile| profile >> 8),
            Some(0x42c0)
        );
        assert!(tracks[AUDIO].stereo);
        assert!(DEMO.len() <= 1_000_000);
    }

    #[test]
    fn both_tracks_of_the_embedded_clip_have_even_steps() {
        let clip = Clip::embedded();
        for (track, step) in [(VIDEO, 3_000), (AUDIO, 960)] {
            for (index, item) in of(&clip, track).iter().enumerate() {
                assert_eq!(item.ticks, index as u64 * step);
            }
        }
    }

    #[test]
    fn a_key_frame_comes_each_second_and_brings_its_parameter_sets() {
        let clip = Clip::embedded();
        for (index, frame) in of(&clip, VIDEO).iter().enumerate() {
            let kinds: Vec<_> = frame
                .payloads
                .iter()
                .filter_map(|payload| NalType::of(payload))
                .collect();
            let starts_with_sets = kinds.starts_with(&[NalType::SPS, NalType::PPS]);
            assert_eq!(starts_with_sets, index % 30 == 0, "frame {index}");
        }
    }

    #[test]
    fn no_payload_is_longer_than_a_packet_and_opus_packets_hold_twenty_milliseconds() {
        let clip = Clip::embedded();
        for item in &clip.items {
            assert!(!item.payloads.is_empty());
            assert!(
                item.payloads
                    .iter()
                    .all(|payload| !payload.is_empty() && payload.len() <= sfu::PAYLOAD_MAX)
            );
        }
        for packet in of(&clip, AUDIO) {
            // RFC 6716 section 3.1: CELT-only configurations 16..=31 count 2.5, 5, 10, 20 ms; code 0 is one frame.
            let toc = packet.payloads[0][0];
            assert_eq!(
                (toc >> 3 >= 16, toc >> 3 & 3, toc & 3),
                (true, 3, 0),
                "TOC {toc:#04x}"
            );
        }
    }

    #[test]
    fn the_sound_has_no_click_where_the_loop_begins_again() {
        let clip = Clip::embedded();
        let mut decoder = opus_rs::OpusDecoder::new(48_000, 2).unwrap();
        let mut samples = Vec::new();
        for packet in of(&clip, AUDIO).into_iter().cycle().take(3 * 600) {
            let mut frame = [0.0; 2 * 960];
            decoder
                .decode(&packet.payloads[0], 960, &mut frame)
                .unwrap();
            samples.extend(frame.iter().step_by(2).copied());
        }
        // A click is a sharp bend: the second difference, at each loop's beginning and at every other 20 ms.
        let bend = |from: usize| {
            let windows = samples[from..from + 960].windows(3);
            windows
                .map(|w| (w[0] - 2.0 * w[1] + w[2]).abs())
                .fold(0.0f32, f32::max)
        };
        let mut bends: Vec<f32> = (50..1_750).map(|packet| bend(packet * 960 - 480)).collect();
        bends.sort_by(f32::total_cmp);
        let ordinary = bends[bends.len() * 19 / 20];
        for seam in [600, 1_200] {
            let seam = bend(seam * 960 - 480);
            assert!(seam <= ordinary, "a bend of {seam}, beside {ordinary}");
        }
    }

    #[test]
    fn files_that_are_cut_short_or_foreign_are_refused_in_words() {
        for length in [0, 7, 40, 5_000, 100_000] {
            assert!(Clip::parse(&DEMO[..length]).is_err(), "{length} bytes");
        }
        let error = Clip::parse(b"\0\0\0\x10ftypiso6\0\0\x02\0").unwrap_err();
        assert_eq!(error.to_string(), "the clip has no moov box");
    }
}
