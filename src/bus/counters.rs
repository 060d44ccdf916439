//! What the bus counts.

use std::sync::atomic::{AtomicU64, Ordering};

use super::batch::Form;

/// Numbers of the bus since the start, and how many of what there are now.
#[derive(Debug, Default)]
pub struct BusCounters {
    /// Clients of `/` now.
    pub root_clients: AtomicU64,
    /// Clients of spaces now, over WebSockets and data channels, and the server's own.
    pub space_clients: AtomicU64,
    /// Clients that were refused at a limit.
    pub refused: AtomicU64,
    /// Messages that clients said.
    pub said: AtomicU64,
    /// Messages that the server itself, bridges and operators published.
    pub published: AtomicU64,
    /// Messages to clients, each receiver counted.
    pub delivered: AtomicU64,
    /// Frames of positions to clients, each receiver counted.
    pub positions: AtomicU64,
    /// States that were left out for a slow client because a newer one came.
    pub replaced: AtomicU64,
    /// Clients that were disconnected because they were too slow.
    pub slow: AtomicU64,
    /// Messages that were written to disk.
    pub kept: AtomicU64,
    /// Messages that could not be written to disk, and were not relayed.
    pub not_kept: AtomicU64,
    /// Turns of the hub: messages that come together are delivered together.
    pub turns: AtomicU64,
    /// Times that a client was not read for a moment, because its address or everybody said too much.
    pub held_back: AtomicU64,
}

impl BusCounters {
    pub(super) fn count(number: &AtomicU64, how_many: u64) {
        number.fetch_add(how_many, Ordering::Relaxed);
    }

    /// How many clients there are now that get messages in this form.
    pub(super) fn clients(&self, form: Form) -> &AtomicU64 {
        match form {
            Form::Root => &self.root_clients,
            Form::Space => &self.space_clients,
        }
    }

    /// Name, help, whether it only grows, and value of each.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "a table")]
    pub fn all(&self) -> [(&'static str, &'static str, bool, u64); 13] {
        let of = |number: &AtomicU64| number.load(Ordering::Relaxed);
        [
            (
                "bus_root_clients",
                "WebSockets at / now.",
                false,
                of(&self.root_clients),
            ),
            (
                "bus_space_clients",
                "Subscribers of spaces now: WebSockets, data channels and bridges.",
                false,
                of(&self.space_clients),
            ),
            (
                "bus_refused",
                "Clients of the message bus that were refused at a limit.",
                true,
                of(&self.refused),
            ),
            (
                "bus_said",
                "Messages that clients said.",
                true,
                of(&self.said),
            ),
            (
                "bus_published",
                "Messages that the server, bridges and operators published.",
                true,
                of(&self.published),
            ),
            (
                "bus_delivered",
                "Messages to clients, each receiver counted.",
                true,
                of(&self.delivered),
            ),
            (
                "bus_positions",
                "Frames of positions to clients, each receiver counted.",
                true,
                of(&self.positions),
            ),
            (
                "bus_replaced",
                "States that were left out for a slow client because a newer one came.",
                true,
                of(&self.replaced),
            ),
            (
                "bus_slow",
                "Clients that were disconnected because they did not read.",
                true,
                of(&self.slow),
            ),
            (
                "bus_kept",
                "Messages that were written to disk.",
                true,
                of(&self.kept),
            ),
            (
                "bus_not_kept",
                "Messages that could not be written to disk and were not relayed.",
                true,
                of(&self.not_kept),
            ),
            (
                "bus_turns",
                "Turns in which messages were delivered together.",
                true,
                of(&self.turns),
            ),
            (
                "bus_held_back",
                "Times that a client was not read for a moment because too much was said.",
                true,
                of(&self.held_back),
            ),
        ]
    }
}
