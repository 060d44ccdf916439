//! What conferences count.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Numbers of all conferences together.
#[derive(Debug, Default)]
pub struct ConferenceCounters {
    pub(super) spaces: AtomicUsize,
    pub(super) connections: AtomicUsize,
    pub(super) refused: AtomicU64,
    pub(super) slow: AtomicU64,
    pub(super) texts_received: AtomicU64,
    pub(super) texts_sent: AtomicU64,
    pub(super) events_replaced: AtomicU64,
}

impl ConferenceCounters {
    /// Spaces with a conference now.
    pub fn spaces(&self) -> usize {
        self.spaces.load(Ordering::Relaxed)
    }

    /// WebSockets now.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// WebSockets that were refused because there were too many.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// WebSockets that were closed because their client did not read.
    pub fn slow(&self) -> u64 {
        self.slow.load(Ordering::Relaxed)
    }

    /// Messages of clients.
    pub fn texts_received(&self) -> u64 {
        self.texts_received.load(Ordering::Relaxed)
    }

    /// Messages to clients, each receiver counted.
    pub fn texts_sent(&self) -> u64 {
        self.texts_sent.load(Ordering::Relaxed)
    }

    /// Events of media threads that were replaced by newer ones before they were read.
    pub fn events_replaced(&self) -> u64 {
        self.events_replaced.load(Ordering::Relaxed)
    }

    pub(super) fn count(number: &AtomicU64, how_many: u64) {
        number.fetch_add(how_many, Ordering::Relaxed);
    }
}
