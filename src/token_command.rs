//! `proscenium token` and `proscenium secret`: what the data directory signs and keeps, whether or not a server runs
//! on it.

use std::io::{self, Write};
use std::time::Duration;

use conference::ParticipantRole;

use crate::clock;
use crate::config::{Config, Secret};
use crate::store::{OperatorSecret, Store, StoreError};
use crate::tokens::{self, Claims, LabelError, Scope, Tokens};

/// Why the command did nothing.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The data directory.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Nobody is called so.
    #[error("the name {0}")]
    Name(LabelError),
    /// Stdout is closed.
    #[error("cannot print: {0}")]
    Print(#[from] io::Error),
}

/// Whom a token is for.
#[derive(Debug, Clone)]
pub struct Holder {
    /// Where it lets its holder in.
    pub space: Scope,
    /// As what.
    pub role: ParticipantRole,
    /// Under which name; `None`: the holder chooses.
    pub name: Option<String>,
}

/// Makes a token, and prints it on one line and the address to give away on the next.
///
/// # Errors
/// A bad name, or what the store says. Then nothing is made.
pub fn make(
    config: &Config,
    holder: Holder,
    lifetime: Duration,
    out: &mut impl Write,
) -> Result<(), TokenError> {
    let now = clock::unix_seconds().unsigned_abs();
    let claims = Claims::new(holder.space, holder.role, lifetime, now);
    let claims = claims.with_name(holder.name).map_err(TokenError::Name)?;
    let store = Store::open(&config.data_dir)?;
    // Whose secret it is does not matter to what signs.
    let token = Tokens::new(&store.token_key()?, "").mint(&claims);
    writeln!(out, "{token}")?;
    match &claims.space {
        Scope::Space(space) => writeln!(out, "{}", tokens::entrance(space, &token))?,
        Scope::Every => writeln!(out, "/SPACE/meet#token={token}")?,
    }
    Ok(())
}

/// Prints the operator's secret as the only line. With `renew` a new one is made first, and a new key, so that all
/// tokens end; a secret that was chosen in the configuration stays what it is.
///
/// # Errors
/// What the store says.
pub fn secret(config: &Config, renew: bool, out: &mut impl Write) -> Result<(), TokenError> {
    let store = Store::open(&config.data_dir)?;
    if renew {
        store.renew_secrets()?;
    }
    let OperatorSecret { secret, .. } = operator_secret(config, &store)?;
    Ok(writeln!(out, "{secret}")?)
}

/// The operator's secret: the configured one, otherwise the one that the store keeps, made if there is none yet.
///
/// # Errors
/// What the store says.
pub fn operator_secret(config: &Config, store: &Store) -> Result<OperatorSecret, StoreError> {
    match config.secret.as_ref().map(Secret::reveal) {
        Some(secret) => Ok(OperatorSecret {
            secret: secret.to_owned(),
            is_new: false,
        }),
        None => store.operator_secret(),
    }
}
