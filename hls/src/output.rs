//! What comes out.

use std::sync::Arc;

use bytes::Bytes;

/// An event of a [`crate::Packager`], in the order in which they are to be published.
#[derive(Clone, Debug)]
pub enum Output {
    /// An initialisation segment, before the first part that needs it.
    Init {
        /// The place of the rendition in [`crate::Packager::renditions`].
        rendition: usize,
        /// Counts from 0 in each rendition.
        number: u32,
        /// `ftyp` and `moov`.
        bytes: Bytes,
    },
    /// `EXT-X-TARGETDURATION` of all playlists of this life, in seconds: once, before its first complete segment. Until then
    /// no playlist may be shown.
    TargetDuration(u32),
    /// The publisher's keyframes have turned out to be too far apart for the target duration: its segments begin without one.
    /// A new life with at least this target duration would fit it. Said once in a life.
    Outgrown(u32),
    /// A complete part.
    Part(Arc<Part>),
    /// A complete segment; all its parts came before.
    Segment(Arc<Segment>),
    /// The open segments are as long as they should be: ask all layers for a keyframe now. At most one in 400 ms of
    /// media time, and ever fewer while none comes.
    KeyframeDue,
    /// Something that a person should know.
    Warning(Warning),
}

/// What is wrong with the frames, or with the parts made of them. `rendition` is the place in
/// [`crate::Packager::renditions`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// Said once per publication and rendition.
    #[error("pictures come out of order (B-frames): every one of them adds a frame of latency")]
    BFrames {
        /// Which.
        rendition: usize,
    },
    /// Said once per publication, when it is known.
    #[error("keyframes are {seconds} s apart: players without low latency stay {behind} s behind, and who comes waits; set the encoder's keyframe interval to 2 s", behind = 3 * .seconds)]
    KeyframesRare {
        /// Which.
        rendition: usize,
        /// The target duration that they need.
        seconds: u32,
    },
    /// The segment was cut before a picture that needs earlier ones.
    #[error("no keyframe for {seconds} s: a segment begins without one")]
    KeyframeMissing {
        /// Which.
        rendition: usize,
        /// The segment's length.
        seconds: u32,
    },
    /// A picture stood still longer than a part may be, and could not be repeated.
    #[error("a part of {duration_ms} ms is longer than PART-TARGET")]
    PartTooLong {
        /// Which.
        rendition: usize,
        /// Its length.
        duration_ms: u32,
    },
    /// The next picture did not fit, and this one could not be repeated.
    #[error("a part of {duration_ms} ms is shorter than 85 % of PART-TARGET")]
    PartTooShort {
        /// Which.
        rendition: usize,
        /// Its length.
        duration_ms: u32,
    },
    /// A frame was dropped because its headers make no sense.
    #[error("a frame was dropped: {reason}")]
    BadFrame {
        /// Which.
        rendition: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// What became of a life's sound, in ticks of 48 kHz. Sound that comes in two formats is counted once, as Opus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SoundCounters {
    /// What came.
    pub ticks: u64,
    /// What was left out because it came after silence was written in its place.
    pub dropped: u64,
    /// Silence that was put in the place of sound which was late or did not come.
    pub filled: u64,
}

/// A partial segment: one CMAF chunk, or two where a picture's segment begins with a keyframe, which then is the first by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The place of the rendition in [`crate::Packager::renditions`].
    pub rendition: usize,
    /// The media sequence number of its segment, from 1.
    pub msn: u64,
    /// The place in the segment, from 0.
    pub index: u32,
    /// Length in ticks.
    pub duration: u32,
    /// Ticks per second.
    pub timescale: u32,
    /// Whether it begins with a keyframe.
    pub independent: bool,
    /// Decode time of its first frame in ticks since the life's begin.
    pub start: i64,
    /// The wall clock at `start`, in ms since 1970.
    pub date_ms: u64,
    /// The initialisation segment that it needs.
    pub init: u32,
    /// How many discontinuities of the life lie before it; the same in all renditions for the same moment.
    pub discontinuity_sequence: u64,
    /// `moof` and `mdat`, once or twice.
    pub bytes: Bytes,
}

/// A complete media segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The place of the rendition in [`crate::Packager::renditions`].
    pub rendition: usize,
    /// The media sequence number, from 1.
    pub msn: u64,
    /// Decode time of its first frame in ticks since the life's begin.
    pub start: i64,
    /// Length in ticks: the sum of its parts.
    pub duration: u64,
    /// Ticks per second.
    pub timescale: u32,
    /// The initialisation segment that it needs.
    pub init: u32,
    /// Whether `EXT-X-DISCONTINUITY` stands before it.
    pub discontinuity: bool,
    /// How many discontinuities of the life lie before it, its own included.
    pub discontinuity_sequence: u64,
    /// Whether it begins with a keyframe.
    pub independent: bool,
    /// `EXT-X-PROGRAM-DATE-TIME`, in ms since 1970.
    pub date_ms: u64,
    /// All its parts, one after the other.
    pub bytes: Bytes,
    /// How many they are.
    pub parts: u32,
    /// How many of the first bytes are a fragment with nothing but the keyframe that it begins with; 0 if it begins with none.
    pub keyframe_bytes: u32,
    /// Whether the publication ends with it. What comes next is behind a discontinuity, and no preload hint can name it.
    pub is_last: bool,
}
