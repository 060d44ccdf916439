//! What the hub knows of one channel.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::group::Group;
use super::io::ClientId;
use super::kept::Kept;
use super::message::Message;
use super::ring::Ring;
use super::users::Users;

/// Numbers left free before a kept message: so many others may pass it while it is on its way to the disk, and still have smaller numbers.
/// 1,024 of them last 10 ms at 100,000 messages per second, and are a millisecond in the times that numbers are.
const ROOM: u64 = 1024;
/// The same before one that follows another which is on its way, too: the disk mostly takes both at once.
const ROOM_BETWEEN: u64 = 64;

/// Bytes of live messages that wait for a client while it catches up: as much as memory has of a channel, four times.
pub(super) const CATCHING_BYTES_MAX: usize = 4 << 20;

/// A client that is told what it missed, and gets what is said meanwhile behind it.
#[derive(Debug)]
pub(super) struct Catching {
    /// The newest number that it has.
    pub(super) after: u64,
    /// From here on memory has everything.
    pub(super) before: u64,
    pub(super) queue: Vec<Arc<Message>>,
    pub(super) bytes: usize,
}

/// One channel.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) name: Arc<str>,
    pub(super) is_private: bool,
    /// Clients of the space that have caught up.
    pub(super) listeners: Group,
    pub(super) catching: BTreeMap<ClientId, Catching>,
    /// Who gets positions as JSON.
    pub(super) json: Group,
    /// Who gets them as bytes.
    pub(super) binary: Group,
    pub(super) ring: Ring,
    pub(super) kept: Kept,
    pub(super) users: Users,
    /// When the last of its users went.
    pub(super) emptied_at: Option<Instant>,
    pub(super) motion: Motion,
    /// Presence without positions was last told then.
    pub(super) presence_told: Option<Instant>,
    pub(super) said_at: Instant,
    /// The largest number that was delivered.
    last: u64,
    /// Numbers and tickets of what is on its way to the disk.
    pending: VecDeque<(u64, u64)>,
    /// Messages that wait behind it and will need numbers.
    pub(super) held: u64,
}

/// What is to be told of positions.
#[derive(Debug, Default)]
pub(super) struct Motion {
    /// Since the last tick.
    pub(super) moved: BTreeSet<Arc<str>>,
    pub(super) gone: BTreeSet<Arc<str>>,
    /// Clients that missed a frame.
    pub(super) lagged: BTreeSet<ClientId>,
    /// When those who are far are told next, and from which tick on.
    pub(super) far: Repeat,
    /// When bytes that may be lost are repeated next, and from which tick on.
    pub(super) again: Repeat,
}

/// Something that is told for all ticks since the last time.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Repeat {
    pub(super) due: Option<Instant>,
    pub(super) from_tick: u32,
}

impl Repeat {
    /// Somebody has moved: it is told within `pause`.
    pub(super) fn arm(&mut self, now: Instant, pause: Duration) {
        self.due.get_or_insert(now + pause);
    }

    /// The first tick to tell of, if it is time.
    pub(super) fn take(&mut self, now: Instant, tick: u32) -> Option<u32> {
        self.due.take_if(|due| *due <= now)?;
        Some(std::mem::replace(&mut self.from_tick, tick))
    }
}

impl Channel {
    /// Nothing above `floor` has been said in it.
    pub(super) fn new(name: Arc<str>, is_private: bool, floor: u64, now: Instant) -> Self {
        Self {
            name,
            is_private,
            listeners: Group::default(),
            catching: BTreeMap::new(),
            json: Group::default(),
            binary: Group::default(),
            ring: Ring::new(floor),
            kept: Kept::default(),
            users: Users::default(),
            emptied_at: None,
            motion: Motion::default(),
            presence_told: None,
            said_at: now,
            last: floor,
            pending: VecDeque::new(),
            held: 0,
        }
    }

    /// The largest number that was delivered.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// Whether a message that is not kept finds a number below what is on its way to the disk, now or after it has waited for its own
    /// sender. `Err` with the ticket for which it must wait if not: in a channel numbers ascend in the order of delivery, because `since`
    /// relies on it. What waits already comes first; and it must not need more numbers than are between any two.
    pub(super) fn may_pass(&self) -> Result<(), u64> {
        let (Some((first, _)), Some((_, ticket))) = (self.pending.front(), self.pending.back())
        else {
            return Ok(());
        };
        let is_narrow = self.pending.len() > 1 && self.held >= ROOM_BETWEEN;
        if is_narrow || self.last + self.held + 2 >= *first {
            return Err(*ticket);
        }
        Ok(())
    }

    /// The number of a message that is delivered now; `Err` with a ticket when there is none before that one is done.
    pub(super) fn number(&mut self, unix_us: u64) -> Result<u64, u64> {
        let next = self.last + 1;
        let number = match (self.pending.front(), self.pending.back()) {
            (Some((first, _)), Some((_, ticket))) if next >= *first => return Err(*ticket),
            (Some(_), _) => next,
            (None, _) => next.max(unix_us),
        };
        self.last = number;
        Ok(number)
    }

    /// The number of a message that is to be kept, which must be larger than all that are kept.
    pub(super) fn number_kept(&mut self, unix_us: u64, last_kept: u64, ticket: u64) -> u64 {
        let least = match self.pending.back() {
            Some((number, _)) => number + ROOM_BETWEEN + self.held,
            None => self.last + ROOM + self.held,
        };
        let number = unix_us.max(least).max(last_kept + 1);
        self.pending.push_back((number, ticket));
        number
    }

    /// What was on its way is on disk, or will never be. It is delivered at once, if at all.
    pub(super) fn settle(&mut self, ticket: u64) {
        self.pending.retain(|(_, other)| *other != ticket);
    }

    /// A kept message is delivered.
    pub(super) fn delivered(&mut self, number: u64) {
        self.last = self.last.max(number);
    }

    /// Whether it may be forgotten when there are too many channels.
    pub(super) fn is_idle(&self) -> bool {
        self.listeners.is_empty()
            && self.catching.is_empty()
            && self.users.is_empty()
            && self.pending.is_empty()
            && self.held == 0
            && !self.kept.is_awaited()
    }
}
