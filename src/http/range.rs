//! Ranges of bytes (RFC 9110 section 14): one at a time, which is what players ask for.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

/// A piece of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u64,
    pub(crate) length: u64,
}

/// What a `Range` header asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Everything: no range, or one that cannot be understood, which is to be ignored.
    All,
    /// This.
    Part(Span),
    /// Nothing of it exists.
    Unsatisfiable,
}

/// Reads the header for something of `length` bytes. Several ranges at once are answered with everything.
pub(crate) fn wanted(headers: &HeaderMap, length: u64) -> Wanted {
    let spec = headers
        .get(header::RANGE)
        .and_then(|value| value.to_str().ok()?.strip_prefix("bytes="))
        .filter(|spec| !spec.contains(','));
    let Some((first, last)) = spec.and_then(|spec| spec.trim().split_once('-')) else {
        return Wanted::All;
    };
    let number = |text: &str| text.parse::<u64>().ok();
    let span = match (first, last) {
        ("", last) => match number(last) {
            Some(tail) => {
                let tail = tail.min(length);
                Span {
                    start: length - tail,
                    length: tail,
                }
            }
            None => return Wanted::All,
        },
        (first, last) => {
            let end = if last.is_empty() {
                Some(u64::MAX)
            } else {
                number(last)
            };
            let (Some(start), Some(end)) = (number(first), end) else {
                return Wanted::All;
            };
            if end < start {
                return Wanted::All;
            }
            let end = end.min(length.saturating_sub(1));
            Span {
                start,
                length: (end + 1).saturating_sub(start),
            }
        }
    };
    if span.start >= length || span.length == 0 {
        return Wanted::Unsatisfiable;
    }
    Wanted::Part(span)
}

/// `Content-Range` of a piece.
pub(crate) fn content_range(span: Span, length: u64) -> HeaderValue {
    let text = format!(
        "bytes {}-{}/{length}",
        span.start,
        span.start + span.length - 1
    );
    HeaderValue::try_from(text).expect("digits are ASCII")
}

/// 416.
pub(crate) fn unsatisfiable(length: u64) -> Response {
    let range = HeaderValue::try_from(format!("bytes */{length}")).expect("digits are ASCII");
    (
        StatusCode::RANGE_NOT_SATISFIABLE,
        [(header::CONTENT_RANGE, range)],
    )
        .into_response()
}

/// Answers with bytes from memory, or a piece of them.
pub(crate) fn respond(
    bytes: &Bytes,
    content_type: &'static str,
    cache_control: &'static str,
    headers: &HeaderMap,
) -> Response {
    let length = bytes.len() as u64;
    let mut response = match wanted(headers, length) {
        Wanted::All => bytes.clone().into_response(),
        Wanted::Unsatisfiable => return unsatisfiable(length),
        Wanted::Part(span) => {
            let (start, end) = (span.start as usize, (span.start + span.length) as usize);
            let mut response =
                (StatusCode::PARTIAL_CONTENT, bytes.slice(start..end)).into_response();
            response
                .headers_mut()
                .insert(header::CONTENT_RANGE, content_range(span, length));
            response
        }
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static(cache_control),
    );
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_rfc_says() {
        let check = |value: &'static str, expected: Wanted| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, HeaderValue::from_static(value));
            assert_eq!(wanted(&headers, 100), expected, "{value}");
        };
        let part = |start, length| Wanted::Part(Span { start, length });
        check("bytes=0-9", part(0, 10));
        check("bytes=90-", part(90, 10));
        check("bytes=90-200", part(90, 10));
        check("bytes=-5", part(95, 5));
        check("bytes=-500", part(0, 100));
        check("bytes=100-", Wanted::Unsatisfiable);
        check("bytes=-0", Wanted::Unsatisfiable);
        check("bytes=9-0", Wanted::All);
        check("bytes=0-1,5-6", Wanted::All);
        check("items=0-1", Wanted::All);
        check("bytes=x-1", Wanted::All);
        check(
            "bytes=18446744073709551615-18446744073709551615",
            Wanted::Unsatisfiable,
        );
    }
}
