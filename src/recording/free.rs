//! Making room: the oldest DVR windows go first, recordings never.

use std::sync::Arc;

use super::archive::Refusal;
use super::index::Line;
use super::layout;
use super::model::Chunk;
use super::slot::State;
use super::writer::Writer;

/// Something that can be deleted without asking anybody.
enum Loose {
    /// A finished life that is not kept.
    Life(Arc<str>),
    /// What is not kept of a finished life.
    Rest(Arc<str>),
    /// A chunk of a live stream's window.
    Chunk {
        life: Arc<str>,
        rendition: String,
        first_msn: u64,
    },
}

impl Writer {
    /// Deletes the oldest of what is not kept. Returns whether anything was deleted.
    pub(super) fn free_oldest(&mut self) -> bool {
        match self.oldest_loose() {
            None => false,
            Some(Loose::Life(life)) => {
                tracing::info!(%life, "deleted for lack of room: a stream that has ended and was not recorded");
                self.delete(&life).is_ok()
            }
            Some(Loose::Rest(life)) => self.trim(&life),
            Some(Loose::Chunk {
                life,
                rendition,
                first_msn,
            }) => {
                tracing::debug!(%life, rendition, first_msn, "a dvr window is shortened for lack of room");
                self.prune(&life, &rendition, first_msn);
                true
            }
        }
    }

    fn oldest_loose(&self) -> Option<Loose> {
        let mut oldest: Option<(u64, Loose)> = None;
        let mut offer = |age_ms: u64, loose: &dyn Fn() -> Loose| {
            if oldest.as_ref().is_none_or(|one| age_ms < one.0) {
                oldest = Some((age_ms, loose()));
            }
        };
        for slot in self.shared.all() {
            let life = || Arc::clone(&slot.life);
            match &*slot.read() {
                State::Finished(summary) => {
                    let ended_ms = summary.recording.ended_ms;
                    if !summary.recording.kept {
                        offer(ended_ms, &|| Loose::Life(life()));
                    } else if summary.to_trim {
                        offer(ended_ms, &|| Loose::Rest(life()));
                    }
                }
                State::Live { model, .. } => {
                    for (name, chunk) in model.chunks() {
                        let date_ms = chunk.segments.last().map_or(0, |last| last.date_ms);
                        if !chunk.keep && !self.is_current(&slot.life, name, chunk.first_msn) {
                            offer(date_ms, &|| Loose::Chunk {
                                life: life(),
                                rendition: name.to_owned(),
                                first_msn: chunk.first_msn,
                            });
                        }
                    }
                }
            }
        }
        oldest.map(|one| one.1)
    }

    /// Whether the chunk is being written.
    pub(super) fn is_current(&self, life: &str, rendition: &str, first_msn: u64) -> bool {
        let current = self
            .open
            .get(life)
            .and_then(|open| open.current.get(rendition));
        current.is_some_and(|current| current.first_msn == first_msn)
    }

    /// Deletes a chunk of a live stream, and the thumbnails that stood for it.
    pub(super) fn prune(&mut self, life: &str, rendition: &str, first_msn: u64) {
        let Some(open) = self.open.get_mut(life) else {
            return;
        };
        let disk = &self.settings.disk;
        let before = open.slot.bytes();
        let line = Line::Prune {
            rendition: rendition.to_owned(),
            chunk: first_msn,
        };
        let path = layout::chunk(&open.slot.directory, rendition, first_msn);
        let lines = match &*open.slot.read() {
            State::Live { model, .. } => model
                .track(rendition)
                .and_then(|track| track.chunks.iter().find(|one| one.first_msn == first_msn))
                .map_or(0, Chunk::lines),
            State::Finished(_) => 0,
        };
        // The line first, so that nobody is sent to a file that is gone. On a full disk there is no room for a line
        // before something is deleted; should the process die in between, mending notices the missing file.
        let told = open.log(disk, line.clone());
        if let Err(error) = disk.remove(&path) {
            tracing::warn!(path = %path.display(), %error, "a part of a dvr window cannot be deleted");
        }
        open.dirty.remove(&path);
        if told.is_err()
            && open.log(disk, line.clone()).is_err()
            && let State::Live { model, .. } = &mut *open.slot.write()
        {
            model.apply(line);
        }
        open.stale_lines += lines + 2;
        let stale = match &*open.slot.read() {
            State::Live { model, .. } => model.stale_thumbnails(),
            State::Finished(_) => Vec::new(),
        };
        for at_s in stale {
            // When the line cannot be written, the next pruning finds the thumbnail again.
            if open.log(disk, Line::PruneThumbnail { at_s }).is_ok() {
                let _ = disk.remove(&layout::thumbnail(&open.slot.directory, at_s));
                open.stale_lines += 2;
            }
        }
        self.bytes = self
            .bytes
            .saturating_sub(before - open.slot.bytes().min(before));
    }

    /// Deletes a finished life.
    pub(super) fn delete(&mut self, life: &str) -> Result<(), Refusal> {
        let slot = self.shared.slot(life).ok_or(Refusal::Unknown)?;
        if !slot.is_finished() {
            return Err(Refusal::Live);
        }
        let bytes = slot.bytes();
        let removed = self.settings.disk.remove_life(&slot.directory);
        if slot.directory.exists() {
            let reason = removed
                .err()
                .map_or(String::new(), |error| error.to_string());
            tracing::error!(life, reason, "a recording cannot be deleted");
            return Err(Refusal::Failed(reason));
        }
        // What may be left under the name of a deleted life goes at the next start.
        if let Err(error) = removed {
            tracing::warn!(life, %error, "a deleted recording is not gone completely");
        }
        self.shared.remove(life);
        self.bytes = self.bytes.saturating_sub(bytes);
        Ok(())
    }
}
