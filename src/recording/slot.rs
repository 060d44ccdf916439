//! What everybody shares of one life.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::index::{seal, unseal};
use super::layout;
use super::model::{Model, Recording, RecordingState};
use crate::media::StreamKey;

/// The format of a summary.
const VERSION: u32 = 1;

/// A life in the archive.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) life: Arc<str>,
    pub(super) key: StreamKey,
    pub(super) directory: PathBuf,
    state: RwLock<State>,
    /// Held while a finished life's index is read, so that many who want it cause one reading.
    pub(super) loading: Mutex<()>,
}

/// What is known of it.
#[derive(Debug)]
pub(super) enum State {
    /// It grows; whether it would, if the disk were not full.
    Live { model: Model, stopped: bool },
    /// Its index is read when somebody wants it.
    Finished(Summary),
}

/// What is known of a finished life without reading its index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) recording: Recording,
    /// On disk, what is not kept included.
    pub(super) bytes: u64,
    /// Whether part of it is to be deleted soon.
    pub(super) to_trim: bool,
}

impl Slot {
    pub(super) fn new(key: StreamKey, life: Arc<str>, directory: PathBuf, state: State) -> Self {
        Self {
            life,
            key,
            directory,
            state: RwLock::new(state),
            loading: Mutex::new(()),
        }
    }

    /// Held for as long as copying a list of segments takes; never while reading or writing files.
    pub(super) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`Self::read`]. Only the recorder's thread writes.
    pub(super) fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn recording(&self) -> Recording {
        match &*self.read() {
            State::Finished(summary) => summary.recording.clone(),
            State::Live { model, stopped } => {
                let state = if *stopped {
                    RecordingState::Stopped
                } else {
                    RecordingState::Recording
                };
                model.recording(&self.key, state, 0)
            }
        }
    }

    /// On disk.
    pub(super) fn bytes(&self) -> u64 {
        match &*self.read() {
            State::Live { model, .. } => model.bytes,
            State::Finished(summary) => summary.bytes,
        }
    }

    pub(super) fn is_finished(&self) -> bool {
        matches!(&*self.read(), State::Finished(_))
    }
}

impl Summary {
    pub(super) fn new(model: &Model, key: &StreamKey, ended_ms: u64) -> Self {
        let recording = model.recording(key, RecordingState::Finished, ended_ms);
        let is_loose = model.chunks().any(|(_, chunk)| !chunk.keep);
        Self {
            bytes: model.bytes,
            to_trim: recording.kept && is_loose,
            recording: Recording {
                keeping: false,
                ..recording
            },
        }
    }

    pub(super) fn encode(&self) -> String {
        let Recording {
            id,
            key: _,
            started_ms,
            duration_ms,
            bytes,
            state: _,
            kept,
            keeping: _,
            ended_ms,
            lost,
            thumbnails,
        } = &self.recording;
        let mut text = format!(
            "finished {VERSION} {id} {started_ms} {duration_ms} {bytes} {} {ended_ms} {lost} {} {}",
            u8::from(*kept),
            self.bytes,
            u8::from(self.to_trim)
        );
        for at_s in &**thumbnails {
            text.push(' ');
            text.push_str(&at_s.to_string());
        }
        seal(&text)
    }

    /// Reads what [`Self::encode`] wrote, if it is whole and speaks of this life.
    pub(super) fn decode(text: &str, key: &StreamKey, life: &str) -> Option<Self> {
        let mut words = unseal(text.strip_suffix('\n')?)?.split(' ');
        let is_ours = words.next()? == "finished"
            && words.next()? == VERSION.to_string()
            && words.next()? == life;
        if !is_ours {
            return None;
        }
        let numbers: Option<Vec<u64>> = words.map(|word| word.parse().ok()).collect();
        let numbers = numbers?;
        let (
            &[
                started_ms,
                duration_ms,
                bytes,
                kept,
                ended_ms,
                lost,
                all,
                to_trim,
            ],
            thumbnails,
        ) = numbers.split_first_chunk()?;
        Some(Self {
            recording: Recording {
                id: life.into(),
                key: key.clone(),
                started_ms,
                duration_ms,
                bytes,
                state: RecordingState::Finished,
                kept: kept == 1,
                keeping: false,
                ended_ms,
                lost,
                thumbnails: thumbnails.into(),
            },
            bytes: all,
            to_trim: to_trim == 1,
        })
    }

    /// The summary that is in the directory, if there is a whole one.
    pub(super) fn load(directory: &Path, key: &StreamKey, life: &str) -> Option<Self> {
        let text = std::fs::read_to_string(directory.join(layout::FINISHED)).ok()?;
        Self::decode(&text, key, life)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_read_back_and_a_torn_or_foreign_one_is_not() {
        let key = layout::key("stage", "main").unwrap();
        let summary = Summary {
            recording: Recording {
                id: "00c0ffee".into(),
                key: key.clone(),
                started_ms: 1_700_000_000_000,
                duration_ms: 60_000,
                bytes: 1000,
                state: RecordingState::Finished,
                kept: true,
                keeping: false,
                ended_ms: 1_700_000_060_000,
                lost: 2,
                thumbnails: [0, 10, 20].into(),
            },
            bytes: 1500,
            to_trim: true,
        };
        let text = summary.encode();
        assert_eq!(Summary::decode(&text, &key, "00c0ffee"), Some(summary));
        assert_eq!(Summary::decode(&text, &key, "00c0ffef"), None);
        for end in 0..text.len() {
            assert_eq!(Summary::decode(&text[..end], &key, "00c0ffee"), None);
        }
    }
}
