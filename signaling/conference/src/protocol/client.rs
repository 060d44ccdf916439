//! Messages from a client.

use serde::{Deserialize, Serialize};

use super::model::{Layer, Muted, Source};
use crate::{ParticipantRole, Priority};

/// Everything that a client can say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ClientMessage {
    /// The first message.
    Join(Box<Join>),
    /// A later offer: other tracks, an ICE restart, a new PeerConnection.
    Offer(Offer),
    /// To an offer of the server.
    Answer(Answer),
    /// A candidate of its own.
    Candidate(Candidate),
    /// What some sections carry.
    Publish(Publish),
    /// A feed ends.
    Unpublish(Unpublish),
    /// What of a feed is muted.
    Mute(Mute),
    /// Music mode.
    Music(Music),
    /// Whose pictures, how large.
    Watch(Watch),
    /// Whose sound not.
    Silence(Silence),
    /// A hand is raised or lowered.
    Hand(Hand),
    /// Another name.
    Rename(Rename),
    /// Good-bye.
    Leave,
    /// Something for others, by somebody who may.
    Moderate(Moderate),
}

/// `join`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    /// The highest version that the client speaks.
    pub version: u32,
    /// For people; a name in the token wins.
    #[serde(default)]
    pub name: String,
    /// Random, made by the client, told to nobody: who joins with it again is the same participant.
    pub identity: String,
    /// A token or the space's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The secret of an earlier welcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<String>,
    /// An offer; its answer has id 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sdp: Option<String>,
    /// What the offer's sections carry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub feeds: Vec<Publish>,
    /// What program this is, for logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// Relayed to everybody, for its own kind of clients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
}

/// `offer`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Repeated in the answer.
    pub id: u64,
    /// The offer.
    pub sdp: String,
    /// It comes from a new PeerConnection.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fresh: bool,
}

/// `answer`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The server's offer's.
    pub id: u64,
    /// The answer.
    pub sdp: String,
}

/// `candidate`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// `candidate:...`; empty or absent after the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate: Option<String>,
}

/// `publish`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publish {
    /// Which feed.
    pub source: Source,
    /// The `mid` of its sound.
    #[serde(default)]
    pub audio: Option<String>,
    /// The `mid` of its pictures.
    #[serde(default)]
    pub video: Option<String>,
    /// Lowest first.
    #[serde(default)]
    pub layers: Vec<Layer>,
    /// What of it is muted.
    #[serde(default)]
    pub muted: Muted,
    /// Whether its sound is music.
    #[serde(default)]
    pub music: bool,
}

/// `unpublish`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unpublish {
    /// Which feed.
    pub source: Source,
}

/// `mute`: the whole state of one of one's own feeds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mute {
    /// Which feed.
    pub source: Source,
    /// Its sound.
    pub audio: bool,
    /// Its pictures.
    pub video: bool,
}

/// `music`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Music {
    /// On or off.
    pub on: bool,
}

/// `watch`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// The whole list, most important first.
    pub tracks: Vec<WatchTrack>,
}

/// One picture that is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchTrack {
    /// Whose.
    pub id: String,
    /// Which feed.
    pub source: Source,
    /// Its width on screen in device pixels.
    #[serde(default)]
    pub width: u32,
    /// Its height on screen in device pixels; 0 is a thumbnail's.
    #[serde(default)]
    pub height: u32,
    /// What comes first when not everything fits.
    #[serde(default)]
    pub priority: Priority,
}

/// `silence`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// The whole list.
    pub ids: Vec<String>,
}

/// `hand`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hand {
    /// Up or down.
    pub raised: bool,
}

/// `rename`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rename {
    /// The new one.
    pub name: String,
}

/// `moderate`. All but [`Moderate::Stream`] of one's own feed need the right to moderate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Moderate {
    /// Mute somebody's feed; what is `false` stays as it is.
    Mute {
        /// Whose.
        id: String,
        /// Which.
        source: Source,
        /// Its sound.
        #[serde(default)]
        audio: bool,
        /// Its pictures.
        #[serde(default)]
        video: bool,
    },
    /// End somebody's feed.
    Unpublish {
        /// Whose.
        id: String,
        /// Which.
        source: Source,
    },
    /// Call somebody on stage, or send back.
    Stage {
        /// Whom.
        id: String,
        /// On stage.
        on: bool,
    },
    /// Give a role.
    Role {
        /// Whom.
        id: String,
        /// Which.
        role: ParticipantRole,
    },
    /// Send away.
    Remove {
        /// Whom.
        id: String,
        /// Told to whom it concerns.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Let nobody in but moderators.
    Lock {
        /// Locked.
        on: bool,
    },
    /// Let nobody publish but those on stage, and moderators.
    StageOnly {
        /// On.
        on: bool,
    },
    /// Take a raised hand down.
    LowerHand {
        /// Whose.
        id: String,
    },
    /// Make a feed a stream of the space, or take it back.
    Stream {
        /// Whose; absent: one's own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// Which.
        source: Source,
        /// The stream's name; `null` takes it back.
        stream: Option<String>,
    },
}
