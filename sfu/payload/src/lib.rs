//! What RTP payloads and elementary streams say, without I/O.
//!
//! [`inspect`] reads the first bytes of a payload, as a forwarder does for each packet. This crate does **not** know RTP
//! headers, sessions, peers or players, read a clock, decode pictures or sound, or ask anybody for anything.

mod codec;
pub mod inspect;
pub mod red;

pub use codec::{Codec, CodecKind};
