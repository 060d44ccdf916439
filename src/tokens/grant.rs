//! What a participant gets for what it presents.

use conference::{Denied, Grant, ParticipantRole};

use super::Tokens;
use crate::auth::{Access, Keys};

/// What `token` gives in `space`: a token of the venue its role, a key of the space the role of a performer, and nothing
/// at all that of a participant if the space has no key. An empty text counts as nothing, and so does a token that was
/// made without asking for a key once the space has one.
///
/// # Errors
/// [`Denied::Missing`] when the space has a key and nothing was presented; otherwise as [`Tokens::verify`].
pub fn grant(
    tokens: &Tokens,
    keys: &Keys,
    space: &str,
    token: Option<&str>,
) -> Result<Grant, Denied> {
    let of_role = |role| Grant {
        role,
        name: None,
        subject: None,
    };
    let Some(token) = token.filter(|token| !token.is_empty()) else {
        return match keys.is_locked(space) {
            true => Err(Denied::Missing),
            false => Ok(of_role(ParticipantRole::Participant)),
        };
    };
    if keys.check(space, Some(token)) == Access::Granted {
        return Ok(of_role(ParticipantRole::Performer));
    }
    let claims = tokens.verify(space, token)?;
    if claims.is_for_open_space && keys.is_locked(space) {
        return Err(Denied::Missing);
    }
    Ok(Grant {
        role: claims.role,
        name: claims.name,
        subject: claims.subject,
    })
}
