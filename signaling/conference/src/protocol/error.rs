//! What can go wrong, in codes for programs and words for people.

use serde::{Deserialize, Serialize};

use super::server::ServerMessage;
use crate::{Denied, Refusal};

/// Codes with which a WebSocket is closed.
pub mod close {
    /// The client left.
    pub const LEFT: u16 = 1000;
    /// The server stops.
    pub const STOPPING: u16 = 1001;
    /// Never joined, too fast, or too much that could not be read.
    pub const POLICY: u16 = 1008;
    /// No room; an error `full` came first.
    pub const FULL: u16 = 1013;
    /// The same identity joined again.
    pub const REPLACED: u16 = 4001;
    /// A moderator removed the participant.
    pub const REMOVED: u16 = 4003;
    /// Not let in: an error `token_...`, `locked` or `identity` said why.
    pub const TOKEN: u16 = 4004;
}

/// The code of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// No JSON object, a field missing or of the wrong kind, a value that cannot be.
    Malformed,
    /// The `type` is not known.
    UnknownType,
    /// The version is not spoken.
    Version,
    /// The message, or a list in it, is too long.
    TooLarge,
    /// Too many messages.
    TooFast,
    /// The name cannot be.
    Name,
    /// The identity cannot be, or belongs to somebody else.
    Identity,
    /// The space wants a token.
    TokenMissing,
    /// The token was not made here.
    TokenInvalid,
    /// The token was valid once.
    TokenExpired,
    /// The token is for another space.
    TokenSpace,
    /// The role does not allow it.
    Forbidden,
    /// A moderator locked the space.
    Locked,
    /// No room.
    Full,
    /// There is no such participant or feed.
    NotFound,
    /// The SDP cannot be taken.
    NotAcceptable,
    /// It does not fit what happens at the moment.
    Conflict,
    /// The first message is `join`.
    NotJoined,
    /// The server stops.
    Stopping,
}

/// An error before it is a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// For programs.
    pub code: ErrorCode,
    /// For people, with the next step.
    pub message: String,
    /// The type of the message that caused it.
    pub request: Option<&'static str>,
    /// That message's id.
    pub id: Option<u64>,
    /// Seconds after which to try again.
    pub retry_after: Option<u64>,
}

impl Fault {
    /// An error that names no request yet.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            request: None,
            id: None,
            retry_after: None,
        }
    }

    /// The same, caused by a message of this type.
    #[must_use]
    pub fn of(mut self, request: &'static str) -> Self {
        self.request.get_or_insert(request);
        self
    }

    /// The same, caused by the message with this id.
    #[must_use]
    pub fn with_id(mut self, id: u64) -> Self {
        self.id = Some(id);
        self
    }

    /// The same, which may go away in this many seconds.
    #[must_use]
    pub fn after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// As a message.
    pub fn to_message(&self) -> ServerMessage {
        ServerMessage::Error {
            code: self.code,
            message: self.message.clone(),
            request: self.request.map(str::to_owned),
            id: self.id,
            retry_after: self.retry_after,
        }
    }
}

impl From<Denied> for Fault {
    fn from(denied: Denied) -> Self {
        let (code, message) = match denied {
            Denied::Missing => (
                ErrorCode::TokenMissing,
                "this space wants a token; ask whoever invited you for a link with one",
            ),
            Denied::Invalid => (
                ErrorCode::TokenInvalid,
                "the token was not made by this venue or was changed; ask for a new one",
            ),
            Denied::Expired => (
                ErrorCode::TokenExpired,
                "the token is no longer valid; ask for a new one",
            ),
            Denied::OtherSpace => (
                ErrorCode::TokenSpace,
                "the token is for another space; open the space that it was made for",
            ),
        };
        Self::new(code, message)
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Malformed(why) => Self::new(
                ErrorCode::Malformed,
                format!("the SDP cannot be read: {why}"),
            ),
            Refusal::NotAcceptable(why) => Self::new(
                ErrorCode::NotAcceptable,
                format!("the SDP cannot be taken: {why}"),
            ),
            Refusal::Full { what, retry_after } => Self::new(
                ErrorCode::Full,
                format!("{what} is full; try again in a moment"),
            )
            .after(retry_after.as_secs().max(1)),
            Refusal::Gone => Self::new(
                ErrorCode::NotFound,
                "media is gone; send an offer from a new PeerConnection",
            ),
            Refusal::Taken => Self::new(
                ErrorCode::Conflict,
                "somebody else has this stream; choose another name",
            ),
        }
    }
}
