//! The tables, and how older ones become today's.

use std::path::Path;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::StoreError;

/// What a file of ours holds.
pub(super) struct Schema {
    /// Marks the file as ours (`PRAGMA application_id`).
    application_id: i64,
    /// One step each; the schema's number is how many were taken. Published steps are never edited, only followed by
    /// more.
    steps: &'static [&'static str],
}

/// Keys and secrets: "PRSC".
pub(super) const VENUE: Schema = Schema {
    application_id: 0x5052_5343,
    steps: VENUE_STEPS,
};

/// Messages and what moderators decided: "PRSM".
pub(super) const HISTORY: Schema = Schema {
    application_id: 0x5052_534d,
    steps: HISTORY_STEPS,
};

const VENUE_STEPS: &[&str] = &[
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

const HISTORY_STEPS: &[&str] = &["
    CREATE TABLE message (
        seq        INTEGER PRIMARY KEY, -- microseconds since 1970, unique
        channel    TEXT    NOT NULL,
        kind       TEXT    NOT NULL,
        message_id TEXT,
        user       TEXT,
        is_binary  INTEGER NOT NULL,
        is_stored  INTEGER NOT NULL, -- sent with `store: true`; others are CHAT and LIKE
        stream     TEXT,
        life       TEXT,
        time_ms    INTEGER,
        bytes      INTEGER NOT NULL, -- what it counts towards the limit
        raw        BLOB    NOT NULL
    ) STRICT;
    CREATE INDEX message_by_channel ON message (channel, seq);
    CREATE INDEX message_by_channel_and_kind ON message (channel, kind, seq);
    CREATE INDEX message_stored ON message (seq) WHERE is_stored;
    CREATE INDEX message_stored_by_kind ON message (kind, seq) WHERE is_stored;
    CREATE INDEX message_stored_by_channel ON message (channel, seq) WHERE is_stored;
    CREATE TABLE total (
        id       INTEGER PRIMARY KEY CHECK (id = 1),
        messages INTEGER NOT NULL,
        bytes    INTEGER NOT NULL,
        newest   INTEGER NOT NULL -- the largest seq that ever was
    ) STRICT;
    INSERT INTO total VALUES (1, 0, 0, 0);
    CREATE TABLE ban (
        id         INTEGER PRIMARY KEY AUTOINCREMENT,
        space      TEXT    NOT NULL,
        user       TEXT,
        address    TEXT,
        until_ms   INTEGER NOT NULL,
        created_ms INTEGER NOT NULL,
        who        TEXT    NOT NULL
    ) STRICT;
    CREATE INDEX ban_by_space ON ban (space);
    CREATE TABLE space_setting (
        space        TEXT    PRIMARY KEY,
        slow_mode_ms INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE audit (
        id     INTEGER PRIMARY KEY AUTOINCREMENT,
        at_ms  INTEGER NOT NULL,
        who    TEXT    NOT NULL,
        what   TEXT    NOT NULL,
        space  TEXT    NOT NULL, -- empty: the whole venue
        detail TEXT    NOT NULL
    ) STRICT;
    CREATE INDEX audit_by_space ON audit (space, id);
"];

/// Brings the database to today's schema, in one transaction; a new file gets everything.
///
/// # Errors
/// [`StoreError::Foreign`], [`StoreError::Newer`], or what SQLite says. Then nothing is changed.
pub(super) fn migrate(
    connection: &mut Connection,
    path: &Path,
    schema: &Schema,
) -> Result<(), StoreError> {
    let wrong = |error| StoreError::from_sqlite(path, error);
    // Immediate: two processes that start on a new directory take turns.
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(wrong)?;
    let known = i64::try_from(schema.steps.len()).unwrap_or(i64::MAX);
    let found = match version(&transaction, schema).map_err(wrong)? {
        Some(found) => found,
        None => {
            if !is_empty(&transaction).map_err(wrong)? {
                return Err(StoreError::Foreign {
                    path: path.to_path_buf(),
                });
            }
            found_nothing(&transaction, schema).map_err(wrong)?;
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
    for (step, sql) in (found + 1..).zip(&schema.steps[done..]) {
        transaction.execute_batch(sql).map_err(wrong)?;
        let insert = "INSERT INTO schema_version (version, applied) VALUES (?1, unixepoch())";
        transaction.execute(insert, [step]).map_err(wrong)?;
    }
    transaction.commit().map_err(wrong)
}

/// The schema's number, or `None` when this is not our database (yet).
fn version(transaction: &Transaction<'_>, schema: &Schema) -> rusqlite::Result<Option<i64>> {
    let id: i64 = transaction.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    if id != schema.application_id {
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

fn found_nothing(transaction: &Transaction<'_>, schema: &Schema) -> rusqlite::Result<()> {
    transaction.pragma_update(None, "application_id", schema.application_id)?;
    transaction.execute_batch(
        "CREATE TABLE schema_version (version INTEGER PRIMARY KEY, applied INTEGER NOT NULL) STRICT",
    )
}
