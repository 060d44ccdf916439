//! Bodies and answers in JSON, for the few resources that take it.

use axum::Json;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::errors::{Problem, short};
use super::{body, offer::ACCEPT_POST};

const JSON: &str = "application/json";
const ACCEPT: (HeaderName, &str) = (ACCEPT_POST, JSON);

/// The longest body in bytes: names of 64 characters, escaped in full, five times over.
pub(crate) const JSON_MAX: usize = 4096;

/// Reads a body of at most [`JSON_MAX`] bytes.
///
/// # Errors
/// 415 for another type, 413 for a longer body, 408 for a slow one, 400 for one that is no JSON, 422 for JSON that says
/// something else than `T`.
pub(crate) async fn read<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: Body,
) -> Result<T, Problem> {
    let kind = body::media_type(headers, ACCEPT)?;
    if !kind.is(JSON) {
        return Err(body::unsupported(&kind, ACCEPT));
    }
    let bytes = body::read(headers, body, JSON_MAX).await?;
    serde_json::from_slice(&bytes).map_err(|error| {
        let why = short(&error.to_string());
        if error.is_data() {
            Problem::unprocessable(format!("the body cannot be used: {why}"))
        } else {
            let detail = format!("the body is no JSON: {why}");
            Problem::new(StatusCode::BAD_REQUEST, detail)
        }
    })
}

/// 200 with what nobody may keep: it holds a token, or is soon another.
pub(crate) fn answer(value: &impl Serialize) -> Response {
    let headers = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    (headers, Json(value)).into_response()
}
