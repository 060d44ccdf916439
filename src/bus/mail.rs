//! What the bus's task is told.

use std::sync::Arc;

use bus::{ClientId, FrameKind, Input, Position};
use bytes::Bytes;
use tokio::sync::oneshot;

use super::handle::{BusError, Opening};
use super::outbox::Sender;

/// One thing. What clients say takes room of the mailbox, which the task gives back; of everything else there is only so much.
pub(super) enum Mail {
    /// Somebody is connected.
    Opened {
        client: ClientId,
        opening: Opening,
        sender: Sender,
    },
    /// A message came.
    Said {
        client: ClientId,
        frame: FrameKind,
        bytes: Bytes,
        units: u32,
    },
    /// Somebody moves.
    Moved {
        client: ClientId,
        user: Arc<str>,
        position: Position,
    },
    /// The server itself says something.
    Publish {
        bytes: Bytes,
        except: Option<ClientId>,
        reply: oneshot::Sender<Result<u64, BusError>>,
        units: u32,
    },
    /// The history has written something, or could not.
    Kept { ticket: u64, is_stored: bool },
    /// The history has been read, or a moderator decided something.
    Direct(Input),
    /// A moderator wants to know who sent a message.
    WhoSaid {
        channel: Arc<str>,
        seq: u64,
        reply: oneshot::Sender<Option<bus::Sender>>,
    },
    /// The connection is gone. Once for each that was opened.
    Closed { client: ClientId },
}

impl Mail {
    /// What it takes of the mailbox's room.
    pub(super) fn units(&self) -> usize {
        match self {
            Self::Said { units, .. } | Self::Publish { units, .. } => *units as usize,
            Self::Moved { .. } => 1,
            _ => 0,
        }
    }
}
