//! The tracks' fragments, one after the other by time: what is where in the file.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use mp4_atom::Codec;

use super::header::{self, AUDIO_TRACK};
use super::plan::{Chosen, Run, earlier_ticks};
use super::samples::{self, Fragment, Sample};
use super::table::Table;
use super::{Mp4, Piece, Source};
use crate::recording::layout;

/// How much silence is made for one hole in the sound; a longer one is left to the last sample before it. A minute is what a life
/// goes on without anybody.
const SILENCE_MAX_S: u64 = 60;

/// Puts the tracks into one file.
///
/// # Errors
/// [`io::ErrorKind::FileTooLarge`] for more than `samples_max` samples; and what the disk says.
pub(super) fn weave(
    directory: &Path,
    tracks: Vec<Chosen<'_>>,
    runs: &[Run],
    samples_max: u64,
) -> io::Result<Option<Mp4>> {
    let mut data = Data::default();
    let mut lanes: Vec<Lane<'_>> = Vec::with_capacity(tracks.len());
    for track in tracks {
        let mut lane = Lane::new(directory, track, runs);
        lane.fill(&mut data)?;
        lanes.push(lane);
    }
    // The earliest next; pictures before the sound of the same instant.
    while let Some(lane) = lanes
        .iter_mut()
        .filter(|lane| !lane.next.is_empty())
        .min_by_key(|lane| lane.next_ns())
    {
        lane.write(&mut data);
        lane.fill(&mut data)?;
        if data.samples > samples_max {
            let text = format!("more than {samples_max} samples");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
        }
    }
    let skipped: usize = lanes.iter().map(|lane| lane.skipped).sum();
    if skipped > 0 {
        tracing::warn!(directory = %directory.display(), skipped, "segments that are no fragments are not in the MP4 file");
    }
    let lanes = lanes.into_iter().filter(|lane| lane.table.end().is_some());
    let tracks: Vec<header::Track> = lanes.map(Lane::finish).collect();
    if tracks.is_empty() {
        return Ok(None);
    }
    let header = header::write(tracks, data.at)?;
    Ok(Some(data.finish(header)))
}

/// What `mdat` will hold.
#[derive(Default)]
struct Data {
    files: Vec<PathBuf>,
    pieces: Vec<Piece>,
    /// Bytes until now.
    at: u64,
    samples: u64,
}

impl Data {
    fn add(&mut self, len: u64, source: Source) {
        if len > 0 {
            self.pieces.push(Piece {
                at: self.at,
                source,
            });
            self.at += len;
        }
    }

    fn finish(mut self, header: Bytes) -> Mp4 {
        let base = header.len() as u64;
        for piece in &mut self.pieces {
            piece.at += base;
        }
        Mp4 {
            len: base + self.at,
            header,
            files: self.files.into(),
            pieces: self.pieces.into(),
        }
    }
}

/// A fragment on its way.
struct Next {
    fragment: Fragment,
    /// In ticks of the file.
    time: u64,
    /// The number of its sample entry, from 1.
    description: u32,
    /// Its file in [`Data::files`].
    file: usize,
}

/// A track being written.
struct Lane<'a> {
    directory: &'a Path,
    track: Chosen<'a>,
    runs: &'a [Run],
    timescale: u32,
    /// What fills holes, and its ticks: of sound alone.
    silence: Option<(Bytes, u32)>,
    /// Fragments of the segment that was read last.
    next: VecDeque<Next>,
    place: usize,
    /// The chunk that is open, and its place in [`Data::files`].
    open: Option<(u64, usize, File)>,
    /// Segments that could not be read.
    skipped: usize,
    table: Table,
}

impl<'a> Lane<'a> {
    fn new(directory: &'a Path, track: Chosen<'a>, runs: &'a [Run]) -> Self {
        let timescale = track.segments.first().map_or(1, |entry| entry.timescale);
        Self {
            directory,
            runs,
            timescale,
            silence: silence(&track),
            next: VecDeque::new(),
            place: 0,
            open: None,
            skipped: 0,
            table: Table::default(),
            track,
        }
    }

    /// The time of the next fragment in ns, and the track.
    fn next_ns(&self) -> (u128, u32) {
        let ticks = self.next.front().map_or(u64::MAX, |next| next.time);
        let ns = u128::from(ticks) * 1_000_000_000 / u128::from(self.timescale.max(1));
        (ns, self.track.id)
    }

    /// Reads the next segment when nothing is left of the last one.
    fn fill(&mut self, data: &mut Data) -> io::Result<()> {
        while self.next.is_empty()
            && let Some(entry) = self.track.segments.get(self.place)
        {
            self.place += 1;
            let (number, mut file) = match self.open.take() {
                Some((chunk, number, file)) if chunk == entry.chunk => (number, file),
                _ => {
                    let path = layout::chunk(self.directory, self.track.name, entry.chunk);
                    let file = File::open(&path)?;
                    data.files.push(path);
                    (data.files.len() - 1, file)
                }
            };
            let found = samples::fragments(&mut file, entry.offset, entry.len)?;
            self.open = Some((entry.chunk, number, file));
            let Some(found) = found.filter(|_| entry.timescale == self.timescale) else {
                self.skipped += 1;
                continue;
            };
            let earlier = earlier_ticks(self.runs, entry);
            let description = self.track.descriptions.get(&entry.init);
            self.next.extend(found.into_iter().map(|fragment| Next {
                time: fragment.time.saturating_sub(earlier),
                description: description.copied().unwrap_or(1),
                file: number,
                fragment,
            }));
        }
        Ok(())
    }

    /// Adds the next fragment as a chunk, and before it silence for what is missing.
    fn write(&mut self, data: &mut Data) {
        let Some(next) = self.next.pop_front() else {
            return;
        };
        self.write_silence(&next, data);
        let place = usize::try_from(next.description).map_or(0, |number| number.saturating_sub(1));
        let prefix = self.track.prefixes.get(place).cloned().unwrap_or_default();
        let Fragment {
            data_at, samples, ..
        } = next.fragment;
        let count = u32::try_from(samples.len()).unwrap_or(u32::MAX);
        self.table.begin_chunk(data.at, count, next.description);
        data.samples += u64::from(count);
        let mut time = next.time;
        let (mut from, mut len) = (data_at, 0);
        for sample in samples {
            let mut written = sample;
            if sample.is_sync && !prefix.is_empty() {
                let file = next.file;
                data.add(len, Source::Disk { file, from });
                data.add(prefix.len() as u64, Source::Memory(prefix.clone()));
                (from, len) = (from + len, 0);
                let prefix_len = u32::try_from(prefix.len()).unwrap_or(u32::MAX);
                written.size = written.size.saturating_add(prefix_len);
            }
            self.table.push(time, &written);
            time += u64::from(sample.duration);
            len += u64::from(sample.size);
        }
        let file = next.file;
        data.add(len, Source::Disk { file, from });
    }

    /// Players that count samples instead of reading their times stay in step with the pictures.
    fn write_silence(&mut self, next: &Next, data: &mut Data) {
        let (Some((unit, ticks)), Some(end)) = (&self.silence, self.table.end()) else {
            return;
        };
        let missing = next.time.saturating_sub(end);
        let most = SILENCE_MAX_S * u64::from(self.timescale);
        let count = missing.min(most) / u64::from(*ticks).max(1);
        let Ok(count @ 1..) = u32::try_from(count) else {
            return;
        };
        self.table.begin_chunk(data.at, count, next.description);
        let sample = Sample {
            duration: *ticks,
            size: u32::try_from(unit.len()).unwrap_or(0),
            offset: 0,
            is_sync: true,
        };
        for place in 0..u64::from(count) {
            self.table.push(end + place * u64::from(*ticks), &sample);
        }
        data.samples += u64::from(count);
        let bytes = Bytes::from(unit.repeat(count as usize));
        data.add(bytes.len() as u64, Source::Memory(bytes));
    }

    fn finish(self) -> header::Track {
        header::Track {
            init: self.track.init,
            tables: self.table.finish(self.track.codecs, self.timescale),
        }
    }
}

/// A packet of nothing in the codec of a track of sound, and its ticks.
fn silence(track: &Chosen<'_>) -> Option<(Bytes, u32)> {
    if track.id != AUDIO_TRACK {
        return None;
    }
    let (codec, audio) = match track.codecs.first()? {
        Codec::Mp4a(entry) => (hls::CodecKind::Aac, &entry.audio),
        Codec::Opus(entry) => (hls::CodecKind::Opus, &entry.audio),
        _ => return None,
    };
    hls::silence(&hls::TrackConfig {
        rendition: String::new(),
        codec,
        channels: u8::try_from(audio.channel_count).unwrap_or(2),
        config: Bytes::new(),
    })
}
