//! Publishers without WebRTC: a camera, the demo.

use std::time::Instant;

use payload::Codec;
use payload::inspect::inspect;

use super::Worker;
use crate::api::{Event, SourcePacket, TakesOver};
use crate::id::{PeerId, StreamId};
use crate::packet::MediaPacket;
use crate::standby::{Seen, Turn, Waiting, WaitingSource};
use crate::stream::Feed;

impl Worker {
    /// A packet of a source without WebRTC.
    pub(super) fn on_source_packet(
        &mut self,
        now: Instant,
        stream: StreamId,
        packet: SourcePacket,
    ) {
        let Some(slot) = self.stream_slot(stream) else {
            self.stats.dropped_stale += 1;
            return;
        };
        if !self.is_source(slot, packet.peer) && !self.on_waiting_source(now, slot, &packet) {
            return;
        }
        let Some(publication) = self.publication(slot) else {
            return;
        };
        let Some(track) = publication.tracks.get(packet.track) else {
            self.stats.dropped_unusable += 1;
            return;
        };
        if packet.payload.is_empty() || packet.payload.len() > crate::PAYLOAD_MAX {
            self.stats.dropped_unusable += 1;
            return;
        }
        let inspection = inspect(track.codec.kind, &packet.payload);
        let media = MediaPacket {
            sequence: packet.sequence,
            timestamp: packet.timestamp,
            marker: packet.marker,
            arrival: now,
            wallclock: now,
            payload: packet.payload,
            red: false,
            audio_level: None,
            orientation: None,
            captured_us: None,
            dependency: None,
            ahead: std::time::Duration::ZERO,
            inspection,
        };
        self.route(now, slot, packet.track, 0, media);
    }

    fn is_source(&self, slot: usize, peer: PeerId) -> bool {
        self.publication(slot)
            .is_some_and(|live| live.publisher == peer && live.feed == Feed::Source)
    }

    /// A publisher without WebRTC begins at once, but stands by as a backup, and leaves a backup the stage until its keyframe.
    pub(super) fn open_source(
        &mut self,
        now: Instant,
        stream: StreamId,
        id: PeerId,
        tracks: &[Codec],
        is_backup: bool,
    ) {
        let Some(slot) = self.ensure_stream(stream) else {
            return;
        };
        let current = self.publication(slot);
        let over = match is_backup {
            true => TakesOver::Absent,
            // Who connects before its keyframe has the stage by right.
            false => TakesOver::Only(current.map_or(id, |current| current.publisher)),
        };
        let has_backup = current.is_some_and(|current| current.is_backup);
        if has_backup || (is_backup && self.has_publisher(slot)) {
            self.end_waiting(stream, |other, peer| {
                other.is_backup() == is_backup && peer < id
            });
            if let Some(known) = self.stream_mut(slot) {
                known.sources.push(WaitingSource {
                    peer: id,
                    tracks: tracks.to_vec(),
                    waiting: Waiting::new(now, stream, over),
                });
            }
            if is_backup {
                self.emit(Event::StandsBy { stream, peer: id });
            }
            return;
        }
        self.begin_publication(now, slot, id, Feed::Source, tracks, is_backup);
        self.announce(slot);
    }

    /// A packet of a source that may be one of those that wait. Returns whether its turn has come: then it publishes now, and the
    /// packet is its first.
    pub(super) fn on_waiting_source(
        &mut self,
        now: Instant,
        stream_slot: usize,
        packet: &SourcePacket,
    ) -> bool {
        let Some(stream) = self.streams.get_mut(stream_slot).and_then(Option::as_mut) else {
            return false;
        };
        let Some(at) = stream
            .sources
            .iter()
            .position(|source| source.peer == packet.peer)
        else {
            self.stats.dropped_stale += 1;
            return false;
        };
        let source = &mut stream.sources[at];
        let Some(codec) = source.tracks.get(packet.track).copied() else {
            self.stats.dropped_unusable += 1;
            return false;
        };
        let inspection = inspect(codec.kind, &packet.payload);
        let seen = Seen {
            is_audio: codec.kind.is_audio(),
            is_keyframe: inspection.keyframe || inspection.parameters,
            may_have_picture: source.tracks.iter().any(|one| !one.kind.is_audio()),
        };
        let current = stream.publication.as_ref();
        let current = current.filter(|current| !matches!(current.feed, Feed::Relay(_)));
        match source.waiting.turn(now, current, seen) {
            Turn::Comes => {
                let source = stream.sources.remove(at);
                let (id, tracks) = (source.peer, &source.tracks);
                self.give_stage(now, stream_slot, id, Feed::Source, tracks, &source.waiting);
                self.announce(stream_slot);
                return true;
            }
            Turn::Refused => {
                let (stream, peer) = (stream.id, stream.sources.remove(at).peer);
                self.emit(Event::Ended { stream, peer });
            }
            Turn::Waits { .. } => {}
        }
        self.stats.dropped_standby += 1;
        false
    }

    /// Forgets a source that waits.
    pub(super) fn close_waiting_source(&mut self, id: PeerId) {
        for stream in self.streams.iter_mut().flatten() {
            stream.sources.retain(|source| source.peer != id);
        }
    }
}
