//! What outlives the process: two SQLite files in the data directory, each written by one thread.
//!
//! Everybody else talks to that thread through a bounded queue. They hold no media and nothing waits for them on the
//! packet path. Keys and secrets are small and precious, and other processes (`proscenium key add`) may write them: the
//! thread notices within a second. Messages ([`History`]) are many, and only the server touches them: a command that
//! adds a key never waits for them, and who moves them away loses no key.

mod connection;
mod error;
mod history;
mod keys;
mod lock;
mod schema;
mod secrets;
#[cfg(test)]
mod tests;
mod writer;

pub use error::StoreError;
pub use history::{
    Audit, AuditEntry, Ban, HISTORY_QUEUE_BYTES_MAX, HISTORY_QUEUE_MAX, History, HistoryFigures,
    HistoryLimits, NewBan, Page, PageQuery, SlowMode,
};
pub use keys::{KEYS_MAX, KeyRecord};
pub use lock::ServerLock;
pub use secrets::OperatorSecret;
pub use writer::{QUEUE_MAX, Store};

/// The database's name in the data directory.
pub const FILE_NAME: &str = "proscenium.db";

/// The name of the database of messages in the data directory.
pub const HISTORY_FILE_NAME: &str = "messages.db";
