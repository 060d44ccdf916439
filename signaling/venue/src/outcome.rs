//! What the media side answers: what was begun, or why it was refused.

use sfu::Refusal;
use uuid::Uuid;

/// Under which right a stream that has a publisher is taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakeOver {
    /// The space has a key, and it was presented.
    Always,
    /// An open space; SHA-256 of the bearer. The same bearer takes over; another one only what is silent.
    SameOwner([u8; 32]),
    /// An open space and no bearer: only a publisher that has not sent for two seconds.
    OnlyIfSilent,
}

/// A session that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Names the session's HTTP resource; cannot be guessed.
    pub resource: Uuid,
    /// The SDP answer, or for a counter-offer the offer.
    pub sdp: String,
    /// The ICE session's entity tag, without quotes.
    pub etag: String,
}

/// What an ICE restart gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restarted {
    /// Our new user fragment.
    pub ufrag: String,
    /// Our new password.
    pub pwd: String,
    /// Our candidates, `candidate:...`.
    pub candidates: Vec<String>,
    /// The new entity tag, without quotes.
    pub etag: String,
}

/// Why something was refused. Nothing is left behind by it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Nobody publishes this stream now.
    #[error("nothing is live here yet; try again in a few seconds")]
    NothingLive,
    /// Somebody else publishes it.
    #[error("somebody else is live here; stop that one first, or choose another stream name")]
    Taken,
    /// No media section can be used.
    #[error("no media section can be accepted: {0}")]
    NotAcceptable(String),
    /// The body is not the SDP it should be.
    #[error("the SDP cannot be parsed: {0}")]
    Malformed(String),
    /// There is no such session, or it ended.
    #[error("there is no such session, or it has ended")]
    UnknownResource,
    /// A limit is reached.
    #[error("the venue is full: {0}")]
    Full(&'static str),
    /// The server is shutting down.
    #[error("the venue is closing")]
    Stopping,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Malformed(why) => Self::Malformed(why),
            Refusal::NotAcceptable(why) => Self::NotAcceptable(why),
            Refusal::UnknownPeer => Self::UnknownResource,
            Refusal::Full(what) => Self::Full(what),
        }
    }
}
