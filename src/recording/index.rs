//! The lines of an index: what they say, and how a torn one is told from a whole one.

use std::fmt::Write as _;
use std::str::{FromStr, Split};

use super::layout;
use super::model::SegmentEntry;
use super::resume::Constants;

/// The format of the index; a later one refuses what it cannot read.
const VERSION: u32 = 1;

/// Between a line and its checksum.
const MARK: &str = " *";

/// One event in a life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    /// Comes first.
    Begin { life: String, origin_ms: u64 },
    /// A rendition, as it is from here on.
    Rendition(hls::RenditionInfo),
    /// An initialisation segment's file is there.
    Init {
        rendition: String,
        number: u32,
        len: u64,
    },
    /// So many of the first bytes of the segment whose line comes next are its keyframe alone. A line of its own, so that older
    /// versions still read the segment's.
    Keyframe {
        rendition: String,
        msn: u64,
        bytes: u32,
    },
    /// A segment's bytes are in its chunk.
    Segment {
        rendition: String,
        entry: SegmentEntry,
    },
    /// A thumbnail's file is there.
    Thumbnail { at_s: u64, len: u64 },
    /// A moment that players are told of.
    DateRange(hls::DateRange),
    /// Chunks that begin after this are kept, or not.
    Keep(bool),
    /// Chunks that begin after this stand for a publisher who is away, and are not kept whatever else is said; or no longer.
    Aside(bool),
    /// All chunks so far, and later ones, are kept or not.
    KeepAll(bool),
    /// What playlists say and never change.
    Constants(Constants),
    /// A chunk is going to be deleted.
    Prune { rendition: String, chunk: u64 },
    /// A thumbnail is going to be deleted.
    PruneThumbnail { at_s: u64 },
}

/// CRC-32 of some bytes.
pub(super) fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// A line of whatever file here: the text, its checksum, a line feed.
pub(super) fn seal(text: &str) -> String {
    format!("{text}{MARK}{:08x}\n", checksum(text.as_bytes()))
}

/// The text of a sealed line without its line feed; nothing when it is torn or damaged.
pub(super) fn unseal(line: &str) -> Option<&str> {
    let (text, sum) = line.rsplit_once(MARK)?;
    let sum = u32::from_str_radix(sum, 16)
        .ok()
        .filter(|_| sum.len() == 8)?;
    (checksum(text.as_bytes()) == sum).then_some(text)
}

impl Line {
    /// The line as it stands in the file.
    pub(super) fn encode(&self) -> String {
        let mut text = String::with_capacity(120);
        // Writing to a string cannot fail.
        let _ = match self {
            Self::Begin { life, origin_ms } => {
                write!(text, "begin {VERSION} {life} {origin_ms}")
            }
            Self::Rendition(info) => write_rendition(&mut text, info),
            Self::Init {
                rendition,
                number,
                len,
            } => write!(text, "init {rendition} {number} {len}"),
            Self::Keyframe {
                rendition,
                msn,
                bytes,
            } => write!(text, "keyframe {rendition} {msn} {bytes}"),
            Self::Segment { rendition, entry } => write_segment(&mut text, rendition, entry),
            Self::Thumbnail { at_s, len } => write!(text, "thumbnail {at_s} {len}"),
            Self::DateRange(range) => {
                write!(text, "daterange {} {}", range.start_ms(), range.line())
            }
            Self::Keep(keep) => write!(text, "keep {}", u8::from(*keep)),
            Self::Aside(aside) => write!(text, "aside {}", u8::from(*aside)),
            Self::KeepAll(keep) => write!(text, "keep-all {}", u8::from(*keep)),
            Self::Constants(Constants { part_ms, target_s }) => {
                write!(text, "constants {part_ms} {target_s}")
            }
            Self::Prune { rendition, chunk } => write!(text, "prune {rendition} {chunk}"),
            Self::PruneThumbnail { at_s } => write!(text, "prune-thumbnail {at_s}"),
        };
        seal(&text)
    }

    /// What a line without its line feed says; nothing when it is torn, damaged, or speaks of names that are none.
    pub(super) fn decode(line: &str) -> Option<Self> {
        let mut words = Words(unseal(line)?.split(' '));
        let line = match words.text()? {
            "begin" => {
                if words.next::<u32>()? != VERSION {
                    return None;
                }
                Self::Begin {
                    life: words.checked(layout::is_life)?,
                    origin_ms: words.next()?,
                }
            }
            "rendition" => Self::Rendition(read_rendition(&mut words)?),
            "init" => Self::Init {
                rendition: words.checked(layout::is_rendition)?,
                number: words.next()?,
                len: words.next()?,
            },
            "keyframe" => Self::Keyframe {
                rendition: words.checked(layout::is_rendition)?,
                msn: words.next()?,
                bytes: words.next()?,
            },
            "segment" => Self::Segment {
                rendition: words.checked(layout::is_rendition)?,
                entry: read_segment(&mut words)?,
            },
            "thumbnail" => Self::Thumbnail {
                at_s: words.next()?,
                len: words.next()?,
            },
            "daterange" => {
                let start_ms = words.next()?;
                Self::DateRange(hls::DateRange::from_line(start_ms, words.text()?)?)
            }
            "keep" => Self::Keep(words.flag()?),
            "aside" => Self::Aside(words.flag()?),
            "keep-all" => Self::KeepAll(words.flag()?),
            "constants" => Self::Constants(Constants {
                part_ms: words.next()?,
                target_s: words.next()?,
            }),
            "prune" => Self::Prune {
                rendition: words.checked(layout::is_rendition)?,
                chunk: words.next()?,
            },
            "prune-thumbnail" => Self::PruneThumbnail {
                at_s: words.next()?,
            },
            _ => return None,
        };
        words.text().is_none().then_some(line)
    }
}

fn write_rendition(text: &mut String, info: &hls::RenditionInfo) -> std::fmt::Result {
    let is_plain = |codec: &str| codec.bytes().all(|byte| byte.is_ascii_graphic());
    // An empty word could not be read back.
    let codec = match info.codec.as_str() {
        codec if !codec.is_empty() && is_plain(codec) => codec,
        _ => "-",
    };
    write!(
        text,
        "rendition {} {} {codec} {} {} {} {}",
        info.name,
        kind_name(info.kind),
        info.width,
        info.height,
        info.frame_rate_milli,
        info.channels
    )
}

fn read_rendition(words: &mut Words<'_>) -> Option<hls::RenditionInfo> {
    Some(hls::RenditionInfo {
        name: words.checked(layout::is_rendition)?,
        kind: kind(words.text()?)?,
        codec: match words.text()? {
            "-" => String::new(),
            codec => codec.to_owned(),
        },
        width: words.next()?,
        height: words.next()?,
        frame_rate_milli: words.next()?,
        channels: words.next()?,
        bandwidth_peak: 0,
        bandwidth_average: 0,
        keyframe_peak: 0,
        keyframe_average: 0,
        // The index does not say.
        may_have_captions: true,
        init: None,
        active: false,
    })
}

fn write_segment(text: &mut String, rendition: &str, entry: &SegmentEntry) -> std::fmt::Result {
    write!(
        text,
        "segment {rendition} {} {} {} {} {:08x} {} {} {} {} {} {} {} {} {}",
        entry.msn,
        entry.chunk,
        entry.offset,
        entry.len,
        entry.crc,
        entry.start,
        entry.duration,
        entry.timescale,
        entry.init,
        entry.parts,
        entry.date_ms,
        entry.discontinuity_sequence,
        u8::from(entry.discontinuity),
        u8::from(entry.independent)
    )
}

fn read_segment(words: &mut Words<'_>) -> Option<SegmentEntry> {
    let entry = SegmentEntry {
        msn: words.next()?,
        chunk: words.next()?,
        offset: words.next()?,
        len: words.next()?,
        crc: u32::from_str_radix(words.text()?, 16).ok()?,
        start: words.next()?,
        duration: words.next()?,
        timescale: words.next()?,
        init: words.next()?,
        parts: words.next()?,
        date_ms: words.next()?,
        discontinuity_sequence: words.next()?,
        discontinuity: words.flag()?,
        independent: words.flag()?,
        // Another line has it.
        keyframe_bytes: 0,
    };
    (entry.timescale > 0).then_some(entry)
}

fn kind_name(kind: hls::CodecKind) -> &'static str {
    match kind {
        hls::CodecKind::H264 => "h264",
        hls::CodecKind::Vp9 => "vp9",
        hls::CodecKind::Av1 => "av1",
        hls::CodecKind::Opus => "opus",
        hls::CodecKind::Aac => "aac",
        hls::CodecKind::Vp8 => "vp8",
        hls::CodecKind::Pcmu => "pcmu",
        hls::CodecKind::Pcma => "pcma",
    }
}

fn kind(name: &str) -> Option<hls::CodecKind> {
    use hls::CodecKind::{Aac, Av1, H264, Opus, Vp9};
    [H264, Vp9, Av1, Opus, Aac]
        .into_iter()
        .find(|kind| kind_name(*kind) == name)
}

/// The words of a line, one after the other.
struct Words<'a>(Split<'a, char>);

impl<'a> Words<'a> {
    fn text(&mut self) -> Option<&'a str> {
        self.0.next()
    }

    fn next<T: FromStr>(&mut self) -> Option<T> {
        self.text()?.parse().ok()
    }

    fn checked(&mut self, is_valid: fn(&str) -> bool) -> Option<String> {
        self.text().filter(|text| is_valid(text)).map(str::to_owned)
    }

    fn flag(&mut self) -> Option<bool> {
        match self.text()? {
            "0" => Some(false),
            "1" => Some(true),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment() -> SegmentEntry {
        SegmentEntry {
            msn: 7,
            chunk: 5,
            offset: 1234,
            len: 99,
            crc: 0xdead_beef,
            start: -3,
            duration: 180_000,
            timescale: 90_000,
            init: 1,
            parts: 4,
            date_ms: 1_700_000_000_123,
            discontinuity_sequence: 2,
            discontinuity: true,
            independent: true,
            keyframe_bytes: 0,
        }
    }

    fn examples() -> Vec<Line> {
        let info = hls::RenditionInfo {
            name: "video0".to_owned(),
            kind: hls::CodecKind::H264,
            codec: "avc1.64001f".to_owned(),
            width: 1280,
            height: 720,
            frame_rate_milli: 29_970,
            bandwidth_peak: 0,
            bandwidth_average: 0,
            keyframe_peak: 0,
            keyframe_average: 0,
            channels: 0,
            may_have_captions: true,
            init: None,
            active: false,
        };
        let entry = segment();
        let rendition = || "video0".to_owned();
        vec![
            Line::Begin {
                life: "00c0ffee".to_owned(),
                origin_ms: 1_700_000_000_000,
            },
            Line::Rendition(hls::RenditionInfo {
                codec: String::new(),
                ..info.clone()
            }),
            Line::Rendition(info),
            Line::Init {
                rendition: rendition(),
                number: 1,
                len: 700,
            },
            Line::Keyframe {
                rendition: rendition(),
                msn: 7,
                bytes: 50,
            },
            Line::Segment {
                rendition: rendition(),
                entry,
            },
            Line::Thumbnail { at_s: 20, len: 900 },
            Line::DateRange(hls::DateRange::moment(
                "1700000000000000",
                "cue",
                1_700_000_000_000,
                &[("X-VALUE", "\"lights on\" * 00000000\n")],
            )),
            Line::Keep(true),
            Line::KeepAll(false),
            Line::Aside(true),
            Line::Constants(Constants {
                part_ms: 500,
                target_s: 10,
            }),
            Line::Prune {
                rendition: rendition(),
                chunk: 5,
            },
            Line::PruneThumbnail { at_s: 10 },
        ]
    }

    #[test]
    fn every_line_is_read_back_and_no_torn_or_damaged_one_is() {
        for line in examples() {
            let text = line.encode();
            let whole = text.strip_suffix('\n').unwrap();
            assert_eq!(Line::decode(whole).as_ref(), Some(&line), "{text}");
            for end in 0..whole.len() {
                assert_eq!(Line::decode(&whole[..end]), None, "{}", &whole[..end]);
            }
            for place in 0..whole.len() {
                let mut damaged = whole.as_bytes().to_vec();
                damaged[place] ^= 1;
                let damaged = String::from_utf8(damaged).unwrap();
                assert_eq!(Line::decode(&damaged), None, "{damaged}");
            }
        }
    }

    #[test]
    fn whole_lines_with_names_that_are_none_or_words_too_many_say_nothing() {
        for text in [
            "prune ../../etc 1",
            "init video/0 0 1",
            "begin 1 ../../aa 0",
            "begin 2 00c0ffee 0",
            "keep 1 1",
            "keep 2",
            "segment video 1 1 0 1 00000000 0 1 0 0 1 0 0 0 0",
            "thumbnail -1 1",
            "",
        ] {
            let line = seal(text);
            assert_eq!(Line::decode(line.trim_end()), None, "{text}");
        }
    }
}
