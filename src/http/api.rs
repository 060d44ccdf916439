//! What the pages ask: which streams a space has, once or at every change.

use std::borrow::Cow;

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use jiff::Timestamp;
use serde::Serialize;

use super::AppState;
use super::cors::preflight;
use super::errors;
use super::events;
use super::place::Space;
use crate::broadcast::{Broadcast, Sound, SoundTrouble};
use crate::media::{Backup, Directory, StreamKey, StreamSummary, Trouble};

const METHODS: &str = "OPTIONS, GET, HEAD";

pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route("/api/spaces/{space}", get(space).options(options))
        .route(
            "/api/spaces/{space}/events",
            get(events::events).options(options),
        )
        .route("/api/seats", get(seats).options(options))
        .method_not_allowed_fallback(errors::method_not_allowed)
}

/// A space as pages know it.
#[derive(Debug, Serialize)]
pub(crate) struct SpaceReport<'a> {
    space: &'a str,
    streams: Vec<StreamReport>,
    /// Cameras that should play here and do not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cameras: Vec<CameraReport>,
}

#[derive(Debug, Serialize)]
struct CameraReport {
    stream: String,
    /// For people: what is wrong, and what to do.
    trouble: String,
}

#[derive(Debug, Serialize)]
struct StreamReport {
    name: String,
    live: bool,
    /// RFC 3339 in UTC, whole seconds.
    since: Option<String>,
    viewers: usize,
    tracks: Vec<TrackReport>,
    /// Where an audience of any size watches it.
    hls: Option<HlsReport>,
    /// Why it cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    hls_refusal: Option<&'static str>,
    /// What its performer should mend; empty when all is well.
    trouble: Vec<TroubleReport>,
    /// What its backup does, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    backup: Option<&'static str>,
    /// Nobody performs, and viewers over WebRTC are shown a slate.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    slate: bool,
}

/// A fault in what is published.
#[derive(Debug, Serialize)]
struct TroubleReport {
    /// For programs.
    code: &'static str,
    /// For people: what it does, and the setting that ends it.
    text: Cow<'static, str>,
}

#[derive(Debug, Serialize)]
struct HlsReport {
    url: String,
    /// What a player's latency will be about.
    latency_target_s: f64,
    /// Whether it is being recorded.
    recording: bool,
}

#[derive(Debug, Serialize)]
struct TrackReport {
    kind: &'static str,
    codec: &'static str,
    layers: usize,
}

impl<'a> SpaceReport<'a> {
    pub(crate) fn new(space: &'a str, directory: &Directory, broadcast: &Broadcast) -> Self {
        let mut streams: Vec<_> = directory
            .space(space)
            .into_iter()
            .map(|summary| StreamReport::new(space, summary, broadcast))
            .collect();
        streams.sort_by(|left, right| left.name.cmp(&right.name));
        let cameras = directory.camera_troubles(space).into_iter();
        let cameras = cameras.map(|(stream, trouble)| CameraReport {
            stream: stream.to_string(),
            trouble: trouble.to_string(),
        });
        Self {
            space,
            streams,
            cameras: cameras.collect(),
        }
    }
}

impl StreamReport {
    fn new(space: &str, summary: StreamSummary, broadcast: &Broadcast) -> Self {
        let track = |track: &sfu::TrackInfo| TrackReport {
            kind: if track.codec.kind.is_audio() {
                "audio"
            } else {
                "video"
            },
            codec: track.codec.kind.name(),
            layers: track.layers.len(),
        };
        let key = StreamKey {
            space: space.into(),
            stream: summary.stream.clone(),
        };
        let show = broadcast.published().show(&key).filter(|_| summary.live);
        let sound = show.and_then(|show| show.sound_trouble());
        Self {
            name: summary.stream.to_string(),
            live: summary.live,
            since: summary.since.and_then(rfc3339),
            viewers: summary.viewers,
            tracks: summary.tracks.iter().map(track).collect(),
            hls: HlsReport::of(&key, broadcast).filter(|_| summary.live),
            hls_refusal: broadcast.published().refusal(&key),
            trouble: summary
                .troubles
                .iter()
                .chain(&broadcast.published().troubles(&key))
                .map(TroubleReport::of)
                .chain(sound.map(TroubleReport::of_sound))
                .collect(),
            backup: summary.backup.map(|backup| match backup {
                Backup::StandsBy => "standby",
                Backup::OnAir => "on_air",
            }),
            slate: summary.slate,
        }
    }
}

impl TroubleReport {
    fn of(trouble: &Trouble) -> Self {
        Self {
            code: trouble.code(),
            text: trouble.text().into(),
        }
    }

    fn of_sound(trouble: SoundTrouble) -> Self {
        Self {
            code: "sound",
            text: trouble.to_string().into(),
        }
    }
}

impl HlsReport {
    fn of(key: &StreamKey, broadcast: &Broadcast) -> Option<Self> {
        let show = broadcast.published().show(key)?;
        show.multivariant(Sound::Aac)?;
        let archive = broadcast.recorder().archive();
        Some(Self {
            url: format!("/hls/{}/{}/index.m3u8", key.space, key.stream),
            // What a player holds back, and the part that is being made.
            latency_target_s: (broadcast.settings().part_hold_back() + broadcast.part())
                .as_secs_f64(),
            recording: archive.is_keeping(show.life()),
        })
    }
}

/// RFC 3339 in UTC, whole seconds.
pub(crate) fn rfc3339(time: std::time::SystemTime) -> Option<String> {
    let seconds = Timestamp::try_from(time).ok()?.as_second();
    Some(Timestamp::from_second(seconds).ok()?.to_string())
}

async fn options() -> Response {
    preflight(METHODS, &[])
}

/// Any word is a space: one that nobody used has no streams.
async fn space(State(state): State<AppState>, Space(space): Space) -> Response {
    let report = SpaceReport::new(
        space.as_str(),
        state.app.media.directory(),
        &state.app.broadcast,
    );
    let headers = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    (headers, Json(report)).into_response()
}

#[derive(Serialize)]
struct Seats {
    free: usize,
}

/// How many more may watch over WebRTC before pages choose HLS.
async fn seats(State(state): State<AppState>) -> Response {
    let taken = state.app.media.directory().viewers();
    let free = state.app.config.hls.webrtc_seats.saturating_sub(taken);
    let headers = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    (headers, Json(Seats { free })).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_whole_seconds_in_utc() {
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_millis(1_795_370_400_999);
        assert_eq!(rfc3339(time).unwrap(), "2026-11-22T18:00:00Z");
    }
}
