//! Publishers that wait for a stream which somebody else has: they get it with their first picture, and until then nobody
//! notices them.

use sfu::{PeerId, StreamId};
use uuid::Uuid;

use crate::key::StreamKey;
use crate::moment::Moment;
use crate::venue::{Publication, StreamEntry, Venue};

impl Venue {
    /// A publisher that waited has its stream now. It is live as the one before was, until it says what it consists of: whoever
    /// watches or asks meanwhile is not told that nothing is on.
    ///
    /// Who comes for a while only, and who is back, go on with the performance: it is live since when it was.
    pub(crate) fn on_took_over(&mut self, at: Moment, stream: StreamId, peer: PeerId, stays: bool) {
        let Some(key) = self.keys.get(&stream).cloned() else {
            return;
        };
        let Some(entry) = self.streams.get_mut(&key) else {
            return;
        };
        let live = entry.live().map(|live| {
            let goes_on = stays || live.left.is_some();
            let since = live.since.filter(|_| goes_on);
            (since.unwrap_or_else(|| at.wall()), live.tracks.clone())
        });
        if entry.promote(peer, stays)
            && let (Some((since, tracks)), Some(publication)) = (live, entry.publication.as_mut())
        {
            publication.since = Some(since);
            publication.tracks = tracks;
        }
        let is_backup = entry.publication.as_ref().is_some_and(|one| one.is_backup);
        tracing::info!(space = %key.space, stream = %key.stream, %peer, is_backup, stays, "took over");
        self.has_changed(&key.space);
    }

    /// Whether somebody publishes `key`, or is about to: whoever comes waits.
    pub fn is_taken(&self, key: &StreamKey) -> bool {
        self.streams.get(key).is_some_and(StreamEntry::is_taken)
    }

    /// The sessions of publishers that wait for a stream, or stand by.
    pub fn waiting(&self) -> Vec<Uuid> {
        let waiting = self.streams.values().flat_map(|entry| &entry.waiting);
        let sessions = waiting.filter_map(|one| self.resources.get(&one.peer));
        sessions.copied().collect()
    }
}

impl Venue {
    /// A publisher does not wait any more.
    pub(crate) fn forget_waiting(&mut self, key: &StreamKey, peer: PeerId) {
        if let Some(entry) = self.streams.get_mut(key) {
            entry.waiting.retain(|waiting| waiting.peer != peer);
        }
        self.collect(key);
    }
}

impl StreamEntry {
    /// Whether somebody publishes, or is about to.
    pub(crate) fn is_taken(&self) -> bool {
        self.publication.is_some() || !self.waiting.is_empty()
    }

    /// Gives the stream to a publisher that waits. Returns whether it did. Whoever had it `stays` to stand by, or goes.
    pub(crate) fn promote(&mut self, peer: PeerId, stays: bool) -> bool {
        let Some(at) = self.waiting.iter().position(|waiting| waiting.peer == peer) else {
            return false;
        };
        let mut next = self.waiting.remove(at);
        next.stands_by = false;
        next.is_silent = false;
        self.idle_since = None;
        if let Some(mut last) = self.publication.replace(next)
            && last.left.is_none()
        {
            // Whoever has not sent anything yet was not replaced: it is still to come.
            let is_to_come = last.since.is_none();
            if stays || is_to_come {
                last.stands_by = stays && !is_to_come;
                last.is_silent = false;
                last.since = None;
                self.waiting.push(last);
                self.waiting
                    .sort_by_key(|waiting: &Publication| waiting.peer);
            }
        }
        true
    }
}
