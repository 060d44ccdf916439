//! H.264, RFC 6184 packetization modes 0 and 1: single NAL units, STAP-A and FU-A, in whatever mix an encoder sends.

use std::sync::Arc;

use bytes::{BufMut, BytesMut};

use super::video::Built;
use crate::h264::NalType;

const IDR: u8 = 5;
const SPS: u8 = 7;
const DELIMITER: u8 = 9;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;
const FU_START: u8 = 0x80;
const FU_END: u8 = 0x40;
/// `forbidden_zero_bit`: set by whoever knows that the unit is damaged.
const FORBIDDEN: u8 = 0x80;

/// Parameter sets longer than this are not kept: real ones are 10-60 bytes, with VUI and scaling lists under 300.
const PARAMETER_SET_MAX: usize = 512;
/// Picture parameter sets that are kept; H.264 allows 256, encoders use one or two.
const PPS_MAX: usize = 16;

/// The last parameter sets of a layer. They are kept apart, because OBS may send them in different packets.
#[derive(Debug, Default)]
pub(super) struct ParameterSets {
    sps: Vec<u8>,
    pps: Vec<(u32, Vec<u8>)>,
    /// The sequence changed, and what came with it replaces all that is known.
    is_new: bool,
    /// The last keyframe came without parameter sets: this sender's do.
    is_apart: bool,
}

/// What a frame's packets hold.
#[derive(Debug, Default)]
struct Content {
    has_picture: bool,
    is_idr: bool,
    has_sps: bool,
    has_pps: bool,
}

impl ParameterSets {
    /// Remembers what `payload` holds, whatever becomes of its frame.
    pub(super) fn learn(&mut self, payload: &[u8]) {
        each_start(payload, |nal| {
            if nal.len() > PARAMETER_SET_MAX {
                return;
            }
            match NalType::of(nal) {
                Some(NalType::SPS) if nal.len() > 1 && self.sps != nal => {
                    self.is_new = true;
                    self.sps = nal.to_vec();
                }
                Some(NalType::PPS) => {
                    let Some(id) = first_number(&nal[1..]) else {
                        return;
                    };
                    if std::mem::take(&mut self.is_new) {
                        self.pps.clear();
                    }
                    match self.pps.iter().position(|(known, _)| *known == id) {
                        Some(at) if self.pps[at].1 != nal => self.pps[at].1 = nal.to_vec(),
                        Some(_) => {}
                        None if self.pps.len() < PPS_MAX => self.pps.push((id, nal.to_vec())),
                        None => {}
                    }
                }
                _ => {}
            }
        });
    }

    /// Whether a frame begins with `payload`, when packets before it are missing. A sender whose keyframes bring their
    /// parameter sets may have sent new ones in these.
    pub(super) fn starts_frame(&self, payload: &[u8]) -> bool {
        let mut starts = None;
        each_start(payload, |nal| {
            starts.get_or_insert(match nal {
                [header, ..] if matches!(header & 0x1f, SPS | DELIMITER) => true,
                // `first_mb_in_slice` is 0: one bit.
                [header, data, ..] if header & 0x1f == IDR => self.is_apart && data & 0x80 != 0,
                _ => false,
            });
        });
        starts.unwrap_or(false)
    }

    /// Puts a frame together. IDR pictures that came without parameter sets get the last ones.
    pub(super) fn build(&mut self, payloads: &[Arc<[u8]>], bytes: usize) -> Built {
        let mut content = Content::default();
        for payload in payloads {
            each_start(payload, |nal| match NalType::of(nal) {
                Some(NalType::SPS) => content.has_sps = true,
                Some(NalType::PPS) => content.has_pps = true,
                Some(NalType::IDR) => (content.has_picture, content.is_idr) = (true, true),
                Some(kind) => content.has_picture |= kind.is_picture(),
                None => {}
            });
        }
        // A fragment loses two bytes and a unit gets four, at most every other one of which is in an aggregate already.
        let mut out = BytesMut::with_capacity(bytes + 4 * payloads.len() + 64);
        if content.is_idr && !(content.has_sps && content.has_pps) {
            if self.sps.is_empty() || self.pps.is_empty() {
                return Built::Undecodable;
            }
            put(&mut out, &self.sps);
            for (_, pps) in &self.pps {
                put(&mut out, pps);
            }
        }
        match write(payloads, &mut out) {
            None => Built::Damaged,
            Some(()) if content.has_picture => {
                if content.is_idr {
                    self.is_apart = !content.has_sps;
                }
                Built::Frame {
                    data: out.freeze(),
                    is_key: content.is_idr,
                }
            }
            Some(()) => Built::Nothing,
        }
    }
}

/// Calls `each` with every NAL unit that starts in `payload`; of a fragmented one with its header and the first octet
/// after it.
fn each_start(payload: &[u8], mut each: impl FnMut(&[u8])) {
    match payload {
        [header, rest @ ..] if header & 0x1f == STAP_A => {
            let mut rest = rest;
            while let [high, low, tail @ ..] = rest {
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                let Some((nal, after)) = tail.split_at_checked(length) else {
                    return;
                };
                if !nal.is_empty() {
                    each(nal);
                }
                rest = after;
            }
        }
        [indicator, header, data @ ..] if indicator & 0x1f == FU_A => {
            let nal = [
                indicator & 0x60 | header & 0x1f,
                data.first().copied().unwrap_or(0),
            ];
            if header & FU_START != 0 {
                each(&nal[..1 + data.len().min(1)]);
            }
        }
        [header, ..] if matches!(header & 0x1f, 1..=23) => each(payload),
        _ => {}
    }
}

/// Writes the NAL units of `payloads`, each after its length; `None` when they cannot be read.
fn write(payloads: &[Arc<[u8]>], out: &mut BytesMut) -> Option<()> {
    // Where the length of the unit lies whose fragments are coming.
    let mut open: Option<usize> = None;
    for payload in payloads {
        let first = *payload.first()?;
        let kind = first & 0x1f;
        if first & FORBIDDEN != 0 || (open.is_some() && kind != FU_A) {
            return None;
        }
        match kind {
            1..=23 => put(out, payload),
            STAP_A => {
                let mut rest = &payload[1..];
                while !rest.is_empty() {
                    let (length, tail) = rest.split_first_chunk::<2>()?;
                    let length = usize::from(u16::from_be_bytes(*length));
                    let (nal, after) = tail.split_at_checked(length)?;
                    if !nal.is_empty() {
                        put(out, nal);
                    }
                    rest = after;
                }
            }
            FU_A => {
                let (header, data) = payload[1..].split_first()?;
                if header & FU_START != 0 {
                    if open.is_some() || !matches!(header & 0x1f, 1..=23) {
                        return None;
                    }
                    open = Some(out.len());
                    out.put_u32(0);
                    out.put_u8(first & 0x60 | header & 0x1f);
                }
                let at = open?;
                out.put_slice(data);
                if header & FU_END != 0 {
                    let length = u32::try_from(out.len() - at - 4).ok()?;
                    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
                    open = None;
                }
            }
            _ => return None,
        }
    }
    open.is_none().then_some(())
}

fn put(out: &mut BytesMut, nal: &[u8]) {
    out.put_u32(u32::try_from(nal.len()).expect("a frame is shorter than FRAME_MAX"));
    out.put_slice(nal);
}

/// The first `ue(v)` of a bit string, ITU-T H.264 section 9.1, up to 2^16 - 2.
fn first_number(bytes: &[u8]) -> Option<u32> {
    let word = bytes
        .iter()
        .chain(&[0; 4])
        .take(4)
        .fold(0u32, |word, byte| word << 8 | u32::from(*byte));
    let zeros = word.leading_zeros();
    (zeros < 16).then(|| (word >> (31 - 2 * zeros)) - 1)
}
