//! Opens the database file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;

use super::{FILE_NAME, StoreError, schema};

/// How long a statement waits for another process that writes.
const BUSY_MAX: Duration = Duration::from_secs(5);

/// Makes the data directory if it is missing, readable by this user only.
pub(super) fn make_directory(path: &Path) -> Result<(), StoreError> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|error| StoreError::Directory {
        path: path.to_path_buf(),
        reason: error.to_string(),
    })
}

/// Opens or makes the database, checks it, and brings it to today's schema. Returns its path, too.
pub(super) fn open(data_dir: &Path) -> Result<(Connection, PathBuf), StoreError> {
    make_directory(data_dir)?;
    let path = data_dir.join(FILE_NAME);
    let wrong = |error| StoreError::from_sqlite(&path, error);
    let mut connection = Connection::open(&path).map_err(wrong)?;
    connection.busy_timeout(BUSY_MAX).map_err(wrong)?;
    let finding: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(wrong)?;
    if finding != "ok" {
        return Err(StoreError::Damaged {
            path,
            reason: finding,
        });
    }
    // Readers and the writer of other processes do not stop one another.
    connection
        .pragma_update(None, "journal_mode", "WAL")
        .map_err(wrong)?;
    connection
        .pragma_update(None, "foreign_keys", true)
        .map_err(wrong)?;
    schema::migrate(&mut connection, &path)?;
    Ok((connection, path))
}
