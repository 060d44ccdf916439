//! What several messages have in common.

use serde::{Deserialize, Serialize};

use crate::ParticipantRole;

/// Sound or pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Sound.
    Audio,
    /// Pictures.
    Video,
}

/// Which of a participant's feeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Microphone and camera.
    Camera,
    /// A shared screen and its sound.
    Screen,
}

impl Source {
    /// As in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Camera => "camera",
            Self::Screen => "screen",
        }
    }
}

/// One simulcast layer as its publisher describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// Its `rid`; empty without simulcast.
    #[serde(default)]
    pub rid: String,
    /// In pixels; 0 when not known yet.
    #[serde(default)]
    pub width: u32,
    /// In pixels; 0 when not known yet.
    #[serde(default)]
    pub height: u32,
}

/// What of a feed is muted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Muted {
    /// Its sound.
    #[serde(default)]
    pub audio: bool,
    /// Its pictures.
    #[serde(default)]
    pub video: bool,
}

/// One feed as everybody sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feed {
    /// Which.
    pub source: Source,
    /// Whether it has sound.
    pub audio: bool,
    /// Whether it has pictures.
    pub video: bool,
    /// What of it is muted.
    pub muted: Muted,
    /// Whether its sound is music: always forwarded, never processed.
    pub music: bool,
    /// The name under which it is a stream of the space.
    pub stream: Option<String>,
    /// Its layers, lowest first.
    pub layers: Vec<Layer>,
}

/// A participant as everybody sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Participant {
    /// Stays as long as the participant, also over reconnections.
    pub id: String,
    /// For people.
    pub name: String,
    /// What it may do.
    pub role: ParticipantRole,
    /// Whether it was called on stage.
    pub stage: bool,
    /// Since when its hand is raised, RFC 3339.
    pub hand: Option<String>,
    /// When it came, RFC 3339.
    pub joined: String,
    /// `false` while nothing is heard of it.
    pub reachable: bool,
    /// The text of its join, for its own kind of clients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// What it publishes.
    pub feeds: Vec<Feed>,
}

/// What oneself may do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permissions {
    /// Publish a camera and microphone.
    pub publish: bool,
    /// Share a screen.
    pub screen: bool,
    /// Turn music mode on.
    pub music: bool,
    /// Make one's own feed a stream of the space.
    pub stream: bool,
    /// Everything that `moderate` does.
    pub moderate: bool,
}

/// The state of the space.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Space {
    /// Its name.
    pub name: String,
    /// Nobody but moderators comes in.
    pub locked: bool,
    /// Nobody but those on stage, and moderators, may publish.
    pub stage_only: bool,
}

/// Servers for `RTCPeerConnection`'s configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IceServers {
    /// As in `RTCIceServer`.
    pub urls: Vec<String>,
    /// TURN only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// TURN only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
}
