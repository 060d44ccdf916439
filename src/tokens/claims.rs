//! What a token says.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use conference::ParticipantRole;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;
use venue::{NameError, SpaceName};

/// Most characters of a person's name, and of a subject.
pub const LABEL_MAX: usize = 64;

/// The payload of a token. Unknown claims are ignored, so that an older venue reads what a newer one made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Where it is good.
    pub space: Scope,
    /// As what.
    pub role: ParticipantRole,
    /// The name that the participant then has and cannot change; see [`check_name`].
    #[serde(
        default,
        deserialize_with = "checked_name",
        skip_serializing_if = "Option::is_none"
    )]
    pub name: Option<String>,
    /// Who it is, in the words of whoever asked for the token; see [`check_subject`].
    #[serde(
        default,
        rename = "sub",
        deserialize_with = "checked_subject",
        skip_serializing_if = "Option::is_none"
    )]
    pub subject: Option<String>,
    /// Good only while the space has no key: nobody was asked for one when it was made.
    #[serde(default, rename = "open", skip_serializing_if = "is_false")]
    pub is_for_open_space: bool,
    /// The last second of its life, since 1970.
    #[serde(rename = "exp")]
    pub expires: u64,
    /// When it was made, in seconds since 1970.
    #[serde(rename = "iat")]
    pub issued: u64,
    /// What tells it from every other.
    #[serde(rename = "jti")]
    pub id: String,
}

impl Claims {
    /// A new token's claims, for `lifetime` from `now` (seconds since 1970) on.
    #[must_use]
    pub fn new(space: Scope, role: ParticipantRole, lifetime: Duration, now: u64) -> Self {
        Self {
            space,
            role,
            name: None,
            subject: None,
            is_for_open_space: false,
            expires: now.saturating_add(lifetime.as_secs()),
            issued: now,
            id: Uuid::new_v4().to_string(),
        }
    }

    /// With the name that the participant is to have.
    ///
    /// # Errors
    /// See [`check_name`].
    pub fn with_name(mut self, name: Option<String>) -> Result<Self, LabelError> {
        name.as_deref().map(check_name).transpose()?;
        self.name = name;
        Ok(self)
    }

    /// With who it is.
    ///
    /// # Errors
    /// See [`check_subject`].
    pub fn with_subject(mut self, subject: Option<String>) -> Result<Self, LabelError> {
        subject.as_deref().map(check_subject).transpose()?;
        self.subject = subject;
        Ok(self)
    }
}

/// One space, or all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Scope {
    /// This one.
    Space(SpaceName),
    /// Every one, written `*`; only operators have such tokens made.
    Every,
}

impl Scope {
    /// Whether a token with this scope is good in `space`.
    #[must_use]
    pub fn includes(&self, space: &str) -> bool {
        match self {
            Self::Every => true,
            Self::Space(name) => name.as_str() == space,
        }
    }
}

impl FromStr for Scope {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match text {
            "*" => Ok(Self::Every),
            name => name.parse().map(Self::Space),
        }
    }
}

impl TryFrom<String> for Scope {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.to_string()
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Space(name) => f.write_str(name.as_str()),
            Self::Every => f.write_str("*"),
        }
    }
}

/// Why a text is no name or no subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// Nothing there, or white space around it.
    #[error("is empty, or begins or ends with a space; leave it out, or write it without")]
    Blank,
    /// Longer than [`LABEL_MAX`].
    #[error("has {0} characters; {LABEL_MAX} are the most")]
    TooLong(usize),
    /// A character that cannot be shown.
    #[error("has a character that cannot be shown, such as a line break; leave it out")]
    Character,
    /// A character that a subject cannot have.
    #[error("has a character other than letters a-z and A-Z, digits and - _ . @ : +")]
    NotPlain,
}

/// Whether a person can be called so: 1 to [`LABEL_MAX`] characters, none of them a control character or one that turns
/// what stands beside it around. The same names as those that participants choose for themselves.
///
/// # Errors
/// What is wrong with it.
pub fn check_name(name: &str) -> Result<(), LabelError> {
    let characters = name.chars().count();
    if name.is_empty() || name.trim() != name {
        Err(LabelError::Blank)
    } else if characters > LABEL_MAX {
        Err(LabelError::TooLong(characters))
    } else if name.chars().any(is_invisible) {
        Err(LabelError::Character)
    } else {
        Ok(())
    }
}

fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Whether a subject can be so: 1 to [`LABEL_MAX`] of letters, digits and `- _ . @ : +`, as account names and mail
/// addresses are.
///
/// # Errors
/// What is wrong with it.
pub fn check_subject(subject: &str) -> Result<(), LabelError> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@:+".contains(&byte);
    check_name(subject)?;
    if subject.bytes().all(is_plain) {
        Ok(())
    } else {
        Err(LabelError::NotPlain)
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

fn checked_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    checked(deserializer, check_name)
}

fn checked_subject<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    checked(deserializer, check_subject)
}

fn checked<'de, D: Deserializer<'de>>(
    deserializer: D,
    check: fn(&str) -> Result<(), LabelError>,
) -> Result<Option<String>, D::Error> {
    let label = Option::<String>::deserialize(deserializer)?;
    label
        .as_deref()
        .map(check)
        .transpose()
        .map_err(Error::custom)?;
    Ok(label)
}
