//! What goes in.

use bytes::Bytes;
use payload::CodecKind;

/// One rendition that a publication carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackConfig {
    /// The rendition's name, the `{rendition}` of its URLs. Renditions of successive publications are matched by it.
    pub rendition: String,
    /// The format of its frames.
    pub codec: CodecKind,
    /// Audio channels, 1 or 2; 0 for video.
    pub channels: u8,
    /// AAC: the AudioSpecificConfig, and when it is empty, the one for AAC-LC at 48 kHz. Opus: the samples to skip at
    /// the start (`PreSkip`) as two bytes, big endian, or nothing for 0. Video: nothing, the frames tell.
    pub config: Bytes,
}
