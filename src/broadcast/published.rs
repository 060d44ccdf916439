//! Every stream that is live as HLS, by space and name.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use bus::MediaMoment;

use super::stream::Show;
use crate::media::{StreamKey, Trouble};

/// The stream that is meant when none is named.
const MAIN: &str = "main";

/// A space's streams by name.
type Streams = BTreeMap<Arc<str>, Arc<Show>>;

/// What HTTP looks streams up in.
#[derive(Debug, Default)]
pub struct Published {
    shows: RwLock<BTreeMap<Arc<str>, Streams>>,
    /// Streams that are live but cannot be carried, and why.
    refusals: RwLock<BTreeMap<StreamKey, &'static str>>,
}

impl Published {
    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<Arc<str>, Streams>> {
        self.shows.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The stream that is live, or was a moment ago.
    pub fn show(&self, key: &StreamKey) -> Option<Arc<Show>> {
        self.read().get(&*key.space)?.get(&*key.stream).cloned()
    }

    /// The streams of a space that may still go on, by name.
    pub fn shows(&self, space: &str) -> Vec<Arc<Show>> {
        let shows = self.read();
        let streams = shows.get(space).into_iter().flat_map(Streams::values);
        streams.filter(|show| !show.is_ended()).cloned().collect()
    }

    /// Where the picture of a space is: of `main`, or else of the first of its streams by name. One whose performer is away for a
    /// moment has its slate, but only while no other stream of the space goes on.
    pub fn moment(&self, space: &str) -> Option<MediaMoment> {
        let shows = self.read();
        let streams = shows.get(space)?;
        let main = streams.get(MAIN).into_iter();
        let mut order = main.chain(streams.values()).filter(|show| !show.is_ended());
        let performed = order.clone().find(|show| show.is_performed());
        let show = performed.or_else(|| order.next())?;
        Some(MediaMoment {
            stream: show.key().stream.clone(),
            life: show.life().clone(),
            time_ms: show.newest_ms()?,
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.read().values().map(BTreeMap::len).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What a performer should mend so that HLS is what it could be.
    pub fn troubles(&self, key: &StreamKey) -> Vec<Trouble> {
        let Some(show) = self.show(key) else {
            return Vec::new();
        };
        let rare = show.has_rare_keyframes().then_some(Trouble::RareKeyframes);
        let many = show.has_too_many_cues().then_some(Trouble::TooManyCues);
        rare.into_iter().chain(many).collect()
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
        let StreamKey { space, stream } = show.key().clone();
        shows.entry(space).or_default().insert(stream, show);
    }

    /// Removes this life; a newer one under the same name stays.
    pub(super) fn remove(&self, show: &Show) {
        let mut shows = self.shows.write().unwrap_or_else(PoisonError::into_inner);
        let StreamKey { space, stream } = show.key();
        let Some(streams) = shows.get_mut(space) else {
            return;
        };
        if streams
            .get(stream)
            .is_some_and(|known| known.life() == show.life())
        {
            streams.remove(stream);
        }
        if streams.is_empty() {
            shows.remove(space);
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
