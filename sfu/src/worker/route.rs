//! From a publisher's packets to its viewers.

use std::time::{Duration, Instant};

use payload::Codec;

use super::Worker;
use crate::api::{CloseReason, Event, Output, Role};
use crate::forward::{Outgoing, REPLAY_TICK};
use crate::packet::MediaPacket;
use crate::peer::{LegRef, Peer};
use crate::relay::Relay;
use crate::rtc::{Mid, Rid};
use crate::stream::{Feed, Kept, Publication, TRACKS_MAX, Track};

/// Above this, a viewer of a publisher that answers keyframe requests waits for a keyframe instead of a replay.
const REPLAY_BYTES_RESPONSIVE: usize = 256 << 10;

/// A publisher that is missed is asked for a keyframe when something came so recently.
const HEARD_MAX: Duration = Duration::from_secs(1);

/// Between two changes of a section's codec; everybody who gets it begins anew with each.
const CODEC_INTERVAL: Duration = Duration::from_secs(1);

impl Worker {
    /// A packet of a WebRTC publisher.
    pub(super) fn on_published(
        &mut self,
        now: Instant,
        slot: usize,
        mid: Mid,
        rid: Option<Rid>,
        codec: Codec,
        packet: MediaPacket,
    ) {
        let Some(peer) = self.peers.get(slot).and_then(Option::as_ref) else {
            return;
        };
        if peer.waiting.is_none() {
            return self.take_in(now, slot, mid, rid, codec, packet);
        }
        let Some(held) = self.on_waiting_packet(now, slot, (mid, rid), codec, &packet) else {
            return;
        };
        self.take_in(now, slot, mid, rid, codec, packet);
        for held in held {
            self.take_in(now, slot, held.mid, held.rid, held.codec, held.packet);
        }
    }

    /// A packet of whoever has the stage.
    fn take_in(
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
        let Some(stream) = peer.stream_of(mid) else {
            self.stats.dropped_stale += 1;
            return;
        };
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
        let is_audio = codec.kind.is_audio();
        if (is_audio && publication.muted.0) || (!is_audio && publication.muted.1) {
            self.stats.dropped_muted += 1;
            return;
        }
        if let Some(captured_us) = packet.captured_us {
            let timestamp = packet.timestamp;
            publication
                .clock
                .tell(packet.arrival, mid, rid, captured_us, timestamp);
        }
        (packet.wallclock, packet.ahead) = publication.clock.capture(
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
            None => match add_track(now, publication, peer, mid, codec) {
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
        self.tap_packet(stream_slot, track, layer, &packet);
        let stream = self.streams.get_mut(stream_slot).and_then(Option::as_mut);
        let Some(stream) = stream.filter(|_| !packet.payload.is_empty()) else {
            return;
        };
        let kept = stream.keep(now, track, layer, &packet);
        let Some(publication) = stream.publication.as_ref() else {
            return;
        };
        let is_audio = publication.tracks[track].codec.kind.is_audio();
        if is_audio && let Some(room) = stream.room {
            let (id, level) = (stream.id, packet.audio_level);
            self.on_sound(now, room, id, level);
        }
        let Some(stream) = self.streams.get(stream_slot).and_then(Option::as_ref) else {
            return;
        };
        let Some(publication) = stream.publication.as_ref() else {
            return;
        };
        for to in stream.relays.iter().filter(|to| is_audio || to.video) {
            self.stats.packets_relayed += 1;
            self.outputs.push_back(Output::Relay {
                to: to.worker,
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
        for &leg in stream.legs(is_audio) {
            let Some(peer) = self.peers.get_mut(leg.peer).and_then(Option::as_mut) else {
                continue;
            };
            let was_dirty = peer.is_dirty;
            let sent = deliver(
                now,
                peer,
                leg.leg,
                source,
                track,
                layer,
                kept,
                &packet,
                &mut self.outgoing,
            );
            match sent {
                Ok(count) => self.stats.packets_forwarded += count,
                Err(reason) => failed = Some((leg.peer, reason)),
            }
            if peer.is_dirty && !was_dirty {
                self.dirty.push(leg.peer);
            }
            if !is_audio && replays(peer, leg.leg) && !self.replaying.contains(&leg) {
                self.replaying.push(leg);
                self.replay_at.get_or_insert(now + REPLAY_TICK);
            }
        }
        if kept.returns {
            self.on_return(now, stream_slot);
        }
        // One at a time is enough: a panic on the same packet at another viewer shows with the next packet.
        if let Some((slot, reason)) = failed {
            self.remove_peer(slot, reason);
        }
    }

    /// A layer comes again after a cut of its publisher's line.
    fn on_return(&mut self, now: Instant, stream_slot: usize) {
        self.stats.cuts += 1;
        self.ask_keyframes(now, stream_slot);
    }

    /// Goes on with every replay whose pace allows it.
    pub(super) fn advance_replays(&mut self, now: Instant) {
        if self.replay_at.is_none_or(|at| at > now) {
            return;
        }
        let mut replaying = std::mem::take(&mut self.replaying);
        replaying.retain(|&leg| self.advance_replay(now, leg));
        self.replaying = replaying;
        self.replay_at = (!self.replaying.is_empty()).then(|| now + REPLAY_TICK);
    }

    fn advance_replay(&mut self, now: Instant, at: LegRef) -> bool {
        let Some(peer) = self.peers.get_mut(at.peer).and_then(Option::as_mut) else {
            return false;
        };
        let layer = peer.legs.get(at.leg).and_then(|leg| {
            let (track, layer) = (leg.track()?, leg.forwarder.current_layer()?);
            let publication = self
                .streams
                .get(leg.stream?)?
                .as_ref()?
                .publication
                .as_ref()?;
            publication.tracks.get(track)?.layers.get(layer)
        });
        let Some(layer) = layer else {
            return false;
        };
        let was_dirty = peer.is_dirty;
        let result = advance(now, peer, at.leg, &layer.gop, &mut self.outgoing);
        if peer.is_dirty && !was_dirty {
            self.dirty.push(at.peer);
        }
        let goes_on = replays(peer, at.leg);
        match result {
            Ok(count) => {
                self.stats.packets_forwarded += count;
                goes_on
            }
            Err(reason) => {
                self.remove_peer(at.peer, reason);
                false
            }
        }
    }

    /// A viewer is connected: bind its sections and show it a picture.
    pub(super) fn start_viewer(&mut self, now: Instant, slot: usize) {
        let Some(peer) = self.peers.get(slot).and_then(Option::as_ref) else {
            return;
        };
        let Some(stream) = peer.views else { return };
        for is_audio in [true, false] {
            if let Some(leg) = peer_leg(&self.peers, slot, is_audio) {
                self.subscribe(now, LegRef { peer: slot, leg }, stream);
            }
        }
    }

    /// Sends `stream` in leg `at` from now on, and shows a picture of it as soon as can be.
    pub(super) fn subscribe(&mut self, now: Instant, at: LegRef, stream_slot: usize) {
        self.unsubscribe(now, at);
        let Some(stream) = self.streams.get_mut(stream_slot).and_then(Option::as_mut) else {
            return;
        };
        let Some(peer) = self.peers.get_mut(at.peer).and_then(Option::as_mut) else {
            return;
        };
        let Some(leg) = peer.legs.get_mut(at.leg) else {
            return;
        };
        leg.stream = Some(stream_slot);
        stream.legs_mut(leg.is_audio).push(at);
        let is_held = leg.hold_until.is_some();
        if !is_held {
            peer.bind(at.leg, &stream.infos(), true);
        }
        self.follow_origin(stream_slot);
        if !is_held {
            self.join_slate(now, at, stream_slot);
            self.start_leg(now, at);
        }
    }

    /// Chooses a layer for a leg that was just bound, and starts it.
    pub(super) fn start_leg(&mut self, now: Instant, at: LegRef) {
        let leg = self
            .peers
            .get(at.peer)
            .and_then(Option::as_ref)
            .and_then(|peer| peer.legs.get(at.leg));
        let Some((false, Some(stream))) = leg.map(|leg| (leg.is_audio, leg.stream)) else {
            return;
        };
        self.select_layer(now, at);
        self.start_video(now, at);
        self.ask_keyframes(now, stream);
    }

    /// Leg `at` carries nothing from now on.
    pub(super) fn unsubscribe(&mut self, now: Instant, at: LegRef) {
        let Some(leg) = self
            .peers
            .get_mut(at.peer)
            .and_then(Option::as_mut)
            .and_then(|peer| peer.legs.get_mut(at.leg))
        else {
            return;
        };
        let Some(stream_slot) = leg.stream.take() else {
            return;
        };
        leg.source = None;
        leg.slate = None;
        leg.left = Some(now);
        let is_audio = leg.is_audio;
        if let Some(stream) = self.stream_mut(stream_slot) {
            stream.legs_mut(is_audio).retain(|known| *known != at);
        }
        self.follow_origin(stream_slot);
    }

    /// From the kept group of pictures if there is one, else at the next keyframe.
    pub(super) fn start_video(&mut self, now: Instant, at: LegRef) {
        let Some(peer) = self.peers.get_mut(at.peer).and_then(Option::as_mut) else {
            return;
        };
        let is_participant = peer.role == Role::Participant;
        // A participant's estimator takes a burst for what it is: no more than its link carries in 100 ms.
        let bytes_max = match peer.estimate_bps.filter(|_| is_participant) {
            Some(bps) => usize::try_from(bps / 80).unwrap_or(usize::MAX),
            None => REPLAY_BYTES_RESPONSIVE,
        };
        let Some(leg) = peer.legs.get_mut(at.leg) else {
            return;
        };
        let (Some(stream), Some(track), Some(wanted)) =
            (leg.stream, leg.track(), leg.forwarder.wanted_layer())
        else {
            return;
        };
        let Some(publication) = self.streams[stream]
            .as_mut()
            .and_then(|stream| stream.publication.as_mut())
        else {
            return;
        };
        let last_packet = publication.last_packet;
        let Some(layer) = publication
            .tracks
            .get_mut(track)
            .and_then(|track| track.layers.get_mut(wanted))
        else {
            return;
        };
        if leg.slate.is_some() {
            // What is kept is from before. Who sends nothing is not asked.
            if now.saturating_duration_since(last_packet) < HEARD_MAX {
                layer.requests.want();
            }
            return;
        }
        // Who was not seen to be deaf is asked by participants: most publishers they meet are participants, too.
        let is_asked = layer.requests.answers() || (is_participant && !layer.requests.is_deaf());
        let is_long = is_asked && layer.gop.bytes() > bytes_max;
        let is_past = leg.forwarder.has_passed(wanted, &layer.gop);
        if leg.forwarder.is_waiting() && layer.gop.is_intact() && !is_long && !is_past {
            leg.forwarder
                .replay(now, wanted, &layer.gop, layer.rate.bps());
            self.begin_replay(now, at);
        } else {
            layer.requests.want();
        }
    }

    /// Counts a replay that leg `at` was just given, and lets it begin with this turn.
    pub(super) fn begin_replay(&mut self, now: Instant, at: LegRef) {
        self.stats.replays += 1;
        if !self.replaying.contains(&at) {
            self.replaying.push(at);
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
                to: to.worker,
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
        self.tap_tracks(stream_slot);
        self.rebind_legs(stream_slot, false);
    }

    /// Binds every leg of a stream to what is published now.
    pub(super) fn rebind_legs(&mut self, stream_slot: usize, is_new_publication: bool) {
        let Some(stream) = self.streams.get(stream_slot).and_then(Option::as_ref) else {
            return;
        };
        let infos = stream.infos();
        for &at in stream.audio_legs.iter().chain(&stream.video_legs) {
            if let Some(peer) = self.peers.get_mut(at.peer).and_then(Option::as_mut)
                && peer.legs[at.leg].hold_until.is_none()
            {
                peer.bind(at.leg, &infos, is_new_publication);
                if let Some(seat) = peer.seat.as_mut() {
                    seat.is_stale = true;
                }
            }
        }
    }

    pub(super) fn feed(&self, stream_slot: usize) -> Option<Feed> {
        self.publication(stream_slot)
            .map(|publication| publication.feed)
    }

    /// What is published at a slot, by whomever.
    pub(super) fn publication(&self, stream_slot: usize) -> Option<&Publication> {
        self.streams
            .get(stream_slot)?
            .as_ref()?
            .publication
            .as_ref()
    }
}

fn add_track(
    now: Instant,
    publication: &mut Publication,
    peer: &Peer,
    mid: Mid,
    codec: Codec,
) -> Option<usize> {
    if peer.role == Role::Viewer {
        return None;
    }
    let rids = peer
        .rtc
        .sections()
        .iter()
        .find(|section| section.mid == mid)
        .map(|section| section.rids.clone())?;
    let mut track = Track::new(Some(mid), codec, &rids);
    // A section that changes its codec in mid-stream gets a fresh track in the old one's place.
    if let Some(at) = publication
        .tracks
        .iter()
        .position(|track| track.mid == Some(mid))
    {
        let last = publication.tracks[at].since;
        if last.is_some_and(|last| now.saturating_duration_since(last) < CODEC_INTERVAL) {
            return None;
        }
        track.since = Some(now);
        publication.tracks[at] = track;
        return Some(at);
    }
    if publication.tracks.len() >= TRACKS_MAX {
        return None;
    }
    publication.tracks.push(track);
    Some(publication.tracks.len() - 1)
}

fn peer_leg(peers: &[Option<Peer>], slot: usize, is_audio: bool) -> Option<usize> {
    peers.get(slot)?.as_ref()?.leg_of_kind(is_audio)
}

fn replays(peer: &Peer, leg: usize) -> bool {
    peer.legs
        .get(leg)
        .is_some_and(|leg| leg.forwarder.is_replaying())
}

/// Hands one packet to one leg; returns how many packets left, replayed ones included.
#[expect(clippy::too_many_arguments, reason = "the packet path, spelled out")]
fn deliver(
    now: Instant,
    peer: &mut Peer,
    at: usize,
    source: &Track,
    track: usize,
    layer: usize,
    seen: Kept,
    packet: &MediaPacket,
    scratch: &mut Vec<Outgoing>,
) -> Result<u64, CloseReason> {
    let Some(leg) = peer.legs.get_mut(at) else {
        return Ok(0);
    };
    if leg.track() != Some(track) {
        return Ok(0);
    }
    if leg.is_audio {
        return match leg.forwarder.forward_audio(packet) {
            Some(outgoing) => peer.send(at, outgoing).map(|()| 1),
            None => Ok(0),
        };
    }
    let kept = &source.layers[layer];
    if seen.returns {
        leg.forwarder.on_cut(layer);
    }
    if seen.begins_gop {
        leg.forwarder.on_gop(now, layer, &kept.gop, kept.rate.bps());
    }
    if leg.forwarder.is_replaying() {
        if leg.forwarder.current_layer() != Some(layer) {
            return Ok(0);
        }
        return advance(now, peer, at, &kept.gop, scratch);
    }
    let forwarded = leg.forwarder.forward(layer, packet);
    let due = leg.forwarder.due_layer(now);
    let mut sent = match forwarded {
        Some(outgoing) => peer.send(at, outgoing).map(|()| 1)?,
        None => 0,
    };
    if let Some(next) = due
        && let Some(kept) = source.layers.get(next)
        && let Some(leg) = peer.legs.get_mut(at)
    {
        leg.forwarder.replay(now, next, &kept.gop, kept.rate.bps());
        sent += advance(now, peer, at, &kept.gop, scratch)?;
    }
    Ok(sent)
}

fn advance(
    now: Instant,
    peer: &mut Peer,
    at: usize,
    gop: &crate::forward::GopCache,
    scratch: &mut Vec<Outgoing>,
) -> Result<u64, CloseReason> {
    if let Some(leg) = peer.legs.get_mut(at) {
        leg.forwarder
            .advance(now, gop, |outgoing| scratch.push(outgoing));
    }
    let mut sent = 0;
    let mut result = Ok(());
    for outgoing in scratch.drain(..) {
        if result.is_ok() {
            result = peer.send(at, outgoing);
            sent += 1;
        }
    }
    result.map(|()| sent)
}
