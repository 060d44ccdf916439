//! What the hub is told and what it says: data, no behaviour.

use std::sync::Arc;

use bytes::Bytes;

use super::message::{FrameKind, MediaMoment, Message};
use super::position::Position;
use super::refusal::Refusal;

/// One subscriber of the bus, as the shell numbers them. A number may be used again in a later turn than its [`Input::Closed`]: what was
/// said to the old one must have been polled before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(pub u32);

/// What a client hears, and in which form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subscription {
    /// The elektron wire at `/`: everything of every space that is not private, byte for byte as it came.
    Everything,
    /// One space, in wrapped form ([`Message::wrapped`]), as over `/ws/{space}` and data channels.
    Space {
        /// The space's name, which is its messages' channel.
        space: Arc<str>,
        /// Only these types; empty: all of them.
        types: Vec<Arc<str>>,
        /// Catch up after this message.
        since: Option<u64>,
        /// How positions come.
        positions: PositionForm,
    },
}

/// How a client of a space gets positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PositionForm {
    /// Not at all.
    None,
    /// One JSON text per tick.
    Json,
    /// Binary frames ([`super::position`]), for the data channel `positions`.
    Binary,
}

/// What a client may do beyond what everybody may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Permissions {
    /// May send RESET and UPDATE, delete messages and ban.
    pub is_operator: bool,
    /// May delete messages and ban in its space.
    pub is_moderator: bool,
    /// May only listen.
    pub is_read_only: bool,
}

/// What the hub is told.
#[derive(Debug)]
pub enum Input {
    /// A client is there.
    Opened {
        /// Its number.
        client: ClientId,
        /// What it hears.
        subscription: Subscription,
        /// What it may.
        permissions: Permissions,
        /// What bans by address compare; the shell's own text for one household, such as `192.0.2.1` or `2001:db8:1:2`.
        address: Arc<str>,
    },
    /// A client is gone. Exactly once for each that was opened, also after [`Output::Close`].
    Closed {
        /// Which.
        client: ClientId,
    },
    /// A client sends a message.
    Said {
        /// Which.
        client: ClientId,
        /// Text or binary: it is relayed as it came.
        frame: FrameKind,
        /// What it says.
        bytes: Bytes,
        /// Where the space's picture was when it came.
        media: Option<MediaMoment>,
    },
    /// A client of the data channel `positions` moves.
    Moved {
        /// Which.
        client: ClientId,
        /// Whom it moves, as its `userId`.
        user: Arc<str>,
        /// Where to.
        position: Position,
    },
    /// The server itself, a bridge or an operator over HTTP publishes. Never refused for rate or slow mode.
    Publish {
        /// The whole envelope, as JSON.
        bytes: Bytes,
        /// Where the space's picture was.
        media: Option<MediaMoment>,
        /// Who else must not hear it: the bridge's own subscription.
        except: Option<ClientId>,
        /// Comes back in [`Output::Published`]; `None` when nobody waits for it.
        answer: Option<u64>,
    },
    /// A frame of positions was dropped for a newer one because the client does not keep up: it gets the whole state with a later tick.
    Lagged {
        /// Which.
        client: ClientId,
    },
    /// The store has written what [`Output::Keep`] asked for, or could not.
    Kept {
        /// As in [`Output::Keep`].
        ticket: u64,
        /// Whether it is on disk.
        is_stored: bool,
    },
    /// What [`Output::Load`] asked for: a channel's newest kept messages, oldest first.
    Loaded {
        /// The channel.
        channel: Arc<str>,
        /// Its messages.
        messages: Vec<Arc<Message>>,
    },
    /// What [`Output::CatchUp`] asked for, oldest first.
    CaughtUp {
        /// The client that waits for it.
        client: ClientId,
        /// As in [`Output::CatchUp`]: the client's number may be another's by now.
        request: u64,
        /// Kept messages, all of them or the first [`CATCH_UP_MAX`].
        messages: Vec<Arc<Message>>,
        /// Whether there are more than came.
        is_cut: bool,
    },
    /// Somebody with the right to it does something to a space.
    Moderate(Moderation),
    /// Deadlines may have come.
    Timeout,
}

/// The most messages that a client catches up on at once; the hub asks for the rest next.
pub const CATCH_UP_MAX: usize = 1000;

/// What moderators do. The shell has checked that they may, and has written it to the audit trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moderation {
    /// The message is gone from history already; tell everybody.
    Delete {
        /// The space.
        channel: Arc<str>,
        /// The message's number.
        seq: u64,
        /// The message's own `id`, which clients know it by.
        id: Option<String>,
    },
    /// At most one CHAT per user in so many ms; 0 ends it.
    SlowMode {
        /// The space.
        channel: Arc<str>,
        /// Pause between two messages of one user in ms.
        pause_ms: u64,
    },
    /// Nothing of this user or address is relayed in this space until then.
    Ban {
        /// The space.
        channel: Arc<str>,
        /// A `userId`.
        user: Option<Arc<str>>,
        /// As in [`Input::Opened`].
        address: Option<Arc<str>>,
        /// Milliseconds since 1970; 0 lifts the ban.
        until_ms: u64,
    },
    /// Everything kept is gone (RESET): forget history and presence, and tell everybody.
    Reset,
    /// Only the kept messages are gone (`/messages/clear`).
    Clear,
}

/// What the hub says.
#[derive(Debug)]
pub enum Output {
    /// Messages for several clients, in order. One batch per turn and group, shared.
    Deliver {
        /// Who gets it; shared as long as the group does not change.
        to: Arc<[ClientId]>,
        /// Who of them does not: the sender of what a bridge published.
        except: Option<ClientId>,
        /// What they get.
        messages: Arc<[Arc<Message>]>,
    },
    /// Something for one client alone, in order with the batches. What answers a client (errors, presence and history for who joined) comes
    /// behind the batches of the turn.
    Tell {
        /// Who.
        client: ClientId,
        /// What.
        message: Arc<Message>,
    },
    /// A frame of positions for several clients; it may be dropped for a newer one.
    Positions {
        /// Who gets it.
        to: Arc<[ClientId]>,
        /// JSON text or binary.
        frame: FrameKind,
        /// The frame.
        bytes: Bytes,
        /// Whether this is everybody (for who comes late, and when somebody has left). It must not be dropped, and it supersedes what waits.
        is_whole: bool,
    },
    /// Write this, then say [`Input::Kept`] with the ticket. In the order of the tickets.
    Keep {
        /// Names the request.
        ticket: u64,
        /// The message.
        message: Arc<Message>,
    },
    /// What became of an [`Input::Publish`] that has an `answer`: it was delivered (and stored, if it is kept) under this number, or not.
    Published {
        /// As in [`Input::Publish`].
        answer: u64,
        /// The message's number.
        result: Result<u64, Refusal>,
    },
    /// There was no room for what a moderator decided for this channel: bans and slow mode of too many others count.
    Unheeded {
        /// The channel.
        channel: Arc<str>,
    },
    /// Delete every kept message: an operator said RESET.
    Clear,
    /// Read a channel's newest CHAT and LIKE, then say [`Input::Loaded`].
    Load {
        /// The channel.
        channel: Arc<str>,
    },
    /// Read a channel's kept messages in (after, before), then say [`Input::CaughtUp`].
    CatchUp {
        /// For whom.
        client: ClientId,
        /// What tells the answer from one for somebody who had the client's number before.
        request: u64,
        /// The channel.
        channel: Arc<str>,
        /// Exclusive.
        after: u64,
        /// Exclusive.
        before: u64,
    },
    /// Close the connection: RFC 6455 section 7.4 or 4000 and above.
    Close {
        /// Whose.
        client: ClientId,
        /// The code.
        code: u16,
        /// For people, at most 123 bytes.
        reason: &'static str,
    },
}
