//! What workers tell one another: a publisher's packets cross once to each worker that has viewers.

use crate::id::{PeerId, StreamId};
use crate::packet::MediaPacket;
use crate::track::TrackInfo;

/// From one worker to another. The shell carries it in order, or drops [`Relay::Packet`]s and counts them when the
/// other side does not keep up; nothing else may be dropped.
#[derive(Debug, Clone)]
pub enum Relay {
    /// "I have viewers for this stream": send its tracks, its recent group of pictures, then what comes.
    Subscribe {
        /// Which stream.
        stream: StreamId,
        /// Pictures, too; without them only sound is sent. Said again when it changes.
        video: bool,
    },
    /// "I have no viewers any more."
    Unsubscribe {
        /// Which stream.
        stream: StreamId,
    },
    /// What is being published now. Comes before the first packet of a publication and whenever layers appear.
    Tracks {
        /// Which stream.
        stream: StreamId,
        /// Names the publication.
        publisher: PeerId,
        /// Its tracks, in the order that `Packet` counts them.
        tracks: Vec<TrackInfo>,
    },
    /// One packet.
    Packet {
        /// Which stream.
        stream: StreamId,
        /// Of which publication.
        publisher: PeerId,
        /// Place in `Tracks`.
        track: u8,
        /// Place in that track's layers.
        layer: u8,
        /// The packet.
        packet: MediaPacket,
    },
    /// Which layers of the picture somebody watches there.
    Watched {
        /// Which stream.
        stream: StreamId,
        /// A bit for each layer, the lowest first.
        layers: u8,
    },
    /// A viewer needs a keyframe.
    Keyframe {
        /// Which stream.
        stream: StreamId,
        /// Place in `Tracks`.
        track: u8,
        /// Place in that track's layers.
        layer: u8,
    },
    /// The publication ended.
    Ended {
        /// Which stream.
        stream: StreamId,
        /// Which publication.
        publisher: PeerId,
    },
}
