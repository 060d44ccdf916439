//! The vocabulary of conferences: what a participant is shown and hears, and how well.

use crate::id::{PeerId, StreamId, WorkerId};

/// Streams that one participant publishes: its camera and microphone, its screen, and two more for a performer.
pub const PUBLICATIONS_MAX: usize = 4;

/// Slots for sound that one participant has: the eight loudest and as many streams of music.
pub const AUDIO_SLOTS_MAX: usize = 16;

/// Slots for pictures that one participant has: a grid of seven by seven. Every section costs time with each packet.
pub const VIDEO_SLOTS_MAX: usize = 49;

/// How long a participant may be silent before it is closed: a phone between two networks, a train in a tunnel.
pub const SILENCE_MAX: std::time::Duration = std::time::Duration::from_secs(30);

/// A stream that is heard in a conference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoomStream {
    /// Which.
    pub stream: StreamId,
    /// Who publishes it: whoever has that peer does not hear it.
    pub peer: PeerId,
    /// The worker that has the peer.
    pub origin: WorkerId,
    /// Music is always forwarded, however quiet it is.
    pub is_music: bool,
}

/// How important a picture is to whom it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// One of many.
    Low,
    /// The usual.
    Normal,
    /// Who speaks.
    High,
    /// Pinned by hand, or a shared screen: served before all others.
    Pinned,
}

/// A picture that a participant wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Want {
    /// Which stream.
    pub stream: StreamId,
    /// The worker that has its publisher.
    pub origin: WorkerId,
    /// The highest simulcast layer that the size on screen deserves; 0 is the lowest.
    pub layer_max: u8,
    /// What comes first when not everything fits.
    pub priority: Priority,
    /// A shared screen: every detail, at fewer pictures per second if need be.
    pub is_detail: bool,
}

/// What one slot of a participant carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// The section's `mid`.
    pub mid: String,
    /// Whether it is a slot for sound.
    pub is_audio: bool,
    /// The stream in it.
    pub stream: StreamId,
    /// Why no packets leave, if none do.
    pub state: SlotState,
}

/// Whether a slot's stream reaches the participant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotState {
    /// Packets leave, or the first keyframe is waited for.
    Live,
    /// The bandwidth does not carry even its lowest layer.
    Paused,
    /// The participant has no codec for it.
    Unsupported,
}

/// Somebody who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Speaker {
    /// Which stream.
    pub stream: StreamId,
    /// Smoothed loudness in -dBov: 0 is the loudest, 127 silence (RFC 6464).
    pub level: u8,
}

/// How good a connection is, as people would say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quality {
    /// More than 10 % loss, over 500 ms round trip, or not even every thumbnail fits.
    Poor,
    /// More than 3 % loss, over 250 ms round trip, or less than what is wanted.
    Fair,
    /// As it should be.
    Good,
}
