//! Who publishes what: reserving, giving back, going live, ending.

use sfu::{PeerId, StreamId, TrackInfo};

use crate::io::Consequence;
use crate::key::StreamKey;
use crate::moment::Moment;
use crate::outcome::{Refused, TakeOver};
use crate::trouble::Trouble;
use crate::venue::{LINGER, Publication, Reserved, StreamEntry, Venue, least_loaded};

/// What a new publisher asks for.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// Under which right.
    pub right: &'a TakeOver,
    /// To stand in for whoever is away.
    pub is_backup: bool,
    /// Whether its media come later. A source without WebRTC sends at once.
    pub may_wait: bool,
}

impl Venue {
    /// Takes the stream for a new publisher, if its claim allows. One that somebody else has stays that one's until the new
    /// publisher's media come; a source without WebRTC sends at once and replaces whoever has it now, except a backup.
    pub fn reserve(
        &mut self,
        key: &StreamKey,
        claim: &Claim<'_>,
        loads: &[usize],
    ) -> Result<Reserved, Refused> {
        if !self.streams.contains_key(key) && self.streams.len() >= self.limits.streams_max {
            return Err(Refused::Full("there are as many streams as there may be"));
        }
        // A take-over needs no further place.
        let is_new = self.streams.get(key).is_none_or(|entry| !entry.is_taken());
        if is_new && self.publishers() >= self.limits.publishers_max {
            return Err(Refused::Full(
                "there are as many publishers as there may be",
            ));
        }
        // Nobody has a better right to a show that is lost for a second than who has its key.
        if claim.is_backup && claim.may_wait && *claim.right != TakeOver::Always {
            return Err(Refused::Taken);
        }
        if let Some(entry) = self.streams.get(key) {
            entry.check(claim)?;
        }
        let peer = PeerId(self.fresh());
        let stream = self.stream_id(key);
        let entry = self.streams.get_mut(key).expect("made by stream_id");
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
    pub fn give_back(&mut self, key: &StreamKey, peer: PeerId) {
        if let Some(entry) = self.streams.get_mut(key)
            && entry
                .publication
                .as_ref()
                .is_some_and(|current| current.peer == peer)
        {
            entry.publication = None;
        }
        self.forget_waiting(key, peer);
    }

    /// The stream that has this name, if one does.
    pub fn stream_of(&self, key: &StreamKey) -> Option<StreamId> {
        self.streams.get(key).map(|entry| entry.id)
    }

    /// The stream that `peer` publishes under `key`, while it does.
    pub fn published_by(&self, key: &StreamKey, peer: PeerId) -> Option<StreamId> {
        let entry = self.streams.get(key)?;
        let publication = entry.on_stage()?;
        (publication.peer == peer).then_some(entry.id)
    }

    fn with_entry<R>(
        &mut self,
        stream: StreamId,
        f: impl FnOnce(&mut StreamEntry) -> R,
    ) -> Option<R> {
        let key = self.keys.get(&stream)?.clone();
        self.streams.get_mut(&key).map(f)
    }

    pub(crate) fn with_publication<R>(
        &mut self,
        stream: StreamId,
        peer: PeerId,
        f: impl FnOnce(&mut Publication) -> R,
    ) -> Option<(StreamKey, R)> {
        let key = self.keys.get(&stream)?.clone();
        let entry = self.streams.get_mut(&key)?;
        let publication = entry
            .publication
            .as_mut()
            .filter(|publication| publication.peer == peer)?;
        let result = f(publication);
        entry.idle_since = None;
        Some((key, result))
    }

    pub(crate) fn on_live(
        &mut self,
        at: Moment,
        stream: StreamId,
        peer: PeerId,
        tracks: Vec<TrackInfo>,
    ) {
        let feed_worker = self.feed_is_live(at, stream, peer, &tracks);
        self.with_entry(stream, |entry| entry.promote(peer, false));
        let published = self.with_publication(stream, peer, |publication| {
            publication.tracks = tracks;
            let is_first = publication.since.is_none();
            publication.since.get_or_insert_with(|| at.wall());
            (publication.worker, is_first)
        });
        let Some((key, (worker, is_first))) = published else {
            // A participant's stream needs no name.
            if let Some(worker) = feed_worker {
                self.tell(Consequence::Origin(stream, Some(worker)));
            }
            return;
        };
        if is_first {
            tracing::info!(space = %key.space, stream = %key.stream, %peer, "live");
        }
        self.has_changed(&key.space);
        self.tell(Consequence::Origin(stream, Some(worker)));
    }

    /// Pictures come out of order, or in order again: whoever follows the space is told.
    pub(crate) fn on_reordered(&mut self, stream: StreamId, peer: PeerId, reordered: bool) {
        let known = self.with_publication(stream, peer, |publication| {
            publication.is_reordered = reordered;
        });
        let Some((key, ())) = known else { return };
        if reordered {
            self.reordered += 1;
            let trouble = Trouble::Reordered;
            tracing::warn!(space = %key.space, stream = %key.stream, %peer, trouble = trouble.code(), "{}", trouble.text());
        } else {
            tracing::info!(space = %key.space, stream = %key.stream, %peer, "its pictures are in order again");
        }
        self.has_changed(&key.space);
    }

    pub(crate) fn on_ended(&mut self, at: Moment, stream: StreamId, peer: PeerId) {
        let Some(key) = self.keys.get(&stream).cloned() else {
            return;
        };
        let Some(entry) = self.streams.get_mut(&key) else {
            return;
        };
        let before = entry.waiting.len();
        entry.waiting.retain(|waiting| waiting.peer != peer);
        let has_waited = entry.waiting.len() < before;
        let has_standby = entry.has_standby();
        let is_its = |one: &&mut Publication| one.peer == peer && one.left.is_none();
        let Some(publication) = entry.publication.as_mut().filter(is_its) else {
            if has_waited {
                tracing::info!(space = %key.space, stream = %key.stream, %peer, "stands by no longer");
                self.has_changed(&key.space);
            }
            return;
        };
        if has_standby && publication.since.is_some() {
            publication.left = Some(at.now);
            tracing::info!(space = %key.space, stream = %key.stream, %peer, "left; somebody stands by");
            self.has_changed(&key.space);
            return;
        }
        entry.publication = None;
        entry.idle_since = Some(at.now);
        self.collect(&key);
        tracing::info!(space = %key.space, stream = %key.stream, %peer, "ended");
        self.has_changed(&key.space);
        self.tell(Consequence::Origin(stream, None));
    }

    /// Streams whose viewers waited long enough.
    pub fn expire(&mut self, at: Moment) {
        self.expire_left(at);
        let (now, mut forgotten) = (at.now, Vec::new());
        self.ends.expire(now);
        for entry in self.streams.values_mut() {
            let is_over = entry
                .idle_since
                .is_some_and(|since| now.saturating_duration_since(since) > LINGER);
            if !entry.is_taken() && is_over {
                entry.idle_since = Some(now);
                forgotten.push(entry.id);
            }
        }
        for stream in forgotten {
            self.tell(Consequence::Forget(stream));
        }
    }
}

impl Publication {
    /// What is wrong with it.
    pub(crate) fn troubles(&self) -> Vec<Trouble> {
        Vec::from_iter(self.is_reordered.then_some(Trouble::Reordered))
    }

    pub(crate) fn may_be_taken(&self, right: &TakeOver) -> bool {
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
    pub(crate) fn live(&self) -> Option<&Publication> {
        self.publication
            .as_ref()
            .filter(|publication| publication.since.is_some())
    }
}
