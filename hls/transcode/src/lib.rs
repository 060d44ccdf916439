//! Pictures and sound decoded and encoded: the one door to heavy codecs, all of them libraries, without I/O.
//!
//! [`Transcoder`] makes Opus of the sound of cameras and telephones, [`OpusToAac`] AAC of Opus for players that take nothing else,
//! [`Thumbnailer`] small JPEG pictures of keyframes, [`slate_keyframe`] the picture that stands in for a performer who is away.
//!
//! Every call takes as long as it says and blocks meanwhile; whoever calls has a thread where no media waits for it. This crate does
//! **not** start that thread, read a clock, know streams or spaces, or do anything to media that are forwarded.

mod aac;
mod opus;
mod slate;
mod thumbnail;

pub use aac::{AacError, OpusToAac, lacks_sound, opus_packets, reaches, with_sound};
pub use opus::{Input, OpusPacket, TranscodeError, Transcoder, Unit};
pub use slate::{SlateError, slate_keyframe, slate_keyframes};
pub use thumbnail::{ThumbnailError, Thumbnailer};
