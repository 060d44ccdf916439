//! The JSON messages of `/rtc/{space}`, version 1. `docs/PROTOCOL.md` explains them to whoever writes a client.
//!
//! Fields that are not known here are ignored; a message whose `type` is not known is answered with an error and changes nothing.

mod client;
mod error;
mod model;
mod read;
mod server;

pub use client::{
    Answer, Candidate, ClientMessage, Hand, Join, Moderate, Music, Mute, Offer, Publish, Rename,
    Silence, Unpublish, Watch, WatchTrack,
};
pub use error::{ErrorCode, Fault, close};
pub use model::{Feed, IceServers, Kind, Layer, Muted, Participant, Permissions, Source, Space};
pub use read::{
    CANDIDATE_MAX, DATA_MAX, LAYERS_MAX, NAME_MAX, SHORT_TEXT_MAX, SILENCED_MAX, TEXT_MAX,
    WATCHED_MAX, read,
};
pub use server::{
    Departure, LeaveReason, Limits, MediaState, ParticipantQuality, QualityWord, ServerMessage,
    Slot, Speaker, Welcome,
};

pub(crate) use read::{checked_identity, checked_name};

/// The highest version of the protocol that is spoken here.
pub const VERSION: u32 = 1;
