//! CMAF and low-latency HLS packaging (RFC 8216bis), without I/O.
//!
//! Frames go in, fragments and playlists come out. This crate does **not** depacketise RTP, repair losses, open files,
//! read a clock, serve HTTP, compress, transcode or know what a space is; the shell does.
//!
//! A [`Packager`] holds one life of a stream: from its first publication until `EXT-X-ENDLIST`. It is fed with
//! [`Frame`]s and polled for [`Output`]s. A [`Timeline`] per rendition turns those outputs (or a recording's index) into
//! media playlists; [`multivariant`] writes the playlist above them.

mod boxes;
mod codec;
mod frame;
mod output;
mod packager;
mod playlist;
mod settings;

pub use frame::{CodecKind, Frame, TrackConfig};
pub use output::{Output, Part, Segment, Warning};
pub use packager::{Packager, RenditionInfo};
pub use playlist::{Hold, Report, Timeline, Variant, View, multivariant};
pub use settings::Settings;
