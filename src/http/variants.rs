//! Texts that exist plain and compressed: which one, under which entity tag, and when none has to be sent.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use wish::{EntityTag, IfMatch};

/// One text. `gzip` is only called when the client takes it.
pub(crate) struct Text<'a, G: FnOnce() -> Option<&'a Bytes>> {
    pub(crate) plain: &'a Bytes,
    pub(crate) gzip: G,
    /// Strong, without quotes.
    pub(crate) etag: &'a str,
    pub(crate) content_type: &'static str,
    pub(crate) cache_control: &'static str,
}

impl<'a, G: FnOnce() -> Option<&'a Bytes>> Text<'a, G> {
    /// The answer to a `GET` with these headers: 200, or 304 when the client has it.
    pub(crate) fn respond(self, request: &HeaderMap) -> Response {
        let gzip = if accepts_gzip(request) {
            (self.gzip)()
        } else {
            None
        };
        // Another representation needs another strong tag, RFC 9110 section 8.8.3.3.
        let etag = match gzip {
            Some(_) => format!("{}-gz", self.etag),
            None => self.etag.to_owned(),
        };
        let is_known = has(request, &etag);
        let mut response = if is_known {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            gzip.unwrap_or(self.plain).clone().into_response()
        };
        let headers = response.headers_mut();
        let tag = HeaderValue::try_from(EntityTag::strong(&etag).to_string())
            .expect("hexadecimal digits are ASCII");
        headers.insert(header::ETAG, tag);
        headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
        headers.insert(
            header::CACHE_CONTROL,
            HeaderValue::from_static(self.cache_control),
        );
        if is_known {
            headers.remove(header::CONTENT_TYPE);
            return response;
        }
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static(self.content_type),
        );
        if gzip.is_some() {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }
}

/// Whether the client says that it has what this tag names.
pub(crate) fn has(request: &HeaderMap, etag: &str) -> bool {
    request
        .get(header::IF_NONE_MATCH)
        .and_then(|value| IfMatch::parse(value.to_str().ok()?).ok())
        .is_some_and(|tags| tags.matches_weakly(etag))
}

/// Whether `Accept-Encoding` names gzip without forbidding it by `q=0`.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let lines = headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let is_gzip = parts
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let is_forbidden = parts.any(|part| {
            let weight = part.strip_prefix("q=").or_else(|| part.strip_prefix("Q="));
            weight.and_then(|weight| weight.parse::<f32>().ok()) == Some(0.0)
        });
        is_gzip && !is_forbidden
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_used_only_when_it_is_asked_for() {
        for (value, expected) in [
            ("gzip", true),
            ("br, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("gzip; q=0.0, br", false),
            ("br", false),
            ("*", false),
            ("xgzip", false),
        ] {
            assert_eq!(
                accepts_gzip(&HeaderMap::from_iter([(
                    header::ACCEPT_ENCODING,
                    HeaderValue::from_static(value)
                )])),
                expected,
                "{value}"
            );
        }
    }
}
