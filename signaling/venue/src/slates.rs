//! What viewers of a stream are shown while nobody performs.

use std::sync::Arc;

use sfu::{Slate, StreamId};

use crate::key::StreamKey;
use crate::venue::{StreamEntry, Venue};

impl Venue {
    /// Remembers a stream's slate for as long as the stream is known; returns which one that is.
    pub fn set_slate(&mut self, key: &StreamKey, slate: Arc<Slate>) -> Option<StreamId> {
        let entry = self.streams.get_mut(key)?;
        entry.slate = Some(slate);
        Some(entry.id)
    }

    /// A stream's slate, if it has one.
    pub fn slate(&self, key: &StreamKey) -> Option<Arc<Slate>> {
        self.streams.get(key)?.slate.clone()
    }
}

impl StreamEntry {
    /// Whether its viewers have a slate because whoever performed has left.
    pub(crate) fn is_slated(&self) -> bool {
        let is_waited_for = self.viewers > 0 && self.idle_since.is_some();
        is_waited_for && self.live().is_none() && self.slate.is_some()
    }
}
