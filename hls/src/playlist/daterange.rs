//! `EXT-X-DATERANGE`: what happens at a moment of the performance.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::Arc;

use super::date::Date;

/// The longest line of a date range in bytes.
const LINE_MAX: usize = 2048;

/// Date ranges of one rendition: one a second for nearly three hours, 2 MB as they usually are. The oldest goes when there is one
/// too many, or when their lines have more than [`BYTES_MAX`].
const RANGES_MAX: usize = 10_000;
const BYTES_MAX: usize = 4 << 20;

/// Removed ones that delta updates still tell of, at most.
const REMOVED_MAX: usize = 1_024;

/// A moment of the performance that players are told of, RFC 8216bis section 4.4.5.1. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DateRange {
    start_ms: u64,
    line: Arc<str>,
}

impl DateRange {
    /// An instant `start_ms` after 1970: `DURATION=0`. `attributes` are names such as `X-VALUE` (capitals, digits and hyphens,
    /// which the caller sees to) and their values. A quoted string can hold neither quotes nor line breaks: in all values
    /// here whatever is no visible ASCII, `"` and `%` are written as `%` and two hexadecimal digits for each byte of UTF-8,
    /// as `decodeURIComponent` reads them. An attribute that would make the line longer than 2,048 bytes is left out.
    pub fn moment(id: &str, class: &str, start_ms: u64, attributes: &[(&str, &str)]) -> Self {
        let date = Date(start_ms);
        let mut line = format!(
            "#EXT-X-DATERANGE:ID=\"{}\",CLASS=\"{}\",START-DATE=\"{date}\",DURATION=0",
            Quoted(id),
            Quoted(class),
        );
        for (name, value) in attributes {
            let begin = line.len();
            write!(line, ",{name}=\"{}\"", Quoted(value)).expect("text takes more text");
            if line.len() > LINE_MAX {
                line.truncate(begin);
            }
        }
        Self {
            start_ms,
            line: line.into(),
        }
    }

    /// What [`Self::line`] gave, from a file; nothing when it can be no such line.
    pub fn from_line(start_ms: u64, line: &str) -> Option<Self> {
        let is_whole = line.starts_with("#EXT-X-DATERANGE:ID=\"")
            && line.len() <= LINE_MAX
            && line.bytes().all(|byte| byte.is_ascii_graphic());
        is_whole.then(|| Self {
            start_ms,
            line: line.into(),
        })
    }

    /// When it is, in ms since 1970.
    pub fn start_ms(&self) -> u64 {
        self.start_ms
    }

    /// Its `ID`, as it is written.
    pub(super) fn id(&self) -> &str {
        let quoted = self.line.split_once("ID=\"");
        quoted.map_or("", |(_, rest)| rest.split('"').next().unwrap_or_default())
    }

    /// The line without its line feed: visible ASCII without spaces.
    pub fn line(&self) -> &str {
        &self.line
    }
}

/// A value inside quotes.
struct Quoted<'a>(&'a str);

impl std::fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for byte in self.0.bytes() {
            match byte {
                b'"' | b'%' => write!(f, "%{byte:02X}")?,
                _ if byte.is_ascii_graphic() => f.write_char(char::from(byte))?,
                _ => write!(f, "%{byte:02X}")?,
            }
        }
        Ok(())
    }
}

/// One in the list.
#[derive(Clone, Debug)]
struct Listed {
    range: DateRange,
    /// The media sequence number of the segment that was open when it was added.
    added: u64,
}

/// The date ranges of a playlist, by their time.
#[derive(Clone, Debug, Default)]
pub(super) struct DateRanges {
    listed: VecDeque<Listed>,
    bytes: usize,
    /// Those that are no longer listed anywhere, and the segment that was open when they went.
    removed: VecDeque<(DateRange, u64)>,
}

impl DateRanges {
    /// Adds one, unless it is there, while the segment `msn` is open. Returns how many had to go for it.
    pub(super) fn add(&mut self, range: DateRange, msn: u64) -> usize {
        let place = self.place(range.start_ms.saturating_add(1));
        let same = self.listed.iter().take(place).rev();
        let mut same = same.take_while(|one| one.range.start_ms == range.start_ms);
        if same.any(|one| one.range.line == range.line) {
            return 0;
        }
        self.bytes += range.line.len();
        self.listed.insert(place, Listed { range, added: msn });
        let before = self.listed.len();
        while self.listed.len() > RANGES_MAX || self.bytes > BYTES_MAX {
            self.remove_first(msn);
        }
        before - self.listed.len()
    }

    /// The place of the first one that is not before `date_ms`.
    fn place(&self, date_ms: u64) -> usize {
        self.listed
            .partition_point(|one| one.range.start_ms < date_ms)
    }

    fn remove_first(&mut self, msn: u64) {
        let Some(Listed { range, .. }) = self.listed.pop_front() else {
            return;
        };
        self.bytes -= range.line.len();
        if self.removed.len() == REMOVED_MAX {
            self.removed.pop_front();
        }
        self.removed.push_back((range, msn));
    }

    /// Forgets those before `date_ms`, while the segment `msn` is open.
    pub(super) fn forget_before(&mut self, date_ms: u64, msn: u64) {
        for _ in 0..self.place(date_ms) {
            self.remove_first(msn);
        }
    }

    /// Those that are not before `date_ms`, and were added when the segment `added` or a later one was open.
    pub(super) fn since(&self, date_ms: u64, added: u64) -> impl Iterator<Item = &DateRange> {
        let listed = self.listed.range(self.place(date_ms)..);
        let new = listed.filter(move |one| one.added >= added);
        new.map(|one| &one.range)
    }

    /// Those between two dates, and those that went when the segment `msn` or a later one was open.
    pub(super) fn gone(
        &self,
        from_ms: u64,
        to_ms: u64,
        msn: u64,
    ) -> impl Iterator<Item = &DateRange> {
        let (first, end) = (self.place(from_ms), self.place(to_ms));
        let hidden = self.listed.range(first.min(end)..end);
        let removed = self.removed.iter().filter(move |(_, at)| *at >= msn);
        hidden
            .map(|one| &one.range)
            .chain(removed.map(|(range, _)| range))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_quoted_so_that_no_line_and_no_attribute_can_be_smuggled_in() {
        let value = "{\"light\":\"hé, 5 %\"}\r\n#EXT-X-ENDLIST\n";
        let range = DateRange::moment(
            "17",
            "cue\"",
            1_735_689_600_250,
            &[("X-VALUE", value), ("X-LATER", &"x".repeat(LINE_MAX))],
        );
        assert_eq!(
            range.line(),
            "#EXT-X-DATERANGE:ID=\"17\",CLASS=\"cue%22\",START-DATE=\"2025-01-01T00:00:00.250Z\",DURATION=0,\
             X-VALUE=\"{%22light%22:%22h%C3%A9,%205%20%25%22}%0D%0A#EXT-X-ENDLIST%0A\""
        );
        assert_eq!(
            DateRange::from_line(range.start_ms(), range.line()),
            Some(range.clone())
        );
        for wrong in [
            "",
            "#EXTM3U",
            "#EXT-X-DATERANGE:ID=\"1\"\n#EXTINF:1,",
            "#EXT-X-DATERANGE:ID=\"a b\"",
        ] {
            assert_eq!(DateRange::from_line(0, wrong), None, "{wrong}");
        }
    }

    #[test]
    fn they_are_in_order_once_each_and_not_too_many() {
        let range = |at: u64| DateRange::moment(&at.to_string(), "cue", at, &[]);
        let mut ranges = DateRanges::default();
        for at in [5, 3, 9, 5, 3] {
            ranges.add(range(at), at);
        }
        let times = |ranges: &DateRanges, from, added| {
            let all = ranges.since(from, added).map(DateRange::start_ms);
            all.collect::<Vec<u64>>()
        };
        assert_eq!(times(&ranges, 0, 0), [3, 5, 9]);
        assert_eq!(times(&ranges, 4, 0), [5, 9]);
        assert_eq!(times(&ranges, 0, 6), [9]);
        ranges.forget_before(5, 11);
        assert_eq!(times(&ranges, 0, 0), [5, 9]);
        let gone = |ranges: &DateRanges, from, to, msn| {
            let all = ranges.gone(from, to, msn).map(|one| one.id().to_owned());
            all.collect::<Vec<String>>()
        };
        assert_eq!(gone(&ranges, 0, 0, 11), ["3"]);
        assert_eq!(gone(&ranges, 5, 9, 12), ["5"]);
        let lost: usize = (100..100 + 2 * RANGES_MAX as u64)
            .map(|at| ranges.add(range(at), 20))
            .sum();
        assert_eq!(times(&ranges, 0, 0).len(), RANGES_MAX);
        assert_eq!(lost, 2 + RANGES_MAX, "the two from before, too");
        assert_eq!(ranges.add(range(20_000), 20), 0, "it is there");
        let long = "x".repeat(LINE_MAX - 100);
        let long = |at: u64| DateRange::moment(&at.to_string(), "cue", at, &[("X-VALUE", &long)]);
        let lost: usize = (30_000..33_000).map(|at| ranges.add(long(at), 20)).sum();
        assert!(ranges.bytes <= BYTES_MAX);
        assert_eq!(lost, RANGES_MAX + 3_000 - times(&ranges, 0, 0).len());
        assert_eq!(times(&ranges, 0, 0).last(), Some(&32_999));
    }
}
