//! Parameter sets.

use std::collections::BTreeMap;

use bytes::Bytes;
use h264_reader::Context;
use h264_reader::nal::pps::{PicParamSetId, PicParameterSet};
use h264_reader::nal::sps::{ChromaFormat, SeqParameterSet};
use h264_reader::nal::{Nal, RefNal};
use mp4_atom::{Avc1, Avcc, AvccExt, Codec, Visual};
use payload::bits::Reader;
use payload::h264::NalType;
use payload::h264::units::unescape;

use crate::codec::Format;

/// A longer parameter set than any encoder writes.
const SET_BYTES_MAX: usize = 1024;

/// The bytes in which a slice's header names its picture parameter set, and that one its number.
const SLICE_START_BYTES: usize = 24;

/// `avcC` counts them in a byte.
const PICTURE_SETS_MAX: usize = 255;

/// Frames that a decoder may have to reorder, at most (level 6.2 keeps 16).
const REORDER_MAX: usize = 4;

/// The last parameter set of each number. The format has 32 and 256 numbers, which bounds it.
#[derive(Default)]
pub(crate) struct Store {
    sequence: BTreeMap<u8, Bytes>,
    picture: BTreeMap<u8, (u8, Bytes)>,
    context: Context,
}

/// The parameter sets in use since a keyframe.
pub(crate) struct Active {
    pub(crate) sps: SeqParameterSet,
    pub(crate) format: Format,
    pub(crate) reorder_depth: usize,
    sequence: Bytes,
    picture: Vec<Bytes>,
}

impl Active {
    /// Whether `set` is one of those in use, byte for byte.
    pub(crate) fn holds(&self, set: &Bytes) -> bool {
        self.sequence == *set || self.picture.contains(set)
    }

    /// All of them, in the order in which a decoder has to be given them.
    pub(crate) fn sets(&self) -> impl DoubleEndedIterator<Item = &Bytes> {
        std::iter::once(&self.sequence).chain(&self.picture)
    }

    /// Browser encoders rewrite their parameter sets with nothing changed; size, profile and level decide.
    pub(crate) fn shows_the_same(&self, other: &Self) -> bool {
        let shape = |active: &Self| {
            (
                active.format.width,
                active.format.height,
                active.sps.profile_idc,
                active.sps.level_idc,
            )
        };
        shape(self) == shape(other)
    }

    /// Whether a decoder that was given these sets reads pictures made for the others.
    pub(crate) fn decodes_the_same(&self, other: &Self) -> bool {
        let without_hints = |sps: &SeqParameterSet| {
            let mut sps = sps.clone();
            sps.vui_parameters = None;
            sps
        };
        self.picture == other.picture
            && (self.sequence == other.sequence
                || without_hints(&self.sps) == without_hints(&other.sps))
    }
}

impl Store {
    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    /// Keeps a set. Says whether it is new; one that makes no sense is not kept.
    pub(crate) fn put(&mut self, set: &Bytes) -> bool {
        if set.len() > SET_BYTES_MAX {
            return false;
        }
        if NalType::of(set) == Some(NalType::SPS) {
            self.put_sequence(set)
        } else {
            self.put_picture(set)
        }
    }

    fn put_sequence(&mut self, set: &Bytes) -> bool {
        let unit = RefNal::new(set, &[], true);
        let Ok(sps) = SeqParameterSet::from_bits(unit.rbsp_bits()) else {
            return false;
        };
        let id = sps.id().id();
        self.context.put_seq_param_set(sps);
        // What a picture parameter set says depends on this one, which may come after it.
        for (of, picture) in self.picture.values() {
            let unit = RefNal::new(picture, &[], true);
            if *of == id
                && let Ok(pps) = PicParameterSet::from_bits(&self.context, unit.rbsp_bits())
            {
                self.context.put_pic_param_set(pps);
            }
        }
        self.sequence.insert(id, set.clone()).as_ref() != Some(set)
    }

    fn put_picture(&mut self, set: &Bytes) -> bool {
        let start = unescape(&set[..set.len().min(SLICE_START_BYTES)]);
        let mut reader = Reader::new(&start, 8);
        let ids = (|| {
            let id = u8::try_from(reader.exp_golomb()?).ok()?;
            let of = u8::try_from(reader.exp_golomb()?).ok()?;
            (of < 32).then_some((id, of))
        })();
        let Some((id, of)) = ids else {
            return false;
        };
        let unit = RefNal::new(set, &[], true);
        if let Ok(pps) = PicParameterSet::from_bits(&self.context, unit.rbsp_bits()) {
            self.context.put_pic_param_set(pps);
        }
        let before = self.picture.insert(id, (of, set.clone()));
        before.is_none_or(|(_, before)| before != *set)
    }

    /// The sets that the picture beginning with `slice` needs.
    pub(crate) fn activate(&self, slice: &[u8]) -> Result<Active, &'static str> {
        let start = unescape(&slice[..slice.len().min(SLICE_START_BYTES)]);
        let mut reader = Reader::new(&start, 8);
        let pps = (|| {
            reader.exp_golomb()?;
            reader.exp_golomb()?;
            PicParamSetId::from_u32(reader.exp_golomb()?).ok()
        })()
        .ok_or("a slice header makes no sense")?;
        let missing = "a keyframe without its parameter sets";
        let pps = self.context.pps_by_id(pps).ok_or(missing)?;
        let id = pps.seq_parameter_set_id;
        let sps = self.context.sps_by_id(id).ok_or(missing)?;
        let sequence = self.sequence.get(&id.id()).ok_or(missing)?.clone();
        let picture: Vec<Bytes> = self
            .picture
            .values()
            .filter(|(of, _)| *of == id.id())
            .map(|(_, set)| set.clone())
            .take(PICTURE_SETS_MAX)
            .collect();
        Ok(Active {
            format: format(sps, &sequence, &picture)?,
            reorder_depth: reorder_depth(sps),
            sps: sps.clone(),
            sequence,
            picture,
        })
    }
}

fn reorder_depth(sps: &SeqParameterSet) -> usize {
    sps.vui_parameters
        .as_ref()
        .and_then(|vui| vui.bitstream_restrictions.as_ref())
        .map_or(0, |limits| {
            (limits.max_num_reorder_frames as usize).min(REORDER_MAX)
        })
}

fn format(
    sps: &SeqParameterSet,
    sequence: &[u8],
    picture: &[Bytes],
) -> Result<Format, &'static str> {
    let (width, height) = sps
        .pixel_dimensions()
        .map_err(|_| "a sequence parameter set without a size")?;
    let &[_, profile, constraints, level, ..] = sequence else {
        return Err("a sequence parameter set is cut off");
    };
    // The high profiles say more about the samples, ISO/IEC 14496-15 section 5.3.3.1.
    let ext = sps.profile_idc.has_chroma_info().then(|| AvccExt {
        chroma_format: match sps.chroma_info.chroma_format {
            ChromaFormat::Monochrome => 0,
            ChromaFormat::YUV422 => 2,
            ChromaFormat::YUV444 => 3,
            _ => 1,
        },
        bit_depth_luma: sps.chroma_info.bit_depth_luma_minus8.min(6) + 8,
        bit_depth_chroma: sps.chroma_info.bit_depth_chroma_minus8.min(6) + 8,
        sequence_parameter_sets_ext: Vec::new(),
    });
    Ok(Format {
        codec: format!("avc1.{profile:02x}{constraints:02x}{level:02x}"),
        width,
        height,
        entry: Codec::Avc1(Avc1 {
            visual: Visual {
                data_reference_index: 1,
                width: width.try_into().map_err(|_| "a picture is too wide")?,
                height: height.try_into().map_err(|_| "a picture is too high")?,
                ..Visual::default()
            },
            avcc: Avcc {
                configuration_version: 1,
                avc_profile_indication: profile,
                profile_compatibility: constraints,
                avc_level_indication: level,
                length_size: 4,
                sequence_parameter_sets: vec![sequence.to_vec()],
                picture_parameter_sets: picture.iter().map(|set| set.to_vec()).collect(),
                ext,
            },
            ..Avc1::default()
        }),
    })
}
