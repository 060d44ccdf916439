//! A publisher without WebRTC: the demo, a camera.

use std::sync::Arc;

use sfu::{PeerId, SourcePacket, StreamId};
use venue::StreamKey;

use super::handle::Handle;
use super::thread::PacketSender;

/// Somebody else has the stream now, or the server stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this source lost its stream: another publisher took it over, or the server stops")]
pub struct SourceClosed;

/// The sending end of a publication. Dropping it ends the publication.
pub struct Source {
    handle: Handle,
    key: StreamKey,
    stream: StreamId,
    peer: PeerId,
    packets: PacketSender,
    sequences: Vec<u64>,
}

impl Source {
    pub(super) fn new(
        handle: Handle,
        key: StreamKey,
        stream: StreamId,
        peer: PeerId,
        packets: PacketSender,
        tracks: usize,
    ) -> Self {
        Self {
            handle,
            key,
            stream,
            peer,
            packets,
            sequences: vec![0; tracks],
        }
    }

    /// Sends one RTP payload of track `track` (its place in `open_source`) with a timestamp in the codec's clock; `marker` on a
    /// picture's last packet. Never blocks: what the media thread cannot take is dropped and counted.
    ///
    /// # Errors
    /// The stream is somebody else's now.
    ///
    /// # Panics
    /// When `track` is not one of those that were opened.
    pub fn send(
        &mut self,
        track: usize,
        timestamp: u32,
        marker: bool,
        payload: Arc<[u8]>,
    ) -> Result<(), SourceClosed> {
        let sequence = self.sequences[track];
        self.sequences[track] += 1;
        let packet = SourcePacket {
            peer: self.peer,
            track,
            sequence,
            timestamp,
            marker,
            payload,
        };
        self.packets
            .send((self.stream, packet))
            .map_err(|_| SourceClosed)?;
        // Asking the directory takes its lock: once per picture is enough.
        if marker && self.is_closed() {
            return Err(SourceClosed);
        }
        Ok(())
    }

    /// Whether the stream is somebody else's now.
    pub fn is_closed(&self) -> bool {
        let directory = self.handle.directory();
        !directory.ask(|venue| venue.has_place(&self.key, self.peer))
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.handle.end_source(self.stream, self.peer);
    }
}
