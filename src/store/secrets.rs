//! The venue's own secrets: made once, and never shown by whoever only reads a log.

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

/// What the venue keeps for itself. The names are those of the table's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Secret {
    /// Signs tokens: 32 bytes.
    TokenKey,
    /// What an operator presents: text.
    Operator,
}

impl Secret {
    fn name(self) -> &'static str {
        match self {
            Self::TokenKey => "token_key",
            Self::Operator => "operator",
        }
    }
}

/// The secret that is kept, and whether it is `fresh`, which is kept from now on if there was none.
pub(super) fn kept_or(
    connection: &mut Connection,
    secret: Secret,
    fresh: &[u8],
    created: i64,
) -> rusqlite::Result<(Vec<u8>, bool)> {
    // Immediate: of two processes that start on a new directory one makes the secret and the other finds it.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let select = "SELECT value FROM venue_secret WHERE name = ?1";
    let kept: Option<Vec<u8>> = transaction
        .query_row(select, [secret.name()], |row| row.get(0))
        .optional()?;
    if let Some(kept) = kept {
        return Ok((kept, false));
    }
    let insert = "INSERT INTO venue_secret (name, value, created) VALUES (?1, ?2, ?3)";
    transaction.execute(insert, params![secret.name(), fresh, created])?;
    transaction.commit()?;
    Ok((fresh.to_vec(), true))
}
