//! WHIP, RFC 9725: a performer publishes at `/whip/{space}[/{stream}]`.

use axum::Router;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use conference::ParticipantRole;
use url::form_urlencoded;
use wish::media_type::SDP;

use super::AppState;
use super::bearer::{bearer, not_the_key};
use super::cors::preflight;
use super::errors::{self, Problem};
use super::limits::Peer;
use super::offer::{self, ACCEPT_POST, Sdp, Telling};
use super::place::Stream;
use super::resource;
use super::sessions::Facts;
use super::waiting;
use crate::auth::Access;
use crate::bus::household;
use crate::media::{StreamKey, TakeOver};

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

/// Section 4.2: without authentication, whatever the name. With the ICE servers (section 4.6), which some pages read nowhere else.
async fn options(
    State(state): State<AppState>,
    key: Result<Stream, Problem>,
    headers: HeaderMap,
) -> Response {
    let mut response = preflight(METHODS, &[(ACCEPT_POST, SDP)]);
    let may_begin = key.is_ok_and(|Stream(key)| right(&state, &key.space, &headers).is_ok());
    state.ice_servers.add_to(response.headers_mut(), may_begin);
    response
}

/// Section 4.1: an endpoint has no representation, so `GET` and `HEAD` succeed with nothing.
async fn look(_: Stream) -> StatusCode {
    StatusCode::NO_CONTENT
}

async fn publish(
    State(state): State<AppState>,
    Stream(key): Stream,
    RawQuery(query): RawQuery,
    peer: Peer,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    if state.app.shutdown.has_begun() {
        return Err(Problem::stopping());
    }
    let right = right(&state, &key.space, &headers)?;
    let (key, is_backup) = place(&state, key, query.as_deref());
    if is_backup && right != TakeOver::Always {
        return Err(without_key(&key));
    }
    let offer = Sdp::read_offer(&headers, body).await?;
    let summary = offer.summary();
    summary
        .check_publisher(&KNOWN_CODECS.map(sfu::CodecKind::name))
        .map_err(|error| Problem::unprocessable(error.to_string()))?;
    let address = peer.client(&state, &headers);
    waiting::check_room(&state, &key, (address, right))?;
    let facts = Facts {
        remote_ufrag: Some(summary.ufrag.to_owned()),
        household: Some(household(address)),
        ..Facts::default()
    };
    let media = state.app.media.clone();
    let (wanted, text) = (key.clone(), offer.text().to_owned());
    let request = async move { media.publish(wanted, text, right, is_backup).await };
    let begun = offer::begin(&state.app.media, request).await??;
    begun.check_complete(&offer.summary())?;
    let telling = Telling {
        protocol: PROTOCOL,
        key: &key,
        status: StatusCode::CREATED,
        content_type: HeaderValue::from_static(SDP),
        facts,
    };
    let (resource, response) = offer::tell(&state, begun, telling)?;
    if let Err(problem) = waiting::check_entered(&state, resource, (address, right)) {
        // It may be over already; then there is nothing to close.
        let _ = state.app.media.close(resource).await;
        return Err(problem);
    }
    Ok(response)
}

/// What is published at `key`, and whether to stand in for whoever publishes it: `?backup` says so, or the configuration for
/// another name.
fn place(state: &AppState, key: StreamKey, query: Option<&str>) -> (StreamKey, bool) {
    if let Some(main) = state.app.config.backup_of(&key.space, &key.stream) {
        let main = StreamKey {
            stream: main.into(),
            ..key
        };
        return (main, true);
    }
    (key, asks_to_stand_by(query))
}

/// `backup`, with whatever value but `0` and `false`.
fn asks_to_stand_by(query: Option<&str>) -> bool {
    let mut pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    pairs.any(|(name, value)| name == "backup" && !["0", "false"].contains(&&*value))
}

/// 403: where everybody may publish, a stranger would wait for a show to be lost for half a second.
fn without_key(key: &StreamKey) -> Problem {
    let space = &key.space;
    Problem::new(
        StatusCode::FORBIDDEN,
        format!(
            "a backup of {key} would be a stranger's, as everybody may publish in space {space}; give the space a key (key = \"...\" in its [[space]], or `proscenium key add {space}`) and publish both with it"
        ),
    )
}

/// Under which right whoever sends `headers` may publish.
///
/// # Errors
/// 401 without it.
fn right(state: &AppState, space: &str, headers: &HeaderMap) -> Result<TakeOver, Problem> {
    let bearer = bearer(headers)?;
    match state.app.keys.check(space, bearer) {
        Access::Granted => Ok(TakeOver::Always),
        Access::Open { owner: Some(owner) } => Ok(TakeOver::SameOwner(owner)),
        Access::Open { owner: None } => Ok(TakeOver::OnlyIfSilent),
        Access::Denied if is_performer(state, space, bearer) => Ok(TakeOver::Always),
        Access::Denied => Err(not_the_key(space, bearer.is_some())),
    }
}

/// Whether `bearer` is a token that makes a performer, or more, of its holder in `space`: as good as the space's key.
fn is_performer(state: &AppState, space: &str, bearer: Option<&str>) -> bool {
    let claims = bearer.map(|token| state.app.tokens.verify(space, token));
    matches!(claims, Some(Ok(claims)) if claims.role >= ParticipantRole::Performer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_is_asked_for_in_the_query() {
        let check = |query: &str, expected: bool| {
            assert_eq!(asks_to_stand_by(Some(query)), expected, "{query}");
        };
        for query in ["backup", "backup=", "backup=1", "a=b&backup", "backup&a"] {
            check(query, true);
        }
        for query in [
            "",
            "backup=0",
            "backup=false",
            "backups",
            "a=backup",
            "Backup",
        ] {
            check(query, false);
        }
        assert!(!asks_to_stand_by(None));
    }
}
