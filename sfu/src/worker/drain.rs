//! Feeding and draining peers, and their end.

use std::cmp::Reverse;
use std::time::Instant;

use super::Worker;
use crate::api::{CloseReason, Datagram, Event, Output, Role};
use crate::peer::LegRef;
use crate::rtc::{PeerOutput, RtcPeer};
use crate::stream::Feed;

impl Worker {
    pub(super) fn on_datagram(&mut self, now: Instant, slot: usize, datagram: &Datagram<'_>) {
        let Some(peer) = self.peer_mut(slot) else {
            return;
        };
        peer.last_seen = now;
        let was_unreachable = peer
            .seat
            .as_mut()
            .is_some_and(|seat| std::mem::take(&mut seat.is_unreachable));
        if was_unreachable {
            let peer = peer.id;
            self.emit(Event::Reachable {
                peer,
                reachable: true,
            });
        }
        let Some(peer) = self.peer_mut(slot) else {
            return;
        };
        match peer.guarded(|rtc| rtc.handle_datagram(now, datagram)) {
            Ok(true) => self.drain(now, slot),
            Ok(false) => self.stats.dropped_malformed += 1,
            Err(reason) => self.remove_peer(slot, reason),
        }
    }

    /// Lets peer `slot` act on the time and on what was written to it.
    pub(super) fn wake(&mut self, now: Instant, slot: usize) {
        let Some(peer) = self.peer_mut(slot) else {
            return;
        };
        match peer.guarded(|rtc| rtc.handle_timeout(now)) {
            Ok(()) => self.drain(now, slot),
            Err(reason) => self.remove_peer(slot, reason),
        }
    }

    /// Drains every peer that something was written to.
    pub(super) fn flush(&mut self, now: Instant) {
        let mut at = 0;
        // A drained publisher may make viewers dirty: the list can grow meanwhile, but each slot is in it once.
        while at < self.dirty.len() {
            let slot = self.dirty[at];
            at += 1;
            if self.peer_mut(slot).is_some_and(|peer| peer.is_dirty) {
                self.wake(now, slot);
            }
        }
        self.dirty.clear();
    }

    /// Notes that something was written to peer `slot`.
    pub(super) fn mark_dirty(&mut self, slot: usize) {
        if let Some(peer) = self.peer_mut(slot)
            && !peer.is_dirty
        {
            peer.is_dirty = true;
            self.dirty.push(slot);
        }
    }

    pub(super) fn drain(&mut self, now: Instant, slot: usize) {
        let mut scratch = std::mem::take(&mut self.scratch);
        let Some(peer) = self.peer_mut(slot) else {
            self.scratch = scratch;
            return;
        };
        let drained = peer.drain(now, &mut scratch);
        let mut end = drained.err();
        while let Some(output) = scratch.pop_front() {
            match output {
                PeerOutput::Transmit(transmit) => {
                    self.stats.datagrams_out += 1;
                    self.stats.bytes_out += transmit.contents.len() as u64;
                    self.outputs.push_back(Output::Transmit(transmit));
                }
                PeerOutput::Packet {
                    mid,
                    rid,
                    codec,
                    packet,
                } => self.on_published(now, slot, mid, rid, codec, packet),
                PeerOutput::Unusable => self.stats.dropped_unusable += 1,
                PeerOutput::Connected => self.on_connected(now, slot),
                PeerOutput::KeyframeWanted { mid } => self.on_keyframe_wanted(now, slot, mid),
                PeerOutput::Estimate { bps } => self.on_estimate(now, slot, bps),
                PeerOutput::SenderReport {
                    mid,
                    rid,
                    ntp_us,
                    timestamp,
                } => self.on_sender_report(now, slot, (mid, rid), ntp_us, timestamp),
                PeerOutput::Closed => end = end.or(Some(CloseReason::Remote)),
                PeerOutput::Stats(stats) => self.on_stats(slot, stats),
                output @ (PeerOutput::DataOpen { .. }
                | PeerOutput::DataClosed { .. }
                | PeerOutput::Data { .. }
                | PeerOutput::DataLow
                | PeerOutput::DataRefused) => self.on_data_output(now, slot, output),
                // Before the connection checks may stop and begin again, until the time is up. A participant's network may
                // change; it has the same time.
                PeerOutput::Disconnected => {
                    if self
                        .peer_mut(slot)
                        .is_some_and(|peer| peer.is_connected && peer.role != Role::Participant)
                    {
                        end = end.or(Some(CloseReason::Lost));
                    }
                }
            }
        }
        self.scratch = scratch;
        match end {
            Some(reason) => self.remove_peer(slot, reason),
            None => self.schedule(slot),
        }
    }

    fn schedule(&mut self, slot: usize) {
        let Some(peer) = self.peers.get_mut(slot).and_then(Option::as_mut) else {
            return;
        };
        if peer.queued.is_none_or(|queued| peer.deadline < queued) {
            peer.queued = Some(peer.deadline);
            self.timers.push(Reverse((peer.deadline, slot)));
        }
    }

    /// Wakes every peer whose deadline has come.
    pub(super) fn fire_timers(&mut self, now: Instant) {
        while let Some(&Reverse((at, slot))) = self.timers.peek() {
            if at > now {
                return;
            }
            self.timers.pop();
            let Some(peer) = self.peer_mut(slot) else {
                continue;
            };
            if peer.queued != Some(at) {
                // An entry of before the deadline moved, or of the slot's former tenant.
                continue;
            }
            peer.queued = None;
            if peer.deadline <= now {
                self.wake(now, slot);
            } else {
                self.schedule(slot);
            }
        }
    }

    fn on_connected(&mut self, now: Instant, slot: usize) {
        let Some(peer) = self.peer_mut(slot) else {
            return;
        };
        peer.is_connected = true;
        let (id, role) = (peer.id, peer.role);
        tracing::info!(peer = %id, ?role, "connected");
        self.emit(Event::Connected { peer: id });
        match role {
            Role::Publisher => {}
            Role::Viewer => self.start_viewer(now, slot),
            Role::Participant => self.start_participant(now, slot),
        }
    }

    /// Says good-bye to peer `slot` and frees all that it held.
    pub(super) fn close_peer(&mut self, now: Instant, slot: usize, reason: CloseReason) {
        let mut scratch = std::mem::take(&mut self.scratch);
        if let Some(peer) = self.peer_mut(slot) {
            // Whatever goes wrong in a good-bye, the peer is gone afterwards.
            let _ = peer
                .guarded(RtcPeer::close)
                .and_then(|()| peer.guarded(|rtc| rtc.handle_timeout(now)))
                .and_then(|()| peer.drain(now, &mut scratch));
        }
        for output in scratch.drain(..) {
            if let PeerOutput::Transmit(transmit) = output {
                self.stats.datagrams_out += 1;
                self.stats.bytes_out += transmit.contents.len() as u64;
                self.outputs.push_back(Output::Transmit(transmit));
            }
        }
        self.scratch = scratch;
        self.remove_peer(slot, reason);
    }

    /// Frees a peer without a word to it.
    pub(super) fn remove_peer(&mut self, slot: usize, reason: CloseReason) {
        let Some(peer) = self.peers.get_mut(slot).and_then(Option::take) else {
            return;
        };
        if let CloseReason::Panicked(message) = &reason {
            self.stats.panics += 1;
            tracing::error!(peer = %peer.id, message, "a peer panicked and was dropped; please report this");
        } else {
            tracing::info!(peer = %peer.id, ?reason, "closed");
        }
        self.demux.remove(slot);
        self.by_id.remove(&peer.id);
        self.free.push(slot);
        match peer.role {
            Role::Publisher => self.stats.publishers -= 1,
            Role::Viewer => self.stats.viewers -= 1,
            Role::Participant => self.stats.participants -= 1,
        }
        for published in &peer.publishes {
            self.end_publication(published.stream, Feed::Peer(slot));
        }
        if let Some(viewed) = peer.views
            && let Some(stream) = self.stream_mut(viewed)
        {
            stream.viewers.retain(|viewer| *viewer != slot);
            self.follow_origin(viewed);
        }
        for (at, leg) in peer.legs.iter().enumerate() {
            let Some(carried) = leg.stream else { continue };
            let gone = LegRef {
                peer: slot,
                leg: at,
            };
            if let Some(stream) = self.stream_mut(carried) {
                stream.legs_mut(leg.is_audio).retain(|known| *known != gone);
            }
            self.follow_origin(carried);
        }
        if let Some(seat) = &peer.seat {
            self.leave_room(seat.room, slot);
        }
        self.emit(Event::Closed {
            peer: peer.id,
            reason,
        });
        // A panicked connection may panic again while it is freed.
        let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(peer)));
        if dropped.is_err() {
            self.stats.panics += 1;
        }
    }
}
