//! Tokens: who may be what in which space, until when, signed by this venue (JWT, RFC 7519, with HS256 alone).
//!
//! What it deliberately does not do: remember tokens. One that was handed out is good until it expires; a new key
//! (which a new data directory has) ends all of them at once. Nothing but this venue ever reads the signature, so that
//! one algorithm is enough and no header may choose another.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use sha2::{Digest as _, Sha256};
use signaling::SpaceName;
use signaling::conference::Denied;
use subtle::ConstantTimeEq as _;

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

/// Makes and checks the venue's tokens, and knows the operator. A clone is cheap and the same one.
#[derive(Clone)]
pub struct Tokens {
    inner: Arc<Inner>,
}

struct Inner {
    signs: EncodingKey,
    checks: DecodingKey,
    validation: Validation,
    /// SHA-256 of the operator's secret: what is compared has always the same length.
    operator: [u8; 32],
}

impl Tokens {
    /// The tokens of the venue that has this key and this operator's secret.
    #[must_use]
    pub fn new(key: &[u8; KEY_LEN], operator_secret: &str) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        // The library would ask its own clock; `verify` asks ours. `exp` has to be there all the same.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Self {
            inner: Arc::new(Inner {
                signs: EncodingKey::from_secret(key),
                checks: DecodingKey::from_secret(key),
                validation,
                operator: Sha256::digest(operator_secret).into(),
            }),
        }
    }

    /// Writes and signs a token.
    #[must_use]
    pub fn mint(&self, claims: &Claims) -> String {
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &self.inner.signs)
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
        let inner = &self.inner;
        let data = jsonwebtoken::decode::<Claims>(token, &inner.checks, &inner.validation);
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
        let hash: [u8; 32] = Sha256::digest(bearer).into();
        hash.ct_eq(&self.inner.operator).into()
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
