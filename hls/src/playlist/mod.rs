//! Playlists: written here, parsed back by another crate in the tests.

mod multivariant;
mod timeline;

pub use multivariant::{Variant, multivariant};
pub use timeline::{Hold, Report, Timeline, View};
