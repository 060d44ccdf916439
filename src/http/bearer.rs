//! `Authorization`: who presents what, and the answer to those who present the wrong thing.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use data_encoding::BASE64;

use super::errors::Problem;
use crate::auth::BEARER_MAX;

/// The token of `Authorization: Bearer TOKEN` (RFC 6750 section 2.1). Other schemes count as no token.
///
/// # Errors
/// 400 for a header that is no text.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let token = scheme(headers)?.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    Ok(token.map(|(_, token)| token))
}

/// The token of `Bearer TOKEN`, or the password of `Basic` (RFC 7617), whatever its user name. One that is longer than
/// any that is looked at, or no text, counts as none.
///
/// # Errors
/// 400 for a header that is no text.
pub(crate) fn bearer_or_password(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some((scheme, value)) = scheme(headers)? else {
        return Ok(None);
    };
    if scheme.eq_ignore_ascii_case("bearer") {
        return Ok(Some(value.to_owned()));
    }
    if !scheme.eq_ignore_ascii_case("basic") || value.len() > 2 * BEARER_MAX {
        return Ok(None);
    }
    let decoded = BASE64.decode(value.as_bytes()).ok();
    let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    let password = text.and_then(|text| Some(text.split_once(':')?.1.to_owned()));
    Ok(password.filter(|password| !password.is_empty()))
}

/// Scheme and what follows it, neither of them empty.
fn scheme(headers: &HeaderMap) -> Result<Option<(&str, &str)>, Problem> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Ok(None);
    };
    let value = value.to_str().map_err(|_| {
        let detail = "the Authorization header has characters outside ASCII; send Bearer and the key or secret";
        Problem::new(StatusCode::BAD_REQUEST, detail)
    })?;
    let Some((scheme, token)) = value.trim().split_once(' ') else {
        return Ok(None);
    };
    let token = token.trim();
    Ok((!token.is_empty()).then_some((scheme, token)))
}

/// 401 with a challenge for `realm`, a name of printable ASCII without quotes.
pub(crate) fn unauthorized(realm: &str, presented: bool, detail: String) -> Problem {
    // RFC 6750 section 3: no error code when nothing was presented.
    let challenge = match presented {
        true => format!("Bearer realm=\"{realm}\", error=\"invalid_token\""),
        false => format!("Bearer realm=\"{realm}\""),
    };
    let challenge =
        HeaderValue::try_from(challenge).expect("names are printable ASCII without quotes");
    Problem::new(StatusCode::UNAUTHORIZED, detail).with(header::WWW_AUTHENTICATE, challenge)
}

/// 401 of a space with a key.
pub(crate) fn not_the_key(space: &str, presented: bool) -> Problem {
    let detail = if presented {
        format!(
            "this is not the key of space {space}, and no token for it that is good now; ask whoever runs the server"
        )
    } else {
        format!("space {space} has a key; send it as Authorization: Bearer KEY")
    };
    unauthorized(space, presented, detail)
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;

    use super::*;

    fn headers(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())])
    }

    #[test]
    fn a_bearer_token_is_found_whatever_the_case_of_its_scheme() {
        let check = |value: &str, expected: Option<&str>| {
            assert_eq!(bearer(&headers(value)).unwrap(), expected, "{value}");
            let either = bearer_or_password(&headers(value)).unwrap();
            assert_eq!(either.as_deref(), expected, "{value}");
        };
        check("Bearer abc", Some("abc"));
        check("bearer  abc ", Some("abc"));
        check("BEARER abc", Some("abc"));
        check("Bearer", None);
        check("Bearer ", None);
        check("Digest abc", None);
        check("abc", None);
        assert_eq!(bearer(&HeaderMap::new()).unwrap(), None);
    }

    #[test]
    fn a_password_is_found_behind_any_user_name() {
        let check = |plain: &str, expected: Option<&str>| {
            let value = format!("Basic {}", BASE64.encode(plain.as_bytes()));
            let found = bearer_or_password(&headers(&value)).unwrap();
            assert_eq!(found.as_deref(), expected, "{plain}");
            assert_eq!(bearer(&headers(&value)).unwrap(), None);
        };
        check("OPENVIDUAPP:secret", Some("secret"));
        check(":with:colons", Some("with:colons"));
        check("nobody", None);
        check("nobody:", None);
        check(&format!("a:{}", "s".repeat(3000)), None);
        for nonsense in ["Basic ====", "Basic not-base64", "Basic /w=="] {
            let found = bearer_or_password(&headers(nonsense)).unwrap();
            assert_eq!(found, None, "{nonsense}");
        }
    }

    #[test]
    fn the_challenge_says_whether_a_key_was_presented() {
        for (presented, expected) in [
            (false, "Bearer realm=\"stage\""),
            (true, "Bearer realm=\"stage\", error=\"invalid_token\""),
        ] {
            let response = not_the_key("stage", presented).into_response();
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
            assert_eq!(response.headers()[header::WWW_AUTHENTICATE], expected);
        }
    }
}
