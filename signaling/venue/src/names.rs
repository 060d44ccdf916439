//! What spaces and streams may be called.
//!
//! A space is the first segment of a path (`/residence`), so that its name must not collide with what the server itself serves there.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Longest name in characters: enough for a sentence in a URL, short enough for a log line, a metric label and a file name.
pub const NAME_MAX: usize = 64;

/// The stream that is meant when a URL names only the space.
pub const DEFAULT_STREAM: &str = "main";

/// First path segments that belong to the server, in lower case and sorted. They are reserved whatever their case.
pub const RESERVED: &[&str] = &[
    ".well-known",
    "api",
    "apple-touch-icon-precomposed.png",
    "apple-touch-icon.png",
    "area51",
    "assets",
    "docs",
    "favicon.ico",
    "favicon.svg",
    "healthz",
    "hls",
    "index.html",
    "live",
    "manifest.json",
    "messages",
    "metrics",
    "readyz",
    "robots.txt",
    "rtc",
    "service-worker.js",
    "sitemap.xml",
    "web",
    "webhooks",
    "whep",
    "whip",
    "ws",
];

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing there.
    #[error("the name is empty; use 1 to {NAME_MAX} letters, digits, '-', '_' or '.'")]
    Empty,
    /// Longer than [`NAME_MAX`].
    #[error("the name is {characters} characters long; at most {NAME_MAX} are possible")]
    TooLong {
        /// How long it is.
        characters: usize,
    },
    /// A character that no name has.
    #[error(
        "the character {character:?} at place {place} cannot be in a name; use letters a-z and A-Z, digits, '-', '_' or '.'"
    )]
    Character {
        /// The first such character.
        character: char,
        /// Where it is, counted from one.
        place: usize,
    },
    /// `.` or `..`, which mean something else in a path.
    #[error("{0:?} means a folder in a path; choose a name with a letter or a digit in it")]
    Dots(String),
    /// One of [`RESERVED`].
    #[error("{0:?} belongs to the server itself; choose another word for the space")]
    Reserved(String),
}

fn check(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    for (index, character) in name.chars().enumerate() {
        let allowed = character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.');
        if !allowed {
            return Err(NameError::Character {
                character,
                place: index + 1,
            });
        }
    }
    // Only ASCII is left: bytes are characters.
    if name.len() > NAME_MAX {
        return Err(NameError::TooLong {
            characters: name.len(),
        });
    }
    if name == "." || name == ".." {
        return Err(NameError::Dots(name.to_owned()));
    }
    Ok(())
}

/// Whether a space cannot be called so because the server answers there itself. Case does not matter: `/WHIP` beside `/whip` would only confuse.
pub fn is_reserved(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    RESERVED.binary_search(&lower.as_str()).is_ok()
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as it stands in a path; nothing in it needs escaping.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(name: &str) -> Result<Self, NameError> {
                let check: fn(&str) -> Result<(), NameError> = $check;
                check(name)?;
                Ok(Self(name.into()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<$name> for Arc<str> {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}

name!(
    /// The name of a space: 1 to [`NAME_MAX`] of letters, digits, `-`, `_`, `.`, and none of [`RESERVED`].
    SpaceName,
    |name| {
        check(name)?;
        if is_reserved(name) {
            return Err(NameError::Reserved(name.to_owned()));
        }
        Ok(())
    }
);
name!(
    /// The name of a stream in a space: the same characters; no word is reserved, as it never stands first in a path.
    StreamName,
    check
);

impl Default for StreamName {
    /// [`DEFAULT_STREAM`].
    fn default() -> Self {
        Self(DEFAULT_STREAM.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserved_words_are_sorted_for_the_binary_search() {
        assert!(RESERVED.is_sorted());
        assert!(RESERVED.iter().all(|word| *word == word.to_lowercase()));
    }

    #[test]
    fn every_ordinary_word_makes_a_space() {
        for name in [
            "residence",
            "a",
            "Demo-2026",
            "x_y.z",
            "...",
            "0",
            &"n".repeat(64),
        ] {
            assert_eq!(name.parse::<SpaceName>().unwrap().as_str(), name);
        }
    }

    #[test]
    fn a_refusal_says_which_character_and_where() {
        let check = |name: &str, expected: NameError| {
            assert_eq!(name.parse::<SpaceName>(), Err(expected.clone()));
            assert_eq!(name.parse::<StreamName>(), Err(expected));
        };
        let character = |character, place| NameError::Character { character, place };
        check("", NameError::Empty);
        check(&"n".repeat(65), NameError::TooLong { characters: 65 });
        check("a b", character(' ', 2));
        check("a/b", character('/', 2));
        check("caf\u{e9}", character('\u{e9}', 4));
        check("a\0", character('\0', 2));
        check("%2e", character('%', 1));
        check(".", NameError::Dots(".".into()));
        check("..", NameError::Dots("..".into()));
        assert_eq!(
            character(' ', 2).to_string(),
            "the character ' ' at place 2 cannot be in a name; use letters a-z and A-Z, digits, '-', '_' or '.'"
        );
    }

    #[test]
    fn the_servers_own_words_are_no_spaces_in_any_case_but_may_be_streams() {
        for word in RESERVED {
            for word in [(*word).to_owned(), word.to_uppercase()] {
                assert_eq!(
                    word.parse::<SpaceName>(),
                    Err(NameError::Reserved(word.clone()))
                );
                assert!(word.parse::<StreamName>().is_ok());
            }
        }
    }

    #[test]
    fn the_default_stream_is_main() {
        assert_eq!(StreamName::default().as_str(), "main");
    }
}
