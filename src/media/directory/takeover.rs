//! Publishers that wait for a stream which somebody else has: they get it with their first picture, and until then nobody
//! notices them.

use sfu::{PeerId, StreamId};

use super::{Directory, Inner, Publication, StreamEntry, StreamKey};
use crate::clock;

impl Directory {
    /// A publisher that waited has its stream now. It is live as the one before was, until it says what it consists of: whoever
    /// watches or asks meanwhile is not told that nothing is on.
    pub(super) fn on_took_over(&self, stream: StreamId, peer: PeerId) {
        let mut inner = self.lock();
        let Some(key) = inner.keys.get(&stream).cloned() else {
            return;
        };
        let Some(entry) = inner.streams.get_mut(&key) else {
            return;
        };
        let live = entry.live().map(|live| live.tracks.clone());
        if entry.promote(peer)
            && let (Some(tracks), Some(publication)) = (live, entry.publication.as_mut())
        {
            publication.since = Some(clock::wall());
            publication.tracks = tracks;
        }
        drop(inner);
        tracing::info!(space = %key.space, stream = %key.stream, %peer, "took over");
        self.changed(&key.space);
    }
}

impl Inner {
    /// A publisher does not wait any more.
    pub(super) fn forget_waiting(&mut self, key: &StreamKey, peer: PeerId) {
        if let Some(entry) = self.streams.get_mut(key) {
            entry.waiting.retain(|waiting| waiting.peer != peer);
        }
        self.collect(key);
    }
}

impl StreamEntry {
    /// Whether somebody publishes, or is about to.
    pub(super) fn is_taken(&self) -> bool {
        self.publication.is_some() || !self.waiting.is_empty()
    }

    /// Gives the stream to a publisher that waits. Returns whether it did.
    pub(super) fn promote(&mut self, peer: PeerId) -> bool {
        let Some(at) = self.waiting.iter().position(|waiting| waiting.peer == peer) else {
            return false;
        };
        let next = self.waiting.remove(at);
        self.idle_since = None;
        // Whoever has not sent anything yet was not replaced: it is still to come.
        if let Some(last) = self.publication.replace(next)
            && last.since.is_none()
        {
            self.waiting.push(last);
            self.waiting
                .sort_by_key(|waiting: &Publication| waiting.peer);
        }
        true
    }
}
