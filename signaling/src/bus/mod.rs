//! The message bus: chat, positions, pictures, cues and any other JSON, from everybody to everybody in a space.

mod hub;
mod io;
mod message;
mod position;
mod refusal;
mod settings;
mod wrapped;

pub use hub::Hub;
pub use io::{
    CATCH_UP_MAX, ClientId, Input, Moderation, Output, Permissions, PositionForm, Subscription,
};
pub use message::{FrameKind, MediaMoment, Message, Policy};
pub use position::Position;
pub use refusal::Refusal;
pub use settings::Settings;
