//! A secret that a person chose: it can be compared and handed on, but not printed by accident.

use std::fmt;

/// Fewest characters of a chosen secret: it makes tokens for every space, and 16 random ones are not guessed.
const LENGTH_MIN: usize = 16;

/// Most characters of a chosen secret: it has to fit into a header.
const LENGTH_MAX: usize = 256;

/// The operator's secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A secret of 16 to 256 characters that a bearer token can carry (RFC 6750 section 2.1).
    ///
    /// # Errors
    /// A sentence that says what is wrong, without the secret.
    pub fn new(secret: String) -> Result<Self, &'static str> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        if secret.len() < LENGTH_MIN {
            Err("too short; give at least 16 characters, or leave it out")
        } else if secret.len() > LENGTH_MAX {
            Err("too long; give at most 256 characters")
        } else if !secret.bytes().all(is_allowed) {
            Err("not possible; use letters, digits and the characters - . _ ~ + / =")
        } else {
            Ok(Self(secret))
        }
    }

    /// The secret itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}
