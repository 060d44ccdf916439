//! Media: from memory while it is new, from disk afterwards.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use bytes::Bytes;

use super::name::File;
use super::room::READING;
use super::sound;
use super::{no_such_file, not_live};
use crate::broadcast::{AAC, Held, OPUS, Rendition};
use crate::http::AppState;
use crate::http::errors::Problem;
use crate::http::limits::Origin;
use crate::http::range;
use crate::media::StreamKey;
use crate::recording::{Archive, Location};

/// What never changes under its name may be kept for an hour, and need not be asked for again.
const IMMUTABLE: &str = "public, max-age=3600, immutable";

/// How long a request for the part that a preload hint names is held.
const HINT_MAX: Duration = Duration::from_secs(5);

/// What a rendition's files are.
fn content_type(rendition: &str) -> &'static str {
    match rendition {
        OPUS | AAC => "audio/mp4",
        _ => "video/mp4",
    }
}

/// One file of a stream, for whoever asks.
pub(super) async fn file(
    state: &AppState,
    (key, origin): (&StreamKey, Origin),
    file: File<'_>,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    if !is_of(state, key, file.life()) {
        return Err(no_such_file());
    }
    let kind = content_type(file.rendition().unwrap_or_default());
    let bytes = match file {
        File::Init {
            life,
            rendition,
            number,
        } => init(state, key, life, rendition, number).await,
        File::Segment {
            life,
            rendition,
            msn,
        } => match segment(state, key, life, rendition, msn).await {
            Ok(Some(bytes)) => {
                let (whose, of) = ((key, origin), (life, rendition));
                let bytes = sound::complete(state, whose, of, (msn, None), bytes);
                Ok(Some(bytes.await?))
            }
            other => other,
        },
        File::Part {
            life,
            rendition,
            msn,
            part,
            init,
        } => {
            let whose = (key, origin);
            let place = (msn, part, init);
            return self::part(state, whose, (life, rendition), place, headers).await;
        }
        File::Thumbnail { life, at_s } => {
            let bytes = read(state, life, move |archive, life| {
                archive.thumbnail(life, at_s)
            });
            let bytes = bytes.await?.ok_or_else(no_such_file)?;
            return Ok(range::respond(&bytes, "image/jpeg", IMMUTABLE, headers));
        }
        File::Recording { .. } | File::Multivariant | File::Media(_) => return Err(no_such_file()),
    }?;
    let bytes = bytes.ok_or_else(|| gone(state, key))?;
    Ok(range::respond(&bytes, kind, IMMUTABLE, headers))
}

/// Whether this life is this stream's: who may see a stream is decided by its name.
pub(super) fn is_of(state: &AppState, key: &StreamKey, life: Option<&str>) -> bool {
    let broadcast = &state.app.broadcast;
    let is_live = |life: &str| {
        broadcast
            .published()
            .show(key)
            .is_some_and(|show| &**show.life() == life)
    };
    let is_kept = |life: &str| {
        broadcast
            .recorder()
            .archive()
            .recording(life)
            .is_some_and(|one| one.key == *key)
    };
    life.is_some_and(|life| is_live(life) || is_kept(life))
}

/// A rendition of a life that is in memory.
pub(super) fn rendition(
    state: &AppState,
    key: &StreamKey,
    life: &str,
    name: &str,
) -> Option<Arc<Rendition>> {
    let show = state.app.broadcast.published().show(key)?;
    (&**show.life() == life).then(|| show.rendition(name))?
}

async fn init(
    state: &AppState,
    key: &StreamKey,
    life: &str,
    name: &str,
    number: u32,
) -> Result<Option<Bytes>, Problem> {
    let live = rendition(state, key, life, name).and_then(|rendition| rendition.init(number));
    match live {
        Some(bytes) => Ok(Some(bytes)),
        None => {
            let name = name.to_owned();
            read(state, life, move |archive, life| {
                archive.init(life, &name, number)
            })
            .await
        }
    }
}

async fn segment(
    state: &AppState,
    key: &StreamKey,
    life: &str,
    name: &str,
    msn: u64,
) -> Result<Option<Bytes>, Problem> {
    let live = rendition(state, key, life, name).and_then(|rendition| rendition.segment(msn));
    match live {
        Some(bytes) => Ok(Some(bytes)),
        None => {
            let name = name.to_owned();
            read(state, life, move |archive, life| {
                archive.segment(life, &name, msn)
            })
            .await
        }
    }
}

async fn part(
    state: &AppState,
    (key, origin): (&StreamKey, Origin),
    (life, name): (&str, &str),
    (msn, part, init): (u64, u32, u32),
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let rendition = rendition(state, key, life, name).ok_or_else(|| not_live(state, key))?;
    if rendition.part(msn, part, init).is_none() && rendition.is_next(msn, part, init) {
        // What the preload hint names is asked for before it exists.
        let wait = rendition.wait(msn, Some(part), state.app.broadcast.counters());
        if let Ok(Held::Full) = tokio::time::timeout(HINT_MAX, wait).await {
            let detail = "too many requests wait for this part; try again in a second";
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(1));
        }
    }
    // When the next part needs another initialisation segment, what was hinted never comes.
    let bytes = rendition.part(msn, part, init);
    let bytes = bytes.ok_or_else(|| gone(state, key))?;
    let place = (msn, Some(part));
    let bytes = sound::complete(state, (key, origin), (life, name), place, bytes).await?;
    Ok(range::respond(
        &bytes,
        content_type(name),
        IMMUTABLE,
        headers,
    ))
}

/// Finds a piece of a file and reads it, far from the threads that answer others: both may wait for the disk.
pub(super) async fn read(
    state: &AppState,
    life: &str,
    find: impl FnOnce(&Archive, &str) -> Option<Location> + Send + 'static,
) -> Result<Option<Bytes>, Problem> {
    let archive = state.app.broadcast.recorder().archive().clone();
    let life = life.to_owned();
    let read = move || {
        let Some(location) = find(&archive, &life) else {
            return Ok(None);
        };
        let place = READING.try_take(location.len);
        let place = place.ok_or(io::ErrorKind::QuotaExceeded)?;
        location.read().map(|bytes| Some(place.fill(bytes)))
    };
    match tokio::task::spawn_blocking(read).await {
        Ok(Ok(bytes)) => Ok(bytes),
        // Deleted between the look-up and the read.
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Ok(Err(error)) if error.kind() == io::ErrorKind::QuotaExceeded => Err(too_much()),
        Ok(Err(error)) => Err(unreadable(&error)),
        Err(_) => Err(unreadable(&"the reader was lost")),
    }
}

pub(super) fn too_much() -> Problem {
    let detail = "too much of recordings is on its way to others; try again in a second";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(1)
}

pub(super) fn unreadable(error: &dyn std::fmt::Display) -> Problem {
    tracing::error!(%error, "a recording cannot be read; look at the disk");
    Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "the recording cannot be read; the server's log says why",
    )
}

fn gone(state: &AppState, key: &StreamKey) -> Problem {
    match state.app.broadcast.published().show(key) {
        Some(_) => Problem::new(
            StatusCode::NOT_FOUND,
            "this is not (or no longer) there; load the playlist again, it names what is",
        ),
        None => not_live(state, key),
    }
}
