//! One rendition's media playlist: what it is made of.

use std::collections::VecDeque;
use std::fmt::Write;
use std::time::Duration;

use super::date::{Date, PartSeconds, Seconds};
use super::daterange::{DateRange, DateRanges};
use crate::{Part, Segment, Settings};

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
    /// Answer when this one is there: the one that was asked for is further ahead than the advance part limit. hls.js without low
    /// latency asks for the last part that the target duration has room for, and stops when it hears 400 for that.
    WaitFor {
        /// Its segment.
        msn: u64,
        /// Its index.
        part: u32,
    },
    /// Refuse: nobody who reads this playlist can know of that segment.
    TooFar,
}

/// A segment.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) msn: u64,
    pub(super) init: u32,
    pub(super) date_ms: u64,
    /// The life's discontinuities before it, without its own.
    pub(super) discontinuities_before: u64,
    /// Those of its own.
    pub(super) discontinuities: u64,
    /// As in [`Segment`].
    pub(super) keyframe_bytes: u32,
    /// Its duration as every playlist writes it.
    pub(super) seconds: Seconds,
    /// Whether its lines name its initialisation segment.
    pub(super) has_map: bool,
    pub(super) duration: Duration,
    /// Where its lines begin in all text that there ever was of complete segments.
    pub(super) at: usize,
}

/// The lines of a segment near the end, with those of its parts.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines {
    pub(super) text: String,
    /// How much of it stands before the parts.
    head: usize,
}

#[derive(Clone, Debug)]
pub(super) struct Open {
    pub(super) entry: Entry,
    pub(super) lines: Lines,
    parts: u32,
}

/// The live window has at least so many target durations.
const WINDOW_TARGETS: u32 = 8;

pub(super) const DISCONTINUITY: &str = "#EXT-X-DISCONTINUITY\n";

/// RFC 8216bis section 4.4.4.7.
pub(super) const GAP: &str = "#EXT-X-GAP\n";

/// More text than this is not kept for segments that were forgotten.
const FORGOTTEN_BYTES_MAX: usize = 64 * 1024;

/// What one rendition's media playlist is made of. It keeps text, no media: the lines of a segment are written once, and a
/// playlist is put together from them. A segment costs about 150 bytes, 8 kB more while its parts are listed.
#[derive(Clone, Debug)]
pub struct Timeline {
    pub(super) settings: Settings,
    pub(super) target_duration_s: u32,
    name: String,
    /// What stands before the numbers in each media URI.
    pub(super) stem: String,
    /// Complete segments.
    pub(super) entries: VecDeque<Entry>,
    /// The lines of complete segments, without their parts.
    history: String,
    /// How much text came before `history`.
    history_at: usize,
    /// The last complete segments: those whose parts are listed.
    pub(super) recent: VecDeque<Lines>,
    recent_duration: Duration,
    pub(super) open: Option<Open>,
    /// How many complete segments are in the live window, and how long they are.
    pub(super) live: usize,
    live_duration: Duration,
    next_msn: u64,
    /// The initialisation segment and the discontinuities of the last segment.
    last: Option<(u32, u64)>,
    last_parts: u32,
    /// Whether the next part is known to be behind a discontinuity.
    pub(super) is_paused: bool,
    /// Whether every segment so far begins with a keyframe. What was promised once can be taken back, but not given again.
    pub(super) is_independent: bool,
    /// Whether there ever was a keyframe that can be had alone.
    has_keyframes: bool,
    pub(super) dateranges: DateRanges,
    pub(super) has_ended: bool,
}

impl Timeline {
    /// An empty timeline of the rendition `name` in the life `life`.
    pub fn new(settings: Settings, life: &str, name: &str) -> Self {
        Self {
            target_duration_s: settings.target_duration_min_s,
            settings,
            name: name.to_owned(),
            stem: format!("{life}-{name}-"),
            entries: VecDeque::new(),
            history: String::new(),
            history_at: 0,
            recent: VecDeque::new(),
            recent_duration: Duration::ZERO,
            open: None,
            live: 0,
            live_duration: Duration::ZERO,
            next_msn: 1,
            last: None,
            last_parts: 0,
            is_paused: false,
            is_independent: true,
            has_keyframes: false,
            dateranges: DateRanges::default(),
            has_ended: false,
        }
    }

    /// Puts `prefix` before every media URI, for a playlist that is served from elsewhere (`"../"`). To be called before
    /// anything is applied.
    pub fn with_prefix(mut self, prefix: &str) -> Self {
        self.stem.insert_str(0, prefix);
        self
    }

    /// What [`crate::Output::TargetDuration`] says, before anything is rendered. In a finished playlist it is the least that
    /// fits.
    pub fn set_target_duration(&mut self, seconds: u32) {
        self.target_duration_s = seconds;
    }

    /// So many target durations.
    pub(super) fn targets(&self, count: u32) -> Duration {
        Duration::from_secs(u64::from(self.target_duration_s) * u64::from(count))
    }

    /// `CAN-SKIP-UNTIL`: older segments may be left out of a delta update. The least that is allowed is six target
    /// durations.
    pub(super) fn skip_until(&self) -> Duration {
        self.targets(6)
    }

    /// Adds a date range to every playlist of this rendition that reaches back to it; once, however often it is added. The
    /// newest 10,000 are kept, or 4 MB of their lines. Returns how many older ones went for it.
    pub fn add_daterange(&mut self, range: DateRange) -> usize {
        self.dateranges.add(range, self.next_msn)
    }

    /// Adds a part at the end. One that is not the next is ignored; the first one may begin any segment.
    pub fn apply_part(&mut self, part: &Part) {
        let is_first = self.is_empty() && part.index == 0;
        if self.has_ended || !is_first && (part.msn, part.index) != self.next() {
            return;
        }
        self.is_independent &= part.independent || part.index > 0;
        let mut open = match self.open.take() {
            Some(open) => open,
            None => {
                let sequence = part.discontinuity_sequence;
                self.open_segment(part.msn, part.init, sequence, None, part.date_ms)
            }
        };
        let duration = PartSeconds(Seconds {
            ticks: part.duration.into(),
            timescale: part.timescale,
        });
        let uri = self.part_uri(part.msn, part.index, part.init);
        let mark = if part.independent {
            ",INDEPENDENT=YES"
        } else {
            ""
        };
        put(
            &mut open.lines.text,
            format_args!("#EXT-X-PART:DURATION={duration},URI=\"{uri}\"{mark}\n"),
        );
        open.parts += 1;
        open.entry.duration += length(part.duration.into(), part.timescale);
        self.open = Some(open);
        self.stop_listing_parts();
    }

    /// Completes the open segment; or adds a whole segment whose parts were never seen, as from a recording's index. In
    /// a recording some may be missing before it: whoever knows that counts a discontinuity there. One that is not the
    /// next of an open timeline, or that is older than the last, is ignored.
    pub fn apply_segment(&mut self, segment: &Segment) {
        self.complete(segment, "");
    }

    /// Adds a segment whose bytes are lost, so that its number is not used again: players skip it.
    pub fn apply_gap(&mut self, segment: &Segment) {
        self.complete(segment, GAP);
    }

    fn complete(&mut self, segment: &Segment, mark: &str) {
        let is_next = segment.msn == self.next_msn || self.is_empty();
        let is_later = segment.msn > self.next_msn && self.open.is_none();
        if self.has_ended || !(is_next || is_later) {
            return;
        }
        self.is_independent &= segment.independent;
        let open = match self.open.take() {
            Some(open) => open,
            None => {
                let sequence = segment.discontinuity_sequence;
                let own = Some(u64::from(segment.discontinuity));
                self.open_segment(segment.msn, segment.init, sequence, own, segment.date_ms)
            }
        };
        let Open {
            mut entry,
            mut lines,
            ..
        } = open;
        let duration = Seconds {
            ticks: segment.duration,
            timescale: segment.timescale,
        };
        let tail = format!(
            "{mark}#EXTINF:{duration},\n{}{}.m4s\n",
            self.stem, segment.msn
        );
        entry.seconds = duration;
        // Of a segment that is lost the keyframe is, too.
        entry.keyframe_bytes = match mark {
            GAP => 0,
            _ => segment.keyframe_bytes,
        };
        self.has_keyframes |= entry.keyframe_bytes > 0;
        entry.duration = length(segment.duration, segment.timescale);
        entry.at = self.history_at + self.history.len();
        self.history.push_str(&lines.text[..lines.head]);
        self.history.push_str(&tail);
        lines.text.push_str(&tail);
        self.last_parts = segment.parts;
        self.is_paused = segment.is_last;
        self.next_msn = segment.msn + 1;
        self.live += 1;
        self.live_duration += entry.duration;
        self.recent_duration += entry.duration;
        self.entries.push_back(entry);
        self.recent.push_back(lines);
        self.stop_listing_parts();
        self.narrow_window();
    }

    /// Whether its keyframes can be had alone, so that their playlists ([`crate::View::LiveKeyframes`] and its like) have something
    /// to show. Once true, always true.
    pub fn has_keyframes(&self) -> bool {
        self.has_keyframes
    }

    fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.open.is_none()
    }

    fn open_segment(
        &mut self,
        msn: u64,
        init: u32,
        discontinuities: u64,
        own: Option<u64>,
        date_ms: u64,
    ) -> Open {
        self.next_msn = msn;
        let own = match self.last {
            Some((_, before)) => discontinuities.saturating_sub(before),
            None => own.unwrap_or(0).min(discontinuities),
        };
        let has_map = self.last.is_none_or(|(before, _)| before != init);
        self.last = Some((init, discontinuities));
        let mut text = String::new();
        for _ in 0..own {
            text.push_str(DISCONTINUITY);
        }
        if has_map {
            text.push_str(&self.map_line(init));
        }
        let date = Date(date_ms);
        put(&mut text, format_args!("#EXT-X-PROGRAM-DATE-TIME:{date}\n"));
        let head = text.len();
        Open {
            entry: Entry {
                msn,
                init,
                date_ms,
                discontinuities_before: discontinuities - own,
                discontinuities: own,
                keyframe_bytes: 0,
                seconds: Seconds {
                    ticks: 0,
                    timescale: 1,
                },
                has_map,
                duration: Duration::ZERO,
                at: 0,
            },
            lines: Lines { text, head },
            parts: 0,
        }
    }

    /// A part's name has the number of the initialisation segment that it needs. A preload hint cannot know whether that will be
    /// another one; then the part has another name, and nobody takes it for what the hint promised.
    pub(super) fn part_uri(&self, msn: u64, index: u32, init: u32) -> String {
        format!("{}{msn}.{index}.i{init}.m4s", self.stem)
    }

    pub(super) fn map_line(&self, init: u32) -> String {
        format!("#EXT-X-MAP:URI=\"{}i{init}.mp4\"\n", self.stem)
    }

    /// Parts are listed in segments that end within three target durations of the end, RFC 8216bis section 6.2.2.
    fn stop_listing_parts(&mut self) {
        let keep = self.targets(3);
        let open = self
            .open
            .as_ref()
            .map_or(Duration::ZERO, |open| open.entry.duration);
        while let Some(place) = self.entries.len().checked_sub(self.recent.len())
            && let Some(first) = self.entries.get(place)
            && self.recent_duration - first.duration + open > keep
        {
            self.recent_duration -= first.duration;
            self.recent.pop_front();
        }
    }

    /// Lets the oldest segments out of the live window, as long as it stays long enough.
    fn narrow_window(&mut self) {
        // A part's line goes after three of them, and it stays for three more; and delta updates need six.
        let window = self.settings.window.max(self.targets(WINDOW_TARGETS));
        while self.live > self.settings.window_segments_min
            && let Some(first) = self.entries.get(self.entries.len() - self.live)
            && self.live_duration - first.duration >= window
        {
            self.live_duration -= first.duration;
            self.live -= 1;
        }
    }

    /// Nothing will be added any more.
    pub fn end(&mut self) {
        self.has_ended = true;
        self.open = None;
    }

    /// Forgets all complete segments before `msn`: they are no longer on disk. The live window is never forgotten.
    pub fn forget_before(&mut self, msn: u64) {
        let msn = msn.min(self.live_begin());
        let kept = self.entries.len().max(self.recent.len()) - self.recent.len();
        for _ in 0..kept {
            if self.entries.front().is_none_or(|first| first.msn >= msn) {
                break;
            }
            self.entries.pop_front();
        }
        if let Some(first) = self.entries.front() {
            self.dateranges.forget_before(first.date_ms, self.next_msn);
        }
        let begin = self.entries.front().map_or(0, |first| first.at);
        let forgotten = begin.saturating_sub(self.history_at);
        if forgotten > FORGOTTEN_BYTES_MAX.max(self.history.len() / 2) {
            self.history.drain(..forgotten);
            self.history_at = begin;
        }
    }

    /// The first media sequence number of the live window: what is older may leave the memory.
    pub fn live_begin(&self) -> u64 {
        self.entries
            .get(self.entries.len() - self.live)
            .map_or(self.next_msn, |first| first.msn)
    }

    /// The lines of complete segments from the `first`th kept one on, up to those whose parts are listed, without parts;
    /// or of all of them.
    pub(super) fn lines_without_parts(&self, first: usize, is_all: bool) -> &str {
        let at = |place: usize| {
            self.entries
                .get(place)
                .map(|entry| entry.at - self.history_at)
        };
        let end = if is_all {
            None
        } else {
            at(self.entries.len() - self.recent.len())
        };
        let end = end.unwrap_or(self.history.len());
        let begin = at(first).unwrap_or(end).min(end);
        &self.history[begin..end]
    }

    /// The media sequence number and index of the part that comes next, which the preload hint names.
    pub fn next(&self) -> (u64, u32) {
        let parts = self.open.as_ref().map_or(0, |open| open.parts);
        (self.next_msn, parts)
    }

    /// The initialisation segment that the preload hint's part needs, if nothing changes.
    pub fn next_init(&self) -> u32 {
        self.last.map_or(0, |(init, _)| init)
    }

    /// Where this rendition is, for the playlists of the others; nothing before its first part.
    pub fn report(&self) -> Option<Report> {
        let (msn, part) = match self.next() {
            (_, 0) => {
                let last = self.entries.back()?;
                (last.msn, self.last_parts.checked_sub(1)?)
            }
            (msn, parts) => (msn, parts - 1),
        };
        Some(Report {
            name: self.name.clone(),
            msn,
            part,
        })
    }

    /// What to do with `_HLS_msn` and `_HLS_part`, RFC 8216bis section 6.2.5.2.
    pub fn check_request(&self, msn: u64, part: Option<u32>) -> Hold {
        let (next_msn, next_part) = self.next();
        if self.has_ended {
            return Hold::Ready;
        }
        if msn > next_msn + 1 {
            return Hold::TooFar;
        }
        let is_ready = match part {
            None => msn < next_msn,
            // Past the end of the last complete segment, part 0 of the open one is meant.
            Some(part) if msn.checked_add(1) == Some(next_msn) => {
                part < self.last_parts || next_part > 0
            }
            Some(part) if msn == next_msn => part < next_part,
            Some(_) => msn < next_msn,
        };
        let advance_max = advance_part_limit(self.settings.part_target);
        let is_far = part.is_some_and(|part| {
            msn == next_msn && part > next_part + advance_max
                || msn > next_msn && part > advance_max
        });
        match (is_ready, is_far) {
            (true, _) => Hold::Ready,
            (_, true) => Hold::WaitFor {
                msn: next_msn,
                part: next_part + advance_max,
            },
            _ => Hold::Wait,
        }
    }
}

/// How many parts ahead a request may be: three seconds of them, and three at least.
fn advance_part_limit(part_target: Duration) -> u32 {
    let parts = 3_000_u128.div_ceil(part_target.as_millis().max(1));
    u32::try_from(parts).unwrap_or(u32::MAX / 2).max(3)
}

fn length(ticks: u64, timescale: u32) -> Duration {
    let scale = u64::from(timescale.max(1));
    Duration::from_secs(ticks / scale) + Duration::from_nanos(ticks % scale * 1_000_000_000 / scale)
}

pub(super) fn put(text: &mut String, line: std::fmt::Arguments<'_>) {
    text.write_fmt(line).expect("text takes more text");
}
