//! Webhooks: other programs are told over HTTP who goes live, ends, joins, leaves and is recorded.
//!
//! Each receiver has a queue and a thread of its own ([`Notifier`]), so that one that is slow or gone delays no other and
//! nothing here ever waits for any. Events of one receiver come in their order: the next is sent when the one before was
//! taken, or given up. What is deliberately not here: a store (what is queued is lost with the process), following of
//! redirects, and answers (a receiver can say that it has taken an event, and nothing else).
//!
//! Budget: a few events a second at a festival; a receiver's thread sleeps otherwise.

mod counters;
mod event;
mod receiver;
mod signature;
#[cfg(test)]
mod tests;
mod watch;

pub use counters::NotifyCounters;
pub use event::Event;
pub use receiver::Notifier;
pub use signature::sign;
pub use watch::{Sources, watch};
