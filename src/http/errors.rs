//! Refusals: a status, and one sentence that names the thing, the value and the next step, as a problem document (RFC 9457).

use std::borrow::Cow;

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::media::Refused;

/// Seconds after which a viewer may ask again for a stream that is not live: as long as a page polls.
pub(crate) const NOT_LIVE_RETRY_S: u32 = 3;
/// Seconds after which a publisher may try again to get a stream that another one has: what the server takes to notice a dead one.
pub(crate) const TAKEN_RETRY_S: u32 = 10;
/// Seconds after which a full server may have room.
pub(crate) const FULL_RETRY_S: u32 = 10;
/// Seconds after which a server that stops is back, if it is restarted.
pub(crate) const STOPPING_RETRY_S: u32 = 5;

/// An answer that is no success.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    detail: Cow<'static, str>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// The sentence of a [`Problem`], left in the response for those who want it in another form.
#[derive(Debug, Clone)]
pub(crate) struct Detail(pub(crate) Cow<'static, str>);

/// RFC 9457 section 3.1. `type` is `about:blank`: the status says what kind of problem it is.
#[derive(Serialize)]
struct Document<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            detail: detail.into(),
            headers: Vec::new(),
        }
    }

    pub(crate) fn bad_request(error: &impl std::error::Error) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error.to_string())
    }

    pub(crate) fn unprocessable(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }

    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(crate) fn retry_after(self, seconds: u32) -> Self {
        self.with(header::RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// The connection is no use any more: part of a request was left unread.
    pub(crate) fn closing(self) -> Self {
        self.with(header::CONNECTION, HeaderValue::from_static("close"))
    }

    #[cfg(test)]
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    #[cfg(test)]
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// 404 for a session that is over or never was.
    pub(crate) fn no_session() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "there is no such session (any more); begin a new one with POST",
        )
    }

    /// 410 for a publisher whose stream another one has now.
    pub(crate) fn replaced() -> Self {
        Self::new(
            StatusCode::GONE,
            "another publisher has taken this stream over; stop here, or publish again to take it back",
        )
    }

    /// 503 while the server stops.
    pub(crate) fn stopping() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the server is stopping; try again in some seconds",
        )
        .retry_after(STOPPING_RETRY_S)
    }

    /// 503 when a media thread does not answer.
    pub(crate) fn no_reply() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the server is too busy to answer in time; try again in some seconds",
        )
        .retry_after(FULL_RETRY_S)
    }
}

impl From<Refused> for Problem {
    /// What WHIP says; WHEP treats [`Refused::NotAcceptable`] itself.
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::NothingLive => Self::new(
                StatusCode::CONFLICT,
                "nothing is live here yet; try again after Retry-After, or follow /api/spaces/{space}/events",
            )
            .retry_after(NOT_LIVE_RETRY_S),
            Refused::Taken => Self::new(
                StatusCode::CONFLICT,
                "somebody else publishes this stream; choose another stream name, or publish with the bearer token of the first one to take over",
            )
            .retry_after(TAKEN_RETRY_S),
            Refused::NotAcceptable(why) => {
                Self::unprocessable(format!("the SDP cannot be accepted: {}", readable(&why)))
            }
            Refused::Malformed(why) => Self::new(
                StatusCode::BAD_REQUEST,
                format!("the SDP cannot be read: {}", readable(&why)),
            ),
            Refused::UnknownResource => Self::no_session(),
            Refused::Full(what) => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                format!("the server is full ({what}); try again later"),
            )
            .retry_after(FULL_RETRY_S),
            Refused::Stopping => Self::stopping(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let document = Document {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
        };
        let mut response = (self.status, Json(document)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.extend(self.headers);
        response.extensions_mut().insert(Detail(self.detail));
        response
    }
}

/// 405; the router adds `Allow`.
pub(crate) async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    let detail = format!(
        "{} cannot be done to {}; see the Allow header",
        short(method.as_str()),
        short(uri.path())
    );
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
}

/// 404 for a path that is no resource; a path with one slash too many is sent on to the one without it.
pub(crate) async fn not_found(request: Request) -> Response {
    let path = request.uri().path();
    if let Some(location) = without_last_slash(request.uri()) {
        return (
            StatusCode::TEMPORARY_REDIRECT,
            [(header::LOCATION, location)],
        )
            .into_response();
    }
    let detail = format!(
        "there is nothing at {}; a space is at /NAME, its stage door at /NAME/perform, WHIP at /whip/NAME, WHEP at /whep/NAME",
        short(path)
    );
    Problem::new(StatusCode::NOT_FOUND, detail).into_response()
}

/// `/demo/?x` -> `/demo?x`. Only for ordinary paths: `//host/` would lead away from this server.
fn without_last_slash(uri: &Uri) -> Option<HeaderValue> {
    let path = uri
        .path()
        .strip_suffix('/')
        .filter(|path| !path.is_empty())?;
    if path.contains("//") || path.ends_with('/') || path.contains('\\') {
        return None;
    }
    let query = uri
        .query()
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    HeaderValue::try_from(format!("{path}{query}")).ok()
}

/// A parser's message as one line. Its first line says where in our memory it failed: not for others.
fn readable(why: &str) -> String {
    let lines = why
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.contains("PointerOffset"));
    let text = lines.collect::<Vec<_>>().join("; ");
    if text.is_empty() {
        "a line of it is wrong".to_owned()
    } else {
        short(&text)
    }
}

/// A foreign text as an error message may repeat it.
pub(crate) fn short(text: &str) -> String {
    const QUOTE_MAX: usize = 160;
    let mut short: String = text
        .chars()
        .take(QUOTE_MAX)
        .flat_map(char::escape_default)
        .collect();
    if text.chars().nth(QUOTE_MAX).is_some() {
        short.push_str("...");
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slash_too_many_is_taken_away_but_never_leads_to_another_host() {
        let check = |uri: &str, expected: Option<&str>| {
            let found = without_last_slash(&uri.parse().unwrap());
            assert_eq!(
                found.as_ref().map(|value| value.to_str().unwrap()),
                expected,
                "{uri}"
            );
        };
        check("/demo/", Some("/demo"));
        check("/whip/demo/?x=1", Some("/whip/demo?x=1"));
        check("/", None);
        check("/demo", None);
        check("//evil.example/", None);
        check("/demo//", None);
        check("///", None);
    }

    #[test]
    fn a_parsers_message_loses_its_memory_address_and_its_line_breaks() {
        let why =
            "SDP parse: Parse error at PointerOffset(0x7f54)\nMedia is missing a=mid: audio\n";
        assert_eq!(readable(why), "Media is missing a=mid: audio");
        assert_eq!(
            readable("Parse error at PointerOffset(0x7f54)"),
            "a line of it is wrong"
        );
        assert_eq!(readable("plain"), "plain");
    }

    #[test]
    fn a_refusal_repeats_only_the_start_of_a_long_path() {
        assert_eq!(short(&"x".repeat(500)).len(), 163);
        assert_eq!(short("/\u{202e}"), "/\\u{202e}");
    }
}
