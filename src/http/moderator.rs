//! Who may decide about a space.

use axum::http::{HeaderMap, StatusCode};
use conference::ParticipantRole;
use venue::SpaceName;

use super::AppState;
use super::bearer::{bearer, unauthorized};
use super::errors::Problem;
use super::limits::Peer;
use crate::tokens::Claims;

/// What the audit trail calls an operator.
pub(crate) const OPERATOR: &str = "operator";

/// An operator, or whoever has a moderator's token for the space; as the audit trail names them. `only` says what for:
/// `only a moderator bans`.
///
/// # Errors
/// 401 for nobody, 403 for somebody else, 429 when somebody presents too much that is no token of the space.
pub(crate) fn moderator(
    state: &AppState,
    peer: Peer,
    space: &SpaceName,
    headers: &HeaderMap,
    only: &str,
) -> Result<String, Problem> {
    let bearer = bearer(headers)?;
    let tokens = &state.app.tokens;
    let claims = bearer.and_then(|token| tokens.verify(space.as_str(), token).ok());
    if bearer.is_some() && claims.is_none() {
        peer.count_guess(state, headers)?;
        if tokens.is_operator(bearer) {
            return Ok(OPERATOR.to_owned());
        }
    }
    match claims {
        Some(claims) if claims.role == ParticipantRole::Moderator => Ok(name(claims)),
        Some(_) => {
            let detail = format!("this token is no moderator's; {only}");
            Err(Problem::new(StatusCode::FORBIDDEN, detail))
        }
        None => Err(unauthorized(
            space.as_str(),
            bearer.is_some(),
            format!(
                "{only}; send Authorization: Bearer and a moderator's token or the operator's secret"
            ),
        )),
    }
}

/// Who it is in the words of whoever asked for the token, or which token it is.
fn name(claims: Claims) -> String {
    let known = claims.subject.or(claims.name);
    known.unwrap_or_else(|| format!("token {}", claims.id))
}
