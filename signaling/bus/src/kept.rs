//! A channel's newest CHAT and LIKE, for who joins.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use super::message::Message;

/// Messages of each kind that a joiner gets.
const MESSAGES_MAX: usize = 500;
/// Their bytes, of each kind.
const BYTES_MAX: usize = 512 * 1024;

/// The newest of one kind, oldest first.
#[derive(Debug, Default)]
struct Newest {
    messages: VecDeque<Arc<Message>>,
    bytes: usize,
}

/// How much is known of what is on disk.
#[derive(Debug, Default, PartialEq, Eq)]
enum Knowledge {
    /// Nobody has joined yet.
    #[default]
    Nothing,
    /// It was asked for.
    Asked,
    /// All.
    Everything,
}

/// A channel's newest CHAT and LIKE.
#[derive(Debug, Default)]
pub(super) struct Kept {
    knowledge: Knowledge,
    chats: Newest,
    likes: Newest,
    /// Joiners who wait for it, by their serial numbers.
    waiting: BTreeSet<u64>,
}

impl Kept {
    /// Somebody wants it. Whether it has to be asked for.
    pub(super) fn want(&mut self, serial: u64) -> bool {
        self.waiting.insert(serial);
        let is_new = self.knowledge == Knowledge::Nothing;
        if is_new {
            self.knowledge = Knowledge::Asked;
        }
        is_new
    }

    /// Who waits for it and can be told now.
    pub(super) fn take_waiting(&mut self) -> BTreeSet<u64> {
        match self.knowledge {
            Knowledge::Everything => std::mem::take(&mut self.waiting),
            Knowledge::Nothing | Knowledge::Asked => BTreeSet::new(),
        }
    }

    pub(super) fn is_awaited(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.chats.bytes + self.likes.bytes
    }

    /// Forgets what the disk has, too. The next joiner makes it be read again. Not while somebody waits for it.
    pub(super) fn unload(&mut self) {
        if self.knowledge == Knowledge::Everything && self.waiting.is_empty() {
            *self = Self::default();
        }
    }

    /// It was delivered. Before anybody wants it, the disk is enough.
    pub(super) fn push(&mut self, message: &Arc<Message>) {
        if self.knowledge != Knowledge::Nothing
            && let Some(newest) = self.of_kind(&message.kind)
        {
            newest.push(message);
        }
    }

    /// What is on disk, oldest first. What was delivered since it was asked for is here already, and may be among it.
    pub(super) fn load(&mut self, messages: &[Arc<Message>]) {
        let since = [
            std::mem::take(&mut self.chats),
            std::mem::take(&mut self.likes),
        ];
        for message in messages {
            if let Some(newest) = self.of_kind(&message.kind) {
                newest.push(message);
            }
        }
        for message in since.iter().flat_map(|newest| &newest.messages) {
            if let Some(newest) = self.of_kind(&message.kind) {
                newest.push(message);
            }
        }
        self.knowledge = Knowledge::Everything;
    }

    /// One is gone from history.
    pub(super) fn remove(&mut self, seq: u64) {
        for newest in [&mut self.chats, &mut self.likes] {
            newest.messages.retain(|message| message.seq != seq);
            newest.bytes = newest
                .messages
                .iter()
                .map(|message| message.raw.len())
                .sum();
        }
    }

    /// All are gone from history. What is asked for is still awaited.
    pub(super) fn clear(&mut self) {
        self.chats = Newest::default();
        self.likes = Newest::default();
    }

    /// CHAT and LIKE, as JSON arrays.
    pub(super) fn arrays(&self) -> [Vec<u8>; 2] {
        [self.chats.array(), self.likes.array()]
    }

    fn of_kind(&mut self, kind: &str) -> Option<&mut Newest> {
        match kind {
            "CHAT" => Some(&mut self.chats),
            "LIKE" => Some(&mut self.likes),
            _ => None,
        }
    }
}

impl Newest {
    fn push(&mut self, message: &Arc<Message>) {
        if self
            .messages
            .back()
            .is_some_and(|last| last.seq >= message.seq)
        {
            return;
        }
        self.bytes += message.raw.len();
        self.messages.push_back(Arc::clone(message));
        while self.messages.len() > MESSAGES_MAX || self.bytes > BYTES_MAX {
            let Some(oldest) = self.messages.pop_front() else {
                break;
            };
            self.bytes -= oldest.raw.len();
        }
    }

    fn array(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.bytes + self.messages.len() + 2);
        out.push(b'[');
        for (index, message) in self.messages.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            out.extend_from_slice(&message.raw);
        }
        out.push(b']');
        out
    }
}
