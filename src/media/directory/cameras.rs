//! Cameras of the configuration that do not play, and why: for the pages of whoever looks after a space.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Directory, StreamKey};

/// As many as there are cameras in the configuration.
#[derive(Debug, Default)]
pub(super) struct Cameras {
    troubles: Mutex<BTreeMap<StreamKey, Arc<str>>>,
}

impl Directory {
    /// Says what is wrong with the camera of a stream, or that it plays. Whoever follows the space looks again.
    pub fn set_camera_trouble(&self, key: &StreamKey, reason: Option<Arc<str>>) {
        let mut troubles = self
            .cameras
            .troubles
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let before = match reason.clone() {
            Some(reason) => troubles.insert(key.clone(), reason),
            None => troubles.remove(key),
        };
        drop(troubles);
        if before != reason {
            self.has_changed(&key.space);
        }
    }

    /// The cameras of a space that do not play, by the names of their streams, and why.
    pub fn camera_troubles(&self, space: &str) -> Vec<(Arc<str>, Arc<str>)> {
        let troubles = self
            .cameras
            .troubles
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let of_space = troubles.iter().filter(|(key, _)| &*key.space == space);
        of_space
            .map(|(key, reason)| (key.stream.clone(), reason.clone()))
            .collect()
    }
}
