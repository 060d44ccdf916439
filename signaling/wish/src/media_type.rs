//! `Content-Type` values, read as leniently as real clients need.

use std::fmt;

/// An SDP offer or answer, RFC 8866.
pub const SDP: &str = "application/sdp";
/// ICE candidates and credentials, RFC 8840 section 9.
pub const SDPFRAG: &str = "application/trickle-ice-sdpfrag";

/// Why a `Content-Type` is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MediaTypeError {
    /// It is not `type/subtype` with parameters.
    #[error("{0:?} is not a media type")]
    Malformed(String),
    /// SDP is UTF-8 (RFC 8866 section 5).
    #[error("the charset {0:?} cannot be read; send UTF-8")]
    Charset(String),
}

/// What a body says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaType {
    essence: String,
}

impl MediaType {
    /// Reads a header value. Case and white space do not matter and parameters other than `charset` are ignored, so
    /// `Application/SDP ; charset=UTF-8` is SDP.
    ///
    /// # Errors
    /// A value that is not `type/subtype`, or a charset other than UTF-8 or US-ASCII.
    pub fn parse(value: &str) -> Result<Self, MediaTypeError> {
        let mut parts = value.split(';');
        let essence = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
        let well_formed = essence
            .split_once('/')
            .is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype));
        if !well_formed {
            return Err(MediaTypeError::Malformed(crate::text::excerpt(value)));
        }
        for parameter in parts {
            let Some((name, charset)) = parameter.split_once('=') else {
                continue;
            };
            let charset = charset.trim().trim_matches('"').to_ascii_lowercase();
            if name.trim().eq_ignore_ascii_case("charset")
                && !matches!(charset.as_str(), "utf-8" | "utf8" | "us-ascii")
            {
                return Err(MediaTypeError::Charset(crate::text::excerpt(&charset)));
            }
        }
        Ok(Self { essence })
    }

    /// Whether it is this type, given in lower case such as [`SDP`].
    pub fn is(&self, essence: &str) -> bool {
        self.essence == essence
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.essence)
    }
}

fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_space_and_parameters_do_not_matter() {
        for value in [
            "application/sdp",
            "Application/SDP",
            "  application/sdp ; charset=utf-8",
            "application/sdp;charset=\"UTF-8\"",
            "application/sdp; valid-until=\"x\"",
            "application/sdp;",
        ] {
            assert!(MediaType::parse(value).unwrap().is(SDP), "{value}");
        }
    }

    #[test]
    fn other_types_are_told_apart() {
        for value in [
            "text/plain",
            "application/sdpx",
            "application/sdp+json",
            "x/application/sdp",
        ] {
            let is_sdp = MediaType::parse(value).is_ok_and(|kind| kind.is(SDP));
            assert!(!is_sdp, "{value}");
        }
    }

    #[test]
    fn nonsense_and_foreign_charsets_are_errors() {
        for value in ["", "sdp", "/", "application/", "application sdp", "a/b/c"] {
            assert!(MediaType::parse(value).is_err(), "{value}");
        }
        assert_eq!(
            MediaType::parse("application/sdp; charset=utf-16"),
            Err(MediaTypeError::Charset("utf-16".into()))
        );
    }
}
