//! One rendition's media playlist: how it is written.

use std::time::Duration;

use super::date::{Date, PartSeconds};
use super::timeline::{DISCONTINUITY, GAP, Report, Timeline, put};

/// Which playlist to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum View {
    /// The live window.
    Live,
    /// The live window as a delta update; the whole of it while nothing in it is old enough.
    LiveDelta,
    /// The same without the date ranges that are older than the update: `_HLS_skip=v2`.
    LiveNews,
    /// Everything that is kept, still growing.
    Dvr,
    /// Everything that is kept, as a delta update.
    DvrDelta,
    /// The same without the date ranges that are older than the update.
    DvrNews,
    /// Everything that is kept, finished.
    Vod,
    /// The keyframes that the live window's segments begin with, for players that show them while somebody looks for a place.
    LiveKeyframes,
    /// Those of everything that is kept, still growing.
    DvrKeyframes,
    /// Those of everything that is kept, finished.
    VodKeyframes,
}

impl View {
    fn is_live(self) -> bool {
        matches!(
            self,
            Self::Live | Self::LiveDelta | Self::LiveNews | Self::LiveKeyframes
        )
    }

    fn is_finished(self) -> bool {
        matches!(self, Self::Vod | Self::VodKeyframes)
    }

    fn has_keyframes_alone(self) -> bool {
        matches!(
            self,
            Self::LiveKeyframes | Self::DvrKeyframes | Self::VodKeyframes
        )
    }

    fn skips(self) -> bool {
        matches!(
            self,
            Self::LiveDelta | Self::LiveNews | Self::DvrDelta | Self::DvrNews
        )
    }

    fn skips_dateranges(self) -> bool {
        matches!(self, Self::LiveNews | Self::DvrNews)
    }
}

/// The version of the format, RFC 8216bis section 8: 10 knows an `EXT-X-SKIP` that skips date ranges, 6 the `EXT-X-MAP` that all
/// need. A playlist and its delta updates have the same.
const VERSION_LIVE: u32 = 10;
const VERSION_FINISHED: u32 = 6;
/// 5 knows `EXT-X-MAP` in a playlist of keyframes, 8 `EXT-X-GAP`.
const VERSION_KEYFRAMES: u32 = 8;

/// Room for the lines that are not segments.
const HEADER_BYTES: usize = 1024;

/// Room for the lines of a segment's keyframe.
const KEYFRAME_BYTES: usize = 128;

impl Timeline {
    /// The playlist. `reports` are the other renditions of the stream. Nearly all of it is copied: 3,600 segments take
    /// less than a millisecond.
    pub fn render(&self, view: View, reports: &[Report]) -> String {
        let is_finished = view.is_finished();
        let first = match view.is_live() {
            true => self.entries.len() - self.live,
            false => 0,
        };
        if view.has_keyframes_alone() {
            return self.render_keyframes(view, first);
        }
        let skipped = match view.skips() {
            true => self.skippable(first),
            false => 0,
        };
        let listed = first + skipped;
        let history = self.lines_without_parts(listed, is_finished);
        let with_parts = listed.saturating_sub(self.entries.len() - self.recent.len());
        let recent = self.recent.iter().skip(with_parts);
        let recent_bytes: usize = recent.clone().map(|lines| lines.text.len()).sum();
        let open = self.open.as_ref().filter(|_| !is_finished);
        let open_text = open.map_or("", |open| open.lines.text.as_str());
        let mut text =
            String::with_capacity(HEADER_BYTES + history.len() + recent_bytes + open_text.len());
        self.put_header(&mut text, view, first);
        if skipped > 0 {
            put(
                &mut text,
                format_args!("#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}"),
            );
            if view.skips_dateranges() {
                self.put_removed_dateranges(&mut text, first, listed);
            }
            text.push('\n');
        }
        let begin = text.len();
        text.push_str(history);
        if !is_finished {
            recent.for_each(|lines| text.push_str(&lines.text));
            text.push_str(open_text);
        }
        // Whoever begins to read here must know the initialisation segment.
        if let Some(entry) = self.entries.get(listed).or(open.map(|open| &open.entry))
            && !entry.has_map
        {
            let mut place = begin;
            while text[place..].starts_with(DISCONTINUITY) {
                place += DISCONTINUITY.len();
            }
            text.insert_str(place, &self.map_line(entry.init));
        }
        let added = match view.skips_dateranges() && skipped > 0 {
            true => self.msn_at(listed),
            false => 0,
        };
        self.put_dateranges(&mut text, first, added);
        if is_finished || self.has_ended {
            text.push_str("#EXT-X-ENDLIST\n");
        } else {
            self.put_footer(&mut text, view, reports);
        }
        text
    }

    /// RFC 8216bis section 4.4.3.6. Each segment has its line, so that numbers, dates and discontinuities are those of the other
    /// playlists; one without a keyframe is a gap.
    fn render_keyframes(&self, view: View, first: usize) -> String {
        let listed = self.entries.range(first..);
        let mut text = String::with_capacity(HEADER_BYTES + listed.len() * KEYFRAME_BYTES);
        self.put_header(&mut text, view, first);
        for (place, entry) in listed.enumerate() {
            for _ in 0..entry.discontinuities {
                text.push_str(DISCONTINUITY);
            }
            if place == 0 || entry.has_map {
                text.push_str(&self.map_line(entry.init));
            }
            let (date, seconds, stem) = (Date(entry.date_ms), entry.seconds, &self.stem);
            put(&mut text, format_args!("#EXT-X-PROGRAM-DATE-TIME:{date}\n"));
            match entry.keyframe_bytes {
                0 => text.push_str(GAP),
                bytes => put(&mut text, format_args!("#EXT-X-BYTERANGE:{bytes}@0\n")),
            }
            let msn = entry.msn;
            put(
                &mut text,
                format_args!("#EXTINF:{seconds},\n{stem}{msn}.m4s\n"),
            );
        }
        if view.is_finished() || self.has_ended {
            text.push_str("#EXT-X-ENDLIST\n");
        }
        text
    }

    /// How many complete segments from the `first`th on end before the skip boundary.
    fn skippable(&self, first: usize) -> usize {
        let mut after = self
            .open
            .as_ref()
            .map_or(Duration::ZERO, |open| open.entry.duration);
        let boundary = self.skip_until();
        let mut kept = 0;
        for entry in self.entries.range(first..).rev() {
            if after >= boundary {
                break;
            }
            after += entry.duration;
            kept += 1;
        }
        self.entries.len() - first - kept
    }

    fn put_header(&self, text: &mut String, view: View, first: usize) {
        let version = match view {
            _ if view.has_keyframes_alone() => VERSION_KEYFRAMES,
            View::Vod => VERSION_FINISHED,
            _ => VERSION_LIVE,
        };
        let target = match view.is_finished() {
            true => self.longest_s(),
            false => self.target_duration_s,
        };
        put(text, format_args!("#EXTM3U\n#EXT-X-VERSION:{version}\n"));
        if self.is_independent && !view.has_keyframes_alone() {
            text.push_str("#EXT-X-INDEPENDENT-SEGMENTS\n");
        }
        put(text, format_args!("#EXT-X-TARGETDURATION:{target}\n"));
        if view.has_keyframes_alone() {
            text.push_str("#EXT-X-I-FRAMES-ONLY\n");
        } else if !view.is_finished() {
            self.put_controls(text);
        }
        let entry = self
            .entries
            .get(first)
            .or(self.open.as_ref().map(|open| &open.entry));
        let msn = entry.map_or(self.next().0, |entry| entry.msn);
        let discontinuities = entry.map_or(0, |entry| entry.discontinuities_before);
        put(
            text,
            format_args!(
                "#EXT-X-MEDIA-SEQUENCE:{msn}\n#EXT-X-DISCONTINUITY-SEQUENCE:{discontinuities}\n"
            ),
        );
        // EVENT would promise that nothing is ever removed, and the DVR window slides.
        if view.is_finished() {
            text.push_str("#EXT-X-PLAYLIST-TYPE:VOD\n");
        }
    }

    fn put_controls(&self, text: &mut String) {
        // No part that is as long as it may be is written as a longer one.
        let part_target = self.settings.part_target + PartSeconds::MORE_MAX;
        let (part, part_hold_back) = (part_target.as_secs_f64(), 3.0 * part_target.as_secs_f64());
        let hold_back = self.targets(3).as_secs();
        let skip_until = self.skip_until().as_secs();
        put(
            text,
            format_args!(
                "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,HOLD-BACK={hold_back}.0,PART-HOLD-BACK={part_hold_back:.5},CAN-SKIP-UNTIL={skip_until}.0,CAN-SKIP-DATERANGES=YES\n#EXT-X-PART-INF:PART-TARGET={part:.5}\n"
            ),
        );
    }

    /// The number of the `place`th kept segment, or of the one that comes next.
    fn msn_at(&self, place: usize) -> u64 {
        self.entries
            .get(place)
            .map_or(self.next().0, |entry| entry.msn)
    }

    /// Those of the whole view, also of segments that a delta update skips, that are new since the segment `added` was open.
    fn put_dateranges(&self, text: &mut String, first: usize, added: u64) {
        let open = self.open.as_ref().map(|open| &open.entry);
        let Some(entry) = self.entries.get(first).or(open) else {
            return;
        };
        for range in self.dateranges.since(entry.date_ms, added) {
            text.extend([range.line(), "\n"]);
        }
    }

    /// Those that a player may still have and the view, which begins with the `first` kept segment, has not any more.
    fn put_removed_dateranges(&self, text: &mut String, first: usize, listed: usize) {
        let date_of = |place: usize| self.entries.get(place).map_or(0, |entry| entry.date_ms);
        let (boundary, mut slid) = (self.skip_until(), Duration::ZERO);
        let mut begin = first;
        while begin > 0 && slid < boundary {
            begin -= 1;
            slid += self.entries[begin].duration;
        }
        let removed = self
            .dateranges
            .gone(date_of(begin), date_of(first), self.msn_at(listed));
        text.push_str(",RECENTLY-REMOVED-DATERANGES=\"");
        for (place, range) in removed.enumerate() {
            let tab = if place > 0 { "\t" } else { "" };
            text.extend([tab, range.id()]);
        }
        text.push('"');
    }

    /// The least target duration that all segments fit in.
    fn longest_s(&self) -> u32 {
        let durations = self.entries.iter().map(|entry| entry.duration);
        let longest = durations.max().unwrap_or_default();
        let seconds = (longest + Duration::from_millis(500)).as_secs();
        u32::try_from(seconds).unwrap_or(u32::MAX).max(1)
    }

    fn put_footer(&self, text: &mut String, view: View, reports: &[Report]) {
        // A player that changes to another rendition stays in its view.
        let query = match view {
            View::Dvr | View::DvrDelta | View::DvrNews => "?dvr",
            _ => "",
        };
        let (msn, part) = self.next();
        if self.open.is_some() || !self.is_paused {
            let uri = self.part_uri(msn, part, self.next_init());
            put(
                text,
                format_args!("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{uri}\"\n"),
            );
        }
        for Report { name, msn, part } in reports {
            put(
                text,
                format_args!(
                    "#EXT-X-RENDITION-REPORT:URI=\"{name}.m3u8{query}\",LAST-MSN={msn},LAST-PART={part}\n"
                ),
            );
        }
    }
}
