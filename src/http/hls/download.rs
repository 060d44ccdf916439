//! A finished recording as one MP4 file: made of its fragments while it is sent.

use std::collections::HashMap;
use std::io;
use std::sync::{LazyLock, Mutex, PoisonError};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::Semaphore;

use super::media::{is_of, unreadable};
use super::no_such_file;
use super::room::READING;
use crate::http::AppState;
use crate::http::errors::{self, Problem};
use crate::http::limits::{Origin, Peer};
use crate::http::range::{self, Span, Wanted};
use crate::media::StreamKey;
use crate::recording::{Mp4, READ_MAX};

/// It does not change, but may be deleted.
const KEEP: &str = "private, max-age=3600";

/// Downloads at a time of one household. Each has at most [`READ_MAX`] on its way, and the sample tables of its file, which are
/// shared by all who download the same one.
const DOWNLOADS_MAX: u32 = 8;

/// Who downloads, and how many files.
static DOWNLOADS: LazyLock<Mutex<HashMap<Origin, u32>>> = LazyLock::new(Mutex::default);

/// Sample tables are made for one file at a time.
static PLANNING: Semaphore = Semaphore::const_new(1);

/// The answer to a `GET`, with or without a range.
pub(super) async fn mp4(
    state: &AppState,
    key: &StreamKey,
    life: &str,
    peer: Peer,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    if !is_of(state, key, Some(life)) {
        return Err(no_such_file());
    }
    let turn = Turn::take(peer.client(state, headers).into()).ok_or_else(|| {
        let detail = format!(
            "your address downloads {DOWNLOADS_MAX} recordings already; try again when one of them is complete"
        );
        Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(errors::FULL_RETRY_S)
    })?;
    let plan = plan(state, life).await?;
    let length = plan.content_length();
    let (status, span) = match range::wanted(headers, length) {
        Wanted::All => (StatusCode::OK, Span { start: 0, length }),
        Wanted::Part(span) => (StatusCode::PARTIAL_CONTENT, span),
        Wanted::Unsatisfiable => return Ok(range::unsatisfiable(length)),
    };
    let mut response = (status, body(plan, span, turn)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("video/mp4"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(span.length));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(KEEP));
    let name = format!(
        "attachment; filename=\"{}-{}-{life}.mp4\"",
        key.space, key.stream
    );
    let name = HeaderValue::try_from(name).expect("names are letters, digits, '-', '_' and '.'");
    headers.insert(header::CONTENT_DISPOSITION, name);
    if status == StatusCode::PARTIAL_CONTENT {
        headers.insert(header::CONTENT_RANGE, range::content_range(span, length));
    }
    Ok(response)
}

/// The file, from memory when somebody else has asked for it.
async fn plan(state: &AppState, life: &str) -> Result<Mp4, Problem> {
    let archive = state.app.broadcast.recorder().archive().clone();
    if let Some(plan) = archive.mp4_at_hand(life) {
        return Ok(plan);
    }
    let wanted = life.to_owned();
    // A client that goes away does not make room for the next one before its file is done.
    let permit = PLANNING.acquire().await;
    let plan = tokio::task::spawn_blocking(move || {
        let plan = archive.mp4(&wanted);
        drop(permit);
        plan
    });
    match plan.await {
        Ok(Ok(plan)) => plan.ok_or_else(no_such_file),
        Ok(Err(error)) if error.kind() == io::ErrorKind::FileTooLarge => {
            let detail = format!(
                "recording {life} has {error}, too many for one MP4 file; play or copy its playlist, {life}/index.m3u8"
            );
            Err(Problem::unprocessable(detail))
        }
        Ok(Err(error)) => Err(unreadable(&error)),
        Err(_) => Err(unreadable(&"the reader was lost")),
    }
}

/// One of a household's downloads, until it is dropped.
struct Turn(Origin);

impl Turn {
    fn take(origin: Origin) -> Option<Self> {
        let mut downloads = DOWNLOADS.lock().unwrap_or_else(PoisonError::into_inner);
        let count = downloads.entry(origin).or_default();
        if *count >= DOWNLOADS_MAX {
            return None;
        }
        *count += 1;
        Some(Self(origin))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut downloads = DOWNLOADS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = downloads.get_mut(&self.0) {
            *count -= 1;
            if *count == 0 {
                downloads.remove(&self.0);
            }
        }
    }
}

/// Reads as fast as the client takes it, a piece at a time, and not while others have too much on its way.
fn body(plan: Mp4, span: Span, turn: Turn) -> Body {
    let begin = (plan, span.start, span.start + span.length);
    Body::from_stream(stream::unfold(begin, move |(plan, at, end)| {
        // The turn is over when the body is dropped.
        let _held = &turn;
        read(plan, at, end)
    }))
}

/// What is read, and where to go on.
type Step = (io::Result<Bytes>, (Mp4, u64, u64));

async fn read(plan: Mp4, at: u64, end: u64) -> Option<Step> {
    if at >= end {
        return None;
    }
    let place = READING.take((end - at).min(READ_MAX)).await?;
    let read = tokio::task::spawn_blocking(move || {
        let bytes = plan.read(at..end).map(|bytes| place.fill(bytes));
        (plan, bytes)
    });
    match read.await {
        Ok((plan, Ok(bytes))) if !bytes.is_empty() => {
            let next = at + bytes.len() as u64;
            Some((Ok(bytes), (plan, next, end)))
        }
        Ok((plan, Ok(_))) => Some((Err(io::ErrorKind::UnexpectedEof.into()), (plan, end, end))),
        Ok((plan, Err(error))) => Some((Err(error), (plan, end, end))),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_household_has_a_few_downloads_at_a_time() {
        let origin = Origin::V6(0x2001_0db8_0000_0001);
        let turns: Vec<Turn> = std::iter::from_fn(|| Turn::take(origin)).collect();
        assert_eq!(turns.len(), DOWNLOADS_MAX as usize);
        assert!(
            Turn::take(Origin::V6(0x2001_0db8_0000_0002)).is_some(),
            "another one"
        );
        drop(turns);
        assert!(Turn::take(origin).is_some());
        let downloads = DOWNLOADS.lock().unwrap();
        assert!(!downloads.contains_key(&origin), "nothing is left behind");
    }
}
