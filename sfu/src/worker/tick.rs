//! What happens by the clock: keyframe requests that wait, layers, silence, peers that never came.

use std::time::{Duration, Instant};

use super::Worker;
use crate::api::{CloseReason, Event, Output, Role};
use crate::peer::LegRef;
use crate::relay::Relay;
use crate::rtc::{Mid, Rid};
use crate::stream::Feed;

/// How often a worker looks around.
pub(super) const TICK: Duration = Duration::from_millis(100);

/// A publisher without a packet for this long is silent.
const SILENT_AFTER: Duration = Duration::from_secs(2);

/// A connected peer without a single datagram (ICE consent comes every 5 s, RFC 7675) for this long is gone.
const LOST_AFTER: Duration = Duration::from_secs(30);

impl Worker {
    pub(super) fn on_timeout(&mut self, now: Instant) {
        self.fire_timers(now);
        self.advance_replays(now);
        self.advance_slates(now);
        if now >= self.next_tick {
            self.next_tick = now + TICK;
            self.tick(now);
        }
        self.flush(now);
    }

    fn tick(&mut self, now: Instant) {
        for slot in 0..self.peers.len() {
            if self.tick_waiting(now, slot) {
                continue;
            }
            let Some(peer) = self.peers[slot].as_ref() else {
                continue;
            };
            if !peer.rtc.is_alive() {
                self.remove_peer(slot, CloseReason::Remote);
            } else if !peer.is_connected
                && now.saturating_duration_since(peer.created) > crate::CONNECT_MAX
            {
                self.remove_peer(slot, CloseReason::NeverConnected);
            } else if now.saturating_duration_since(peer.last_seen) > LOST_AFTER
                && peer.is_connected
            {
                self.remove_peer(slot, CloseReason::Lost);
            } else if peer.role == Role::Participant {
                self.tick_participant(now, slot);
            }
        }
        self.tick_standbys(now, SILENT_AFTER);
        for at in 0..self.rooms.len() {
            self.tick_room(now, at);
        }
        for slot in 0..self.streams.len() {
            self.tick_stream(now, slot);
        }
    }

    fn tick_stream(&mut self, now: Instant, slot: usize) {
        let Some(stream) = self.streams[slot].as_mut() else {
            return;
        };
        if stream.is_idle() {
            let id = stream.id;
            self.streams[slot] = None;
            self.by_stream.remove(&id);
            return;
        }
        if let Some(publication) = stream.publication.as_mut()
            && !matches!(publication.feed, Feed::Relay(_))
            && !publication.tracks.is_empty()
        {
            let silent = now.saturating_duration_since(publication.last_packet) > SILENT_AFTER;
            if silent != publication.is_silent {
                publication.is_silent = silent;
                let event = Event::Silent {
                    stream: stream.id,
                    peer: publication.publisher,
                    silent,
                };
                self.emit(event);
            }
        }
        self.tell_order(now, slot);
        self.tick_slate(now, slot);
        self.want_keyframes_for_waiting(now, slot);
        let has_layers = self.streams[slot]
            .as_ref()
            .and_then(|stream| stream.publication.as_ref())
            .is_some_and(|publication| {
                publication
                    .tracks
                    .iter()
                    .any(|track| track.layers.len() > 1)
            });
        if has_layers {
            for at in self.video_legs(slot) {
                self.select_layer(now, at);
            }
        }
        self.tick_watched(now, slot);
    }

    /// Says so when a publisher begins or ends to send pictures in another order than they are shown.
    fn tell_order(&mut self, now: Instant, slot: usize) {
        let Some(stream) = self.streams[slot].as_mut() else {
            return;
        };
        let id = stream.id;
        let Some(publication) = stream.publication.as_mut() else {
            return;
        };
        if matches!(publication.feed, Feed::Relay(_)) {
            return;
        }
        let peer = publication.publisher;
        if let Some(reordered) = publication.order_changed(now) {
            self.emit(Event::Reordered {
                stream: id,
                peer,
                reordered,
            });
        }
    }

    fn video_legs(&self, slot: usize) -> Vec<LegRef> {
        self.streams[slot]
            .as_ref()
            .map(|stream| stream.video_legs.clone())
            .unwrap_or_default()
    }

    /// Viewers that wait for a keyframe want one, unless a group of pictures is at hand.
    pub(super) fn want_keyframes_for_waiting(&mut self, now: Instant, slot: usize) {
        for at in self.video_legs(slot) {
            let Some(leg) = self
                .peers
                .get(at.peer)
                .and_then(Option::as_ref)
                .and_then(|peer| peer.legs.get(at.leg))
            else {
                continue;
            };
            let Some(track) = leg.track() else { continue };
            if leg.forwarder.wanted_layer().is_some() {
                self.start_video(now, at);
            } else if leg.forwarder.needs_keyframe(now)
                && let Some(current) = leg.forwarder.current_layer()
                && let Some(layer) = self
                    .stream_mut(slot)
                    .and_then(|stream| stream.publication.as_mut())
                    .and_then(|publication| publication.tracks.get_mut(track))
                    .and_then(|track| track.layers.get_mut(current))
            {
                // A layer inside the one that is sent can only be joined there.
                layer.requests.want();
            }
        }
        self.ask_keyframes(now, slot);
    }

    /// Sends the keyframe requests of a stream that are due.
    pub(super) fn ask_keyframes(&mut self, now: Instant, stream_slot: usize) {
        let Some(stream) = self.streams[stream_slot].as_mut() else {
            return;
        };
        let id = stream.id;
        let Some(publication) = stream.publication.as_mut() else {
            return;
        };
        let feed = publication.feed;
        if publication.muted.1 {
            return;
        }
        let mut asked = Vec::new();
        for (track, source) in publication.tracks.iter_mut().enumerate() {
            for (layer, kept) in source.layers.iter_mut().enumerate() {
                if kept.requests.poll(now) {
                    asked.push((track, layer, source.mid, kept.rid));
                }
            }
        }
        for (track, layer, mid, rid) in asked {
            match feed {
                Feed::Peer(slot) => {
                    let Some(mid) = mid else { continue };
                    self.stats.keyframes_requested += 1;
                    if let Some(peer) = self.peer_mut(slot) {
                        peer.rtc.request_keyframe(mid, rid);
                    }
                    self.mark_dirty(slot);
                }
                Feed::Relay(to) => self.outputs.push_back(Output::Relay {
                    to,
                    message: Relay::Keyframe {
                        stream: id,
                        track: u8::try_from(track).expect("bounded by TRACKS_MAX"),
                        layer: u8::try_from(layer).expect("bounded by LAYERS_MAX"),
                    },
                }),
                // A camera's or the demo's group of pictures is short, and nobody can be asked.
                Feed::Source => {}
            }
        }
    }

    /// A viewer asked for a keyframe: it lost something for good.
    pub(super) fn on_keyframe_wanted(&mut self, now: Instant, slot: usize, mid: Mid) {
        self.stats.keyframes_wanted += 1;
        let Some(peer) = self.peers.get_mut(slot).and_then(Option::as_mut) else {
            return;
        };
        let Some(at) = peer.legs.iter().position(|leg| leg.mid == mid) else {
            return;
        };
        let leg = &mut peer.legs[at];
        if let Some(shown) = leg.slate.as_mut() {
            shown.schedule.on_keyframe_wanted(now);
            return;
        }
        let at = LegRef {
            peer: slot,
            leg: at,
        };
        let (Some(stream_slot), Some(track), Some(current)) =
            (leg.stream, leg.track(), leg.forwarder.current_layer())
        else {
            return;
        };
        let Some(publication) = self.streams[stream_slot]
            .as_mut()
            .and_then(|stream| stream.publication.as_mut())
        else {
            return;
        };
        let feed = publication.feed;
        let Some(layer) = publication
            .tracks
            .get_mut(track)
            .and_then(|track| track.layers.get_mut(current))
        else {
            return;
        };
        // A viewer asks again and again; who does not answer is not waited for, but asked all the same.
        let is_replayed = (feed == Feed::Source || layer.requests.is_overdue(now))
            && leg
                .forwarder
                .replay_for_loss(now, &layer.gop, layer.rate.bps());
        if feed != Feed::Source {
            layer.requests.want();
        }
        if is_replayed {
            self.begin_replay(now, at);
        }
        if feed != Feed::Source {
            self.ask_keyframes(now, stream_slot);
        }
    }

    /// The bandwidth estimate of a viewer changed.
    pub(super) fn on_estimate(&mut self, now: Instant, slot: usize, bps: u64) {
        let Some(peer) = self.peer_mut(slot) else {
            return;
        };
        peer.estimate_bps = Some(bps);
        if peer.role == Role::Participant {
            self.on_participant_estimate(now, slot);
            return;
        }
        let Some(stream) = peer.views else { return };
        if let Some(leg) = peer.leg_of_kind(false) {
            self.select_layer(now, LegRef { peer: slot, leg });
            self.ask_keyframes(now, stream);
        }
    }

    /// Chooses the layer that a leg should have.
    pub(super) fn select_layer(&mut self, now: Instant, at: LegRef) {
        let Some(peer) = self.peers.get_mut(at.peer).and_then(Option::as_mut) else {
            return;
        };
        if peer.role == Role::Participant {
            // Its pictures share one estimate: they are chosen together.
            return;
        }
        let Some(leg) = peer.legs.get_mut(at.leg) else {
            return;
        };
        let (Some(stream), Some(track)) = (leg.stream, leg.track()) else {
            return;
        };
        let Some(track) = self.streams[stream]
            .as_mut()
            .and_then(|stream| stream.publication.as_mut())
            .and_then(|publication| publication.tracks.get_mut(track))
        else {
            return;
        };
        if track.layers.len() < 2 {
            return;
        }
        let mut views = track.views(now);
        let names = track.layers.iter().map(|layer| layer.name.as_str());
        let rates = views.iter().map(|view| view.bps);
        let picked = leg.wish.pick.among(names.zip(rates));
        // What is wanted and does not come is replaced by what does.
        let mut pairs = views.iter().zip(&picked);
        let comes = pairs.any(|(view, is_picked)| view.active && *is_picked);
        if comes {
            for (view, is_picked) in views.iter_mut().zip(picked) {
                view.active &= is_picked;
            }
        }
        // A change that waits for its keyframe counts as made: it is not to be judged, and put off, again.
        let current = leg
            .forwarder
            .current_layer()
            .map(|current| leg.forwarder.wanted_layer().unwrap_or(current));
        if let Some(layer) = leg.selector.choose(now, &views, current, peer.estimate_bps) {
            leg.forwarder.choose_layer(layer);
            if let Some(wanted) = leg.forwarder.wanted_layer() {
                track.layers[wanted].requests.want();
            }
        }
        let wanted = views.iter().filter(|view| !comes || view.active);
        let best = wanted.map(|view| view.bps).max().unwrap_or(0);
        let desired = best + best / 2;
        if peer.estimate_bps.is_some() && desired.abs_diff(peer.desired_bps) > desired / 10 {
            peer.desired_bps = desired;
            peer.rtc
                .set_desired_bitrate(desired.max(peer.desired_least()));
        }
    }

    /// The publisher's clock for one layer. Sound and picture are mapped to ours together.
    pub(super) fn on_sender_report(
        &mut self,
        now: Instant,
        slot: usize,
        (mid, rid): (Mid, Option<Rid>),
        ntp_us: u64,
        timestamp: u32,
    ) {
        let Some(stream) = self.peer_mut(slot).and_then(|peer| peer.stream_of(mid)) else {
            return;
        };
        if let Some(publication) = self
            .stream_mut(stream)
            .and_then(|stream| stream.publication.as_mut())
            .filter(|publication| publication.feed == Feed::Peer(slot))
        {
            publication.clock.report(now, mid, rid, ntp_us, timestamp);
        }
    }
}
