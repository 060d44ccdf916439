//! What RTP payloads and elementary streams say, without I/O.
//!
//! [`inspect`] reads the first bytes of a payload, as a forwarder does for each packet; [`frames`] puts packets of one layer
//! together to whole frames on one clock. This crate does **not** know RTP
//! headers, sessions, peers or players, read a clock, decode pictures or sound, or ask anybody for anything.

pub mod av1;
pub mod bits;
mod codec;
pub mod frames;
pub mod h264;
pub mod inspect;
pub mod opus;
pub mod red;
pub mod vp9;

pub use codec::{Codec, CodecKind};

/// The longest RTP payload in bytes that is made here, and that enters a worker from a source without WebRTC. Together with the largest
/// header (80 bytes) and SRTP's tag (16) it stays below the 1,280 bytes that every IPv6 path carries.
pub const PAYLOAD_MAX: usize = 1200;
