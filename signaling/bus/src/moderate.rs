//! What moderators and operators do.

use std::sync::Arc;
use std::time::Duration;

use super::hub::Hub;
use super::io::{Moderation, Output};
use super::made;
use super::message::{Message, Policy};
use super::open::frame;
use super::rules::Rules;
use super::wrapped::push_quoted;

/// Channels that have bans or slow mode at a time, some 300 bytes each while nobody speaks: more than the shell keeps,
/// which is 10,000 bans and 1,000 channels in slow mode.
pub(super) const RULED_MAX: usize = 12_000;

impl Hub {
    /// Does what somebody decided who may.
    pub(super) fn moderate(&mut self, moderation: Moderation) {
        match moderation {
            Moderation::Delete { channel, seq, id } => self.delete(&channel, seq, id.as_deref()),
            Moderation::SlowMode { channel, pause_ms } => {
                self.rule(&channel, |rules| {
                    rules.slow_down(Duration::from_millis(pause_ms));
                });
            }
            Moderation::Ban {
                channel,
                user,
                address,
                until_ms,
            } => {
                self.rule(&channel, |rules| rules.ban(user, address, until_ms));
            }
            Moderation::Reset => {
                let raw = self.made_envelope("RESET", "", b"\"\"");
                let message = made::frame(&"RESET".into(), &"".into(), raw, Policy::Everything);
                self.everything.push(None, &message);
                self.reset();
            }
            Moderation::Clear => self.clear(),
        }
    }

    /// Decides something for a channel, whether it is known or not: there is room although there is none for more channels.
    fn rule(&mut self, name: &Arc<str>, decide: impl FnOnce(&mut Rules)) {
        if !self.rules.contains_key(name) && self.rules.len() >= RULED_MAX {
            let unix_ms = self.unix_us / 1000;
            self.rules.retain(|_, rules| {
                rules.forget(unix_ms);
                !rules.is_empty()
            });
            if self.rules.len() >= RULED_MAX {
                let channel = Arc::clone(name);
                self.out.push_back(Output::Unheeded { channel });
                return;
            }
        }
        let rules = self.rules.entry(Arc::clone(name)).or_default();
        decide(rules);
        if rules.is_empty() {
            self.rules.remove(name);
        }
    }

    /// A message is gone from history.
    fn delete(&mut self, name: &Arc<str>, seq: u64, id: Option<&str>) {
        self.remember_deleted(seq);
        let mut value = format!("{{\"seq\":{seq},\"id\":").into_bytes();
        match id {
            Some(id) => push_quoted(&mut value, id),
            None => value.extend_from_slice(b"null"),
        }
        value.push(b'}');
        if let Some(channel) = self.channels.get_mut(name) {
            self.ring_bytes -= channel.ring.bytes();
            channel.ring.remove(|message| message.seq == seq);
            self.ring_bytes += channel.ring.bytes();
            self.kept_bytes -= channel.kept.bytes();
            channel.kept.remove(seq);
            self.kept_bytes += channel.kept.bytes();
            for catching in channel.catching.values_mut() {
                catching.queue.retain(|message| message.seq != seq);
            }
        }
        if !self.settings.private.contains(name) {
            let raw = self.made_envelope("DELETE", name, &value);
            let message = made::frame(&"DELETE".into(), name, raw, Policy::Everything);
            self.everything.push(None, &message);
        }
        let deleted = frame("deleted", name, &value, Policy::Everything);
        self.tell_space(name, &deleted);
    }

    /// Forgets everything that is kept, and everybody who is present.
    pub(super) fn reset(&mut self) {
        let users: Vec<_> = (self.channels.values())
            .flat_map(|channel| channel.users.iter().map(|(id, _)| (&channel.name, id)))
            .map(|(name, id)| (Arc::clone(name), Arc::clone(id)))
            .collect();
        for (name, id) in users {
            self.remove_user(&name, &id);
        }
        self.holds.clear();
        self.clear();
    }

    /// Forgets everything that is kept.
    fn clear(&mut self) {
        self.cleared = self.last_kept;
        let is_removed = |message: &Message| message.is_kept;
        let names: Vec<_> = self.channels.keys().cloned().collect();
        for name in names {
            let Some(channel) = self.channels.get_mut(&name) else {
                continue;
            };
            self.ring_bytes -= channel.ring.bytes();
            channel.ring.remove(is_removed);
            self.ring_bytes += channel.ring.bytes();
            self.kept_bytes -= channel.kept.bytes();
            channel.kept.clear();
            for catching in channel.catching.values_mut() {
                catching.queue.retain(|message| !is_removed(message));
            }
            let value = format!("{{\"seq\":{}}}", channel.last());
            let cleared = frame("cleared", &name, value.as_bytes(), Policy::Everything);
            self.tell_space(&name, &cleared);
        }
    }
}
