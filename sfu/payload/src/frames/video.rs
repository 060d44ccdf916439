//! Packets in order to whole pictures, none of which refers to one that is missing.

use std::sync::Arc;

use bytes::Bytes;

use super::timeline::{Ahead, Anchor, Stamp, VideoClock};
use super::{Counters, Frame, Packet, av1, h264, vp9};
use crate::CodecKind;

/// The largest frame, in bytes; a key frame of 4K at 100 Mbit/s has about 2 MB.
pub(super) const FRAME_MAX: usize = 8 << 20;
/// Packets of one frame: the largest in packets of 1,200 bytes has 7,000.
pub(super) const FRAME_PACKETS_MAX: usize = 8_192;
/// A keyframe is asked for again when none came for so long, in arrival times.
const ASK_AGAIN_US: i64 = 500_000;

/// What became of the payloads of one frame.
#[derive(Debug)]
pub(super) enum Built {
    Frame {
        data: Bytes,
        is_key: bool,
    },
    /// No picture, as when parameter sets travel alone.
    Nothing,
    /// A keyframe whose parameter sets are not known.
    Undecodable,
    /// Incomplete or unreadable.
    Damaged,
}

#[derive(Debug)]
enum Codec {
    H264(h264::ParameterSets),
    Vp9,
    Av1,
    /// Nobody reads its frames.
    Other,
}

/// The frame that is being gathered. Its payloads are beside it, so that their list is allocated once.
#[derive(Debug)]
struct Open {
    stamp: Stamp,
    bytes: usize,
    is_damaged: bool,
}

/// One layer of pictures.
#[derive(Debug)]
pub(super) struct Video {
    codec: Codec,
    clock: VideoClock,
    open: Option<Open>,
    payloads: Vec<Arc<[u8]>>,
    /// The RTP timestamp of the last frame that was finished by its marker.
    finished: Option<u32>,
    /// The sender sets the marker in the middle of frames, so that only the next timestamp ends one.
    marker_lies: bool,
    /// Something before the next packet is missing, perhaps its frame's beginning.
    is_after_gap: bool,
    waits_for_key: bool,
    wants_keyframe: bool,
    /// When the last packet arrived, and when a keyframe was asked for.
    now_us: i64,
    asked_us: Option<i64>,
}

impl Video {
    pub(super) fn new(kind: CodecKind) -> Self {
        Self {
            codec: match kind {
                CodecKind::Vp9 => Codec::Vp9,
                CodecKind::Av1 => Codec::Av1,
                CodecKind::H264 => Codec::H264(h264::ParameterSets::default()),
                _ => Codec::Other,
            },
            clock: VideoClock::new(),
            open: None,
            payloads: Vec::new(),
            finished: None,
            marker_lies: false,
            is_after_gap: true,
            waits_for_key: true,
            wants_keyframe: false,
            now_us: 0,
            asked_us: None,
        }
    }

    pub(super) fn begin(&mut self, anchor: Anchor) {
        self.clock.begin(anchor);
    }

    pub(super) fn ahead(&self, stamp: Stamp) -> Option<Ahead> {
        self.clock.ahead(stamp)
    }

    /// Nothing more will come: a frame whose end was not marked is whole.
    pub(super) fn end(&mut self, lead_us: i64, counters: &mut Counters, out: &mut Vec<Frame>) {
        self.finish(lead_us, counters, out);
    }

    /// Whether a keyframe has become necessary since this was asked last.
    pub(super) fn take_wants_keyframe(&mut self) -> bool {
        std::mem::take(&mut self.wants_keyframe)
    }

    /// Packets are missing before the next one.
    pub(super) fn gap(&mut self) {
        self.is_after_gap = true;
        if let Some(open) = &mut self.open {
            open.is_damaged = true;
            self.payloads.clear();
        }
        self.lose();
    }

    /// Takes the next packet; gives the frames that it completes.
    pub(super) fn push(
        &mut self,
        packet: Packet,
        lead_us: i64,
        counters: &mut Counters,
        out: &mut Vec<Frame>,
    ) {
        // Padding, which senders without retransmission stream send to measure bandwidth, belongs to no frame.
        if packet.payload.is_empty() {
            return;
        }
        self.now_us = packet.arrival_us;
        if let Codec::H264(sets) = &mut self.codec {
            sets.learn(&packet.payload);
        }
        let timestamp = packet.timestamp;
        if self.finished == Some(timestamp) {
            self.marker_lies = true;
            self.finished = None;
            counters.damaged += 1;
            self.is_after_gap = true;
            self.lose();
        }
        if self
            .open
            .as_ref()
            .is_some_and(|open| open.stamp.timestamp != timestamp)
        {
            self.finish(lead_us, counters, out);
        }
        let is_after_gap = std::mem::take(&mut self.is_after_gap);
        let open = self.open.get_or_insert_with(|| Open {
            stamp: Stamp {
                timestamp,
                arrival_us: packet.arrival_us,
                wallclock_us: packet.wallclock_us,
            },
            bytes: 0,
            is_damaged: is_after_gap && !self.codec.starts_frame(&packet.payload),
        });
        open.bytes += packet.payload.len();
        open.is_damaged |= open.bytes > FRAME_MAX || self.payloads.len() >= FRAME_PACKETS_MAX;
        if open.is_damaged {
            self.payloads.clear();
        } else {
            self.payloads.push(packet.payload);
        }
        if packet.marker && !self.marker_lies && self.finish(lead_us, counters, out) {
            self.finished = Some(timestamp);
        }
    }

    /// Ends the frame that is being gathered. Returns whether there was a picture.
    fn finish(&mut self, lead_us: i64, counters: &mut Counters, out: &mut Vec<Frame>) -> bool {
        self.finished = None;
        let Some(open) = self.open.take() else {
            return false;
        };
        let built = if open.is_damaged {
            Built::Damaged
        } else {
            self.codec.build(&self.payloads, open.bytes)
        };
        self.payloads.clear();
        let (data, is_key) = match built {
            Built::Frame { data, is_key } => (data, is_key),
            Built::Nothing => return false,
            Built::Undecodable => {
                counters.dropped += 1;
                self.clock.place(open.stamp, lead_us);
                self.lose();
                return true;
            }
            Built::Damaged => {
                counters.damaged += 1;
                self.clock.place(open.stamp, lead_us);
                self.lose();
                return true;
            }
        };
        let place = self.clock.place(open.stamp, lead_us);
        counters.steps += u64::from(place.has_stepped);
        if self.waits_for_key && !is_key {
            counters.dropped += 1;
            self.lose();
            return true;
        }
        self.waits_for_key = false;
        self.asked_us = None;
        counters.reordered += u64::from(place.step < 0);
        counters.frames += 1;
        out.push(Frame {
            pts: place.ticks,
            keyframe: is_key,
            data,
            duration: None,
        });
        true
    }

    /// Nothing can be shown until the next keyframe.
    fn lose(&mut self) {
        self.waits_for_key = true;
        let asks = self
            .asked_us
            .is_none_or(|asked_us| self.now_us.saturating_sub(asked_us) >= ASK_AGAIN_US);
        if asks {
            self.asked_us = Some(self.now_us);
            self.wants_keyframe = true;
        }
    }
}

impl Codec {
    fn starts_frame(&self, payload: &[u8]) -> bool {
        match self {
            Self::H264(sets) => sets.starts_frame(payload),
            Self::Vp9 => vp9::starts_frame(payload),
            Self::Av1 => av1::starts_frame(payload),
            Self::Other => false,
        }
    }

    fn build(&mut self, payloads: &[Arc<[u8]>], bytes: usize) -> Built {
        match self {
            Self::H264(sets) => sets.build(payloads, bytes),
            Self::Vp9 => vp9::build(payloads, bytes),
            Self::Av1 => av1::build(payloads, bytes),
            Self::Other => Built::Damaged,
        }
    }
}
