//! The bodies and headers of WHIP and WHEP, as text in and text out.
//!
//! This crate opens no socket, reads no clock, draws no random number and knows no HTTP library: it checks and writes what travels in
//! requests and answers. It does not negotiate media either; [`sdp`] only looks at an offer closely enough to refuse nonsense
//! early and to say in words what was wrong with it.

#![warn(missing_docs)]

pub mod etag;
pub mod link;
pub mod media_type;
pub mod sdp;
pub mod sdpfrag;
mod text;

pub use etag::{EntityTag, IfMatch};
pub use link::IceServerLink;
pub use media_type::MediaType;
pub use sdpfrag::{Credentials, Fragment};
