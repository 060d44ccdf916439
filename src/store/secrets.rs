//! The venue's own secrets: made once, and never shown by whoever only reads a log.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};
use tokio::sync::watch;

use super::StoreError;
use super::writer::{Request, Store};
use crate::auth::fresh_key;
use crate::tokens::{KEY_LEN, Secrets};

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

/// The operator's secret as the store keeps it.
#[derive(Clone, PartialEq, Eq)]
pub struct OperatorSecret {
    /// What the operator presents.
    pub secret: String,
    /// Whether it was made just now: nobody has seen it yet.
    pub is_new: bool,
}

impl std::fmt::Debug for OperatorSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OperatorSecret {{ is_new: {} }}", self.is_new)
    }
}

impl Store {
    /// The key that signs this venue's tokens; made if there is none yet.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when what is kept is no key, [`StoreError::Busy`], or what the disk says.
    pub fn token_key(&self) -> Result<[u8; KEY_LEN], StoreError> {
        let (key, _) = self.secret(Secret::TokenKey, fresh_token_key()?)?;
        key.try_into().map_err(|_| self.no_key())
    }

    /// The operator's secret; made if there is none yet.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when what is kept is no text, [`StoreError::Busy`], or what the disk says.
    pub fn operator_secret(&self) -> Result<OperatorSecret, StoreError> {
        let (secret, is_new) = self.secret(Secret::Operator, fresh_secret()?.into_bytes())?;
        let secret = String::from_utf8(secret)
            .map_err(|_| self.damaged("the operator's secret is no text"))?;
        Ok(OperatorSecret { secret, is_new })
    }

    /// Makes a new key and a new secret of the operator: every token that was made so far ends. Whoever has the old
    /// secret may have made tokens, so that there is no changing the one without the other.
    ///
    /// # Errors
    /// [`StoreError::Busy`], or what the disk says. Then the old ones stay.
    pub fn renew_secrets(&self) -> Result<OperatorSecret, StoreError> {
        let secret = fresh_secret()?;
        let fresh = vec![
            (Secret::TokenKey, fresh_token_key()?),
            (Secret::Operator, secret.clone().into_bytes()),
        ];
        self.ask(|reply| Request::RenewSecrets { fresh, reply })?;
        Ok(OperatorSecret {
            secret,
            is_new: true,
        })
    }

    /// The secrets, now and after each change by whatever process. The key is made if there is none yet, the
    /// operator's secret is not.
    ///
    /// # Errors
    /// As [`Store::token_key`].
    pub fn secrets(&self) -> Result<watch::Receiver<Arc<Secrets>>, StoreError> {
        self.token_key()?;
        let followed = self.ask(|reply| Request::FollowSecrets { reply })?;
        followed.ok_or_else(|| self.no_key())
    }

    fn secret(&self, secret: Secret, fresh: Vec<u8>) -> Result<(Vec<u8>, bool), StoreError> {
        self.ask(|reply| Request::Secret {
            secret,
            fresh,
            reply,
        })
    }

    fn no_key(&self) -> StoreError {
        self.damaged("the key of tokens has a wrong length")
    }

    fn damaged(&self, reason: &str) -> StoreError {
        StoreError::Damaged {
            path: self.path().to_path_buf(),
            reason: reason.to_owned(),
        }
    }
}

fn fresh_token_key() -> Result<Vec<u8>, StoreError> {
    let mut key = vec![0; KEY_LEN];
    getrandom::fill(&mut key).map_err(|error| StoreError::System(error.to_string()))?;
    Ok(key)
}

fn fresh_secret() -> Result<String, StoreError> {
    fresh_key().map_err(|error| StoreError::System(error.to_string()))
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
    if let Some(kept) = kept(&transaction, secret)? {
        return Ok((kept, false));
    }
    let insert = "INSERT INTO venue_secret (name, value, created) VALUES (?1, ?2, ?3)";
    transaction.execute(insert, params![secret.name(), fresh, created])?;
    transaction.commit()?;
    Ok((fresh.to_vec(), true))
}

/// Puts new secrets in the place of the old ones, all of them or none.
pub(super) fn renew(
    connection: &mut Connection,
    fresh: &[(Secret, Vec<u8>)],
    created: i64,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let replace = "INSERT OR REPLACE INTO venue_secret (name, value, created) VALUES (?1, ?2, ?3)";
    for (secret, value) in fresh {
        transaction.execute(replace, params![secret.name(), value, created])?;
    }
    transaction.commit()
}

/// Both secrets as [`crate::tokens::Tokens`] wants them; `None` without a usable key.
pub(super) fn load(connection: &Connection) -> rusqlite::Result<Option<Secrets>> {
    let operator = kept(connection, Secret::Operator)?;
    let operator = operator.and_then(|secret| String::from_utf8(secret).ok());
    let key = kept(connection, Secret::TokenKey)?;
    let key = key.and_then(|key| <[u8; KEY_LEN]>::try_from(key).ok());
    Ok(key.map(|key| Secrets::new(&key, operator.as_deref())))
}

fn kept(connection: &Connection, secret: Secret) -> rusqlite::Result<Option<Vec<u8>>> {
    let select = "SELECT value FROM venue_secret WHERE name = ?1";
    connection
        .query_row(select, [secret.name()], |row| row.get(0))
        .optional()
}
