//! The WebSockets of the message bus: `/ws/{space}` for one space, and `/` for all that are not private, as older clients know it.
//!
//! Who hears what is decided in [`crate::bus`]; here are handshakes, rights and frames. Any page of any origin may connect: what a cookie
//! opens (a private space) browsers send from this site's own pages alone. `permessage-deflate` is never negotiated, because then each
//! client's bytes would have to be compressed for itself; WebSockets over HTTP/2 are not spoken.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{ConnectInfo, FromRequestParts as _, Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Router};
use bus::{Permissions, PositionForm, Subscription};
use conference::ParticipantRole;
use serde::Deserialize;

use super::AppState;
use super::bearer::{bearer, unauthorized};
use super::errors::{self, FULL_RETRY_S, Problem, short};
use super::limits::Peer;
use super::place::Space;
use super::{limits, playback};
use crate::bus::{Opening, Refused, household};

mod handshake;
mod socket;
mod talk;

pub(crate) use handshake::{Handshake, is_asked_for};

/// Types that a client may choose: as many as there are kinds of messages on a good evening, and some.
const TYPES_MAX: usize = 64;

pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route("/ws/{space}", get(space))
        .method_not_allowed_fallback(errors::method_not_allowed)
}

/// What a client of a space may say in the query.
#[derive(Deserialize)]
struct SpaceQuery {
    /// Only these types, with commas between them.
    types: Option<String>,
    /// The number of the last message that the client has.
    since: Option<String>,
    /// A token, for those who cannot send headers.
    token: Option<String>,
}

/// `/ws/{space}`.
async fn space(
    State(state): State<AppState>,
    Space(space): Space,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
    query: Result<Query<SpaceQuery>, QueryRejection>,
    handshake: Handshake,
) -> Result<Response, Problem> {
    let Query(query) = query.map_err(|error| bad_query(&error.body_text()))?;
    let peer = peer.map(|Extension(ConnectInfo(peer))| peer);
    let token = query.token.as_deref();
    let permissions = permissions(&state, peer, space.as_str(), &headers, token)?;
    let subscription = Subscription::Space {
        space: space.into(),
        types: types(query.types.as_deref())?,
        since: since(query.since.as_deref())?,
        positions: PositionForm::Json,
    };
    connect(&state, peer, &headers, handshake, subscription, permissions)
}

fn bad_query(why: &str) -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        format!("the query cannot be read: {}", short(why)),
    )
}

fn types(types: Option<&str>) -> Result<Vec<Arc<str>>, Problem> {
    let types = types.unwrap_or_default().split(',').map(str::trim);
    let types: Vec<Arc<str>> = types
        .filter(|kind| !kind.is_empty())
        .map(Into::into)
        .collect();
    if types.len() > TYPES_MAX {
        let detail = format!(
            "types has {} entries; {TYPES_MAX} are the most, and none means all",
            types.len()
        );
        return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
    }
    Ok(types)
}

fn since(since: Option<&str>) -> Result<Option<u64>, Problem> {
    let since = since.filter(|text| !text.is_empty());
    since
        .map(|text| {
            text.parse().map_err(|_| {
                let detail = format!(
                    "since is {}, which is no number; give the seq of the last message that you have",
                    short(text)
                );
                Problem::new(StatusCode::BAD_REQUEST, detail)
            })
        })
        .transpose()
}

/// What a client may in a space.
///
/// # Errors
/// 401 for a private space without a token for it, 429 when somebody presents too much that is no token.
fn permissions(
    state: &AppState,
    peer: Option<SocketAddr>,
    space: &str,
    headers: &HeaderMap,
    token: Option<&str>,
) -> Result<Permissions, Problem> {
    let presented = [token, bearer(headers)?];
    let tokens = &state.app.tokens;
    // Tokens cannot be guessed; what is none may be a guess at the operator's secret, and is counted before it is looked at.
    let is_token = |text: &str| tokens.verify(space, text).is_ok();
    if !presented.into_iter().flatten().all(is_token) {
        limits::count_request(state, ip(peer), headers)?;
    }
    if presented.iter().any(|secret| tokens.is_operator(*secret)) {
        return Ok(Permissions {
            is_operator: true,
            is_moderator: true,
            is_read_only: false,
        });
    }
    // What may be a guess has been counted above.
    playback::may_watch(state, Peer::counted(ip(peer)), space, headers, token)?;
    let is_moderator = presented.into_iter().flatten().any(|token| {
        let claims = tokens.verify(space, token);
        claims.is_ok_and(|claims| claims.role == ParticipantRole::Moderator)
    });
    Ok(Permissions {
        is_moderator,
        ..Permissions::default()
    })
}

#[derive(Deserialize)]
struct RootQuery {
    secret: Option<String>,
}

/// A WebSocket at `/`: everything of every space that is not private.
pub(crate) async fn root(state: &AppState, request: Request) -> Result<Response, Problem> {
    let (mut parts, _) = request.into_parts();
    let handshake = Handshake::from_request_parts(&mut parts, state).await?;
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map(|ConnectInfo(peer)| *peer);
    // Older clients have no query at all; whatever else somebody appends is theirs.
    let query = Query::<RootQuery>::try_from_uri(&parts.uri).ok();
    let secret = query.as_ref().and_then(|query| query.secret.as_deref());
    let presented = secret.or(bearer(&parts.headers)?);
    if presented.is_some() {
        limits::count_request(state, ip(peer), &parts.headers)?;
        if !state.app.tokens.is_operator(presented) {
            let detail = "this is not the secret of the operator; leave it out to connect like everybody, or ask whoever runs the server";
            return Err(unauthorized("operator", true, detail.to_owned()));
        }
    }
    let permissions = Permissions {
        is_operator: presented.is_some(),
        ..Permissions::default()
    };
    connect(
        state,
        peer,
        &parts.headers,
        handshake,
        Subscription::Everything,
        permissions,
    )
}

fn ip(peer: Option<SocketAddr>) -> IpAddr {
    peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip())
}

fn connect(
    state: &AppState,
    peer: Option<SocketAddr>,
    headers: &HeaderMap,
    handshake: Handshake,
    subscription: Subscription,
    permissions: Permissions,
) -> Result<Response, Problem> {
    let address = limits::client_address(ip(peer), headers, &state.app.trusted_proxies);
    let (client, outbox) = state.app.bus.connect(Opening {
        subscription,
        permissions,
        address: household(address),
    })?;
    Ok(handshake.accept(|opened| talk::talk(socket::Socket::new(opened), client, outbox)))
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Stopping => Self::stopping(),
            Refused::TooOften(wait) => {
                let seconds = u32::try_from(wait.as_secs())
                    .unwrap_or(u32::MAX)
                    .saturating_add(1);
                Self::new(StatusCode::TOO_MANY_REQUESTS, refused.to_string()).retry_after(seconds)
            }
            Refused::Full | Refused::AddressFull => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, refused.to_string())
                    .retry_after(FULL_RETRY_S)
            }
        }
    }
}
