//! Who comes, changes, moves and goes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::channel::Channel;
use super::envelope::{self, Envelope};
use super::hub::Hub;
use super::io::{ClientId, Output};
use super::lanes::Draft;
use super::made;
use super::message::{FrameKind, Message, Policy};
use super::position::Position;
use super::refusal::Refusal;
use super::relay::Audience;
use super::users::Change;
use super::wrapped::push_quoted;

/// Users, in whatever channels, that one connection can join as; a page joins as one, the foyer as one in each of its rooms.
const HOLDS_MAX: usize = 64;
/// Bytes of all users of public channels, and of those of one private one: all of them are one message, which has at most 1 MB.
const PRESENCE_BYTES_MAX: usize = 1_000_000;
/// After so much silence somebody is gone who came over no connection, such as over OSC.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(60);

impl Hub {
    /// What a message changes, and who hears of it because of that.
    pub(super) fn apply(&mut self, message: &Arc<Message>, serial: u64) -> Audience {
        let (Some(user), Some(now)) = (message.user.clone(), self.now) else {
            return Audience::ALL;
        };
        let name = &message.channel;
        let envelope = || envelope::read_again(&message.raw);
        match &*message.kind {
            "CHANNEL_JOIN" => self.join(now, name, &user, serial, &envelope()),
            "CHANNEL_LEAVE" => self.leave(name, &user),
            "USER_UPDATE" => self.update_everywhere(name, &user, serial, &envelope()),
            "CHANNEL_USER_UPDATE" => {
                let envelope = envelope();
                let Some(value) = object(envelope.value) else {
                    return Audience::ALL;
                };
                if self.attend(now, name, &user, serial, false) {
                    self.merge(name, &user, serial, value);
                    self.remember_me(serial, &user);
                }
                // Clients of the space get ticks and presence.
                return Audience {
                    is_on_root: true,
                    is_in_space: message.is_kept,
                };
            }
            "POSITION" => {
                let Some(position) = envelope().value.and_then(Position::read) else {
                    return Audience::ALL;
                };
                self.place(now, name, &user, serial, position);
                return Audience {
                    is_on_root: message.is_kept,
                    is_in_space: message.is_kept,
                };
            }
            _ => {}
        }
        Audience::ALL
    }

    /// A client of a space moves somebody.
    pub(super) fn moved(
        &mut self,
        now: Instant,
        id: ClientId,
        user: &Arc<str>,
        position: Position,
    ) {
        let unix_ms = self.unix_us / 1000;
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        let Some(space) = client.space.clone() else {
            return;
        };
        let may_move = !client.is_closing
            && !client.permissions.is_read_only
            && position.is_finite()
            && !user.is_empty()
            && user.len() <= envelope::WORD_BYTES_MAX
            && client.moves.take(now);
        let (serial, address) = (client.serial, Arc::clone(&client.address));
        if !may_move {
            return;
        }
        let rules = self.rules.get(&space);
        let is_banned = rules.is_some_and(|rules| rules.is_banned(Some(user), &address, unix_ms));
        if self.channels.contains_key(&space) && !is_banned {
            self.place(now, &space, user, serial, position);
        }
    }

    fn place(
        &mut self,
        now: Instant,
        name: &Arc<str>,
        user: &Arc<str>,
        serial: u64,
        position: Position,
    ) {
        if !self.attend(now, name, user, serial, false) {
            return;
        }
        let tick = self.clock.tick;
        let Some(channel) = self.channels.get_mut(name) else {
            return;
        };
        let was_placed = channel
            .users
            .get(user)
            .is_some_and(|user| user.place.is_some());
        let has_moved = channel.users.place(user, position, tick, true);
        let change = Change {
            has_moved,
            is_full: !has_moved,
            ..Change::default()
        };
        self.remember_me(serial, user);
        self.note(name, user, serial, change, was_placed);
    }

    fn remember_me(&mut self, serial: u64, user: &Arc<str>) {
        let client = self.serials.get(&serial);
        if let Some(client) = client.and_then(|client| self.clients.get_mut(client))
            && client.me.as_ref() != Some(user)
        {
            client.me = Some(Arc::clone(user));
        }
    }

    fn join(
        &mut self,
        now: Instant,
        name: &Arc<str>,
        user: &Arc<str>,
        serial: u64,
        envelope: &Envelope<'_>,
    ) {
        if self.attend(now, name, user, serial, true) {
            self.introduce(name, user, serial, envelope);
        }
        // Also whoever finds no room among those who are present wants to know what was said.
        let client = self.serials.get(&serial).copied();
        let is_on_root = |client: &ClientId| {
            let client = self.clients.get(client);
            client.is_some_and(|client| client.space.is_none())
        };
        let Some(client) = client.filter(is_on_root) else {
            return;
        };
        self.joiners.insert(client);
        self.awaited.insert(Arc::clone(name));
        if let Some(channel) = self.channels.get_mut(name)
            && channel.kept.want(serial)
        {
            let channel = Arc::clone(name);
            self.out.push_back(Output::Load { channel });
        }
    }

    /// Takes over what somebody says of itself who joins.
    fn introduce(
        &mut self,
        name: &Arc<str>,
        user: &Arc<str>,
        serial: u64,
        envelope: &Envelope<'_>,
    ) {
        if let Some(value) = object(envelope.value) {
            self.merge(name, user, serial, value);
        }
        let Some(channel) = self.channels.get_mut(name) else {
            return;
        };
        let is_named =
            (channel.users.get(user)).is_some_and(|user| user.field("\"userName\"").is_some());
        if let Some(user_name) = envelope.user_name.filter(|_| !is_named) {
            let value = format!("{{\"userName\":{user_name}}}");
            self.merge(name, user, serial, &value);
        }
    }

    /// Somebody says that a user leaves, whatever connections there are.
    fn leave(&mut self, name: &Arc<str>, user: &Arc<str>) {
        let Some(removed) = self.remove_user(name, user) else {
            return;
        };
        for serial in removed {
            self.let_go(serial, name, user);
        }
    }

    /// Not where the user or who says it is banned: what it says in one channel would be read in the other.
    fn update_everywhere(
        &mut self,
        name: &Arc<str>,
        user: &Arc<str>,
        serial: u64,
        envelope: &Envelope<'_>,
    ) {
        let Some(value) = object(envelope.value) else {
            return;
        };
        let is_private = self.settings.private.contains(name);
        let unix_ms = self.unix_us / 1000;
        let client = self.serials.get(&serial);
        let client = client.and_then(|client| self.clients.get(client));
        let address = client.map_or("", |client| &client.address);
        let is_banned = |channel: &Channel| {
            let rules = self.rules.get(&channel.name);
            serial != 0 && rules.is_some_and(|rules| rules.is_banned(Some(user), address, unix_ms))
        };
        let channels: Vec<_> = (self.channels.values())
            .filter(|channel| !is_banned(channel))
            .filter(|channel| {
                if is_private {
                    channel.name == *name
                } else {
                    !channel.is_private
                }
            })
            .filter(|channel| channel.users.get(user).is_some())
            .map(|channel| Arc::clone(&channel.name))
            .collect();
        for channel in channels {
            self.merge(&channel, user, 0, value);
        }
    }

    /// Makes sure that a user is there, held by the connection that joins as it or brings it. `false` when there is no room, or the
    /// connection is gone.
    fn attend(
        &mut self,
        now: Instant,
        name: &Arc<str>,
        id: &Arc<str>,
        serial: u64,
        is_join: bool,
    ) -> bool {
        if serial != 0 && !self.serials.contains_key(&serial) {
            return false;
        }
        let is_crowded = self.presence_bytes > PRESENCE_BYTES_MAX;
        let Some(channel) = self.channels.get_mut(name) else {
            return false;
        };
        let is_crowded = is_crowded || channel.users.bytes() > PRESENCE_BYTES_MAX;
        let is_known = channel.users.get(id).is_some();
        let hold = (Arc::clone(name), Arc::clone(id));
        let is_held = serial != 0 && (is_join || !is_known);
        let has_room = !is_held
            || (self.holds.get(&serial))
                .is_none_or(|holds| holds.len() < HOLDS_MAX || holds.contains(&hold));
        let bytes = channel.users.bytes();
        let attended = (has_room && (is_known || !is_crowded))
            .then(|| channel.users.upsert(id, now))
            .flatten();
        let Some((is_new, user)) = attended else {
            self.tell_full(serial, name);
            return false;
        };
        if is_held {
            user.holders.insert(serial);
            self.holds.entry(serial).or_default().insert(hold);
        } else if user.holders.is_empty() {
            self.clock.sweep_at.get_or_insert(now + SILENCE_MAX);
        }
        let is_public = !channel.is_private;
        let grown = channel.users.bytes() - bytes;
        if is_public {
            self.presence_bytes += grown;
        }
        let change = Change {
            is_new,
            ..Change::default()
        };
        self.note(name, id, serial, change, true);
        true
    }

    fn merge(&mut self, name: &Arc<str>, id: &Arc<str>, serial: u64, object: &str) {
        let tick = self.clock.tick;
        let is_crowded = self.presence_bytes > PRESENCE_BYTES_MAX;
        let Some(channel) = self.channels.get_mut(name) else {
            return;
        };
        let was_placed = channel
            .users
            .get(id)
            .is_some_and(|user| user.place.is_some());
        let bytes = channel.users.bytes();
        let has_room = !is_crowded && channel.users.bytes() <= PRESENCE_BYTES_MAX;
        let change = channel.users.merge(id, object, tick, has_room);
        if !channel.is_private {
            self.presence_bytes = self.presence_bytes + channel.users.bytes() - bytes;
        }
        self.note(name, id, serial, change, was_placed);
    }

    /// A position in the elektron form, for presence and clients of `/`. It is known already.
    pub(super) fn merge_told(&mut self, name: &Arc<str>, id: &str, object: &str) {
        let tick = self.clock.tick;
        if let Some(channel) = self.channels.get_mut(name) {
            let bytes = channel.users.bytes();
            channel.users.merge(id, object, tick, true);
            if !channel.is_private {
                self.presence_bytes = self.presence_bytes + channel.users.bytes() - bytes;
            }
            if let Some(place) = (channel.users.get_mut(id)).and_then(|user| user.place.as_mut()) {
                place.is_untold = false;
            }
        }
    }

    /// Something about a user has changed: who is to be told, and when.
    fn note(
        &mut self,
        name: &Arc<str>,
        id: &Arc<str>,
        serial: u64,
        change: Change,
        was_placed: bool,
    ) {
        let Some(channel) = self.channels.get_mut(name) else {
            return;
        };
        if change.is_new || change.has_fields {
            self.clock.stale.insert(Arc::clone(name));
        }
        if !channel.is_private && (change.is_new || change.has_fields || change.has_moved) {
            self.clock.is_changed = true;
        }
        if change.has_moved {
            channel.motion.gone.remove(id);
            if !channel.motion.moved.contains(id) {
                channel.motion.moved.insert(Arc::clone(id));
            }
            if !self.clock.moving.contains(name) {
                self.clock.moving.insert(Arc::clone(name));
            }
            let place = channel.users.get(id).and_then(|user| user.place);
            if let Some(place) = place.filter(|_| !was_placed && !channel.binary.is_empty()) {
                let mut value = vec![b'{'];
                push_quoted(&mut value, id);
                value.extend_from_slice(format!(":{}}}", place.number).as_bytes());
                self.tell_binary(name, "number", &value);
            }
        }
        if change.is_full {
            self.tell_full(serial, name);
        }
    }

    fn tell_full(&mut self, serial: u64, name: &Arc<str>) {
        if let Some(client) = self.serials.get(&serial).copied() {
            self.tell_error(client, Refusal::Full, name, None);
        }
    }

    /// Tells those who get positions as bytes what their numbers mean.
    fn tell_binary(&mut self, name: &Arc<str>, what: &str, value: &[u8]) {
        let frame = made::frame(
            &Arc::from(what),
            name,
            made::named(what, value),
            Policy::Everything,
        );
        if let Some(channel) = self.channels.get_mut(name) {
            channel.binary.push(None, &frame);
            self.dirty.insert(Arc::clone(name));
        }
    }

    /// Removes a user; gives who held it.
    pub(super) fn remove_user(
        &mut self,
        name: &Arc<str>,
        id: &Arc<str>,
    ) -> Option<impl IntoIterator<Item = u64> + use<>> {
        let channel = self.channels.get_mut(name)?;
        let bytes = channel.users.bytes();
        let user = channel.users.remove(id)?;
        channel.emptied_at = channel.users.is_empty().then_some(self.now).flatten();
        channel.motion.moved.remove(id);
        let has_listeners = !channel.binary.is_empty();
        if user.place.is_some() {
            channel.motion.gone.insert(Arc::clone(id));
            self.clock.moving.insert(Arc::clone(name));
        }
        if !channel.is_private {
            self.presence_bytes -= bytes - channel.users.bytes();
            self.clock.is_changed = true;
        }
        self.clock.stale.insert(Arc::clone(name));
        if user.place.is_some() && has_listeners {
            let mut value = vec![b'['];
            push_quoted(&mut value, id);
            value.push(b']');
            self.tell_binary(name, "gone", &value);
        }
        Some(user.holders)
    }

    fn let_go(&mut self, serial: u64, name: &Arc<str>, user: &Arc<str>) {
        if let Some(holds) = self.holds.get_mut(&serial) {
            holds.remove(&(Arc::clone(name), Arc::clone(user)));
            if holds.is_empty() {
                self.holds.remove(&serial);
            }
        }
    }

    /// A connection is gone, and all that it said is relayed: whom it alone had joined as leave.
    pub(super) fn depart(&mut self, serial: u64) {
        for (name, id) in self.holds.remove(&serial).unwrap_or_default() {
            let Some(channel) = self.channels.get_mut(&name) else {
                continue;
            };
            let Some(user) = channel.users.get_mut(&id) else {
                continue;
            };
            user.holders.remove(&serial);
            if user.holders.is_empty() {
                self.leave_for(&name, &id, serial);
            }
        }
    }

    /// Says CHANNEL_LEAVE for somebody who did not.
    pub(super) fn leave_for(&mut self, name: &Arc<str>, id: &Arc<str>, serial: u64) {
        let user_name = (self.channels.get(name))
            .and_then(|channel| channel.users.get(id))
            .and_then(|user| user.field("\"userName\""))
            .filter(|name| name.starts_with('"'))
            .unwrap_or("\"\"")
            .to_owned();
        self.remove_user(name, id);
        let contents = made::Contents {
            kind: "CHANNEL_LEAVE",
            channel: name,
            user: id,
            user_name: &user_name,
            value: b"\"\"",
        };
        let raw = self.maker.envelope(self.unix_us, &contents);
        let message = leave_message(name, id, raw);
        // Without room for it, presence alone says so.
        let _ = self.submit(Draft {
            message: Arc::new(message),
            serial,
            except: None,
            answer: None,
            has_effect: false,
            wait: None,
        });
    }
}

fn leave_message(name: &Arc<str>, id: &Arc<str>, raw: Bytes) -> Message {
    Message {
        seq: 0,
        channel: Arc::clone(name),
        kind: "CHANNEL_LEAVE".into(),
        id: None,
        user: Some(Arc::clone(id)),
        frame: FrameKind::Text,
        raw,
        media: None,
        is_kept: false,
        policy: Policy::Everything,
    }
}

fn object(value: Option<&str>) -> Option<&str> {
    value.filter(|value| value.starts_with('{'))
}
