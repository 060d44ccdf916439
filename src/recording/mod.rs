//! What was live, on disk: the DVR window of each stream, recordings, and their replay.
//!
//! One thread writes ([`Recorder`]); it is fed through a bounded queue, and neither media nor the packager ever waits
//! for it. What does not fit is dropped and counted, and the recording gets a discontinuity there. Everybody else asks
//! the [`Archive`]. Nothing here packages, decodes or writes playlists: segments come and go as they are.
//!
//! # On disk
//! `recordings/{space}/{stream}/{life}/` holds
//! * `{rendition}-{msn}.m4s`: segments one after the other, a new file (a *chunk*) every five minutes, so that the
//!   window can be pruned by deleting files; `msn` is the first segment's;
//! * `{rendition}-i{number}.mp4` and `{seconds}.jpg`: initialisation segments and thumbnails;
//! * `index`: one line for each of these, for each segment and for each moment that players are told of, each line with a
//!   checksum, appended when the bytes are there. What the index does not name does not exist;
//! * `finished`: a summary, written when the life has ended. Without it the life was cut off, and is mended at the
//!   next start: torn tails are cut, and it is finished;
//! * `suspended`, until the next start: it ended with the server, and may go on ([`Archive::resumable`]).
//!
//! # What is lost
//! `kill -9`: nothing that was complete. A power cut: at most the last [`SYNC_EVERY`], because files are synced so
//! often; while mending, checksums tell what of the last minute is really there. A full disk or quota: the oldest DVR
//! windows go first; when only recordings are left, recording stops with an error in the log and in
//! [`Archive::trouble`], the live streams go on, and it resumes when there is room.
//!
//! # What is kept
//! A stream is *kept* from the moment it is said ([`Entry::Begin`], [`Entry::Keep`]) until it is taken back. Chunks
//! of that time stay after the end, for ever or for `keep_max`. All others are pruned to the DVR window while the
//! stream is live, and are deleted ten minutes after its end; until then [`Archive::keep`] rescues them.

mod archive;
mod disk;
mod entry;
mod free;
mod index;
mod layout;
mod mend;
mod model;
mod mp4;
mod open;
mod queue;
mod resume;
mod slot;
#[cfg(test)]
mod tests;
mod tidy;
mod writer;

pub use archive::{Archive, Location, Refusal, Trouble};
pub use entry::{Entry, Settings};
pub use model::{Recording, RecordingState, Reel, SegmentEntry};
pub use mp4::{Mp4, READ_MAX};
pub use queue::{Counters, QUEUE_BYTES_MAX, QUEUE_MAX, Recorder};
pub use resume::{Constants, PastTrack, Resumable};
pub use tidy::SYNC_EVERY;
