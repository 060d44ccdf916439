//! Tokens: who may be what in which space, until when, signed by this venue (JWT, RFC 7519, with HS256 alone).
//!
//! What it deliberately does not do: remember tokens. One that was handed out is good until it expires; a new key
//! (`proscenium secret --renew`) ends all of them at once. Nothing but this venue ever reads the signature, so that one
//! algorithm is enough and no header may choose another.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use conference::Denied;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::sync::watch;
use venue::SpaceName;

use crate::auth::BEARER_MAX;
use crate::clock;

mod claims;
mod grant;
mod lifetime;
#[cfg(test)]
mod tests;

pub use claims::{Claims, LABEL_MAX, LabelError, Scope, check_name, check_subject};
pub use grant::grant;
pub use lifetime::{LIFETIME_DEFAULT, LIFETIME_MAX, check_lifetime, parse_lifetime};

/// Bytes of the key that signs: as many as HMAC with SHA-256 can use (RFC 7518 section 3.2).
pub const KEY_LEN: usize = 32;

/// The longest token that is looked at, in bytes: the longest that can be made here has some 800, and one that fits
/// into a bearer header has at most this.
pub const TOKEN_MAX: usize = BEARER_MAX;

/// How long after its end a token is still taken: a clock that is set in between is seldom further off.
pub const LEEWAY: Duration = Duration::from_secs(5);

/// What the venue keeps for itself, ready for use.
pub struct Secrets {
    signs: EncodingKey,
    checks: DecodingKey,
    operator: Option<HashedSecret>,
}

/// SHA-256 of an operator's secret: what is compared has always the same length.
type HashedSecret = [u8; 32];

impl Secrets {
    /// The key that signs, and what an operator presents; without the latter nobody is one.
    #[must_use]
    pub fn new(key: &[u8; KEY_LEN], operator_secret: Option<&str>) -> Self {
        Self {
            signs: EncodingKey::from_secret(key),
            checks: DecodingKey::from_secret(key),
            operator: operator_secret.map(|secret| Sha256::digest(secret).into()),
        }
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(..)")
    }
}

/// Makes and checks the venue's tokens, and knows the operator. A clone is cheap, and sees later changes.
#[derive(Clone)]
pub struct Tokens {
    secrets: watch::Receiver<Arc<Secrets>>,
    /// The one that was chosen, which counts instead of the one that is kept.
    chosen: Option<HashedSecret>,
    validation: Arc<Validation>,
}

impl Tokens {
    /// The tokens of a venue whose secrets stay as they are.
    #[must_use]
    pub fn new(key: &[u8; KEY_LEN], operator_secret: &str) -> Self {
        let secrets = Secrets::new(key, Some(operator_secret));
        Self::following(watch::channel(Arc::new(secrets)).1, None)
    }

    /// The tokens of a venue with these secrets, now and after each change; `chosen` counts instead of the operator's
    /// secret among them.
    #[must_use]
    pub fn following(secrets: watch::Receiver<Arc<Secrets>>, chosen: Option<&str>) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        // The library would ask its own clock; `verify` asks ours. `exp` has to be there all the same.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Self {
            secrets,
            chosen: chosen.map(|secret| Sha256::digest(secret).into()),
            validation: Arc::new(validation),
        }
    }

    /// Writes and signs a token.
    #[must_use]
    pub fn mint(&self, claims: &Claims) -> String {
        let secrets = self.secrets();
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &secrets.signs)
            .expect("an HMAC key signs whatever has strings and numbers only")
    }

    /// Reads a token that is presented in `space` now.
    ///
    /// # Errors
    /// [`Denied::Invalid`] when it was not made with this venue's key, was changed, says nothing that makes sense or is
    /// longer than [`TOKEN_MAX`]; [`Denied::Expired`]; [`Denied::OtherSpace`].
    pub fn verify(&self, space: &str, token: &str) -> Result<Claims, Denied> {
        let now = u64::try_from(clock::unix_seconds()).unwrap_or(0);
        self.verify_at(space, token, now)
    }

    fn verify_at(&self, space: &str, token: &str, now: u64) -> Result<Claims, Denied> {
        if token.len() > TOKEN_MAX {
            return Err(Denied::Invalid);
        }
        let secrets = self.secrets();
        let data = jsonwebtoken::decode::<Claims>(token, &secrets.checks, &self.validation);
        let data = data.map_err(|_| Denied::Invalid)?;
        // RFC 7515 section 4.1.11: what is critical and not understood (here: anything) makes a token invalid.
        if data.header.crit.is_some() {
            return Err(Denied::Invalid);
        }
        let claims = data.claims;
        if now > claims.expires.saturating_add(LEEWAY.as_secs()) {
            return Err(Denied::Expired);
        }
        if !claims.space.includes(space) {
            return Err(Denied::OtherSpace);
        }
        Ok(claims)
    }

    /// Whether `bearer` is the operator's secret. Compares the whole of two hashes, whatever was guessed.
    #[must_use]
    pub fn is_operator(&self, bearer: Option<&str>) -> bool {
        let Some(bearer) = bearer.filter(|bearer| bearer.len() <= BEARER_MAX) else {
            return false;
        };
        let hash: HashedSecret = Sha256::digest(bearer).into();
        let right = self.chosen.or_else(|| self.secrets().operator);
        right.is_some_and(|right| hash.ct_eq(&right).into())
    }

    fn secrets(&self) -> Arc<Secrets> {
        Arc::clone(&self.secrets.borrow())
    }
}

/// Where the holder of a token goes. The part after `#` never leaves the browser: it is in no log of a server.
#[must_use]
pub fn entrance(space: &SpaceName, token: &str) -> String {
    format!("/{}/meet#token={token}", space.as_str())
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens(..)")
    }
}
