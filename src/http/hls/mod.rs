//! HLS (RFC 8216bis): playlists that wait for the next part, and the media that they name.
//!
//! Whoever answers here does so from memory: a playlist was rendered when its part was made, and is the same for every
//! viewer, so that a cache in front of the server can answer for it. Media never changes under its name.

mod download;
mod media;
mod name;
mod playlists;
mod recorded;
mod room;
mod shelf;
mod sound;

use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;
use venue::{SpaceName, StreamName};

use self::name::File;
use self::playlists::{Ask, FINISHED};
use super::AppState;
use super::cors::preflight;
use super::errors::{self, Problem};
use super::limits::{Origin, Peer};
use super::playback::{Watched, may_watch, seal};
use crate::broadcast::Sound;
use crate::media::StreamKey;

const METHODS: &str = "OPTIONS, GET, HEAD";

/// What a player of another site may send.
const HEADERS: (HeaderName, &str) = (
    axum::http::header::ACCESS_CONTROL_ALLOW_HEADERS,
    "Authorization, Range, If-None-Match",
);

pub(crate) fn routes() -> Router<AppState> {
    let options = async || preflight(METHODS, &[HEADERS]);
    Router::new()
        .route("/live/{file}", get(live).options(options))
        .route("/live/{space}/{file}", get(live_stream).options(options))
        .route("/hls/{space}/{stream}/{file}", get(file).options(options))
        .route(
            "/hls/{space}/{stream}/{life}/{file}",
            get(older).options(options),
        )
        .route(
            "/hls/~/{token}/{space}/{stream}/{file}",
            get(file).options(options),
        )
        .route(
            "/hls/~/{token}/{space}/{stream}/{life}/{file}",
            get(older).options(options),
        )
        .method_not_allowed_fallback(errors::method_not_allowed)
}

/// The end of a path.
#[derive(Deserialize)]
struct Named {
    file: String,
}

/// The same, of one life.
#[derive(Deserialize)]
struct NamedOlder {
    life: String,
    file: String,
}

/// `/live/{space}.m3u8`, the address that exists in the field.
async fn live(
    State(state): State<AppState>,
    Path(file): Path<String>,
    RawQuery(query): RawQuery,
    peer: Peer,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let space = playlist_name(&file)?.parse::<SpaceName>()?;
    let key = StreamKey {
        space: space.into(),
        stream: StreamName::default().into(),
    };
    let base = format!("../hls/{}/{}/", key.space, key.stream);
    named(&state, &key, &base, (peer, query.as_deref()), &headers).await
}

/// `/live/{space}/{stream}.m3u8`, for the other cameras.
async fn live_stream(
    State(state): State<AppState>,
    Path((space, file)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    peer: Peer,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let key = StreamKey {
        space: space.parse::<SpaceName>()?.into(),
        stream: playlist_name(&file)?.parse::<StreamName>()?.into(),
    };
    let base = format!("../../hls/{}/{}/", key.space, key.stream);
    named(&state, &key, &base, (peer, query.as_deref()), &headers).await
}

async fn named(
    state: &AppState,
    key: &StreamKey,
    base: &str,
    (peer, query): (Peer, Option<&str>),
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    may_watch(state, peer, &key.space, headers, None)?;
    let response = playlists::multivariant(state, key, base, query, headers).await?;
    Ok(seal(state, &key.space, response))
}

fn playlist_name(file: &str) -> Result<&str, Problem> {
    file.strip_suffix(".m3u8").ok_or_else(|| {
        let detail = "playlists end in .m3u8; a space's is at /live/{space}.m3u8";
        Problem::new(StatusCode::NOT_FOUND, detail)
    })
}

async fn file(
    State(state): State<AppState>,
    Watched(key): Watched,
    Path(Named { file }): Path<Named>,
    RawQuery(query): RawQuery,
    peer: Peer,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let response = match File::parse(&file).ok_or_else(no_such_file)? {
        File::Multivariant => {
            playlists::multivariant(&state, &key, "", query.as_deref(), &headers).await
        }
        File::Media(rendition) => {
            playlists::media(&state, &key, rendition, query.as_deref(), &headers).await
        }
        File::Recording { life } => download::mp4(&state, &key, life, peer, &headers).await,
        other => {
            let origin = Origin::from(peer.client(&state, &headers));
            media::file(&state, (&key, origin), other, &headers).await
        }
    };
    Ok(seal(&state, &key.space, response?))
}

/// A recording that is not the newest one.
async fn older(
    State(state): State<AppState>,
    Watched(key): Watched,
    Path(NamedOlder { life, file }): Path<NamedOlder>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let life = name::life(&life).ok_or_else(no_such_file)?;
    let response = match File::parse(&file).ok_or_else(no_such_file)? {
        File::Multivariant => {
            let to = (String::new(), Sound::of(query.as_deref()));
            recorded::multivariant(&state, &key, life, to, FINISHED, &headers).await
        }
        File::Media(rendition) => {
            let to = ("../", FINISHED, Ask::parse(query.as_deref())?.is_keyframes);
            recorded::media(&state, &key, life, rendition, to, &headers).await
        }
        _ => Err(no_such_file()),
    };
    Ok(seal(&state, &key.space, response?))
}

fn no_such_file() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "there is no such file; playlists name those that there are, begin with index.m3u8",
    )
}

/// 404 for a stream that is not there.
fn not_live(state: &AppState, key: &StreamKey) -> Problem {
    let detail = match state.app.broadcast.published().refusal(key) {
        Some(why) => format!("{key} is live but has no HLS: {why}"),
        None => format!(
            "{key} is not live and has no recording; follow /api/spaces/{}/events",
            key.space
        ),
    };
    Problem::new(StatusCode::NOT_FOUND, detail)
}
