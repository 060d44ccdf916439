//! Which segments are in the file, where, and when.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use bytes::Bytes;
use mp4_atom::{SegmentReference, Sidx};

use super::fragment::Changes;
use super::header::{self, AUDIO_TRACK, Init, VIDEO_TRACK};
use super::{Mp4, Piece};
use crate::recording::archive::Location;
use crate::recording::layout;
use crate::recording::model::{Model, SegmentEntry, Track};

/// Of two renditions the better one is taken if it covers so much of what the longest covers, in percent.
const COVERAGE_MIN: u64 = 95;

/// Less than this without anything is no hole: sound and pictures do not end at the same instant.
const HOLE_MIN_MS: i64 = 500;

/// Entries of `sidx`, whose count has 16 bits; longer files have several segments in each.
const REFERENCES_MAX: usize = 60_000;

/// A reference has 31 bits for the size of what it refers to.
const SIZE_MAX: u32 = 0x7fff_ffff;

/// A track of the file.
struct Chosen<'a> {
    name: &'a str,
    id: u32,
    init: Init,
    /// What is put before the segments of each initialisation segment.
    prefixes: BTreeMap<u32, Bytes>,
    segments: Vec<SegmentEntry>,
}

/// Something was sent from `start` to `end`, in ms since the life's begin; `earlier` is how much earlier in the file.
#[derive(Debug, PartialEq, Eq)]
struct Run {
    start: i64,
    end: i64,
    earlier: i64,
}

pub(super) fn plan(directory: &Path, model: &Model) -> io::Result<Option<Mp4>> {
    let kept_only = model.chunks().any(|(_, chunk)| chunk.keep);
    let video = choose(directory, model, VIDEO_TRACK, kept_only)?;
    let audio = choose(directory, model, AUDIO_TRACK, kept_only)?;
    let tracks: Vec<Chosen<'_>> = video.into_iter().chain(audio).collect();
    if tracks.is_empty() {
        return Ok(None);
    }
    let runs = runs(tracks.iter().flat_map(|track| &track.segments));
    let order = interleave(&tracks);
    let mut pieces = Vec::with_capacity(order.len());
    let (mut at, mut sequence) = (0, 1);
    for (track, entry) in &order {
        let prefix = track.prefixes.get(&entry.init).cloned().unwrap_or_default();
        let len = entry.len + prefix.len() as u64;
        pieces.push(Piece {
            at,
            len,
            location: Location {
                path: layout::chunk(directory, track.name, entry.chunk),
                offset: entry.offset,
                len: entry.len,
            },
            changes: Changes {
                sequence,
                earlier: earlier_ticks(&runs, entry),
                prefix,
            },
        });
        at += len;
        sequence += entry.fragments();
    }
    let duration_ms = runs.last().map_or(0, |run| run.end - run.earlier);
    let duration_ms = u64::try_from(duration_ms).unwrap_or(0);
    let sidx = sidx(&order, &pieces, at);
    let inits = tracks.into_iter().map(|track| track.init).collect();
    let header = header::write(inits, duration_ms, &sidx)?;
    let head = header.len() as u64;
    for piece in &mut pieces {
        piece.at += head;
    }
    Ok(Some(Mp4 {
        len: head + at,
        header,
        pieces: pieces.into(),
    }))
}

/// The best rendition for a track: pictures by height, sound as AAC; but none that is there for a part of the time
/// only, as AAC is when nobody asked for it at first.
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
        if let Some(chosen) = prepare(directory, track, id, segments)? {
            return Ok(Some(chosen));
        }
    }
    Ok(None)
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
    let Some(mut init) = inits.remove(&main) else {
        return Ok(None);
    };
    inits.retain(|_, other| other.is_like(&init));
    segments.retain(|entry| entry.init == main || inits.contains_key(&entry.init));
    let mut prefixes = BTreeMap::new();
    if !inits.is_empty() {
        prefixes.insert(main, init.parameter_sets());
        let others = inits.iter();
        prefixes.extend(others.map(|(number, other)| (*number, other.parameter_sets())));
        init.make_in_band();
    }
    Ok(Some(Chosen {
        name,
        id,
        init,
        prefixes,
        segments,
    }))
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
fn earlier_ticks(runs: &[Run], entry: &SegmentEntry) -> u64 {
    let start = entry.start_ms();
    let place = runs.partition_point(|run| run.start <= start);
    let run = place.checked_sub(1).and_then(|place| runs.get(place));
    let earlier_ms = u64::try_from(run.map_or(0, |run| run.earlier)).unwrap_or(0);
    earlier_ms * u64::from(entry.timescale) / 1000
}

/// All segments in the order of the file: each picture segment, then the sound that begins before the next.
fn interleave<'a, 'b>(tracks: &'b [Chosen<'a>]) -> Vec<(&'b Chosen<'a>, &'b SegmentEntry)> {
    let all = tracks
        .iter()
        .flat_map(|track| track.segments.iter().map(move |entry| (track, entry)));
    let mut order: Vec<_> = all.collect();
    // Nanoseconds: the sound begins up to a frame after the picture it goes with, or exactly with it.
    let time = |entry: &SegmentEntry| {
        i128::from(entry.start) * 1_000_000_000 / i128::from(entry.timescale)
    };
    order.sort_by_key(|(track, entry)| (time(entry), track.id));
    order
}

/// Where each segment of the first track begins, with whatever of the other comes before the next one.
fn sidx(order: &[(&Chosen<'_>, &SegmentEntry)], pieces: &[Piece], len: u64) -> Sidx {
    let Some(id) = order.iter().map(|(track, _)| track.id).min() else {
        return Sidx::default();
    };
    let starts: Vec<(u64, u64, &SegmentEntry)> = order
        .iter()
        .zip(pieces)
        .filter(|((track, _), _)| track.id == id)
        .map(|((_, entry), piece)| {
            let time = entry.start - i64::try_from(piece.changes.earlier).unwrap_or(i64::MAX);
            (piece.at, u64::try_from(time).unwrap_or(0), *entry)
        })
        .collect();
    let step = starts.len().div_ceil(REFERENCES_MAX).max(1);
    let grouped: Vec<_> = starts.iter().step_by(step).collect();
    let end_time = starts
        .last()
        .map_or(0, |(_, time, entry)| time + entry.duration);
    let references = grouped
        .iter()
        .enumerate()
        .map(|(place, (at, time, entry))| {
            let next = grouped.get(place + 1);
            // What the other track has before the first segment belongs to it, too.
            let at = if place == 0 { 0 } else { *at };
            let size = next.map_or(len, |next| next.0) - at;
            let duration = next.map_or(end_time, |next| next.1).saturating_sub(*time);
            SegmentReference {
                reference_type: false,
                referenced_size: u32::try_from(size).map_or(SIZE_MAX, |size| size.min(SIZE_MAX)),
                subsegment_duration: u32::try_from(duration).unwrap_or(u32::MAX),
                starts_with_sap: entry.independent,
                sap_type: u8::from(entry.independent),
                sap_delta_time: 0,
            }
        });
    Sidx {
        reference_id: id,
        timescale: starts.first().map_or(1, |(_, _, entry)| entry.timescale),
        earliest_presentation_time: starts.first().map_or(0, |one| one.1),
        first_offset: 0,
        references: references.collect(),
    }
}
