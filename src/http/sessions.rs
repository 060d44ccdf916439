//! What the HTTP side must remember of a session between two requests: whose ICE credentials it has, and whether an offer of
//! ours still waits for its answer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use crate::media::Directory;

/// Entries below which nothing is cleaned up.
const CLEAN_MIN: usize = 256;

/// One session's facts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    /// The client's present user fragment: another one in a fragment asks for an ICE restart (RFC 9725 section 4.3.3).
    pub(crate) remote_ufrag: Option<String>,
    /// `a=ice-options` of our own SDP; an ICE restart repeats it.
    pub(crate) ice_options: Option<String>,
    /// `a=ice-lite` of our own SDP; an ICE restart repeats it.
    pub(crate) ice_lite: bool,
    /// A counter-offer was sent and not answered yet.
    pub(crate) awaits_answer: bool,
    /// A viewer's: the index of the first section with a picture, which names its layers.
    pub(crate) video_line: Option<usize>,
    /// A publisher's: where it comes from.
    pub(crate) household: Option<Arc<str>>,
}

/// The facts of all sessions. Bounded by the sessions that the directory knows, which are limited: whatever it does not know any
/// more goes whenever the number of entries has doubled.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    facts: HashMap<Uuid, Facts>,
    clean_at: usize,
}

impl Sessions {
    pub(crate) fn insert(&self, resource: Uuid, facts: Facts, directory: &Directory) {
        let mut inner = self.lock();
        if inner.facts.len() >= inner.clean_at.max(CLEAN_MIN) {
            inner
                .facts
                .retain(|resource, _| directory.session(*resource).is_some());
            inner.clean_at = inner.facts.len() * 2;
        }
        inner.facts.insert(resource, facts);
    }

    pub(crate) fn facts(&self, resource: Uuid) -> Facts {
        self.lock()
            .facts
            .get(&resource)
            .cloned()
            .unwrap_or_default()
    }

    pub(crate) fn household(&self, resource: Uuid) -> Option<Arc<str>> {
        self.lock().facts.get(&resource)?.household.clone()
    }

    pub(crate) fn set_remote_ufrag(&self, resource: Uuid, ufrag: String) {
        if let Some(facts) = self.lock().facts.get_mut(&resource) {
            facts.remote_ufrag = Some(ufrag);
        }
    }

    /// Ends the wait for an answer; says whether there was one. Of several callers one is told so.
    pub(crate) fn take_awaited(&self, resource: Uuid) -> bool {
        let mut inner = self.lock();
        let facts = inner.facts.get_mut(&resource);
        facts.is_some_and(|facts| std::mem::take(&mut facts.awaits_answer))
    }

    pub(crate) fn remove(&self, resource: Uuid) {
        self.lock().facts.remove(&resource);
    }

    /// Nothing in here is ever half changed: a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
