//! A life as its index tells it: the sum of its lines.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::index::Line;
use super::resume::Constants;
use crate::media::StreamKey;

/// A segment that is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentEntry {
    /// Media sequence number. Jumps where segments were dropped or pruned.
    pub msn: u64,
    /// Decode time of its first frame in ticks since the life's begin.
    pub start: i64,
    /// In ticks.
    pub duration: u64,
    /// Ticks per second, not 0.
    pub timescale: u32,
    /// The initialisation segment that it needs.
    pub init: u32,
    /// Parts in it.
    pub parts: u32,
    /// Program date time, ms since 1970.
    pub date_ms: u64,
    /// As the packager said; or because segments before it are missing here or in another rendition.
    pub discontinuity: bool,
    /// As the packager said, and one more for each hole before it.
    pub discontinuity_sequence: u64,
    /// Whether it begins with a keyframe.
    pub independent: bool,
    /// How many of its first bytes are its keyframe alone; 0 if that is not known.
    pub keyframe_bytes: u32,
    /// Bytes.
    pub len: u64,
    /// The chunk that has it: the first segment's number.
    pub(super) chunk: u64,
    /// Where in the chunk.
    pub(super) offset: u64,
    pub(super) crc: u32,
}

impl SegmentEntry {
    /// The segment as a [`hls::Timeline`] takes it: without its bytes, which no playlist needs. `rendition` is whatever
    /// place the caller has for it.
    #[must_use]
    pub fn to_hls(&self, rendition: usize) -> hls::Segment {
        hls::Segment {
            rendition,
            msn: self.msn,
            start: self.start,
            duration: self.duration,
            timescale: self.timescale,
            init: self.init,
            discontinuity: self.discontinuity,
            discontinuity_sequence: self.discontinuity_sequence,
            independent: self.independent,
            date_ms: self.date_ms,
            bytes: Bytes::new(),
            parts: self.parts,
            keyframe_bytes: self.keyframe_bytes,
            // What comes next is another process's.
            is_last: true,
        }
    }

    /// The line that goes before its own.
    pub(super) fn keyframe(&self, rendition: &str) -> Option<Line> {
        (self.keyframe_bytes > 0).then(|| Line::Keyframe {
            rendition: rendition.to_owned(),
            msn: self.msn,
            bytes: self.keyframe_bytes,
        })
    }

    /// Begin in ms since the life's begin, rounded down.
    pub(super) fn start_ms(&self) -> i64 {
        let ms = i128::from(self.start) * 1000 / i128::from(self.timescale);
        i64::try_from(ms).unwrap_or(i64::MAX)
    }

    /// End in ms since the life's begin, rounded down.
    pub(super) fn end_ms(&self) -> i64 {
        let end = i128::from(self.start) + i128::from(self.duration);
        i64::try_from(end * 1000 / i128::from(self.timescale)).unwrap_or(i64::MAX)
    }

    fn duration_ms(&self) -> u64 {
        let ms = u128::from(self.duration) * 1000 / u128::from(self.timescale);
        u64::try_from(ms).unwrap_or(u64::MAX)
    }
}

/// One rendition of a life, as it is on disk.
#[derive(Debug, Clone)]
pub struct Reel {
    /// What it is; the bit rates are those of the segments here.
    pub info: hls::RenditionInfo,
    /// In the order of their numbers.
    pub segments: Vec<SegmentEntry>,
    /// Whether nothing is missing since the life's begin, so that `EXT-X-PLAYLIST-TYPE:EVENT` is no lie.
    pub whole: bool,
}

/// How far a recording is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordingState {
    /// It grows.
    Recording,
    /// It would grow, but the disk or the quota is full; see [`super::Archive::trouble`].
    Stopped,
    /// The life has ended.
    Finished,
}

/// What may be known of a life without looking into it. Of a life that was kept in part, times, bytes and thumbnails
/// are those of the kept part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// The life.
    pub id: Arc<str>,
    /// Whose.
    pub key: StreamKey,
    /// When its first picture was, in ms since 1970.
    pub started_ms: u64,
    /// How long it is in ms, without what was pruned or lost.
    pub duration_ms: u64,
    /// On disk.
    pub bytes: u64,
    /// How far it is.
    pub state: RecordingState,
    /// Whether there is anything that stays; otherwise it is a DVR window, gone ten minutes after the end.
    pub kept: bool,
    /// Whether it is being kept right now, so that what comes next stays as well.
    pub keeping: bool,
    /// When it ended, in ms since 1970; 0 until then.
    pub ended_ms: u64,
    /// Segments that were dropped because the disk was too slow or full.
    pub lost: u64,
    /// When pictures were taken, in seconds since the life's begin, ascending.
    pub thumbnails: Arc<[u64]>,
}

/// Moments of one life that players are told of: what a playlist lists at most, one a second for nearly three hours.
pub(super) const DATERANGES_MAX: usize = 10_000;

/// How far apart renditions are cut at what is the same moment.
const TOLERANCE_MS: i64 = 500;

/// One rendition.
#[derive(Debug, Clone)]
pub(super) struct Track {
    pub(super) info: hls::RenditionInfo,
    /// Numbers and lengths.
    pub(super) inits: Vec<(u32, u64)>,
    /// Number and bytes of a keyframe whose segment's line comes next.
    keyframe: Option<(u64, u32)>,
    pub(super) chunks: VecDeque<Chunk>,
}

/// A file of segments.
#[derive(Debug, Clone)]
pub(super) struct Chunk {
    pub(super) first_msn: u64,
    pub(super) keep: bool,
    pub(super) bytes: u64,
    /// Never empty.
    pub(super) segments: Vec<SegmentEntry>,
}

impl Chunk {
    fn first(&self) -> Option<&SegmentEntry> {
        self.segments.first()
    }

    /// End in ms since the life's begin.
    pub(super) fn end_ms(&self) -> i64 {
        self.segments.last().map_or(0, SegmentEntry::end_ms)
    }

    /// Lines of an index that tell of it.
    pub(super) fn lines(&self) -> usize {
        let keyframes = self.segments.iter().filter(|one| one.keyframe_bytes > 0);
        self.segments.len() + keyframes.count()
    }

    /// End in bytes of its file.
    pub(super) fn end_offset(&self) -> u64 {
        self.segments
            .last()
            .map_or(0, |entry| entry.offset + entry.len)
    }
}

/// The sum of an index.
#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    pub(super) life: String,
    pub(super) origin_ms: u64,
    pub(super) keep: bool,
    /// Whether what comes now is a slate.
    pub(super) aside: bool,
    /// Of its playlists, when they are known.
    pub(super) constants: Option<Constants>,
    pub(super) tracks: Vec<Track>,
    /// Seconds and lengths.
    pub(super) thumbnails: VecDeque<(u64, u64)>,
    /// In the order in which they came.
    pub(super) dateranges: VecDeque<hls::DateRange>,
    /// Media, initialisation segments and thumbnails.
    pub(super) bytes: u64,
    /// Segments that never came.
    pub(super) lost: u64,
}

impl Model {
    /// Adds a line. What contradicts earlier lines (numbers that go back, unknown renditions) changes nothing.
    pub(super) fn apply(&mut self, line: Line) {
        match line {
            Line::Begin { life, origin_ms } => {
                self.life = life;
                self.origin_ms = origin_ms;
            }
            Line::Rendition(info) => match self.track_mut(&info.name) {
                Some(track) => track.info = info,
                None => self.tracks.push(Track {
                    info,
                    inits: Vec::new(),
                    keyframe: None,
                    chunks: VecDeque::new(),
                }),
            },
            Line::Init {
                rendition,
                number,
                len,
            } => {
                if let Some(track) = self.track_mut(&rendition) {
                    let known = track.inits.iter().position(|init| init.0 == number);
                    let before = known.map_or(0, |place| track.inits.remove(place).1);
                    track.inits.push((number, len));
                    self.bytes = self.bytes + len - before;
                }
            }
            Line::Keyframe {
                rendition,
                msn,
                bytes,
            } => {
                if let Some(track) = self.track_mut(&rendition) {
                    track.keyframe = Some((msn, bytes));
                }
            }
            Line::Segment { rendition, entry } => self.add(&rendition, entry),
            Line::Thumbnail { at_s, len } => {
                if self.thumbnails.back().is_none_or(|last| last.0 < at_s) {
                    self.thumbnails.push_back((at_s, len));
                    self.bytes += len;
                }
            }
            Line::DateRange(range) => self.add_daterange(range),
            Line::Keep(keep) => self.keep = keep,
            Line::Constants(constants) => self.constants = Some(constants),
            Line::Aside(aside) => self.aside = aside,
            Line::KeepAll(keep) => {
                self.keep = keep;
                for chunk in self.tracks.iter_mut().flat_map(|track| &mut track.chunks) {
                    chunk.keep = keep;
                }
            }
            Line::Prune { rendition, chunk } => {
                let removed = self.track_mut(&rendition).and_then(|track| {
                    let place = track.chunks.iter().position(|one| one.first_msn == chunk)?;
                    track.chunks.remove(place)
                });
                self.bytes -= removed.map_or(0, |chunk| chunk.bytes);
            }
            Line::PruneThumbnail { at_s } => {
                if let Some(place) = self.thumbnails.iter().position(|one| one.0 == at_s) {
                    let removed = self.thumbnails.remove(place);
                    self.bytes -= removed.map_or(0, |one| one.1);
                }
            }
        }
    }

    fn add_daterange(&mut self, range: hls::DateRange) {
        self.dateranges.push_back(range);
        if self.dateranges.len() > DATERANGES_MAX {
            self.dateranges.pop_front();
        }
    }

    fn add(&mut self, rendition: &str, mut entry: SegmentEntry) {
        let keep = self.keep && !self.aside;
        let Some(track) = self.track_mut(rendition) else {
            return;
        };
        let last = track.last();
        if last.is_some_and(|last| last.msn >= entry.msn) {
            return;
        }
        let keyframe = track.keyframe.take();
        entry.keyframe_bytes = match keyframe {
            Some((msn, bytes)) if msn == entry.msn && u64::from(bytes) <= entry.len => bytes,
            _ => 0,
        };
        let bytes = entry.len;
        match track.chunks.back_mut() {
            Some(chunk) if chunk.first_msn == entry.chunk => {
                chunk.bytes += bytes;
                chunk.segments.push(entry);
            }
            _ => track.chunks.push_back(Chunk {
                first_msn: entry.chunk,
                keep,
                bytes,
                segments: vec![entry],
            }),
        }
        self.bytes += bytes;
    }

    pub(super) fn track(&self, rendition: &str) -> Option<&Track> {
        self.tracks
            .iter()
            .find(|track| track.info.name == rendition)
    }

    fn track_mut(&mut self, rendition: &str) -> Option<&mut Track> {
        self.tracks
            .iter_mut()
            .find(|track| track.info.name == rendition)
    }

    /// Every chunk with the name of its rendition.
    pub(super) fn chunks(&self) -> impl Iterator<Item = (&str, &Chunk)> {
        self.tracks.iter().flat_map(|track| {
            let name = track.info.name.as_str();
            track.chunks.iter().map(move |chunk| (name, chunk))
        })
    }

    /// Every rendition with its segments. Where any of them lacks some, all have a discontinuity: players match the
    /// renditions by counting them.
    pub(super) fn reels(&self) -> Vec<Reel> {
        let holes = self.holes();
        self.tracks.iter().map(|track| track.reel(&holes)).collect()
    }

    /// From when to when segments are missing, in ms since the life's begin, ascending and apart.
    fn holes(&self) -> Vec<(i64, i64)> {
        let mut holes = Vec::new();
        for track in &self.tracks {
            let segments = track.chunks.iter().flat_map(|chunk| &chunk.segments);
            let pairs = segments.clone().zip(segments.skip(1));
            let apart = pairs.filter(|(one, next)| one.msn + 1 != next.msn);
            holes.extend(apart.map(|(one, next)| (one.end_ms(), next.start_ms())));
        }
        holes.sort_unstable();
        let mut merged: Vec<(i64, i64)> = Vec::new();
        for (start, end) in holes {
            match merged.last_mut() {
                // Renditions are not cut at the same instant.
                Some(last) if start <= last.1 + TOLERANCE_MS => last.1 = last.1.max(end),
                _ => merged.push((start, end)),
            }
        }
        merged
    }

    pub(super) fn is_empty(&self) -> bool {
        self.chunks().next().is_none()
    }

    /// Lines that say all this, in an order in which they can be read: for an index that has grown too long.
    pub(super) fn lines(&self) -> Vec<Line> {
        let mut lines = vec![Line::Begin {
            life: self.life.clone(),
            origin_ms: self.origin_ms,
        }];
        lines.extend(self.constants.map(Line::Constants));
        for track in &self.tracks {
            let rendition = || track.info.name.clone();
            lines.push(Line::Rendition(track.info.clone()));
            lines.extend(track.inits.iter().map(|(number, len)| Line::Init {
                rendition: rendition(),
                number: *number,
                len: *len,
            }));
            for chunk in &track.chunks {
                lines.push(Line::Keep(chunk.keep));
                for entry in &chunk.segments {
                    lines.extend(entry.keyframe(&track.info.name));
                    lines.push(Line::Segment {
                        rendition: rendition(),
                        entry: entry.clone(),
                    });
                }
            }
        }
        let thumbnails = self.thumbnails.iter();
        lines.extend(thumbnails.map(|(at_s, len)| Line::Thumbnail {
            at_s: *at_s,
            len: *len,
        }));
        let begin_ms = self.chunks().filter_map(|(_, chunk)| chunk.first());
        let begin_ms = begin_ms.map(|entry| entry.date_ms).min().unwrap_or(0);
        let dateranges = self.dateranges.iter();
        let dateranges = dateranges.filter(|range| range.start_ms() >= begin_ms);
        lines.extend(dateranges.cloned().map(Line::DateRange));
        lines.push(Line::Keep(self.keep));
        if self.aside {
            lines.push(Line::Aside(true));
        }
        lines
    }

    /// Thumbnails of moments of which no chunk is left.
    pub(super) fn stale_thumbnails(&self) -> Vec<u64> {
        let is_stale = |at_s: u64| {
            let at_ms = i64::try_from(at_s * 1000).unwrap_or(i64::MAX);
            // A picture is taken at most ten seconds beside the moment that it stands for.
            let covers = |chunk: &Chunk| {
                let start = chunk.first().map_or(0, SegmentEntry::start_ms);
                (start - 10_000..chunk.end_ms() + 10_000).contains(&at_ms)
            };
            !self.chunks().any(|(_, chunk)| covers(chunk))
        };
        let moments = self.thumbnails.iter().map(|one| one.0);
        moments.filter(|at_s| is_stale(*at_s)).collect()
    }

    /// What may be known of it; it has to be told what no line says.
    pub(super) fn recording(
        &self,
        key: &StreamKey,
        state: RecordingState,
        ended_ms: u64,
    ) -> Recording {
        let kept = self.chunks().any(|(_, chunk)| chunk.keep);
        let counts = |chunk: &&Chunk| chunk.keep || !kept;
        let mut started_ms = u64::MAX;
        let mut range_ms = (i64::MAX, i64::MIN);
        let (mut duration_ms, mut bytes) = (0, 0);
        for track in &self.tracks {
            let mut of_track = 0;
            for chunk in track.chunks.iter().filter(counts) {
                let Some(first) = chunk.first() else { continue };
                started_ms = started_ms.min(first.date_ms);
                range_ms.0 = range_ms.0.min(first.start_ms());
                range_ms.1 = range_ms.1.max(chunk.end_ms());
                of_track += chunk
                    .segments
                    .iter()
                    .map(SegmentEntry::duration_ms)
                    .sum::<u64>();
                bytes += chunk.bytes;
            }
            duration_ms = duration_ms.max(of_track);
        }
        let within = |at_s: &u64| {
            let at_ms = i64::try_from(at_s * 1000).unwrap_or(i64::MAX);
            (range_ms.0.saturating_sub(10_000)..range_ms.1).contains(&at_ms)
        };
        Recording {
            id: self.life.as_str().into(),
            key: key.clone(),
            started_ms: if duration_ms == 0 {
                self.origin_ms
            } else {
                started_ms
            },
            duration_ms,
            bytes,
            state,
            kept,
            keeping: self.keep,
            ended_ms,
            lost: self.lost,
            thumbnails: self
                .thumbnails
                .iter()
                .map(|one| one.0)
                .filter(within)
                .collect(),
        }
    }
}

impl Track {
    pub(super) fn last(&self) -> Option<&SegmentEntry> {
        self.chunks.back()?.segments.last()
    }

    /// The segment with this number.
    pub(super) fn segment(&self, msn: u64) -> Option<&SegmentEntry> {
        let place = self.chunks.partition_point(|chunk| chunk.first_msn <= msn);
        let segments = &self.chunks.get(place.checked_sub(1)?)?.segments;
        let place = segments
            .binary_search_by_key(&msn, |entry| entry.msn)
            .ok()?;
        segments.get(place)
    }

    /// Everything, or what is kept alone.
    pub(super) fn segments(&self, kept_only: bool) -> Vec<SegmentEntry> {
        let chunks = self.chunks.iter();
        chunks
            .filter(|chunk| chunk.keep || !kept_only)
            .flat_map(|chunk| chunk.segments.iter().cloned())
            .collect()
    }

    /// What HTTP sees. `holes` are those of all renditions.
    fn reel(&self, holes: &[(i64, i64)]) -> Reel {
        let mut segments = self.segments(false);
        mark_holes(&mut segments, holes);
        let span = segments.last().map_or(0, |last| last.msn);
        let (peak, average) = rates(&segments, |entry| entry.len);
        let keyframes = rates(&segments, |entry| entry.keyframe_bytes.into());
        Reel {
            whole: segments.len() as u64 == span,
            info: hls::RenditionInfo {
                bandwidth_peak: peak,
                bandwidth_average: average,
                keyframe_peak: keyframes.0,
                keyframe_average: keyframes.1,
                init: self.inits.last().map(|init| init.0),
                ..self.info.clone()
            },
            segments,
        }
    }
}

/// The highest bit rate of a segment and the average of all, in bit/s, of what `bytes` counts.
fn rates(segments: &[SegmentEntry], bytes: fn(&SegmentEntry) -> u64) -> (u64, u64) {
    let (mut bits, mut duration_ms, mut peak) = (0, 0, 0);
    for entry in segments {
        bits += bytes(entry) * 8;
        duration_ms += entry.duration_ms();
        // A very short one says nothing.
        if let ms @ 500.. = entry.duration_ms() {
            peak = peak.max(bytes(entry) * 8 * 1000 / ms);
        }
    }
    let average = (bits * 1000).checked_div(duration_ms).unwrap_or(0);
    (peak.max(average), average)
}

/// Counts a discontinuity where a hole ends, whether or not this rendition has it.
fn mark_holes(segments: &mut [SegmentEntry], holes: &[(i64, i64)]) {
    let mut counted = 0;
    for (place, entry) in segments.iter_mut().enumerate() {
        let is_after = |hole: &&(i64, i64)| hole.1 - TOLERANCE_MS <= entry.start_ms();
        let before = holes.iter().take_while(is_after).count();
        // What lies before the first segment is counted, but is no step from one to the next.
        entry.discontinuity |= before > counted && place > 0;
        counted = before;
        entry.discontinuity_sequence += counted as u64;
    }
}
