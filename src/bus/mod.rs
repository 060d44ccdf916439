//! The message bus on this machine: one task around [`bus::Hub`], between whoever speaks and whoever listens.
//!
//! What a message is, who hears it and what is kept is decided by `bus`; here are the task that feeds it, the queues that wait for
//! clients, the frames that are the same for all of them ([`Batch`]), limits and counters. Nothing here knows HTTP: WebSockets
//! (`src/http/ws.rs`), data channels, bridges and HTTP handlers are all clients of [`Bus`].
//!
//! Budget: a message costs the task some microseconds whatever the number of its clients, and each client one lock and one wake per turn.

mod actor;
mod batch;
mod counters;
mod disk;
pub mod frames;
mod handle;
mod mail;
mod outbox;
mod pace;
mod parcel;
mod places;
mod thin;

pub use batch::{Batch, Form, payload};
pub use counters::BusCounters;
pub use handle::{Behind, Bus, BusError, Client, Large, Moments, Opening, Refused, Settings};
pub use outbox::{Item, Outbox, QUEUE_BYTES_MAX, STOPPING, TOO_SLOW};
pub use places::household;
