//! Conferences: who is heard, in which slot.

use std::collections::BTreeSet;
use std::time::Instant;

use super::Worker;
use crate::api::Event;
use crate::conference::{AUDIO_SLOTS_MAX, RoomStream};
use crate::id::{RoomId, StreamId};
use crate::peer::LegRef;
use crate::speaker::Speakers;

/// Streams of one conference that are heard or could be: everybody of the largest space, twice.
const ROOM_STREAMS_MAX: usize = 2048;

/// How many slots are asked for at a time, so that not every newcomer costs a negotiation.
pub(super) const SLOTS_STEP: usize = 4;

/// One conference on one worker.
pub(super) struct Room {
    id: RoomId,
    /// Slots of its participants here.
    members: Vec<usize>,
    streams: Vec<RoomStream>,
    speakers: Speakers,
    /// Whether this worker tells who speaks.
    reports: bool,
}

impl Worker {
    fn room_mut(&mut self, slot: usize) -> Option<&mut Room> {
        self.rooms.get_mut(slot)?.as_mut()
    }

    fn ensure_room(&mut self, id: RoomId) -> usize {
        if let Some(&slot) = self.by_room.get(&id) {
            return slot;
        }
        let slot = match self.rooms.iter().position(Option::is_none) {
            Some(slot) => slot,
            None => {
                self.rooms.push(None);
                self.rooms.len() - 1
            }
        };
        self.rooms[slot] = Some(Room {
            id,
            members: Vec::new(),
            streams: Vec::new(),
            speakers: Speakers::new(AUDIO_SLOTS_MAX / 2),
            reports: false,
        });
        self.by_room.insert(id, slot);
        slot
    }

    /// Puts participant `slot` into its conference; bounded by the number of peers.
    pub(super) fn enter_room(&mut self, room: RoomId, slot: usize) -> usize {
        let at = self.ensure_room(room);
        if let Some(room) = self.room_mut(at) {
            room.members.push(slot);
        }
        at
    }

    /// Takes participant `slot` out of its conference.
    pub(super) fn leave_room(&mut self, at: usize, slot: usize) {
        if let Some(room) = self.room_mut(at) {
            room.members.retain(|member| *member != slot);
        }
        self.collect_room(at);
    }

    fn collect_room(&mut self, at: usize) {
        let is_over = self
            .room_mut(at)
            .is_some_and(|room| room.members.is_empty() && room.streams.is_empty());
        if is_over && let Some(room) = self.rooms[at].take() {
            self.by_room.remove(&room.id);
        }
    }

    /// The shell says who is heard.
    pub(super) fn set_room(
        &mut self,
        now: Instant,
        id: RoomId,
        mut streams: Vec<RoomStream>,
        loudest_max: usize,
        reports: bool,
    ) {
        streams.truncate(ROOM_STREAMS_MAX);
        let at = self.ensure_room(id);
        let loudest_max = loudest_max.clamp(1, AUDIO_SLOTS_MAX);
        let heard: Vec<(StreamId, bool)> = streams
            .iter()
            .map(|stream| (stream.stream, stream.is_music))
            .collect();
        let own = self.config.id;
        let Some(room) = self.room_mut(at) else {
            return;
        };
        room.reports = reports;
        room.speakers.set_streams(now, &heard, loudest_max);
        let before = std::mem::replace(&mut room.streams, streams.clone());
        let kept: BTreeSet<StreamId> = streams.iter().map(|stream| stream.stream).collect();
        for gone in before {
            if !kept.contains(&gone.stream)
                && let Some(slot) = self.stream_slot(gone.stream)
                && let Some(stream) = self.stream_mut(slot)
            {
                stream.room = None;
                self.follow_origin(slot);
            }
        }
        for new in streams {
            if let Some(slot) = self.ensure_stream(new.stream)
                && let Some(stream) = self.stream_mut(slot)
            {
                stream.room = Some(at);
                if new.origin != own || stream.origin.is_none() {
                    stream.origin = Some(new.origin);
                }
                self.follow_origin(slot);
            }
        }
        self.assign_room_audio(now, at);
        self.collect_room(at);
    }

    /// A packet of sound of a stream that the conference hears. On the packet path: constant time unless somebody new
    /// is heard.
    pub(super) fn on_sound(
        &mut self,
        now: Instant,
        at: usize,
        stream: StreamId,
        level: Option<(i8, bool)>,
    ) {
        let level = level.map(|(level, voice)| (level.unsigned_abs().min(127), voice));
        let changed = self
            .room_mut(at)
            .is_some_and(|room| room.speakers.observe(now, stream, level));
        if changed {
            self.assign_room_audio(now, at);
        }
    }

    /// What a tick does for a conference.
    pub(super) fn tick_room(&mut self, now: Instant, at: usize) {
        let Some(room) = self.room_mut(at) else {
            return;
        };
        let (id, reports) = (room.id, room.reports);
        let changed = room.speakers.tick(now);
        let report = room.speakers.report(now).filter(|_| reports);
        if let Some((active, dominant)) = report {
            self.emit(Event::Speakers {
                room: id,
                active,
                dominant,
            });
        }
        if changed {
            self.assign_room_audio(now, at);
        }
    }

    fn assign_room_audio(&mut self, now: Instant, at: usize) {
        let members = self
            .room_mut(at)
            .map(|room| room.members.clone())
            .unwrap_or_default();
        for slot in members {
            self.assign_audio(now, slot);
            self.tell_slots(slot);
        }
    }

    /// Gives a participant's slots for sound what the conference's slots carry, but for itself and whom it silenced.
    pub(super) fn assign_audio(&mut self, now: Instant, slot: usize) {
        let Some(peer) = self.peers.get(slot).and_then(Option::as_ref) else {
            return;
        };
        let (Some(seat), true) = (peer.seat.as_ref(), peer.is_connected) else {
            return;
        };
        let Some(room) = self.rooms.get(seat.room).and_then(Option::as_ref) else {
            return;
        };
        let slots = room.speakers.slots();
        let wanted = slots.len();
        let is_own = |stream: usize| peer.publishes.iter().any(|own| own.stream == stream);
        let legs = peer.legs.iter().enumerate().filter(|(_, leg)| leg.is_audio);
        let changes: Vec<(usize, Option<usize>)> = legs
            .enumerate()
            .filter_map(|(place, (at, leg))| {
                let stream = slots
                    .get(place)
                    .copied()
                    .flatten()
                    .filter(|stream| !seat.silenced.contains(stream))
                    .and_then(|stream| self.stream_slot(stream))
                    .filter(|stream| !is_own(*stream));
                (leg.stream != stream).then_some((at, stream))
            })
            .collect();
        for (leg, stream) in changes {
            let at = LegRef { peer: slot, leg };
            match stream {
                Some(stream) => self.subscribe(now, at, stream),
                None => self.unsubscribe(now, at),
            }
        }
        self.want_slots(slot, (wanted, 0));
    }

    /// Asks for more slots of one kind, once.
    pub(super) fn want_slots(&mut self, slot: usize, (audio, video): (usize, usize)) {
        let Some(peer) = self.peer_mut(slot) else {
            return;
        };
        let (id, have) = (peer.id, peer.count_legs());
        let Some(seat) = peer.seat.as_mut() else {
            return;
        };
        let lacking = |needed: usize, have: usize, max: usize| {
            let needed = needed.min(max);
            if needed > have {
                needed.next_multiple_of(SLOTS_STEP).min(max)
            } else {
                0
            }
        };
        let needed = (
            lacking(audio, have.0, AUDIO_SLOTS_MAX).max(seat.asked.0),
            lacking(video, have.1, crate::conference::VIDEO_SLOTS_MAX).max(seat.asked.1),
        );
        if needed == seat.asked {
            return;
        }
        seat.asked = needed;
        self.emit(Event::SlotsWanted {
            peer: id,
            audio: needed.0,
            video: needed.1,
        });
    }
}
