//! RTP packets of one layer to whole frames on the presentation's clock: what a packager is fed with.
//!
//! An [`Assembler`] takes the packets of one layer of one track in any order, waits for missing ones, puts frames together
//! and says when each is to be shown. What it deliberately does **not** do: decode, read a clock, ask anybody for a
//! keyframe (it says that one is wanted), or know of other layers. The stages are files of their own:
//!
//! - [`window`]: order again. A missing packet is waited for, for 250 ms; then it is lost.
//! - [`video`]: packets of one RTP timestamp are a frame. After a loss nothing is given until the next keyframe, so that
//!   no frame is given whose references are missing. [`h264`], [`vp9`] and [`av1`] know the payload formats.
//! - [`audio`] and [`opus`](crate::opus): packets of sound, one after another without a hole: what is missing is recovered from
//!   redundancy, or replaced by packets that decoders conceal. [`g711`] has Opus made before that, by whoever is given to it.
//! - [`lead`]: by how much all tracks of a publication are ahead of their capture times, one value for all.
//! - [`timeline`]: from RTP timestamps and capture times to the presentation's time, in small corrections.
//!
//! The payload formats are read by code of our own, because `rtc-rtp` 0.21 cannot be given what the network sends: its
//! H.264 depacketiser panics on an aggregate that ends inside a length and its AV1 one on an extension that is missing; the
//! AV1 one also copies all that there is of a unit again for each of its packets, and the VP9 one refuses the three
//! references that a picture may have.
//!
//! Budget: one copy of each payload byte, into a buffer of its frame's size; until then payloads are shared with the
//! media thread. A keyframe of 1 MB in 850 packets is one allocation and one copy of 1 MB. Of each layer at most
//! [`window::HELD_BYTES_MAX`] wait for order and [`video::FRAME_MAX`] for the end of a frame.

mod assembler;
mod audio;
mod av1;
mod g711;
mod h264;
mod lead;
mod timeline;
mod video;
mod vp9;
mod window;

use std::sync::Arc;

use bytes::Bytes;

pub use assembler::Assembler;
pub use g711::{Opus, ToOpus};
pub use lead::{Lead, Opening};
pub use timeline::{Ahead, Anchor};

/// One packet of one layer as the media thread hands it over.
///
/// Times are in microseconds since the presentation's beginning, and negative for what was kept from before.
#[derive(Debug, Clone)]
pub struct Packet {
    /// The source's sequence number, extended to 64 bits.
    pub sequence: u64,
    /// In ticks of the codec's RTP clock, 90,000, 48,000 or 8,000 Hz.
    pub timestamp: u32,
    /// The last packet of a frame, in theory.
    pub marker: bool,
    /// When it was received.
    pub arrival_us: i64,
    /// When it was captured, as well as is known: from sender reports, else its arrival.
    pub wallclock_us: i64,
    /// RTP payload without header.
    pub payload: Arc<[u8]>,
    /// Whether the payload is RFC 2198 redundancy around Opus.
    pub red: bool,
}

/// One coded frame. Frames of a track come in decode order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Presentation time in ticks of the codec's timescale since the life's begin: unwrapped, slewed, and on the clock
    /// that all tracks share.
    pub pts: i64,
    /// Whether decoding can begin here (H.264: an IDR picture). Ignored for audio.
    pub keyframe: bool,
    /// The payload as its codec has it: H.264 as NAL units with a length of 4 bytes in front of each, VP9 as one superframe, AV1 as OBUs with
    /// their sizes and without temporal delimiters, Opus as RTP carries it, AAC as raw access units. H.264 parameter sets may come with the frame, in a frame of their own, or
    /// one by one; they are kept apart and left out of the samples.
    pub data: Bytes,
    /// Ticks that the frame lasts; for audio. A picture lasts until the next one.
    pub duration: Option<u32>,
}

/// What happened until now, for the log and the metrics.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    /// Frames given, with what stands for lost sound.
    pub frames: u64,
    /// Packets that never came, as far as is known.
    pub lost: u64,
    /// Packets that came after their place was given up, or twice.
    pub late: u64,
    /// Times that more waited for a missing packet than is kept, or that numbering began anew.
    pub restarts: u64,
    /// Frames that were incomplete, unreadable or too large.
    pub damaged: u64,
    /// Whole pictures that were dropped because what they refer to is missing; sound that came too late to be played.
    pub dropped: u64,
    /// Pictures with an earlier time than the one before: the publisher sends B-frames.
    pub reordered: u64,
    /// Packets of sound that were recovered from redundancy.
    pub recovered: u64,
    /// Packets that stand for missing sound.
    pub concealed: u64,
    /// Sound in ticks: all that was given.
    pub sound_ticks: u64,
    /// What of it stands for packets that never came; not for those that a sender leaves out in silence.
    pub missing_ticks: u64,
    /// What came too late to be played.
    pub late_ticks: u64,
    /// Corrections of the clock that were too large to be made little by little. A step forward leaves a hole before the
    /// next picture; sound is filled, unless the hole is longer than a minute.
    pub steps: u64,
}

#[cfg(test)]
mod tests;
