//! What the recorder's thread does with what it is told.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::archive::{Refusal, Shared, Trouble};
use super::disk;
use super::entry::{Entry, Settings};
use super::layout::{self, FINISHED};
use super::model::Model;
use super::open::Open;
use super::queue::{Counters, Message};
use super::slot::{Slot, State, Summary};
use crate::media::StreamKey;

/// How long after a failure the disk is tried again.
const RETRY_MS: u64 = 10_000;

/// The thread's state. Whoever calls it says what time it is, in ms since 1970.
pub(super) struct Writer {
    pub(super) settings: Settings,
    pub(super) shared: Arc<Shared>,
    pub(super) open: HashMap<Arc<str>, Open>,
    /// Of everything on disk.
    pub(super) bytes: u64,
    pub(super) sync_at_ms: u64,
    pub(super) counters: Arc<Counters>,
    retry_at_ms: u64,
}

impl Writer {
    pub(super) fn new(settings: Settings, shared: Arc<Shared>, counters: Arc<Counters>) -> Self {
        let bytes = shared.all().iter().map(|slot| slot.bytes()).sum();
        Self {
            settings,
            shared,
            open: HashMap::new(),
            bytes,
            sync_at_ms: 0,
            counters,
            retry_at_ms: 0,
        }
    }

    pub(super) fn handle(&mut self, message: Message, now_ms: u64) {
        // Who asked may be gone; then nobody wants the answer.
        match message {
            Message::Entry(entry) => self.take(entry, now_ms),
            Message::Delete { life, reply } => {
                let deleted = self.delete(&life);
                let _ = reply.send(deleted);
            }
            Message::Keep { life, keep, reply } => {
                let kept = self.keep(&life, keep);
                let _ = reply.send(kept);
            }
            Message::Stop { reply } => {
                self.close_all(now_ms);
                let _ = reply.send(());
            }
        }
    }

    fn take(&mut self, entry: Entry, now_ms: u64) {
        match entry {
            Entry::Begin {
                key,
                life,
                origin_ms,
                keep,
            } => self.begin(key, life, origin_ms, keep),
            Entry::Rendition { life, info } => {
                if let Some(open) = self.open_life(&life) {
                    open.describe(info);
                }
            }
            Entry::Init {
                life,
                info,
                number,
                bytes,
            } => {
                if let Some(open) = self.open_life(&life) {
                    open.add_init(info, number, bytes);
                }
            }
            Entry::Segment {
                life,
                rendition,
                segment,
            } => self.segment(&life, &rendition, &segment, now_ms),
            Entry::Thumbnail { life, at_s, jpeg } => self.thumbnail(&life, at_s, &jpeg, now_ms),
            Entry::DateRange { life, range } => {
                let is_written = self
                    .open
                    .get(&life)
                    .is_some_and(|open| self.is_written(open));
                if is_written && let Some(open) = self.open_life(&life) {
                    open.add_daterange(range);
                }
            }
            Entry::Keep { life, keep } => {
                if let Err(error) = self.keep(&life, keep) {
                    tracing::warn!(%life, keep, %error, "a recording is not kept, or not given up");
                }
            }
            Entry::Aside { life, aside } => {
                if let Some(open) = self.open_life(&life) {
                    open.set_aside(aside);
                }
            }
            Entry::Constants { life, constants } => {
                if let Some(open) = self.open_life(&life) {
                    open.set_constants(constants);
                }
            }
            Entry::Resume { life } => self.resume(&life),
            Entry::End { life } => self.close(&life, now_ms),
        }
    }

    fn open_life(&mut self, life: &str) -> Option<&mut Open> {
        let open = self.open.get_mut(life);
        if open.is_none() {
            tracing::debug!(life, "an entry of no life");
        }
        open
    }

    fn begin(&mut self, key: StreamKey, life: Arc<str>, origin_ms: u64, keep: bool) {
        let Some(directory) = layout::life(&self.settings.directory, &key, &life) else {
            tracing::error!(%key, %life, "a name that cannot be a path; this stream is not recorded");
            return;
        };
        let model = Model {
            life: life.to_string(),
            origin_ms,
            keep,
            ..Model::default()
        };
        let state = State::Live {
            model,
            stopped: false,
        };
        let slot = Arc::new(Slot::new(key.clone(), Arc::clone(&life), directory, state));
        if !self.shared.insert(Arc::clone(&slot)) {
            tracing::error!(%key, %life, "too many recordings, or one of this name; this stream is not recorded");
            return;
        }
        let counters = Arc::clone(&self.counters);
        self.open
            .insert(life, Open::new(slot, origin_ms, keep, counters));
    }

    fn segment(&mut self, life: &str, rendition: &str, segment: &hls::Segment, now_ms: u64) {
        let is_wanted = match self.open.get(life) {
            None => false,
            Some(open) if !self.is_written(open) => return,
            Some(open) => open.takes(rendition, segment),
        };
        if !is_wanted || self.is_resting(life, now_ms) {
            return self.lose(life);
        }
        let len = segment.bytes.len() as u64;
        let written = self.write(len, life, |open, settings| {
            open.write(settings, rendition, segment)
        });
        match written {
            Ok(()) => {
                self.counters.segments.fetch_add(1, Ordering::Relaxed);
                self.counters.bytes.fetch_add(len, Ordering::Relaxed);
                self.recovered(life);
            }
            Err(trouble) => {
                self.retry_at_ms = now_ms + RETRY_MS;
                self.lose(life);
                self.stop(life, trouble);
            }
        }
    }

    fn thumbnail(&mut self, life: &str, at_s: u64, jpeg: &Bytes, now_ms: u64) {
        let is_wanted = match self.open.get(life) {
            // Without a segment there is nothing to look at.
            Some(open) => self.is_written(open) && open.is_made,
            None => false,
        };
        if !is_wanted || self.is_resting(life, now_ms) {
            return;
        }
        let written = self.write(jpeg.len() as u64, life, |open, settings| {
            open.write_thumbnail(&settings.disk, at_s, jpeg)
        });
        if written.is_err() {
            self.counters.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether writing has just failed for this life.
    fn is_resting(&self, life: &str, now_ms: u64) -> bool {
        now_ms < self.retry_at_ms && self.open.get(life).is_some_and(Open::is_stopped)
    }

    fn is_written(&self, open: &Open) -> bool {
        open.keep || !self.settings.dvr_window.is_zero()
    }

    /// Writes, after making as much room as is needed and can be made.
    fn write(
        &mut self,
        len: u64,
        life: &str,
        mut write: impl FnMut(&mut Open, &Settings) -> io::Result<()>,
    ) -> Result<(), Trouble> {
        loop {
            let quota = self.settings.quota_bytes;
            if quota.is_some_and(|quota| self.bytes + len > quota) {
                if self.free_oldest() {
                    continue;
                }
                return Err(Trouble::Quota);
            }
            let Some(open) = self.open.get_mut(life) else {
                return Ok(());
            };
            let before = open.slot.bytes();
            let result = write(open, &self.settings);
            self.bytes += open.slot.bytes().saturating_sub(before);
            match result {
                Ok(()) => return Ok(()),
                Err(error) if disk::is_full(&error) => {
                    if !self.free_oldest() {
                        return Err(Trouble::DiskFull);
                    }
                }
                Err(error) => return Err(Trouble::Failed(error.to_string())),
            }
        }
    }

    fn lose(&mut self, life: &str) {
        self.counters.lost.fetch_add(1, Ordering::Relaxed);
        if let Some(open) = self.open.get(life)
            && let State::Live { model, .. } = &mut *open.slot.write()
        {
            model.lost += 1;
        }
    }

    fn stop(&mut self, life: &str, trouble: Trouble) {
        let was_stopped = self
            .open
            .get(life)
            .is_some_and(|open| open.set_stopped(true));
        if !was_stopped {
            tracing::error!(life, "recording stops; the stream goes on: {trouble}");
        }
        *self.shared.trouble_mut() = Some(trouble);
    }

    fn recovered(&mut self, life: &str) {
        if self
            .open
            .get(life)
            .is_some_and(|open| open.set_stopped(false))
        {
            tracing::info!(life, "recording goes on");
        }
        self.end_trouble();
    }

    /// There is none when nobody suffers from it.
    fn end_trouble(&self) {
        if !self.open.values().any(Open::is_stopped) {
            *self.shared.trouble_mut() = None;
        }
    }

    fn keep(&mut self, life: &str, keep: bool) -> Result<(), Refusal> {
        match self.open.get_mut(life) {
            Some(open) => {
                open.set_keep(keep);
                Ok(())
            }
            None => self.keep_finished(life, keep),
        }
    }

    /// Ends a life. What has no segment leaves nothing behind.
    fn close(&mut self, life: &str, now_ms: u64) {
        let Some(mut open) = self.open.remove(life) else {
            return;
        };
        self.end_trouble();
        open.flush_dateranges(&self.settings.disk);
        open.sync(&self.settings.disk);
        let slot = &open.slot;
        let summary = match &*slot.read() {
            State::Live { model, .. } if !model.is_empty() => {
                Some(Summary::new(model, &slot.key, now_ms))
            }
            _ => None,
        };
        let Some(summary) = summary else {
            self.shared.remove(life);
            if open.is_made
                && let Err(error) = self.settings.disk.remove_life(&slot.directory)
            {
                tracing::warn!(life, %error, "an empty recording cannot be deleted");
            }
            return;
        };
        let text = summary.encode();
        let path = slot.directory.join(FINISHED);
        if let Err(error) = self.settings.disk.replace(&path, text.as_bytes()) {
            tracing::warn!(life, %error, "the summary of a recording cannot be written; the next start makes it");
        }
        let recording = summary.recording.clone();
        *slot.write() = State::Finished(summary);
        self.shared.tell_finished(&recording);
    }

    pub(super) fn close_all(&mut self, now_ms: u64) {
        let lives: Vec<Arc<str>> = self.open.keys().cloned().collect();
        for life in lives {
            // Nobody said that it ended: whoever starts next may go on.
            self.suspend(&life);
            self.close(&life, now_ms);
        }
    }
}
