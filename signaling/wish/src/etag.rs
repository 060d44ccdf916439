//! Entity tags and `If-Match`, RFC 9110 sections 8.8.3 and 13.1.1, as RFC 9725 section 4.3.1 uses them: a tag names one ICE session.

use std::fmt;

/// Tags read from one header; a client has only the last one or two of its session.
pub const TAGS_MAX: usize = 16;
/// Longest header value that is read, in bytes.
pub const HEADER_MAX: usize = 1024;

/// One entity tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityTag {
    /// Without quotes.
    pub value: String,
    /// `W/"..."`. A weak tag never matches in `If-Match`.
    pub weak: bool,
}

impl EntityTag {
    /// A strong tag. `value` must be printable ASCII without `"`; other characters are left out, as no header can carry them.
    pub fn strong(value: &str) -> Self {
        Self {
            value: value.chars().filter(|c| is_tag_character(*c)).collect(),
            weak: false,
        }
    }
}

impl fmt::Display for EntityTag {
    /// As in an `ETag` header, quoted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = if self.weak { "W/" } else { "" };
        write!(f, "{prefix}\"{}\"", self.value)
    }
}

/// Why an `If-Match` cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IfMatchError {
    /// Nothing in it.
    #[error("If-Match is empty; send the ETag of the session in quotes, or * for an ICE restart")]
    Empty,
    /// Longer than [`HEADER_MAX`] or more than [`TAGS_MAX`] tags.
    #[error(
        "If-Match is longer than {HEADER_MAX} bytes or {TAGS_MAX} tags; send only the last ETag of the session"
    )]
    TooLong,
    /// Not a list of tags.
    #[error(
        "If-Match cannot be read at {0:?}; send the ETag of the session in quotes, or * for an ICE restart"
    )]
    Malformed(String),
}

/// An `If-Match` (or `If-None-Match`) header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IfMatch {
    /// `*`: whatever the tag is. With new credentials it asks for an ICE restart.
    Any,
    /// One of these.
    Tags(Vec<EntityTag>),
}

impl IfMatch {
    /// Reads a header value. `"*"` in quotes means `*`, as the examples of RFC 9725 have it so and clients copied them;
    /// a single tag without quotes is taken as it is.
    ///
    /// # Errors
    /// An empty, oversize or unreadable value.
    pub fn parse(header: &str) -> Result<Self, IfMatchError> {
        let header = header.trim();
        if header.len() > HEADER_MAX {
            return Err(IfMatchError::TooLong);
        }
        match header {
            "" => return Err(IfMatchError::Empty),
            "*" | "\"*\"" => return Ok(Self::Any),
            _ => {}
        }
        if !header.contains(['"', ',']) && header.chars().all(is_tag_character) {
            return Ok(Self::Tags(vec![EntityTag::strong(header)]));
        }
        let mut tags = Vec::new();
        let mut rest = header;
        while !rest.is_empty() {
            let malformed = || IfMatchError::Malformed(crate::text::excerpt(rest));
            let unprefixed = rest.strip_prefix("W/");
            let quoted = unprefixed.unwrap_or(rest);
            let (value, after) = quoted
                .strip_prefix('"')
                .and_then(|inner| inner.split_once('"'))
                .ok_or_else(malformed)?;
            if !value.chars().all(is_tag_character) {
                return Err(malformed());
            }
            if tags.len() == TAGS_MAX {
                return Err(IfMatchError::TooLong);
            }
            tags.push(EntityTag {
                value: value.to_owned(),
                weak: unprefixed.is_some(),
            });
            let after = after.trim_start();
            rest = match after.strip_prefix(',') {
                Some(next) => next.trim_start_matches([' ', '\t', ',']),
                None if after.is_empty() => after,
                None => return Err(IfMatchError::Malformed(crate::text::excerpt(after))),
            };
        }
        Ok(Self::Tags(tags))
    }

    /// Strong comparison, for `If-Match`: `current` is the tag without quotes.
    pub fn matches(&self, current: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Tags(tags) => tags.iter().any(|tag| !tag.weak && tag.value == current),
        }
    }

    /// Weak comparison, for `If-None-Match` on files.
    pub fn matches_weakly(&self, current: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Tags(tags) => tags.iter().any(|tag| tag.value == current),
        }
    }
}

/// `etagc` of RFC 9110 without obs-text, and without the space that it never had.
fn is_tag_character(character: char) -> bool {
    character.is_ascii_graphic() && character != '"'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_matches_anything_even_in_quotes() {
        for header in ["*", " * ", "\"*\""] {
            let parsed = IfMatch::parse(header).unwrap();
            assert_eq!(parsed, IfMatch::Any);
            assert!(parsed.matches("anything"));
        }
    }

    #[test]
    fn a_tag_matches_only_itself() {
        for header in [
            "\"xyzzy\"",
            "xyzzy",
            "\"a\", \"xyzzy\"",
            "\"a\",,\"xyzzy\" ,",
        ] {
            let parsed = IfMatch::parse(header).unwrap();
            assert!(parsed.matches("xyzzy"), "{header}");
            assert!(!parsed.matches("xyzz"), "{header}");
            assert!(!parsed.matches("XYZZY"), "{header}");
        }
    }

    #[test]
    fn a_weak_tag_never_matches_in_if_match() {
        let parsed = IfMatch::parse("W/\"xyzzy\"").unwrap();
        assert!(!parsed.matches("xyzzy"));
        assert!(parsed.matches_weakly("xyzzy"));
    }

    #[test]
    fn unreadable_headers_are_errors() {
        for header in [
            "",
            "  ",
            "\"",
            "\"a",
            "a\"",
            "\"a\" \"b\"",
            "\"a\u{7f}\"",
            "W/",
            "W/a,b",
            "\"a b\"",
            "a b",
            "\u{e9}",
        ] {
            match IfMatch::parse(header) {
                Err(_) => {}
                // Without a quote it is one unquoted tag, which matches nothing that the server gives out.
                Ok(parsed) => assert_eq!((header, parsed.matches("W")), ("W/", false)),
            }
        }
        assert_eq!(
            IfMatch::parse(&"x".repeat(1025)),
            Err(IfMatchError::TooLong)
        );
        let many = vec!["\"a\""; TAGS_MAX + 1].join(",");
        assert_eq!(IfMatch::parse(&many), Err(IfMatchError::TooLong));
        assert!(IfMatch::parse(&vec!["\"a\""; TAGS_MAX].join(",")).is_ok());
    }
}
