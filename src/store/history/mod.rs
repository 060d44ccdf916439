//! Messages that are kept, and what moderators decided about spaces.
//!
//! One thread writes, in groups: all that came while the disk wrote the last group is the next one, so that a thousand
//! messages per second are some hundred writes. Another thread reads, over a connection of its own, and never waits for
//! the disk to have written.

mod handle;
mod moderation;
mod rows;
mod shares;
#[cfg(test)]
mod tests;
mod writer;

pub use handle::{
    HISTORY_QUEUE_BYTES_MAX, HISTORY_QUEUE_MAX, History, HistoryFigures, HistoryLimits,
};
pub use moderation::{Audit, AuditEntry, Ban, NewBan, SlowMode};
pub use rows::{Page, PageQuery};
