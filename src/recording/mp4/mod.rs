//! A finished life as one MP4 file, made while it is sent: nothing is copied on disk.
//!
//! The file is fragmented: `ftyp`, `moov` with the best picture as track 1 and the sound as track 2, `sidx` for
//! seeking, then the segments of both, interleaved by time. Its length is known before anything is read, so that any
//! range can be answered. Fragments stay as they are but for three things, none of which needs more than a look at
//! their headers: times are moved so that the file begins at 0 and has no holes where nothing was sent, sequence
//! numbers count on, and when the H.264 parameters change in the life, they stand in band before each segment (sample
//! entry `avc3`), because that is what all players understand.
//!
//! Not in it: other renditions; pictures of another codec, when a later publisher sent those; what is not kept, when a
//! part is.

mod fragment;
mod header;
mod plan;

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::archive::Location;
use super::model::Model;
use fragment::Changes;

/// A file that exists only while it is read.
#[derive(Debug, Clone)]
pub struct Mp4 {
    header: Bytes,
    pieces: Arc<[Piece]>,
    len: u64,
}

/// A segment in the file.
#[derive(Debug)]
struct Piece {
    /// Where it begins in the file.
    at: u64,
    /// Bytes in the file.
    len: u64,
    location: Location,
    changes: Changes,
}

impl Mp4 {
    /// The file of a life; nothing when no track of it can be one.
    pub(super) fn plan(directory: &Path, model: &Model) -> io::Result<Option<Self>> {
        plan::plan(directory, model)
    }

    /// Bytes in all. The same life has the same file, byte by byte, until it is trimmed, kept or given up.
    #[must_use]
    pub fn content_length(&self) -> u64 {
        self.len
    }

    /// Bytes from the begin of `range`: as many as are at hand at once (a segment at most), never more than `range`,
    /// and none only when it is empty or begins at the end. Call again for what is missing. Waits for the disk: in
    /// async code only through `spawn_blocking`.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] when the recording was deleted meanwhile, or what the disk says.
    pub fn read(&self, range: Range<u64>) -> io::Result<Bytes> {
        let end = range.end.min(self.len);
        if range.start >= end {
            return Ok(Bytes::new());
        }
        let header = self.header.len() as u64;
        if range.start < header {
            return Ok(part(&self.header, range.start, end.min(header)));
        }
        let place = self.pieces.partition_point(|piece| piece.at <= range.start) - 1;
        let piece = &self.pieces[place];
        let bytes = fragment::change(&piece.location.read()?, &piece.changes)
            .filter(|bytes| bytes.len() as u64 == piece.len)
            .ok_or_else(|| {
                let path = piece.location.path.display();
                io::Error::new(io::ErrorKind::InvalidData, format!("{path}: no fragments"))
            })?;
        Ok(part(
            &bytes,
            range.start - piece.at,
            (end - piece.at).min(piece.len),
        ))
    }
}

/// A part of bytes whose bounds lie within them.
fn part(bytes: &Bytes, start: u64, end: u64) -> Bytes {
    let index = |place: u64| usize::try_from(place).expect("within bytes in memory");
    bytes.slice(index(start)..index(end))
}
