//! The packet as the router sees it: decrypted, inspected once, shared by everybody who gets it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use payload::inspect::Inspection;

/// How a picture must be turned to be upright (the `3gpp:video-orientation` header extension).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Orientation {
    /// As it is.
    Deg0,
    /// Clockwise by 90 degrees.
    Deg90,
    /// Upside down.
    Deg180,
    /// Counter-clockwise by 90 degrees.
    Deg270,
}

/// A dependency descriptor as it came; receivers order AV1 frames by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dependency {
    pub(crate) bytes: Arc<[u8]>,
    /// The frame number in it, or the one to be written into it.
    pub(crate) frame_number: u16,
}

/// One RTP packet of one layer. Cloning shares the payload.
#[derive(Debug, Clone)]
pub struct MediaPacket {
    /// The source's sequence number, extended to 64 bits.
    pub sequence: u64,
    /// The source's RTP timestamp in its codec's clock.
    pub timestamp: u32,
    /// The RTP marker bit.
    pub marker: bool,
    /// When its datagram was received.
    pub arrival: Instant,
    /// When it was captured, on our clock, as well as is known: from sender reports, else its arrival. Sound and
    /// picture of one publication share the mapping, so that viewers can play them in step.
    pub wallclock: Instant,
    /// The same on the publisher's own clock, in microseconds since 1970, where it says so itself (the `abs-capture-time`
    /// header extension). Browsers say it about once a second, and only when both sides have agreed on it. The clock is the
    /// one of its sender reports.
    pub captured_us: Option<u64>,
    /// By how much later than `wallclock` it was captured, if the publisher is to be believed: it sends ahead of its reports, and no
    /// capture is later than its arrival. Added to `wallclock` this is as even as the publisher's clock.
    pub ahead: Duration,
    /// RTP payload without header.
    pub payload: Arc<[u8]>,
    /// Whether the payload is RFC 2198 redundancy around the codec's own.
    pub red: bool,
    /// RFC 6464: -dBov and voice activity.
    pub audio_level: Option<(i8, bool)>,
    /// Which way is up.
    pub orientation: Option<Orientation>,
    /// AV1: the dependency descriptor.
    pub(crate) dependency: Option<Dependency>,
    /// What the codec's inspector saw.
    pub(crate) inspection: Inspection,
}
