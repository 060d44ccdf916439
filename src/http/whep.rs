//! WHEP, draft-ietf-wish-whep-03: a viewer watches `/whep/{space}[/{stream}]`.
//!
//! A viewer whose offer cannot be answered gets an offer of ours with `406` and answers it with `PATCH application/sdp`.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use uuid::Uuid;
use wish::media_type::SDP;

use super::AppState;
use super::cors::preflight;
use super::errors::{self, Problem};
use super::extensions::{announce, recommend_hls, wish_at_once};
use super::limits::Peer;
use super::offer::{self, ACCEPT_POST, Sdp, Telling};
use super::place::Stream;
use super::playback;
use super::resource;
use super::sessions::Facts;
use crate::broadcast::Sound;
use crate::clock;
use crate::media::{Refused, StreamKey};

/// How long a counter-offer can be answered: what a client assumes that ignores `valid-until`.
pub(crate) const COUNTER_OFFER_AGE_MAX: Duration = Duration::from_secs(30);

const PROTOCOL: &str = "whep";
const METHODS: &str = "OPTIONS, GET, HEAD, POST";

pub(crate) fn routes() -> Router<AppState> {
    let endpoint = || post(view).merge(get(look).options(options));
    Router::new()
        .route("/whep/{space}", endpoint())
        .route("/whep/{space}/{stream}", endpoint())
        .route(
            "/whep/{space}/{stream}/{resource}",
            resource::routes(sfu::Role::Viewer),
        )
        .method_not_allowed_fallback(errors::method_not_allowed)
}

/// With the ICE servers, which some pages read nowhere else.
async fn options(
    State(state): State<AppState>,
    key: Result<Stream, Problem>,
    peer: Peer,
    headers: HeaderMap,
) -> Response {
    let mut response = preflight(METHODS, &[(ACCEPT_POST, SDP)]);
    let may_watch = key.is_ok_and(|Stream(key)| {
        playback::may_watch(&state, peer, &key.space, &headers, None).is_ok()
    });
    state.ice_servers.add_to(response.headers_mut(), may_watch);
    response
}

/// A player finds out by `HEAD` that this is WHEP: 200 with the type that `POST` takes, and no content.
async fn look(_: Stream) -> Response {
    (
        [(header::CONTENT_TYPE, HeaderValue::from_static(SDP))],
        Body::empty(),
    )
        .into_response()
}

/// 503 when as many watch over WebRTC as the operator wants and HLS, which has room for everybody, carries the stream.
fn check_seats(state: &AppState, key: &StreamKey) -> Result<(), Problem> {
    let seats = state.app.config.hls.webrtc_seats;
    let show = state.app.broadcast.published().show(key);
    let has_hls =
        show.is_some_and(|show| show.multivariant(Sound::Aac).is_some() && !show.is_ended());
    if !has_hls || state.app.media.directory().viewers() < seats {
        return Ok(());
    }
    let detail = format!(
        "all {seats} seats for WebRTC are taken; watch the space's HLS, or try again later"
    );
    Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(errors::FULL_RETRY_S))
}

async fn view(
    State(state): State<AppState>,
    Stream(key): Stream,
    peer: Peer,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    if state.app.shutdown.has_begun() {
        return Err(Problem::stopping());
    }
    playback::may_watch(&state, peer, &key.space, &headers, None)?;
    check_seats(&state, &key)?;
    let offer = Sdp::read_offer(&headers, body).await?;
    let summary = offer.summary();
    if let Err(unusable) = summary.check_viewer() {
        return counter_offer(&state, &key, &headers, &unusable.to_string()).await;
    }
    let facts = Facts {
        remote_ufrag: Some(summary.ufrag.to_owned()),
        ..Facts::default()
    };
    let media = state.app.media.clone();
    let wanted = key.clone();
    let request = async move { media.view(&wanted, offer.into_text()).await };
    let begun = match offer::begin(&state.app.media, request).await? {
        Err(Refused::NotAcceptable(why)) => {
            return counter_offer(&state, &key, &headers, &why).await;
        }
        result => result?,
    };
    if let Some(resource) = begun.resource() {
        wish_at_once(&state, &key, resource, query.as_deref()).await?;
    }
    let telling = Telling {
        protocol: PROTOCOL,
        key: &key,
        status: StatusCode::CREATED,
        content_type: HeaderValue::from_static(SDP),
        facts,
    };
    let (_, mut response) = offer::tell(&state, begun, telling)?;
    announce(&headers, &mut response);
    recommend_hls(&state, &key, &mut response);
    Ok(response)
}

/// 406 with an offer of ours, which is withdrawn when it stays unanswered.
async fn counter_offer(
    state: &AppState,
    key: &StreamKey,
    asked: &HeaderMap,
    why: &str,
) -> Result<Response, Problem> {
    let media = state.app.media.clone();
    let wanted = key.clone();
    let request = async move { media.offer(&wanted).await };
    let begun = offer::begin(&state.app.media, request).await??;
    let valid_until = httpdate::fmt_http_date(clock::wall() + COUNTER_OFFER_AGE_MAX);
    let content_type = HeaderValue::try_from(format!("{SDP}; valid-until=\"{valid_until}\""))
        .expect("a date is ASCII");
    let telling = Telling {
        protocol: PROTOCOL,
        key,
        status: StatusCode::NOT_ACCEPTABLE,
        content_type,
        facts: Facts {
            awaits_answer: true,
            ..Facts::default()
        },
    };
    let (resource, mut response) = offer::tell(state, begun, telling)?;
    announce(asked, &mut response);
    tracing::info!(space = %key.space, stream = %key.stream, %resource, why, "a viewer gets a counter-offer");
    tokio::spawn(withdraw_later(state.clone(), resource));
    Ok(response)
}

async fn withdraw_later(state: AppState, resource: Uuid) {
    // The date in the answer has whole seconds: one more is fair.
    tokio::time::sleep(COUNTER_OFFER_AGE_MAX + Duration::from_secs(1)).await;
    if state.sessions.take_awaited(resource) {
        tracing::debug!(%resource, "a counter-offer was not answered: withdrawn");
        state.sessions.remove(resource);
        // It may be over already; then there is nothing to close.
        let _ = state.app.media.close(resource).await;
    }
}
