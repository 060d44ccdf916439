//! What never changes in a stream's life.

use std::time::Duration;

/// The constants of one life. Players keep the first values they see, so a [`crate::Timeline`] must be given the ones
/// its [`crate::Packager`] has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `PART-TARGET`: 200 ms to 1 s, whole milliseconds.
    pub part_target: Duration,
    /// A segment ends at the first keyframe after this time (at most 250 ms before it).
    pub segment_target: Duration,
    /// `EXT-X-TARGETDURATION`, in seconds. No segment is longer than this plus 0.49 s.
    pub target_duration_s: u32,
    /// The live playlist reaches at least this far back.
    pub window: Duration,
    /// The live playlist has at least so many complete segments, once they exist.
    pub window_segments_min: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            part_target: Duration::from_millis(500),
            segment_target: Duration::from_secs(2),
            target_duration_s: 10,
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

    /// `CAN-SKIP-UNTIL`: older segments may be left out of a delta update. The least that is allowed is six target
    /// durations.
    pub fn skip_until(&self) -> Duration {
        Duration::from_secs(u64::from(self.target_duration_s) * 6)
    }
}
