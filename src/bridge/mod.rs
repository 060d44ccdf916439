//! Performers that do not come by WebRTC: the built-in one of `proscenium demo`, and cameras that are pulled by RTSP. And cues of
//! the message bus, which become date ranges of HLS.
//!
//! Conversion only: a performer's frames become RTP payloads of at most [`sfu::PAYLOAD_MAX`] bytes and go to a
//! [`media::Source`](crate::media::Source), which never blocks and counts what it has to drop. What these modules
//! deliberately do not do: number packets, answer keyframe requests (neither a file nor an RTSP camera can), or decide
//! who may publish.
//!
//! Budget: the built-in performer costs no more than a clone of an `Arc` per packet, because its packets are cut once at
//! the start. A camera costs one copy per packet, and an AAC camera a decoder and an encoder on a thread of their own.

pub(crate) mod clip;
mod cues;
mod demo;
mod frames;
pub mod osc;
mod rtsp;
mod slate;

pub use cues::run_cues;
pub use demo::run_demo;
pub(crate) use frames::assembler;
pub use rtsp::run_camera;
pub use slate::run_slates;
