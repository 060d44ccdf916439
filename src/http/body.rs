//! Reads request bodies: never more than a limit, never for longer than a limit.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use wish::MediaType;

use super::errors::Problem;

/// How long a client may take for a body of at most 64 kB: slower than any modem, and a bound on what slow bodies can hold.
pub(crate) const BODY_TIME_MAX: Duration = Duration::from_secs(10);

/// The type that a body has.
///
/// # Errors
/// 415 with `accept` (a header name and the types that are understood) when there is none, or one in a foreign charset.
pub(crate) fn media_type(
    headers: &HeaderMap,
    accept: (HeaderName, &'static str),
) -> Result<MediaType, Problem> {
    let unsupported = |detail: String| {
        let (name, types) = &accept;
        let detail = format!("{detail}; send Content-Type: {types}");
        Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
            .with(name.clone(), HeaderValue::from_static(types))
    };
    if let Some(encoding) = headers.get(header::CONTENT_ENCODING)
        && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
    {
        let detail = "the body is compressed, which is not understood".to_owned();
        return Err(unsupported(detail).with(
            header::ACCEPT_ENCODING,
            HeaderValue::from_static("identity"),
        ));
    }
    let value = headers
        .get(header::CONTENT_TYPE)
        .ok_or_else(|| unsupported("the request has no Content-Type".to_owned()))?;
    let value = value
        .to_str()
        .map_err(|_| unsupported("the Content-Type is not ASCII".to_owned()))?;
    MediaType::parse(value).map_err(|error| unsupported(error.to_string()))
}

/// 415 for a type that is readable but not understood here.
pub(crate) fn unsupported(found: &MediaType, accept: (HeaderName, &'static str)) -> Problem {
    let (name, types) = accept;
    let detail =
        format!("a body of type {found} is not understood here; send Content-Type: {types}");
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
        .with(name, HeaderValue::from_static(types))
}

/// What is taken past a limit and thrown away, and for how long: closing on a client that still writes would take the refusal
/// from it.
const LINGER_BYTES_MAX: usize = 1 << 20;
const LINGER_TIME_MAX: Duration = Duration::from_secs(1);

/// Reads a whole body of at most `length_max` bytes.
///
/// # Errors
/// 413 when it is longer, 408 when it takes longer than [`BODY_TIME_MAX`], 400 when it breaks off.
pub(crate) async fn read(
    headers: &HeaderMap,
    mut body: Body,
    length_max: usize,
) -> Result<Bytes, Problem> {
    let too_large = || {
        let detail = format!("the body is longer than {length_max} bytes");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail).closing()
    };
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > length_max) {
        linger(body).await;
        return Err(too_large());
    }
    let read = Limited::new(&mut body, length_max).collect();
    match tokio::time::timeout(BODY_TIME_MAX, read).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            linger(body).await;
            Err(too_large())
        }
        Ok(Err(_)) => Err(Problem::new(StatusCode::BAD_REQUEST, "the body broke off").closing()),
        Err(_) => {
            let detail = format!("the body did not come within {} s", BODY_TIME_MAX.as_secs());
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, detail).closing())
        }
    }
}

async fn linger(mut body: Body) {
    let rest = async {
        let mut taken = 0;
        while let Some(Ok(frame)) = body.frame().await {
            taken += frame.data_ref().map_or(0, Bytes::len);
            if taken > LINGER_BYTES_MAX {
                break;
            }
        }
    };
    // Whoever takes longer loses the words, as everybody did.
    let _ = tokio::time::timeout(LINGER_TIME_MAX, rest).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    const ACCEPT: (HeaderName, &str) = (
        HeaderName::from_static("accept-post"),
        wish::media_type::SDP,
    );

    #[test]
    fn a_missing_foreign_or_compressed_type_is_415_with_what_is_understood() {
        for headers in [
            HeaderMap::new(),
            headers(header::CONTENT_TYPE, "sdp"),
            headers(header::CONTENT_TYPE, "application/sdp; charset=utf-16"),
            headers(header::CONTENT_ENCODING, "gzip"),
        ] {
            let problem = media_type(&headers, ACCEPT).unwrap_err();
            assert_eq!(
                problem.status(),
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "{headers:?}"
            );
            assert!(
                problem
                    .detail()
                    .ends_with("send Content-Type: application/sdp")
            );
        }
    }

    #[tokio::test]
    async fn a_body_at_the_limit_is_read_and_one_byte_more_is_413() {
        let read_length = async |length: usize, length_max: usize| {
            read(
                &HeaderMap::new(),
                Body::from(vec![b'x'; length]),
                length_max,
            )
            .await
        };
        assert_eq!(read_length(8, 8).await.unwrap().len(), 8);
        assert_eq!(
            read_length(9, 8).await.unwrap_err().status(),
            StatusCode::PAYLOAD_TOO_LARGE
        );
        let announced = headers(header::CONTENT_LENGTH, "9");
        let refused = read(&announced, Body::empty(), 8).await.unwrap_err();
        assert_eq!(refused.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_comes_is_408() {
        let never = futures_util::stream::pending::<Result<Bytes, std::io::Error>>();
        let refused = read(&HeaderMap::new(), Body::from_stream(never), 8)
            .await
            .unwrap_err();
        assert_eq!(refused.status(), StatusCode::REQUEST_TIMEOUT);
    }
}
