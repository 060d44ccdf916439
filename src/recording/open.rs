//! A life that grows: its files, its index, and what everybody sees of it, in step.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::disk::Disk;
use super::entry::Settings;
use super::index::{Line, checksum};
use super::layout::{self, INDEX};
use super::model::{DATERANGES_MAX, Model, SegmentEntry};
use super::queue::Counters;
use super::resume::Constants;
use super::slot::{Slot, State};

/// Renditions of one life: three layers of pictures and two of sound, and changes of publishers in between.
const RENDITIONS_MAX: usize = 16;

/// A chunk ends here even before its time: five minutes at 7 Mbit/s.
const CHUNK_BYTES_MAX: u64 = 256 << 20;

/// A life that grows.
pub(super) struct Open {
    pub(super) slot: Arc<Slot>,
    /// The chunk that each rendition writes to.
    pub(super) current: HashMap<String, Current>,
    /// What has been written since the last sync.
    pub(super) dirty: BTreeSet<PathBuf>,
    pub(super) index_len: u64,
    pub(super) index_lines: usize,
    /// Lines of the index that speak of what is gone.
    pub(super) stale_lines: usize,
    pub(super) keep: bool,
    origin_ms: u64,
    /// Whether the directory is there: it is made with the first segment that is to be written.
    pub(super) is_made: bool,
    /// What the index must say before the next segment.
    pending: VecDeque<Pending>,
    has_lost_cues: bool,
    counters: Arc<Counters>,
}

/// The chunk that is being written.
pub(super) struct Current {
    pub(super) first_msn: u64,
    start: i64,
    len: u64,
}

enum Pending {
    Line(Line),
    Init {
        rendition: String,
        number: u32,
        bytes: Bytes,
    },
}

impl Open {
    pub(super) fn new(
        slot: Arc<Slot>,
        origin_ms: u64,
        keep: bool,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            slot,
            current: HashMap::new(),
            dirty: BTreeSet::new(),
            index_len: 0,
            index_lines: 0,
            stale_lines: 0,
            keep,
            origin_ms,
            is_made: false,
            pending: VecDeque::new(),
            has_lost_cues: false,
            counters,
        }
    }

    /// Of a life that is on disk and goes on; its chunks do not.
    pub(super) fn resume(
        slot: Arc<Slot>,
        index_len: u64,
        model: &Model,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            index_len,
            index_lines: model.lines().len(),
            is_made: true,
            ..Self::new(slot, model.origin_ms, model.keep, counters)
        }
    }

    /// What playlists go on saying if the server starts again.
    pub(super) fn set_constants(&mut self, constants: Constants) {
        self.pending
            .push_back(Pending::Line(Line::Constants(constants)));
    }

    pub(super) fn is_stopped(&self) -> bool {
        matches!(&*self.slot.read(), State::Live { stopped: true, .. })
    }

    /// Returns whether it was stopped before.
    pub(super) fn set_stopped(&self, now: bool) -> bool {
        match &mut *self.slot.write() {
            State::Live { stopped, .. } => std::mem::replace(stopped, now),
            State::Finished(_) => false,
        }
    }

    /// Whether the rendition is known and the segment comes after what is there.
    pub(super) fn takes(&self, rendition: &str, segment: &hls::Segment) -> bool {
        let is_pending = self.pending.iter().any(|pending| match pending {
            Pending::Line(Line::Rendition(info)) => info.name == rendition,
            _ => false,
        });
        let last = match &*self.slot.read() {
            State::Live { model, .. } => match model.track(rendition) {
                Some(track) => track.last().map_or(0, |last| last.msn),
                None if is_pending => 0,
                None => return false,
            },
            State::Finished(_) => return false,
        };
        segment.msn > last && segment.timescale > 0
    }

    pub(super) fn describe(&mut self, info: hls::RenditionInfo) {
        let names = |pending: &Pending| match pending {
            Pending::Line(Line::Rendition(info)) => Some(info.name.clone()),
            _ => None,
        };
        let mut known: BTreeSet<String> = self.pending.iter().filter_map(names).collect();
        if let State::Live { model, .. } = &*self.slot.read() {
            let tracks = model.tracks.iter();
            known.extend(tracks.map(|track| track.info.name.clone()));
        }
        known.insert(info.name.clone());
        if !layout::is_rendition(&info.name) || known.len() > RENDITIONS_MAX {
            tracing::error!(life = %self.slot.life, rendition = info.name, "one rendition too many, or with a name that cannot be a file's; it is not recorded");
            return;
        }
        // In its place: an initialisation segment that waits behind it belongs to it.
        let name = Some(&info.name);
        let earlier = self
            .pending
            .iter()
            .position(|pending| names(pending).as_ref() == name);
        let line = Pending::Line(Line::Rendition(info));
        match earlier {
            Some(place) => self.pending[place] = line,
            None => self.pending.push_back(line),
        }
    }

    pub(super) fn add_init(&mut self, info: hls::RenditionInfo, number: u32, bytes: Bytes) {
        if !layout::is_rendition(&info.name) {
            return self.describe(info);
        }
        let rendition = info.name.clone();
        self.describe(info);
        // Without a segment in between nobody needs the one before.
        let is_older = |pending: &Pending| match pending {
            Pending::Init {
                rendition: other, ..
            } => *other == rendition,
            Pending::Line(_) => false,
        };
        self.pending.retain(|pending| !is_older(pending));
        self.pending.push_back(Pending::Init {
            rendition,
            number,
            bytes,
        });
    }

    /// It is written with the next segment. Too many without one are no recording.
    pub(super) fn add_daterange(&mut self, range: hls::DateRange) {
        let is_range = |pending: &&Pending| matches!(pending, Pending::Line(Line::DateRange(_)));
        if self.pending.iter().filter(is_range).count() < DATERANGES_MAX {
            self.pending
                .push_back(Pending::Line(Line::DateRange(range)));
        } else {
            self.lose_cue();
        }
    }

    fn lose_cue(&mut self) {
        self.counters.cues_lost.fetch_add(1, Ordering::Relaxed);
        if !std::mem::replace(&mut self.has_lost_cues, true) {
            let life = &self.slot.life;
            tracing::warn!(
                %life,
                "a recording has more cues than the {DATERANGES_MAX} that are kept: it gives up the oldest; \
                 say what changes many times a second with another type than CUE"
            );
        }
    }

    /// Writes those that wait: no segment will come.
    pub(super) fn flush_dateranges(&mut self, disk: &Disk) {
        for pending in std::mem::take(&mut self.pending) {
            if let Pending::Line(line @ Line::DateRange(_)) = pending
                && self.is_made
                && let Err(error) = self.log(disk, line)
            {
                self.counters.cues_lost.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(life = %self.slot.life, %error, "a cue of a recording is lost");
            }
        }
    }

    pub(super) fn set_keep(&mut self, keep: bool) {
        if self.keep == keep {
            return;
        }
        self.keep = keep;
        // A chunk is kept or not as a whole.
        self.current.clear();
        if let State::Live { model, .. } = &mut *self.slot.write() {
            model.keep = keep;
        }
        self.pending.push_back(Pending::Line(Line::Keep(keep)));
    }

    /// Goes on with what is not kept although the stream is, or with what is.
    pub(super) fn set_aside(&mut self, aside: bool) {
        self.current.clear();
        if let State::Live { model, .. } = &mut *self.slot.write() {
            model.aside = aside;
        }
        self.pending.push_back(Pending::Line(Line::Aside(aside)));
    }

    /// Adds a line to the index and, when it is there, to what everybody sees.
    pub(super) fn log(&mut self, disk: &Disk, line: Line) -> io::Result<()> {
        let text = line.encode();
        let path = self.slot.directory.join(INDEX);
        disk.append(&path, self.index_len, text.as_bytes())?;
        self.index_len += text.len() as u64;
        self.index_lines += 1;
        self.dirty.insert(path);
        let mut is_full = false;
        if let State::Live { model, .. } = &mut *self.slot.write() {
            let is_range = matches!(line, Line::DateRange(_));
            is_full = is_range && model.dateranges.len() == DATERANGES_MAX;
            model.apply(line);
        }
        if is_full {
            self.stale_lines += 1;
            self.lose_cue();
        }
        Ok(())
    }

    /// Makes the directory and the index if they are not there, and writes what must stand before the next segment.
    fn prepare(&mut self, disk: &Disk) -> io::Result<()> {
        if !self.is_made {
            std::fs::create_dir_all(&self.slot.directory)?;
            let begin = Line::Begin {
                life: self.slot.life.to_string(),
                origin_ms: self.origin_ms,
            };
            self.log(disk, begin)?;
            self.is_made = true;
            self.pending
                .push_front(Pending::Line(Line::Keep(self.keep)));
        }
        while let Some(pending) = self.pending.pop_front() {
            if let Err(error) = self.settle(disk, &pending) {
                self.pending.push_front(pending);
                return Err(error);
            }
        }
        Ok(())
    }

    fn settle(&mut self, disk: &Disk, pending: &Pending) -> io::Result<()> {
        match pending {
            Pending::Line(line) => self.log(disk, line.clone()),
            Pending::Init {
                rendition,
                number,
                bytes,
            } => {
                let path = layout::init(&self.slot.directory, rendition, *number);
                disk.create(&path, bytes)?;
                self.dirty.insert(path);
                let line = Line::Init {
                    rendition: rendition.clone(),
                    number: *number,
                    len: bytes.len() as u64,
                };
                self.log(disk, line)
            }
        }
    }

    pub(super) fn write(
        &mut self,
        settings: &Settings,
        rendition: &str,
        segment: &hls::Segment,
    ) -> io::Result<()> {
        let disk = &settings.disk;
        self.prepare(disk)?;
        let span = settings
            .chunk
            .as_secs()
            .saturating_mul(u64::from(segment.timescale));
        let goes_on = |current: &&Current| {
            segment.start.abs_diff(current.start) < span && current.len < CHUNK_BYTES_MAX
        };
        let current = self.current.get(rendition).filter(goes_on);
        let (chunk, start, offset) = current.map_or((segment.msn, segment.start, 0), |current| {
            (current.first_msn, current.start, current.len)
        });
        let path = layout::chunk(&self.slot.directory, rendition, chunk);
        let len = segment.bytes.len() as u64;
        let entry = SegmentEntry {
            msn: segment.msn,
            start: segment.start,
            duration: segment.duration,
            timescale: segment.timescale,
            init: segment.init,
            parts: segment.parts,
            date_ms: segment.date_ms,
            discontinuity: segment.discontinuity,
            discontinuity_sequence: segment.discontinuity_sequence,
            independent: segment.independent,
            keyframe_bytes: segment.keyframe_bytes,
            len,
            chunk,
            offset,
            crc: checksum(&segment.bytes),
        };
        let keyframe = entry.keyframe(rendition);
        let line = Line::Segment {
            rendition: rendition.to_owned(),
            entry,
        };
        let written = disk
            .append(&path, offset, &segment.bytes)
            .and_then(|()| keyframe.map_or(Ok(()), |line| self.log(disk, line)))
            .and_then(|()| self.log(disk, line));
        if let Err(error) = written {
            // Nothing refers to it; what cannot be cut off is overwritten, or removed by the next start.
            let _ = match offset {
                0 => disk.remove(&path),
                _ => disk.cut(&path, offset),
            };
            return Err(error);
        }
        self.dirty.insert(path);
        let current = Current {
            first_msn: chunk,
            start,
            len: offset + len,
        };
        self.current.insert(rendition.to_owned(), current);
        Ok(())
    }

    pub(super) fn write_thumbnail(
        &mut self,
        disk: &Disk,
        at_s: u64,
        jpeg: &Bytes,
    ) -> io::Result<()> {
        let path = layout::thumbnail(&self.slot.directory, at_s);
        let is_new = match &*self.slot.read() {
            State::Live { model, .. } => model.thumbnails.back().is_none_or(|last| last.0 < at_s),
            State::Finished(_) => false,
        };
        if !is_new {
            return Ok(());
        }
        disk.create(&path, jpeg)?;
        let len = jpeg.len() as u64;
        let logged = self.log(disk, Line::Thumbnail { at_s, len });
        if logged.is_err() {
            // Nothing refers to it; what cannot be removed is an orphan for the next start.
            let _ = disk.remove(&path);
        }
        logged
    }

    /// What has been written survives a power cut from here on. Media first: a line of the index promises it.
    pub(super) fn sync(&mut self, disk: &Disk) {
        let index = self.slot.directory.join(INDEX);
        let mut paths = std::mem::take(&mut self.dirty);
        let is_new = paths.remove(&index);
        let paths = paths.into_iter().chain(is_new.then_some(index));
        for path in paths {
            if let Err(error) = disk.sync(&path) {
                tracing::warn!(path = %path.display(), %error, "a recording is not sure to survive a power cut");
            }
        }
    }
}
