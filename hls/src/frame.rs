//! What goes in.

use bytes::Bytes;

/// The format of a track's frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CodecKind {
    /// H.264, NAL units with a length of 4 bytes in front of each.
    H264,
    /// VP9, one superframe a frame.
    Vp9,
    /// AV1, OBUs with their sizes, without temporal delimiters.
    Av1,
    /// Opus packets as RTP carries them.
    Opus,
    /// AAC-LC, raw access units of 1024 samples.
    Aac,
}

impl CodecKind {
    /// Whether frames are pictures.
    pub fn is_video(self) -> bool {
        matches!(self, Self::H264 | Self::Vp9 | Self::Av1)
    }

    /// Ticks per second of [`Frame::pts`], and of the track in its files.
    pub fn timescale(self) -> u32 {
        if self.is_video() { 90_000 } else { 48_000 }
    }
}

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

/// One coded frame. Frames of a track come in decode order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Presentation time in ticks of the codec's timescale since the life's begin: unwrapped, slewed, and on the clock
    /// that all tracks share.
    pub pts: i64,
    /// Whether decoding can begin here (H.264: an IDR picture). Ignored for audio.
    pub keyframe: bool,
    /// The payload as [`CodecKind`] says. H.264 parameter sets may come with the frame, in a frame of their own, or
    /// one by one; they are kept apart and left out of the samples.
    pub data: Bytes,
    /// Ticks that the frame lasts; for audio. A picture lasts until the next one.
    pub duration: Option<u32>,
}
