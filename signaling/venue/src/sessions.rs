//! WHIP and WHEP sessions as their HTTP resources show them.

use sfu::{CloseReason, PeerId, Role, StreamId, TrackInfo, WorkerId};
use uuid::Uuid;

use crate::key::StreamKey;
use crate::moment::Moment;
use crate::outcome::Refused;
use crate::venue::{DEPARTED_MAX, SessionRecord, Venue, least_loaded};

impl Venue {
    /// Where a viewer of `key` goes: peer, stream, worker, the stream's origin and tracks.
    pub fn seat_viewer(
        &mut self,
        key: &StreamKey,
        loads: &[usize],
    ) -> Result<(PeerId, StreamId, WorkerId, WorkerId, Vec<TrackInfo>), Refused> {
        let peer = PeerId(self.fresh());
        let entry = self.streams.get(key).ok_or(Refused::NothingLive)?;
        let live = entry.live().ok_or(Refused::NothingLive)?;
        if self.viewers() >= self.limits.viewers_max {
            return Err(Refused::Full("there are as many viewers as there may be"));
        }
        let worker = least_loaded(loads, Some(live.worker));
        Ok((peer, entry.id, worker, live.worker, live.tracks.clone()))
    }

    /// Enters an accepted session, as the resource `resource` with the entity tag `etag`; both were never used before.
    pub fn enter(&mut self, resource: Uuid, session: SessionRecord) {
        let SessionRecord {
            ref key,
            role,
            peer,
            ..
        } = session;
        if let Some(at) = self.departed.iter().position(|gone| *gone == peer) {
            self.departed.remove(at);
            self.forget_waiting(key, peer);
            return;
        }
        self.sessions.insert(resource, session.clone());
        self.resources.insert(peer, resource);
        if role == Role::Viewer {
            self.stream_id(key);
            if let Some(entry) = self.streams.get_mut(key) {
                entry.viewers += 1;
            }
        }
        self.has_changed(&key.space);
    }

    /// A new entity tag after an ICE restart.
    pub fn renew_etag(&mut self, resource: Uuid, etag: String) -> Option<()> {
        let session = self.sessions.get_mut(&resource)?;
        session.etag = etag;
        Some(())
    }

    /// Every session: its peer and worker.
    pub fn sessions(&self) -> Vec<(PeerId, WorkerId)> {
        self.sessions
            .values()
            .map(|session| (session.peer, session.worker))
            .collect()
    }

    /// What remains of a publisher whose connection is closed: a stream that it has still, because a backup that was to have it was
    /// closed in the moment of taking over.
    pub(crate) fn end_left_over(&mut self, at: Moment, peer: PeerId) -> Option<()> {
        let session = self.sessions.get(self.resources.get(&peer)?)?;
        let entry = self.streams.get(&session.key)?;
        entry.on_stage().filter(|one| one.peer == peer)?;
        let stream = entry.id;
        self.on_ended(at, stream, peer);
        Some(())
    }

    /// Forgets a session. With a reason its client may learn for a while how it ended; without, it knows.
    pub fn leave(&mut self, at: Moment, peer: PeerId, reason: Option<&CloseReason>) {
        let session = self
            .resources
            .remove(&peer)
            .and_then(|resource| Some((resource, self.sessions.remove(&resource)?)));
        let Some((resource, session)) = session else {
            if self.departed.len() >= DEPARTED_MAX {
                self.departed.pop_front();
            }
            self.departed.push_back(peer);
            return;
        };
        if let Some(reason) = reason {
            self.ends
                .remember(resource, session.clone(), reason, at.now);
        }
        if session.role == Role::Viewer
            && let Some(entry) = self.streams.get_mut(&session.key)
        {
            entry.viewers = entry.viewers.saturating_sub(1);
        }
        self.forget_waiting(&session.key, peer);
        self.has_changed(&session.key.space);
    }
}
