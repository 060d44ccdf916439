//! What exists: for whoever answers viewers and moderators.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::broadcast;

use super::layout;
use super::mend;
use super::model::{Model, Recording, Reel};
use super::mp4::{self, Mp4};
use super::queue::{Message, Queue, Reply};
use super::slot::{Slot, State};
use crate::media::StreamKey;

/// Lives at once, live and finished. A summary of three hours is 10 kB with its thumbnails: 200 MB at most.
pub(super) const LIVES_MAX: usize = 20_000;

/// Indexes of finished lives in memory. One of three hours with five renditions is 3 MB.
const CACHED_MAX: usize = 16;

/// Sample tables of MP4 files in memory, in bytes: those of some ten evenings. The newest stays in any case.
const TABLES_MAX: usize = 64 << 20;

/// How long a moderator's command waits for the thread: it may have a queue to write to a slow disk first.
const REPLY_MAX: Duration = Duration::from_secs(10);

/// Why nothing is recorded at the moment, although something should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// Recordings alone have reached the quota.
    #[error("recordings have reached their quota; delete some, or raise --recordings-quota-gb")]
    Quota,
    /// The disk is full, and no DVR window is left to delete.
    #[error("the disk is full; delete recordings or something else, or use a larger one")]
    DiskFull,
    /// Writing fails for another reason.
    #[error("recordings cannot be written: {0}")]
    Failed(String),
}

/// Why a recording was not deleted or kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such recording (any more).
    #[error("there is no such recording")]
    Unknown,
    /// It is still growing.
    #[error("the stream is still live; delete its recording when it has ended")]
    Live,
    /// The recorder's thread is behind, or has stopped.
    #[error("the recorder is busy; try again later")]
    Busy,
    /// The disk says no.
    #[error("the disk refuses: {0}")]
    Failed(String),
}

/// Where bytes are: a range of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The file.
    pub path: PathBuf,
    /// Where they begin.
    pub offset: u64,
    /// How many they are.
    pub len: u64,
}

impl Location {
    /// Reads all of them. Waits for the disk: in async code only through `spawn_blocking`.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] when they were deleted meanwhile, or what the disk says.
    pub fn read(&self) -> io::Result<Bytes> {
        let mut file = std::fs::File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.offset))?;
        let mut bytes = Vec::new();
        file.take(self.len).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != self.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(bytes.into())
    }
}

/// What exists on disk. A clone is the same one. May be asked from any thread; about a life that has ended, methods
/// that look into it may read its index from the disk (some ms): in async code only through `spawn_blocking`.
#[derive(Debug, Clone)]
pub struct Archive {
    pub(super) shared: Arc<Shared>,
    pub(super) queue: Queue,
}

/// Recordings that a slow listener may be behind: as many as can end at once.
const FINISHED_MAX: usize = 256;

#[derive(Debug)]
pub(super) struct Shared {
    slots: RwLock<HashMap<Arc<str>, Arc<Slot>>>,
    /// Last used last.
    cached: Mutex<VecDeque<(Arc<str>, Arc<Model>)>>,
    /// Files with the index that they were made of. Last used last.
    files: Mutex<VecDeque<(Arc<Model>, Mp4)>>,
    trouble: Mutex<Option<Trouble>>,
    finished: broadcast::Sender<Recording>,
    /// Lives that ended with the last server, and whether they were closed.
    pub(super) suspended: Mutex<Vec<(Arc<str>, bool)>>,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            slots: RwLock::default(),
            cached: Mutex::default(),
            files: Mutex::default(),
            trouble: Mutex::default(),
            finished: broadcast::channel(FINISHED_MAX).0,
            suspended: Mutex::default(),
        }
    }
}

impl Archive {
    /// The lives of a space, the newest first: also those that are not kept, which are DVR windows.
    #[must_use]
    pub fn recordings(&self, space: &str) -> Vec<Recording> {
        let slots = self.shared.all().into_iter();
        let mut recordings: Vec<Recording> = slots
            .filter(|slot| &*slot.key.space == space)
            .map(|slot| slot.recording())
            .collect();
        recordings.sort_by(|one, other| {
            let age = |recording: &Recording| (recording.started_ms, recording.id.clone());
            age(other).cmp(&age(one))
        });
        recordings
    }

    /// Recordings as they become complete: those of which something is kept when their stream ends. A receiver that lags
    /// has missed some.
    #[must_use]
    pub fn finished(&self) -> broadcast::Receiver<Recording> {
        self.shared.finished.subscribe()
    }

    /// One life.
    #[must_use]
    pub fn recording(&self, life: &str) -> Option<Recording> {
        Some(self.shared.slot(life)?.recording())
    }

    /// Whether a life is live and being kept; cheap, unlike [`Self::recording`].
    #[must_use]
    pub fn is_keeping(&self, life: &str) -> bool {
        self.shared
            .slot(life)
            .is_some_and(|slot| match &*slot.read() {
                State::Live { model, .. } => model.keep,
                _ => false,
            })
    }

    /// The life of this stream that ended last, kept or not, if it is still there.
    #[must_use]
    pub fn latest(&self, key: &StreamKey) -> Option<Recording> {
        let slots = self.shared.all().into_iter();
        slots
            .filter(|slot| slot.key == *key && slot.is_finished())
            .map(|slot| slot.recording())
            .max_by_key(|recording| (recording.ended_ms, recording.started_ms))
    }

    /// All renditions of a life with their segments, for DVR and VOD playlists.
    #[must_use]
    pub fn reels(&self, life: &str) -> Option<Vec<Reel>> {
        self.look(life, |_, model| Some(model.reels()))
    }

    /// One rendition of a life with its segments.
    #[must_use]
    pub fn reel(&self, life: &str, rendition: &str) -> Option<Reel> {
        self.look(life, |_, model| {
            let mut reels = model.reels().into_iter();
            reels.find(|reel| reel.info.name == rendition)
        })
    }

    /// The moments of a life that players are told of, for VOD playlists.
    #[must_use]
    pub fn dateranges(&self, life: &str) -> Vec<hls::DateRange> {
        self.look(life, |_, model| {
            Some(model.dateranges.iter().cloned().collect())
        })
        .unwrap_or_default()
    }

    /// Where a segment is.
    #[must_use]
    pub fn segment(&self, life: &str, rendition: &str, msn: u64) -> Option<Location> {
        self.look(life, |directory, model| {
            let entry = model.track(rendition)?.segment(msn)?;
            Some(Location {
                path: layout::chunk(directory, rendition, entry.chunk),
                offset: entry.offset,
                len: entry.len,
            })
        })
    }

    /// Whether a discontinuity stands before a segment.
    #[must_use]
    pub fn begins_anew(&self, life: &str, rendition: &str, msn: u64) -> Option<bool> {
        self.look(life, |_, model| {
            Some(model.track(rendition)?.segment(msn)?.discontinuity)
        })
    }

    /// Where an initialisation segment is.
    #[must_use]
    pub fn init(&self, life: &str, rendition: &str, number: u32) -> Option<Location> {
        self.look(life, |directory, model| {
            let mut inits = model.track(rendition)?.inits.iter();
            let (_, len) = *inits.find(|init| init.0 == number)?;
            let path = layout::init(directory, rendition, number);
            Some(Location {
                path,
                offset: 0,
                len,
            })
        })
    }

    /// Where a thumbnail is; `at_s` must be one of [`Recording::thumbnails`].
    #[must_use]
    pub fn thumbnail(&self, life: &str, at_s: u64) -> Option<Location> {
        self.look(life, |directory, model| {
            let (_, len) = *model.thumbnails.iter().find(|one| one.0 == at_s)?;
            let path = layout::thumbnail(directory, at_s);
            Some(Location {
                path,
                offset: 0,
                len,
            })
        })
    }

    /// A finished life as one MP4 file; nothing while it is live, or when nothing of it fits into one. The first time, the
    /// headers of all its fragments are read (a second for an evening, from memory), and their tables are remembered: let few
    /// do so at a time.
    ///
    /// # Errors
    /// [`io::ErrorKind::FileTooLarge`] when it has more samples than one file may have, and what the disk says.
    pub fn mp4(&self, life: &str) -> io::Result<Option<Mp4>> {
        let Some(slot) = self.shared.slot(life).filter(|slot| slot.is_finished()) else {
            return Ok(None);
        };
        let Some(model) = self.shared.model(&slot) else {
            return Ok(None);
        };
        if let Some(file) = self.shared.file(&model) {
            return Ok(Some(file));
        }
        let file = Mp4::plan(&slot.directory, &model, mp4::SAMPLES_MAX)?;
        if let Some(file) = &file {
            self.shared.remember(model, file.clone());
        }
        Ok(file)
    }

    /// What [`Self::mp4`] gives, if that is in memory. Does not wait for the disk.
    #[must_use]
    pub fn mp4_at_hand(&self, life: &str) -> Option<Mp4> {
        let slot = self.shared.slot(life).filter(|slot| slot.is_finished())?;
        let model = self.shared.cached(&slot.life)?;
        self.shared.file(&model)
    }

    /// Deletes a finished life; whoever reads it gets to the end of what is open. Waits for the recorder's thread.
    ///
    /// # Errors
    /// [`Refusal::Live`] while it grows, and the others.
    pub fn delete(&self, life: &str) -> Result<(), Refusal> {
        let life: Arc<str> = life.into();
        self.command(|reply| Message::Delete { life, reply })
    }

    /// Keeps a live stream from here on, or no longer; or all that is still there of a finished life, or nothing. Waits
    /// for the recorder's thread.
    ///
    /// # Errors
    /// [`Refusal::Unknown`], [`Refusal::Busy`], or what the disk says.
    pub fn keep(&self, life: &str, keep: bool) -> Result<(), Refusal> {
        let life: Arc<str> = life.into();
        self.command(|reply| Message::Keep { life, keep, reply })
    }

    /// Why nothing is recorded at the moment, although something should be.
    #[must_use]
    pub fn trouble(&self) -> Option<Trouble> {
        self.shared.trouble_mut().clone()
    }

    /// Bytes of everything together.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.shared.all().iter().map(|slot| slot.bytes()).sum()
    }

    fn command(&self, message: impl FnOnce(Reply) -> Message) -> Result<(), Refusal> {
        let (reply, answer) = sync_channel(1);
        if !self.queue.try_send(message(reply)) {
            return Err(Refusal::Busy);
        }
        answer.recv_timeout(REPLY_MAX).unwrap_or(Err(Refusal::Busy))
    }

    fn look<T>(&self, life: &str, look: impl FnOnce(&Path, &Model) -> Option<T>) -> Option<T> {
        let slot = self.shared.slot(life)?;
        if let State::Live { model, .. } = &*slot.read() {
            return look(&slot.directory, model);
        }
        let model = self.shared.model(&slot)?;
        look(&slot.directory, &model)
    }
}

impl Shared {
    /// Tells who listens that a life is finished, if something of it is kept.
    pub(super) fn tell_finished(&self, recording: &Recording) {
        if recording.kept {
            // Nobody listens: fine.
            let _ = self.finished.send(recording.clone());
        }
    }

    pub(super) fn slot(&self, life: &str) -> Option<Arc<Slot>> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        slots.get(life).cloned()
    }

    pub(super) fn all(&self) -> Vec<Arc<Slot>> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        slots.values().cloned().collect()
    }

    /// Adds a life; refuses a name that is there, and one too many.
    pub(super) fn insert(&self, slot: Arc<Slot>) -> bool {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= LIVES_MAX || slots.contains_key(&slot.life) {
            return false;
        }
        slots.insert(Arc::clone(&slot.life), slot);
        true
    }

    pub(super) fn remove(&self, life: &str) {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        slots.remove(life);
        drop(slots);
        self.forget(life);
    }

    /// A finished life has changed on disk: it is read again when somebody wants it.
    pub(super) fn forget(&self, life: &str) {
        self.cached_mut().retain(|cached| &*cached.0 != life);
        self.files_mut().retain(|(model, _)| model.life != life);
    }

    pub(super) fn trouble_mut(&self) -> MutexGuard<'_, Option<Trouble>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The index of a finished life, from memory or from the disk.
    pub(super) fn model(&self, slot: &Slot) -> Option<Arc<Model>> {
        if let Some(model) = self.cached(&slot.life) {
            return Some(model);
        }
        // The recorder's thread holds this, too, while it changes the index: nothing old is remembered after that.
        let _loading = slot.loading.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(model) = self.cached(&slot.life) {
            return Some(model);
        }
        let model = match mend::load(&slot.directory) {
            Ok((model, _)) => Arc::new(model),
            Err(error) => {
                tracing::warn!(life = %slot.life, %error, "the index of a recording cannot be read");
                return None;
            }
        };
        let mut cached = self.cached_mut();
        if cached.len() >= CACHED_MAX {
            cached.pop_front();
        }
        cached.push_back((Arc::clone(&slot.life), Arc::clone(&model)));
        Some(model)
    }

    /// The file that was made of this very index.
    fn file(&self, model: &Arc<Model>) -> Option<Mp4> {
        let mut files = self.files_mut();
        let place = files.iter().position(|one| Arc::ptr_eq(&one.0, model))?;
        let found = files.remove(place)?;
        let file = found.1.clone();
        files.push_back(found);
        Some(file)
    }

    fn remember(&self, model: Arc<Model>, file: Mp4) {
        let mut files = self.files_mut();
        // An index that was read anew says what one that was read before does not.
        files.retain(|one| one.0.life != model.life);
        files.push_back((model, file));
        let mut bytes: usize = files.iter().map(|one| one.1.footprint()).sum();
        while bytes > TABLES_MAX && files.len() > 1 {
            bytes -= files.pop_front().map_or(0, |one| one.1.footprint());
        }
    }

    fn files_mut(&self) -> MutexGuard<'_, VecDeque<(Arc<Model>, Mp4)>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cached(&self, life: &str) -> Option<Arc<Model>> {
        let mut cached = self.cached_mut();
        let place = cached.iter().position(|one| &*one.0 == life)?;
        let found = cached.remove(place)?;
        let model = Arc::clone(&found.1);
        cached.push_back(found);
        Some(model)
    }

    fn cached_mut(&self) -> MutexGuard<'_, VecDeque<(Arc<str>, Arc<Model>)>> {
        self.cached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
