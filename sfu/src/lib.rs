//! Selective forwarding of RTP between WebRTC peers, without I/O.
//!
//! A [`Worker`] owns peers and streams. It is fed datagrams, commands and the time through [`Worker::handle`] and
//! drained through [`Worker::poll`]. This crate does **not** open sockets, read a clock, spawn tasks, decode or mix
//! media, know what a space or a viewer's name is, or speak HTTP; the shell does.
//!
//! Packet path budget: one SRTP open per packet received; per viewer one header rewrite, one SRTP seal and one buffer.
//! The payload is shared by all viewers, the recent group of pictures and the relays to other workers.

mod allocate;
mod api;
mod conference;
mod data;
mod demux;
mod forward;
#[cfg(fuzzing)]
pub mod fuzzing;
mod id;
mod layer_wish;
mod packet;
mod peer;
mod quality;
mod relay;
mod rtc;
mod seat;
mod slate;
mod speaker;
mod standby;
mod stream;
mod tap;
mod track;
mod worker;

pub use api::{
    CloseReason, Command, Datagram, Event, Input, Output, Refusal, Reply, Role, SourcePacket,
    TakesOver, Transmit, Transport,
};
pub use conference::{
    AUDIO_SLOTS_MAX, PUBLICATIONS_MAX, Priority, Quality, RoomStream, SILENCE_MAX, Slot, SlotState,
    Speaker, VIDEO_SLOTS_MAX, Want,
};
pub use data::{DATA_QUEUE_MAX, DATA_RECEIVED_MAX, DATA_SENT_MAX, DataChannel, DataEvent};
pub use id::{PeerId, RequestId, RoomId, StreamId, WorkerId};
pub use layer_wish::{LayerPick, LayerReport, LayerWish};
pub use packet::{MediaPacket, Orientation};
pub use payload::{Codec, CodecKind, PAYLOAD_MAX};
pub use relay::Relay;
pub use rtc::Certificate;
pub use slate::Slate;
pub use tap::{Tap, TapItem};
pub use track::TrackInfo;
pub use worker::{Worker, WorkerConfig, WorkerStats};

/// The longest RTP payload in bytes that is forwarded at all. Publishers behind large MTUs send up to 1,460; str0m
/// panics above its own buffer of 2,000 bytes less the header, so longer ones are dropped and counted.
pub const FORWARD_PAYLOAD_MAX: usize = 1800;

/// How long a peer may take from its SDP to a connection.
pub const CONNECT_MAX: std::time::Duration = std::time::Duration::from_secs(30);
