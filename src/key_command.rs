//! `proscenium key`: the keys of the data directory, whether or not a server runs on it.

use std::io::{self, Write};
use std::path::Path;

use jiff::Timestamp;
use venue::{NameError, SpaceName};

use crate::auth::fresh_key;
use crate::store::{Store, StoreError};

/// Why the command did nothing.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// No space can be called so.
    #[error("space `{space}`: {source}")]
    Name {
        /// As given.
        space: String,
        /// What is wrong with it.
        source: NameError,
    },
    /// The data directory.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No random bytes.
    #[error("the operating system gives no random bytes: {0}")]
    Random(#[from] getrandom::Error),
    /// Stdout is closed.
    #[error("cannot print: {0}")]
    Print(#[from] io::Error),
    /// There is nothing to remove.
    #[error(
        "space `{space}` has no stored key; `proscenium key list` shows those that have, and keys in the file are \
             removed there"
    )]
    NoKey {
        /// As given.
        space: SpaceName,
    },
}

/// Adds `key`, or a fresh one, to `space`, and prints the key as the only line.
///
/// # Errors
/// A bad name, or what the store says. Then nothing is added.
pub fn add(
    data_dir: &Path,
    space: &str,
    key: Option<String>,
    out: &mut impl Write,
) -> Result<(), KeyError> {
    let space = parse(space)?;
    let key = match key {
        Some(key) => key,
        None => fresh_key()?,
    };
    Store::open(data_dir)?.add_key(&space, &key)?;
    Ok(writeln!(out, "{key}")?)
}

/// Prints a line for each key: its space, and when it was added (UTC).
///
/// # Errors
/// What the store says.
pub fn list(data_dir: &Path, out: &mut impl Write) -> Result<(), KeyError> {
    for record in Store::open(data_dir)?.list_keys()? {
        // The database may hold any number; what is no time is shown as the beginning of time.
        let created = Timestamp::from_second(record.created).unwrap_or(Timestamp::UNIX_EPOCH);
        writeln!(out, "{}\t{created}", record.space)?;
    }
    Ok(())
}

/// Removes every stored key of `space`, and prints how many there were.
///
/// # Errors
/// A bad name, [`KeyError::NoKey`], or what the store says.
pub fn remove(data_dir: &Path, space: &str, out: &mut impl Write) -> Result<(), KeyError> {
    let space = parse(space)?;
    match Store::open(data_dir)?.remove_keys(&space)? {
        0 => Err(KeyError::NoKey { space }),
        1 => Ok(writeln!(out, "1 key of {space} is removed")?),
        count => Ok(writeln!(out, "{count} keys of {space} are removed")?),
    }
}

fn parse(space: &str) -> Result<SpaceName, KeyError> {
    space.parse().map_err(|source| KeyError::Name {
        space: space.to_owned(),
        source,
    })
}
