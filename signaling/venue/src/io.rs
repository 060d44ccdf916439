//! What the venue has done.

use std::sync::Arc;

use sfu::{Event, PeerId, RoomId, StreamId, WorkerId};

/// What the shell is to do, in this order.
#[derive(Debug, PartialEq)]
pub enum Output {
    /// Workers are to be told.
    Consequence(Consequence),
    /// Something changed in this space: whoever follows it looks again.
    Changed(Arc<str>),
    /// This concerns a conference: its mailbox gets it.
    Mail(RoomId, Event),
}

/// What must be told to the workers after an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Consequence {
    /// Every worker: the stream's publisher is there now, or nowhere.
    Origin(StreamId, Option<WorkerId>),
    /// Every worker: the stream's viewers waited long enough.
    Forget(StreamId),
    /// This worker: the peer is to go.
    Close(PeerId, WorkerId),
}
