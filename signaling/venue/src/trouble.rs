//! What is wrong with what a publisher sends, in words that end it.

/// A fault in a publication that its publisher can mend. Said in the log, in `/api/spaces` and on the performer's page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Pictures come in another order than they are shown (B-frames).
    Reordered,
    /// Keyframes are so far apart that players must stay far behind.
    RareKeyframes,
    /// More is said to players than their playlists have room for.
    TooManyCues,
}

impl Trouble {
    /// What programs call it.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Reordered => "b-frames",
            Self::RareKeyframes => "rare-keyframes",
            Self::TooManyCues => "cues",
        }
    }

    /// What it does, and the setting that ends it.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Reordered => {
                "The encoder makes B-frames. Browsers show only three or four pictures a second of them over WebRTC, so the pages watch by HLS, \
                 some seconds later. Turn them off: bframes=0 (x264, GStreamer), -bf 0 (FFmpeg), Tune zerolatency (OBS), or the profile Baseline, \
                 or Main without B-frames, in a camera."
            }
            Self::RareKeyframes => {
                "The encoder's keyframes are more than three seconds apart. Players without low latency stay three times that far behind, and \
                 whoever comes waits longer for a picture. Set the keyframe interval to 2 s: Keyframe Interval 2 s (OBS, not 0 or auto), -g with \
                 twice the frame rate (FFmpeg), key-int-max with twice the frame rate (GStreamer)."
            }
            Self::TooManyCues => {
                "There were more messages of the type CUE than playlists list: 10,000 of what can be gone back to, or 4 MB, and 1,024 while \
                 nobody performs. Players do not hear of the others. Say what changes many times a second with another type; only CUE goes \
                 into playlists."
            }
        }
    }
}
