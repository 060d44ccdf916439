//! `EXT-X-DATERANGE`: what happens at a moment of the performance.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::Arc;

use super::date::Date;

/// The longest line of a date range in bytes.
const LINE_MAX: usize = 2048;

/// Date ranges in one playlist of everything that is kept: with [`LINE_MAX`] at most 1 MB, and 100 kB as they usually are.
const RANGES_MAX: usize = 512;

/// Those of them in a playlist of the live window, which is sent with every part: the newest.
pub(super) const LIVE_RANGES_MAX: usize = 64;

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

/// The date ranges of a playlist, by their time. The oldest goes when there is one too many.
#[derive(Clone, Debug, Default)]
pub(super) struct DateRanges(VecDeque<DateRange>);

impl DateRanges {
    /// Adds one, unless it is there.
    pub(super) fn add(&mut self, range: DateRange) {
        let place = self.0.partition_point(|one| one.start_ms <= range.start_ms);
        let same = self.0.iter().take(place).rev();
        let mut same = same.take_while(|one| one.start_ms == range.start_ms);
        if same.any(|one| one.line == range.line) {
            return;
        }
        self.0.insert(place, range);
        if self.0.len() > RANGES_MAX {
            self.0.pop_front();
        }
    }

    pub(super) fn forget_before(&mut self, date_ms: u64) {
        let gone = self.0.partition_point(|one| one.start_ms < date_ms);
        self.0.drain(..gone);
    }

    /// The newest of those that are not before `date_ms`, at most `most`.
    pub(super) fn since(&self, date_ms: u64, most: usize) -> impl Iterator<Item = &DateRange> {
        let first = self.0.partition_point(|one| one.start_ms < date_ms);
        let first = first.max(self.0.len().saturating_sub(most));
        self.0.range(first..)
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
            ranges.add(range(at));
        }
        let times = |ranges: &DateRanges, from, most| {
            let all = ranges.since(from, most).map(DateRange::start_ms);
            all.collect::<Vec<u64>>()
        };
        assert_eq!(times(&ranges, 0, 10), [3, 5, 9]);
        assert_eq!(times(&ranges, 4, 10), [5, 9]);
        assert_eq!(times(&ranges, 0, 1), [9]);
        ranges.forget_before(5);
        assert_eq!(times(&ranges, 0, 10), [5, 9]);
        (100..100 + 2 * RANGES_MAX as u64).for_each(|at| ranges.add(range(at)));
        assert_eq!(times(&ranges, 0, usize::MAX).len(), RANGES_MAX);
    }
}
