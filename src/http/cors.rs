//! Pages of other sites may publish, view and ask: nothing here depends on cookies, so every origin is allowed.

use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Seconds for which a browser need not ask again before a request; the most that Chromium keeps.
const PREFLIGHT_AGE_S: u32 = 7200;

/// Adds to every answer, also to refusals, what lets scripts of other origins read it.
pub(crate) async fn allow_every_origin(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        HeaderValue::from_static("*"),
    );
    headers.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static(
            "Location, ETag, Link, Retry-After, Accept-Patch, Accept-Post, WWW-Authenticate, Content-Range",
        ),
    );
    response
}

/// Middleware: as [`allow_every_origin`], in the way of the elektron server: it repeats the origin that asks.
pub(crate) async fn echo_origin(request: Request, next: Next) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let mut response = allow_every_origin(next.run(request).await).await;
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
    response
}

/// The answer to `OPTIONS`: 200 (RFC 9725 section 4.2), which methods and headers are allowed, and `more`.
pub(crate) fn preflight(
    methods: &'static str,
    more: &[(header::HeaderName, &'static str)],
) -> Response {
    let mut response = StatusCode::OK.into_response();
    let headers = response.headers_mut();
    headers.insert(header::ALLOW, HeaderValue::from_static(methods));
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static(methods),
    );
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("Authorization, Content-Type, If-Match"),
    );
    headers.insert(
        header::ACCESS_CONTROL_MAX_AGE,
        HeaderValue::from(PREFLIGHT_AGE_S),
    );
    for (name, value) in more {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Nothing that is served may be taken for another type than it says.
pub(crate) async fn never_guess_types(mut response: Response) -> Response {
    response.headers_mut().insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}
