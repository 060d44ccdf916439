//! The hub: who is there, what is said, who hears it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use super::channel::Channel;
use super::client::Client;
use super::group::Group;
use super::io::{ClientId, Input, Output};
use super::lanes::Lanes;
use super::made::{self, Maker};
use super::message::{Message, Policy};
use super::refusal::Refusal;
use super::rules::Rules;
use super::senders::{Sender, Senders};
use super::settings::Settings;
use super::ticks::Clock;
use super::users::Hold;

/// Channels that are known at a time; those that the operator has named come on top. What they hold is bounded for all of them together: [`RINGS_BYTES_MAX`], [`KEPT_BYTES_MAX`].
pub(super) const CHANNELS_MAX: usize = 1024;
/// Idle channels that are forgotten at once when there are too many, so that looking for them is rare.
const FORGET_AT_ONCE: usize = 128;
/// Bytes of the newest messages of all channels together.
pub(super) const RINGS_BYTES_MAX: usize = 64 << 20;
/// Bytes of what joiners get of all channels together: 64 channels that are full.
pub(super) const KEPT_BYTES_MAX: usize = 64 << 20;
/// Deleted messages that are remembered, for answers of the store that were read before.
const DELETED_MAX: usize = 1024;

/// All messages of a server pass here, in one order.
///
/// Tell it what happens with [`handle`](Self::handle), then [`poll`](Self::poll) until there is nothing more: one turn may have several
/// inputs, and what is for the same clients comes out together. When [`deadline`](Self::deadline) comes, tell it [`Input::Timeout`].
///
/// Budget: 3 µs for a message of 120 bytes, whatever the number of clients.
#[derive(Debug)]
pub struct Hub {
    pub(super) settings: Settings,
    pub(super) now: Option<Instant>,
    pub(super) unix_us: u64,
    pub(super) clients: BTreeMap<ClientId, Client>,
    /// Those that are open, by what is never used again.
    pub(super) serials: BTreeMap<u64, ClientId>,
    pub(super) last_serial: u64,
    pub(super) channels: BTreeMap<Arc<str>, Channel>,
    /// Of channels that moderators have decided something for, which may not be known otherwise.
    pub(super) rules: BTreeMap<Arc<str>, Rules>,
    /// Who hears everything.
    pub(super) everything: Group,
    pub(super) lanes: Lanes,
    /// As whom each connection has joined where.
    pub(super) holds: BTreeMap<u64, BTreeSet<Hold>>,
    pub(super) maker: Maker,
    pub(super) clock: Clock,
    /// The largest number of a kept message.
    pub(super) last_kept: u64,
    /// All that a channel without a memory may have missed has at most this number.
    pub(super) floor: u64,
    /// What is kept and has at most this number is gone.
    pub(super) cleared: u64,
    pub(super) deleted: BTreeSet<u64>,
    pub(super) senders: Senders,
    pub(super) ring_bytes: usize,
    pub(super) kept_bytes: usize,
    /// Of all users of public channels.
    pub(super) presence_bytes: usize,
    /// Channels for whose listeners something waits.
    pub(super) dirty: BTreeSet<Arc<str>>,
    /// Who gets `CHANNELS_UPDATED` with this turn's end.
    pub(super) joiners: BTreeSet<ClientId>,
    /// Channels whose history joiners wait for, and that may be there.
    pub(super) awaited: BTreeSet<Arc<str>>,
    /// For one client each, behind what is for all.
    pub(super) told: Vec<(ClientId, Arc<Message>)>,
    pub(super) out: VecDeque<Output>,
}

impl Hub {
    /// A hub where nobody is.
    pub fn new(settings: Settings) -> Self {
        Self {
            maker: Maker::new(settings.seed),
            clock: Clock::new(&settings),
            last_kept: settings.last_seq,
            floor: settings.last_seq,
            settings,
            now: None,
            unix_us: 0,
            clients: BTreeMap::new(),
            serials: BTreeMap::new(),
            last_serial: 0,
            channels: BTreeMap::new(),
            rules: BTreeMap::new(),
            everything: Group::default(),
            lanes: Lanes::default(),
            holds: BTreeMap::new(),
            cleared: 0,
            deleted: BTreeSet::new(),
            senders: Senders::default(),
            ring_bytes: 0,
            kept_bytes: 0,
            presence_bytes: 0,
            dirty: BTreeSet::new(),
            joiners: BTreeSet::new(),
            awaited: BTreeSet::new(),
            told: Vec::new(),
            out: VecDeque::new(),
        }
    }

    /// Who sent one of the newest messages of a channel.
    pub fn sender_of(&self, channel: &str, seq: u64) -> Option<&Sender> {
        self.senders.of(channel, seq)
    }

    /// What happens at `now`, which is `unix_us` microseconds since 1970. Neither has to ascend.
    pub fn handle(&mut self, now: Instant, unix_us: u64, input: Input) {
        if self.now.is_none() {
            // What was said before this life may have had any number up to now.
            self.floor = self.floor.max(unix_us);
        }
        let now = self.now.map_or(now, |last| last.max(now));
        self.now = Some(now);
        self.unix_us = unix_us;
        match input {
            Input::Opened {
                client,
                subscription,
                permissions,
                address,
            } => self.opened(now, client, subscription, permissions, address),
            Input::Closed { client } => self.closed(client),
            Input::Said {
                client,
                frame,
                bytes,
                media,
            } => self.said(now, client, frame, bytes, media),
            Input::Moved {
                client,
                user,
                position,
            } => self.moved(now, client, &user, position),
            Input::Publish {
                bytes,
                media,
                except,
                answer,
            } => self.publish(bytes, media, except, answer),
            Input::Lagged { client } => self.lagged(client),
            Input::Kept { ticket, is_stored } => self.kept(ticket, is_stored),
            Input::Loaded { channel, messages } => self.loaded(&channel, &messages),
            Input::CaughtUp {
                client,
                request,
                messages,
                is_cut,
            } => self.caught_up(client, request, &messages, is_cut),
            Input::Moderate(moderation) => self.moderate(moderation),
            Input::Timeout => {}
        }
    }

    /// What to do next; `None` when all is done for this turn.
    pub fn poll(&mut self) -> Option<Output> {
        if let Some(now) = self.now {
            self.flush(now);
        }
        self.out.pop_front()
    }

    /// When [`Input::Timeout`] is due; `None` when nothing waits.
    pub fn deadline(&self) -> Option<Instant> {
        let now = self.now?;
        self.clock.deadline(now, self)
    }

    /// Everything that waits for the end of a turn.
    fn flush(&mut self, now: Instant) {
        self.tick(now);
        let is_presence_told = self.tell_presence(now);
        self.everything.flush(&mut self.out);
        while let Some(name) = self.dirty.pop_first() {
            if let Some(channel) = self.channels.get_mut(&name) {
                channel.listeners.flush(&mut self.out);
                channel.binary.flush(&mut self.out);
            }
        }
        if is_presence_told {
            self.joiners.clear();
        }
        self.tell_joiners();
        for (client, message) in self.told.drain(..) {
            self.out.push_back(Output::Tell { client, message });
        }
    }

    /// The channel of that name, which may be new. `None` when there is no room for one more.
    pub(super) fn channel(&mut self, name: &Arc<str>) -> Option<&mut Channel> {
        if !self.channels.contains_key(name) {
            if self.channels.len() >= CHANNELS_MAX {
                self.forget_idle();
            }
            if self.channels.len() >= CHANNELS_MAX && !self.settings.named.contains(name) {
                return None;
            }
            let is_private = self.settings.private.contains(name);
            let channel = Channel::new(Arc::clone(name), is_private, self.floor, self.now?);
            self.channels.insert(Arc::clone(name), channel);
        }
        self.channels.get_mut(name)
    }

    /// Forgets channels that nobody is in, the most silent ones first.
    fn forget_idle(&mut self) {
        let mut idle: Vec<_> = (self.channels.values())
            .filter(|channel| channel.is_idle())
            .map(|channel| (channel.said_at, Arc::clone(&channel.name)))
            .collect();
        idle.sort();
        for (_, name) in idle.into_iter().take(FORGET_AT_ONCE) {
            if let Some(channel) = self.channels.remove(&name) {
                self.ring_bytes -= channel.ring.bytes();
                self.kept_bytes -= channel.kept.bytes();
                self.floor = self.floor.max(channel.last());
            }
        }
    }

    /// Makes room in memory by forgetting what was said in the most silent channels.
    pub(super) fn shrink(&mut self) {
        while self.ring_bytes > RINGS_BYTES_MAX {
            let holding = (self.channels.values_mut()).filter(|channel| channel.ring.bytes() > 0);
            let Some(channel) = holding.min_by_key(|channel| channel.said_at) else {
                return;
            };
            self.ring_bytes -= channel.ring.bytes();
            channel.ring.empty();
        }
        while self.kept_bytes > KEPT_BYTES_MAX {
            let holding = (self.channels.values_mut())
                .filter(|channel| channel.kept.bytes() > 0 && !channel.kept.is_awaited());
            let Some(channel) = holding.min_by_key(|channel| channel.said_at) else {
                return;
            };
            self.kept_bytes -= channel.kept.bytes();
            channel.kept.unload();
        }
    }

    /// A message is gone from history for good.
    pub(super) fn remember_deleted(&mut self, seq: u64) {
        self.deleted.insert(seq);
        if self.deleted.len() > DELETED_MAX {
            self.deleted.pop_first();
        }
    }

    /// Whether what the store has read is still in history.
    pub(super) fn is_history(&self, message: &Message) -> bool {
        message.seq > self.cleared && !self.deleted.contains(&message.seq)
    }

    /// Tells one client, behind everything of this turn.
    pub(super) fn tell(&mut self, client: ClientId, message: Arc<Message>) {
        self.told.push((client, message));
    }

    /// Tells a client why something of it was refused.
    pub(super) fn tell_error(
        &mut self,
        client: ClientId,
        refusal: Refusal,
        channel: &str,
        id: Option<&str>,
    ) {
        let Some(space) = self.clients.get(&client).map(|client| client.space.clone()) else {
            return;
        };
        let value = made::error_value(refusal, id);
        let kind = Arc::from("ERROR");
        let (channel, raw) = match space {
            Some(space) => (space, made::named("error", &value)),
            None => (
                Arc::from(channel),
                self.made_envelope("ERROR", channel, &value),
            ),
        };
        let message = made::frame(&kind, &channel, raw, Policy::Everything);
        self.tell(client, message);
    }

    /// An envelope of nobody's.
    pub(super) fn made_envelope(
        &mut self,
        kind: &str,
        channel: &str,
        value: &[u8],
    ) -> bytes::Bytes {
        let contents = made::Contents {
            kind,
            channel,
            user: "",
            user_name: "\"\"",
            value,
        };
        self.maker.envelope(self.unix_us, &contents)
    }

    /// Closes a connection; what it still says does not count.
    pub(super) fn close(&mut self, client: ClientId, code: u16, reason: &'static str) {
        if let Some(open) = self.clients.get_mut(&client)
            && !open.is_closing
        {
            open.is_closing = true;
            self.out.push_back(Output::Close {
                client,
                code,
                reason,
            });
        }
    }
}
