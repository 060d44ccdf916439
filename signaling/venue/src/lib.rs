//! Who publishes, watches and meets where: names of spaces and streams, and who is live, waits, stands by, is given back and is
//! forgotten.
//!
//! This crate opens no socket, reads no clock, draws no random number, takes no lock and sends nothing: it is told what happens and when,
//! with the random names that it may need, and says what is to be done. It knows the words of `sfu`, which moves the media.

#![warn(missing_docs)]

mod cameras;
mod gone;
mod io;
mod key;
mod moment;
pub mod names;
mod outcome;
mod rooms;
mod sessions;
mod slates;
mod standby;
mod streams;
mod takeover;
#[cfg(test)]
mod tests;
mod trouble;
mod venue;

pub use gone::Gone;
pub use io::{Consequence, Output};
pub use key::StreamKey;
pub use moment::Moment;
pub use names::{NameError, SpaceName, StreamName};
pub use outcome::{Accepted, Refused, Restarted, TakeOver};
pub use rooms::{FeedShape, RoomState};
pub use standby::Backup;
pub use streams::Claim;
pub use trouble::Trouble;
pub use venue::{Limits, Reserved, SessionRecord, StreamSummary, Venue};
