//! A picture shown once more.
//!
//! Players want parts of nearly equal length; a picture that stands still for longer than a part cannot be cut. So it is
//! coded again: a P picture in which every macroblock is skipped, a few bytes that decode to exactly the picture before.
//!
//! Where the stream keeps one reference picture (what real-time encoders do), the repeat takes its place as the
//! reference and the later pictures of the group are renumbered: `frame_num` and `pic_order_cnt_lsb` have a fixed length, so
//! their bits are overwritten where they are. With more references their order must not change: then the repeat is
//! not one.

use bytes::{BufMut, Bytes, BytesMut};
use h264_reader::Context;
use h264_reader::nal::pps::PicParameterSet;
use h264_reader::nal::slice::{
    DecRefPicMarking, MemoryManagementControlOperation, PicOrderCountLsb, SliceFamily, SliceHeader,
};
use h264_reader::nal::sps::{ChromaFormat, FrameMbsFlags, PicOrderCntType, SeqParameterSet};
use h264_reader::nal::{Nal, RefNal};
use payload::bits::{Reader, Writer, overwrite};
use payload::h264::NalType;
use payload::h264::units::{NalUnits, escape, unescape};

use super::cabac;
use crate::codec::Payload;

/// `slice_type` of a picture that has P slices only.
const ALL_P: u32 = 5;

/// The quantiser of the repeats. It touches no sample, for nothing is coded; it makes "skipped" the more probable symbol of
/// the arithmetic coder from the start.
const QP: i32 = 36;

/// What must be known of a picture to repeat it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slice {
    pub(crate) pps: u8,
    frame_num: u32,
    order: u32,
    /// Non-reference repeats since the last reference picture.
    repeats: u32,
}

impl Slice {
    /// Reads the header of a picture's first slice. Nothing if the picture cannot be repeated. The flag says whether it
    /// is, or makes another one, a long-term reference.
    pub(crate) fn read(unit: &[u8], context: &Context) -> Option<(Self, bool)> {
        let nal = RefNal::new(unit, &[], true);
        let header = nal.header().ok()?;
        let (slice, sps, pps) =
            SliceHeader::from_bits(context, &mut nal.rbsp_bits(), header).ok()?;
        let plain = matches!(slice.slice_type.family, SliceFamily::P | SliceFamily::I)
            && sps.frame_mbs_flags == FrameMbsFlags::Frames
            && !sps.chroma_info.separate_colour_plane_flag
            && pps.slice_groups.is_none();
        let order = match slice.pic_order_cnt_lsb {
            None => 0,
            Some(PicOrderCountLsb::Frame(lsb)) => lsb,
            Some(PicOrderCountLsb::FieldsAbsolute {
                pic_order_cnt_lsb,
                delta_pic_order_cnt_bottom: 0,
            }) => pic_order_cnt_lsb,
            Some(_) => return None,
        };
        let (long_term, reset) = match &slice.dec_ref_pic_marking {
            // Not a reference: the repeat would show the picture before it.
            None => return None,
            Some(DecRefPicMarking::Idr {
                long_term_reference_flag,
                ..
            }) => (*long_term_reference_flag, false),
            Some(DecRefPicMarking::SlidingWindow) => (false, false),
            Some(DecRefPicMarking::Adaptive(operations)) => {
                use MemoryManagementControlOperation as Operation;
                let any = |test: fn(&Operation) -> bool| operations.iter().any(test);
                (
                    any(|operation| {
                        matches!(
                            operation,
                            Operation::ShortTermUsedForLongTerm { .. }
                                | Operation::CurrentUsedForLongTerm { .. }
                        )
                    }),
                    any(|operation| matches!(operation, Operation::AllRefPicturesUnused)),
                )
            }
        };
        (plain && !reset).then(|| {
            let slice = Self {
                pps: pps.pic_parameter_set_id.id(),
                frame_num: slice.frame_num.into(),
                order,
                repeats: 0,
            };
            (slice, long_term)
        })
    }
}

/// How far the numbers of a group's pictures moved.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shift {
    frame_num: u32,
    order: u32,
    modulus: Option<(u32, u32)>,
}

impl Shift {
    pub(crate) fn is_none(&self) -> bool {
        self.frame_num == 0 && self.order == 0
    }

    pub(crate) fn apply_to(&self, slice: &mut Slice) {
        if let Some((frame_num_max, order_max)) = self.modulus {
            slice.frame_num = (slice.frame_num + self.frame_num) % frame_num_max;
            slice.order = (slice.order + self.order) % order_max;
        }
    }

    /// Renumbers all slices of an access unit.
    pub(crate) fn apply(&self, payload: &Payload, sps: &SeqParameterSet) -> Payload {
        let mut bytes = BytesMut::new();
        for piece in payload {
            for unit in NalUnits::new(piece).flatten() {
                let body = &piece[unit.body];
                match (unit.kind == NalType::SLICE)
                    .then(|| self.renumber(body, sps))
                    .flatten()
                {
                    Some(renumbered) => put_unit(&mut bytes, &renumbered),
                    None => put_unit(&mut bytes, body),
                }
            }
        }
        vec![bytes.freeze()]
    }

    fn renumber(&self, unit: &[u8], sps: &SeqParameterSet) -> Option<Vec<u8>> {
        let (frame_num_max, order_max) = self.modulus?;
        let mut plain = unescape(unit);
        let mut reader = Reader::new(&plain, 8);
        for _first_macroblock_type_and_set in 0..3 {
            reader.exp_golomb()?;
        }
        let at = reader.at;
        let bits = sps.log2_max_frame_num().into();
        let number = (reader.bits(bits)? + self.frame_num) % frame_num_max;
        let order_bits = order_bits(sps);
        let order = match order_bits {
            0 => 0,
            bits => (reader.bits(bits)? + self.order) % order_max,
        };
        overwrite(&mut plain, at, bits, number);
        overwrite(&mut plain, at + bits, order_bits, order);
        let mut renumbered = Vec::with_capacity(plain.len() + 16);
        escape(&plain, &mut renumbered);
        Some(renumbered)
    }
}

fn put_unit(bytes: &mut BytesMut, unit: &[u8]) {
    bytes.put_u32(unit.len() as u32);
    bytes.put_slice(unit);
}

/// The length of `pic_order_cnt_lsb`; 0 where the order is that of decoding.
fn order_bits(sps: &SeqParameterSet) -> usize {
    match sps.pic_order_cnt {
        PicOrderCntType::TypeZero {
            log2_max_pic_order_cnt_lsb_minus4,
        } => usize::from(log2_max_pic_order_cnt_lsb_minus4) + 4,
        _ => 0,
    }
}

/// The access unit that shows the picture of `slice` again, and what to repeat after it.
pub(crate) fn repeat(
    slice: &Slice,
    sps: &SeqParameterSet,
    pps: &PicParameterSet,
    shift: &mut Shift,
) -> Option<(Bytes, Option<Slice>)> {
    if matches!(sps.pic_order_cnt, PicOrderCntType::TypeOne { .. }) {
        return None;
    }
    let frame_num_max = 1 << sps.log2_max_frame_num();
    let order_bits = order_bits(sps);
    let order_max = 1 << order_bits;
    let is_reference = sps.max_num_ref_frames == 1;
    let mut next = slice.clone();
    if is_reference || slice.repeats == 0 {
        next.frame_num = (slice.frame_num + 1) % frame_num_max;
    }
    // Without a reference among them, the orders of a row of repeats must stay within half their range. A longer row
    // goes on with the last one.
    let in_range = is_reference || 2 * (slice.repeats + 2) < order_max / 2;
    if order_bits > 0 && in_range {
        next.order = (slice.order + 2) % order_max;
        shift.order = (shift.order + 2) % order_max;
    }
    shift.modulus = Some((frame_num_max, order_max));
    if is_reference {
        shift.frame_num = (shift.frame_num + 1) % frame_num_max;
    } else {
        next.repeats += 1;
    }
    let mut writer = Writer::default();
    write_header(&mut writer, &next, is_reference, sps, pps);
    let macroblocks = sps.pic_size_in_map_units();
    if pps.entropy_coding_mode_flag {
        cabac::skip_all(&mut writer, macroblocks, QP);
    } else {
        writer.exp_golomb(macroblocks);
        writer.bits(1, 1);
    }
    let mut unit = Vec::with_capacity(writer.bytes.len() + 8);
    escape(&writer.bytes, &mut unit);
    let mut bytes = BytesMut::with_capacity(unit.len() + 4);
    put_unit(&mut bytes, &unit);
    Some((bytes.freeze(), Some(next)))
}

/// ITU-T H.264 section 7.3.3.
fn write_header(
    writer: &mut Writer,
    slice: &Slice,
    is_reference: bool,
    sps: &SeqParameterSet,
    pps: &PicParameterSet,
) {
    writer.bits(
        u32::from(is_reference) << 5 | u32::from(NalType::SLICE.number()),
        8,
    );
    writer.exp_golomb(0);
    writer.exp_golomb(ALL_P);
    writer.exp_golomb(slice.pps.into());
    writer.bits(slice.frame_num, sps.log2_max_frame_num().into());
    let order_bits = order_bits(sps);
    if order_bits > 0 {
        writer.bits(slice.order, order_bits);
        if pps.bottom_field_pic_order_in_frame_present_flag {
            writer.signed_exp_golomb(0);
        }
    }
    if pps.redundant_pic_cnt_present_flag {
        writer.exp_golomb(0);
    }
    // One reference picture: the last one.
    let overrides = pps.num_ref_idx_l0_default_active_minus1 > 0;
    writer.bits(overrides.into(), 1);
    if overrides {
        writer.exp_golomb(0);
    }
    writer.bits(0, 1); // No modification of the reference list.
    if pps.weighted_pred_flag {
        // No weights of its own: those of doing nothing hold.
        let has_colour = sps.chroma_info.chroma_format != ChromaFormat::Monochrome;
        writer.exp_golomb(0);
        if has_colour {
            writer.exp_golomb(0);
        }
        writer.bits(0, if has_colour { 2 } else { 1 });
    }
    if is_reference {
        writer.bits(0, 1); // The sliding window drops the picture that this one repeats.
    }
    if pps.entropy_coding_mode_flag {
        writer.exp_golomb(0);
    }
    writer.signed_exp_golomb(QP - 26 - pps.pic_init_qp_minus26);
    if pps.deblocking_filter_control_present_flag {
        writer.exp_golomb(1); // Nothing to smooth.
    }
}
