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
    /// Pictures in 1,000 s in the last segment; 0 for audio and until the first segment.
    pub frame_rate_milli: u32,
    /// The highest bit rate of any segment (of the parts so far, before the first segment), in bit/s.
    pub bandwidth_peak: u64,
    /// Bits by seconds over the whole life.
    pub bandwidth_average: u64,
    /// Audio channels; 0 for video.
    pub channels: u8,
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
            channels: 0,
            init: None,
            active: false,
        }
    }

    /// Takes `bits` in `ticks` into the highest rate.
    pub(crate) fn measure(&mut self, bits: u64, ticks: u64, timescale: u32) {
        let rate = bits * u64::from(timescale) / ticks.max(1);
        self.bandwidth_peak = self.bandwidth_peak.max(rate);
        if self.bandwidth_average == 0 {
            self.bandwidth_average = rate;
        }
    }
}
