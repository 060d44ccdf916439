//! CMAF and low-latency HLS packaging (RFC 8216bis), without I/O.
//!
//! Frames go in, fragments and playlists come out. This crate does **not** depacketise RTP, repair losses, open files,
//! read a clock, serve HTTP, compress, transcode or know what a space is; the shell does.
//!
//! A [`Packager`] holds one life of a stream: from its first publication until `EXT-X-ENDLIST`. It is fed with
//! [`Frame`]s and polled for [`Output`]s. A [`Timeline`] per rendition turns those outputs (or a recording's index) into
//! media playlists; [`multivariant`] writes the playlist above them.
//!
//! Parts are as RFC 8216bis wants them: never longer than PART-TARGET, and never shorter than 85 % of it but for the last of a
//! segment. To that end the time of a picture may be moved by up to 20 ms, and a picture that stands still for longer
//! than a part is coded once more: for H.264 as a picture of skipped macroblocks, for VP9 and AV1 as a header that shows a
//! kept frame. What cannot be repeated is one long sample; each part that is too long or too short for that is told by a
//! [`Warning`]: H.264 with B-frames, with long-term references, interlaced, or whose last picture no other refers to; VP9
//! and AV1 pictures that are not kept; an AV1 keyframe.
//!
//! Budget: the payload is copied once into its part and once into its segment. A playlist is put together from text that is
//! there, in less than a millisecond for two hours.

mod boxes;
mod codec;
mod frame;
mod output;
mod packager;
mod playlist;
mod settings;

pub use boxes::{SoundSample, replace_sound, sound_samples};
pub use codec::silence;
pub use frame::TrackConfig;
pub use output::{Output, Part, Segment, SoundCounters, Warning};
pub use packager::{Packager, Past, RenditionInfo};
pub use payload::CodecKind;
pub use payload::frames::Frame;
pub use playlist::{DateRange, Hold, Report, Timeline, Variant, View, multivariant};
pub use settings::Settings;
