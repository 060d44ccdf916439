//! Who may watch a private space: whoever has a token for it, in a header, in a cookie or in the path.
//!
//! A playlist is the same for every viewer and never contains a token. With the token in the path (`/hls/~/TOKEN/...`) the relative
//! addresses of a playlist stay below it; with a cookie they need nothing.

use std::collections::BTreeSet;
use std::time::{Duration, UNIX_EPOCH};

use axum::Router;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use axum::routing::{options, post};
use conference::ParticipantRole;
use serde::Serialize;
use venue::SpaceName;

use super::api::rfc3339;
use super::bearer::{bearer, unauthorized};
use super::cors::preflight;
use super::errors::{self, Problem};
use super::limits::Peer;
use super::place::{Space, Stream};
use super::{AppState, json};
use crate::clock;
use crate::config::SpaceConfig;
use crate::media::StreamKey;
use crate::tokens::{Claims, Scope};

/// The cookie's name.
const COOKIE: &str = "proscenium_view";

/// How long a playback address is good: a long evening.
const LIFETIME: Duration = Duration::from_secs(12 * 3600);

pub(crate) fn routes() -> Router<AppState> {
    let change = options(async || preflight("OPTIONS, POST", &[]));
    Router::new()
        .route("/api/spaces/{space}/playback", post(playback).merge(change))
        .method_not_allowed_fallback(errors::method_not_allowed)
}

/// Spaces that not everybody may watch.
#[derive(Debug, Default)]
pub(crate) struct PrivateSpaces(BTreeSet<String>);

impl PrivateSpaces {
    pub(crate) fn new(spaces: &[SpaceConfig]) -> Self {
        let private = spaces.iter().filter(|space| space.private);
        Self(private.map(|space| space.name.clone()).collect())
    }

    pub(crate) fn contains(&self, space: &str) -> bool {
        self.0.contains(space)
    }
}

/// A stream that the client may watch.
pub(crate) struct Watched(pub(crate) StreamKey);

impl FromRequestParts<AppState> for Watched {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let Stream(key) = Stream::from_request_parts(parts, state).await?;
        let Path(params) = Path::<Vec<(String, String)>>::from_request_parts(parts, state)
            .await
            .unwrap_or(Path(Vec::new()));
        let token = params.iter().find(|(name, _)| name == "token");
        let token = token.map(|(_, value)| value.as_str());
        let Ok(peer) = Peer::from_request_parts(parts, state).await;
        may_watch(state, peer, &key.space, &parts.headers, token)?;
        Ok(Self(key))
    }
}

/// # Errors
/// 401 for a private space without a token for it, 429 when somebody presents too much that is none.
pub(crate) fn may_watch(
    state: &AppState,
    peer: Peer,
    space: &str,
    headers: &HeaderMap,
    in_path: Option<&str>,
) -> Result<(), Problem> {
    right(state, peer, space, headers, in_path).map(drop)
}

/// Why a client may watch.
enum Right {
    /// Everybody may.
    Open,
    Operator,
    Token(Claims),
}

/// # Errors
/// As [`may_watch`].
fn right(
    state: &AppState,
    peer: Peer,
    space: &str,
    headers: &HeaderMap,
    in_path: Option<&str>,
) -> Result<Right, Problem> {
    if !state.private.contains(space) {
        return Ok(Right::Open);
    }
    let bearer = bearer(headers)?;
    let tokens = &state.app.tokens;
    // Whoever has a token for the space is never counted: players ask for several files per second.
    if bearer.is_some_and(|bearer| tokens.verify(space, bearer).is_err()) {
        peer.count_guess(state, headers)?;
        if tokens.is_operator(bearer) {
            return Ok(Right::Operator);
        }
    }
    let presented: Vec<&str> = [in_path, bearer]
        .into_iter()
        .flatten()
        .chain(cookies(headers))
        .collect();
    let good = presented.iter().filter_map(|token| {
        let claims = tokens.verify(space, token).ok()?;
        // Anybody gets such a one for a space without a key.
        (!claims.is_for_open_space).then_some(claims)
    });
    let longest = good.max_by_key(|claims| claims.expires);
    longest.map(Right::Token).ok_or_else(|| {
        unauthorized(
            space,
            !presented.is_empty(),
            format!(
                "space {space} is private; send a token for it as Authorization: Bearer TOKEN, or POST it to /api/spaces/{space}/playback"
            ),
        )
    })
}

/// The values of our cookie.
fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(header::COOKIE).iter();
    lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, _)| *name == COOKIE)
        .map(|(_, value)| value)
}

/// No shared cache may keep what is private.
pub(crate) fn seal(state: &AppState, space: &str, mut response: Response) -> Response {
    if state.private.contains(space)
        && let Some(value) = response.headers().get(header::CACHE_CONTROL)
        && let Ok(text) = value.to_str()
        && let Ok(private) = HeaderValue::try_from(private(text))
    {
        response
            .headers_mut()
            .insert(header::CACHE_CONTROL, private);
    }
    response
}

/// The same `Cache-Control` for the client's own cache alone.
fn private(text: &str) -> String {
    if text.contains("public") {
        text.replace("public", "private")
    } else if text.contains("private") || text.contains("no-store") {
        text.to_owned()
    } else {
        format!("private, {text}")
    }
}

#[derive(Serialize)]
struct Playback {
    /// Where the space's main stream is watched; other streams are beside it.
    url: String,
    /// RFC 3339 in UTC; never, when the space is not private.
    expires: Option<String>,
}

/// Gives whoever has a token for a space an address that a player without headers can use, and the same as a cookie. What
/// everybody may watch needs neither: nobody gets a token for nothing, which would open more than this.
async fn playback(
    State(state): State<AppState>,
    Space(space): Space,
    peer: Peer,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let claims = match right(&state, peer, space.as_str(), &headers, None)? {
        Right::Open => {
            return Ok(json::answer(&Playback {
                url: format!("/hls/{}/main/index.m3u8", space.as_str()),
                expires: None,
            }));
        }
        Right::Operator => viewer(&space, None),
        Right::Token(shown) => viewer(&space, Some(&shown)),
    };
    let token = state.app.tokens.mint(&claims);
    let mut response = json::answer(&Playback {
        url: format!(
            "/hls/~/{token}/{space}/main/index.m3u8",
            space = space.as_str()
        ),
        expires: rfc3339(UNIX_EPOCH + Duration::from_secs(claims.expires)),
    });
    let age = claims.expires.saturating_sub(claims.issued);
    let name = space.as_str();
    // One for each place of this space alone; a browser sends it with what a page of this site asks for.
    for path in [
        format!("/hls/{name}/"),
        format!("/live/{name}.m3u8"),
        format!("/live/{name}/"),
        format!("/ws/{name}"),
    ] {
        let cookie =
            format!("{COOKIE}={token}; Path={path}; Max-Age={age}; HttpOnly; SameSite=Lax");
        let cookie = HeaderValue::try_from(cookie).expect("tokens and names are printable ASCII");
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// What can do nothing but watch, and ends no later than what was shown.
fn viewer(space: &SpaceName, shown: Option<&Claims>) -> Claims {
    let now = clock::unix_seconds().unsigned_abs();
    let scope = Scope::Space(space.clone());
    let mut claims = Claims::new(scope, ParticipantRole::Viewer, LIFETIME, now);
    if let Some(shown) = shown {
        claims.expires = claims.expires.min(shown.expires);
    }
    claims
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_private_says_so_whatever_else_is_said_of_it() {
        let check = |text: &str, expected: &str| assert_eq!(private(text), expected);
        check("public, max-age=1", "private, max-age=1");
        check("no-cache", "private, no-cache");
        check("private, max-age=3600", "private, max-age=3600");
        check("no-store", "no-store");
    }
}
