//! The tables, and how older ones become today's.

use std::path::Path;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::StoreError;

/// Marks the file as ours (`PRAGMA application_id`): "PRSC".
const APPLICATION_ID: i64 = 0x5052_5343;

/// One step each; the schema's number is how many were taken. Published steps are never edited, only followed by more.
const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE space_key (
        id      INTEGER PRIMARY KEY,
        space   TEXT    NOT NULL,
        salt    BLOB    NOT NULL CHECK (length(salt) = 16),
        hash    BLOB    NOT NULL CHECK (length(hash) = 32),
        created INTEGER NOT NULL -- seconds since 1970
    ) STRICT;
    CREATE INDEX space_key_by_space ON space_key (space);
",
    "
    CREATE TABLE venue_secret (
        name    TEXT    PRIMARY KEY,
        value   BLOB    NOT NULL CHECK (length(value) BETWEEN 16 AND 256),
        created INTEGER NOT NULL -- seconds since 1970
    ) STRICT;
",
];

/// Brings the database to today's schema, in one transaction; a new file gets everything.
///
/// # Errors
/// [`StoreError::Foreign`], [`StoreError::Newer`], or what SQLite says. Then nothing is changed.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let wrong = |error| StoreError::from_sqlite(path, error);
    // Immediate: two processes that start on a new directory take turns.
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(wrong)?;
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    let found = match version(&transaction).map_err(wrong)? {
        Some(found) => found,
        None => {
            if !is_empty(&transaction).map_err(wrong)? {
                return Err(StoreError::Foreign {
                    path: path.to_path_buf(),
                });
            }
            found_nothing(&transaction).map_err(wrong)?;
            0
        }
    };
    if found > known {
        return Err(StoreError::Newer {
            path: path.to_path_buf(),
            found,
            known,
        });
    }
    let done = usize::try_from(found).unwrap_or(0);
    for (step, sql) in (found + 1..).zip(&MIGRATIONS[done..]) {
        transaction.execute_batch(sql).map_err(wrong)?;
        let insert = "INSERT INTO schema_version (version, applied) VALUES (?1, unixepoch())";
        transaction.execute(insert, [step]).map_err(wrong)?;
    }
    transaction.commit().map_err(wrong)
}

/// The schema's number, or `None` when this is not our database (yet).
fn version(transaction: &Transaction<'_>) -> rusqlite::Result<Option<i64>> {
    let id: i64 = transaction.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    if id != APPLICATION_ID {
        return Ok(None);
    }
    transaction
        .query_row(
            "SELECT coalesce(max(version), 0) FROM schema_version",
            [],
            |row| row.get(0),
        )
        .map(Some)
}

fn is_empty(transaction: &Transaction<'_>) -> rusqlite::Result<bool> {
    transaction.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| {
        row.get(0)
    })
}

fn found_nothing(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.execute_batch(
        "CREATE TABLE schema_version (version INTEGER PRIMARY KEY, applied INTEGER NOT NULL) STRICT",
    )
}
