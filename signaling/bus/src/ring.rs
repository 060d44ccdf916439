//! The newest messages of a channel, for who comes back after a moment.

use std::collections::VecDeque;
use std::sync::Arc;

use super::message::Message;

/// Messages of one channel: at ten a second, 100 seconds.
const MESSAGES_MAX: usize = 1024;
/// Bytes of one channel: 16 of the largest messages that are not pictures.
const BYTES_MAX: usize = 1 << 20;

/// The newest messages, oldest first.
#[derive(Debug)]
pub(super) struct Ring {
    messages: VecDeque<Arc<Message>>,
    bytes: usize,
    /// All that has a number above this is here.
    floor: u64,
}

impl Ring {
    pub(super) fn new(floor: u64) -> Self {
        Self {
            messages: VecDeque::new(),
            bytes: 0,
            floor,
        }
    }

    pub(super) fn floor(&self) -> u64 {
        self.floor
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn push(&mut self, message: &Arc<Message>) {
        self.bytes += message.raw.len();
        self.messages.push_back(Arc::clone(message));
        while self.messages.len() > MESSAGES_MAX || self.bytes > BYTES_MAX {
            self.drop_oldest();
        }
    }

    /// Everything after that number.
    pub(super) fn after(&self, seq: u64) -> impl Iterator<Item = &Arc<Message>> {
        let start = self.messages.partition_point(|message| message.seq <= seq);
        self.messages.range(start..)
    }

    /// Forgets all of it.
    pub(super) fn empty(&mut self) {
        while !self.messages.is_empty() {
            self.drop_oldest();
        }
    }

    /// Forgets some, which are not missing then.
    pub(super) fn remove(&mut self, is_removed: impl Fn(&Message) -> bool) {
        self.messages.retain(|message| !is_removed(message));
        self.bytes = self.messages.iter().map(|message| message.raw.len()).sum();
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.messages.pop_front() {
            self.bytes -= oldest.raw.len();
            self.floor = self.floor.max(oldest.seq);
        }
    }
}
