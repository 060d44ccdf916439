//! Messages of spaces over OSC (Open Sound Control 1.0, UDP), in both directions: `/proscenium/{space}/{type}`.
//!
//! A datagram is bounded before it is decoded ([`packet`]), comes from an address that may send ([`peers`]), waits for its
//! bundle's time ([`schedule`]), and becomes an envelope of the message bus ([`inbound`]). What is said in a bridged space
//! goes to every peer with a port ([`outbound`]), but not back to where it came from ([`echoes`]).
//!
//! What is deliberately not here: TCP, queries of what there is (OSC is blind), pictures and anything longer than a
//! datagram, and any authentication beyond the sender's address, which OSC does not have.
//!
//! Budget: 1,000 messages a second from each sender and to each peer, some microseconds each.

mod address;
mod bridge;
mod counters;
mod echoes;
mod inbound;
mod outbound;
mod packet;
mod peers;
mod schedule;
#[cfg(test)]
mod tests;
mod value;

pub use bridge::{OscBridge, OscError};
pub use counters::OscCounters;
