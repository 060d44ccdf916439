//! What is relayed: in which order, and to whom.

use std::sync::Arc;

use super::channel::{CATCHING_BYTES_MAX, Channel};
use super::hub::Hub;
use super::io::{ClientId, Output};
use super::lanes::{Draft, Held};
use super::message::{Message, Policy};
use super::refusal::Refusal;
use super::senders::Sender;

/// Try again later; RFC 6455 section 11.7.
const TRY_AGAIN_LATER: u16 = 1013;

/// Who hears a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Audience {
    pub(super) is_on_root: bool,
    pub(super) is_in_space: bool,
}

impl Audience {
    pub(super) const ALL: Self = Self {
        is_on_root: true,
        is_in_space: true,
    };
}

impl Hub {
    /// Takes a message that nothing speaks against: it is relayed now, or when the disk has what must be there before.
    ///
    /// # Errors
    /// `Full` when too much waits.
    pub(super) fn submit(&mut self, mut draft: Draft) -> Result<(), Refusal> {
        let (serial, is_kept) = (draft.serial, draft.message.is_kept);
        let is_waiting = self.lanes.is_waiting(serial);
        let unix_us = self.unix_us;
        let last_kept = self.last_kept;
        if (is_kept || is_waiting) && !self.lanes.has_room(serial, is_kept) {
            return Err(Refusal::Full);
        }
        let name = Arc::clone(&draft.message.channel);
        let Some(channel) = self.channel(&name) else {
            return Err(Refusal::Full);
        };
        if is_kept {
            let channel_name = Arc::clone(&channel.name);
            let ticket = self.lanes.open(&channel_name, serial);
            let Some(channel) = self.channels.get_mut(&channel_name) else {
                return Err(Refusal::Full);
            };
            let number = channel.number_kept(unix_us, last_kept, ticket);
            self.last_kept = number;
            Arc::make_mut(&mut draft.message).seq = number;
            // Now: it may be gone when the disk has answered.
            self.note_sender(&draft);
            draft.wait = Some(ticket);
            self.out.push_back(Output::Keep {
                ticket,
                message: Arc::clone(&draft.message),
            });
            self.lanes.push_back(serial, Held::Message(draft));
            return Ok(());
        }
        match channel.may_pass() {
            Ok(()) if !is_waiting => self.pass(draft),
            passing => self.hold(draft, passing.err(), false),
        }
        Ok(())
    }

    /// A message that is not kept waits in its sender's lane, and for a ticket if it needs one.
    fn hold(&mut self, mut draft: Draft, ticket: Option<u64>, is_first: bool) {
        let serial = draft.serial;
        if let Some(channel) = self.channels.get_mut(&draft.message.channel) {
            channel.held += 1;
        }
        if let Some(ticket) = ticket {
            self.lanes.also_wait(ticket, serial);
            draft.wait = Some(ticket);
        }
        if is_first {
            self.lanes.push_front(serial, Held::Message(draft));
        } else {
            self.lanes.push_back(serial, Held::Message(draft));
        }
    }

    /// The store has written something, or could not.
    pub(super) fn kept(&mut self, ticket: u64, is_stored: bool) {
        self.lanes.answer(ticket, is_stored);
        while let Some((ticket, is_stored)) = self.lanes.pop_done() {
            if let Some(channel) = self.channels.get_mut(&ticket.channel) {
                channel.settle(ticket.number);
            }
            for serial in ticket.serials {
                if let Some(lost) = self.lanes.release(serial, ticket.number, is_stored) {
                    self.lose(&lost);
                }
                self.advance(serial);
            }
        }
    }

    /// A message could not be kept: nobody hears it.
    fn lose(&mut self, draft: &Draft) {
        self.answer(draft.answer, Err(Refusal::NotStored));
        let sender = self.serials.get(&draft.serial).copied();
        if let Some(client) = sender.filter(|_| draft.answer.is_none()) {
            let id = draft.message.id.as_deref();
            self.tell_error(client, Refusal::NotStored, &draft.message.channel, id);
        }
    }

    /// Relays what waits of a sender, as far as it may leave.
    fn advance(&mut self, serial: u64) {
        while let Some(held) = self.lanes.pop_ready(serial) {
            match held {
                Held::Message(draft) => {
                    if !draft.message.is_kept
                        && let Some(channel) = self.channels.get_mut(&draft.message.channel)
                    {
                        channel.held -= 1;
                    }
                    self.pass(draft);
                }
                Held::Departure => self.depart(serial),
            }
        }
    }

    /// Relays a message that waits for nothing.
    fn pass(&mut self, mut draft: Draft) {
        let unix_us = self.unix_us;
        let name = Arc::clone(&draft.message.channel);
        let Some(channel) = self.channel(&name) else {
            self.answer(draft.answer, Err(Refusal::Full));
            return;
        };
        if draft.message.is_kept {
            channel.delivered(draft.message.seq);
        } else {
            match channel.number(unix_us) {
                Ok(number) => {
                    Arc::make_mut(&mut draft.message).seq = number;
                    self.note_sender(&draft);
                }
                Err(ticket) => {
                    self.hold(draft, Some(ticket), true);
                    return;
                }
            }
        }
        let audience = if draft.has_effect {
            self.apply(&draft.message, draft.serial)
        } else {
            Audience::ALL
        };
        self.relay(&draft.message, draft.except, audience);
        self.answer(draft.answer, Ok(draft.message.seq));
        if draft.has_effect && &*draft.message.kind == "RESET" {
            self.out.push_back(Output::Clear);
            self.reset();
        }
    }

    /// Remembers who said a message that has a number. Positions are too many, and nobody is banned for one.
    fn note_sender(&mut self, draft: &Draft) {
        let message = &draft.message;
        let client = self.serials.get(&draft.serial);
        let client = client.and_then(|client| self.clients.get(client));
        if let Some(client) = client.filter(|_| !is_position(&message.kind)) {
            let sender = Sender {
                user: message.user.clone(),
                address: Arc::clone(&client.address),
            };
            self.senders.note(message.seq, &message.channel, sender);
        }
    }

    /// Gives a message that has a number to who hears it.
    pub(super) fn relay(
        &mut self,
        message: &Arc<Message>,
        except: Option<ClientId>,
        audience: Audience,
    ) {
        let now = self.now;
        let Some(channel) = self.channels.get_mut(&message.channel) else {
            return;
        };
        channel.said_at = now.unwrap_or(channel.said_at);
        if audience.is_on_root && !channel.is_private {
            self.everything.push(except, message);
        }
        if !audience.is_in_space {
            return;
        }
        if message.is_kept {
            self.kept_bytes -= channel.kept.bytes();
            channel.kept.push(message);
            self.kept_bytes += channel.kept.bytes();
        }
        if message.policy == Policy::Everything {
            self.ring_bytes -= channel.ring.bytes();
            channel.ring.push(message);
            self.ring_bytes += channel.ring.bytes();
        }
        let too_slow = hear(channel, except, message);
        self.mark(&message.channel);
        for client in too_slow {
            self.close(
                client,
                TRY_AGAIN_LATER,
                "catching up takes too long; come again",
            );
        }
        self.shrink();
    }

    /// Gives a frame of the server's own to everybody in a space.
    pub(super) fn tell_space(&mut self, name: &Arc<str>, frame: &Arc<Message>) {
        if let Some(channel) = self.channels.get_mut(name) {
            for client in hear(channel, None, frame) {
                self.close(
                    client,
                    TRY_AGAIN_LATER,
                    "catching up takes too long; come again",
                );
            }
            self.mark(name);
        }
    }

    /// Something waits for a space's listeners.
    fn mark(&mut self, name: &Arc<str>) {
        if !self.dirty.contains(name) {
            self.dirty.insert(Arc::clone(name));
        }
    }
}

fn is_position(kind: &str) -> bool {
    matches!(kind, "CHANNEL_USER_UPDATE" | "POSITION")
}

/// Everybody in a space hears it, those who are catching up later. Gives who could not wait.
fn hear(channel: &mut Channel, except: Option<ClientId>, message: &Arc<Message>) -> Vec<ClientId> {
    channel.listeners.push(except, message);
    let mut too_slow = Vec::new();
    for (client, catching) in &mut channel.catching {
        if Some(*client) == except {
            continue;
        }
        catching.bytes += message.raw.len();
        catching.queue.push(Arc::clone(message));
        if catching.bytes > CATCHING_BYTES_MAX {
            too_slow.push(*client);
        }
    }
    for client in &too_slow {
        channel.catching.remove(client);
    }
    too_slow
}
