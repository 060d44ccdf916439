//! Lives that ended with the server, and may go on with the next one.

use std::io;
use std::sync::{Arc, PoisonError};

use super::archive::{Archive, Shared};
use super::layout::{FINISHED, INDEX, SUSPENDED};
use super::mend;
use super::model::{Model, SegmentEntry};
use super::open::Open;
use super::slot::{Slot, State};
use super::writer::Writer;
use crate::media::StreamKey;

/// What never changes in a life; playlists must go on saying it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Constants {
    /// `PART-TARGET` in ms.
    pub part_ms: u64,
    /// `EXT-X-TARGETDURATION` in seconds.
    pub target_s: u32,
}

/// A life that may go on.
#[derive(Debug, Clone)]
pub struct Resumable {
    /// The life.
    pub life: Arc<str>,
    /// Whose.
    pub key: StreamKey,
    /// Media time 0, in ms since 1970.
    pub origin_ms: u64,
    /// What its playlists say.
    pub constants: Constants,
    /// Whether everything that players were told of is on disk: the last server was stopped, and not killed.
    pub is_whole: bool,
    /// Pictures first.
    pub tracks: Vec<PastTrack>,
}

/// One rendition of it.
#[derive(Debug, Clone)]
pub struct PastTrack {
    /// As it was; the bit rates are those of its segments.
    pub info: hls::RenditionInfo,
    /// As the packager made them. Never empty.
    pub segments: Vec<SegmentEntry>,
    /// The number of its next initialisation segment.
    pub next_init: u32,
}

impl Archive {
    /// The newest life of each stream that ended with the last server, and whose last segment ended at most `age_max_ms` before
    /// `now_ms` (ms since 1970). Reads their indexes: blocks. To be asked once, before anything is recorded.
    #[must_use]
    pub fn resumable(&self, now_ms: u64, age_max_ms: u64) -> Vec<Resumable> {
        let mut found: Vec<(u64, Resumable)> = Vec::new();
        for (life, is_whole) in self.shared.take_suspended() {
            let Some(slot) = self.shared.slot(&life) else {
                continue;
            };
            let model = self.shared.model(&slot);
            let Some((end_ms, life)) = model.and_then(|model| resumable(&slot, &model, is_whole))
            else {
                continue;
            };
            if end_ms + age_max_ms < now_ms {
                continue;
            }
            match found.iter_mut().find(|other| other.1.key == life.key) {
                Some(other) if other.0 < end_ms => *other = (end_ms, life),
                Some(_) => {}
                None => found.push((end_ms, life)),
            }
        }
        found.into_iter().map(|one| one.1).collect()
    }
}

/// The life with the date of its end; nothing when too little is known of it.
fn resumable(slot: &Slot, model: &Model, is_whole: bool) -> Option<(u64, Resumable)> {
    let reels = model.reels();
    let past = |track: &super::model::Track| {
        let reel = reels
            .iter()
            .find(|reel| reel.info.name == track.info.name)?;
        let next_init = track.inits.iter().map(|init| init.0 + 1).max()?;
        let segments = track.segments(false);
        (!segments.is_empty()).then(|| PastTrack {
            info: reel.info.clone(),
            segments,
            next_init,
        })
    };
    let mut tracks: Vec<PastTrack> = model.tracks.iter().filter_map(past).collect();
    tracks.sort_by_key(|track| !track.info.kind.is_video());
    let ends = tracks.iter().filter_map(|track| track.segments.last());
    let end_ms = ends.map(|last| last.end_ms()).max()?;
    let life = Resumable {
        life: Arc::clone(&slot.life),
        key: slot.key.clone(),
        origin_ms: model.origin_ms,
        constants: model.constants?,
        is_whole,
        tracks,
    };
    Some((model.origin_ms.saturating_add_signed(end_ms), life))
}

impl Shared {
    /// Remembers a life that ended with the last server.
    pub(super) fn suspend(&self, life: &str, is_whole: bool) {
        let mut suspended = self
            .suspended
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        suspended.push((life.into(), is_whole));
    }

    /// Lives that ended with the last server, and whether they were closed.
    fn take_suspended(&self) -> Vec<(Arc<str>, bool)> {
        std::mem::take(
            &mut *self
                .suspended
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }
}

impl Writer {
    /// Notes that a life ends because the server does.
    pub(super) fn suspend(&self, life: &str) {
        if let Some(open) = self.open.get(life)
            && open.is_made
        {
            let path = open.slot.directory.join(SUSPENDED);
            if let Err(error) = self.settings.disk.create(&path, b"") {
                tracing::warn!(life, %error, "this stream cannot go on after a restart");
            }
        }
    }

    /// A finished life grows again.
    pub(super) fn resume(&mut self, life: &Arc<str>) {
        let Some(slot) = self.shared.slot(life).filter(|slot| slot.is_finished()) else {
            return;
        };
        match self.reopen(&slot) {
            Ok(open) => {
                self.shared.forget(life);
                self.open.insert(Arc::clone(life), open);
            }
            Err(error) => {
                tracing::error!(%life, %error, "this stream goes on after the restart, but is not recorded any more");
            }
        }
    }

    fn reopen(&self, slot: &Arc<Slot>) -> io::Result<Open> {
        let _loading = slot.loading.lock().unwrap_or_else(PoisonError::into_inner);
        let index = slot.directory.join(INDEX);
        let index_len = std::fs::metadata(&index)?.len();
        let (model, _) = mend::load(&slot.directory)?;
        self.settings.disk.remove(&slot.directory.join(FINISHED))?;
        let open = Open::resume(
            Arc::clone(slot),
            index_len,
            &model,
            Arc::clone(&self.counters),
        );
        *slot.write() = State::Live {
            model,
            stopped: false,
        };
        Ok(open)
    }
}
