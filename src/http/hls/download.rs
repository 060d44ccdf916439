//! A finished recording as one MP4 file: made of its fragments while it is sent.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;

use super::media::unreadable;
use super::no_such_file;
use super::room::READING;
use crate::http::AppState;
use crate::http::errors::Problem;
use crate::http::range::{self, Span, Wanted};
use crate::media::StreamKey;
use crate::recording::Mp4;

/// It does not change, but may be deleted.
const KEEP: &str = "private, max-age=3600";

/// About what is read at a time: a segment of 4 Mbit/s.
const PIECE: u64 = 1 << 20;

/// The answer to a `GET`, with or without a range.
pub(super) async fn mp4(
    state: &AppState,
    key: &StreamKey,
    life: &str,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let archive = state.app.broadcast.recorder().archive().clone();
    let wanted = life.to_owned();
    let plan = tokio::task::spawn_blocking(move || archive.mp4(&wanted)).await;
    let plan = match plan {
        Ok(Ok(plan)) => plan.ok_or_else(no_such_file)?,
        Ok(Err(error)) => return Err(unreadable(&error)),
        Err(_) => return Err(unreadable(&"the reader was lost")),
    };
    let length = plan.content_length();
    let (status, span) = match range::wanted(headers, length) {
        Wanted::All => (StatusCode::OK, Span { start: 0, length }),
        Wanted::Part(span) => (StatusCode::PARTIAL_CONTENT, span),
        Wanted::Unsatisfiable => return Ok(range::unsatisfiable(length)),
    };
    let mut response = (status, body(plan, span)).into_response();
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

/// Reads as fast as the client takes it, a segment at a time, and not while others have too much on its way.
fn body(plan: Mp4, span: Span) -> Body {
    let begin = (plan, span.start, span.start + span.length);
    Body::from_stream(stream::unfold(begin, |(plan, at, end)| async move {
        if at >= end {
            return None;
        }
        let place = READING.take((end - at).min(PIECE)).await?;
        let read = tokio::task::spawn_blocking(move || {
            let bytes = plan.read(at..end).map(|bytes| place.fill(bytes));
            (plan, bytes)
        });
        match read.await {
            Ok((plan, Ok(bytes))) if !bytes.is_empty() => {
                let next = at + bytes.len() as u64;
                Some((Ok::<Bytes, std::io::Error>(bytes), (plan, next, end)))
            }
            Ok((plan, Ok(_))) => Some((
                Err(std::io::ErrorKind::UnexpectedEof.into()),
                (plan, end, end),
            )),
            Ok((plan, Err(error))) => Some((Err(error), (plan, end, end))),
            Err(_) => None,
        }
    }))
}
