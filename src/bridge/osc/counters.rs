//! What the bridge counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// Numbers since the start. Nothing is dropped without being counted in one of them.
#[derive(Debug, Default)]
pub struct OscCounters {
    /// Messages that came from peers.
    pub received: AtomicU64,
    /// Datagrams from addresses that may not send.
    pub strangers: AtomicU64,
    /// Datagrams and messages that are not OSC.
    pub malformed: AtomicU64,
    /// Datagrams and messages beyond a limit on their size or depth.
    pub too_large: AtomicU64,
    /// Messages beyond a sender's rate, or beyond what may wait for its time.
    pub too_many: AtomicU64,
    /// Messages of bundles that are dated too far ahead.
    pub too_early: AtomicU64,
    /// Messages for no bridged space, of no usable type, or with a value that no message can have.
    pub not_for_us: AtomicU64,
    /// Messages that the bus did not take.
    pub refused: AtomicU64,
    /// Datagrams to peers.
    pub sent: AtomicU64,
    /// Messages that were left out because they are pictures or longer than a datagram.
    pub left_out: AtomicU64,
    /// Datagrams that were not sent because a peer had enough, or because the system did not take them.
    pub unsent: AtomicU64,
}

impl OscCounters {
    /// Name, help and value of each; all of them only grow.
    #[must_use]
    pub fn all(&self) -> [(&'static str, &'static str, u64); 11] {
        let of = |number: &AtomicU64| number.load(Ordering::Relaxed);
        [
            (
                "osc_received",
                "OSC messages from peers.",
                of(&self.received),
            ),
            (
                "osc_strangers",
                "OSC datagrams from addresses that may not send.",
                of(&self.strangers),
            ),
            (
                "osc_malformed",
                "Datagrams and messages that are not OSC.",
                of(&self.malformed),
            ),
            (
                "osc_too_large",
                "OSC datagrams and messages beyond a limit on their size or depth.",
                of(&self.too_large),
            ),
            (
                "osc_too_many",
                "OSC messages beyond a sender's rate, or beyond what may wait for its time.",
                of(&self.too_many),
            ),
            (
                "osc_too_early",
                "OSC messages dated more than ten seconds ahead.",
                of(&self.too_early),
            ),
            (
                "osc_not_for_us",
                "OSC messages for no bridged space or of no usable type.",
                of(&self.not_for_us),
            ),
            (
                "osc_refused",
                "OSC messages that the message bus did not take.",
                of(&self.refused),
            ),
            ("osc_sent", "OSC datagrams to peers.", of(&self.sent)),
            (
                "osc_left_out",
                "Messages not sent over OSC because they are pictures or too long.",
                of(&self.left_out),
            ),
            (
                "osc_unsent",
                "OSC datagrams not sent because a peer had enough of them.",
                of(&self.unsent),
            ),
        ]
    }
}
