//! Cameras of the configuration that do not play, and why: for the pages of whoever looks after a space.

use std::sync::Arc;

use crate::key::StreamKey;
use crate::venue::Venue;

impl Venue {
    /// Says what is wrong with the camera of a stream, or that it plays. Whoever follows the space looks again.
    pub fn set_camera_trouble(&mut self, key: &StreamKey, reason: Option<Arc<str>>) {
        let before = match reason.clone() {
            Some(reason) => self.cameras.insert(key.clone(), reason),
            None => self.cameras.remove(key),
        };
        if before != reason {
            self.has_changed(&key.space);
        }
    }

    /// The cameras of a space that do not play, by the names of their streams, and why.
    pub fn camera_troubles(&self, space: &str) -> Vec<(Arc<str>, Arc<str>)> {
        let of_space = self.cameras.iter().filter(|(key, _)| &*key.space == space);
        of_space
            .map(|(key, reason)| (key.stream.clone(), reason.clone()))
            .collect()
    }
}
