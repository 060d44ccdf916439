//! Who publishes what: reserving, giving back, going live, ending.

use std::sync::atomic::Ordering;
use std::time::Instant;

use sfu::{PeerId, StreamId, TrackInfo};

use super::{
    Consequence, Directory, LINGER, Publication, Reserved, StreamEntry, StreamKey, least_loaded,
};
use crate::clock;
use crate::media::handle::{Refused, TakeOver};
use crate::media::trouble::Trouble;

/// What a new publisher asks for.
#[derive(Debug, Clone, Copy)]
pub(in crate::media) struct Claim<'a> {
    /// Under which right.
    pub(in crate::media) right: &'a TakeOver,
    /// To stand in for whoever is away.
    pub(in crate::media) is_backup: bool,
    /// Whether its media come later. A source without WebRTC sends at once.
    pub(in crate::media) may_wait: bool,
}

impl Directory {
    /// Takes the stream for a new publisher, if its claim allows. One that somebody else has stays that one's until the new
    /// publisher's media come; a source without WebRTC sends at once and replaces whoever has it now, except a backup.
    pub(in crate::media) fn reserve(
        &self,
        key: &StreamKey,
        claim: &Claim<'_>,
        loads: &[usize],
    ) -> Result<Reserved, Refused> {
        let mut inner = self.lock();
        if !inner.streams.contains_key(key) && inner.streams.len() >= self.limits.streams_max {
            return Err(Refused::Full("there are as many streams as there may be"));
        }
        // A take-over needs no further place.
        let is_new = inner.streams.get(key).is_none_or(|entry| !entry.is_taken());
        if is_new && inner.publishers() >= self.limits.publishers_max {
            return Err(Refused::Full(
                "there are as many publishers as there may be",
            ));
        }
        // Nobody has a better right to a show that is lost for a second than who has its key.
        if claim.is_backup && claim.may_wait && *claim.right != TakeOver::Always {
            return Err(Refused::Taken);
        }
        if let Some(entry) = inner.streams.get(key) {
            entry.check(claim)?;
        }
        let peer = PeerId(inner.fresh());
        let stream = inner.stream_id(key);
        let entry = inner.streams.get_mut(key).expect("made by stream_id");
        let mut all = entry.publication.iter().chain(entry.waiting.last());
        let worker = match all.next() {
            Some(other) => other.worker,
            None => least_loaded(loads, None),
        };
        let takes_over = entry.takes_over(claim);
        let owner = match claim.right {
            TakeOver::SameOwner(owner) => Some(*owner),
            TakeOver::Always | TakeOver::OnlyIfSilent => None,
        };
        let publication = Publication {
            peer,
            worker,
            owner,
            since: None,
            tracks: Vec::new(),
            is_silent: false,
            is_reordered: false,
            is_feed: false,
            is_backup: claim.is_backup,
            stands_by: false,
            left: None,
        };
        let has_backup = entry.on_stage().is_some_and(|current| current.is_backup);
        let waits = claim.may_wait || claim.is_backup || has_backup;
        if waits && entry.is_taken() {
            entry.waiting.push(publication);
        } else {
            entry.publication = Some(publication);
        }
        Ok(Reserved {
            peer,
            stream,
            worker,
            takes_over,
        })
    }

    /// Gives a reserved stream back: its publisher was refused.
    pub(in crate::media) fn give_back(&self, key: &StreamKey, peer: PeerId) {
        let mut inner = self.lock();
        if let Some(entry) = inner.streams.get_mut(key)
            && entry
                .publication
                .as_ref()
                .is_some_and(|current| current.peer == peer)
        {
            entry.publication = None;
        }
        inner.forget_waiting(key, peer);
    }

    /// The stream that has this name, if one does.
    pub(in crate::media) fn stream_of(&self, key: &StreamKey) -> Option<StreamId> {
        self.lock().streams.get(key).map(|entry| entry.id)
    }

    /// The stream that `peer` publishes under `key`, while it does.
    pub(in crate::media) fn published_by(&self, key: &StreamKey, peer: PeerId) -> Option<StreamId> {
        let inner = self.lock();
        let entry = inner.streams.get(key)?;
        let publication = entry.on_stage()?;
        (publication.peer == peer).then_some(entry.id)
    }

    fn with_entry<R>(&self, stream: StreamId, f: impl FnOnce(&mut StreamEntry) -> R) -> Option<R> {
        let mut inner = self.lock();
        let key = inner.keys.get(&stream)?.clone();
        inner.streams.get_mut(&key).map(f)
    }

    pub(super) fn with_publication<R>(
        &self,
        stream: StreamId,
        peer: PeerId,
        f: impl FnOnce(&mut Publication) -> R,
    ) -> Option<(StreamKey, R)> {
        let mut inner = self.lock();
        let key = inner.keys.get(&stream)?.clone();
        let entry = inner.streams.get_mut(&key)?;
        let publication = entry
            .publication
            .as_mut()
            .filter(|publication| publication.peer == peer)?;
        let result = f(publication);
        entry.idle_since = None;
        Some((key, result))
    }

    pub(super) fn on_live(
        &self,
        stream: StreamId,
        peer: PeerId,
        tracks: Vec<TrackInfo>,
    ) -> Option<Consequence> {
        let feed_worker = self.feed_is_live(stream, peer, &tracks);
        self.with_entry(stream, |entry| entry.promote(peer, false));
        let published = self.with_publication(stream, peer, |publication| {
            publication.tracks = tracks;
            let is_first = publication.since.is_none();
            publication.since.get_or_insert_with(clock::wall);
            (publication.worker, is_first)
        });
        let Some((key, (worker, is_first))) = published else {
            // A participant's stream needs no name.
            return Some(Consequence::Origin(stream, Some(feed_worker?)));
        };
        if is_first {
            tracing::info!(space = %key.space, stream = %key.stream, %peer, "live");
        }
        self.changed(&key.space);
        Some(Consequence::Origin(stream, Some(worker)))
    }

    /// Pictures come out of order, or in order again: whoever follows the space is told.
    pub(super) fn on_reordered(&self, stream: StreamId, peer: PeerId, reordered: bool) {
        let known = self.with_publication(stream, peer, |publication| {
            publication.is_reordered = reordered;
        });
        let Some((key, ())) = known else { return };
        if reordered {
            self.reordered.fetch_add(1, Ordering::Relaxed);
            let trouble = Trouble::Reordered;
            tracing::warn!(space = %key.space, stream = %key.stream, %peer, trouble = trouble.code(), "{}", trouble.text());
        } else {
            tracing::info!(space = %key.space, stream = %key.stream, %peer, "its pictures are in order again");
        }
        self.changed(&key.space);
    }

    pub(super) fn on_ended(&self, stream: StreamId, peer: PeerId) -> Option<Consequence> {
        let mut inner = self.lock();
        let key = inner.keys.get(&stream)?.clone();
        let entry = inner.streams.get_mut(&key)?;
        let before = entry.waiting.len();
        entry.waiting.retain(|waiting| waiting.peer != peer);
        let has_waited = entry.waiting.len() < before;
        let has_standby = entry.has_standby();
        let is_its = |one: &&mut Publication| one.peer == peer && one.left.is_none();
        let Some(publication) = entry.publication.as_mut().filter(is_its) else {
            drop(inner);
            if has_waited {
                tracing::info!(space = %key.space, stream = %key.stream, %peer, "stands by no longer");
                self.changed(&key.space);
            }
            return None;
        };
        if has_standby && publication.since.is_some() {
            publication.left = Some(clock::now());
            drop(inner);
            tracing::info!(space = %key.space, stream = %key.stream, %peer, "left; somebody stands by");
            self.changed(&key.space);
            return None;
        }
        entry.publication = None;
        entry.idle_since = Some(clock::now());
        inner.collect(&key);
        drop(inner);
        tracing::info!(space = %key.space, stream = %key.stream, %peer, "ended");
        self.changed(&key.space);
        Some(Consequence::Origin(stream, None))
    }

    /// Streams whose viewers waited long enough.
    pub(in crate::media) fn expire(&self, now: Instant) -> Vec<Consequence> {
        let mut forgotten = self.expire_left(now);
        let mut inner = self.lock();
        inner.ends.expire(now);
        for entry in inner.streams.values_mut() {
            let is_over = entry
                .idle_since
                .is_some_and(|since| now.saturating_duration_since(since) > LINGER);
            if !entry.is_taken() && is_over {
                entry.idle_since = Some(now);
                forgotten.push(Consequence::Forget(entry.id));
            }
        }
        forgotten
    }
}

impl Publication {
    /// What is wrong with it.
    pub(super) fn troubles(&self) -> Vec<Trouble> {
        Vec::from_iter(self.is_reordered.then_some(Trouble::Reordered))
    }

    pub(super) fn may_be_taken(&self, right: &TakeOver) -> bool {
        // Only its own participant or a moderator takes the name from it.
        if self.is_feed {
            return false;
        }
        match right {
            _ if self.is_nobodys() => true,
            TakeOver::Always => true,
            TakeOver::SameOwner(owner) => self.owner.as_ref() == Some(owner) || self.is_silent,
            TakeOver::OnlyIfSilent => self.is_silent,
        }
    }
}

impl StreamEntry {
    pub(super) fn live(&self) -> Option<&Publication> {
        self.publication
            .as_ref()
            .filter(|publication| publication.since.is_some())
    }
}
