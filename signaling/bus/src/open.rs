//! Connections that open and close, and what they missed.

use std::sync::Arc;
use std::time::Instant;

use super::channel::Catching;
use super::client::Client;
use super::hub::Hub;
use super::io::{ClientId, Output, Permissions, PositionForm, Subscription};
use super::lanes::Held;
use super::made;
use super::message::{Message, Policy};
use super::wrapped::push_quoted;

impl Hub {
    /// A client is there.
    pub(super) fn opened(
        &mut self,
        now: Instant,
        id: ClientId,
        subscription: Subscription,
        permissions: Permissions,
        address: Arc<str>,
    ) {
        self.closed(id);
        self.last_serial += 1;
        let serial = self.last_serial;
        let mut client = Client::new(serial, permissions, address, &self.settings, now);
        self.serials.insert(serial, id);
        let Subscription::Space {
            space,
            since,
            positions,
            ..
        } = subscription
        else {
            self.everything.add(id);
            self.clients.insert(id, client);
            return;
        };
        client.space = Some(Arc::clone(&space));
        client.positions = positions;
        self.clients.insert(id, client);
        if self.channel(&space).is_none() {
            self.close(id, 1013, "there are too many spaces; try again later");
            return;
        }
        self.welcome(now, id, &space, since, positions);
    }

    fn welcome(
        &mut self,
        now: Instant,
        id: ClientId,
        space: &Arc<str>,
        since: Option<u64>,
        positions: PositionForm,
    ) {
        let tick_hz = self.clock.hz;
        let request = self.clients.get(&id).map_or(0, |client| client.serial);
        let Some(channel) = self.channels.get_mut(space) else {
            return;
        };
        channel.said_at = now;
        // Who comes later than a message in this turn must not hear it with everybody.
        channel.listeners.flush(&mut self.out);
        channel.binary.flush(&mut self.out);
        let floor = channel.ring.floor();
        let missed = since.filter(|since| *since < floor);
        let mut value = Vec::from(b"{\"space\":");
        push_quoted(&mut value, space);
        let newest = channel.last();
        // A larger number than any is from before the clock was set back or the data directory was changed: what it missed is unknown.
        let has_missed = missed.is_some() || since.is_some_and(|since| since > newest);
        value.extend_from_slice(
            format!(",\"seq\":{newest},\"missed\":{has_missed},\"tick_hz\":{tick_hz}}}").as_bytes(),
        );
        let welcome = frame("welcome", space, &value, Policy::Everything);
        let mut presence = Vec::from(b"{\"users\":");
        channel.users.write(&mut presence, false);
        presence.push(b'}');
        let presence = frame(
            "presence",
            space,
            &presence,
            Policy::Newest("presence".into()),
        );
        let mut tell = |message: Arc<Message>| {
            self.out.push_back(Output::Tell {
                client: id,
                message,
            });
        };
        tell(welcome);
        tell(presence);
        let recent = since
            .into_iter()
            .flat_map(|since| channel.ring.after(since));
        if let Some(after) = missed {
            let queue: Vec<_> = recent.cloned().collect();
            let catching = Catching {
                after,
                before: floor + 1,
                bytes: queue.iter().map(|message| message.raw.len()).sum(),
                queue,
            };
            channel.catching.insert(id, catching);
            self.out.push_back(Output::CatchUp {
                client: id,
                request,
                channel: Arc::clone(space),
                after,
                before: floor + 1,
            });
        } else {
            recent.cloned().for_each(&mut tell);
            channel.listeners.add(id);
        }
        match positions {
            PositionForm::None => {}
            PositionForm::Json => channel.json.add(id),
            PositionForm::Binary => channel.binary.add(id),
        }
        self.tell_whole(now, space, id);
    }

    /// A client is gone. What it said before is still relayed, then whom it had joined as leave.
    pub(super) fn closed(&mut self, id: ClientId) {
        let Some(client) = self.clients.remove(&id) else {
            return;
        };
        self.serials.remove(&client.serial);
        self.everything.remove(id);
        self.joiners.remove(&id);
        self.told.retain(|(told, _)| *told != id);
        if let Some(channel) = client.space.and_then(|space| self.channels.get_mut(&space)) {
            channel.listeners.remove(id);
            channel.json.remove(id);
            channel.binary.remove(id);
            channel.catching.remove(&id);
            channel.motion.lagged.remove(&id);
        }
        if self.lanes.is_waiting(client.serial) {
            self.lanes.push_back(client.serial, Held::Departure);
        } else {
            self.depart(client.serial);
        }
    }

    /// The store has read what a client missed. What it has read for somebody who had this client's number before is for nobody.
    pub(super) fn caught_up(
        &mut self,
        id: ClientId,
        request: u64,
        messages: &[Arc<Message>],
        is_cut: bool,
    ) {
        let client = self.clients.get(&id);
        let client = client.filter(|client| client.serial == request);
        let space = client.and_then(|client| client.space.clone());
        let Some(space) = space else { return };
        let Some(mut catching) =
            (self.channels.get_mut(&space)).and_then(|channel| channel.catching.remove(&id))
        else {
            return;
        };
        let tell = |message: &Arc<Message>| Output::Tell {
            client: id,
            message: Arc::clone(message),
        };
        let started = catching.after;
        for message in messages {
            let is_next = message.seq > catching.after && message.seq < catching.before;
            if !is_next || message.channel != space {
                continue;
            }
            catching.after = message.seq;
            if self.is_history(message) {
                self.out.push_back(tell(message));
            }
        }
        let Some(channel) = self.channels.get_mut(&space) else {
            return;
        };
        if is_cut && catching.after > started {
            self.out.push_back(Output::CatchUp {
                client: id,
                request,
                channel: space,
                after: catching.after,
                before: catching.before,
            });
            channel.catching.insert(id, catching);
            return;
        }
        self.out.extend(catching.queue.iter().map(tell));
        // What was said in this turn is in its queue already.
        channel.listeners.flush(&mut self.out);
        channel.listeners.add(id);
    }

    /// The store has read a channel's newest CHAT and LIKE.
    pub(super) fn loaded(&mut self, name: &Arc<str>, messages: &[Arc<Message>]) {
        let Some(last) = self.channels.get(name).map(super::channel::Channel::last) else {
            return;
        };
        // What is on disk but not delivered yet comes in its turn.
        let history: Vec<_> = (messages.iter())
            .filter(|message| message.seq <= last && self.is_history(message))
            .cloned()
            .collect();
        if let Some(channel) = self.channels.get_mut(name) {
            self.kept_bytes -= channel.kept.bytes();
            channel.kept.load(&history);
            self.kept_bytes += channel.kept.bytes();
            self.awaited.insert(Arc::clone(name));
            self.shrink();
        }
    }

    /// Tells who has joined who is there, and what was said before.
    pub(super) fn tell_joiners(&mut self) {
        let joiners = std::mem::take(&mut self.joiners);
        if !joiners.is_empty() {
            let presence = self.presence_envelope();
            for client in joiners {
                self.out.push_back(Output::Tell {
                    client,
                    message: Arc::clone(&presence),
                });
            }
        }
        for name in std::mem::take(&mut self.awaited) {
            let Some(channel) = self.channels.get_mut(&name) else {
                continue;
            };
            let waiting = channel.kept.take_waiting();
            if waiting.is_empty() {
                continue;
            }
            let [chats, likes] = channel.kept.arrays();
            let syncs = [("CHAT_SYNC", chats), ("LIKE_SYNC", likes)].map(|(kind, value)| {
                let raw = self.made_envelope(kind, &name, &value);
                made::frame(&Arc::from(kind), &name, raw, Policy::Everything)
            });
            for client in waiting.iter().filter_map(|serial| self.serials.get(serial)) {
                self.out.extend(syncs.iter().map(|message| Output::Tell {
                    client: *client,
                    message: Arc::clone(message),
                }));
            }
        }
    }
}

/// `{"NAME":VALUE}` for clients of a space.
pub(super) fn frame(name: &str, space: &Arc<str>, value: &[u8], policy: Policy) -> Arc<Message> {
    made::frame(&Arc::from(name), space, made::named(name, value), policy)
}
