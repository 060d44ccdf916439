//! The conference as its clients meet it: WebSockets and PeerConnections against a whole server.

mod door;
mod meeting;
mod moderation;
mod person;
pub(crate) mod phone;
mod staying;
