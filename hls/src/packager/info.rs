//! What a multivariant playlist must know of a rendition.

use crate::CodecKind;

/// A rendition as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenditionInfo {
    /// The `{rendition}` of its URLs.
    pub name: String,
    /// Its format.
    pub kind: CodecKind,
    /// The `CODECS` entry; empty until the first keyframe told it.
    pub codec: String,
    /// Pixels; 0 for audio and until the first keyframe.
    pub width: u32,
    /// Pixels; 0 for audio and until the first keyframe.
    pub height: u32,
    /// Pictures in 1,000 s, at most; 0 for audio and until the first segment. Constant, unless a segment has more.
    pub frame_rate_milli: u32,
    /// No segment has a higher bit rate, in bit/s (no part, before the first segment). Constant until one does.
    pub bandwidth_peak: u64,
    /// Bits by seconds over the life, as they were when `bandwidth_peak` last changed: players read it once.
    pub bandwidth_average: u64,
    /// The same of its keyframes alone, each over the whole of its segment; 0 until one was measured, and for audio.
    pub keyframe_peak: u64,
    /// As `bandwidth_average`.
    pub keyframe_average: u64,
    /// Audio channels; 0 for video.
    pub channels: u8,
    /// Whether there may be captions (CEA-608, CEA-708) within its pictures: some were seen, or nobody looked for them.
    pub may_have_captions: bool,
    /// The initialisation segment in use; nothing until the first keyframe.
    pub init: Option<u32>,
    /// Whether the current publication has it.
    pub active: bool,
}

/// A rendition of a life that another process began, as far as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// The rendition.
    pub info: RenditionInfo,
    /// The number of its next segment.
    pub next_msn: u64,
    /// The number of its next initialisation segment.
    pub next_init: u32,
    /// The end of its last segment in ticks since the life's begin.
    pub end: i64,
    /// Of its last segment.
    pub discontinuity_sequence: u64,
}

impl RenditionInfo {
    pub(crate) fn new(name: String, kind: CodecKind) -> Self {
        Self {
            name,
            kind,
            codec: String::new(),
            width: 0,
            height: 0,
            frame_rate_milli: 0,
            bandwidth_peak: 0,
            bandwidth_average: 0,
            keyframe_peak: 0,
            keyframe_average: 0,
            channels: 0,
            may_have_captions: false,
            init: None,
            active: false,
        }
    }

    /// Takes a bit rate into account; `average` is that of the whole life.
    pub(crate) fn note_rate(&mut self, rate: u64, average: u64) {
        if rate > self.bandwidth_peak {
            self.bandwidth_peak = rate.saturating_add(rate / 2);
            self.bandwidth_average = average;
        }
    }

    /// The same of keyframes.
    pub(crate) fn note_keyframe_rate(&mut self, rate: u64, average: u64) {
        if rate > self.keyframe_peak {
            self.keyframe_peak = rate.saturating_add(rate / 2);
            self.keyframe_average = average;
        }
    }

    /// Takes so many pictures in 1,000 s into account.
    pub(crate) fn note_frame_rate(&mut self, milli: u32) {
        let is_usual = |rate: &&u32| milli.abs_diff(**rate) <= **rate / 50;
        let known = USUAL_FRAME_RATES_MILLI.iter().find(is_usual);
        let rate = known.copied().unwrap_or(milli.div_ceil(1000) * 1000);
        self.frame_rate_milli = self.frame_rate_milli.max(rate);
    }
}

/// A rate near one of these is that one: of two seconds it cannot be told more exactly.
const USUAL_FRAME_RATES_MILLI: [u32; 8] = [
    10_000, 15_000, 20_000, 24_000, 25_000, 30_000, 50_000, 60_000,
];
