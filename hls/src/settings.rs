//! What never changes in a stream's life.

use std::time::Duration;

/// The constants of one life. Players keep the first values they see, so a [`crate::Timeline`] must be given the ones
/// its [`crate::Packager`] has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `PART-TARGET`: 200 ms to 1 s, whole milliseconds.
    pub part_target: Duration,
    /// A segment ends at the first keyframe after this time (at most 500 ms before it). A keyframe is asked for early enough
    /// to be there by then.
    pub segment_target: Duration,
    /// The least `EXT-X-TARGETDURATION` that a life may have, in seconds: for a publisher whose keyframes are no further
    /// apart than this plus 0.35 s, whether they come by themselves or when they are asked for.
    pub target_duration_min_s: u32,
    /// The highest. A life has the least that its first segment fits in, [`crate::Output::TargetDuration`]; no segment of it
    /// is longer than that plus 0.49 s.
    pub target_duration_max_s: u32,
    /// The live playlist reaches at least this far back, and at least eight target durations.
    pub window: Duration,
    /// The live playlist has at least so many complete segments, once they exist.
    pub window_segments_min: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            part_target: Duration::from_millis(200),
            segment_target: Duration::from_secs(2),
            target_duration_min_s: 2,
            target_duration_max_s: 10,
            window: Duration::from_secs(40),
            window_segments_min: 4,
        }
    }
}

impl Settings {
    /// `PART-HOLD-BACK`: how far behind the end a player stays, RFC 8216bis section 4.4.3.8.
    pub fn part_hold_back(&self) -> Duration {
        self.part_target * 3
    }
}
