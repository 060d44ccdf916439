//! Playlists of what is on disk.

use std::sync::Arc;

use axum::http::HeaderMap;
use axum::response::Response;
use hls::{Timeline, View};

use super::playlists::answer;
use super::shelf::{Label, SHELF};
use super::{no_such_file, not_live};
use crate::broadcast::{self, Rendered, Sound};
use crate::http::AppState;
use crate::http::errors::Problem;
use crate::media::StreamKey;
use crate::recording::Archive;

/// The newest life of a stream that has ended.
pub(super) fn latest(state: &AppState, key: &StreamKey) -> Result<String, Problem> {
    let latest = state.app.broadcast.recorder().archive().latest(key);
    let latest = latest.ok_or_else(|| not_live(state, key))?;
    Ok(latest.id.to_string())
}

/// The playlist of playlists of a life; its entries lie under `base`.
pub(super) async fn multivariant(
    state: &AppState,
    key: &StreamKey,
    life: &str,
    (base, sound): (String, Sound),
    cache_control: &'static str,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let label = format!("index.m3u8 with {sound:?} at {base}");
    let text = look(state, key, life, label, move |archive, life| {
        let reels = archive.reels(life)?;
        let all = reels.iter().filter(|reel| !reel.segments.is_empty());
        let infos = all.map(|reel| &reel.info);
        Some(broadcast::multivariant(infos, sound, &base))
    })
    .await?;
    Ok(answer(&text, cache_control, headers))
}

/// A media playlist of a life, or of its keyframes alone; media lies under `prefix`.
pub(super) async fn media(
    state: &AppState,
    key: &StreamKey,
    life: &str,
    name: &str,
    (prefix, cache_control, is_keyframes): (&'static str, &'static str, bool),
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let name = name.to_owned();
    let settings = state.app.broadcast.settings();
    let view = match is_keyframes {
        true => View::VodKeyframes,
        false => View::Vod,
    };
    let label = format!("{name}.m3u8 at {prefix} as {view:?}");
    let text = look(state, key, life, label, move |archive, life| {
        let reel = archive.reel(life, &name)?;
        let mut timeline = Timeline::new(settings, life, &name).with_prefix(prefix);
        for segment in &reel.segments {
            timeline.apply_segment(&segment.to_hls(0));
        }
        for range in archive.dateranges(life) {
            timeline.add_daterange(range);
        }
        timeline.end();
        let has_any = !reel.segments.is_empty() && (!is_keyframes || timeline.has_keyframes());
        has_any.then(|| timeline.render(view, &[]))
    })
    .await?;
    Ok(answer(&text, cache_control, headers))
}

/// Looks into a life that is this stream's, where it may take a moment. `label` tells what is looked for from all else of it.
async fn look(
    state: &AppState,
    key: &StreamKey,
    life: &str,
    label: String,
    look: impl FnOnce(&Archive, &str) -> Option<String> + Send + 'static,
) -> Result<Arc<Rendered>, Problem> {
    let archive = state.app.broadcast.recorder().archive().clone();
    let recording = archive.recording(life);
    let recording = recording.filter(|recording| recording.key == *key);
    let recording = recording.ok_or_else(no_such_file)?;
    let label = Label::new(&recording, label);
    let make = async move {
        let text = tokio::task::spawn_blocking(move || look(&archive, &recording.id)).await;
        let text = text.ok().flatten().ok_or_else(no_such_file)?;
        Ok(Rendered::new(text))
    };
    match label {
        Some(label) => SHELF.get(label, make).await,
        None => make.await.map(Arc::new),
    }
}
