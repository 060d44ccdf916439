//! Conferences: which worker has which participant, and which stream is whose.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use sfu::{Event, PUBLICATIONS_MAX, PeerId, RoomId, RoomStream, StreamId, TrackInfo, WorkerId};

use crate::io::{Consequence, Output};
use crate::key::StreamKey;
use crate::moment::Moment;
use crate::outcome::Refused;
use crate::venue::{Limits, Publication, Venue, least_loaded};

/// How many sessions more than the idlest worker a worker may have and still get the participants of a room that it serves: two
/// threads pass each packet between them, which small conferences need not pay for.
const TOGETHER_MAX: usize = 16;

#[derive(Debug, Default)]
pub(crate) struct Rooms {
    rooms: BTreeMap<RoomId, Room>,
    participants: BTreeMap<PeerId, Participant>,
    feeds: BTreeMap<StreamId, Feed>,
}

#[derive(Debug)]
struct Room {
    loudest_max: usize,
    /// The workers that know the room.
    told: BTreeSet<WorkerId>,
    /// The workers know less than this.
    is_dirty: bool,
}

#[derive(Debug)]
struct Participant {
    room: RoomId,
    worker: WorkerId,
    /// Its worker was told to close it and has not said that it did.
    is_leaving: bool,
}

/// A participant's stream.
#[derive(Debug)]
struct Feed {
    room: RoomId,
    peer: PeerId,
    worker: WorkerId,
    has_audio: bool,
    is_music: bool,
    live: Option<(SystemTime, Vec<TrackInfo>)>,
    is_silent: bool,
}

/// What is to be told to one worker about a room.
pub struct RoomState {
    /// Who is told.
    pub worker: WorkerId,
    /// Everybody who can be heard; nobody for a worker without participants.
    pub streams: Vec<RoomStream>,
    /// How many of them are heard at once.
    pub loudest_max: usize,
    /// Whether this worker tells who speaks.
    pub reports: bool,
}

/// What a participant's stream consists of.
#[derive(Debug, Clone, Copy)]
pub struct FeedShape {
    /// It can be heard.
    pub has_audio: bool,
    /// It is heard however quiet it is.
    pub is_music: bool,
}

impl Venue {
    /// A new conference, in which the `loudest_max` loudest are heard.
    pub fn open_room(&mut self, loudest_max: usize) -> RoomId {
        let room = RoomId(self.fresh());
        let state = Room {
            loudest_max,
            told: BTreeSet::new(),
            is_dirty: false,
        };
        self.conferences.rooms.insert(room, state);
        room
    }

    /// Forgets a room. Whoever is still in it must be made to leave before.
    pub fn end_room(&mut self, room: RoomId) -> BTreeSet<WorkerId> {
        let ended = self.conferences.rooms.remove(&room);
        ended.map(|room| room.told).unwrap_or_default()
    }

    /// Whoever is in a room and was not told to leave.
    pub fn room_members(&self, room: RoomId) -> Vec<PeerId> {
        let members = self.conferences.participants.iter();
        members
            .filter(|(_, member)| member.room == room && !member.is_leaving)
            .map(|(peer, _)| *peer)
            .collect()
    }

    /// A place for a new participant.
    pub fn seat_participant(
        &mut self,
        room: RoomId,
        loads: &[usize],
    ) -> Result<(PeerId, WorkerId), Refused> {
        if self.conferences.present() >= self.limits.participants_max {
            return Err(Refused::Full(
                "there are as many participants as there may be",
            ));
        }
        let peer = PeerId(self.fresh());
        let conferences = &mut self.conferences;
        let worker = place(loads, &conferences.workers(room));
        let state = conferences
            .rooms
            .get_mut(&room)
            .ok_or(Refused::UnknownResource)?;
        state.is_dirty = true;
        let participant = Participant {
            room,
            worker,
            is_leaving: false,
        };
        conferences.participants.insert(peer, participant);
        Ok((peer, worker))
    }

    /// The worker of a participant who is there.
    pub fn participant(&self, peer: PeerId) -> Result<WorkerId, Refused> {
        let present = self.conferences.participants.get(&peer);
        present
            .filter(|participant| !participant.is_leaving)
            .map(|participant| participant.worker)
            .ok_or(Refused::UnknownResource)
    }

    /// Ends what a participant publishes; its worker still has to say that it is gone. `None` for whoever is not there.
    pub fn begin_leaving(&mut self, at: Moment, peer: PeerId) -> Option<WorkerId> {
        let participant = self.conferences.participants.get_mut(&peer)?;
        if std::mem::replace(&mut participant.is_leaving, true) {
            return None;
        }
        let worker = participant.worker;
        self.end_feeds(at, peer);
        Some(worker)
    }

    /// Forgets a participant: it was refused, or its worker says that it is gone. `false` for who is no participant.
    pub fn unseat(&mut self, at: Moment, peer: PeerId) -> bool {
        let Some(gone) = self.conferences.participants.remove(&peer) else {
            return false;
        };
        self.end_feeds(at, peer);
        if let Some(room) = self.conferences.rooms.get_mut(&gone.room) {
            room.is_dirty = true;
        }
        true
    }

    /// Every participant's peer and worker.
    pub fn participants(&self) -> Vec<(PeerId, WorkerId)> {
        let participants = self.conferences.participants.iter();
        participants
            .map(|(peer, participant)| (*peer, participant.worker))
            .collect()
    }

    /// A name for a stream; it was never used before.
    pub fn fresh_stream(&mut self) -> StreamId {
        StreamId(self.fresh())
    }

    /// Enters a participant's stream, or what changed of it. Returns the worker.
    pub fn enter_feed(
        &mut self,
        peer: PeerId,
        stream: StreamId,
        shape: FeedShape,
    ) -> Result<WorkerId, Refused> {
        let conferences = &mut self.conferences;
        let participant = conferences.participants.get(&peer);
        let participant = participant
            .filter(|participant| !participant.is_leaving)
            .ok_or(Refused::UnknownResource)?;
        let (room, worker) = (participant.room, participant.worker);
        match conferences.feeds.get_mut(&stream) {
            Some(feed) if feed.peer == peer => {
                (feed.has_audio, feed.is_music) = (shape.has_audio, shape.is_music);
            }
            Some(_) => return Err(Refused::Taken),
            None => {
                let own = |feed: &&Feed| feed.peer == peer;
                if conferences.feeds.values().filter(own).count() >= PUBLICATIONS_MAX {
                    return Err(Refused::Full("nobody publishes more than four streams"));
                }
                let feed = Feed {
                    room,
                    peer,
                    worker,
                    has_audio: shape.has_audio,
                    is_music: shape.is_music,
                    live: None,
                    is_silent: false,
                };
                conferences.feeds.insert(stream, feed);
            }
        }
        conferences.soil(room);
        Ok(worker)
    }

    /// Ends a participant's stream.
    pub fn end_feed(&mut self, at: Moment, stream: StreamId) {
        self.free_name(at, stream);
        if let Some(feed) = self.conferences.feeds.remove(&stream) {
            self.conferences.soil(feed.room);
            self.tell(Consequence::Origin(stream, None));
        }
    }

    /// Makes a participant's stream the stream `key` of its space, or with `None` takes the name away.
    ///
    /// # Errors
    /// `UnknownResource` when the stream is over, `Taken`, or `Full`.
    pub fn name_feed(
        &mut self,
        at: Moment,
        stream: StreamId,
        key: Option<StreamKey>,
    ) -> Result<(), Refused> {
        if !self.conferences.feeds.contains_key(&stream) {
            return Err(Refused::UnknownResource);
        }
        if key.is_some() && self.keys.get(&stream) == key.as_ref() {
            return Ok(());
        }
        if let Some(key) = &key {
            self.check_name(key, &self.limits)?;
        }
        self.free_name(at, stream);
        if let Some(key) = &key {
            self.give_name(stream, key);
            self.has_changed(&key.space);
        }
        Ok(())
    }

    /// The worker of a participant's stream.
    pub fn feed_origin(&self, stream: StreamId) -> Option<WorkerId> {
        self.conferences.feeds.get(&stream).map(|feed| feed.worker)
    }

    /// What the workers must be told of a room; empty when they know. They are then taken to know.
    pub fn settle(&mut self, room: RoomId) -> Vec<RoomState> {
        let conferences = &mut self.conferences;
        let present: BTreeSet<_> = conferences.workers(room).into_keys().collect();
        let streams: Vec<_> = (conferences.feeds.iter())
            .filter(|(_, feed)| feed.room == room && feed.has_audio)
            .map(|(stream, feed)| RoomStream {
                stream: *stream,
                peer: feed.peer,
                origin: feed.worker,
                is_music: feed.is_music,
            })
            .collect();
        let Some(state) = conferences.rooms.get_mut(&room) else {
            return Vec::new();
        };
        if !std::mem::take(&mut state.is_dirty) {
            return Vec::new();
        }
        let loudest_max = state.loudest_max;
        let told = std::mem::replace(&mut state.told, present.clone());
        let reporter = present.first().copied();
        (told.union(&present))
            .map(|worker| RoomState {
                worker: *worker,
                // A worker without participants forgets the room.
                streams: match present.contains(worker) {
                    true => streams.clone(),
                    false => Vec::new(),
                },
                loudest_max,
                reports: reporter == Some(*worker),
            })
            .collect()
    }

    /// Whether the workers must be told of a room.
    pub fn is_unsettled(&self, room: RoomId) -> bool {
        let room = self.conferences.rooms.get(&room);
        room.is_some_and(|room| room.is_dirty)
    }

    /// The workers do not know after all.
    pub fn unsettle(&mut self, room: RoomId) {
        self.conferences.soil(room);
    }

    /// Puts an event into the mailbox of the conference that it concerns, if it does.
    pub(crate) fn post(&mut self, event: &Event) {
        let room = |peer: &PeerId| Some(self.conferences.participants.get(peer)?.room);
        let concerned = match event {
            Event::Connected { peer }
            | Event::Closed { peer, .. }
            | Event::Slots { peer, .. }
            | Event::SlotsWanted { peer, .. }
            | Event::Layers { peer, .. }
            | Event::Quality { peer, .. }
            | Event::Reachable { peer, .. } => room(peer),
            Event::Speakers { room, .. } => Some(*room),
            Event::TookOver { .. }
            | Event::StandsBy { .. }
            | Event::Live { .. }
            | Event::Silent { .. }
            | Event::Reordered { .. }
            | Event::Ended { .. } => None,
        };
        if let Some(room) = concerned.filter(|room| self.conferences.rooms.contains_key(room)) {
            self.put(Output::Mail(room, event.clone()));
        }
    }

    /// A participant's stream goes live, or its tracks changed. Returns its worker.
    pub(crate) fn feed_is_live(
        &mut self,
        at: Moment,
        stream: StreamId,
        peer: PeerId,
        tracks: &[TrackInfo],
    ) -> Option<WorkerId> {
        let feed = self.conferences.feeds.get_mut(&stream);
        let feed = feed.filter(|feed| feed.peer == peer)?;
        let since = feed
            .live
            .take()
            .map_or_else(|| at.wall(), |(since, _)| since);
        feed.live = Some((since, tracks.to_vec()));
        Some(feed.worker)
    }

    pub(crate) fn feed_is_silent(&mut self, stream: StreamId, silent: bool) {
        if let Some(feed) = self.conferences.feeds.get_mut(&stream) {
            feed.is_silent = silent;
        }
    }

    /// Whether a stream is a participant's.
    pub(crate) fn is_feed(&self, stream: StreamId) -> bool {
        self.conferences.feeds.contains_key(&stream)
    }
}

impl Rooms {
    /// Participants who were not told to leave.
    fn present(&self) -> usize {
        let present = |participant: &&Participant| !participant.is_leaving;
        self.participants.values().filter(present).count()
    }

    /// The workers of a room and how many of its participants each one has.
    fn workers(&self, room: RoomId) -> BTreeMap<WorkerId, usize> {
        let mut workers = BTreeMap::new();
        let in_room = |participant: &&Participant| participant.room == room;
        for participant in self.participants.values().filter(in_room) {
            *workers.entry(participant.worker).or_default() += 1;
        }
        workers
    }

    fn soil(&mut self, room: RoomId) {
        if let Some(room) = self.rooms.get_mut(&room) {
            room.is_dirty = true;
        }
    }
}

impl Venue {
    fn end_feeds(&mut self, at: Moment, peer: PeerId) {
        let own: Vec<_> = (self.conferences.feeds.iter())
            .filter(|(_, feed)| feed.peer == peer)
            .map(|(stream, _)| *stream)
            .collect();
        for stream in own {
            self.end_feed(at, stream);
        }
    }

    fn check_name(&self, key: &StreamKey, limits: &Limits) -> Result<(), Refused> {
        match self.streams.get(key) {
            Some(entry) if entry.is_taken() => return Err(Refused::Taken),
            None if self.streams.len() >= limits.streams_max => {
                return Err(Refused::Full("there are as many streams as there may be"));
            }
            _ => {}
        }
        if self.publishers() >= limits.publishers_max {
            return Err(Refused::Full(
                "there are as many publishers as there may be",
            ));
        }
        Ok(())
    }

    /// The name is free. Viewers who wait for another publisher of that name are sent away: they come back to this one.
    fn give_name(&mut self, stream: StreamId, key: &StreamKey) {
        self.send_viewers_away(key);
        let old = self.stream_id(key);
        self.keys.remove(&old);
        self.keys.insert(stream, key.clone());
        let feed = self.conferences.feeds.get(&stream);
        let entry = self.streams.get_mut(key).expect("made by stream_id");
        entry.id = stream;
        entry.idle_since = None;
        entry.publication = feed.map(|feed| Publication {
            peer: feed.peer,
            worker: feed.worker,
            owner: None,
            since: feed.live.as_ref().map(|(since, _)| *since),
            tracks: feed
                .live
                .as_ref()
                .map(|(_, tracks)| tracks.clone())
                .unwrap_or_default(),
            is_silent: feed.is_silent,
            is_reordered: false,
            is_feed: true,
            is_backup: false,
            stands_by: false,
            left: None,
        });
    }

    /// Takes a stream's name away. Its viewers are sent away: the stream may go on in the conference without them.
    fn free_name(&mut self, at: Moment, stream: StreamId) {
        let Some(key) = self.keys.get(&stream).cloned() else {
            return;
        };
        self.send_viewers_away(&key);
        let id = StreamId(self.fresh());
        self.keys.remove(&stream);
        self.keys.insert(id, key.clone());
        if let Some(entry) = self.streams.get_mut(&key) {
            entry.id = id;
            entry.publication = None;
            entry.idle_since = Some(at.now);
        }
        self.collect(&key);
        self.has_changed(&key.space);
    }

    fn send_viewers_away(&mut self, key: &StreamKey) {
        let sessions = self.sessions.values();
        let away: Vec<_> = sessions
            .filter(|session| session.role == sfu::Role::Viewer && session.key == *key)
            .map(|session| Consequence::Close(session.peer, session.worker))
            .collect();
        for consequence in away {
            self.tell(consequence);
        }
    }
}

/// Where a participant goes: to the idlest of the workers that the room has already, unless it has far more to do than others.
fn place(loads: &[usize], room: &BTreeMap<WorkerId, usize>) -> WorkerId {
    let least = loads.iter().copied().min().unwrap_or(0);
    let load = |worker: &WorkerId| loads.get(usize::from(worker.0)).copied();
    let idlest = room.keys().min_by_key(|worker| load(worker));
    match idlest {
        Some(worker)
            if load(worker).is_some_and(|load| load <= least + least / 10 + TOGETHER_MAX) =>
        {
            *worker
        }
        _ => least_loaded(loads, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_conference_stays_on_one_thread_and_a_large_one_spreads() {
        let check = |loads: &[usize], room: &[(u8, usize)], expected: u8| {
            let room = (room.iter())
                .map(|(worker, count)| (WorkerId(*worker), *count))
                .collect();
            assert_eq!(
                place(loads, &room),
                WorkerId(expected),
                "{loads:?} {room:?}"
            );
        };
        check(&[0, 0], &[], 0);
        check(&[5, 3, 4], &[], 1);
        check(&[0, 10], &[(1, 10)], 1);
        check(&[0, 16], &[(1, 16)], 1);
        check(&[0, 17], &[(1, 17)], 0);
        check(&[10, 12, 0], &[(0, 10), (1, 10)], 0);
        check(&[100, 126, 100], &[(1, 3)], 1);
        check(&[100, 127, 99], &[(1, 3)], 2);
    }
}
