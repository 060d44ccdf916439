//! As much of a playlist as a viewer needs to know what comes next.

use anyhow::{Context, Result, ensure};

/// A part's place: its segment's number and its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Edge {
    pub(super) msn: u64,
    pub(super) part: u64,
}

/// A live media playlist.
#[derive(Debug)]
pub(super) struct Media {
    parts: Vec<(Edge, String)>,
    next: Edge,
    /// When the last listed part ends by the program's date and time, in Unix milliseconds.
    pub(super) end_ms: Option<i64>,
}

impl Media {
    pub(super) fn parse(text: &str) -> Result<Self> {
        ensure!(
            text.starts_with("#EXTM3U"),
            "this is no playlist: {text:.60}"
        );
        let mut next = Edge { msn: 0, part: 0 };
        let mut parts = Vec::new();
        let (mut end_ms, mut segment_s) = (None, 0.0);
        for line in text.lines() {
            if let Some(number) = line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:") {
                next.msn = number.parse()?;
            } else if let Some(rest) = line.strip_prefix("#EXT-X-SKIP:") {
                let skipped = attribute(rest, "SKIPPED-SEGMENTS=").context("a skip of nothing")?;
                next.msn += skipped.parse::<u64>()?;
            } else if let Some(date) = line.strip_prefix("#EXT-X-PROGRAM-DATE-TIME:") {
                end_ms = Some(unix_ms(date).with_context(|| format!("no date: {date}"))?);
            } else if let Some(rest) = line.strip_prefix("#EXTINF:") {
                segment_s = rest.trim_end_matches(',').parse()?;
            } else if let Some(rest) = line.strip_prefix("#EXT-X-PART:") {
                let uri = attribute(rest, "URI=").context("a part without URI")?;
                parts.push((next, uri.trim_matches('"').to_owned()));
                next.part += 1;
                let seconds: f64 = attribute(rest, "DURATION=")
                    .context("a part without duration")?
                    .parse()?;
                end_ms = end_ms.map(|at| at + (seconds * 1000.0) as i64);
            } else if !line.starts_with('#') && !line.is_empty() {
                if next.part == 0 {
                    end_ms = end_ms.map(|at| at + (segment_s * 1000.0) as i64);
                }
                next = Edge {
                    msn: next.msn + 1,
                    part: 0,
                };
            }
        }
        Ok(Self {
            parts,
            next,
            end_ms,
        })
    }

    /// The part that does not exist yet.
    pub(super) fn next(&self) -> Edge {
        self.next
    }

    pub(super) fn parts_from(&self, edge: Edge) -> impl Iterator<Item = &str> {
        let new = self.parts.iter().filter(move |(at, _)| *at >= edge);
        new.map(|(_, uri)| uri.as_str())
    }
}

fn attribute<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.split(',').find_map(|one| one.strip_prefix(name))
}

/// `2026-01-31T12:34:56.789Z` in Unix milliseconds.
fn unix_ms(date: &str) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| date.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    // Days since 1970 by the proleptic Gregorian calendar, counted in years that begin in March.
    let (from_march, shifted) = ((month + 9) % 12, if month <= 2 { year - 1 } else { year });
    let days = 365 * shifted + shifted / 4 - shifted / 100
        + shifted / 400
        + (from_march * 306 + 5) / 10
        + (day - 1)
        - 719_468;
    let seconds = ((days * 24 + number(11..13)?) * 60 + number(14..16)?) * 60 + number(17..19)?;
    Some(seconds * 1000 + number(20..23).unwrap_or(0))
}

/// The URI of the first variant of a multivariant playlist.
pub(super) fn first_variant(text: &str) -> Result<&str> {
    let mut after = text
        .lines()
        .skip_while(|line| !line.starts_with("#EXT-X-STREAM-INF"));
    after.nth(1).context("no variant in the playlist")
}

/// Splits `http://host:port/path`.
pub(super) fn address(url: &str) -> Result<(String, String)> {
    let rest = url.strip_prefix("http://").context("not http://")?;
    let (host, path) = rest.split_once('/').context("no path")?;
    Ok((host.to_owned(), format!("/{path}")))
}

/// What `uri`, relative, means in the playlist at `path`.
pub(super) fn resolve(path: &str, uri: &str) -> String {
    if uri.starts_with('/') {
        return uri.to_owned();
    }
    let plain = path.split('?').next().unwrap_or(path);
    let mut folder: Vec<&str> = plain.split('/').collect();
    folder.pop();
    for step in uri.split('/') {
        match step {
            ".." => drop(folder.pop()),
            "." => {}
            step => folder.push(step),
        }
    }
    folder.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_part_follows_what_is_listed() {
        let text = "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:7\n#EXT-X-PROGRAM-DATE-TIME:2026-03-01T00:00:01.500Z\n#EXTINF:2.00000,\na.m4s\n\
            #EXT-X-PART:DURATION=0.5,URI=\"b.0.m4s\",INDEPENDENT=YES\n#EXT-X-PART:DURATION=0.5,URI=\"b.1.m4s\"\n";
        let media = Media::parse(text).unwrap();
        assert_eq!(media.next(), Edge { msn: 8, part: 2 });
        let new: Vec<&str> = media.parts_from(Edge { msn: 8, part: 1 }).collect();
        assert_eq!(new, ["b.1.m4s"]);
        assert_eq!(media.end_ms, Some(1_772_323_204_500));
    }

    #[test]
    fn relative_addresses_are_followed() {
        assert_eq!(
            resolve("/live/a.m3u8", "../hls/a/main/video.m3u8?x=1"),
            "/hls/a/main/video.m3u8?x=1"
        );
        assert_eq!(
            resolve("/hls/a/main/video.m3u8", "p.m4s"),
            "/hls/a/main/p.m4s"
        );
    }
}
