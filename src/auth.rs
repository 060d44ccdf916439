//! Who may publish where: the keys of spaces, kept as salted hashes and compared in constant time.
//!
//! A space without a key is open. Keys come from `proscenium.toml` (fixed while the server runs) and from the store
//! (`proscenium key add SPACE`, noticed within a second); either kind opens its space.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};
use tokio::sync::watch;

use crate::config::SpaceConfig;

/// The longest bearer token that is looked at, in bytes. Keys that this program makes have 32; a longer header is
/// refused before it is hashed, so that a request costs at most 17 hashes of this length (a few microseconds each).
pub const BEARER_MAX: usize = 1024;

/// The most keys that one space has, from each of the two places: enough for one per performer of an evening.
pub const KEYS_PER_SPACE_MAX: usize = 16;

/// Bytes of salt in front of each hashed key.
pub const SALT_LEN: usize = 16;

/// What the presented bearer token gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// The space has no key; anyone may publish.
    Open {
        /// SHA-256 of the bearer token that was presented all the same: it names the publisher who may take over.
        owner: Option<[u8; 32]>,
    },
    /// The space has a key, and this is it.
    Granted,
    /// The space has a key, and this is not it; or the token is longer than [`BEARER_MAX`].
    Denied,
}

/// A key as it is kept: SHA-256 over salt and key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HashedKey {
    /// Random, one for each key.
    pub salt: [u8; SALT_LEN],
    /// SHA-256 of the salt followed by the key.
    pub hash: [u8; 32],
}

impl HashedKey {
    /// Hashes `key` under `salt`.
    #[must_use]
    pub fn new(salt: [u8; SALT_LEN], key: &str) -> Self {
        let hash = Sha256::new()
            .chain_update(salt)
            .chain_update(key)
            .finalize()
            .into();
        Self { salt, hash }
    }

    /// Whether `bearer` is this key. All 32 bytes of the hashes are always compared.
    fn matches(&self, bearer: &str) -> Choice {
        Self::new(self.salt, bearer).hash.ct_eq(&self.hash)
    }
}

impl fmt::Debug for HashedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashedKey(..)")
    }
}

/// The keys of every space that has one.
pub type KeyTable = BTreeMap<String, Vec<HashedKey>>;

/// All keys of the server. A clone is cheap and sees later changes.
#[derive(Debug, Clone)]
pub struct Keys {
    configured: Arc<KeyTable>,
    /// Spaces that only those with a token may watch.
    private: Arc<BTreeSet<String>>,
    stored: Option<watch::Receiver<Arc<KeyTable>>>,
}

impl Keys {
    /// The keys of the configuration, and those that the store has now and later.
    ///
    /// # Errors
    /// When the operating system gives no random bytes for the salts.
    pub fn new(
        spaces: &[SpaceConfig],
        stored: Option<watch::Receiver<Arc<KeyTable>>>,
    ) -> Result<Self, getrandom::Error> {
        let mut configured = KeyTable::new();
        for space in spaces {
            if let Some(key) = &space.key {
                let hashed = HashedKey::new(fresh_salt()?, key);
                configured
                    .entry(space.name.clone())
                    .or_default()
                    .push(hashed);
            }
        }
        let private = spaces.iter().filter(|space| space.private);
        Ok(Self {
            configured: Arc::new(configured),
            private: Arc::new(private.map(|space| space.name.clone()).collect()),
            stored,
        })
    }

    /// What `bearer` (the token alone, without the word `Bearer`) may do in `space`.
    ///
    /// The time taken depends on the number of the space's keys and the length of the token, never on how much of a
    /// key was guessed: every key is hashed and compared whole, and none is skipped after a match.
    #[must_use]
    pub fn check(&self, space: &str, bearer: Option<&str>) -> Access {
        let bearer = match bearer {
            Some(token) if token.len() > BEARER_MAX => return Access::Denied,
            other => other,
        };
        let stored = self
            .stored
            .as_ref()
            .map(|stored| Arc::clone(&stored.borrow()));
        let configured_keys = self.configured.get(space).into_iter().flatten();
        let stored_keys = stored.iter().filter_map(|table| table.get(space)).flatten();
        let mut locked = false;
        let mut granted = Choice::from(0);
        for key in configured_keys.chain(stored_keys) {
            locked = true;
            granted |= key.matches(bearer.unwrap_or_default());
        }
        if !locked {
            let owner = bearer.map(|token| Sha256::digest(token).into());
            return Access::Open { owner };
        }
        // An absent token is no empty key: keys are never empty, and a hash of nothing must not open anything.
        if bool::from(granted) && bearer.is_some() {
            Access::Granted
        } else {
            Access::Denied
        }
    }

    /// Whether coming into `space` takes a key or a token: where publishing takes one, and where watching does.
    #[must_use]
    pub fn is_locked(&self, space: &str) -> bool {
        self.configured.contains_key(space)
            || self.private.contains(space)
            || self
                .stored
                .as_ref()
                .is_some_and(|stored| stored.borrow().contains_key(space))
    }
}

/// Random bytes for one key's salt.
///
/// # Errors
/// When the operating system gives none.
pub fn fresh_salt() -> Result<[u8; SALT_LEN], getrandom::Error> {
    let mut salt = [0; SALT_LEN];
    getrandom::fill(&mut salt)?;
    Ok(salt)
}

/// A new key: 192 random bits as 32 URL-safe characters.
///
/// # Errors
/// When the operating system gives no random bytes.
pub fn fresh_key() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 24];
    getrandom::fill(&mut bytes)?;
    Ok(data_encoding::BASE64URL_NOPAD.encode(&bytes))
}

/// Whether a person may choose `key`: 8 to 256 characters that a bearer token can carry (RFC 6750 section 2.1).
///
/// # Errors
/// A sentence that says what is wrong, without the key.
pub fn check_chosen_key(key: &str) -> Result<(), &'static str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if key.len() < 8 {
        Err("a key has at least 8 characters; leave it out to have one made")
    } else if key.len() > 256 {
        Err("a key has at most 256 characters")
    } else if !key.bytes().all(allowed) {
        Err("a key consists of letters, digits and the characters - . _ ~ + / =")
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(name: &str, key: Option<&str>) -> SpaceConfig {
        SpaceConfig {
            name: name.into(),
            key: key.map(Into::into),
            private: false,
            whep_slate: false,
            streams: Vec::new(),
        }
    }

    fn table(space: &str, keys: &[&str]) -> Arc<KeyTable> {
        let hash = |key: &&str| HashedKey::new(fresh_salt().unwrap(), key);
        Arc::new(KeyTable::from([(
            space.to_owned(),
            keys.iter().map(hash).collect(),
        )]))
    }

    #[test]
    fn a_space_without_a_key_is_open_and_names_the_owner_by_the_hash_of_the_token() {
        let keys = Keys::new(&[space("stage", None)], None).unwrap();
        assert_eq!(keys.check("stage", None), Access::Open { owner: None });
        let owner = Some(Sha256::digest("me").into());
        assert_eq!(keys.check("stage", Some("me")), Access::Open { owner });
    }

    #[test]
    fn a_configured_key_opens_its_own_space_only() {
        let keys = Keys::new(
            &[space("a", Some("key-of-a")), space("b", Some("key-of-b"))],
            None,
        )
        .unwrap();
        assert_eq!(keys.check("a", Some("key-of-a")), Access::Granted);
        for wrong in [
            None,
            Some(""),
            Some("key-of-b"),
            Some("key-of-"),
            Some("key-of-aa"),
            Some("Key-of-a"),
        ] {
            assert_eq!(keys.check("a", wrong), Access::Denied, "{wrong:?}");
        }
    }

    #[test]
    fn stored_and_configured_keys_count_alike_and_changes_are_seen() {
        let (sender, receiver) = watch::channel(table("a", &["stored-1", "stored-2"]));
        let keys = Keys::new(&[space("a", Some("configured"))], Some(receiver)).unwrap();
        for right in ["stored-1", "stored-2", "configured"] {
            assert_eq!(keys.check("a", Some(right)), Access::Granted, "{right}");
        }
        sender.send_replace(table("b", &["stored-1"]));
        assert_eq!(keys.check("a", Some("stored-1")), Access::Denied);
        assert_eq!(keys.check("a", Some("configured")), Access::Granted);
        assert!(keys.is_locked("b") && !keys.is_locked("c"));
    }

    #[test]
    fn a_token_at_the_limit_is_looked_at_and_one_byte_more_is_not() {
        let longest = "k".repeat(BEARER_MAX);
        let keys = Keys::new(&[space("a", Some(&longest))], None).unwrap();
        assert_eq!(keys.check("a", Some(&longest)), Access::Granted);
        assert_eq!(
            keys.check("a", Some(&format!("{longest}k"))),
            Access::Denied
        );
        assert_eq!(
            keys.check("open", Some(&format!("{longest}k"))),
            Access::Denied
        );
    }

    #[test]
    fn fresh_keys_differ_can_be_chosen_and_fit_into_a_url() {
        let (one, other) = (fresh_key().unwrap(), fresh_key().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.len(), 32);
        assert!(
            one.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        );
        assert_eq!(check_chosen_key(&one), Ok(()));
    }

    #[test]
    fn keys_that_no_header_can_carry_are_refused() {
        for bad in [
            "",
            "short",
            "has space in it",
            "ünïcödé-key",
            "line\nbreak",
            &"k".repeat(257),
        ] {
            assert!(check_chosen_key(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn nothing_of_a_key_is_printed() {
        let keys = Keys::new(&[space("a", Some("do-not-print"))], None).unwrap();
        assert!(!format!("{keys:?}").contains("do-not-print"));
    }
}
