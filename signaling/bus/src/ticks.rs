//! What is told from time to time: positions, and who is present.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::channel::Channel;
use super::hub::Hub;
use super::io::ClientId;
use super::made;
use super::message::{Message, Policy};
use super::open::frame;
use super::presence::SILENCE_MAX;
use super::settings::Settings;
use super::wrapped::push_quoted;

/// `CHANNELS_UPDATED` comes at most so often.
const CHANGED_EVERY: Duration = Duration::from_millis(50);
/// And at most so many bytes of it per second to all clients of `/` together: 200 people who move are 40 kB, for 100 clients 4 MB.
const CHANGED_BYTES_PER_SECOND: usize = 100_000_000;
/// Even then it comes so often.
const CHANGED_AT_LEAST_EVERY: Duration = Duration::from_millis(500);
/// A channel that everybody has left is told of so long: then all clients know, and names that somebody makes up cost nobody more.
const EMPTY_MAX: Duration = Duration::from_secs(60);
/// Presence without positions comes at most so often.
const PRESENCE_EVERY: Duration = Duration::from_millis(250);
/// Who misses frames gets all positions at most so often.
pub(super) const WHOLE_EVERY: Duration = Duration::from_millis(250);

/// When what is told next.
#[derive(Debug)]
pub(super) struct Clock {
    pub(super) hz: u8,
    pub(super) interval: Duration,
    /// Whom one is nearer than this, squared.
    pub(super) near_squared: Option<f32>,
    pub(super) far_every: Duration,
    /// Ticks so far.
    pub(super) tick: u32,
    pub(super) ticked_at: Option<Instant>,
    /// Channels with something to tell of positions.
    pub(super) moving: BTreeSet<Arc<str>>,
    /// Channels in which somebody came, left or changed.
    pub(super) stale: BTreeSet<Arc<str>>,
    /// Any of that in any public channel.
    pub(super) is_changed: bool,
    changed_told: Option<Instant>,
    changed_bytes: usize,
    /// When those who have no connection are looked after.
    pub(super) sweep_at: Option<Instant>,
}

impl Clock {
    pub(super) fn new(settings: &Settings) -> Self {
        let hz = settings.position_hz.clamp(1, 60);
        let far_hz = settings.far_hz.clamp(1, hz);
        Self {
            hz,
            interval: Duration::from_secs(1) / u32::from(hz),
            near_squared: settings.position_radius.map(|radius| radius * radius),
            far_every: Duration::from_secs(1) / u32::from(far_hz),
            tick: 0,
            ticked_at: None,
            moving: BTreeSet::new(),
            stale: BTreeSet::new(),
            is_changed: false,
            changed_told: None,
            changed_bytes: 0,
            sweep_at: None,
        }
    }

    /// The next moment at which something is due.
    pub(super) fn deadline(&self, now: Instant, hub: &Hub) -> Option<Instant> {
        let channel = |name: &Arc<str>| hub.channels.get(name);
        let moving = (self.moving.iter())
            .filter_map(channel)
            .filter_map(|channel| self.motion_due(now, channel, hub));
        let stale = (self.stale.iter())
            .filter_map(channel)
            .map(|channel| presence_due(now, channel));
        let changed = (self.is_changed && !hub.everything.is_empty())
            .then(|| self.changed_due(now, hub.everything.len()));
        moving
            .chain(stale)
            .chain(changed)
            .chain(self.sweep_at)
            .min()
    }

    fn next_tick(&self, now: Instant) -> Instant {
        self.ticked_at.map_or(now, |ticked| ticked + self.interval)
    }

    /// When there is something to tell of positions in a channel.
    pub(super) fn motion_due(&self, now: Instant, channel: &Channel, hub: &Hub) -> Option<Instant> {
        let motion = &channel.motion;
        if !motion.moved.is_empty() || !motion.gone.is_empty() {
            return Some(self.next_tick(now));
        }
        let lagged = (motion.lagged.iter())
            .filter_map(|client| hub.clients.get(client))
            .map(|client| client.whole_at + WHOLE_EVERY);
        let due = lagged.chain(motion.far.due).chain(motion.again.due).min()?;
        Some(due.max(self.next_tick(now)))
    }

    fn changed_due(&self, now: Instant, clients: usize) -> Instant {
        let Some(told) = self.changed_told else {
            return now;
        };
        let bytes = u32::try_from(self.changed_bytes.saturating_mul(clients)).unwrap_or(u32::MAX);
        let share = f64::from(bytes) / CHANGED_BYTES_PER_SECOND as f64;
        told + Duration::from_secs_f64(share).clamp(CHANGED_EVERY, CHANGED_AT_LEAST_EVERY)
    }
}

fn presence_due(now: Instant, channel: &Channel) -> Instant {
    channel
        .presence_told
        .map_or(now, |told| told + PRESENCE_EVERY)
}

impl Hub {
    /// A client missed a frame of positions.
    pub(super) fn lagged(&mut self, id: ClientId) {
        let Some(space) = self
            .clients
            .get(&id)
            .and_then(|client| client.space.clone())
        else {
            return;
        };
        if let Some(channel) = self.channels.get_mut(&space) {
            channel.motion.lagged.insert(id);
            self.clock.moving.insert(space);
        }
    }

    /// Tells presence where it is due. Whether everybody on `/` was told.
    pub(super) fn tell_presence(&mut self, now: Instant) -> bool {
        self.sweep(now);
        let due: Vec<_> = (self.clock.stale.iter())
            .filter(|name| {
                (self.channels.get(*name)).is_none_or(|channel| presence_due(now, channel) <= now)
            })
            .cloned()
            .collect();
        for name in due {
            self.clock.stale.remove(&name);
            let Some(channel) = self.channels.get_mut(&name) else {
                continue;
            };
            channel.presence_told = Some(now);
            if channel.listeners.is_empty() && channel.catching.is_empty() {
                continue;
            }
            let mut value = Vec::from(b"{\"users\":");
            channel.users.write(&mut value, false);
            value.push(b'}');
            let frame = frame("presence", &name, &value, Policy::Newest("presence".into()));
            self.tell_space(&name, &frame);
        }
        let clients = self.everything.len();
        let is_due =
            self.clock.is_changed && clients > 0 && self.clock.changed_due(now, clients) <= now;
        if is_due {
            let message = self.presence_envelope();
            self.clock.is_changed = false;
            self.clock.changed_told = Some(now);
            self.clock.changed_bytes = message.raw.len();
            self.everything.push(None, &message);
        }
        is_due
    }

    /// `CHANNELS_UPDATED`.
    pub(super) fn presence_envelope(&mut self) -> Arc<Message> {
        let mut value = Vec::with_capacity(self.clock.changed_bytes + 1024);
        value.push(b'{');
        let channels = self.channels.values();
        let now = self.now;
        let is_new = |at: Instant| now.is_none_or(|now| now < at + EMPTY_MAX);
        let is_listed = |channel: &&Channel| {
            let has_users = !channel.users.is_empty();
            !channel.is_private && (has_users || channel.emptied_at.is_some_and(is_new))
        };
        for channel in channels.filter(is_listed) {
            if value.len() > 1 {
                value.push(b',');
            }
            push_quoted(&mut value, &channel.name);
            value.extend_from_slice(b":{\"users\":");
            channel.users.write(&mut value, true);
            value.push(b'}');
        }
        value.push(b'}');
        let raw = self.made_envelope("CHANNELS_UPDATED", "", &value);
        let policy = Policy::Newest("CHANNELS_UPDATED".into());
        made::frame(&"CHANNELS_UPDATED".into(), &"".into(), raw, policy)
    }

    /// Lets those go who have no connection and were silent for long.
    fn sweep(&mut self, now: Instant) {
        if self.clock.sweep_at.take_if(|at| *at <= now).is_none() {
            return;
        }
        let mut next: Option<Instant> = None;
        let mut gone = Vec::new();
        for channel in self.channels.values() {
            for (id, user) in channel
                .users
                .iter()
                .filter(|(_, user)| user.holders.is_empty())
            {
                let due = user.heard_at + SILENCE_MAX;
                if due <= now {
                    gone.push((Arc::clone(&channel.name), Arc::clone(id)));
                } else {
                    next = Some(next.map_or(due, |next| next.min(due)));
                }
            }
        }
        self.clock.sweep_at = next;
        for (name, id) in gone {
            self.leave_for(&name, &id, 0);
        }
    }
}
