//! A finished life as one MP4 file, made while it is sent: nothing is copied on disk.
//!
//! It is a progressive file: `ftyp`, `moov` with the best picture as track 1 and the sound as track 2 and all of their sample
//! tables, then one `mdat` with the media of both, interleaved by fragments of half a second. So it plays while it comes, in
//! players and editors that know nothing of fragments, too. The tables are made of the fragments' own (`moof`), which are read
//! without their media; the length is known before any media is, so that any range can be answered.
//!
//! Times: the file begins at 0 and has no holes where nothing was sent. Within what was sent, decode times are those of the
//! fragments to the tick, so that sound and picture are as far apart as they were; whoever begins later does by an edit list, a
//! hole in the picture is a longer last picture, and one in the sound is silence. When parameters change, there are several
//! sample entries, and those of H.264 stand before keyframes, too: not all players read more than the first entry.
//!
//! Not in it: other renditions; pictures of another codec, when a later publisher sent those (logged); what is not kept, when a
//! part is.
//!
//! Budget: 4 h of 30 pictures and 50 packets a second have 13 MB of tables and places when no packet of sound is as long as the
//! one before; making them is 60,000 reads of 4 KiB. [`SAMPLES_MAX`] bounds them; a read of media is at most [`READ_MAX`].

mod header;
mod plan;
mod samples;
mod table;
mod weave;

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::model::Model;

/// Samples of a file: 28 h of 30 pictures and 50 packets a second. Their tables are 35 MB if all is regular, and 160 MB if no
/// picture is as long as the one before.
pub(super) const SAMPLES_MAX: u64 = 8 << 20;

/// What [`Mp4::read`] gives at once, in bytes.
pub const READ_MAX: u64 = 256 << 10;

/// A file that exists only while it is read. A clone is the same one.
#[derive(Debug, Clone)]
pub struct Mp4 {
    header: Bytes,
    files: Arc<[PathBuf]>,
    pieces: Arc<[Piece]>,
    len: u64,
}

/// What comes from one place, until the next one.
#[derive(Debug)]
struct Piece {
    /// Where it begins in the file.
    at: u64,
    source: Source,
}

#[derive(Debug)]
enum Source {
    /// From this byte on of one of the files.
    Disk { file: usize, from: u64 },
    /// Parameter sets, silence.
    Memory(Bytes),
}

impl Mp4 {
    /// The file of a life; nothing when no track of it can be one.
    ///
    /// # Errors
    /// [`io::ErrorKind::FileTooLarge`] for more than `samples_max` samples, and what the disk says.
    pub(super) fn plan(
        directory: &Path,
        model: &Model,
        samples_max: u64,
    ) -> io::Result<Option<Self>> {
        plan::plan(directory, model, samples_max)
    }

    /// Bytes in all. The same life has the same file, byte by byte, until it is trimmed, kept or given up.
    #[must_use]
    pub fn content_length(&self) -> u64 {
        self.len
    }

    /// Bytes in memory.
    pub(super) fn footprint(&self) -> usize {
        let inline = self.pieces.iter().map(|piece| match &piece.source {
            Source::Memory(bytes) => bytes.len(),
            Source::Disk { .. } => 0,
        });
        self.header.len() + std::mem::size_of_val(&*self.pieces) + inline.sum::<usize>()
    }

    /// Bytes from the begin of `range`: at most [`READ_MAX`] at once, never more than `range`, and none only when it is empty
    /// or begins at the end. Call again for what is missing. Waits for the disk: in async code only
    /// through `spawn_blocking`.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] when the recording was deleted meanwhile, or what the disk says.
    pub fn read(&self, range: Range<u64>) -> io::Result<Bytes> {
        let end = range
            .end
            .min(self.len)
            .min(range.start.saturating_add(READ_MAX));
        if range.start >= end {
            return Ok(Bytes::new());
        }
        let header = self.header.len() as u64;
        if range.start < header {
            return Ok(part(&self.header, range.start, end.min(header)));
        }
        let mut bytes = Vec::with_capacity(index(end - range.start));
        let mut at = range.start;
        let mut open: Option<(usize, File)> = None;
        while at < end {
            let place = self.pieces.partition_point(|piece| piece.at <= at) - 1;
            let piece = &self.pieces[place];
            let next = self.pieces.get(place + 1).map_or(self.len, |next| next.at);
            let until = next.min(end);
            match &piece.source {
                Source::Memory(data) => {
                    bytes.extend_from_slice(&part(data, at - piece.at, until - piece.at));
                }
                Source::Disk { file, from } => {
                    let mut source = match open.take() {
                        Some((number, opened)) if number == *file => opened,
                        _ => File::open(&self.files[*file])?,
                    };
                    source.seek(SeekFrom::Start(from + at - piece.at))?;
                    let wanted = until - at;
                    let read = source.by_ref().take(wanted).read_to_end(&mut bytes)?;
                    if read as u64 != wanted {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    open = Some((*file, source));
                }
            }
            at = until;
        }
        Ok(bytes.into())
    }
}

/// A part of bytes whose bounds lie within them.
fn part(bytes: &Bytes, start: u64, end: u64) -> Bytes {
    bytes.slice(index(start)..index(end))
}

fn index(place: u64) -> usize {
    usize::try_from(place).expect("within bytes in memory")
}
