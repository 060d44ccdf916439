//! The table of keys.

use rusqlite::{Connection, params};

use crate::auth::{HashedKey, KEYS_PER_SPACE_MAX, KeyTable};

/// The most keys of all spaces together: 10,000 are 1.5 MB in memory and load in some 10 ms.
pub const KEYS_MAX: usize = 10_000;

/// What may be known about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// The space that it opens.
    pub space: String,
    /// When it was added, in seconds since 1970.
    pub created: i64,
}

/// Why a key was not added.
pub(super) enum NotAdded {
    TooManyOfSpace,
    TooMany,
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for NotAdded {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

pub(super) fn add(
    connection: &mut Connection,
    space: &str,
    key: &HashedKey,
    created: i64,
) -> Result<(), NotAdded> {
    // Counting and inserting in one transaction: two processes cannot exceed the limit together.
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let count = "SELECT count(*), count(*) FILTER (WHERE space = ?1) FROM space_key";
    let (all, of_space): (i64, i64) =
        transaction.query_row(count, [space], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if of_space >= KEYS_PER_SPACE_MAX as i64 {
        return Err(NotAdded::TooManyOfSpace);
    }
    if all >= KEYS_MAX as i64 {
        return Err(NotAdded::TooMany);
    }
    let insert = "INSERT INTO space_key (space, salt, hash, created) VALUES (?1, ?2, ?3, ?4)";
    transaction.execute(insert, params![space, key.salt, key.hash, created])?;
    transaction.commit()?;
    Ok(())
}

/// Removes all keys of a space; returns how many there were.
pub(super) fn remove(connection: &Connection, space: &str) -> rusqlite::Result<usize> {
    connection.execute("DELETE FROM space_key WHERE space = ?1", [space])
}

/// All keys, by space and age, without what they are.
pub(super) fn list(connection: &Connection) -> rusqlite::Result<Vec<KeyRecord>> {
    let mut statement =
        connection.prepare("SELECT space, created FROM space_key ORDER BY space, created, id")?;
    let rows = statement.query_map([], |row| {
        Ok(KeyRecord {
            space: row.get(0)?,
            created: row.get(1)?,
        })
    })?;
    rows.collect()
}

/// All keys as [`crate::auth::Keys`] wants them.
pub(super) fn load(connection: &Connection) -> rusqlite::Result<KeyTable> {
    let mut table = KeyTable::new();
    let mut statement =
        connection.prepare("SELECT space, salt, hash FROM space_key ORDER BY id")?;
    let rows = statement.query_map([], |row| {
        let key = HashedKey {
            salt: row.get(1)?,
            hash: row.get(2)?,
        };
        Ok((row.get::<_, String>(0)?, key))
    })?;
    for row in rows {
        let (space, key) = row?;
        table.entry(space).or_default().push(key);
    }
    Ok(table)
}

/// A number that changes whenever another connection has changed the file.
pub(super) fn data_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA data_version", [], |row| row.get(0))
}
