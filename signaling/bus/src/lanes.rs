//! What waits for the disk, sender by sender.
//!
//! A kept message leaves when it is on disk, and what the same sender says meanwhile leaves behind it. Nobody else waits.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::io::ClientId;
use super::message::Message;

/// Messages on their way to the disk: as many as the store's queue takes.
const TICKETS_MAX: usize = 8192;
/// Bytes of all that waits: the largest messages of a thousand senders.
const BYTES_MAX: usize = 64 << 20;
/// What waits of one sender: five seconds of what it may say.
const LANE_MAX: usize = 512;

/// A message that is not delivered yet.
#[derive(Debug)]
pub(super) struct Draft {
    /// Its number is 0 until it has one.
    pub(super) message: Arc<Message>,
    /// Who says it: a client's serial number, or 0 for the server.
    pub(super) serial: u64,
    pub(super) except: Option<ClientId>,
    /// As in `Input::Publish`.
    pub(super) answer: Option<u64>,
    /// Whether it changes presence, if it is of such a type.
    pub(super) has_effect: bool,
    /// It leaves after this ticket.
    pub(super) wait: Option<u64>,
}

/// One place in a lane.
#[derive(Debug)]
pub(super) enum Held {
    Message(Draft),
    /// The sender is gone.
    Departure,
}

/// A request to the store.
#[derive(Debug)]
pub(super) struct Ticket {
    pub(super) number: u64,
    pub(super) channel: Arc<str>,
    /// Whose lanes wait for it; the first one is whose message it is.
    pub(super) serials: Vec<u64>,
    result: Option<bool>,
}

/// All lanes and tickets.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    lanes: BTreeMap<u64, VecDeque<Held>>,
    tickets: VecDeque<Ticket>,
    /// Of the first in `tickets`.
    first: u64,
    bytes: usize,
}

impl Lanes {
    /// Whether what this sender says has to wait.
    pub(super) fn is_waiting(&self, serial: u64) -> bool {
        self.lanes.contains_key(&serial)
    }

    /// Whether there is room for one more message of this sender.
    pub(super) fn has_room(&self, serial: u64, is_kept: bool) -> bool {
        let is_short = self
            .lanes
            .get(&serial)
            .is_none_or(|lane| lane.len() < LANE_MAX);
        is_short && self.bytes < BYTES_MAX && !(is_kept && self.tickets.len() >= TICKETS_MAX)
    }

    /// A new ticket for a message of this sender.
    pub(super) fn open(&mut self, channel: &Arc<str>, serial: u64) -> u64 {
        let number = self.first + self.tickets.len() as u64;
        self.tickets.push_back(Ticket {
            number,
            channel: Arc::clone(channel),
            serials: vec![serial],
            result: None,
        });
        number
    }

    /// Somebody else's lane waits for a ticket, too.
    pub(super) fn also_wait(&mut self, ticket: u64, serial: u64) {
        if let Some(ticket) = self.ticket_mut(ticket)
            && !ticket.serials.contains(&serial)
        {
            ticket.serials.push(serial);
        }
    }

    pub(super) fn push_back(&mut self, serial: u64, held: Held) {
        self.bytes += bytes(&held);
        self.lanes.entry(serial).or_default().push_back(held);
    }

    pub(super) fn push_front(&mut self, serial: u64, held: Held) {
        self.bytes += bytes(&held);
        self.lanes.entry(serial).or_default().push_front(held);
    }

    /// The store's answer. Unknown tickets and second answers mean nothing.
    pub(super) fn answer(&mut self, ticket: u64, is_stored: bool) {
        if let Some(ticket) = self.ticket_mut(ticket) {
            ticket.result.get_or_insert(is_stored);
        }
    }

    /// The oldest ticket, if it is answered. Tickets are done in their order whatever the order of the answers: that way kept messages are
    /// delivered in the order of their numbers.
    pub(super) fn pop_done(&mut self) -> Option<(Ticket, bool)> {
        let is_stored = self.tickets.front()?.result?;
        let ticket = self.tickets.pop_front()?;
        self.first += 1;
        Some((ticket, is_stored))
    }

    /// Nothing waits for this ticket any more; gives what is lost with it.
    pub(super) fn release(&mut self, serial: u64, ticket: u64, is_stored: bool) -> Option<Draft> {
        let lane = self.lanes.get_mut(&serial)?;
        let mut lost = None;
        for (index, held) in lane.iter_mut().enumerate() {
            if let Held::Message(draft) = held
                && draft.wait == Some(ticket)
            {
                draft.wait = None;
                if draft.message.is_kept && !is_stored {
                    lost = Some(index);
                }
            }
        }
        let held = lane.remove(lost?)?;
        self.bytes -= bytes(&held);
        self.drop_empty(serial);
        match held {
            Held::Message(draft) => Some(draft),
            Held::Departure => None,
        }
    }

    /// What may leave now.
    pub(super) fn pop_ready(&mut self, serial: u64) -> Option<Held> {
        let lane = self.lanes.get_mut(&serial)?;
        let may_leave = lane.front().is_some_and(|held| match held {
            Held::Message(draft) => draft.wait.is_none(),
            Held::Departure => true,
        });
        let held = may_leave.then(|| lane.pop_front()).flatten();
        if let Some(held) = &held {
            self.bytes -= bytes(held);
        }
        self.drop_empty(serial);
        held
    }

    fn drop_empty(&mut self, serial: u64) {
        if self.lanes.get(&serial).is_some_and(VecDeque::is_empty) {
            self.lanes.remove(&serial);
        }
    }

    fn ticket_mut(&mut self, number: u64) -> Option<&mut Ticket> {
        let index = number.checked_sub(self.first)?;
        self.tickets.get_mut(usize::try_from(index).ok()?)
    }
}

fn bytes(held: &Held) -> usize {
    match held {
        Held::Message(draft) => draft.message.raw.len(),
        Held::Departure => 0,
    }
}
