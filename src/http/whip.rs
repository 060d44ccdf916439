//! WHIP, RFC 9725: a performer publishes at `/whip/{space}[/{stream}]`.

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use signaling::conference::ParticipantRole;
use signaling::media_type::SDP;

use super::AppState;
use super::bearer::{bearer, not_the_key};
use super::cors::preflight;
use super::errors::{self, Problem};
use super::offer::{self, ACCEPT_POST, Sdp, Telling};
use super::place::Stream;
use super::resource;
use super::sessions::Facts;
use crate::auth::Access;
use crate::media::TakeOver;

const PROTOCOL: &str = "whip";
/// What is forwarded, as a refusal lists it.
const KNOWN_CODECS: [sfu::CodecKind; 7] = {
    use sfu::CodecKind::{Av1, H264, Opus, Pcma, Pcmu, Vp8, Vp9};
    [H264, Vp8, Vp9, Av1, Opus, Pcmu, Pcma]
};
const METHODS: &str = "OPTIONS, GET, HEAD, POST";

pub(crate) fn routes() -> Router<AppState> {
    let endpoint = || post(publish).merge(get(look).options(options));
    Router::new()
        .route("/whip/{space}", endpoint())
        .route("/whip/{space}/{stream}", endpoint())
        .route(
            "/whip/{space}/{stream}/{resource}",
            resource::routes(sfu::Role::Publisher),
        )
        .method_not_allowed_fallback(errors::method_not_allowed)
}

/// Section 4.2: without authentication, whatever the name.
async fn options() -> Response {
    preflight(METHODS, &[(ACCEPT_POST, SDP)])
}

/// Section 4.1: an endpoint has no representation, so `GET` and `HEAD` succeed with nothing.
async fn look(_: Stream) -> StatusCode {
    StatusCode::NO_CONTENT
}

async fn publish(
    State(state): State<AppState>,
    Stream(key): Stream,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    if state.app.shutdown.has_begun() {
        return Err(Problem::stopping());
    }
    let bearer = bearer(&headers)?;
    let right = match state.app.keys.check(&key.space, bearer) {
        Access::Granted => TakeOver::Always,
        Access::Open { owner: Some(owner) } => TakeOver::SameOwner(owner),
        Access::Open { owner: None } => TakeOver::OnlyIfSilent,
        Access::Denied if is_performer(&state, &key.space, bearer) => TakeOver::Always,
        Access::Denied => return Err(not_the_key(&key.space, bearer.is_some())),
    };
    let offer = Sdp::read_offer(&headers, body).await?;
    let summary = offer.summary();
    summary
        .check_publisher(&KNOWN_CODECS.map(sfu::CodecKind::name))
        .map_err(|error| Problem::unprocessable(error.to_string()))?;
    let facts = Facts {
        remote_ufrag: Some(summary.ufrag.to_owned()),
        ..Facts::default()
    };
    let media = state.app.media.clone();
    let (wanted, text) = (key.clone(), offer.text().to_owned());
    let request = async move { media.publish(wanted, text, right).await };
    let begun = offer::begin(&state.app.media, request).await??;
    begun.check_complete(&offer.summary())?;
    let telling = Telling {
        protocol: PROTOCOL,
        key: &key,
        status: StatusCode::CREATED,
        content_type: HeaderValue::from_static(SDP),
        facts,
    };
    let (_, response) = offer::tell(&state, begun, telling)?;
    Ok(response)
}

/// Whether `bearer` is a token that makes a performer, or more, of its holder in `space`: as good as the space's key.
fn is_performer(state: &AppState, space: &str, bearer: Option<&str>) -> bool {
    let claims = bearer.map(|token| state.app.tokens.verify(space, token));
    matches!(claims, Some(Ok(claims)) if claims.role >= ParticipantRole::Performer)
}
