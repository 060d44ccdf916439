//! What the shell does for a conference: who is in it, who is heard, what everybody is shown.

use std::collections::BTreeMap;

use sfu::{
    Command, PeerId, Priority, Refusal, Reply, RequestId, RoomId, RoomStream, StreamId,
    VIDEO_SLOTS_MAX, Want, WorkerId,
};

use str0m::channel::ChannelConfig;
use str0m::media::Mid;

use super::camera::Camera;
use super::microphone::Turn;
use super::participant::Source;
use crate::client::Client;
use crate::world::World;

/// What a participant wants to see.
#[derive(Debug, Clone)]
pub enum Plan {
    /// Everybody else, in the order of joining, up to this layer.
    Everybody { layer_max: u8 },
    /// These, most important first.
    List(Vec<(StreamId, u8, Priority)>),
}

impl Default for Plan {
    fn default() -> Self {
        Self::Everybody { layer_max: 2 }
    }
}

/// A stream of a participant.
#[derive(Debug, Clone)]
pub struct Feed {
    pub client: usize,
    pub peer: PeerId,
    pub origin: usize,
    pub source: Source,
    pub has_sound: bool,
    pub has_picture: bool,
    pub is_music: bool,
}

#[derive(Debug, Default)]
pub struct Room {
    pub loudest_max: usize,
    pub members: Vec<usize>,
    pub feeds: BTreeMap<StreamId, Feed>,
    /// Offers that wait for an answer, and slots that are still to be asked for, by client.
    pub offered: BTreeMap<usize, bool>,
    pub wanted: BTreeMap<usize, (usize, usize)>,
}

impl World {
    /// A conference that forwards so many loudest.
    pub fn open_room(&mut self, loudest_max: usize) -> RoomId {
        let room = RoomId(self.next_id());
        let open = Room {
            loudest_max,
            ..Room::default()
        };
        self.rooms.insert(room, open);
        room
    }

    /// Somebody comes in, on `worker`; `shape` sets the links before the first datagram.
    pub fn join_with(
        &mut self,
        room: RoomId,
        worker: usize,
        shape: impl FnOnce(&mut Client),
    ) -> usize {
        self.join_talking(room, worker, &[], shape)
    }

    /// Somebody comes in who opens data channels.
    pub fn join_talking(
        &mut self,
        room: RoomId,
        worker: usize,
        channels: &[ChannelConfig],
        shape: impl FnOnce(&mut Client),
    ) -> usize {
        let address = self.fresh_address();
        let (mut client, offer) = Client::join(self.now, self.base, address, room, channels);
        let (request, peer) = (RequestId(self.next_id()), PeerId(self.next_id()));
        let command = Command::Join {
            request,
            peer,
            room,
            offer,
        };
        let reply = self.ask(worker, command, request);
        let Ok(Reply::Sdp(answer)) = reply else {
            panic!("a Join is answered with SDP: {reply:?}");
        };
        // Hostile ones do not care what they may send.
        let answer = answer.replace("a=max-message-size:65536", "a=max-message-size:262144");
        client.take_answer(&answer);
        client.worker = worker;
        client.peer = peer;
        client.up.keeps_losses = true;
        client.down.keeps_losses = true;
        shape(&mut client);
        let at = self.add(client);
        self.room(room).members.push(at);
        self.tell_room(room);
        at
    }

    pub fn room(&mut self, room: RoomId) -> &mut Room {
        self.rooms.get_mut(&room).expect("the room was opened")
    }

    /// A participant's camera and microphone go on, as a new stream.
    pub fn publish_camera(&mut self, client: usize) -> StreamId {
        let stream = StreamId(self.next_id());
        self.publish_feed(client, stream, Source::Camera, false)
    }

    pub fn publish_feed(
        &mut self,
        client: usize,
        stream: StreamId,
        source: Source,
        is_music: bool,
    ) -> StreamId {
        let (now, worker, peer) = (
            self.now,
            self.clients[client].worker,
            self.clients[client].peer,
        );
        let publication = u16::try_from(stream.0).unwrap();
        let participant = self.clients[client].participant();
        let room = participant.room;
        let microphone = participant.microphone(source);
        microphone.publication = publication;
        microphone.switch(now, true);
        let audio = microphone.mid.to_string();
        let camera = participant.camera(source);
        camera.publication = publication;
        camera.switch(now, true);
        let video = camera.mid.to_string();
        self.room(room).feeds.insert(
            stream,
            Feed {
                client,
                peer,
                origin: worker,
                source,
                has_sound: true,
                has_picture: true,
                is_music,
            },
        );
        let entry = self.directory.entry(stream).or_default();
        entry.origin = Some(worker);
        entry.publisher = Some(peer);
        let command = Command::Publish {
            peer,
            stream,
            audio: Some(audio),
            video: Some(video),
        };
        self.tell(worker, command);
        self.tell_room(room);
        self.drain_client(client);
        stream
    }

    /// A screen in a section of its own, without sound.
    pub fn publish_screen_in(&mut self, client: usize, mid: Mid) -> StreamId {
        let stream = StreamId(self.next_id());
        let (base, now) = (self.base, self.now);
        let target = &mut self.clients[client];
        let (worker, peer) = (target.worker, target.peer);
        let mut camera = Camera::new(base, mid, false);
        camera.publication = u16::try_from(stream.0).unwrap();
        camera.start(now, &mut target.rtc);
        camera.switch(now, true);
        *target.participant().camera(Source::Screen) = camera;
        let room = target.participant().room;
        let feed = Feed {
            client,
            peer,
            origin: worker,
            source: Source::Screen,
            has_sound: false,
            has_picture: true,
            is_music: false,
        };
        self.room(room).feeds.insert(stream, feed);
        let entry = self.directory.entry(stream).or_default();
        entry.origin = Some(worker);
        entry.publisher = Some(peer);
        let command = Command::Publish {
            peer,
            stream,
            audio: None,
            video: Some(mid.to_string()),
        };
        self.tell(worker, command);
        self.tell_room(room);
        self.drain_client(client);
        stream
    }

    /// A feed ends; its owner stays.
    pub fn unpublish(&mut self, stream: StreamId) {
        let (room, feed) = self.feed_of(stream);
        self.room(room).feeds.remove(&stream);
        let now = self.now;
        let participant = self.clients[feed.client].participant();
        participant.microphone(feed.source).switch(now, false);
        participant.camera(feed.source).switch(now, false);
        let peer = feed.peer;
        self.tell(feed.origin, Command::Unpublish { peer, stream });
        self.tell_room(room);
    }

    /// Whether a participant publishes it.
    pub fn is_feed(&self, stream: StreamId) -> bool {
        self.rooms
            .values()
            .any(|room| room.feeds.contains_key(&stream))
    }

    /// Where a feed is, and what.
    pub fn feed_of(&self, stream: StreamId) -> (RoomId, Feed) {
        let rooms = self.rooms.iter();
        rooms
            .filter_map(|(id, room)| Some((*id, room.feeds.get(&stream)?.clone())))
            .next()
            .expect("somebody publishes it")
    }

    /// What a participant hears and sees is dropped at the entrance; it goes on sending.
    pub fn mute(&mut self, stream: StreamId, audio: bool, video: bool) {
        let (_, feed) = self.feed_of(stream);
        let command = Command::Mute {
            peer: feed.peer,
            stream,
            audio,
            video,
        };
        self.tell(feed.origin, command);
    }

    /// When the owner of a camera's microphone speaks.
    pub fn script(&mut self, client: usize, turns: Vec<Turn>) {
        let participant = self.clients[client].participant();
        participant.microphone(Source::Camera).turns = turns;
        self.drain_client(client);
    }

    /// A participant wants to see something else.
    pub fn plan(&mut self, client: usize, plan: Plan) {
        self.clients[client].participant().plan = plan;
        self.tell_wants(client);
    }

    /// A peer is gone: so are its feeds.
    pub fn forget_member(&mut self, peer: PeerId) {
        let Some(client) = self.clients.iter().position(|client| client.peer == peer) else {
            return;
        };
        for room in self.rooms.keys().copied().collect::<Vec<_>>() {
            let known = self.room(room);
            if known.members.contains(&client) {
                known.members.retain(|member| *member != client);
                known.feeds.retain(|_, feed| feed.client != client);
                self.tell_room(room);
            }
        }
    }

    /// Tells every worker who is heard, and every member's worker what it is shown.
    pub fn tell_room(&mut self, room: RoomId) {
        let known = &self.rooms[&room];
        let streams: Vec<RoomStream> = known
            .feeds
            .iter()
            .filter(|(_, feed)| feed.has_sound)
            .map(|(stream, feed)| RoomStream {
                stream: *stream,
                peer: feed.peer,
                origin: worker_id(feed.origin),
                is_music: feed.is_music,
            })
            .collect();
        let (loudest_max, members) = (known.loudest_max, known.members.clone());
        for worker in 0..self.nodes.len() {
            let command = Command::SetRoom {
                room,
                streams: streams.clone(),
                loudest_max,
                reports: worker == 0,
            };
            self.tell(worker, command);
        }
        for member in members {
            self.tell_wants(member);
        }
    }

    fn tell_wants(&mut self, client: usize) {
        let Some(participant) = self.clients[client].in_conference() else {
            return;
        };
        let feeds = &self.rooms[&participant.room].feeds;
        let want = |stream: StreamId, layer_max, priority| {
            let feed = feeds.get(&stream).filter(|feed| feed.has_picture)?;
            (feed.client != client).then_some(Want {
                stream,
                origin: worker_id(feed.origin),
                layer_max,
                priority,
                is_detail: feed.source == Source::Screen,
            })
        };
        let mut wants: Vec<Want> = match &participant.plan {
            Plan::Everybody { layer_max } => feeds
                .keys()
                .filter_map(|stream| want(*stream, *layer_max, Priority::Normal))
                .collect(),
            Plan::List(list) => list
                .iter()
                .filter_map(|(stream, layer_max, priority)| want(*stream, *layer_max, *priority))
                .collect(),
        };
        wants.truncate(VIDEO_SLOTS_MAX);
        let (peer, worker) = (self.clients[client].peer, self.clients[client].worker);
        self.tell(worker, Command::Watch { peer, wants });
    }

    /// A later offer of a participant's, answered at once.
    pub fn reoffer(&mut self, client: usize, offer: &str) -> Result<String, Refusal> {
        let request = RequestId(self.next_id());
        let (peer, worker) = (self.clients[client].peer, self.clients[client].worker);
        let command = Command::Reoffer {
            request,
            peer,
            offer: offer.to_owned(),
        };
        match self.ask(worker, command, request)? {
            Reply::Sdp(answer) => Ok(answer),
            other => panic!("a Reoffer is answered with SDP, not {other:?}"),
        }
    }
}

pub fn worker_id(at: usize) -> WorkerId {
    WorkerId(u8::try_from(at).unwrap())
}
