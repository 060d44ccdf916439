//! Recordings of a space: which there are, and a moderator's word about them.

use std::time::{Duration, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, options, post};
use axum::{Json, response::NoContent};
use serde::{Deserialize, Serialize};
use venue::{SpaceName, StreamName};

use super::api::rfc3339;
use super::cors::preflight;
use super::errors::{self, Problem};
use super::limits::Peer;
use super::moderator::moderator;
use super::place::Space;
use super::playback;
use super::{AppState, json};
use crate::media::StreamKey;
use crate::recording::{Archive, Recording, RecordingState, Refusal};

/// What others are told.
const ONLY: &str = "only a moderator decides about recordings";

pub(crate) fn routes() -> Router<AppState> {
    let list = options(async || preflight("OPTIONS, GET, HEAD", &[]));
    let change = options(async || preflight("OPTIONS, POST", &[]));
    let remove = options(async || preflight("OPTIONS, DELETE", &[]));
    Router::new()
        .route(
            "/api/spaces/{space}/recordings",
            get(recordings).merge(list),
        )
        .route(
            "/api/spaces/{space}/recordings/{life}",
            delete(forget).merge(remove),
        )
        .route(
            "/api/spaces/{space}/streams/{stream}/recording",
            post(record).merge(change),
        )
        .method_not_allowed_fallback(errors::method_not_allowed)
}

#[derive(Serialize)]
struct List {
    recordings: Vec<Report>,
    /// Why nothing is recorded now although it should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<String>,
}

#[derive(Serialize)]
struct Report {
    id: String,
    stream: String,
    /// RFC 3339 in UTC.
    started: Option<String>,
    duration_s: f64,
    bytes: u64,
    state: &'static str,
    playlist: String,
    mp4: Option<String>,
    thumbnails: Vec<Picture>,
}

#[derive(Serialize)]
struct Picture {
    at_s: u64,
    url: String,
}

impl From<Recording> for Report {
    fn from(one: Recording) -> Self {
        let base = format!("/hls/{}/{}", one.key.space, one.key.stream);
        let is_finished = one.state == RecordingState::Finished;
        let picture = |at_s: &u64| Picture {
            at_s: *at_s,
            url: format!("{base}/{}-{at_s}.jpg", one.id),
        };
        Self {
            stream: one.key.stream.to_string(),
            started: rfc3339(UNIX_EPOCH + Duration::from_millis(one.started_ms)),
            duration_s: one.duration_ms as f64 / 1000.0,
            bytes: one.bytes,
            state: match one.state {
                RecordingState::Recording => "recording",
                RecordingState::Stopped => "stopped",
                RecordingState::Finished => "finished",
            },
            playlist: if is_finished {
                format!("{base}/{}/index.m3u8", one.id)
            } else {
                format!("{base}/index.m3u8?dvr")
            },
            mp4: is_finished.then(|| format!("{base}/{}.mp4", one.id)),
            thumbnails: one.thumbnails.iter().map(picture).collect(),
            id: one.id.to_string(),
        }
    }
}

/// What is kept, the newest first; a DVR window that will be gone is none.
async fn recordings(
    State(state): State<AppState>,
    Space(space): Space,
    peer: Peer,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    playback::may_watch(&state, peer, space.as_str(), &headers, None)?;
    let archive = state.app.broadcast.recorder().archive();
    let kept = archive
        .recordings(space.as_str())
        .into_iter()
        .filter(|one| one.kept || one.keeping);
    let list = List {
        recordings: kept.map(Report::from).collect(),
        trouble: archive.trouble().map(|trouble| trouble.to_string()),
    };
    let headers = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok((headers, Json(list)).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    recording: bool,
}

#[derive(Serialize)]
struct Said {
    id: String,
    recording: bool,
}

/// Records a live stream from now on, or no longer.
async fn record(
    State(state): State<AppState>,
    Path((space, stream)): Path<(String, String)>,
    peer: Peer,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let space = space.parse::<SpaceName>()?;
    let stream = stream.parse::<StreamName>()?;
    moderator(&state, peer, &space, &headers, ONLY)?;
    let wanted: Wanted = json::read(&headers, body).await?;
    let key = StreamKey {
        space: space.into(),
        stream: stream.into(),
    };
    let show = state.app.broadcast.published().show(&key);
    let show = show.filter(|show| !show.is_ended()).ok_or_else(|| {
        let detail = format!("{key} is not live; a recording begins while a stream is");
        Problem::new(StatusCode::CONFLICT, detail)
    })?;
    let life = show.life().to_string();
    carry_out(&state, life.clone(), move |archive, life| {
        archive.keep(life, wanted.recording)
    })
    .await?;
    state.app.media.directory().has_changed(&key.space);
    tracing::info!(space = %key.space, stream = %key.stream, life, recording = wanted.recording, "a moderator decides about recording");
    Ok(json::answer(&Said {
        id: life,
        recording: wanted.recording,
    }))
}

/// Deletes a finished recording.
async fn forget(
    State(state): State<AppState>,
    Path((space, life)): Path<(String, String)>,
    peer: Peer,
    headers: HeaderMap,
) -> Result<NoContent, Problem> {
    let space = space.parse::<SpaceName>()?;
    moderator(&state, peer, &space, &headers, ONLY)?;
    let archive = state.app.broadcast.recorder().archive();
    let is_of_space = archive
        .recording(&life)
        .is_some_and(|one| *one.key.space == *space.as_str());
    if !is_of_space {
        return Err(Refusal::Unknown.into());
    }
    tracing::info!(
        space = space.as_str(),
        life,
        "a moderator deletes a recording"
    );
    carry_out(&state, life, |archive, life| archive.delete(life)).await?;
    Ok(NoContent)
}

async fn carry_out(
    state: &AppState,
    life: String,
    command: impl FnOnce(&Archive, &str) -> Result<(), Refusal> + Send + 'static,
) -> Result<(), Problem> {
    let archive = state.app.broadcast.recorder().archive().clone();
    let done = tokio::task::spawn_blocking(move || command(&archive, &life)).await;
    done.unwrap_or(Err(Refusal::Busy)).map_err(Problem::from)
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal {
            Refusal::Unknown => StatusCode::NOT_FOUND,
            Refusal::Live => StatusCode::CONFLICT,
            Refusal::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Refusal::Failed(_) => StatusCode::INSUFFICIENT_STORAGE,
        };
        let problem = Self::new(status, refusal.to_string());
        match status {
            StatusCode::SERVICE_UNAVAILABLE => problem.retry_after(errors::FULL_RETRY_S),
            _ => problem,
        }
    }
}
