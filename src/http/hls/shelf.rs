//! Playlists of finished lives that were asked for last. Making one of three hours takes ten milliseconds and compressing it as
//! many: too much for each viewer of a show that has just ended.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::broadcast::Rendered;
use crate::http::errors::Problem;
use crate::recording::{Recording, RecordingState};

/// Playlists that are kept. One of three hours has 800 kB: 30 MB with their compressed forms.
const KEPT_MAX: usize = 32;

/// What all requests share.
pub(super) static SHELF: Shelf = Shelf::new();

/// What a playlist is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Label {
    life: Arc<str>,
    /// These change when a life is trimmed, kept or given up.
    contents: (u64, u64, u64, bool),
    /// Which of its playlists, and for which address.
    name: String,
}

impl Label {
    /// Of a life that does not grow any more.
    pub(super) fn new(recording: &Recording, name: String) -> Option<Self> {
        let Recording {
            id,
            started_ms,
            duration_ms,
            bytes,
            kept,
            ..
        } = recording;
        (recording.state == RecordingState::Finished).then(|| Self {
            life: id.clone(),
            contents: (*started_ms, *duration_ms, *bytes, *kept),
            name,
        })
    }
}

/// Last used last.
pub(super) struct Shelf {
    kept: Mutex<VecDeque<(Label, Arc<Rendered>)>>,
    /// Held while one is made, so that many who want it cause one making.
    making: tokio::sync::Mutex<()>,
}

impl Shelf {
    const fn new() -> Self {
        Self {
            kept: Mutex::new(VecDeque::new()),
            making: tokio::sync::Mutex::const_new(()),
        }
    }

    /// What has this label, made if need be.
    ///
    /// # Errors
    /// Those of `make`.
    pub(super) async fn get(
        &self,
        label: Label,
        make: impl Future<Output = Result<Rendered, Problem>>,
    ) -> Result<Arc<Rendered>, Problem> {
        if let Some(text) = self.find(&label) {
            return Ok(text);
        }
        let _making = self.making.lock().await;
        if let Some(text) = self.find(&label) {
            return Ok(text);
        }
        let text = Arc::new(make.await?);
        let mut kept = self.lock();
        if kept.len() >= KEPT_MAX {
            kept.pop_front();
        }
        kept.push_back((label, text.clone()));
        Ok(text)
    }

    fn find(&self, label: &Label) -> Option<Arc<Rendered>> {
        let mut kept = self.lock();
        let place = kept.iter().position(|one| one.0 == *label)?;
        let found = kept.remove(place)?;
        let text = found.1.clone();
        kept.push_back(found);
        Some(text)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(Label, Arc<Rendered>)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(name: usize, bytes: u64) -> Label {
        Label {
            life: "0123abcd".into(),
            contents: (0, 0, bytes, true),
            name: name.to_string(),
        }
    }

    async fn get(shelf: &Shelf, label: Label, text: &str) -> String {
        let make = async { Ok(Rendered::new(text.to_owned())) };
        let found = shelf.get(label, make).await.unwrap();
        String::from_utf8(found.plain().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_playlist_is_made_once_until_its_life_changes_or_many_others_are_wanted() {
        let shelf = Shelf::new();
        assert_eq!(get(&shelf, label(0, 1), "first").await, "first");
        assert_eq!(get(&shelf, label(0, 1), "again").await, "first");
        assert_eq!(get(&shelf, label(0, 2), "trimmed").await, "trimmed");
        for name in 1..=KEPT_MAX {
            get(&shelf, label(name, 1), "other").await;
        }
        assert_eq!(shelf.lock().len(), KEPT_MAX);
        assert_eq!(get(&shelf, label(0, 2), "forgotten").await, "forgotten");
    }

    #[tokio::test]
    async fn what_cannot_be_made_is_tried_again() {
        let shelf = Shelf::new();
        let fails = async { Err(Problem::no_session()) };
        assert!(shelf.get(label(0, 1), fails).await.is_err());
        assert_eq!(get(&shelf, label(0, 1), "later").await, "later");
    }
}
