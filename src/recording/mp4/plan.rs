//! Which segments are in the file, and when.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use bytes::Bytes;
use mp4_atom::Codec;
use transcode::lacks_sound;

use super::Mp4;
use super::header::{AUDIO_TRACK, Init, VIDEO_TRACK};
use super::weave;
use crate::recording::archive::Location;
use crate::recording::layout;
use crate::recording::model::{Model, SegmentEntry, Track};

/// A segment of AAC with more bytes for each unit and channel is nearly all sound, which has 170 of them and more where it is
/// loud: a unit without sound has eight, and eight in a table.
const AAC_UNIT_MIN: u64 = 150;

/// Of two renditions the better one is taken if it covers so much of what the longest covers, in percent.
const COVERAGE_MIN: u64 = 95;

/// Less than this without anything is no hole: sound and pictures do not end at the same instant.
const HOLE_MIN_MS: i64 = 500;

/// A track of the file.
pub(super) struct Chosen<'a> {
    pub(super) name: &'a str,
    pub(super) id: u32,
    /// Of its first segment.
    pub(super) init: Init,
    /// The sample entries.
    pub(super) codecs: Vec<Codec>,
    /// For each initialisation segment the number of its sample entry, from 1.
    pub(super) descriptions: BTreeMap<u32, u32>,
    /// What is put before the keyframes of each sample entry; nothing when there is one entry alone.
    pub(super) prefixes: Vec<Bytes>,
    pub(super) segments: Vec<SegmentEntry>,
}

/// Something was sent from `start` to `end`, in ms since the life's begin; `earlier` is how much earlier in the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Run {
    start: i64,
    end: i64,
    earlier: i64,
}

/// The file, if there is anything for it; of `samples_max` samples at most.
pub(super) fn plan(directory: &Path, model: &Model, samples_max: u64) -> io::Result<Option<Mp4>> {
    let kept_only = model.chunks().any(|(_, chunk)| chunk.keep);
    let video = choose(directory, model, VIDEO_TRACK, kept_only)?;
    let audio = choose(directory, model, AUDIO_TRACK, kept_only)?;
    let tracks: Vec<Chosen<'_>> = video.into_iter().chain(audio).collect();
    let runs = runs(tracks.iter().flat_map(|track| &track.segments));
    weave::weave(directory, tracks, &runs, samples_max)
}

/// The best rendition for a track: pictures by height, sound as AAC; but none that is there for a part of the time
/// only, and no AAC that was packaged while nobody wanted it.
fn choose<'a>(
    directory: &Path,
    model: &'a Model,
    id: u32,
    kept_only: bool,
) -> io::Result<Option<Chosen<'a>>> {
    let wanted = model
        .tracks
        .iter()
        .filter(|track| track.info.kind.is_video() == (id == VIDEO_TRACK));
    let mut candidates: Vec<(&Track, Vec<SegmentEntry>)> = wanted
        .map(|track| (track, track.segments(kept_only)))
        .collect();
    let covered = |segments: &[SegmentEntry]| -> u64 {
        let lengths = segments
            .iter()
            .map(|entry| entry.end_ms() - entry.start_ms());
        u64::try_from(lengths.sum::<i64>()).unwrap_or(0)
    };
    let most = candidates.iter().map(|one| covered(&one.1)).max();
    candidates.retain(|one| covered(&one.1) * 100 >= most.unwrap_or(0) * COVERAGE_MIN);
    candidates.sort_by_key(|(track, segments)| {
        let bytes: u64 = segments.iter().map(|entry| entry.len).sum();
        let is_aac = track.info.kind == hls::CodecKind::Aac;
        std::cmp::Reverse((is_aac, track.info.height, bytes))
    });
    for (track, segments) in candidates {
        if track.info.kind == hls::CodecKind::Aac && has_places(directory, track, &segments)? {
            continue;
        }
        if let Some(chosen) = prepare(directory, track, id, segments)? {
            return Ok(Some(chosen));
        }
    }
    Ok(None)
}

/// Whether some of it was written while nobody wanted AAC, without its sound. What is kept from its beginning has all. Of a segment
/// in the middle, less than a tenth may go unnoticed: that takes somebody who asks again at that moment.
fn has_places(directory: &Path, track: &Track, segments: &[SegmentEntry]) -> io::Result<bool> {
    let unit_min = AAC_UNIT_MIN * u64::from(track.info.channels.max(1));
    let is_small = |entry: &SegmentEntry| entry.len * 1024 < entry.duration * unit_min;
    let all = segments.iter().enumerate();
    let suspects = all.filter(|(place, entry)| *place == 0 || is_small(entry));
    for (_, entry) in suspects {
        let location = Location {
            path: layout::chunk(directory, &track.info.name, entry.chunk),
            offset: entry.offset,
            len: entry.len,
        };
        if lacks_sound(&location.read()?) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn prepare<'a>(
    directory: &Path,
    track: &'a Track,
    id: u32,
    mut segments: Vec<SegmentEntry>,
) -> io::Result<Option<Chosen<'a>>> {
    let name = track.info.name.as_str();
    let mut inits = BTreeMap::new();
    for (number, len) in &track.inits {
        let location = Location {
            path: layout::init(directory, name, *number),
            offset: 0,
            len: *len,
        };
        if segments.iter().any(|entry| entry.init == *number)
            && let Some(init) = Init::read(&location.read()?, id)
        {
            inits.insert(*number, init);
        }
    }
    // The one that most of the segments need says what the track is.
    let uses = |number: &u32| {
        segments
            .iter()
            .filter(|entry| entry.init == *number)
            .count()
    };
    let Some(main) = inits.keys().copied().max_by_key(uses) else {
        return Ok(None);
    };
    if let Some(like) = inits.remove(&main) {
        inits.retain(|_, other| other.is_like(&like));
        inits.insert(main, like);
    }
    let before = segments.len();
    segments.retain(|entry| inits.contains_key(&entry.init));
    if segments.len() < before {
        let left_out = before - segments.len();
        tracing::warn!(directory = %directory.display(), rendition = name, left_out, "segments of another codec are not in the MP4 file");
    }
    Ok(describe(name, id, inits, segments))
}

/// Gives each initialisation segment that says something else a sample entry, in the order in which they are used.
fn describe(
    name: &str,
    id: u32,
    mut inits: BTreeMap<u32, Init>,
    segments: Vec<SegmentEntry>,
) -> Option<Chosen<'_>> {
    let (mut codecs, mut prefixes) = (Vec::<Codec>::new(), Vec::new());
    let mut descriptions = BTreeMap::new();
    for entry in &segments {
        if descriptions.contains_key(&entry.init) {
            continue;
        }
        let init = inits.get(&entry.init)?;
        let codec = init.codec()?;
        let known = codecs.iter().position(|one| one == codec);
        let place = known.unwrap_or(codecs.len());
        if known.is_none() {
            codecs.push(codec.clone());
            prefixes.push(init.parameter_sets());
        }
        descriptions.insert(entry.init, u32::try_from(place + 1).ok()?);
    }
    if let [prefix] = prefixes.as_mut_slice() {
        *prefix = Bytes::new();
    }
    Some(Chosen {
        name,
        id,
        init: inits.remove(&segments.first()?.init)?,
        codecs,
        descriptions,
        prefixes,
        segments,
    })
}

/// When something was sent, whatever the track.
fn runs<'a>(segments: impl Iterator<Item = &'a SegmentEntry>) -> Vec<Run> {
    let mut spans: Vec<(i64, i64)> = segments
        .map(|entry| (entry.start_ms(), entry.end_ms()))
        .collect();
    spans.sort_unstable();
    let mut runs: Vec<Run> = Vec::new();
    for (start, end) in spans {
        match runs.last_mut() {
            Some(run) if start - run.end < HOLE_MIN_MS => run.end = run.end.max(end),
            // One ms for what rounding down has taken from the end of the last one.
            last => {
                let earlier = last.map_or(start, |run| start - (run.end + 1 - run.earlier));
                runs.push(Run {
                    start,
                    end,
                    earlier,
                });
            }
        }
    }
    runs
}

/// Whole milliseconds, which are whole ticks of 90 and 48 kHz.
pub(super) fn earlier_ticks(runs: &[Run], entry: &SegmentEntry) -> u64 {
    let start = entry.start_ms();
    let place = runs.partition_point(|run| run.start <= start);
    let run = place.checked_sub(1).and_then(|place| runs.get(place));
    let earlier_ms = u64::try_from(run.map_or(0, |run| run.earlier)).unwrap_or(0);
    earlier_ms * u64::from(entry.timescale) / 1000
}
