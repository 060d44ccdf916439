//! Clients that get the same, and what waits for them.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use super::io::{ClientId, Output};
use super::message::Message;

/// Clients that get the same. Their list is made anew only when it has changed.
#[derive(Debug, Default)]
pub(super) struct Group {
    members: BTreeSet<ClientId>,
    list: Option<Arc<[ClientId]>>,
    /// Said in this turn, and who does not get it.
    waiting: Vec<(Option<ClientId>, Arc<Message>)>,
}

impl Group {
    pub(super) fn add(&mut self, client: ClientId) {
        if self.members.insert(client) {
            self.list = None;
        }
    }

    pub(super) fn remove(&mut self, client: ClientId) {
        if self.members.remove(&client) {
            self.list = None;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    /// Everybody who is in it.
    pub(super) fn list(&mut self) -> Arc<[ClientId]> {
        let members = &self.members;
        Arc::clone((self.list).get_or_insert_with(|| members.iter().copied().collect()))
    }

    /// For everybody in it but one, with the end of this turn.
    pub(super) fn push(&mut self, except: Option<ClientId>, message: &Arc<Message>) {
        if !self.members.is_empty() {
            self.waiting.push((except, Arc::clone(message)));
        }
    }

    /// One batch for everything that waits, or several if somebody must not get some of it.
    pub(super) fn flush(&mut self, out: &mut VecDeque<Output>) {
        if self.waiting.is_empty() {
            return;
        }
        let waiting = std::mem::take(&mut self.waiting);
        if self.members.is_empty() {
            return;
        }
        let to = self.list();
        for run in waiting.chunk_by(|(a, _), (b, _)| a == b) {
            out.push_back(Output::Deliver {
                to: Arc::clone(&to),
                except: run.first().and_then(|(except, _)| *except),
                messages: run.iter().map(|(_, message)| Arc::clone(message)).collect(),
            });
        }
    }
}
