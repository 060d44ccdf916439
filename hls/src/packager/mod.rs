//! Frames to parts and segments.

mod info;

use std::collections::VecDeque;

pub use info::RenditionInfo;

use crate::{Frame, Output, Settings, TrackConfig};

/// One life of a stream: all its renditions, from the first publication until the end.
///
/// Push frames as they come, then poll until nothing comes out. Media time is told by the frames alone: the sound that
/// goes on is how the packager knows that a picture stands still.
pub struct Packager {
    settings: Settings,
    life: String,
    outputs: VecDeque<Output>,
    renditions: Vec<RenditionInfo>,
}

impl Packager {
    /// Begins a life named `life` whose media time 0 is `origin_ms` after 1970.
    pub fn new(settings: Settings, life: String, origin_ms: u64) -> Self {
        let _ = origin_ms;
        Self {
            settings,
            life,
            outputs: VecDeque::new(),
            renditions: Vec::new(),
        }
    }

    /// A publication begins, or its tracks changed. The first call starts the timeline; a later one closes what is open
    /// and puts a discontinuity into all renditions. Renditions are matched by name; new ones appear, missing ones stop.
    pub fn begin(&mut self, tracks: Vec<TrackConfig>) {
        let _ = tracks;
    }

    /// Takes a frame of the `track`th track of the last [`Self::begin`]. Frames of unknown tracks are dropped.
    pub fn push(&mut self, track: usize, frame: Frame) {
        let _ = (track, frame);
    }

    /// Says that no frame before `media_ms` (ms since the life's begin) will come any more, for streams whose picture
    /// stands still and that have no sound to tell it.
    pub fn advance(&mut self, media_ms: i64) {
        let _ = media_ms;
    }

    /// The publisher is gone: what is open is closed; the next [`Self::begin`] is a discontinuity.
    pub fn pause(&mut self) {}

    /// The life ends: what is open is closed. No frame is taken any more.
    pub fn end(&mut self) {}

    /// The next output, or nothing until more is pushed.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// All renditions that the life has had, in the order of their numbers.
    pub fn renditions(&self) -> &[RenditionInfo] {
        &self.renditions
    }

    /// What never changes.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The life's name.
    pub fn life(&self) -> &str {
        &self.life
    }
}
