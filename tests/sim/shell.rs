//! What the shell does: sessions over HTTP, the directory, take-over between workers.

use std::time::Duration;

use sfu::{Command, PeerId, Refusal, Reply, RequestId, Role, StreamId, TakesOver, WorkerId};

use crate::client::{Client, Part, Terms};
use crate::publisher::{Manner, Publisher};
use crate::viewer::Viewer;
use crate::world::World;

/// The seed of a test: its own, or `SIM_SEED` to replay a failure.
pub fn seed(default: u64) -> u64 {
    std::env::var("SIM_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// Prints the seed when a test fails while it lives.
pub struct Seeded(pub u64);

impl Drop for Seeded {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("replay with SIM_SEED={}", self.0);
        }
    }
}

/// The terms that a publisher of this manner offers.
pub fn terms(manner: &Manner) -> Terms {
    Terms {
        video: Some(manner.codec),
        has_video: !manner.layers.is_empty(),
        has_audio: manner.has_audio,
        red: manner.red,
        capture_times: manner.capture_times,
        rids: ["l", "m", "h"]
            .into_iter()
            .take(manner.layers.len())
            .collect(),
        ..Terms::default()
    }
    .without_single_rid()
}

impl Terms {
    fn without_single_rid(mut self) -> Self {
        if self.rids.len() < 2 {
            self.rids.clear();
        }
        self
    }

    /// As OBS negotiates: no RTX, no congestion feedback.
    pub fn like_obs(mut self) -> Self {
        self.rtx = false;
        self.twcc = false;
        self
    }
}

impl World {
    /// WHIP on `worker`, taking over from whoever publishes.
    pub fn publish(&mut self, worker: usize, stream: StreamId, manner: Manner) -> usize {
        let terms = terms(&manner);
        self.publish_with(worker, stream, manner, &terms)
            .expect("accepted")
    }

    pub fn publish_with(
        &mut self,
        worker: usize,
        stream: StreamId,
        manner: Manner,
        terms: &Terms,
    ) -> Result<usize, Refusal> {
        let part = Part::Publisher(Box::new(Publisher::new(self.base, manner)));
        let address = self.fresh_address();
        let (mut client, offer) = Client::new(self.now, address, terms, part);
        let (request, peer) = (RequestId(self.next_id()), PeerId(self.next_id()));
        let before = self.directory.get(&stream).cloned().unwrap_or_default();
        let entry = self.directory.entry(stream).or_default();
        // On its worker whoever publishes goes on until this one's media come.
        if before.origin != Some(worker) || before.publisher.is_none() {
            entry.origin = Some(worker);
            entry.publisher = Some(peer);
        }
        let command = Command::Accept {
            request,
            peer,
            stream,
            role: Role::Publisher,
            offer,
            tracks: Vec::new(),
            origin: None,
            takes_over: self.takes_over,
        };
        let Reply::Sdp(answer) = self.ask(worker, command, request)? else {
            panic!("an Accept is answered with SDP");
        };
        if let (Some(old), Some(publisher)) = (before.origin, before.publisher)
            && old != worker
        {
            self.tell(old, Command::Close { peer: publisher });
        }
        self.tell_origin(stream, Some(worker), Some(worker));
        client.take_answer(&answer);
        client.worker = worker;
        client.peer = peer;
        Ok(self.add(client))
    }

    /// WHEP on `worker`.
    pub fn view(&mut self, worker: usize, stream: StreamId) -> usize {
        self.view_with(worker, stream, &Terms::default())
            .expect("accepted")
    }

    pub fn view_with(
        &mut self,
        worker: usize,
        stream: StreamId,
        terms: &Terms,
    ) -> Result<usize, Refusal> {
        let part = Part::Viewer(Box::new(Viewer::new()));
        let address = self.fresh_address();
        let (mut client, offer) = Client::new(self.now, address, terms, part);
        let (request, peer) = (RequestId(self.next_id()), PeerId(self.next_id()));
        let entry = self.directory.get(&stream).cloned().unwrap_or_default();
        let command = Command::Accept {
            request,
            peer,
            stream,
            role: Role::Viewer,
            offer,
            tracks: entry.tracks,
            origin: entry.origin.map(|at| WorkerId(u8::try_from(at).unwrap())),
            takes_over: TakesOver::Anybody,
        };
        let Reply::Sdp(answer) = self.ask(worker, command, request)? else {
            panic!("an Accept is answered with SDP");
        };
        client.take_answer(&answer);
        client.worker = worker;
        client.peer = peer;
        Ok(self.add(client))
    }

    /// Offers any text as a new peer.
    pub fn offer_text(
        &mut self,
        worker: usize,
        stream: StreamId,
        role: Role,
        offer: &str,
    ) -> (PeerId, Result<Reply, Refusal>) {
        let (request, peer) = (RequestId(self.next_id()), PeerId(self.next_id()));
        let command = Command::Accept {
            request,
            peer,
            stream,
            role,
            offer: offer.to_owned(),
            tracks: self
                .directory
                .get(&stream)
                .map(|entry| entry.tracks.clone())
                .unwrap_or_default(),
            origin: None,
            takes_over: TakesOver::Anybody,
        };
        (peer, self.ask(worker, command, request))
    }

    /// An offer with nothing wrong in it, of sound and picture.
    pub fn good_offer(&mut self) -> String {
        let part = Part::Viewer(Box::new(Viewer::new()));
        let address = self.fresh_address();
        Client::new(self.now, address, &Terms::default(), part).1
    }

    /// A client says good-bye and is gone.
    pub fn leave(&mut self, client: usize) {
        let _ = self.clients[client].rtc.close();
        self.drain_client(client);
        self.clients[client].is_dead = true;
    }

    /// WHEP with a counter-offer.
    pub fn view_by_answer(&mut self, worker: usize, stream: StreamId) -> usize {
        let (request, peer) = (RequestId(self.next_id()), PeerId(self.next_id()));
        let entry = self.directory.get(&stream).cloned().unwrap_or_default();
        let command = Command::Offer {
            request,
            peer,
            stream,
            tracks: entry.tracks,
            origin: entry.origin.map(|at| WorkerId(u8::try_from(at).unwrap())),
        };
        let Ok(Reply::Sdp(offer)) = self.ask(worker, command, request) else {
            panic!("an Offer is answered with SDP");
        };
        let part = Part::Viewer(Box::new(Viewer::new()));
        let address = self.fresh_address();
        let terms = Terms::default();
        let (mut client, answer) = Client::answering(self.now, address, &terms, part, &offer);
        let request = RequestId(self.next_id());
        let command = Command::Answer {
            request,
            peer,
            answer,
        };
        assert_eq!(self.ask(worker, command, request), Ok(Reply::Done));
        client.worker = worker;
        client.peer = peer;
        self.add(client)
    }

    /// Lets time pass until every track of the stream is known.
    pub fn run_until_complete(&mut self, stream: StreamId, tracks: usize) {
        let waited = self.run_while(Duration::from_secs(5), |world| {
            world
                .directory
                .get(&stream)
                .is_none_or(|entry| entry.tracks.len() < tracks)
        });
        assert!(
            waited.is_some(),
            "{stream} has too few tracks: {:?}",
            self.directory
        );
    }
}
