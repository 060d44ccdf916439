//! Slow mode, bans, the trail of who did what, and the operator's reset.

use std::time::{Duration, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, NoContent, Response};
use axum::routing::{MethodRouter, delete, get, options, post};
use bus::{Moderation, Refusal};
use serde::{Deserialize, Serialize};
use url::form_urlencoded;
use venue::SpaceName;

use super::api::rfc3339;
use super::bearer::{bearer, unauthorized};
use super::cors::preflight;
use super::errors::{self, Problem};
use super::limits::Peer;
use super::moderator::{OPERATOR, moderator};
use super::place::Space;
use super::{AppState, json, playback};

use crate::bus::BusError;
use crate::clock;
use crate::store::{Audit, Ban, NewBan, SlowMode};

/// The longest pause of slow mode in seconds.
const SLOW_MODE_MAX_S: u64 = 3600;

/// The longest ban in seconds: a year.
const BAN_MAX_S: u64 = 366 * 86_400;

/// The longest `userId` in bytes, as the hub knows them.
const USER_MAX: usize = 128;

/// Lines of the audit trail in one answer.
const AUDIT_LINES: usize = 500;

pub(crate) fn routes() -> Router<AppState> {
    let allow = |methods: &'static str| -> MethodRouter<AppState> {
        options(async move || preflight(methods, &[]))
    };
    Router::new()
        .route(
            "/api/spaces/{space}/chat",
            get(chat)
                .put(set_chat)
                .merge(allow("OPTIONS, GET, HEAD, PUT")),
        )
        .route(
            "/api/spaces/{space}/bans",
            get(bans).post(ban).merge(allow("OPTIONS, GET, HEAD, POST")),
        )
        .route(
            "/api/spaces/{space}/bans/{ban}",
            delete(lift).merge(allow("OPTIONS, DELETE")),
        )
        .route(
            "/api/spaces/{space}/audit",
            get(audit).merge(allow("OPTIONS, GET, HEAD")),
        )
        .route("/api/reset", post(reset).merge(allow("OPTIONS, POST")))
        .method_not_allowed_fallback(errors::method_not_allowed)
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Chat {
    slow_mode_s: u64,
}

/// How long one has to wait between two messages of chat; pages say so.
async fn chat(
    State(state): State<AppState>,
    Space(space): Space,
    peer: Peer,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    playback::may_watch(&state, peer, space.as_str(), &headers, None)?;
    let modes = state.app.history.slow_modes().await?;
    let mode = modes.iter().find(|mode| mode.space == space.as_str());
    Ok(json::answer(&Chat {
        slow_mode_s: mode.map_or(0, |mode| mode.pause_ms / 1000),
    }))
}

async fn set_chat(
    State(state): State<AppState>,
    Space(space): Space,
    peer: Peer,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let who = moderator(
        &state,
        peer,
        &space,
        &headers,
        "only a moderator slows the chat",
    )?;
    let wanted: Chat = json::read(&headers, body).await?;
    if wanted.slow_mode_s > SLOW_MODE_MAX_S {
        let detail = format!(
            "slow_mode_s: {} is longer than an hour; send 0 to {SLOW_MODE_MAX_S}",
            wanted.slow_mode_s
        );
        return Err(Problem::unprocessable(detail));
    }
    let pause_ms = wanted.slow_mode_s * 1000;
    let mode = SlowMode {
        space: space.as_str().to_owned(),
        pause_ms,
    };
    let detail = format!("{} s", wanted.slow_mode_s);
    let audit = note(&space, who, "slow_mode", detail);
    state.app.history.set_slow_mode(mode, audit).await?;
    state.app.bus.moderate(Moderation::SlowMode {
        channel: space.as_str().into(),
        pause_ms,
    });
    Ok(json::answer(&wanted))
}

/// Whom to ban: a user, or whoever sent a message.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    user: Option<String>,
    seq: Option<u64>,
    seconds: u64,
}

#[derive(Serialize)]
struct Report {
    id: u64,
    user: Option<String>,
    /// Whether an address is banned with it; which one is nobody's business.
    by_address: bool,
    /// RFC 3339 in UTC.
    since: Option<String>,
    until: Option<String>,
    by: String,
}

impl From<Ban> for Report {
    fn from(ban: Ban) -> Self {
        Self {
            id: ban.id,
            user: ban.user,
            by_address: ban.address.is_some(),
            since: time(ban.created_ms),
            until: time(ban.until_ms),
            by: ban.who,
        }
    }
}

async fn ban(
    State(state): State<AppState>,
    Space(space): Space,
    peer: Peer,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let who = moderator(&state, peer, &space, &headers, "only a moderator bans")?;
    let wanted: Wanted = json::read(&headers, body).await?;
    if !(1..=BAN_MAX_S).contains(&wanted.seconds) {
        let detail = format!(
            "seconds: {} is no time for a ban; send 1 to {BAN_MAX_S}",
            wanted.seconds
        );
        return Err(Problem::unprocessable(detail));
    }
    let (user, address) = whom(&state, &space, &wanted).await?;
    let now_ms = now_ms();
    let new = NewBan {
        space: space.as_str().to_owned(),
        user: user.clone(),
        address,
        until_ms: now_ms + wanted.seconds * 1000,
    };
    let detail = format!(
        "{}{} for {} s",
        user.as_deref().unwrap_or("nobody known"),
        if new.address.is_some() {
            " and their address"
        } else {
            ""
        },
        wanted.seconds
    );
    let made = state
        .app
        .history
        .ban(new, note(&space, who, "ban", detail))
        .await?;
    state.app.bus.moderate(moderation(&made, made.until_ms));
    tracing::info!(
        space = space.as_str(),
        ban = made.id,
        seconds = wanted.seconds,
        "a moderator bans somebody"
    );
    Ok((StatusCode::CREATED, json::answer(&Report::from(made))).into_response())
}

/// The user and the address that are meant.
async fn whom(
    state: &AppState,
    space: &SpaceName,
    wanted: &Wanted,
) -> Result<(Option<String>, Option<String>), Problem> {
    let mut user = wanted.user.clone();
    if let Some(user) = &user
        && (user.is_empty() || user.len() > USER_MAX)
    {
        let detail = format!(
            "user: has {} bytes; send a userId of 1 to {USER_MAX}",
            user.len()
        );
        return Err(Problem::unprocessable(detail));
    }
    let Some(seq) = wanted.seq else {
        return match user {
            Some(user) => Ok((Some(user), None)),
            None => Err(Problem::unprocessable(
                "nobody is named; send user, or seq of a message whose sender is meant",
            )),
        };
    };
    let sender = state.app.bus.sender_of(space.as_str(), seq).await;
    let kept = state.app.history.message(space.as_str(), seq).await?;
    let text = |text: std::sync::Arc<str>| text.to_string();
    let of_sender = sender.as_ref().and_then(|sender| sender.user.clone());
    user = user
        .or(of_sender.map(text))
        .or(kept.and_then(|message| message.user.clone()).map(text));
    let address = sender.map(|sender| sender.address.to_string());
    let address = address.filter(|address| !address.is_empty());
    if user.is_none() && address.is_none() {
        let detail = format!(
            "it is not known who sent message {seq} of space {space} (any more); send user"
        );
        return Err(Problem::new(StatusCode::NOT_FOUND, detail));
    }
    Ok((user, address))
}

#[derive(Serialize)]
struct Bans {
    bans: Vec<Report>,
}

async fn bans(
    State(state): State<AppState>,
    Space(space): Space,
    peer: Peer,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    moderator(
        &state,
        peer,
        &space,
        &headers,
        "only a moderator sees who is banned",
    )?;
    let bans = state.app.history.bans(Some(space.as_str()), now_ms());
    let bans = bans.await?.into_iter().map(Report::from).collect();
    Ok(json::answer(&Bans { bans }))
}

async fn lift(
    State(state): State<AppState>,
    Path((space, ban)): Path<(String, String)>,
    peer: Peer,
    headers: HeaderMap,
) -> Result<NoContent, Problem> {
    let space = space.parse::<SpaceName>()?;
    let who = moderator(
        &state,
        peer,
        &space,
        &headers,
        "only a moderator lifts bans",
    )?;
    let history = &state.app.history;
    let id = ban.parse::<u64>().unwrap_or(0);
    let audit = note(&space, who, "lift_ban", format!("ban {id}"));
    let lifted = history.lift_ban(space.as_str(), id, audit).await?;
    let lifted = lifted.ok_or_else(|| {
        let detail = format!("space {space} has no such ban (any more); see its bans");
        Problem::new(StatusCode::NOT_FOUND, detail)
    })?;
    state.app.bus.moderate(moderation(&lifted, 0));
    // Somebody may be banned twice: the other ban counts on.
    for other in history.bans(Some(space.as_str()), now_ms()).await? {
        state.app.bus.moderate(moderation(&other, other.until_ms));
    }
    Ok(NoContent)
}

fn moderation(ban: &Ban, until_ms: u64) -> Moderation {
    Moderation::Ban {
        channel: ban.space.as_str().into(),
        user: ban.user.as_deref().map(Into::into),
        address: ban.address.as_deref().map(Into::into),
        until_ms,
    }
}

#[derive(Serialize)]
struct Trail {
    audit: Vec<Line>,
    /// When there are more: the number before which they are.
    next: Option<u64>,
}

#[derive(Serialize)]
struct Line {
    id: u64,
    /// RFC 3339 in UTC.
    at: Option<String>,
    who: String,
    what: String,
    detail: String,
}

/// What was decided about a space, the newest first.
async fn audit(
    State(state): State<AppState>,
    Space(space): Space,
    peer: Peer,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    moderator(
        &state,
        peer,
        &space,
        &headers,
        "only a moderator sees the audit trail",
    )?;
    let mut before = u64::MAX;
    for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
        let number = value.parse().ok().filter(|_| name == "before");
        before = number.ok_or_else(|| {
            let detail = "there is the one parameter before, the number of a line";
            Problem::new(StatusCode::BAD_REQUEST, detail)
        })?;
    }
    let history = &state.app.history;
    let lines = history.audits(space.as_str(), before, AUDIT_LINES).await?;
    let is_cut = lines.len() == AUDIT_LINES;
    let next = lines.last().map(|line| line.id).filter(|_| is_cut);
    let line = |line: crate::store::AuditEntry| Line {
        id: line.id,
        at: time(line.at_ms),
        who: line.who,
        what: line.what,
        detail: line.detail,
    };
    let audit = lines.into_iter().map(line).collect();
    Ok(json::answer(&Trail { audit, next }))
}

/// All messages and who is present are forgotten, everywhere.
async fn reset(State(state): State<AppState>, headers: HeaderMap) -> Result<NoContent, Problem> {
    let bearer = bearer(&headers)?;
    if !state.app.tokens.is_operator(bearer) {
        let detail = "only an operator resets the venue; send Authorization: Bearer and what `proscenium secret` prints";
        return Err(unauthorized(OPERATOR, bearer.is_some(), detail.to_owned()));
    }
    let audit = Audit {
        at_ms: now_ms(),
        who: OPERATOR.to_owned(),
        what: "reset",
        space: String::new(),
        detail: "all messages, by /api/reset".to_owned(),
    };
    state.app.history.clear(audit).await?;
    state.app.bus.moderate(Moderation::Reset);
    tracing::info!("an operator resets the message bus");
    Ok(NoContent)
}

fn note(space: &SpaceName, who: String, what: &'static str, detail: String) -> Audit {
    Audit {
        at_ms: now_ms(),
        who,
        what,
        space: space.as_str().to_owned(),
        detail,
    }
}

/// RFC 3339 in UTC, whole seconds.
fn time(unix_ms: u64) -> Option<String> {
    rfc3339(UNIX_EPOCH + Duration::from_millis(unix_ms))
}

fn now_ms() -> u64 {
    clock::unix_micros() / 1000
}

impl From<BusError> for Problem {
    fn from(error: BusError) -> Self {
        match error {
            BusError::Stopping => Self::stopping(),
            BusError::Refused(Refusal::TooLarge) => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, error.to_string())
            }
            BusError::Refused(Refusal::NotStored) => {
                Self::new(StatusCode::INSUFFICIENT_STORAGE, error.to_string())
            }
            BusError::Refused(_) => Self::new(StatusCode::CONFLICT, error.to_string()),
        }
    }
}
