//! What the recorder is told.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::disk::Disk;
use super::resume::Constants;
use crate::config::Config;
use crate::media::StreamKey;

/// The directory's name in the data directory.
const DIRECTORY: &str = "recordings";

/// A chunk is complete after this much media: the window is pruned in steps of this size.
const CHUNK: Duration = Duration::from_secs(300);

/// How long what is not kept stays after the end: who is behind sees the rest, and a moderator can still keep it.
const AFTER_END: Duration = Duration::from_secs(600);

/// How the recorder works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where recordings are; made when missing.
    pub directory: PathBuf,
    /// How much of a live stream that is not kept stays on disk; zero: nothing is written of it.
    pub dvr_window: Duration,
    /// Most bytes of everything together.
    pub quota_bytes: Option<u64>,
    /// How long finished recordings are kept.
    pub keep_max: Option<Duration>,
    pub(super) chunk: Duration,
    pub(super) after_end: Duration,
    pub(super) disk: Disk,
}

impl Settings {
    /// As the operator said.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            directory: config.data_dir.join(DIRECTORY),
            dvr_window: config.recordings.dvr_window,
            quota_bytes: config.recordings.quota_bytes,
            keep_max: config.recordings.keep_max,
            chunk: CHUNK,
            after_end: AFTER_END,
            disk: Disk::default(),
        }
    }
}

/// One thing that happened to a stream. `life` is the name of one life of a stream's presentation: eight characters of
/// `0-9a-f`, never used twice.
#[derive(Debug, Clone)]
pub enum Entry {
    /// A life begins. Comes first; entries of unknown lives are dropped and counted.
    Begin {
        /// Whose.
        key: StreamKey,
        /// The life.
        life: Arc<str>,
        /// Media time 0, in ms since 1970.
        origin_ms: u64,
        /// Whether it is kept from its first segment.
        keep: bool,
    },
    /// An initialisation segment, before the first segment that needs it.
    Init {
        /// The life.
        life: Arc<str>,
        /// The rendition as it is now.
        info: hls::RenditionInfo,
        /// Counts from 0 in each rendition.
        number: u32,
        /// `ftyp` and `moov`.
        bytes: Bytes,
    },
    /// What is known of a rendition has changed (its frame rate is, after the first segment); bit rates are measured
    /// here and need not be told.
    Rendition {
        /// The life.
        life: Arc<str>,
        /// The rendition as it is now.
        info: hls::RenditionInfo,
    },
    /// A complete segment.
    Segment {
        /// The life.
        life: Arc<str>,
        /// The rendition's name.
        rendition: Arc<str>,
        /// The segment; shared, not copied.
        segment: Arc<hls::Segment>,
    },
    /// A picture of the stream.
    Thumbnail {
        /// The life.
        life: Arc<str>,
        /// Media time in seconds.
        at_s: u64,
        /// JPEG.
        jpeg: Bytes,
    },
    /// A moment that players are told of.
    DateRange {
        /// The life.
        life: Arc<str>,
        /// When and what.
        range: hls::DateRange,
    },
    /// From here on the stream is kept, or no longer. Of a finished life: all that is still there.
    Keep {
        /// The life.
        life: Arc<str>,
        /// Whether.
        keep: bool,
    },
    /// What comes stands for a publisher who is away (a slate), or no longer. It is written, because viewers may go back to it, but
    /// not kept.
    Aside {
        /// The life.
        life: Arc<str>,
        /// Whether.
        aside: bool,
    },
    /// What the life's playlists say and never change; again, when it is known better.
    Constants {
        /// The life.
        life: Arc<str>,
        /// What.
        constants: Constants,
    },
    /// The life goes on that [`super::Archive::resumable`] gave: as [`Entry::Begin`].
    Resume {
        /// The life.
        life: Arc<str>,
    },
    /// The life is over.
    End {
        /// The life.
        life: Arc<str>,
    },
}

impl Entry {
    /// Media bytes that wait with it; nothing for what must not be dropped.
    pub(super) fn media_bytes(&self) -> Option<u64> {
        match self {
            Self::Segment { segment, .. } => Some(segment.bytes.len() as u64),
            Self::Thumbnail { jpeg, .. } => Some(jpeg.len() as u64),
            _ => None,
        }
    }
}
