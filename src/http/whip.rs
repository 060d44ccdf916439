//! WHIP, RFC 9725: a performer publishes at `/whip/{space}[/{stream}]`.

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::{get, post};
use signaling::media_type::SDP;

use super::AppState;
use super::cors::preflight;
use super::errors::{self, Problem};
use super::offer::{self, ACCEPT_POST, Sdp, Telling};
use super::place::Stream;
use super::resource;
use super::sessions::Facts;
use crate::auth::Access;
use crate::media::TakeOver;

const PROTOCOL: &str = "whip";
/// What is forwarded, as a refusal lists it.
const KNOWN_CODECS: [sfu::CodecKind; 7] = {
    use sfu::CodecKind::{Av1, H264, Opus, Pcma, Pcmu, Vp8, Vp9};
    [H264, Vp8, Vp9, Av1, Opus, Pcmu, Pcma]
};
const METHODS: &str = "OPTIONS, GET, HEAD, POST";

pub(crate) fn routes() -> Router<AppState> {
    let endpoint = || post(publish).merge(get(look).options(options));
    Router::new()
        .route("/whip/{space}", endpoint())
        .route("/whip/{space}/{stream}", endpoint())
        .route(
            "/whip/{space}/{stream}/{resource}",
            resource::routes(sfu::Role::Publisher),
        )
        .method_not_allowed_fallback(errors::method_not_allowed)
}

/// Section 4.2: without authentication, whatever the name.
async fn options() -> Response {
    preflight(METHODS, &[(ACCEPT_POST, SDP)])
}

/// Section 4.1: an endpoint has no representation, so `GET` and `HEAD` succeed with nothing.
async fn look(_: Stream) -> StatusCode {
    StatusCode::NO_CONTENT
}

async fn publish(
    State(state): State<AppState>,
    Stream(key): Stream,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    if state.app.shutdown.has_begun() {
        return Err(Problem::stopping());
    }
    let bearer = bearer(&headers)?;
    let right = match state.app.keys.check(&key.space, bearer) {
        Access::Granted => TakeOver::Always,
        Access::Open { owner: Some(owner) } => TakeOver::SameOwner(owner),
        Access::Open { owner: None } => TakeOver::OnlyIfSilent,
        Access::Denied => return Err(unauthorized(&key.space, bearer.is_some())),
    };
    let offer = Sdp::read_offer(&headers, body).await?;
    let summary = offer.summary();
    summary
        .check_publisher(&KNOWN_CODECS.map(sfu::CodecKind::name))
        .map_err(|error| Problem::unprocessable(error.to_string()))?;
    let facts = Facts {
        remote_ufrag: Some(summary.ufrag.to_owned()),
        ..Facts::default()
    };
    let media = state.app.media.clone();
    let (wanted, text) = (key.clone(), offer.text().to_owned());
    let request = async move { media.publish(wanted, text, right).await };
    let begun = offer::begin(&state.app.media, request).await??;
    begun.check_complete(&offer.summary())?;
    let telling = Telling {
        protocol: PROTOCOL,
        key: &key,
        status: StatusCode::CREATED,
        content_type: HeaderValue::from_static(SDP),
        facts,
    };
    let (_, response) = offer::tell(&state, begun, telling)?;
    Ok(response)
}

/// The token of `Authorization: Bearer TOKEN` (RFC 6750 section 2.1). Other schemes count as no token.
///
/// # Errors
/// 400 for a header that is no text.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Ok(None);
    };
    let value = value.to_str().map_err(|_| {
        let detail = "the Authorization header has characters outside ASCII; send Bearer and the key of the space";
        Problem::new(StatusCode::BAD_REQUEST, detail)
    })?;
    let Some((scheme, token)) = value.trim().split_once(' ') else {
        return Ok(None);
    };
    let token = token.trim();
    Ok((scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token))
}

fn unauthorized(space: &str, presented: bool) -> Problem {
    let detail = if presented {
        format!("this is not the key of space {space}; ask whoever runs the server for it")
    } else {
        format!("space {space} has a key; send it as Authorization: Bearer KEY")
    };
    // RFC 6750 section 3: no error code when nothing was presented.
    let challenge = match presented {
        true => format!("Bearer realm=\"{space}\", error=\"invalid_token\""),
        false => format!("Bearer realm=\"{space}\""),
    };
    let challenge =
        HeaderValue::try_from(challenge).expect("names are printable ASCII without quotes");
    Problem::new(StatusCode::UNAUTHORIZED, detail).with(header::WWW_AUTHENTICATE, challenge)
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;

    use super::*;

    #[test]
    fn a_bearer_token_is_found_whatever_the_case_of_its_scheme() {
        let check = |value: &str, expected: Option<&str>| {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())]);
            assert_eq!(bearer(&headers).unwrap(), expected, "{value}");
        };
        check("Bearer abc", Some("abc"));
        check("bearer  abc ", Some("abc"));
        check("BEARER abc", Some("abc"));
        check("Bearer", None);
        check("Bearer ", None);
        check("Basic abc", None);
        check("abc", None);
        assert_eq!(bearer(&HeaderMap::new()).unwrap(), None);
    }

    #[test]
    fn the_challenge_says_whether_a_key_was_presented() {
        for (presented, expected) in [
            (false, "Bearer realm=\"stage\""),
            (true, "Bearer realm=\"stage\", error=\"invalid_token\""),
        ] {
            let response = unauthorized("stage", presented).into_response();
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
            assert_eq!(response.headers()[header::WWW_AUTHENTICATE], expected);
        }
    }
}
