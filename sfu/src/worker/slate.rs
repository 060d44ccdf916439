//! The slate: what viewers are sent while nobody performs. Participants are not: their slots say who is there.

use std::sync::Arc;
use std::time::Instant;

use super::Worker;
use crate::api::{CloseReason, Role};
use crate::id::StreamId;
use crate::peer::{LegRef, Peer};
use crate::slate::{STEP, Schedule, Shown, Slate};

/// Pictures that leave in one step: twenty packets each, and all viewers miss a performer at the same moment. Who waits for the next step has
/// its later pictures then, too, so that those of 3,000 viewers are spread over the second.
const PICTURES_PER_STEP: usize = 64;

impl Worker {
    pub(super) fn set_slate(&mut self, now: Instant, id: StreamId, slate: Option<Arc<Slate>>) {
        let Some(slot) = self.stream_slot(id) else {
            return;
        };
        if let Some(stream) = self.stream_mut(slot) {
            stream.slate = slate;
        }
        self.tick_slate(now, slot);
    }

    /// Shows the slate to viewers of a stream that nobody performs, and ends the silence when somebody does.
    pub(super) fn tick_slate(&mut self, now: Instant, slot: usize) {
        let Some(stream) = self.stream_mut(slot) else {
            return;
        };
        stream.look_for_absence(now);
        let Some(slate) = stream.slate.clone() else {
            return;
        };
        let is_absent = stream.is_absent(now);
        if !is_absent && self.slated.is_empty() {
            return;
        }
        let Some(stream) = self.stream_mut(slot) else {
            return;
        };
        let legs = stream.audio_legs.clone();
        if !is_absent {
            for at in legs {
                self.end_slate(at);
            }
            return;
        }
        let begins = !std::mem::replace(&mut stream.absence.is_shown, true);
        let pictures = stream.video_legs.clone();
        for at in pictures {
            let is_shown = self.begin_slate(now, at, &slate);
            self.stats.slates_missed += u64::from(begins && is_shown == Some(false));
        }
        for at in legs {
            self.begin_slate(now, at, &slate);
        }
    }

    /// Whoever comes while nobody performs has the slate at once.
    pub(super) fn join_slate(&mut self, now: Instant, at: LegRef, slot: usize) {
        let Some(stream) = self.streams.get(slot).and_then(Option::as_ref) else {
            return;
        };
        let is_noticed = stream.absence.is_shown;
        if let Some(slate) = stream.slate.clone().filter(|_| stream.is_absent(now)) {
            // Of an absence that is not noticed yet all viewers are counted when it is.
            let is_missed = self.begin_slate(now, at, &slate) == Some(false);
            let is_picture = self.streams[slot]
                .as_ref()
                .is_some_and(|stream| stream.video_legs.contains(&at));
            self.stats.slates_missed += u64::from(is_missed && is_picture && is_noticed);
        }
    }

    /// Returns whether a viewer has it now; `None` for whoever is none.
    fn begin_slate(&mut self, now: Instant, at: LegRef, slate: &Slate) -> Option<bool> {
        let peer = self.peers.get_mut(at.peer)?.as_mut()?;
        if peer.role != Role::Viewer {
            return None;
        }
        let leg = peer.legs.get_mut(at.leg)?;
        if leg.slate.is_some() {
            return Some(true);
        }
        let codec = slate.codec(leg.is_audio);
        // Sound of another clock stops, which is silence, too.
        if leg.forwarder.clock_rate() != codec.kind.clock_rate() {
            return Some(false);
        }
        let types = peer.rtc.payload_types(leg.mid, codec);
        let Some(types) = types.filter(|types| peer.rtc.takes_fragments(*types)) else {
            return Some(false);
        };
        // Of whoever performed nothing is sent before the next keyframe.
        leg.forwarder.pause();
        leg.slate = Some(Shown {
            types,
            schedule: Schedule::new(now),
        });
        self.stats.slates += u64::from(!leg.is_audio);
        self.slated.push(at);
        self.slate_at.get_or_insert(now);
        Some(true)
    }

    fn end_slate(&mut self, at: LegRef) {
        let peer = self.peer_mut(at.peer);
        if let Some(leg) = peer.and_then(|peer| peer.legs.get_mut(at.leg)) {
            leg.slate = None;
        }
    }

    /// Sends what is due of every slate.
    pub(super) fn advance_slates(&mut self, now: Instant) {
        if self.slate_at.is_none_or(|at| at > now) {
            return;
        }
        let mut slated = std::mem::take(&mut self.slated);
        let mut pictures = PICTURES_PER_STEP;
        slated.retain(|&at| self.advance_slate(now, at, &mut pictures));
        self.slated = slated;
        self.slate_at = (!self.slated.is_empty()).then(|| now + STEP);
    }

    /// Returns whether the leg goes on having it.
    fn advance_slate(&mut self, now: Instant, at: LegRef, pictures: &mut usize) -> bool {
        let Some(peer) = self.peers.get_mut(at.peer).and_then(Option::as_mut) else {
            return false;
        };
        let Some(leg) = peer.legs.get_mut(at.leg) else {
            return false;
        };
        let stream = leg.stream.and_then(|stream| self.streams[stream].as_ref());
        let slate = stream.and_then(|stream| stream.slate.as_ref());
        let (Some(_), Some(slate)) = (leg.slate, slate) else {
            leg.slate = None;
            return false;
        };
        let rate = slate.codec(leg.is_audio).kind.clock_rate();
        if !leg.forwarder.is_waiting() || leg.forwarder.clock_rate() != rate {
            // Somebody performs.
            leg.slate = None;
            return false;
        }
        let was_dirty = peer.is_dirty;
        let sent = send_due(now, peer, at.leg, slate, pictures);
        if peer.is_dirty && !was_dirty {
            self.dirty.push(at.peer);
        }
        match sent {
            Ok(count) => self.stats.packets_forwarded += count,
            Err(reason) => self.remove_peer(at.peer, reason),
        }
        true
    }
}

/// Sends one leg what is due, a picture only if there are any left of `pictures`; returns how many packets left.
fn send_due(
    now: Instant,
    peer: &mut Peer,
    at: usize,
    slate: &Slate,
    pictures: &mut usize,
) -> Result<u64, CloseReason> {
    let mut sent = 0;
    loop {
        let Some(leg) = peer.legs.get_mut(at) else {
            return Ok(sent);
        };
        let is_audio = leg.is_audio;
        let Some(shown) = leg.slate.as_mut() else {
            return Ok(sent);
        };
        let types = shown.types;
        if !is_audio && *pictures == 0 {
            return Ok(sent);
        }
        let Some((count, due)) = shown.schedule.take_due(now, is_audio) else {
            return Ok(sent);
        };
        *pictures -= usize::from(!is_audio);
        leg.forwarder.begin_stand_in(due);
        let payloads = slate.payloads(is_audio, count);
        for (place, payload) in payloads.iter().enumerate() {
            let is_last = !is_audio && place + 1 == payloads.len();
            let Some(leg) = peer.legs.get_mut(at) else {
                return Ok(sent);
            };
            let outgoing = leg.forwarder.stand_in(due, payload.clone(), is_last);
            peer.send_as(at, types, outgoing)?;
            sent += 1;
        }
    }
}
