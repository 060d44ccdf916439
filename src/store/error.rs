//! What can go wrong with the data directory. Each text says what to do.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The data directory is not there and cannot be made, or cannot be used.
    #[error(
        "data directory {path}: {reason}; choose another with --data-dir, or let this user write there",
        path = path.display()
    )]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Another server runs on the same data.
    #[error(
        "data directory {path} is in use by another server{who}; stop that one, or choose another with --data-dir",
        path = path.display()
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// ` (process 1234)` or nothing.
        who: String,
    },
    /// The file is no database, or one with broken pages.
    #[error(
        "database {path} is damaged ({reason}); restore it from a backup, or move it away to start with an empty one \
         (keys must then be added again, and tokens made again)",
        path = path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        reason: String,
    },
    /// The history is no database, or one with broken pages.
    #[error(
        "the history {path} is damaged ({reason}); restore it from a backup, or move it away to start with an empty \
         one (bans and the audit trail are in it, too)",
        path = path.display()
    )]
    DamagedHistory {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        reason: String,
    },
    /// A limit of bans is reached.
    #[error("{what} has {most} bans, the most there can be; lift some")]
    TooManyBans {
        /// A space, or the whole server.
        what: String,
        /// The limit.
        most: usize,
    },
    /// As many spaces are in slow mode as can be.
    #[error("{most} spaces are in slow mode, the most there can be; end it in some")]
    TooManySlow {
        /// The limit.
        most: usize,
    },
    /// A database of some other program.
    #[error("{path} is a database of another program; choose another --data-dir", path = path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A later release has written it.
    #[error(
        "database {path} has schema {found}, and this program knows {known} at most; use the newer proscenium that \
         wrote it, or another --data-dir",
        path = path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// Another process holds the database for longer than we wait.
    #[error("database {path} is locked by another program; try again when it is done", path = path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// A limit of keys is reached.
    #[error(
        "{what} has {most} keys already, the most there can be; remove some with `proscenium key remove SPACE`"
    )]
    TooManyKeys {
        /// A space, or the whole server.
        what: String,
        /// The limit.
        most: usize,
    },
    /// The queue to the writer is full: the newest request is refused.
    #[error("the store is busy; try again later")]
    Busy,
    /// The writer thread has ended.
    #[error("the store has stopped")]
    Stopped,
    /// No random bytes, no thread.
    #[error("the operating system refuses: {0}")]
    System(String),
    /// Anything else that SQLite says.
    #[error("database {path}: {source}", path = path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
}

impl StoreError {
    /// Sorts an error of SQLite by what a person can do about it.
    pub(super) fn from_sqlite(path: &Path, source: rusqlite::Error) -> Self {
        let path = path.to_path_buf();
        match source.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Self::Damaged {
                path,
                reason: source.to_string(),
            },
            Some(
                ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::PermissionDenied
                | ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure,
            ) => {
                let directory = path.parent().unwrap_or(&path).to_path_buf();
                Self::Directory {
                    path: directory,
                    reason: source.to_string(),
                }
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked { path },
            _ => Self::Sqlite { path, source },
        }
    }

    /// The same of the history, which holds no keys.
    pub(super) fn of_history(self) -> Self {
        match self {
            Self::Damaged { path, reason } => Self::DamagedHistory { path, reason },
            other => other,
        }
    }
}
