//! One rendition's media playlist.

use crate::{Part, Segment, Settings};

/// Which playlist to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum View {
    /// The live window.
    Live,
    /// The live window as a delta update.
    LiveDelta,
    /// Everything that is kept, still growing.
    Dvr,
    /// Everything that is kept, as a delta update.
    DvrDelta,
    /// Everything that is kept, finished.
    Vod,
}

/// Where another rendition is, for `EXT-X-RENDITION-REPORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The rendition's name.
    pub name: String,
    /// The media sequence number of its last part.
    pub msn: u64,
    /// The index of its last part.
    pub part: u32,
}

/// What to do with a blocking request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Answer now.
    Ready,
    /// Answer when that part is there.
    Wait,
    /// Refuse: nobody who reads this playlist can know of that part.
    TooFar,
}

/// What one rendition's media playlist is made of.
#[derive(Clone, Debug)]
pub struct Timeline {
    settings: Settings,
    life: String,
    name: String,
}

impl Timeline {
    /// An empty timeline of the rendition `name` in the life `life`.
    pub fn new(settings: Settings, life: &str, name: &str) -> Self {
        Self {
            settings,
            life: life.to_owned(),
            name: name.to_owned(),
        }
    }

    /// Puts `prefix` before every media URI, for a playlist that is served from elsewhere (`"../"`).
    pub fn with_prefix(self, prefix: &str) -> Self {
        let _ = prefix;
        self
    }

    /// Adds a part at the end. Parts of other segments than the open one or the next are ignored.
    pub fn apply_part(&mut self, part: &Part) {
        let _ = part;
    }

    /// Completes the open segment; or adds a whole segment whose parts were never seen, as from a recording's index.
    pub fn apply_segment(&mut self, segment: &Segment) {
        let _ = segment;
    }

    /// Nothing will be added any more.
    pub fn end(&mut self) {}

    /// Forgets all segments before `msn`: they are no longer on disk.
    pub fn forget_before(&mut self, msn: u64) {
        let _ = msn;
    }

    /// The first media sequence number of the live window: what is older may leave the memory.
    pub fn live_begin(&self) -> u64 {
        1
    }

    /// The playlist. `reports` are the other renditions of the stream.
    pub fn render(&self, view: View, reports: &[Report]) -> String {
        let _ = (view, reports, &self.settings, &self.life, &self.name);
        String::from("#EXTM3U\n")
    }

    /// The media sequence number and index of the part that comes next, which the preload hint names.
    pub fn next(&self) -> (u64, u32) {
        (1, 0)
    }

    /// Where this rendition is, for the playlists of the others; nothing before its first part.
    pub fn report(&self) -> Option<Report> {
        None
    }

    /// What to do with `_HLS_msn` and `_HLS_part`, RFC 8216bis section 6.2.5.2.
    pub fn check_request(&self, msn: u64, part: Option<u32>) -> Hold {
        let _ = (msn, part);
        Hold::Wait
    }
}
