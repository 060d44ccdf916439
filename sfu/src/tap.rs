//! Taps: whole streams for consumers that are no peers (HLS, a recorder, analysis).

use crate::id::PeerId;
use crate::packet::MediaPacket;
use crate::track::TrackInfo;

/// What a tapped stream brings, on the worker that owns its publisher. The shell carries it in order, or drops
/// [`TapItem::Packet`]s and counts them when the consumer does not keep up; nothing else may be dropped.
#[derive(Debug, Clone)]
pub enum TapItem {
    /// What is being published now. Comes before the first packet of a publication and whenever tracks or layers appear.
    Tracks {
        /// Names the publication.
        publisher: PeerId,
        /// Its tracks, in the order that `Packet` counts them.
        tracks: Vec<TrackInfo>,
    },
    /// One packet. A tap that begins late gets the kept groups of pictures first, each packet with its own arrival time.
    Packet {
        /// Place in `Tracks`.
        track: u8,
        /// Place in that track's layers.
        layer: u8,
        /// The packet; the payload is shared.
        packet: MediaPacket,
    },
    /// The publication ended. The tap stays for the next one.
    Ended {
        /// Which.
        publisher: PeerId,
    },
}

/// How a stream is tapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tap {
    /// Somebody watches what is made of it: every layer of its picture counts as watched.
    pub is_watched: bool,
}
