//! What a stream is called.

use std::fmt;
use std::sync::Arc;

/// A stream of a space. Both names are valid (`crate::names`) before they come here.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamKey {
    /// The space.
    pub space: Arc<str>,
    /// The stream in it.
    pub stream: Arc<str>,
}

impl fmt::Display for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.space, self.stream)
    }
}
