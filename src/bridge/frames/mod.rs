//! RTP packets of one layer to whole frames on the presentation's clock: what the packager of `hls` is fed with.
//!
//! An [`Assembler`] takes the packets of one layer of one track in any order, waits for missing ones, puts frames together
//! and says when each is to be shown. What it deliberately does **not** do: decode (but for G.711), read a clock, ask anybody for a
//! keyframe (it says that one is wanted), or know of other layers. The stages are files of their own:
//!
//! - [`window`]: order again. A missing packet is waited for, for 250 ms; then it is lost.
//! - [`video`]: packets of one RTP timestamp are a frame. After a loss nothing is given until the next keyframe, so that
//!   no frame is given whose references are missing. [`h264`], [`vp9`] and [`av1`] know the payload formats.
//! - [`audio`] and [`opus`]: packets of sound, one after another without a hole: what is missing is recovered from
//!   redundancy, or replaced by packets that decoders conceal. [`g711`] makes Opus before that.
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
pub(super) mod opus;
mod timeline;
mod video;
mod vp9;
mod window;

use std::sync::Arc;

pub(crate) use assembler::Assembler;
pub(crate) use lead::{Lead, Opening};
pub(crate) use opus::is_stereo;

/// One packet of one layer as the media thread hands it over.
///
/// Times are in microseconds since the presentation's beginning, and negative for what was kept from before.
#[derive(Debug, Clone)]
pub(crate) struct Packet {
    /// The source's sequence number, extended to 64 bits.
    pub(crate) sequence: u64,
    /// In ticks of the codec's RTP clock, 90,000, 48,000 or 8,000 Hz.
    pub(crate) timestamp: u32,
    /// The last packet of a frame, in theory.
    pub(crate) marker: bool,
    /// When it was received.
    pub(crate) arrival_us: i64,
    /// When it was captured, as well as is known: from sender reports, else its arrival.
    pub(crate) wallclock_us: i64,
    /// RTP payload without header.
    pub(crate) payload: Arc<[u8]>,
    /// Whether the payload is RFC 2198 redundancy around Opus.
    pub(crate) red: bool,
}

/// What is put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FrameKind {
    /// Frames of length-prefixed NAL units; keyframes have their parameter sets. Streams without IDR pictures give none.
    H264,
    /// Frames of the lowest spatial layer.
    Vp9,
    /// Temporal units of OBUs with sizes, all layers.
    Av1,
    /// Opus packets.
    Opus,
    /// G.711 by the A-law, made into Opus packets.
    Pcma,
    /// G.711 by the mu-law, likewise.
    Pcmu,
}

impl FrameKind {
    /// Whether Opus comes out.
    pub(crate) fn is_sound(self) -> bool {
        matches!(self, Self::Opus | Self::Pcma | Self::Pcmu)
    }

    /// Hz of what goes in.
    pub(crate) fn clock_rate(self) -> u32 {
        match self {
            Self::H264 | Self::Vp9 | Self::Av1 => 90_000,
            Self::Opus => 48_000,
            Self::Pcma | Self::Pcmu => 8_000,
        }
    }
}

/// What happened until now, for the log and the metrics.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counters {
    /// Frames given, with what stands for lost sound.
    pub(crate) frames: u64,
    /// Packets that never came, as far as is known.
    pub(crate) lost: u64,
    /// Packets that came after their place was given up, or twice.
    pub(crate) late: u64,
    /// Times that more waited for a missing packet than is kept, or that numbering began anew.
    pub(crate) restarts: u64,
    /// Frames that were incomplete, unreadable or too large.
    pub(crate) damaged: u64,
    /// Whole pictures that were dropped because what they refer to is missing; sound that came too late to be played.
    pub(crate) dropped: u64,
    /// Pictures with an earlier time than the one before: the publisher sends B-frames.
    pub(crate) reordered: u64,
    /// Packets of sound that were recovered from redundancy.
    pub(crate) recovered: u64,
    /// Packets that stand for missing sound.
    pub(crate) concealed: u64,
    /// Sound in ticks: all that was given, what of it stands for packets that never came (not for those that a sender leaves out
    /// in silence), and what came too late to be played.
    pub(crate) sound_ticks: u64,
    pub(crate) missing_ticks: u64,
    pub(crate) late_ticks: u64,
    /// Corrections of the clock that were too large to be made little by little. A step forward leaves a hole before the
    /// next picture; sound is filled, unless the hole is longer than a minute.
    pub(crate) steps: u64,
}

#[cfg(test)]
mod tests;
