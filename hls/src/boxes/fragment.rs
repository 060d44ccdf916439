//! `moof` and `mdat`.

use bytes::Bytes;
use mp4_atom::{Encode, Mfhd, Moof, Tfdt, Tfhd, Traf, Trun, TrunEntry, TrunSamples};

use super::track_id;
use crate::codec::Payload;

/// Sample flags: depends on no other sample, and is one to begin at.
const SYNC: u32 = 0x0200_0000;
/// Sample flags: depends on others, and is not one to begin at.
const NOT_SYNC: u32 = 0x0101_0000;

/// The header of an `mdat`.
const MDAT_HEADER_BYTES: usize = 8;

/// All of a fragment that is not a sample or its entry: `moof`, `mfhd`, `traf`, `tfhd`, `tfdt`, `trun` and `mdat` have 108 at most.
const FRAGMENT_HEADER_BYTES_MAX: usize = 128;

/// An entry of `trun`: duration, size, flags and offset.
const SAMPLE_HEADER_BYTES_MAX: usize = 16;

/// A sample of a fragment.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// Ticks.
    pub(crate) duration: u32,
    /// Ticks from decoding to showing.
    pub(crate) offset: i32,
    pub(crate) keyframe: bool,
    /// Whether it shows the picture before once more.
    pub(crate) is_repeat: bool,
    pub(crate) payload: Payload,
}

impl Sample {
    pub(crate) fn bytes(&self) -> usize {
        self.payload.iter().map(Bytes::len).sum()
    }
}

/// About how long a chunk of these samples is, and not less.
pub(crate) fn fragment_bytes(samples: &[Sample]) -> usize {
    let each = |sample: &Sample| SAMPLE_HEADER_BYTES_MAX + sample.bytes();
    FRAGMENT_HEADER_BYTES_MAX + samples.iter().map(each).sum::<usize>()
}

/// Adds one CMAF chunk. The payload is copied once, from the frames into it.
pub(crate) fn put_fragment(
    bytes: &mut Vec<u8>,
    is_video: bool,
    sequence: u32,
    start: u64,
    samples: &[Sample],
) {
    let has_offsets = samples.iter().any(|sample| sample.offset != 0);
    let entries = samples.iter().map(|sample| TrunEntry {
        duration: Some(sample.duration),
        size: Some(sample.bytes() as u32),
        flags: is_video.then_some(if sample.keyframe { SYNC } else { NOT_SYNC }),
        cts: has_offsets.then_some(sample.offset.into()),
    });
    let mut moof = Moof {
        mfhd: Mfhd {
            sequence_number: sequence,
        },
        traf: vec![Traf {
            tfhd: Tfhd {
                track_id: track_id(is_video),
                default_sample_flags: (!is_video).then_some(SYNC),
                default_base_is_moof: true,
                ..Tfhd::default()
            },
            tfdt: Some(Tfdt {
                base_media_decode_time: start,
            }),
            trun: vec![Trun {
                data_offset: Some(0),
                samples: TrunSamples::Explicit(entries.collect()),
            }],
            ..Traf::default()
        }],
    };
    // The offset of the data is the length of the box that names it.
    let begin = bytes.len();
    encode(&moof, bytes);
    let moof_bytes = bytes.len() - begin;
    bytes.truncate(begin);
    moof.traf[0].trun[0].data_offset = Some((moof_bytes + MDAT_HEADER_BYTES) as i32);
    let payload_bytes: usize = samples.iter().map(Sample::bytes).sum();
    bytes.reserve(moof_bytes + MDAT_HEADER_BYTES + payload_bytes);
    encode(&moof, bytes);
    bytes.extend(((MDAT_HEADER_BYTES + payload_bytes) as u32).to_be_bytes());
    bytes.extend(*b"mdat");
    for piece in samples.iter().flat_map(|sample| &sample.payload) {
        bytes.extend_from_slice(piece);
    }
}

fn encode(moof: &Moof, bytes: &mut Vec<u8>) {
    moof.encode(bytes)
        .expect("lengths and versions of our own boxes are in range");
}
