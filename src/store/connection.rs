//! Opens the database file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::{FILE_NAME, HISTORY_FILE_NAME, StoreError, schema};

/// How long a statement waits for another process that writes.
const BUSY_MAX: Duration = Duration::from_secs(5);

/// What is left of the history's journal after a burst: some 10,000 messages.
const JOURNAL_BYTES_MAX: u64 = 16 << 20;

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
    let mut connection = open_file(&path).map_err(wrong)?;
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
    schema::migrate(&mut connection, &path, &schema::VENUE)?;
    Ok((connection, path))
}

/// Opens or makes the history: a connection that writes and one that only reads. It is not looked through, which would
/// take seconds when it is large: what is damaged is found when it is read.
pub(super) fn open_history(
    data_dir: &Path,
) -> Result<(Connection, Connection, PathBuf), StoreError> {
    make_directory(data_dir)?;
    let path = data_dir.join(HISTORY_FILE_NAME);
    let wrong = |error| StoreError::from_sqlite(&path, error).of_history();
    let mut writer = open_file(&path).map_err(wrong)?;
    let set = |name, value: &str| writer.pragma_update(None, name, value).map_err(wrong);
    set("journal_mode", "WAL")?;
    // A message that was heard outlives a power cut, not only a crash of this process.
    set("synchronous", "FULL")?;
    // What a moderator deleted is overwritten where that costs no further page.
    writer
        .query_row("PRAGMA secure_delete = FAST", [], |_| Ok(()))
        .map_err(wrong)?;
    writer
        .query_row(
            &format!("PRAGMA journal_size_limit = {JOURNAL_BYTES_MAX}"),
            [],
            |_| Ok(()),
        )
        .map_err(wrong)?;
    schema::migrate(&mut writer, &path, &schema::HISTORY).map_err(StoreError::of_history)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let reader = Connection::open_with_flags(&path, flags).map_err(wrong)?;
    reader.busy_timeout(BUSY_MAX).map_err(wrong)?;
    Ok((writer, reader, path))
}

fn open_file(path: &Path) -> rusqlite::Result<Connection> {
    keep_private(path);
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_MAX)?;
    Ok(connection)
}

/// The database holds the venue's secrets: others on this machine must not read it, even when the directory lets them
/// in. SQLite gives its side files the same mode. A group that was let in on purpose stays.
#[cfg(unix)]
fn keep_private(path: &Path) {
    use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
    let mut options = std::fs::OpenOptions::new();
    // Made here with the right mode, or there already. Whatever is wrong SQLite finds in a moment and says better.
    let _ = options.write(true).create_new(true).mode(0o600).open(path);
    let Ok(metadata) = std::fs::metadata(path) else {
        return;
    };
    let mode = metadata.permissions().mode();
    if metadata.is_file() && mode & 0o007 != 0 {
        let private = std::fs::Permissions::from_mode(mode & 0o770);
        if let Err(error) = std::fs::set_permissions(path, private) {
            tracing::warn!(path = %path.display(), %error, "others can read the database, and this cannot be changed; use chmod o-rwx");
        }
    }
}

#[cfg(not(unix))]
fn keep_private(_: &Path) {}
