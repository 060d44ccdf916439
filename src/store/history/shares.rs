//! Whose the bytes of the history are, and whose go when there are too many.
//!
//! The channel that takes the most loses its oldest first, so that a flood costs its own space before any other. Nothing is counted
//! before there is too much for the first time; then each channel's bytes are summed once, which takes a second per some million
//! messages, and followed in memory from there on.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rusqlite::{Connection, params};

use super::rows::{Bounds, Totals, signed, unsigned};

/// Names of channels.
pub(super) type Names = Arc<BTreeSet<Arc<str>>>;

/// Channels that are told apart beside those that the operator has named; all others together are as one. Whoever fills the history by way of made-up channels
/// leaves each of these the 257th part of it (less if many are named): of 1 GB, 15,000 messages of chat.
const OWN_MAX: usize = 256;

/// Channels that are told apart while it is counted, some 10 MB.
const COUNTED_MAX: usize = 65_536;

/// Which part of the history a channel may lose beyond what makes it smaller than the next: fewer and larger steps.
const STEP: u64 = 1024;

/// When the rest has lost this part of the history it is counted again: one of the rest may be large by now.
const AGAIN: u64 = 8;

/// Bytes by channel.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Shares {
    /// Those that the operator has named are always in `own`.
    named: Names,
    own: BTreeMap<Arc<str>, u64>,
    /// Of all channels that are not in `own`. While it is not 0 no other channel comes or goes there: else its older messages
    /// would be counted elsewhere than its newer ones.
    rest: u64,
    /// No message below is one of the rest.
    rest_from: u64,
    /// What the rest has lost since it was counted.
    rest_removed: u64,
}

/// A message that may go.
struct Old {
    seq: u64,
    channel: Arc<str>,
    bytes: u64,
}

impl Shares {
    fn count(connection: &Connection, named: &Names) -> rusqlite::Result<Self> {
        // In the order of the file: by the index of channels each message would be looked up on its own.
        let select = "SELECT channel, bytes FROM message NOT INDEXED";
        let mut statement = connection.prepare(select)?;
        let mut rows = statement.query([])?;
        let mut all = BTreeMap::<Arc<str>, u64>::new();
        let mut sum = 0;
        while let Some(row) = rows.next()? {
            let channel = row.get_ref(0)?.as_str()?;
            let bytes = unsigned(row, 1)?;
            sum += bytes;
            if let Some(total) = all.get_mut(channel) {
                *total += bytes;
            } else if all.len() < COUNTED_MAX || named.contains(channel) {
                all.insert(channel.into(), bytes);
            }
        }
        let mut all: Vec<_> = all.into_iter().collect();
        all.sort_unstable_by_key(|(name, bytes)| (!named.contains(name), Reverse(*bytes)));
        all.truncate(OWN_MAX + named.len());
        let own: u64 = all.iter().map(|(_, bytes)| bytes).sum();
        Ok(Self {
            own: all.into_iter().collect(),
            rest: sum - own,
            named: Arc::clone(named),
            ..Self::default()
        })
    }

    pub(super) fn add(&mut self, channel: &Arc<str>, bytes: u64) {
        if let Some(total) = self.own.get_mut(channel) {
            *total += bytes;
        } else if self.named.contains(channel) || self.has_room() {
            self.own.insert(Arc::clone(channel), bytes);
        } else {
            self.rest += bytes;
        }
    }

    fn has_room(&self) -> bool {
        self.rest == 0 && self.own.len() < OWN_MAX + self.named.len()
    }

    pub(super) fn subtract(&mut self, channel: &str, bytes: u64) {
        match self.own.get_mut(channel) {
            Some(total) => *total = total.saturating_sub(bytes),
            None => self.rest = self.rest.saturating_sub(bytes),
        }
        if self.rest == 0 {
            self.own.retain(|_, total| *total > 0);
        }
    }

    /// Who takes the most, `None` being the rest, and by how much more than the next.
    fn largest(&self) -> (Option<Arc<str>>, u64) {
        let mut largest = (None, self.rest);
        let mut next = 0;
        for (channel, total) in &self.own {
            if *total > largest.1 {
                next = largest.1;
                largest = (Some(channel), *total);
            } else {
                next = next.max(*total);
            }
        }
        (largest.0.cloned(), largest.1 - next)
    }

    /// The oldest of the rest below `before`, until it is `enough`.
    fn oldest_of_rest(
        &mut self,
        connection: &Connection,
        before: u64,
        mut enough: impl FnMut(u64) -> bool,
    ) -> rusqlite::Result<Vec<Old>> {
        let select =
            "SELECT seq, channel, bytes FROM message WHERE seq >= ?1 AND seq < ?2 ORDER BY seq";
        let mut statement = connection.prepare(select)?;
        let mut rows = statement.query([self.rest_from, before].map(signed))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let channel = row.get_ref(1)?.as_str()?;
            let is_own = self.own.contains_key(channel);
            let (seq, bytes) = (unsigned(row, 0)?, unsigned(row, 2)?);
            if !is_own {
                if enough(bytes) {
                    break;
                }
                self.rest_removed += bytes;
                let channel = channel.into();
                found.push(Old {
                    seq,
                    channel,
                    bytes,
                });
            }
            // What is passed here is not looked at again: it stays, or goes with this change.
            self.rest_from = seq + 1;
        }
        Ok(found)
    }
}

/// The oldest of a channel below `before`, until it is `enough`.
fn oldest_of(
    connection: &Connection,
    channel: &Arc<str>,
    before: u64,
    mut enough: impl FnMut(u64) -> bool,
) -> rusqlite::Result<Vec<Old>> {
    let select = "SELECT seq, bytes FROM message WHERE channel = ?1 AND seq < ?2 ORDER BY seq";
    let mut statement = connection.prepare(select)?;
    let mut rows = statement.query(params![&**channel, signed(before)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let bytes = unsigned(row, 1)?;
        if enough(bytes) {
            break;
        }
        found.push(Old {
            seq: unsigned(row, 0)?,
            channel: Arc::clone(channel),
            bytes,
        });
    }
    Ok(found)
}

/// Removes messages below `before`, at most `count`, until the rest is within the limits: always the oldest of who takes
/// the most. Returns how many went.
pub(super) fn remove_largest(
    connection: &Connection,
    totals: &mut Totals,
    bounds: Bounds,
    before: u64,
    count: usize,
) -> rusqlite::Result<usize> {
    let mut removed = 0;
    while removed < count && bounds.are_exceeded(totals.messages, totals.bytes) {
        let part = |of: u64| bounds.bytes.min(totals.bytes) / of;
        let mut shares = match totals.shares.take() {
            Some(shares) if shares.rest_removed < part(AGAIN).max(1) => shares,
            _ => Shares::count(connection, &totals.named)?,
        };
        let (channel, lead) = shares.largest();
        let step = lead + part(STEP);
        let (mut messages, mut bytes) = (0, 0);
        let enough = |more: u64| {
            let left = (totals.messages.saturating_sub(messages), totals.bytes);
            let is_enough = bytes > step
                || removed as u64 + messages >= count as u64
                || !bounds.are_exceeded(left.0, left.1.saturating_sub(bytes));
            if !is_enough {
                messages += 1;
                bytes += more;
            }
            is_enough
        };
        let old = match &channel {
            Some(channel) => oldest_of(connection, channel, before, enough)?,
            None => shares.oldest_of_rest(connection, before, enough)?,
        };
        totals.shares = Some(shares);
        if old.is_empty() {
            // All that the largest has came with this change; the next one may remove it, and counts again in case it was miscounted.
            totals.shares = None;
            break;
        }
        let mut delete = connection.prepare("DELETE FROM message WHERE seq = ?1")?;
        for old in &old {
            delete.execute([signed(old.seq)])?;
            totals.subtract(&old.channel, old.bytes);
        }
        removed += old.len();
    }
    Ok(removed)
}
