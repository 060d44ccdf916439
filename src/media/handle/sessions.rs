//! WHIP and WHEP sessions: one stream each, behind one HTTP resource.

use sfu::{
    Command, Event, LayerReport, LayerWish, PeerId, Reply, Role, StreamId, TakesOver, WorkerId,
};
use uuid::Uuid;

use venue::{Accepted, Claim, Refused, Restarted, SessionRecord, StreamKey, TakeOver};

use super::Handle;

impl Handle {
    /// A WHIP session; `is_backup` to stand in for whoever publishes the stream when that one is away.
    ///
    /// # Errors
    /// `Taken`, `Malformed`, `NotAcceptable`, `Full` or `Stopping`.
    pub async fn publish(
        &self,
        key: StreamKey,
        offer: String,
        right: TakeOver,
        is_backup: bool,
    ) -> Result<Accepted, Refused> {
        let reserved = self.reserve(
            &key,
            &Claim {
                right: &right,
                is_backup,
                may_wait: true,
            },
        )?;
        let (peer, stream, worker) = (reserved.peer, reserved.stream, reserved.worker);
        let takes_over = reserved.takes_over;
        let result = self
            .ask(worker, |request| Command::Accept {
                request,
                peer,
                stream,
                role: Role::Publisher,
                offer,
                tracks: Vec::new(),
                origin: None,
                takes_over,
            })
            .await;
        match result {
            Ok(Reply::Sdp(sdp)) => {
                Ok(self.accepted(&key, Role::Publisher, (peer, stream, worker), sdp))
            }
            Ok(_) => Err(Refused::UnknownResource),
            Err(refused) => {
                self.change(|venue, _| venue.give_back(&key, peer));
                Err(refused)
            }
        }
    }

    /// A WHEP session.
    ///
    /// # Errors
    /// `NothingLive`, `Malformed`, `NotAcceptable`, `Full` or `Stopping`.
    pub async fn view(&self, key: &StreamKey, offer: String) -> Result<Accepted, Refused> {
        let (peer, stream, worker, origin, tracks) = self.seat_viewer(key)?;
        let command = |request| Command::Accept {
            request,
            peer,
            stream,
            role: Role::Viewer,
            offer,
            tracks,
            origin: Some(origin),
            takes_over: TakesOver::Silent,
        };
        match self.ask(worker, command).await? {
            Reply::Sdp(sdp) => Ok(self.accepted(key, Role::Viewer, (peer, stream, worker), sdp)),
            _ => Err(Refused::UnknownResource),
        }
    }

    /// A WHEP counter-offer: a session that waits for its [`Self::answer`] for 30 s.
    ///
    /// # Errors
    /// `NothingLive`, `Full` or `Stopping`.
    pub async fn offer(&self, key: &StreamKey) -> Result<Accepted, Refused> {
        let (peer, stream, worker, origin, tracks) = self.seat_viewer(key)?;
        let command = |request| Command::Offer {
            request,
            peer,
            stream,
            tracks,
            origin: Some(origin),
        };
        match self.ask(worker, command).await? {
            Reply::Sdp(sdp) => Ok(self.accepted(key, Role::Viewer, (peer, stream, worker), sdp)),
            _ => Err(Refused::UnknownResource),
        }
    }

    /// The SDP answer to [`Self::offer`].
    ///
    /// # Errors
    /// `UnknownResource`, `Malformed` or `NotAcceptable`; the last two end the session.
    pub async fn answer(&self, resource: Uuid, answer: String) -> Result<(), Refused> {
        let (peer, worker) = self.session(resource)?;
        self.ask(worker, |request| Command::Answer {
            request,
            peer,
            answer,
        })
        .await
        .map(drop)
    }

    /// Trickled candidates, `candidate:...`; those of no use are ignored.
    ///
    /// # Errors
    /// `UnknownResource`.
    pub async fn add_candidates(
        &self,
        resource: Uuid,
        candidates: Vec<String>,
    ) -> Result<(), Refused> {
        let (peer, worker) = self.session(resource)?;
        self.ask(worker, |request| Command::AddCandidates {
            request,
            peer,
            candidates,
        })
        .await
        .map(drop)
    }

    /// An ICE restart by the client.
    ///
    /// # Errors
    /// `UnknownResource` or `NotAcceptable`; the session goes on as it was.
    pub async fn restart_ice(
        &self,
        resource: Uuid,
        ufrag: String,
        pwd: String,
        candidates: Vec<String>,
    ) -> Result<Restarted, Refused> {
        let (peer, worker) = self.session(resource)?;
        let command = |request| Command::RestartIce {
            request,
            peer,
            ufrag,
            pwd,
            candidates,
        };
        match self.ask(worker, command).await? {
            Reply::Restarted {
                ufrag,
                pwd,
                candidates,
            } => {
                let etag = fresh_etag();
                self.change(|venue, _| venue.renew_etag(resource, etag.clone()))
                    .ok_or(Refused::UnknownResource)?;
                Ok(Restarted {
                    ufrag,
                    pwd,
                    candidates,
                    etag,
                })
            }
            _ => Err(Refused::UnknownResource),
        }
    }

    /// What a viewer wants of its stream's layers, from now on.
    ///
    /// # Errors
    /// `UnknownResource`, or `NotAcceptable` when the stream has nothing of it.
    pub async fn wish_layers(&self, resource: Uuid, wish: LayerWish) -> Result<(), Refused> {
        let (peer, worker) = self.session(resource)?;
        self.ask(worker, |request| Command::WishLayers {
            request,
            peer,
            wish,
        })
        .await
        .map(drop)
    }

    /// The layers that a viewer can choose from now, in the publisher's order; none while nobody publishes.
    ///
    /// # Errors
    /// `UnknownResource`, or `NotAcceptable` for a session without a picture.
    pub async fn layers(&self, resource: Uuid) -> Result<Vec<LayerReport>, Refused> {
        let (peer, worker) = self.session(resource)?;
        let command = |request| Command::DescribeLayers { request, peer };
        match self.ask(worker, command).await? {
            Reply::Layers(layers) => Ok(layers),
            _ => Err(Refused::UnknownResource),
        }
    }

    /// Ends a session.
    ///
    /// # Errors
    /// `UnknownResource`.
    #[expect(
        clippy::unused_async,
        reason = "one of a family, and free to wait some day"
    )]
    pub async fn close(&self, resource: Uuid) -> Result<(), Refused> {
        let directory = &self.0.directory;
        let record = directory
            .session(resource)
            .ok_or(Refused::UnknownResource)?;
        let (peer, worker) = (record.peer, record.worker);
        self.change(|venue, at| venue.leave(at, peer, None));
        self.tell(worker, Command::Close { peer });
        // The stream is free before the thread says so: whoever ended a session may begin the next one at once.
        if let Some(stream) = directory.ask(|venue| venue.published_by(&record.key, peer)) {
            self.change(|venue, at| venue.apply(at, Event::Ended { stream, peer }));
        }
        Ok(())
    }

    fn seat_viewer(
        &self,
        key: &StreamKey,
    ) -> Result<(PeerId, StreamId, WorkerId, WorkerId, Vec<sfu::TrackInfo>), Refused> {
        if self.is_stopping() {
            return Err(Refused::Stopping);
        }
        let loads = self.loads();
        self.change(|venue, _| venue.seat_viewer(key, &loads))
    }

    fn accepted(
        &self,
        key: &StreamKey,
        role: Role,
        (peer, stream, worker): (PeerId, StreamId, WorkerId),
        sdp: String,
    ) -> Accepted {
        let directory = &self.0.directory;
        let (resource, etag) = (Uuid::new_v4(), fresh_etag());
        let session = SessionRecord {
            key: key.clone(),
            role,
            etag: etag.clone(),
            peer,
            worker,
        };
        self.change(|venue, _| venue.enter(resource, session));
        if role == Role::Viewer && directory.ask(|venue| venue.stream_of(key)) != Some(stream) {
            // The name was given to another stream meanwhile: the viewer comes again for that one.
            self.tell(worker, Command::Close { peer });
        }
        if role == Role::Viewer
            && let Some(slate) = directory.ask(|venue| venue.slate(key))
        {
            let slate = Some(slate);
            self.tell(worker, Command::SetSlate { stream, slate });
        }
        tracing::info!(space = %key.space, stream = %key.stream, %peer, ?role, "accepted");
        Accepted {
            resource,
            sdp,
            etag,
        }
    }

    fn session(&self, resource: Uuid) -> Result<(PeerId, WorkerId), Refused> {
        self.0
            .directory
            .session(resource)
            .map(|session| (session.peer, session.worker))
            .ok_or(Refused::UnknownResource)
    }
}

fn fresh_etag() -> String {
    Uuid::new_v4().simple().to_string()
}
