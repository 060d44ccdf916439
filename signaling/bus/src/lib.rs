//! The message bus: chat, positions, pictures, cues and any other JSON, from everybody to everybody in a space.
//!
//! A [`Hub`] is told what happens ([`Input`]) and says who hears what ([`Output`]). It opens no socket, reads no clock and draws no random
//! number; it writes nothing to disk either: what is kept is handed out, and goes on when somebody says that it is written.

#![warn(missing_docs)]

mod channel;
mod client;
mod envelope;
mod group;
mod hub;
mod io;
mod kept;
mod lanes;
mod made;
mod message;
mod moderate;
mod motion;
mod open;
mod position;
mod presence;
mod refusal;
mod relay;
mod ring;
mod rules;
mod say;
mod scan;
mod senders;
mod settings;
mod ticks;
mod users;
mod wrapped;

pub use envelope::channel_of;
pub use hub::Hub;
pub use io::{
    CATCH_UP_MAX, ClientId, Input, Moderation, Output, Permissions, PositionForm, Subscription,
};
pub use message::{FrameKind, MediaMoment, Message, Policy};
pub use position::{FRAME_ENTRIES_MAX, Position, read_frame, write_frame};
pub use refusal::Refusal;
pub use say::{IMAGE_BYTES_MAX, MESSAGE_BYTES_MAX};
pub use senders::Sender;
pub use settings::Settings;
