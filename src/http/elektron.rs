//! The history as clients of the elektron platform ask for it: `/messages`, `/messages/clear` and `/webhooks/video`.
//!
//! The operator's secret is in the query, as those clients have it; whoever guesses is counted like everybody who changes
//! something.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, options, post};
use bus::Moderation;
use serde::de::IgnoredAny;
use url::form_urlencoded;

use super::cors::preflight;
use super::envelope;
use super::errors::{self, Problem};
use super::{AppState, body, limits};
use crate::clock;
use crate::store::{Audit, PageQuery, StoreError};

/// The longest body of a video webhook: with its envelope it is a message of at most 64 kB.
const WEBHOOK_MAX: usize = 60_000;

/// Where what a video service tells is published.
const VIDEO_CHANNEL: &str = "elektron";

const JSON: HeaderValue = HeaderValue::from_static("application/json");

pub(crate) fn routes() -> Router<AppState> {
    let read = || options(async || preflight("OPTIONS, GET, HEAD", &[]));
    let tell = options(async || preflight("OPTIONS, POST", &[]));
    Router::new()
        .route("/messages", get(messages).merge(read()))
        .route("/messages/clear", get(clear).merge(read()))
        .route("/webhooks/video", post(video).merge(tell))
        .method_not_allowed_fallback(errors::method_not_allowed)
}

/// Why these clients are refused.
enum Refusal {
    /// In the words that they know.
    NoAccess,
    /// Something that they do not know of.
    Problem(Problem),
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::NoAccess => (StatusCode::FORBIDDEN, "No access").into_response(),
            Self::Problem(problem) => problem.into_response(),
        }
    }
}

/// All that was sent with `store: true`, oldest first, of one type or one channel or of all.
async fn messages(State(state): State<AppState>, request: Request) -> Result<Response, Refusal> {
    check_secret(&state, &request)?;
    let kind = parameter(request.uri(), "type");
    let channel = parameter(request.uri(), "channel").filter(|_| kind.is_none());
    let query = PageQuery {
        channel,
        kinds: kind.into_iter().collect(),
        is_stored: true,
        // What comes while this is sent is for the next who asks.
        to: state.app.history.newest_seq().saturating_add(1),
        ..PageQuery::default()
    };
    Ok(json(Body::from_stream(array(state, query))))
}

/// A JSON array of the messages as they came, a page at a time: the whole history may be larger than the memory.
fn array(
    state: AppState,
    query: PageQuery,
) -> impl futures_util::Stream<Item = Result<Bytes, StoreError>> {
    futures_util::stream::try_unfold(Some(query), move |query| {
        let history = state.app.history.clone();
        async move {
            let Some(mut query) = query else {
                return Ok(None);
            };
            let is_first = query.from == 0;
            let page = history.page(query.clone()).await?;
            let length: usize = page.messages.iter().map(|one| one.raw.len() + 1).sum();
            let mut chunk = Vec::with_capacity(length + 2);
            for (index, message) in page.messages.iter().enumerate() {
                let is_beginning = is_first && index == 0;
                chunk.push(if is_beginning { b'[' } else { b',' });
                chunk.extend_from_slice(&message.raw);
            }
            if is_first && page.messages.is_empty() {
                chunk.push(b'[');
            }
            let next = page.next.map(|last| {
                query.from = last.saturating_add(1);
                query
            });
            if next.is_none() {
                chunk.push(b']');
            }
            Ok::<_, StoreError>(Some((Bytes::from(chunk), next)))
        }
    })
}

/// Removes all messages.
async fn clear(State(state): State<AppState>, request: Request) -> Result<Response, Refusal> {
    check_secret(&state, &request)?;
    let audit = Audit {
        at_ms: clock::unix_micros() / 1000,
        who: "operator".to_owned(),
        what: "clear",
        space: String::new(),
        detail: "all messages, by /messages/clear".to_owned(),
    };
    let cleared = state.app.history.clear(audit).await;
    cleared.map_err(Problem::from)?;
    state.app.bus.moderate(Moderation::Clear);
    tracing::info!("an operator clears the history of messages");
    Ok(json(Body::from("[]")))
}

/// A video service tells of something; everybody hears it, and it is kept.
async fn video(State(state): State<AppState>, request: Request) -> Result<Response, Refusal> {
    check_secret(&state, &request)?;
    let (parts, body) = request.into_parts();
    let told = body::read(&parts.headers, body, WEBHOOK_MAX).await?;
    let told = told.trim_ascii();
    if serde_json::from_slice::<IgnoredAny>(told).is_err() {
        return Err(Refusal::NoAccess);
    }
    let message = envelope::stored("VIDEO", VIDEO_CHANNEL, told)?;
    let published = state.app.bus.publish(message, None).await;
    published.map_err(Problem::from)?;
    let mut answer = br#"{"status":200,"received":"#.to_vec();
    answer.extend_from_slice(told);
    answer.push(b'}');
    Ok(json(Body::from(answer)))
}

/// # Errors
/// 403 in the words that clients know; 429 when somebody tries too many.
fn check_secret(state: &AppState, request: &Request) -> Result<(), Refusal> {
    let secret = parameter(request.uri(), "secret");
    // Counted before it is looked at: else whoever guesses on would be told by another answer than 429 that a guess is right.
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(peer)| {
        peer.ip()
    });
    limits::count_request(state, peer, request.headers())?;
    match state.app.tokens.is_operator(secret.as_deref()) {
        true => Ok(()),
        false => Err(Refusal::NoAccess),
    }
}

/// The first value of a parameter; an empty one counts as none.
fn parameter(uri: &Uri, name: &str) -> Option<String> {
    let query = uri.query().unwrap_or_default();
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let found = pairs.find(|(key, _)| key == name);
    found
        .map(|(_, value)| value.into_owned())
        .filter(|value| !value.is_empty())
}

fn json(body: Body) -> Response {
    let headers = HeaderMap::from_iter([
        (header::CONTENT_TYPE, JSON),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ]);
    (headers, body).into_response()
}
