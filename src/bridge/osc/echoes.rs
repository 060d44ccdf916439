//! What came from whom, so that it is not sent back.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::peers::PeerSet;

/// Messages under way: the bus delivers within milliseconds, and even a second's worth of four senders fits.
const MESSAGES_MAX: usize = 4096;

/// People whom peers move.
const POSITIONS_MAX: usize = 4096;

/// X, Y, Z and the rotations about them.
pub(super) type Numbers = [f32; 6];

/// Remembers ids of messages and who moved whom where.
#[derive(Debug, Default)]
pub(super) struct Echoes {
    messages: HashMap<String, PeerSet>,
    order: VecDeque<String>,
    positions: HashMap<(Arc<str>, String), (PeerSet, Numbers)>,
}

impl Echoes {
    /// This message is not for those peers.
    pub(super) fn remember(&mut self, id: &str, peers: PeerSet) {
        if peers == 0 {
            return;
        }
        if self.order.len() == MESSAGES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.messages.remove(&oldest);
        }
        self.order.push_back(id.to_owned());
        self.messages.insert(id.to_owned(), peers);
    }

    /// Whom this message is not for.
    pub(super) fn of(&self, id: Option<&str>) -> PeerSet {
        let peers = id.and_then(|id| self.messages.get(id));
        peers.copied().unwrap_or(0)
    }

    /// Those peers know that this user is there.
    pub(super) fn moved(&mut self, space: &Arc<str>, user: &str, peers: PeerSet, to: Numbers) {
        let key = (space.clone(), user.to_owned());
        if self.positions.len() == POSITIONS_MAX && !self.positions.contains_key(&key) {
            // The worst that comes of it is one echo for each.
            self.positions.clear();
        }
        self.positions.insert(key, (peers, to));
    }

    /// Who need not be told that this user is there.
    pub(super) fn of_position(&self, space: &Arc<str>, user: &str, at: &Numbers) -> PeerSet {
        match self.positions.get(&(space.clone(), user.to_owned())) {
            Some((peers, known)) if known == at => *peers,
            _ => 0,
        }
    }

    /// This user has left.
    pub(super) fn left(&mut self, space: &Arc<str>, user: &str) {
        self.positions.remove(&(space.clone(), user.to_owned()));
    }
}
