//! Which space, stream and session a path means.

use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::StatusCode;
use axum::http::request::Parts;
use uuid::Uuid;
use venue::{NameError, SpaceName, StreamName};

use super::errors::Problem;
use crate::media::StreamKey;

/// `{space}` of a path.
pub(crate) struct Space(pub(crate) SpaceName);

/// `{space}[/{stream}]` of a path; the stream is `main` when it is left out.
pub(crate) struct Stream(pub(crate) StreamKey);

/// `{space}/{stream}/{resource}` of a path.
pub(crate) struct Session {
    pub(crate) key: StreamKey,
    pub(crate) resource: Uuid,
}

impl From<NameError> for Problem {
    /// A reserved word is 404, because something else (or nothing) is there; a name that cannot be is 400.
    fn from(error: NameError) -> Self {
        let status = match error {
            NameError::Reserved(_) => StatusCode::NOT_FOUND,
            _ => StatusCode::BAD_REQUEST,
        };
        Self::new(status, error.to_string())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Space {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = params(parts, state).await?;
        Ok(Self(space(&params)?))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Stream {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = params(parts, state).await?;
        Ok(Self(stream(&params)?))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Session {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = params(parts, state).await?;
        let key = stream(&params)?;
        // What is no UUID was never given out: as unknown as an old one.
        let resource = param(&params, "resource").and_then(|text| Uuid::try_parse(text).ok());
        let resource = resource.ok_or_else(Problem::no_session)?;
        Ok(Self { key, resource })
    }
}

async fn params<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<RawPathParams, Problem> {
    let params = RawPathParams::from_request_parts(parts, state).await;
    params.map_err(|rejection: RawPathParamsRejection| {
        let detail =
            "the path is not UTF-8; use letters a-z and A-Z, digits, '-', '_' or '.' in names";
        Problem::new(rejection.status(), detail)
    })
}

fn param<'a>(params: &'a RawPathParams, name: &str) -> Option<&'a str> {
    params
        .iter()
        .find_map(|(key, value)| (key == name).then_some(value))
}

fn space(params: &RawPathParams) -> Result<SpaceName, Problem> {
    Ok(param(params, "space")
        .unwrap_or_default()
        .parse::<SpaceName>()?)
}

fn stream(params: &RawPathParams) -> Result<StreamKey, Problem> {
    let stream = match param(params, "stream") {
        Some(name) => name.parse::<StreamName>()?,
        None => StreamName::default(),
    };
    Ok(StreamKey {
        space: space(params)?.into(),
        stream: stream.into(),
    })
}
