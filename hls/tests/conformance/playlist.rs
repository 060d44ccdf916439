//! Playlists as a player reads them: a small strict reader of our own, next to `m3u8-rs`, which knows nothing of parts.

use std::collections::BTreeMap;

/// A part's line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PartLine {
    pub(crate) seconds: f64,
    pub(crate) uri: String,
    pub(crate) is_independent: bool,
}

/// A segment with everything that applies to it, or the open one at the end (which has no URI).
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct SegmentLines {
    pub(crate) msn: u64,
    pub(crate) map: String,
    /// The life's discontinuities before it, its own included.
    pub(crate) discontinuities: u64,
    pub(crate) has_discontinuity: bool,
    pub(crate) date: String,
    pub(crate) parts: Vec<PartLine>,
    pub(crate) seconds: f64,
    pub(crate) uri: String,
    /// Length and offset of `EXT-X-BYTERANGE`.
    pub(crate) range: Option<(u32, u32)>,
    pub(crate) is_gap: bool,
}

impl SegmentLines {
    pub(crate) fn is_complete(&self) -> bool {
        !self.uri.is_empty()
    }

    /// Seconds so far.
    pub(crate) fn length(&self) -> f64 {
        if self.is_complete() {
            self.seconds
        } else {
            self.parts.iter().map(|part| part.seconds).sum()
        }
    }

    /// Without its parts, which leave the playlist before it does.
    pub(crate) fn without_parts(&self) -> Self {
        Self {
            parts: Vec::new(),
            ..self.clone()
        }
    }
}

/// A media playlist.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Playlist {
    /// The tags that must never change.
    pub(crate) constants: BTreeMap<String, String>,
    pub(crate) media_sequence: u64,
    pub(crate) discontinuity_sequence: u64,
    pub(crate) kind: Option<String>,
    /// Whether it says that every segment begins with a keyframe.
    pub(crate) is_independent: bool,
    pub(crate) is_keyframes_only: bool,
    pub(crate) skipped: u64,
    pub(crate) segments: Vec<SegmentLines>,
    pub(crate) hint: Option<String>,
    pub(crate) reports: Vec<(String, u64, u32)>,
    pub(crate) has_ended: bool,
}

const CONSTANTS: [&str; 4] = [
    "EXT-X-VERSION",
    "EXT-X-TARGETDURATION",
    "EXT-X-SERVER-CONTROL",
    "EXT-X-PART-INF",
];

/// The value of an attribute of a tag.
pub(crate) fn attribute(value: &str, name: &str) -> Option<String> {
    let mut rest = value;
    while let Some((key, after)) = rest.split_once('=') {
        let (found, next) = if let Some(quoted) = after.strip_prefix('"') {
            let (found, next) = quoted.split_once('"')?;
            (found, next.strip_prefix(',').unwrap_or(""))
        } else {
            after.split_once(',').unwrap_or((after, ""))
        };
        if key == name {
            return Some(found.to_owned());
        }
        rest = next;
    }
    None
}

impl Playlist {
    /// `EXT-X-TARGETDURATION` in seconds.
    pub(crate) fn target(&self) -> f64 {
        let value = self.constants.get("EXT-X-TARGETDURATION");
        value.and_then(|value| value.parse().ok()).unwrap_or(0.0)
    }

    /// An attribute of `EXT-X-SERVER-CONTROL` in seconds.
    pub(crate) fn control(&self, name: &str) -> Option<f64> {
        let value = self.constants.get("EXT-X-SERVER-CONTROL")?;
        attribute(value, name)?.parse().ok()
    }

    /// How far from its end a delta update may leave something out, in seconds.
    pub(crate) fn skip_until(&self) -> Option<f64> {
        self.control("CAN-SKIP-UNTIL")
    }

    /// Reads a playlist; a line that it does not know is an error.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut lines = text.lines();
        if lines.next() != Some("#EXTM3U") {
            return Err(String::from("no #EXTM3U"));
        }
        let mut playlist = Self::default();
        let mut open = SegmentLines::default();
        for line in lines {
            let (tag, value) = match line.strip_prefix('#') {
                Some(tag) => tag.split_once(':').unwrap_or((tag, "")),
                None => ("", line),
            };
            let known = CONSTANTS.contains(&tag);
            if known {
                playlist.constants.insert(tag.to_owned(), value.to_owned());
            } else if !playlist.header_line(tag, value)? {
                playlist.segment_line(tag, value, &mut open)?;
            }
        }
        if !open.date.is_empty() {
            playlist.close(open, "");
        }
        Ok(playlist)
    }

    fn header_line(&mut self, tag: &str, value: &str) -> Result<bool, String> {
        let number = |text: &str| {
            text.parse::<u64>()
                .map_err(|error| format!("{tag}:{value}: {error}"))
        };
        let named = |name: &str| {
            attribute(value, name).ok_or_else(|| format!("{tag}:{value} without {name}"))
        };
        match tag {
            "EXT-X-MEDIA-SEQUENCE" => self.media_sequence = number(value)?,
            "EXT-X-DISCONTINUITY-SEQUENCE" => self.discontinuity_sequence = number(value)?,
            "EXT-X-PLAYLIST-TYPE" => self.kind = Some(value.to_owned()),
            "EXT-X-SKIP" => self.skipped = number(&named("SKIPPED-SEGMENTS")?)?,
            "EXT-X-PRELOAD-HINT" => self.hint = Some(named("URI")?),
            "EXT-X-RENDITION-REPORT" => self.reports.push((
                named("URI")?,
                number(&named("LAST-MSN")?)?,
                number(&named("LAST-PART")?)? as u32,
            )),
            "EXT-X-INDEPENDENT-SEGMENTS" => self.is_independent = true,
            "EXT-X-I-FRAMES-ONLY" => self.is_keyframes_only = true,
            "EXT-X-ENDLIST" => self.has_ended = true,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn segment_line(
        &mut self,
        tag: &str,
        value: &str,
        open: &mut SegmentLines,
    ) -> Result<(), String> {
        let seconds = |text: &str| {
            text.parse::<f64>()
                .map_err(|error| format!("{tag}:{value}: {error}"))
        };
        match tag {
            "EXT-X-DISCONTINUITY" => {
                open.discontinuities += 1;
                open.has_discontinuity = true;
            }
            "EXT-X-MAP" => open.map = attribute(value, "URI").ok_or("a map without a URI")?,
            "EXT-X-PROGRAM-DATE-TIME" => open.date = value.to_owned(),
            "EXT-X-PART" => open.parts.push(PartLine {
                seconds: seconds(&attribute(value, "DURATION").ok_or("a part without duration")?)?,
                uri: attribute(value, "URI").ok_or("a part without a URI")?,
                is_independent: attribute(value, "INDEPENDENT").as_deref() == Some("YES"),
            }),
            "EXT-X-GAP" => open.is_gap = true,
            "EXT-X-BYTERANGE" => {
                let numbers = value.split_once('@').and_then(|(length, offset)| {
                    Some((length.parse().ok()?, offset.parse().ok()?))
                });
                open.range = Some(numbers.ok_or_else(|| format!("{tag}:{value}"))?);
            }
            "EXTINF" => open.seconds = seconds(value.trim_end_matches(','))?,
            "" => {
                let segment = std::mem::take(open);
                self.close(segment, value);
            }
            _ => return Err(format!("unknown line {tag}:{value}")),
        }
        Ok(())
    }

    fn close(&mut self, mut segment: SegmentLines, uri: &str) {
        let (map, before) = match self.segments.last() {
            Some(last) => (last.map.clone(), last.discontinuities),
            None => (String::new(), self.discontinuity_sequence),
        };
        segment.uri = uri.to_owned();
        segment.discontinuities += before;
        if segment.map.is_empty() {
            segment.map = map;
        }
        segment.msn = self.media_sequence + self.skipped + self.segments.len() as u64;
        self.segments.push(segment);
    }

    /// Puts the segments that a delta update left out back in, as a player does that has `before`.
    pub(crate) fn merge(&self, before: &Self) -> Result<Self, String> {
        if self.skipped == 0 {
            return Ok(self.clone());
        }
        let mut merged = self.clone();
        let left_out = self.media_sequence..self.media_sequence + self.skipped;
        let mut segments: Vec<SegmentLines> = before
            .segments
            .iter()
            .filter(|segment| left_out.contains(&segment.msn) && segment.is_complete())
            .map(SegmentLines::without_parts)
            .collect();
        if segments.len() as u64 != self.skipped {
            return Err(format!("{left_out:?} skipped, {} known", segments.len()));
        }
        // Counting goes on from the last one that was left out.
        let last = segments.last().map_or(0, |last| last.discontinuities);
        let behind = last - self.discontinuity_sequence;
        segments.extend(merged.segments.drain(..).map(|mut segment| {
            segment.discontinuities += behind;
            segment
        }));
        merged.segments = segments;
        merged.skipped = 0;
        Ok(merged)
    }
}

/// Seconds since 1970 of an RFC 3339 date as the playlists have it, counted day by day.
pub(crate) fn seconds_of(date: &str) -> f64 {
    let number = |range: std::ops::Range<usize>| -> u64 { date[range].parse().expect("a number") };
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let (year, month) = (number(0..4), number(5..7));
    let years: u64 = (1970..year)
        .map(|year| 365 + u64::from(is_leap(year)))
        .sum();
    let lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let months: u64 = lengths[..month as usize - 1].iter().sum();
    let leap_day = u64::from(month > 2 && is_leap(year));
    let days = years + months + leap_day + number(8..10) - 1;
    let seconds = days * 86_400 + number(11..13) * 3600 + number(14..16) * 60 + number(17..19);
    seconds as f64
        + date[19..]
            .trim_end_matches('Z')
            .parse::<f64>()
            .expect("a fraction")
}
