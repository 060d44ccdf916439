//! Frames to parts and segments.
//!
//! Each track has a lane. A picture lasts until the next one, so a lane of pictures holds one back; a lane of sound waits
//! until the pictures' have come as far, so that both are cut at the same time. The frames themselves are the clock:
//! what is behind the newest frame of any track by more than [`shared::LATE_MAX`] will not come any more. Where media comes faster
//! than it plays, the newest frame of the slowest track counts, see [`pace`].

mod audio;
mod info;
mod life;
mod order;
mod pace;
mod shared;
mod video;
mod writer;

pub use info::{Past, RenditionInfo};
pub use life::Packager;
