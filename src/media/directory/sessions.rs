//! WHIP and WHEP sessions as their HTTP resources show them.

use sfu::{CloseReason, PeerId, Role, StreamId, TrackInfo, WorkerId};
use uuid::Uuid;

use super::{Consequence, DEPARTED_MAX, Directory, SessionRecord, StreamKey, least_loaded};
use crate::media::handle::Refused;

impl Directory {
    /// Where a viewer of `key` goes: peer, stream, worker, the stream's origin and tracks.
    pub(in crate::media) fn seat_viewer(
        &self,
        key: &StreamKey,
        loads: &[usize],
    ) -> Result<(PeerId, StreamId, WorkerId, WorkerId, Vec<TrackInfo>), Refused> {
        let mut inner = self.lock();
        let peer = PeerId(inner.fresh());
        let entry = inner.streams.get(key).ok_or(Refused::NothingLive)?;
        let live = entry.live().ok_or(Refused::NothingLive)?;
        if inner.viewers() >= self.limits.viewers_max {
            return Err(Refused::Full("there are as many viewers as there may be"));
        }
        let worker = least_loaded(loads, Some(live.worker));
        Ok((peer, entry.id, worker, live.worker, live.tracks.clone()))
    }

    /// Enters an accepted session.
    pub(in crate::media) fn enter(
        &self,
        key: &StreamKey,
        role: Role,
        peer: PeerId,
        worker: WorkerId,
    ) -> (Uuid, String) {
        let resource = Uuid::new_v4();
        let etag = fresh_etag();
        let mut inner = self.lock();
        if let Some(at) = inner.departed.iter().position(|gone| *gone == peer) {
            inner.departed.remove(at);
            inner.forget_waiting(key, peer);
            return (resource, etag);
        }
        inner.sessions.insert(
            resource,
            SessionRecord {
                key: key.clone(),
                role,
                etag: etag.clone(),
                peer,
                worker,
            },
        );
        inner.resources.insert(peer, resource);
        if role == Role::Viewer {
            inner.stream_id(key);
            if let Some(entry) = inner.streams.get_mut(key) {
                entry.viewers += 1;
            }
        }
        drop(inner);
        self.changed(&key.space);
        (resource, etag)
    }

    /// A new entity tag after an ICE restart.
    pub(in crate::media) fn renew_etag(&self, resource: Uuid) -> Option<String> {
        let mut inner = self.lock();
        let session = inner.sessions.get_mut(&resource)?;
        session.etag = fresh_etag();
        Some(session.etag.clone())
    }

    /// Every session: its peer and worker.
    pub(in crate::media) fn sessions(&self) -> Vec<(PeerId, WorkerId)> {
        let inner = self.lock();
        inner
            .sessions
            .values()
            .map(|session| (session.peer, session.worker))
            .collect()
    }

    /// What remains of a publisher whose connection is closed: a stream that it has still, because a backup that was to have it was
    /// closed in the moment of taking over.
    pub(super) fn end_left_over(&self, peer: PeerId) -> Option<Consequence> {
        let inner = self.lock();
        let session = inner.sessions.get(inner.resources.get(&peer)?)?;
        let entry = inner.streams.get(&session.key)?;
        entry.on_stage().filter(|one| one.peer == peer)?;
        let stream = entry.id;
        drop(inner);
        self.on_ended(stream, peer)
    }

    /// Forgets a session. With a reason its client may learn for a while how it ended; without, it knows.
    pub(in crate::media) fn leave(&self, peer: PeerId, reason: Option<&CloseReason>) {
        let mut inner = self.lock();
        let session = inner
            .resources
            .remove(&peer)
            .and_then(|resource| Some((resource, inner.sessions.remove(&resource)?)));
        let Some((resource, session)) = session else {
            if inner.departed.len() >= DEPARTED_MAX {
                inner.departed.pop_front();
            }
            inner.departed.push_back(peer);
            return;
        };
        if let Some(reason) = reason {
            inner.ends.remember(resource, session.clone(), reason);
        }
        if session.role == Role::Viewer
            && let Some(entry) = inner.streams.get_mut(&session.key)
        {
            entry.viewers = entry.viewers.saturating_sub(1);
        }
        inner.forget_waiting(&session.key, peer);
        drop(inner);
        self.changed(&session.key.space);
    }
}

fn fresh_etag() -> String {
    Uuid::new_v4().simple().to_string()
}
