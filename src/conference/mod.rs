//! Conferences on this machine: one task for each space that is in use, between WebSockets and media threads.
//!
//! What is said to whom is decided by [`conference`]; packets are forwarded by `sfu`. Here is what is between:
//! mailboxes, queues, the names that each side has for the same thing, and the time. Nothing here knows HTTP.
//!
//! The task of a space never waits for media, for a client or for another space: questions to media threads are answered by
//! futures that it polls beside its mailbox, and what it has to say goes into bounded queues of which a full one costs its
//! client the connection.

mod actor;
mod counters;
mod data;
mod media;
mod outbox;
mod registry;
mod translate;

pub use counters::ConferenceCounters;
pub use outbox::{Close, Frame, Outbox, QUEUE_BYTES_MAX, QUEUE_FRAMES_MAX};
pub use registry::{
    CONNECTIONS_PER_PARTICIPANT, Conferences, Connection, Movement, Refused, SPACES_MAX, Settings,
};
