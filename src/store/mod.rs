//! What outlives the process: one SQLite file in the data directory, written by one thread.
//!
//! Everybody else talks to that thread through a bounded queue. It holds no media and nothing waits for it on the
//! packet path. Other processes (`proscenium key add`) may write to the same file: the thread notices within a second.

mod connection;
mod error;
mod keys;
mod lock;
mod schema;
mod secrets;
#[cfg(test)]
mod tests;
mod writer;

pub use error::StoreError;
pub use keys::{KEYS_MAX, KeyRecord};
pub use lock::ServerLock;
pub use secrets::OperatorSecret;
pub use writer::{QUEUE_MAX, Store};

/// The database's name in the data directory.
pub const FILE_NAME: &str = "proscenium.db";
