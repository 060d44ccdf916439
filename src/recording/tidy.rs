//! What becomes too old, and what must reach the disk.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::archive::Refusal;
use super::index::Line;
use super::layout::{self, FINISHED, INDEX};
use super::mend;
use super::model::Model;
use super::slot::{Slot, State, Summary};
use super::writer::Writer;

/// What a power cut may cost at most. Syncing oftener would make a slow disk slower; `kill -9` costs nothing anyway.
pub const SYNC_EVERY: Duration = Duration::from_secs(30);

/// An index with fewer lines about what is gone is not written anew: 4,096 of them are 500 kB.
const STALE_LINES_MIN: usize = 4096;

impl Writer {
    /// Everything that is done now and then.
    pub(super) fn tidy(&mut self, now_ms: u64) {
        self.prune_windows();
        self.expire(now_ms);
        self.compact();
        if now_ms >= self.sync_at_ms {
            self.sync_at_ms = now_ms + ms(SYNC_EVERY);
            for open in self.open.values_mut() {
                open.sync(&self.settings.disk);
            }
        }
        // What was counted in between may have drifted: somebody may have deleted files by hand.
        self.bytes = self.shared.all().iter().map(|slot| slot.bytes()).sum();
    }

    /// Deletes chunks of live streams that are older than the window, measured back from the newest picture: a stream
    /// whose publisher is away for a while keeps its window.
    fn prune_windows(&mut self) {
        let window_ms = i64::try_from(self.settings.dvr_window.as_millis()).unwrap_or(i64::MAX);
        let mut old = Vec::new();
        for (life, open) in &self.open {
            let State::Live { model, .. } = &*open.slot.read() else {
                continue;
            };
            let newest_ms = model.chunks().map(|(_, chunk)| chunk.end_ms()).max();
            let begin_ms = newest_ms.unwrap_or(0).saturating_sub(window_ms);
            for (name, chunk) in model.chunks() {
                let is_old = chunk.end_ms() < begin_ms || self.settings.dvr_window.is_zero();
                if is_old && !chunk.keep && !self.is_current(life, name, chunk.first_msn) {
                    old.push((Arc::clone(life), name.to_owned(), chunk.first_msn));
                }
            }
        }
        for (life, rendition, first_msn) in old {
            self.prune(&life, &rendition, first_msn);
        }
    }

    /// Deletes finished lives, or the part of them, that are not kept (any longer).
    fn expire(&mut self, now_ms: u64) {
        for slot in self.shared.all() {
            let summary = match &*slot.read() {
                State::Finished(summary) => summary.clone(),
                State::Live { .. } => continue,
            };
            let age_ms = now_ms.saturating_sub(summary.recording.ended_ms);
            let is_over = age_ms >= ms(self.settings.after_end);
            let is_expired = self
                .settings
                .keep_max
                .is_some_and(|most| age_ms >= ms(most));
            if is_expired || (is_over && !summary.recording.kept) {
                tracing::info!(key = %slot.key, life = %slot.life, kept = summary.recording.kept, "a recording is deleted, as configured");
                // Why it cannot be is in the log; the next turn tries again.
                let _ = self.delete(&slot.life);
            } else if is_over && summary.to_trim {
                self.trim(&slot.life);
            }
        }
    }

    /// Deletes what is not kept of a finished life. Returns whether that was possible.
    pub(super) fn trim(&mut self, life: &str) -> bool {
        let mut changed = self.change_finished(life, drop_loose);
        if changed.is_err() {
            // A full disk has no room for a new index before something is gone. Should this be cut off, chunks that
            // are not kept are named without being there, until the next attempt.
            self.remove_loose_files(life);
            changed = self.change_finished(life, drop_loose);
        }
        if let Err(error) = &changed {
            tracing::warn!(life, %error, "the part of a recording that is not kept cannot be deleted");
        }
        changed.is_ok()
    }

    fn remove_loose_files(&self, life: &str) {
        let Some(slot) = self.shared.slot(life) else {
            return;
        };
        let Some(model) = self.shared.model(&slot) else {
            return;
        };
        for (name, chunk) in model.chunks().filter(|(_, chunk)| !chunk.keep) {
            let path = layout::chunk(&slot.directory, name, chunk.first_msn);
            // The caller's second attempt says what is wrong.
            let _ = self.settings.disk.remove(&path);
        }
    }

    /// Keeps all that is still there of a finished life, or nothing.
    pub(super) fn keep_finished(&mut self, life: &str, keep: bool) -> Result<(), Refusal> {
        self.change_finished(life, |model| model.apply(Line::KeepAll(keep)))
    }

    /// Changes the index of a finished life, deletes what it does not name any more, and sums it up anew. Every step
    /// leaves something that can be read, and doing it again does no harm.
    fn change_finished(
        &mut self,
        life: &str,
        change: impl FnOnce(&mut Model),
    ) -> Result<(), Refusal> {
        let slot = self.shared.slot(life).ok_or(Refusal::Unknown)?;
        let before = match &*slot.read() {
            State::Finished(summary) => summary.clone(),
            State::Live { .. } => return Err(Refusal::Live),
        };
        let summary = self.rewrite(&slot, &before, change);
        self.shared.forget(life);
        let summary = summary.map_err(|error| Refusal::Failed(error.to_string()))?;
        self.bytes = self.bytes.saturating_sub(before.bytes) + summary.bytes;
        *slot.write() = State::Finished(summary);
        Ok(())
    }

    fn rewrite(
        &self,
        slot: &Slot,
        before: &Summary,
        change: impl FnOnce(&mut Model),
    ) -> std::io::Result<Summary> {
        let disk = &self.settings.disk;
        // Nobody reads the index while it changes.
        let _loading = slot.loading.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut model, _) = mend::load(&slot.directory)?;
        change(&mut model);
        model.lost = before.recording.lost;
        let lines: String = model.lines().iter().map(Line::encode).collect();
        disk.replace(&slot.directory.join(INDEX), lines.as_bytes())?;
        mend::remove_orphans(&self.settings, &slot.directory, &model)?;
        let summary = Summary::new(&model, &slot.key, before.recording.ended_ms);
        let path = slot.directory.join(FINISHED);
        disk.replace(&path, summary.encode().as_bytes())?;
        self.shared.forget(&slot.life);
        Ok(summary)
    }

    /// Writes indexes anew that mostly speak of what is gone: a camera that is live for a year has one of bounded size.
    fn compact(&mut self) {
        for (life, open) in &mut self.open {
            if open.stale_lines < STALE_LINES_MIN.max(open.index_lines / 2) {
                continue;
            }
            let lines = match &*open.slot.read() {
                State::Live { model, .. } => model.lines(),
                State::Finished(_) => continue,
            };
            let text: String = lines.iter().map(Line::encode).collect();
            let path = open.slot.directory.join(INDEX);
            match self.settings.disk.replace(&path, text.as_bytes()) {
                Ok(()) => {
                    open.index_len = text.len() as u64;
                    open.index_lines = lines.len();
                    open.stale_lines = 0;
                }
                // It is only longer than it should be. On a full disk the next turn tries again.
                Err(error) => tracing::debug!(%life, %error, "an index cannot be shortened"),
            }
        }
    }
}

/// Takes everything out that is not kept.
fn drop_loose(model: &mut Model) {
    let loose = model.chunks().filter(|(_, chunk)| !chunk.keep);
    let lines: Vec<Line> = loose
        .map(|(name, chunk)| Line::Prune {
            rendition: name.to_owned(),
            chunk: chunk.first_msn,
        })
        .collect();
    for line in lines {
        model.apply(line);
    }
    for at_s in model.stale_thumbnails() {
        model.apply(Line::PruneThumbnail { at_s });
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
