//! H.264, RFC 6184 packetization modes 0 and 1: single NAL units, STAP-A and FU-A, in whatever mix an encoder sends.

use std::sync::Arc;

use bytes::{BufMut, BytesMut};

use super::video::Built;
use crate::bits::first_exp_golomb;
use crate::h264::NalType;
use crate::h264::payload::{Form, each_start, units};

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
        each_start(payload, |nal, _| {
            if nal.len() > PARAMETER_SET_MAX {
                return;
            }
            match NalType::of(nal) {
                Some(NalType::SPS) if nal.len() > 1 && self.sps != nal => {
                    self.is_new = true;
                    self.sps = nal.to_vec();
                }
                Some(NalType::PPS) => {
                    let Some(id) = first_exp_golomb(&nal[1..]) else {
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
        each_start(payload, |nal, _| {
            starts.get_or_insert(match NalType::of(nal) {
                Some(NalType::SPS | NalType::DELIMITER) => true,
                // `first_mb_in_slice` is 0: one bit.
                Some(NalType::IDR) => {
                    self.is_apart && nal.get(1).is_some_and(|data| data & 0x80 != 0)
                }
                _ => false,
            });
        });
        starts.unwrap_or(false)
    }

    /// Puts a frame together. IDR pictures that came without parameter sets get the last ones.
    pub(super) fn build(&mut self, payloads: &[Arc<[u8]>], bytes: usize) -> Built {
        let mut content = Content::default();
        for payload in payloads {
            each_start(payload, |nal, _| match NalType::of(nal) {
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

/// Writes the NAL units of `payloads`, each after its length; `None` when they cannot be read.
fn write(payloads: &[Arc<[u8]>], out: &mut BytesMut) -> Option<()> {
    // Where the length of the unit lies whose fragments are coming.
    let mut open: Option<usize> = None;
    for payload in payloads {
        let form = Form::of(payload).filter(|_| payload[0] & FORBIDDEN == 0)?;
        if open.is_some() && !matches!(form, Form::Fragment(_)) {
            return None;
        }
        match form {
            Form::Single(nal) => put(out, nal),
            Form::Aggregate(rest) => {
                for nal in units(rest) {
                    let nal = nal?;
                    if !nal.is_empty() {
                        put(out, nal);
                    }
                }
            }
            Form::Fragment(fragment) => {
                if fragment.is_start() {
                    let header = fragment.nal_header(0x60);
                    if open.is_some() || !matches!(header & 0x1f, 1..=23) {
                        return None;
                    }
                    open = Some(out.len());
                    out.put_u32(0);
                    out.put_u8(header);
                }
                let at = open?;
                out.put_slice(fragment.data);
                if fragment.is_end() {
                    let length = u32::try_from(out.len() - at - 4).ok()?;
                    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
                    open = None;
                }
            }
        }
    }
    open.is_none().then_some(())
}

fn put(out: &mut BytesMut, nal: &[u8]) {
    out.put_u32(u32::try_from(nal.len()).expect("a frame is shorter than FRAME_MAX"));
    out.put_slice(nal);
}
