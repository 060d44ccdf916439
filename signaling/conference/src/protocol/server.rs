//! Messages to a client.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::error::ErrorCode;
use super::model::{IceServers, Kind, Participant, Permissions, Source, Space};
use crate::{ParticipantRole, SlotState};

/// Everything that the server can say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerMessage {
    /// To a join.
    Welcome(Box<Welcome>),
    /// To an offer of the client, with its id.
    Answer {
        /// The offer's; 0 is the join's.
        id: u64,
        /// The answer.
        sdp: String,
    },
    /// An offer with more slots.
    Offer {
        /// To be repeated in the answer.
        id: u64,
        /// The offer.
        sdp: String,
    },
    /// Somebody came.
    Joined {
        /// Who.
        participant: Participant,
    },
    /// Something of somebody changed.
    Updated {
        /// As it is now.
        participant: Participant,
    },
    /// Somebody is gone.
    Left(Departure),
    /// Several of the three above at once.
    Participants {
        /// Who came.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        joined: Vec<Participant>,
        /// Who changed.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        updated: Vec<Participant>,
        /// Who is gone.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        left: Vec<Departure>,
    },
    /// The space changed.
    Space {
        /// As it is now.
        space: Space,
    },
    /// One's own rights changed.
    Permissions {
        /// One's role.
        role: ParticipantRole,
        /// What it allows here and now.
        permissions: Permissions,
    },
    /// What the slots carry.
    Slots {
        /// The whole map.
        slots: Vec<Slot>,
    },
    /// Who speaks.
    Speakers {
        /// Who has the floor.
        dominant: Option<String>,
        /// Everybody who speaks, loudest first.
        active: Vec<Speaker>,
    },
    /// Which of one's own layers are watched.
    Layers {
        /// Of which feed.
        source: Source,
        /// In the order of the feed's layers.
        active: Vec<bool>,
    },
    /// How good connections are.
    Quality {
        /// Those that changed.
        participants: Vec<ParticipantQuality>,
    },
    /// A moderator muted one's own feed.
    Muted {
        /// Which.
        source: Source,
        /// Its sound is muted now.
        audio: bool,
        /// Its pictures are muted now.
        video: bool,
        /// Who did it.
        by: Option<String>,
    },
    /// One's own feed was ended.
    Unpublished {
        /// Which.
        source: Source,
        /// Who did it.
        by: Option<String>,
    },
    /// Media is gone: offer again, from a new PeerConnection.
    Restart,
    /// Something did not work.
    Error {
        /// For programs.
        code: ErrorCode,
        /// For people.
        message: String,
        /// The type of the message that caused it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request: Option<String>,
        /// That message's id.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<u64>,
        /// Seconds after which to try again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<u64>,
    },
}

impl ServerMessage {
    /// The JSON text, ready to be shared.
    pub fn to_text(&self) -> Arc<str> {
        serde_json::to_string(self)
            .expect("a message has string keys only and no foreign serializer")
            .into()
    }
}

/// `welcome`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Welcome {
    /// The version that is spoken from now on.
    pub version: u32,
    /// What the server calls itself.
    pub server: String,
    /// Oneself.
    pub id: String,
    /// For the next join after a lost WebSocket; told to nobody else.
    pub resume: String,
    /// Whether the earlier PeerConnection goes on.
    pub media: MediaState,
    /// One's role.
    pub role: ParticipantRole,
    /// What it allows here and now.
    pub permissions: Permissions,
    /// The space.
    pub space: Space,
    /// Everybody, oneself included, in the order of joining.
    pub participants: Vec<Participant>,
    /// For the PeerConnection.
    pub ice_servers: Vec<IceServers>,
    /// What there can be at most.
    pub limits: Limits,
}

/// Whether media survived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MediaState {
    /// There is none yet: the join's offer, or the next one, opens it.
    New,
    /// The PeerConnection goes on as it was.
    Kept,
}

/// What there can be at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Slots for sound.
    pub audio_slots: usize,
    /// Slots for pictures.
    pub video_slots: usize,
    /// Participants of the space.
    pub participants: usize,
    /// Voices that are forwarded at a time.
    pub loudest: usize,
}

/// Somebody who is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Departure {
    /// Who.
    pub id: String,
    /// Why.
    pub reason: LeaveReason,
    /// A moderator's words, to the one who was removed only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Why somebody is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LeaveReason {
    /// On purpose.
    Left,
    /// Nothing was heard for 30 seconds.
    Lost,
    /// By a moderator.
    Removed,
    /// There was no room for its media.
    Full,
}

/// What one slot carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// The section.
    pub mid: String,
    /// Sound or pictures.
    pub kind: Kind,
    /// Whose.
    pub id: String,
    /// Which feed.
    pub source: Source,
    /// Whether it arrives.
    pub state: SlotState,
}

/// Somebody who speaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Speaker {
    /// Who.
    pub id: String,
    /// In -dBov: 0 is the loudest, 127 silence.
    pub level: u8,
}

/// How good somebody's connection is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParticipantQuality {
    /// Whose.
    pub id: String,
    /// How good.
    pub quality: QualityWord,
}

/// How good a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QualityWord {
    /// As it should be.
    Good,
    /// Usable.
    Fair,
    /// Hard to follow.
    Poor,
    /// Nothing is heard.
    Lost,
}
