//! Playlists: written here, parsed back by another crate in the tests.

mod date;
mod daterange;
mod multivariant;
mod render;
#[cfg(test)]
mod tests;
mod timeline;

pub use daterange::DateRange;
pub use multivariant::{Variant, multivariant};
pub use render::View;
pub use timeline::{Hold, Report, Timeline};
