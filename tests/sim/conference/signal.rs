//! Messages over the WebSocket: they take the time of the link, and wait while it is cut.

use std::time::Duration;

use sfu::{Command, Event, PeerId, Reply, RequestId, StreamId};

use super::room::Room;
use crate::world::World;

/// How long a message waits for a link that is cut, before it is tried again.
const RETRY: Duration = Duration::from_millis(100);

/// What goes between a participant and the shell, or waits inside the shell.
#[derive(Debug)]
pub enum Signal {
    Slots(Vec<sfu::Slot>),
    Layers(StreamId, Vec<bool>),
    Offer(String),
    /// From the participant.
    Answer(String),
    /// Inside the shell: a participant needs slots.
    Wanted {
        audio: usize,
        video: usize,
    },
    /// Inside the shell: the participant is gone.
    Gone,
}

impl World {
    /// What the shell does with a worker's news of a conference.
    pub fn on_conference_event(&mut self, event: &Event) {
        let (peer, signal) = match event {
            Event::Slots { peer, slots } => (*peer, Signal::Slots(slots.clone())),
            Event::Layers {
                stream,
                peer,
                watched,
            } => (*peer, Signal::Layers(*stream, watched.clone())),
            Event::SlotsWanted { peer, audio, video } => (
                *peer,
                Signal::Wanted {
                    audio: *audio,
                    video: *video,
                },
            ),
            Event::Closed { peer, .. } => (*peer, Signal::Gone),
            _ => return,
        };
        self.signal(peer, signal);
    }

    fn signal(&mut self, peer: PeerId, signal: Signal) {
        let Some(client) = self.clients.iter().position(|client| client.peer == peer) else {
            return;
        };
        if self.clients[client].in_conference().is_none() {
            return;
        }
        let delay = match &signal {
            Signal::Wanted { .. } | Signal::Gone => Duration::ZERO,
            Signal::Answer(_) => self.clients[client].up.delay,
            Signal::Slots(_) | Signal::Layers(..) | Signal::Offer(_) => {
                self.clients[client].down.delay
            }
        };
        self.post(self.now + delay, client, signal);
    }

    /// A message has arrived.
    pub fn on_signal(&mut self, client: usize, signal: Signal) {
        let now = self.now;
        let is_local = matches!(signal, Signal::Wanted { .. } | Signal::Gone);
        let target = &mut self.clients[client];
        if target.is_dead && !is_local {
            return;
        }
        if target.down.is_cut && !is_local {
            self.post(now + RETRY, client, signal);
            return;
        }
        match signal {
            Signal::Slots(slots) => target.participant().on_slots(now, slots),
            Signal::Layers(stream, watched) => {
                let participant = target.participant();
                for camera in &mut participant.cameras {
                    if u64::from(camera.publication) == stream.0 {
                        camera.on_watched(&watched);
                    }
                }
            }
            Signal::Offer(offer) => {
                // The client's own offer wins over one that crosses it.
                if !target.has_offered() {
                    let answer = target.take_offer(&offer);
                    self.drain_client(client);
                    let peer = self.clients[client].peer;
                    self.signal(peer, Signal::Answer(answer));
                }
            }
            Signal::Answer(answer) => self.on_answer(client, answer),
            Signal::Wanted { audio, video } => {
                self.room_of(client).wanted.insert(client, (audio, video));
                self.offer_slots(client);
            }
            Signal::Gone => {
                let peer = target.peer;
                self.forget_member(peer);
            }
        }
    }

    fn room_of(&mut self, client: usize) -> &mut Room {
        let room = self.clients[client].participant().room;
        self.room(room)
    }

    /// Makes the offer that a participant needs, unless one is under way.
    pub fn offer_slots(&mut self, client: usize) {
        let room = self.room_of(client);
        if room.offered.get(&client) == Some(&true) {
            return;
        }
        let Some((audio, video)) = room.wanted.remove(&client) else {
            return;
        };
        let request = RequestId(self.next_id());
        let (peer, worker) = (self.clients[client].peer, self.clients[client].worker);
        let command = Command::AddSlots {
            request,
            peer,
            audio,
            video,
        };
        match self.ask(worker, command, request) {
            Ok(Reply::Sdp(offer)) => {
                self.room_of(client).offered.insert(client, true);
                self.signal(peer, Signal::Offer(offer));
            }
            Ok(Reply::Done) => {}
            other => panic!("AddSlots for {peer}: {other:?}"),
        }
    }

    fn on_answer(&mut self, client: usize, answer: String) {
        let request = RequestId(self.next_id());
        let (peer, worker) = (self.clients[client].peer, self.clients[client].worker);
        let command = Command::Answer {
            request,
            peer,
            answer,
        };
        let reply = self.ask(worker, command, request);
        assert_eq!(reply, Ok(Reply::Done), "the answer of {peer}");
        self.room_of(client).offered.insert(client, false);
        self.offer_slots(client);
    }
}
