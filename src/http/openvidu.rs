//! `POST /api/sessions` and `POST /api/tokens` as clients of OpenVidu 2 know them, without its password in a page.
//!
//! A session is a space. Into an open one anybody gets a token as a participant; into one with a key only who presents
//! that key, or the operator's secret. Old clients send `Basic` with whatever password they have: where none is needed
//! it is not looked at.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{options, post};
use conference::ParticipantRole;
use serde::{Deserialize, Serialize};
use venue::SpaceName;

use super::bearer::{bearer_or_password, not_the_key};
use super::cors::preflight;
use super::errors::{self, Problem};
use super::{AppState, json};
use crate::auth::{Access, fresh_key};
use crate::clock;
use crate::tokens::{Claims, Scope};

const METHODS: &str = "OPTIONS, POST";

/// Sessions that are remembered so that making one again is 409; each costs some 150 bytes. Beyond it the oldest is
/// forgotten, which harms nobody: it can be made again.
const SESSIONS_MAX: usize = 10_000;

/// How long a session is remembered: by the next evening it can be made anew.
const SESSION_AGE_MAX_MS: u64 = 24 * 3600 * 1000;

/// How long a token lives: a page asks for one right before it joins, and again when it comes back.
const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);

pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route(
            "/api/sessions",
            post(make_session).merge(options(async || preflight(METHODS, &[]))),
        )
        .route(
            "/api/tokens",
            post(make_token).merge(options(async || preflight(METHODS, &[]))),
        )
        .method_not_allowed_fallback(errors::method_not_allowed)
}

/// When each session was made, in milliseconds since 1970.
#[derive(Default)]
pub(crate) struct Made(Mutex<BTreeMap<SpaceName, u64>>);

impl Made {
    /// Remembers a session.
    ///
    /// # Errors
    /// It is remembered already.
    fn add(&self, session: &SpaceName, now_ms: u64) -> Result<(), ()> {
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_recent = |at: &u64| now_ms.saturating_sub(*at) <= SESSION_AGE_MAX_MS;
        if made.get(session).is_some_and(is_recent) {
            return Err(());
        }
        if made.len() >= SESSIONS_MAX && !made.contains_key(session) {
            made.retain(|_, at| is_recent(at));
            let oldest = made.iter().min_by_key(|(_, at)| **at);
            if let Some(oldest) = oldest.map(|(session, _)| session.clone())
                && made.len() >= SESSIONS_MAX
            {
                made.remove(&oldest);
            }
        }
        made.insert(session.clone(), now_ms);
        Ok(())
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WantedSession {
    custom_session_id: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Session {
    id: String,
    /// Milliseconds since 1970.
    created_at: u64,
}

async fn make_session(
    State(state): State<AppState>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let wanted: WantedSession = json::read(&headers, body).await?;
    // OpenVidu's own clients send an empty text for "any".
    let name = wanted.custom_session_id.filter(|name| !name.is_empty());
    let space: SpaceName = match name {
        Some(name) => name.parse()?,
        None => any_name()?.parse()?,
    };
    check_allowed(&state, &space, &headers)?;
    let now_ms = unix_milliseconds();
    if state.openvidu.add(&space, now_ms).is_err() {
        let detail = format!("session {space} is there already; ask for a token of it");
        return Err(Problem::new(StatusCode::CONFLICT, detail));
    }
    Ok(json::answer(&Session {
        id: space.as_str().to_owned(),
        created_at: now_ms,
    }))
}

/// OpenVidu's words for what a participant may do.
#[derive(Default, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "UPPERCASE")]
enum Role {
    Subscriber,
    #[default]
    Publisher,
    Moderator,
}

#[derive(Deserialize)]
struct WantedToken {
    session: String,
    role: Option<Role>,
}

#[derive(Serialize)]
struct Token<'a> {
    id: &'a str,
    token: String,
    session: &'a str,
    role: Role,
    /// What a server adds to a connection's data: nothing.
    data: &'static str,
}

async fn make_token(
    State(state): State<AppState>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let wanted: WantedToken = json::read(&headers, body).await?;
    let space: SpaceName = wanted.session.parse()?;
    let presenter = check_allowed(&state, &space, &headers)?;
    let role = wanted.role.unwrap_or_default();
    let granted = match role {
        Role::Subscriber => ParticipantRole::Viewer,
        Role::Publisher => ParticipantRole::Participant,
        Role::Moderator if presenter == Presenter::Operator => ParticipantRole::Moderator,
        Role::Moderator => {
            let detail = "only an operator has tokens for moderators made; present the operator's secret, or ask for PUBLISHER";
            return Err(Problem::new(StatusCode::FORBIDDEN, detail));
        }
    };
    let now = clock::unix_seconds().unsigned_abs();
    let mut claims = Claims::new(Scope::Space(space.clone()), granted, TOKEN_LIFETIME, now);
    claims.is_for_open_space = presenter == Presenter::Anybody;
    Ok(json::answer(&Token {
        id: &claims.id,
        token: state.app.tokens.mint(&claims),
        session: space.as_str(),
        role,
        data: "",
    }))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Presenter {
    Operator,
    HolderOfKey,
    Anybody,
}

/// Who asks for something of `space`.
///
/// # Errors
/// 401 when the space has a key and neither it nor the operator's secret is presented.
fn check_allowed(
    state: &AppState,
    space: &SpaceName,
    headers: &HeaderMap,
) -> Result<Presenter, Problem> {
    let presented = bearer_or_password(headers)?;
    if state.app.tokens.is_operator(presented.as_deref()) {
        return Ok(Presenter::Operator);
    }
    // Whether the space is open does not depend on what was presented, as it would for a bearer that is too long.
    if !state.app.keys.is_locked(space.as_str()) {
        return Ok(Presenter::Anybody);
    }
    match state.app.keys.check(space.as_str(), presented.as_deref()) {
        Access::Denied => Err(not_the_key(space.as_str(), presented.is_some())),
        Access::Granted => Ok(Presenter::HolderOfKey),
        Access::Open { .. } => Ok(Presenter::Anybody),
    }
}

/// A name that nobody has, as OpenVidu makes them.
fn any_name() -> Result<String, Problem> {
    let random = fresh_key().map_err(|_| Problem::no_reply())?;
    Ok(format!("ses_{}", &random[..10]))
}

fn unix_milliseconds() -> u64 {
    let age = clock::wall().duration_since(std::time::UNIX_EPOCH);
    age.map_or(0, |age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_made_once_a_day_and_the_oldest_is_forgotten_when_there_are_too_many() {
        let made = Made::default();
        let name = |number: usize| format!("session-{number}").parse::<SpaceName>().unwrap();
        assert_eq!(made.add(&name(0), 1000), Ok(()));
        assert_eq!(made.add(&name(0), 1001), Err(()));
        assert_eq!(made.add(&name(0), 1000 + SESSION_AGE_MAX_MS), Err(()));
        assert_eq!(made.add(&name(0), 1001 + SESSION_AGE_MAX_MS), Ok(()));
        let made = Made::default();
        for number in 0..SESSIONS_MAX {
            assert_eq!(made.add(&name(number), number as u64), Ok(()));
        }
        assert_eq!(made.add(&name(SESSIONS_MAX), SESSIONS_MAX as u64), Ok(()));
        assert_eq!(made.0.lock().unwrap().len(), SESSIONS_MAX);
        assert_eq!(made.add(&name(1), SESSIONS_MAX as u64), Err(()));
        assert_eq!(made.add(&name(0), SESSIONS_MAX as u64), Ok(()), "forgotten");
    }

    #[test]
    fn a_name_that_is_made_up_is_one() {
        let name = any_name().unwrap();
        assert!(name.parse::<SpaceName>().is_ok() && name.starts_with("ses_"));
        assert_ne!(name, any_name().unwrap());
    }
}
