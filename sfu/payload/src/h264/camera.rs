//! RTP packets of a camera to whole H.264 frames, RFC 6184 packetization modes 0 and 1.
//!
//! Ours, because no library at hand does it for hostile input: retina gathers a frame without a limit and cannot be used
//! beside an Opus track, and `rtc-rtp` panics on an aggregate that ends in the middle of a length. A frame of which a
//! packet is missing is dropped, and so is everything up to the next key frame: nothing is sent whose references are
//! missing.

use bytes::{BufMut, Bytes, BytesMut};

use super::payload::{Form, Fragment, units};
use super::{NalType, profile_of};
use crate::PAYLOAD_MAX;
use crate::bits::first_exp_golomb;

/// The largest frame, in bytes; a key frame of 4K at 100 Mbit/s has about 2 MB.
pub const FRAME_MAX: usize = 8 << 20;
/// NAL units in one frame; a frame of level 5.1 has at most 36,864 macroblocks, and cameras send 1 to 16 slices.
const NALS_MAX: usize = 1_024;
/// Picture parameter sets that are kept; H.264 allows 256, encoders use one or two.
const PPS_MAX: usize = 16;
/// Parameter sets that do not fit into a packet cannot be sent, and are not kept.
const PARAMETER_SET_MAX: usize = PAYLOAD_MAX;

/// One RTP packet.
#[derive(Debug, Clone)]
pub struct Packet {
    /// Ticks since the session's beginning; packets of one frame have the same.
    pub elapsed: i64,
    /// The last packet of a frame, in theory.
    pub marker: bool,
    /// Whether packets before this one are missing.
    pub lost: bool,
    /// RTP payload without header.
    pub payload: Bytes,
}

/// One whole frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// That of its packets.
    pub elapsed: i64,
    /// NAL units without start codes. A key frame begins with all its parameter sets.
    pub nals: Vec<Bytes>,
    /// `profile-level-id` as a number, in key frames.
    pub profile: Option<u32>,
}

/// What was dropped, for the log.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Dropped {
    /// Frames with lost or unreadable packets, or longer than [`FRAME_MAX`].
    pub damaged: u64,
    /// Whole frames before a key frame.
    pub without_reference: u64,
}

/// Gathers frames.
#[derive(Debug)]
pub struct Assembler {
    elapsed: Option<i64>,
    nals: Vec<Bytes>,
    fragments: Option<BytesMut>,
    bytes: usize,
    has_picture: bool,
    is_key: bool,
    damaged: bool,
    waits_for_key: bool,
    sps: Option<Bytes>,
    pps: Vec<(u32, Bytes)>,
    dropped: Dropped,
}

impl Assembler {
    /// Begins with the parameter sets of the session description, if it has any.
    pub fn new(parameter_sets: impl IntoIterator<Item = Bytes>) -> Self {
        let mut assembler = Self {
            elapsed: None,
            nals: Vec::new(),
            fragments: None,
            bytes: 0,
            has_picture: false,
            is_key: false,
            damaged: false,
            waits_for_key: true,
            sps: None,
            pps: Vec::new(),
            dropped: Dropped::default(),
        };
        for set in parameter_sets {
            assembler.keep_parameter_set(&set);
        }
        assembler
    }

    /// What was dropped until now.
    pub fn dropped(&self) -> Dropped {
        self.dropped
    }

    /// Takes a packet; gives the frames that it completes: the one before when that had no marker, and its own.
    pub fn push(&mut self, packet: &Packet) -> Vec<Frame> {
        if packet.lost {
            self.damaged = true;
        }
        let mut frames = Vec::new();
        if self.elapsed != Some(packet.elapsed) {
            frames.extend(self.finish());
            self.elapsed = Some(packet.elapsed);
            self.damaged |= packet.lost;
        }
        if !self.damaged && self.take(&packet.payload).is_none() {
            self.damaged = true;
        }
        if self.damaged {
            self.nals.clear();
            self.fragments = None;
        }
        // Some cameras set the marker on parameter sets, too, which belong to the frame that follows.
        if packet.marker && (self.has_picture || self.damaged) {
            frames.extend(self.finish());
        }
        frames
    }

    /// Adds a payload to the frame; `None` when it cannot be read or is too much.
    fn take(&mut self, payload: &Bytes) -> Option<()> {
        self.bytes += payload.len();
        if self.bytes > FRAME_MAX {
            return None;
        }
        match Form::of(payload)? {
            Form::Single(_) => self.add(payload.clone()),
            Form::Aggregate(rest) => {
                for nal in units(rest) {
                    self.add(payload.slice_ref(nal?))?;
                }
                Some(())
            }
            Form::Fragment(fragment) => self.take_fragment(payload, fragment),
        }
    }

    fn take_fragment(&mut self, payload: &Bytes, fragment: Fragment<'_>) -> Option<()> {
        if fragment.is_start() {
            let mut begun = BytesMut::with_capacity(payload.len() * 4);
            begun.put_u8(fragment.nal_header(0xe0));
            self.fragments = Some(begun);
        }
        self.fragments.as_mut()?.extend_from_slice(fragment.data);
        if fragment.is_end() {
            let unit = self.fragments.take()?.freeze();
            self.add(unit)?;
        }
        Some(())
    }

    fn add(&mut self, nal: Bytes) -> Option<()> {
        // Aggregates may hold empty units, which mean nothing.
        let Some(kind) = NalType::of(&nal) else {
            return Some(());
        };
        if self.nals.len() >= NALS_MAX {
            return None;
        }
        self.has_picture |= kind.is_picture();
        self.is_key |= kind == NalType::IDR;
        if kind.is_parameter_set() {
            self.keep_parameter_set(&nal);
        }
        self.nals.push(nal);
        Some(())
    }

    fn keep_parameter_set(&mut self, set: &Bytes) {
        if set.len() > PARAMETER_SET_MAX {
            return;
        }
        if NalType::of(set) == Some(NalType::SPS) {
            if self.sps.as_ref() != Some(set) {
                // Picture parameter sets refer to the sequence that they came with.
                self.pps.clear();
                self.sps = Some(set.clone());
            }
        } else if let Some(id) = first_exp_golomb(&set[1..]) {
            match self.pps.iter().position(|(known, _)| *known == id) {
                Some(index) => self.pps[index].1 = set.clone(),
                None if self.pps.len() < PPS_MAX => self.pps.push((id, set.clone())),
                None => {}
            }
        }
    }

    /// Ends the frame that is being gathered.
    fn finish(&mut self) -> Option<Frame> {
        let nals = std::mem::take(&mut self.nals);
        let damaged = std::mem::take(&mut self.damaged) || self.fragments.take().is_some();
        let has_picture = std::mem::take(&mut self.has_picture);
        let is_key = std::mem::take(&mut self.is_key);
        self.bytes = 0;
        let elapsed = self.elapsed.take()?;
        if damaged {
            self.dropped.damaged += 1;
            self.waits_for_key = true;
            return None;
        }
        if !has_picture {
            return None;
        }
        if !is_key {
            if self.waits_for_key {
                self.dropped.without_reference += 1;
                return None;
            }
            return Some(Frame {
                elapsed,
                nals,
                profile: None,
            });
        }
        let (Some(sps), false) = (&self.sps, self.pps.is_empty()) else {
            // Without its parameter sets a key frame cannot be decoded, and nor can what follows it.
            self.waits_for_key = true;
            self.dropped.without_reference += 1;
            return None;
        };
        self.waits_for_key = false;
        let pictures = nals
            .into_iter()
            .filter(|nal| NalType::of(nal).is_some_and(|kind| !kind.is_parameter_set()));
        let sets = std::iter::once(sps)
            .chain(self.pps.iter().map(|(_, pps)| pps))
            .cloned();
        Some(Frame {
            elapsed,
            profile: profile_of(sps),
            nals: sets.chain(pictures).collect(),
        })
    }
}

#[cfg(test)]
mod tests;
