//! The sample tables of one track, filled in the order of decoding.

use mp4_atom::{
    Co64, Codec, Ctts, CttsEntry, Edts, Elst, ElstEntry, Stbl, Stco, Stsc, StscEntry, Stsd, Stss,
    Stsz, StszSamples, Stts, SttsEntry,
};

use super::samples::Sample;

/// Times, sizes and places of a track's samples.
///
/// Decode times are what the fragments say: where a track has nothing, its last sample lasts until the next one, so that what
/// comes after a hole is neither early nor late.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Decode time of the first sample in ticks of the file.
    start: Option<u64>,
    /// Decode time of the last one, and how long it lasts.
    last: u64,
    last_duration: u32,
    stts: Vec<SttsEntry>,
    ctts: Vec<CttsEntry>,
    sizes: Vec<u32>,
    /// Numbers of the samples to begin at, from 1.
    sync: Vec<u32>,
    /// Where chunks begin in `mdat`.
    chunks: Vec<u64>,
    stsc: Vec<StscEntry>,
}

impl Table {
    /// When the last sample ends, in ticks of the file; nothing without one.
    pub(super) fn end(&self) -> Option<u64> {
        self.start?;
        Some(self.last + u64::from(self.last_duration))
    }

    /// Begins a chunk of `samples` samples of the description with this number, from 1, at this place in `mdat`.
    pub(super) fn begin_chunk(&mut self, at: u64, samples: u32, description: u32) {
        self.chunks.push(at);
        let entry = StscEntry {
            first_chunk: count(self.chunks.len()),
            samples_per_chunk: samples,
            sample_description_index: description,
        };
        let is_like = |last: &StscEntry| {
            (last.samples_per_chunk, last.sample_description_index) == (samples, description)
        };
        if !self.stsc.last().is_some_and(is_like) {
            self.stsc.push(entry);
        }
    }

    /// Adds a sample that is decoded at `time`, in ticks of the file. One that overlaps the last one shortens it.
    pub(super) fn push(&mut self, time: u64, sample: &Sample) {
        let time = match self.start {
            None => {
                self.start = Some(time);
                time
            }
            Some(_) => {
                let delta = time.saturating_sub(self.last).max(1);
                let delta = u32::try_from(delta).unwrap_or(u32::MAX);
                self.add_delta(delta);
                self.last + u64::from(delta)
            }
        };
        self.last = time;
        self.last_duration = sample.duration.max(1);
        self.sizes.push(sample.size);
        if sample.is_sync {
            self.sync.push(count(self.sizes.len()));
        }
        let offset = i64::from(sample.offset);
        match self.ctts.last_mut() {
            Some(last) if last.sample_offset == offset => last.sample_count += 1,
            _ => self.ctts.push(CttsEntry {
                sample_count: 1,
                sample_offset: offset,
            }),
        }
    }

    fn add_delta(&mut self, delta: u32) {
        match self.stts.last_mut() {
            Some(last) if last.sample_delta == delta => last.sample_count += 1,
            _ => self.stts.push(SttsEntry {
                sample_count: 1,
                sample_delta: delta,
            }),
        }
    }

    /// All that `moov` says of the samples.
    pub(super) fn finish(mut self, codecs: Vec<Codec>, timescale: u32) -> Finished {
        if self.start.is_some() {
            self.add_delta(self.last_duration);
        }
        let start = self.start.unwrap_or(0);
        let media = self.end().unwrap_or(0) - start;
        // Signed offsets are younger than many players: all are moved into the positive, and an edit moves them back.
        let least = self.ctts.iter().map(|entry| entry.sample_offset).min();
        let shift = least.unwrap_or(0).min(0).unsigned_abs();
        for entry in &mut self.ctts {
            entry.sample_offset = entry.sample_offset.saturating_add_unsigned(shift);
        }
        let has_offsets = self.ctts.iter().any(|entry| entry.sample_offset != 0);
        let all_sync = self.sync.len() == self.sizes.len();
        let (empty_ms, media_ms) = (to_ms(start, timescale), to_ms(media, timescale));
        Finished {
            duration: media,
            duration_ms: empty_ms + media_ms,
            edts: edits(empty_ms, shift, media_ms),
            stbl: Stbl {
                stsd: Stsd { codecs },
                stts: Stts { entries: self.stts },
                ctts: has_offsets.then_some(Ctts { entries: self.ctts }),
                stss: (!all_sync).then_some(Stss { entries: self.sync }),
                stsc: Stsc { entries: self.stsc },
                stsz: Stsz {
                    samples: StszSamples::Different { sizes: self.sizes },
                },
                ..Stbl::default()
            },
            chunks: self.chunks,
        }
    }
}

/// A track's part of `moov`, but for where `mdat` is.
pub(super) struct Finished {
    /// Of the media in ticks.
    pub(super) duration: u64,
    /// Of the track in ms, with what comes before it.
    pub(super) duration_ms: u64,
    /// Nothing when the media is shown from its begin, at the file's begin.
    pub(super) edts: Option<Edts>,
    /// Without `stco`.
    pub(super) stbl: Stbl,
    chunks: Vec<u64>,
}

impl Finished {
    /// Says where the chunks are when the data of `mdat` begins at `base`: in 64 bits if it `is_large`.
    pub(super) fn place(&mut self, base: u64, is_large: bool) {
        let places = self.chunks.iter().map(|at| base + at);
        if is_large {
            let entries = places.collect();
            self.stbl.co64 = Some(Co64 { entries });
            self.stbl.stco = None;
        } else {
            let entries = places.map(|at| u32::try_from(at).unwrap_or(u32::MAX));
            let entries = entries.collect();
            self.stbl.stco = Some(Stco { entries });
        }
    }
}

/// Nothing for `empty_ms`, then the media from its tick `begin`.
fn edits(empty_ms: u64, begin: u64, media_ms: u64) -> Option<Edts> {
    if empty_ms == 0 && begin == 0 {
        return None;
    }
    let edit = |segment_duration, media_time| ElstEntry {
        segment_duration,
        media_time,
        media_rate: 1.into(),
    };
    let empty = (empty_ms > 0).then(|| edit(empty_ms, None));
    let entries = empty.into_iter().chain([edit(media_ms, Some(begin))]);
    Some(Edts {
        elst: Some(Elst {
            entries: entries.collect(),
        }),
    })
}

/// Whole ones: the file's zero is the ms in which its first sample begins.
fn to_ms(ticks: u64, timescale: u32) -> u64 {
    ticks * 1000 / u64::from(timescale.max(1))
}

/// Samples and chunks are bounded far below 32 bits.
fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(duration: u32, offset: i32, is_sync: bool) -> Sample {
        Sample {
            duration,
            size: 10,
            offset,
            is_sync,
        }
    }

    /// Runs of `stts` and `ctts` of samples given as time, duration and offset; and the edits as (ms, tick).
    fn check(
        samples: &[(u64, u32, i32)],
        deltas: &[(u32, u32)],
        offsets: &[(u32, i64)],
        edits: &[(u64, Option<u64>)],
    ) {
        let mut table = Table::default();
        for (time, duration, offset) in samples {
            table.push(*time, &sample(*duration, *offset, true));
        }
        let finished = table.finish(Vec::new(), 90_000);
        let stts = finished.stbl.stts.entries.iter();
        let stts: Vec<_> = stts
            .map(|one| (one.sample_count, one.sample_delta))
            .collect();
        assert_eq!(stts, deltas);
        let ctts = finished.stbl.ctts.into_iter().flat_map(|ctts| ctts.entries);
        let ctts: Vec<_> = ctts
            .map(|one| (one.sample_count, one.sample_offset))
            .collect();
        assert_eq!(ctts, offsets);
        let elst = finished.edts.and_then(|edts| edts.elst);
        let elst = elst.into_iter().flat_map(|elst| elst.entries);
        let elst: Vec<_> = elst
            .map(|one| (one.segment_duration, one.media_time))
            .collect();
        assert_eq!(elst, edits);
        let sum: u64 = deltas.iter().map(|run| u64::from(run.0 * run.1)).sum();
        assert_eq!(finished.duration, sum);
    }

    #[test]
    fn a_track_keeps_its_times_whatever_is_between_its_samples() {
        // One after the other.
        check(
            &[(0, 3000, 0), (3000, 3000, 0), (6000, 3000, 0)],
            &[(3, 3000)],
            &[],
            &[],
        );
        // A hole is the end of the last one before it.
        check(
            &[(0, 3000, 0), (3000, 3000, 0), (96_000, 3000, 0)],
            &[(1, 3000), (1, 93_000), (1, 3000)],
            &[],
            &[],
        );
        // Overlaps shorten, and what comes after them is in its time again.
        check(
            &[
                (0, 3000, 0),
                (2000, 3000, 0),
                (1500, 100, 0),
                (5000, 3000, 0),
            ],
            &[(1, 2000), (1, 1), (1, 2999), (1, 3000)],
            &[],
            &[],
        );
        // A later begin is an empty edit.
        check(
            &[(1800, 3000, 0)],
            &[(1, 3000)],
            &[],
            &[(20, None), (33, Some(0))],
        );
    }

    #[test]
    fn pictures_out_of_order_are_moved_by_an_edit_instead_of_signed_offsets() {
        let samples = [
            (0, 100, 0),
            (100, 100, 300),
            (200, 100, 0),
            (300, 100, -200),
            (400, 100, -100),
        ];
        let offsets = [(1, 200), (1, 500), (1, 200), (1, 0), (1, 100)];
        check(&samples, &[(5, 100)], &offsets, &[(5, Some(200))]);
    }

    #[test]
    fn chunks_say_their_descriptions_and_only_some_samples_are_sync() {
        let mut table = Table::default();
        for (chunk, description) in [1, 1, 2, 1].into_iter().enumerate() {
            table.begin_chunk(chunk as u64 * 100, 2, description);
            for place in 0..2 {
                let time = (chunk as u64 * 2 + place) * 3000;
                table.push(time, &sample(3000, 0, place == 0));
            }
        }
        let mut finished = table.finish(Vec::new(), 90_000);
        let stsc = finished.stbl.stsc.entries.iter();
        let stsc: Vec<_> = stsc
            .map(|one| {
                (
                    one.first_chunk,
                    one.samples_per_chunk,
                    one.sample_description_index,
                )
            })
            .collect();
        assert_eq!(stsc, [(1, 2, 1), (3, 2, 2), (4, 2, 1)]);
        let sync = finished.stbl.stss.clone().unwrap().entries;
        assert_eq!(sync, [1, 3, 5, 7]);
        finished.place(1000, false);
        assert_eq!(
            finished.stbl.stco.clone().unwrap().entries,
            [1000, 1100, 1200, 1300]
        );
        finished.place(5_000_000_000, true);
        assert_eq!(finished.stbl.co64.unwrap().entries[3], 5_000_000_300);
        assert!(finished.stbl.stco.is_none());
    }
}
