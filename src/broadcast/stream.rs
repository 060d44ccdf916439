//! A live stream as its audience sees it: its renditions and the playlist of playlists.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use hls::Report;
use tokio::sync::watch;

use super::counters::BroadcastCounters;
use super::rendered::Rendered;
use super::rendition::Rendition;
use crate::clock;
use crate::media::StreamKey;

/// Seconds after the last request during which a stream counts as watched: players ask every few seconds.
const WATCHED_S: i64 = 15;

/// One life of a stream: from its first publication until nobody came back. Shared by the packaging thread, which writes, and HTTP.
#[derive(Debug)]
pub struct Show {
    key: StreamKey,
    life: Arc<str>,
    origin_ms: u64,
    renditions: RwLock<Vec<Arc<Rendition>>>,
    multivariant: watch::Sender<Option<Arc<Rendered>>>,
    /// Unix seconds of the last request for a playlist.
    asked: AtomicI64,
    is_ended: AtomicBool,
}

impl Show {
    pub(super) fn new(key: StreamKey, life: Arc<str>, origin_ms: u64) -> Self {
        Self {
            key,
            life,
            origin_ms,
            renditions: RwLock::default(),
            multivariant: watch::Sender::new(None),
            asked: AtomicI64::new(0),
            is_ended: AtomicBool::new(false),
        }
    }

    /// Whose it is.
    pub fn key(&self) -> &StreamKey {
        &self.key
    }

    /// What makes this life's URLs unlike those of any other.
    pub fn life(&self) -> &Arc<str> {
        &self.life
    }

    /// Unix time in milliseconds of media time zero.
    pub fn origin_ms(&self) -> u64 {
        self.origin_ms
    }

    /// Whether the last publisher did not come back.
    pub fn is_ended(&self) -> bool {
        self.is_ended.load(Ordering::Relaxed)
    }

    /// The rendition of this name.
    pub fn rendition(&self, name: &str) -> Option<Arc<Rendition>> {
        let renditions = self
            .renditions
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        renditions
            .iter()
            .find(|rendition| &**rendition.name() == name)
            .cloned()
    }

    /// All renditions, in the packager's order.
    pub fn renditions(&self) -> Vec<Arc<Rendition>> {
        self.renditions
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The multivariant playlist, when there is one.
    pub fn multivariant(&self) -> Option<Arc<Rendered>> {
        self.multivariant.borrow().clone()
    }

    /// Waits for the multivariant playlist of a stream that has just begun. Cancel safe; bound its time.
    pub async fn wait_for_multivariant(&self) -> Option<Arc<Rendered>> {
        let mut receiver = self.multivariant.subscribe();
        let found = receiver.wait_for(Option::is_some).await.ok()?;
        found.clone()
    }

    /// Somebody watches: keyframes are asked for while this is said again and again.
    pub fn touch(&self) {
        self.asked.store(clock::unix_seconds(), Ordering::Relaxed);
    }

    /// Whether somebody asked for a playlist within the last seconds.
    pub fn is_watched(&self) -> bool {
        clock::unix_seconds() - self.asked.load(Ordering::Relaxed) <= WATCHED_S
    }

    /// The DVR view of a rendition.
    pub fn dvr(
        &self,
        rendition: &Rendition,
        is_delta: bool,
        counters: &BroadcastCounters,
    ) -> Arc<Rendered> {
        rendition.dvr(is_delta, &self.reports(rendition), counters)
    }

    /// Where the other renditions of the same kind and the other kinds stand.
    fn reports(&self, of: &Rendition) -> Vec<Report> {
        let renditions = self.renditions();
        let others = renditions.iter().filter(|other| other.name() != of.name());
        others.filter_map(|other| other.report()).collect()
    }

    pub(super) fn add(&self, rendition: Arc<Rendition>) {
        let mut renditions = self
            .renditions
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        renditions.push(rendition);
    }

    pub(super) fn publish(&self, rendition: &Rendition, counters: &BroadcastCounters) {
        rendition.publish(&self.reports(rendition), counters);
    }

    pub(super) fn publish_multivariant(&self, text: String) {
        let is_same = self
            .multivariant()
            .is_some_and(|known| known.plain() == text.as_bytes());
        if !is_same {
            self.multivariant
                .send_replace(Some(Arc::new(Rendered::new(text))));
        }
    }

    pub(super) fn set_ended(&self) {
        self.is_ended.store(true, Ordering::Relaxed);
    }
}
