//! Every stream that is live as HLS, by name.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::stream::Show;
use crate::media::StreamKey;

/// What HTTP looks streams up in.
#[derive(Debug, Default)]
pub struct Published {
    shows: RwLock<BTreeMap<StreamKey, Arc<Show>>>,
    /// Streams that are live but cannot be carried, and why.
    refusals: RwLock<BTreeMap<StreamKey, &'static str>>,
}

impl Published {
    /// The stream that is live, or was a moment ago.
    pub fn show(&self, key: &StreamKey) -> Option<Arc<Show>> {
        self.shows
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(key)
            .cloned()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.shows
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Why a live stream has no HLS.
    pub fn refusal(&self, key: &StreamKey) -> Option<&'static str> {
        self.refusals
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(key)
            .copied()
    }

    pub(super) fn insert(&self, show: Arc<Show>) {
        let mut shows = self.shows.write().unwrap_or_else(PoisonError::into_inner);
        shows.insert(show.key().clone(), show);
    }

    /// Removes this life; a newer one under the same name stays.
    pub(super) fn remove(&self, show: &Show) {
        let mut shows = self.shows.write().unwrap_or_else(PoisonError::into_inner);
        if shows
            .get(show.key())
            .is_some_and(|known| known.life() == show.life())
        {
            shows.remove(show.key());
        }
    }

    /// Returns whether that was not known.
    pub(super) fn refuse(&self, key: &StreamKey, why: Option<&'static str>) -> bool {
        let mut refusals = self
            .refusals
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let before = match why {
            Some(why) => refusals.insert(key.clone(), why),
            None => refusals.remove(key),
        };
        before != why
    }
}
