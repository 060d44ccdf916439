//! Who must still be told of whom.
//!
//! When 200 people join within seconds, telling each one of each other at once would be 40,000 messages. Changes are collected instead and
//! told together, at most once in [`FLUSH_EVERY`]: the text is the same for everybody but those who were welcomed in between.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::member::{Member, MemberKey};
use super::protocol::{Departure, Participant, ServerMessage};

/// The first change is told at once, the next ones together after this time.
pub(super) const FLUSH_EVERY: Duration = Duration::from_millis(100);

/// What happened to one member since the last flush, in counts of changes.
#[derive(Debug, Clone, Default)]
struct Change {
    joined: Option<u64>,
    updated: Option<u64>,
    left: Option<(u64, Departure)>,
}

/// Changes that are not told yet.
#[derive(Debug, Default)]
pub(super) struct Presence {
    /// Changes so far.
    count: u64,
    /// The count at the last flush.
    told: u64,
    changes: BTreeMap<MemberKey, Change>,
    /// Somebody joined, so that messages could name who is not known yet.
    has_joined: bool,
    /// Besides: who is watched, and how good connections are, may have changed.
    is_media_stale: bool,
    flushed: Option<Instant>,
}

impl Presence {
    pub(super) fn joined(&mut self, member: MemberKey) {
        self.count += 1;
        self.has_joined = true;
        self.changes.entry(member).or_default().joined = Some(self.count);
        self.is_media_stale = true;
    }

    pub(super) fn updated(&mut self, member: MemberKey) {
        self.count += 1;
        self.changes.entry(member).or_default().updated = Some(self.count);
        self.is_media_stale = true;
    }

    pub(super) fn left(&mut self, member: MemberKey, departure: Departure) {
        self.count += 1;
        self.changes.entry(member).or_default().left = Some((self.count, departure));
        self.is_media_stale = true;
    }

    /// Something that is no one's presence has to be told with the next flush.
    pub(super) fn media_changed(&mut self) {
        self.is_media_stale = true;
    }

    /// What somebody knows who is told everything now.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Whether messages could name somebody of whom others were not told.
    pub(super) fn has_joined(&self) -> bool {
        self.has_joined
    }

    /// When the next flush is due; `None` when there is nothing to tell.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        let is_stale = self.is_media_stale || !self.changes.is_empty();
        let earliest = self.flushed.map(|flushed| flushed + FLUSH_EVERY);
        is_stale.then(|| earliest.unwrap_or(now))
    }

    /// Whether this count is the last flush's or older: then [`message`](Self::message) is the same as for everybody.
    pub(super) fn is_common(&self, seen: u64) -> bool {
        seen <= self.told
    }

    /// The message for somebody who knows all up to `seen`; `None` when it knows all.
    pub(super) fn message(
        &self,
        seen: u64,
        members: &BTreeMap<MemberKey, Member>,
    ) -> Option<ServerMessage> {
        let (mut joined, mut updated, mut left) = (Vec::new(), Vec::new(), Vec::new());
        let is_news = |count: Option<u64>| count.is_some_and(|count| count > seen);
        for (key, change) in &self.changes {
            let is_known = !is_news(change.joined);
            if let Some((count, departure)) = &change.left {
                if is_known && *count > seen {
                    left.push(departure.clone());
                }
                continue;
            }
            let Some(member) = members.get(key) else {
                continue;
            };
            if !is_known {
                joined.push(member.to_message());
            } else if is_news(change.updated) {
                updated.push(member.to_message());
            }
        }
        to_message(joined, updated, left)
    }

    /// Everybody was told.
    pub(super) fn flushed(&mut self, now: Instant) {
        self.told = self.count;
        self.changes.clear();
        self.has_joined = false;
        self.is_media_stale = false;
        self.flushed = Some(now);
    }
}

/// One change has a message of its own, several have one together.
fn to_message(
    mut joined: Vec<Participant>,
    mut updated: Vec<Participant>,
    mut left: Vec<Departure>,
) -> Option<ServerMessage> {
    match (joined.len(), updated.len(), left.len()) {
        (0, 0, 0) => None,
        (1, 0, 0) => joined
            .pop()
            .map(|participant| ServerMessage::Joined { participant }),
        (0, 1, 0) => updated
            .pop()
            .map(|participant| ServerMessage::Updated { participant }),
        (0, 0, 1) => left.pop().map(ServerMessage::Left),
        _ => Some(ServerMessage::Participants {
            joined,
            updated,
            left,
        }),
    }
}
