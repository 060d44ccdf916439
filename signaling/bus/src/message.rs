//! A message as it is relayed.

use std::sync::Arc;

use bytes::Bytes;

/// How a WebSocket carried it. It is relayed the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameKind {
    /// A text frame: UTF-8.
    Text,
    /// A binary frame.
    Binary,
}

/// Where a live picture was when a message came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaMoment {
    /// The stream of the space, such as `main`.
    pub stream: Arc<str>,
    /// Its life, as in the addresses of HLS.
    pub life: Arc<str>,
    /// The program date-time of the newest frame, in ms since 1970.
    pub time_ms: u64,
}

/// What a queue may do with a message when its client does not keep up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Policy {
    /// Never dropped: the client is disconnected, and catches up with `since`.
    Everything,
    /// Only the newest of this key counts, such as a user's picture or position, or who is present.
    Newest(Arc<str>),
}

/// A message of the bus: what a client sent, untouched, and what the server noted beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Microseconds since 1970 when it came, made unique and ascending: what `since` and pages of history count by.
    pub seq: u64,
    /// The space; empty when it named none.
    pub channel: Arc<str>,
    /// Its `type`; empty when it had none.
    pub kind: Arc<str>,
    /// Its `id`; clients choose it, and not always a unique one.
    pub id: Option<Arc<str>>,
    /// Its `userId` or `userid`.
    pub user: Option<Arc<str>>,
    /// How it came.
    pub frame: FrameKind,
    /// The bytes as they came.
    pub raw: Bytes,
    /// Where the picture was.
    pub media: Option<MediaMoment>,
    /// Whether it is kept: `store: true`, CHAT and LIKE.
    pub is_kept: bool,
    /// What a full queue may do with it.
    pub policy: Policy,
}
