//! From a publisher's packets to its viewers.

use std::time::Instant;

use super::Worker;
use crate::api::{CloseReason, Codec, Event, Output, Role, SourcePacket};
use crate::codec::inspect;
use crate::forward::{Outgoing, REPLAY_TICK};
use crate::id::StreamId;
use crate::packet::MediaPacket;
use crate::peer::{Leg, Peer};
use crate::relay::Relay;
use crate::rtc::{Mid, Rid};
use crate::stream::{Feed, Publication, TRACKS_MAX, Track};

/// Above this, a viewer of a publisher that answers keyframe requests waits for a keyframe instead of a replay.
const REPLAY_BYTES_RESPONSIVE: usize = 256 << 10;

impl Worker {
    /// A packet of a WebRTC publisher.
    pub(super) fn on_published(
        &mut self,
        now: Instant,
        slot: usize,
        mid: Mid,
        rid: Option<Rid>,
        codec: Codec,
        mut packet: MediaPacket,
    ) {
        let Some(peer) = self.peers.get(slot).and_then(Option::as_ref) else {
            return;
        };
        let stream = peer.stream;
        let Some(publication) = self
            .streams
            .get_mut(stream)
            .and_then(Option::as_mut)
            .and_then(|stream| stream.publication.as_mut())
            .filter(|publication| publication.feed == Feed::Peer(slot))
        else {
            self.stats.dropped_stale += 1;
            return;
        };
        packet.wallclock = publication.clock.capture(
            packet.arrival,
            mid,
            rid,
            packet.timestamp,
            codec.kind.clock_rate(),
        );
        let known = publication
            .tracks
            .iter()
            .position(|track| track.mid == Some(mid) && track.codec == codec);
        let track = match known {
            Some(track) => track,
            None => match add_track(publication, peer, mid, codec) {
                Some(track) => {
                    self.announce(stream);
                    track
                }
                None => {
                    self.stats.dropped_unusable += 1;
                    return;
                }
            },
        };
        let layer = self.streams[stream]
            .as_ref()
            .and_then(|stream| stream.publication.as_ref())
            .and_then(|publication| publication.tracks[track].layer_of(rid));
        match layer {
            Some(layer) => self.route(now, stream, track, layer, packet),
            None => self.stats.dropped_unusable += 1,
        }
    }

    /// A packet of a source without WebRTC.
    pub(super) fn on_source_packet(
        &mut self,
        now: Instant,
        stream: StreamId,
        packet: SourcePacket,
    ) {
        let slot = self.stream_slot(stream);
        let publication = slot
            .and_then(|slot| self.streams[slot].as_ref())
            .and_then(|stream| stream.publication.as_ref())
            .filter(|live| live.publisher == packet.peer && live.feed == Feed::Source);
        let (Some(slot), Some(publication)) = (slot, publication) else {
            self.stats.dropped_stale += 1;
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
            inspection,
        };
        self.route(now, slot, packet.track, 0, media);
    }

    /// Keeps, relays and forwards one packet.
    pub(super) fn route(
        &mut self,
        now: Instant,
        stream_slot: usize,
        track: usize,
        layer: usize,
        packet: MediaPacket,
    ) {
        self.stats.packets_in += 1;
        let Some(stream) = self.streams.get_mut(stream_slot).and_then(Option::as_mut) else {
            return;
        };
        let gop_began = stream.keep(now, track, layer, &packet);
        let Some(publication) = stream.publication.as_ref() else {
            return;
        };
        for &to in &stream.relays {
            self.stats.packets_relayed += 1;
            self.outputs.push_back(Output::Relay {
                to,
                message: Relay::Packet {
                    stream: stream.id,
                    publisher: publication.publisher,
                    track: u8::try_from(track).expect("bounded by TRACKS_MAX"),
                    layer: u8::try_from(layer).expect("bounded by LAYERS_MAX"),
                    packet: packet.clone(),
                },
            });
        }
        let source = &publication.tracks[track];
        let mut failed: Option<(usize, CloseReason)> = None;
        for &slot in &stream.viewers {
            let Some(peer) = self.peers.get_mut(slot).and_then(Option::as_mut) else {
                continue;
            };
            let was_dirty = peer.is_dirty;
            let sent = deliver(
                now,
                peer,
                source,
                track,
                layer,
                gop_began,
                &packet,
                &mut self.outgoing,
            );
            match sent {
                Ok(count) => self.stats.packets_forwarded += count,
                Err(reason) => failed = Some((slot, reason)),
            }
            if peer.is_dirty && !was_dirty {
                self.dirty.push(slot);
            }
            if replays(peer) && !self.replaying.contains(&slot) {
                self.replaying.push(slot);
                self.replay_at.get_or_insert(now + REPLAY_TICK);
            }
        }
        // One at a time is enough: a panic on the same packet at another viewer shows with the next packet.
        if let Some((slot, reason)) = failed {
            self.remove_peer(slot, reason);
        }
    }

    /// Goes on with every replay whose pace allows it.
    pub(super) fn advance_replays(&mut self, now: Instant) {
        if self.replay_at.is_none_or(|at| at > now) {
            return;
        }
        let mut replaying = std::mem::take(&mut self.replaying);
        replaying.retain(|&slot| self.advance_replay(now, slot));
        self.replaying = replaying;
        self.replay_at = (!self.replaying.is_empty()).then(|| now + REPLAY_TICK);
    }

    fn advance_replay(&mut self, now: Instant, slot: usize) -> bool {
        let Some(peer) = self.peers.get_mut(slot).and_then(Option::as_mut) else {
            return false;
        };
        let track = peer
            .viewer
            .video
            .as_ref()
            .and_then(|leg| leg.source)
            .map(|source| source.track);
        let layer = track.and_then(|track| {
            let layer = peer.viewer.video.as_ref()?.forwarder.current_layer()?;
            let publication = self
                .streams
                .get(peer.stream)?
                .as_ref()?
                .publication
                .as_ref()?;
            publication.tracks.get(track)?.layers.get(layer)
        });
        let Some(layer) = layer else {
            return false;
        };
        let was_dirty = peer.is_dirty;
        let result = advance(now, peer, &layer.gop, &mut self.outgoing);
        if peer.is_dirty && !was_dirty {
            self.dirty.push(slot);
        }
        let goes_on = replays(peer);
        match result {
            Ok(count) => {
                self.stats.packets_forwarded += count;
                goes_on
            }
            Err(reason) => {
                self.remove_peer(slot, reason);
                false
            }
        }
    }

    /// A viewer is connected: bind its sections and show it a picture.
    pub(super) fn start_viewer(&mut self, now: Instant, slot: usize) {
        let Some(peer) = self.peers.get_mut(slot).and_then(Option::as_mut) else {
            return;
        };
        let stream_slot = peer.stream;
        let Some(stream) = self.streams.get_mut(stream_slot).and_then(Option::as_mut) else {
            return;
        };
        peer.bind(&stream.infos(), true);
        self.select_layer(now, slot);
        self.start_video(now, slot);
        self.ask_keyframes(now, stream_slot);
    }

    /// From the kept group of pictures if there is one, else at the next keyframe.
    pub(super) fn start_video(&mut self, now: Instant, slot: usize) {
        let Some(peer) = self.peers.get_mut(slot).and_then(Option::as_mut) else {
            return;
        };
        let Some(publication) = self.streams[peer.stream]
            .as_mut()
            .and_then(|stream| stream.publication.as_mut())
        else {
            return;
        };
        let Some(leg) = peer.viewer.video.as_mut() else {
            return;
        };
        let (Some(source), Some(wanted)) = (leg.source, leg.forwarder.wanted_layer()) else {
            return;
        };
        let Some(layer) = publication
            .tracks
            .get_mut(source.track)
            .and_then(|track| track.layers.get_mut(wanted))
        else {
            return;
        };
        let is_long = layer.requests.answers() && layer.gop.bytes() > REPLAY_BYTES_RESPONSIVE;
        if leg.forwarder.is_waiting() && layer.gop.is_intact() && !is_long {
            leg.forwarder
                .replay(now, wanted, &layer.gop, layer.rate.bps());
            self.begin_replay(now, slot);
        } else {
            layer.requests.want();
        }
    }

    /// Counts a replay that viewer `slot` was just given, and lets it begin with this turn.
    pub(super) fn begin_replay(&mut self, now: Instant, slot: usize) {
        self.stats.replays += 1;
        if !self.replaying.contains(&slot) {
            self.replaying.push(slot);
        }
        self.replay_at = Some(now);
    }

    /// Tells everybody who must know that a publication's tracks are others now.
    pub(super) fn announce(&mut self, stream_slot: usize) {
        let Some(stream) = self.streams.get(stream_slot).and_then(Option::as_ref) else {
            return;
        };
        let Some(publication) = stream.publication.as_ref() else {
            return;
        };
        let (stream, publisher, tracks) = (stream.id, publication.publisher, publication.infos());
        let relays = self.streams[stream_slot]
            .as_ref()
            .map(|stream| stream.relays.clone())
            .unwrap_or_default();
        for to in relays {
            self.outputs.push_back(Output::Relay {
                to,
                message: Relay::Tracks {
                    stream,
                    publisher,
                    tracks: tracks.clone(),
                },
            });
        }
        if !matches!(self.feed(stream_slot), Some(Feed::Relay(_))) {
            self.emit(Event::Live {
                stream,
                peer: publisher,
                tracks,
            });
        }
        self.rebind_viewers(stream_slot, false);
    }

    /// Binds every viewer of a stream to what is published now.
    pub(super) fn rebind_viewers(&mut self, stream_slot: usize, is_new_publication: bool) {
        let Some(stream) = self.streams.get(stream_slot).and_then(Option::as_ref) else {
            return;
        };
        let infos = stream.infos();
        for slot in stream.viewers.clone() {
            if let Some(peer) = self.peer_mut(slot)
                && peer.is_connected
            {
                peer.bind(&infos, is_new_publication);
            }
        }
    }

    pub(super) fn feed(&self, stream_slot: usize) -> Option<Feed> {
        let publication = self
            .streams
            .get(stream_slot)?
            .as_ref()?
            .publication
            .as_ref()?;
        Some(publication.feed)
    }
}

fn add_track(publication: &mut Publication, peer: &Peer, mid: Mid, codec: Codec) -> Option<usize> {
    if peer.role != Role::Publisher {
        return None;
    }
    let rids = peer
        .rtc
        .sections()
        .iter()
        .find(|section| section.mid == mid)
        .map(|section| section.rids.clone())?;
    let track = Track::new(Some(mid), codec, &rids);
    // A section that changes its codec in mid-stream gets a fresh track in the old one's place.
    if let Some(at) = publication
        .tracks
        .iter()
        .position(|track| track.mid == Some(mid))
    {
        publication.tracks[at] = track;
        return Some(at);
    }
    if publication.tracks.len() >= TRACKS_MAX {
        return None;
    }
    publication.tracks.push(track);
    Some(publication.tracks.len() - 1)
}

fn replays(peer: &Peer) -> bool {
    peer.viewer
        .video
        .as_ref()
        .is_some_and(|leg| leg.forwarder.is_replaying())
}

fn leg_for(peer: &mut Peer, is_audio: bool, track: usize) -> Option<&mut Leg> {
    let leg = if is_audio {
        peer.viewer.audio.as_mut()
    } else {
        peer.viewer.video.as_mut()
    };
    leg.filter(|leg| leg.source.is_some_and(|source| source.track == track))
}

/// Hands one packet to one viewer; returns how many packets left, replayed ones included.
#[expect(clippy::too_many_arguments, reason = "the packet path, spelled out")]
fn deliver(
    now: Instant,
    peer: &mut Peer,
    source: &Track,
    track: usize,
    layer: usize,
    gop_began: bool,
    packet: &MediaPacket,
    scratch: &mut Vec<Outgoing>,
) -> Result<u64, CloseReason> {
    if !peer.is_connected {
        return Ok(0);
    }
    let is_audio = source.codec.kind.is_audio();
    let Some(leg) = leg_for(peer, is_audio, track) else {
        return Ok(0);
    };
    if is_audio {
        return match leg.forwarder.forward_audio(packet) {
            Some(outgoing) => peer.send(true, outgoing).map(|()| 1),
            None => Ok(0),
        };
    }
    let kept = &source.layers[layer];
    if gop_began {
        leg.forwarder.on_gop(now, layer, &kept.gop, kept.rate.bps());
    }
    if leg.forwarder.is_replaying() {
        if leg.forwarder.current_layer() != Some(layer) {
            return Ok(0);
        }
        return advance(now, peer, &kept.gop, scratch);
    }
    let forwarded = leg.forwarder.forward(layer, packet);
    let due = leg.forwarder.due_layer(now);
    let mut sent = match forwarded {
        Some(outgoing) => peer.send(false, outgoing).map(|()| 1)?,
        None => 0,
    };
    if let Some(next) = due
        && let Some(kept) = source.layers.get(next)
        && let Some(leg) = leg_for(peer, false, track)
    {
        leg.forwarder.replay(now, next, &kept.gop, kept.rate.bps());
        sent += advance(now, peer, &kept.gop, scratch)?;
    }
    Ok(sent)
}

fn advance(
    now: Instant,
    peer: &mut Peer,
    gop: &crate::forward::GopCache,
    scratch: &mut Vec<Outgoing>,
) -> Result<u64, CloseReason> {
    if let Some(leg) = peer.viewer.video.as_mut() {
        leg.forwarder
            .advance(now, gop, |outgoing| scratch.push(outgoing));
    }
    let mut sent = 0;
    let mut result = Ok(());
    for outgoing in scratch.drain(..) {
        if result.is_ok() {
            result = peer.send(false, outgoing);
            sent += 1;
        }
    }
    result.map(|()| sent)
}
