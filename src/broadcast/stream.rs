//! A live stream as its audience sees it: its renditions and the playlist of playlists.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use hls::{DateRange, Report};
use tokio::sync::watch;

use super::counters::BroadcastCounters;
use super::presentation::Sound;
use super::quality::SoundTrouble;
use super::rendered::Rendered;
use super::rendition::{Rendition, Skip};
use crate::clock;
use crate::media::{StreamKey, Trouble};

/// Seconds after the last request during which a stream counts as watched: players ask every few seconds.
const WATCHED_S: i64 = 15;

/// The same for the sound that is encoded only for who asks.
const AAC_WANTED_S: i64 = 30;

/// The same playlist for each codec of sound.
#[derive(Debug, Clone)]
struct Multivariant {
    aac: Arc<Rendered>,
    opus: Arc<Rendered>,
}

impl Multivariant {
    fn with(&self, sound: Sound) -> &Arc<Rendered> {
        match sound {
            Sound::Aac => &self.aac,
            Sound::Opus => &self.opus,
        }
    }
}

/// One life of a stream: from its first publication until nobody came back. Shared by its packaging thread, which writes, and HTTP.
#[derive(Debug)]
pub struct Show {
    key: StreamKey,
    life: Arc<str>,
    origin_ms: u64,
    renditions: RwLock<Vec<Arc<Rendition>>>,
    multivariant: watch::Sender<Option<Multivariant>>,
    /// Unix seconds of the last request for a playlist.
    asked: AtomicI64,
    /// The same, of AAC.
    asked_aac: AtomicI64,
    is_ended: AtomicBool,
    /// Unix time of the newest frame in ms; 0 before the first.
    newest_ms: AtomicU64,
    /// Whether somebody performs right now.
    is_performed: AtomicBool,
    /// Whether the target duration is long because of who performs.
    has_rare_keyframes: AtomicBool,
    /// Date ranges that are in no playlist any more although their moment is, or never were in one.
    ranges_lost: AtomicUsize,
    sound_trouble: Mutex<Option<SoundTrouble>>,
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
            asked_aac: AtomicI64::new(0),
            is_ended: AtomicBool::new(false),
            newest_ms: AtomicU64::new(0),
            is_performed: AtomicBool::new(false),
            has_rare_keyframes: AtomicBool::new(false),
            ranges_lost: AtomicUsize::new(0),
            sound_trouble: Mutex::new(None),
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

    /// The program date-time of the newest frame that came, in ms since 1970: of the picture, or of the sound where there is
    /// none. It never goes back.
    pub fn newest_ms(&self) -> Option<u64> {
        match self.newest_ms.load(Ordering::Relaxed) {
            0 => None,
            newest => Some(newest),
        }
    }

    /// Whether somebody performs right now, and is not just expected back.
    pub fn is_performed(&self) -> bool {
        self.is_performed.load(Ordering::Relaxed)
    }

    /// Whether who performs sends keyframes so rarely that players must stay far behind.
    pub fn has_rare_keyframes(&self) -> bool {
        self.has_rare_keyframes.load(Ordering::Relaxed)
    }

    pub(super) fn set_rare_keyframes(&self, is_so: bool) {
        self.has_rare_keyframes.store(is_so, Ordering::Relaxed);
    }

    /// What is wrong with its sound, if more than a hundredth of it is missing or late.
    pub fn sound_trouble(&self) -> Option<SoundTrouble> {
        *self
            .sound_trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there were more moments than playlists list, so that some are in none.
    pub fn has_too_many_cues(&self) -> bool {
        self.ranges_lost.load(Ordering::Relaxed) > 0
    }

    /// Puts a moment into the playlists of all renditions, from their next part on.
    pub fn add_daterange(&self, range: &DateRange) {
        for rendition in self.renditions() {
            rendition.add_daterange(range.clone());
        }
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
    pub fn multivariant(&self, sound: Sound) -> Option<Arc<Rendered>> {
        Some(self.multivariant.borrow().as_ref()?.with(sound).clone())
    }

    /// Waits for the multivariant playlist of a stream that has just begun. Cancel safe; bound its time.
    pub async fn wait_for_multivariant(&self, sound: Sound) -> Option<Arc<Rendered>> {
        let mut receiver = self.multivariant.subscribe();
        let found = receiver.wait_for(Option::is_some).await.ok()?;
        Some(found.as_ref()?.with(sound).clone())
    }

    /// Somebody watches: keyframes are asked for while this is said again and again.
    pub fn touch(&self) {
        self.asked.store(clock::unix_seconds(), Ordering::Relaxed);
    }

    /// Whether somebody asked for a playlist within the last seconds.
    pub fn is_watched(&self) -> bool {
        clock::unix_seconds() - self.asked.load(Ordering::Relaxed) <= WATCHED_S
    }

    /// Somebody asks for the sound that is encoded only while this is said again and again.
    pub fn touch_aac(&self) {
        self.asked_aac
            .store(clock::unix_seconds(), Ordering::Relaxed);
    }

    /// Whether somebody asked for it within the last half minute.
    pub(super) fn wants_aac(&self) -> bool {
        clock::unix_seconds() - self.asked_aac.load(Ordering::Relaxed) <= AAC_WANTED_S
    }

    /// The DVR view of a rendition.
    pub fn dvr(
        &self,
        rendition: &Rendition,
        skip: Skip,
        counters: &BroadcastCounters,
    ) -> Arc<Rendered> {
        rendition.dvr(skip, &self.reports(rendition), counters)
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
        let lost = rendition.publish(&self.reports(rendition), counters);
        // All renditions are told the same: what the first one loses is counted, not what the others lose of it.
        let before = self.ranges_lost.fetch_max(lost, Ordering::Relaxed);
        if lost > before {
            counters.count_cues_lost(lost - before);
        }
        if lost > 0 && before == 0 {
            let trouble = Trouble::TooManyCues;
            let StreamKey { space, stream } = &self.key;
            tracing::warn!(%space, %stream, trouble = trouble.code(), "{}", trouble.text());
        }
    }

    pub(super) fn publish_multivariant(&self, aac: String, opus: String) {
        let known = self.multivariant.borrow().clone();
        let fresh = |sound: Sound, text: String| match known.as_ref().map(|known| known.with(sound))
        {
            Some(known) if known.plain() == text.as_bytes() => known.clone(),
            _ => Arc::new(Rendered::new(text)),
        };
        self.multivariant.send_replace(Some(Multivariant {
            aac: fresh(Sound::Aac, aac),
            opus: fresh(Sound::Opus, opus),
        }));
    }

    pub(super) fn set_newest(&self, unix_ms: u64) {
        self.newest_ms.fetch_max(unix_ms, Ordering::Relaxed);
    }

    pub(super) fn set_performed(&self, is_performed: bool) {
        self.is_performed.store(is_performed, Ordering::Relaxed);
    }

    pub(super) fn set_sound_trouble(&self, trouble: Option<SoundTrouble>) {
        *self
            .sound_trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    pub(super) fn set_ended(&self) {
        self.set_performed(false);
        self.is_ended.store(true, Ordering::Relaxed);
    }
}
