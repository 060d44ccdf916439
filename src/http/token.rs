//! `POST /api/token`: an operator has a token made, for a web site that lets its own people in.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::{options, post};
use conference::ParticipantRole;
use serde::{Deserialize, Serialize};

use super::api::rfc3339;
use super::bearer::{bearer, unauthorized};
use super::cors::preflight;
use super::errors::{self, Problem};
use super::{AppState, json};
use crate::clock;
use crate::tokens::{self, Claims, LIFETIME_DEFAULT, LabelError, Scope};

const METHODS: &str = "OPTIONS, POST";

pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route(
            "/api/token",
            post(make).merge(options(async || preflight(METHODS, &[]))),
        )
        .method_not_allowed_fallback(errors::method_not_allowed)
}

/// What an operator asks for. A field that nothing reads is refused: a misspelt limit must not be ignored.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    space: String,
    role: ParticipantRole,
    name: Option<String>,
    subject: Option<String>,
    /// Seconds.
    expires_in: Option<u64>,
}

#[derive(Serialize)]
struct Made {
    token: String,
    /// RFC 3339 in UTC.
    expires: Option<String>,
    /// Where its holder goes; absent for a token of every space.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
}

async fn make(
    State(state): State<AppState>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let bearer = bearer(&headers)?;
    if !state.app.tokens.is_operator(bearer) {
        return Err(not_an_operator(bearer.is_some()));
    }
    let wanted: Wanted = json::read(&headers, body).await?;
    let claims = claims(wanted)?;
    tracing::info!(space = %claims.space, role = ?claims.role, id = claims.id, "an operator has a token made");
    let token = state.app.tokens.mint(&claims);
    let path = match &claims.space {
        Scope::Space(space) => Some(tokens::entrance(space, &token)),
        Scope::Every => None,
    };
    let expires = rfc3339(time(claims.expires));
    Ok(json::answer(&Made {
        token,
        expires,
        path,
    }))
}

fn claims(wanted: Wanted) -> Result<Claims, Problem> {
    let Wanted {
        space,
        role,
        name,
        subject,
        expires_in,
    } = wanted;
    let scope: Scope = space.parse().map_err(|error| wrong("space", error))?;
    let lifetime = expires_in.map_or(LIFETIME_DEFAULT, Duration::from_secs);
    let lifetime = tokens::check_lifetime(lifetime).map_err(|error| wrong("expires_in", error))?;
    Claims::new(scope, role, lifetime, clock::unix_seconds().unsigned_abs())
        .with_name(name)
        .map_err(|error: LabelError| wrong("name", error))?
        .with_subject(subject)
        .map_err(|error: LabelError| wrong("subject", error))
}

fn wrong(field: &str, error: impl std::fmt::Display) -> Problem {
    Problem::unprocessable(format!("{field}: {error}"))
}

fn time(unix_seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(unix_seconds)
}

fn not_an_operator(presented: bool) -> Problem {
    let detail = if presented {
        "this is not the operator's secret; `proscenium secret` prints it"
    } else {
        "only an operator has tokens made; send Authorization: Bearer and what `proscenium secret` prints"
    };
    unauthorized("operator", presented, detail.to_owned())
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    #[test]
    fn what_cannot_be_made_is_refused_with_the_field_and_the_next_step() {
        let wanted = || Wanted {
            space: "demo".into(),
            role: ParticipantRole::Viewer,
            name: None,
            subject: None,
            expires_in: None,
        };
        let check = |wanted: Wanted, words: &str| {
            let problem = claims(wanted).unwrap_err();
            assert_eq!(problem.status(), StatusCode::UNPROCESSABLE_ENTITY);
            assert!(problem.detail().contains(words), "{}", problem.detail());
        };
        let space = |space: &str| Wanted {
            space: space.into(),
            ..wanted()
        };
        let name = |name: &str| Wanted {
            name: Some(name.into()),
            ..wanted()
        };
        let subject = |subject: &str| Wanted {
            subject: Some(subject.into()),
            ..wanted()
        };
        let lifetime = |seconds: u64| Wanted {
            expires_in: Some(seconds),
            ..wanted()
        };
        check(space(""), "space: the name is empty");
        check(space("a b"), "space: the character ' '");
        check(space("whip"), "belongs to the server");
        check(space(&"s".repeat(65)), "65 characters");
        check(name(""), "name: is empty");
        check(name(" Ada"), "name: is empty, or begins");
        check(name("A\nda"), "name: has a character that cannot be shown");
        check(name(&"n".repeat(65)), "name: has 65 characters; 64 are");
        check(subject("a b"), "subject: has a character other than");
        check(lifetime(0), "expires_in: no time at all");
        check(lifetime(u64::MAX), "expires_in: too long");
        check(lifetime(366 * 86_400 + 1), "366 days");
        for seconds in [1, 366 * 86_400] {
            let claims = claims(lifetime(seconds)).unwrap();
            assert_eq!(claims.expires - claims.issued, seconds);
        }
        assert_eq!(claims(space("*")).unwrap().space, Scope::Every);
    }
}
