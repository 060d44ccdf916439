//! One space's conference: who is there, what each one publishes and watches, and every message between clients and server.
//!
//! A [`Conference`] is told what happens ([`Input`]) and says what to do ([`Output`]). It forwards no packet, reads no SDP, checks no
//! token and knows no socket: media is ordered from elsewhere ([`Order`], [`News`]), and so are tokens.

#![warn(missing_docs)]

mod connection;
mod feeds;
mod io;
mod join;
mod leave;
mod member;
mod moderate;
mod news;
mod permissions;
mod presence;
pub mod protocol;
mod session;
mod state;
mod tell;
mod text;
mod watch;

pub use io::{
    Config, ConnectionId, Denied, FeedId, Grant, IceServer, Input, News, Order, Output,
    ParticipantRole, Priority, Quality, Refusal, SessionId, SlotNews, SlotState, Want,
};
pub use state::Conference;
