//! Who is present in a channel, what is known of them, and where they are.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Instant;

use super::position::{FIELDS, Position};
use super::scan;
use super::wrapped::push_quoted;

/// Users of one channel: as many as a server has clients.
pub(super) const USERS_MAX: usize = 5000;
/// Fields of one user; the foyer has nine.
const FIELDS_MAX: usize = 32;
/// Bytes of all fields of one user, names included; the foyer has some 200.
const USER_BYTES_MAX: usize = 2048;

/// Bytes of any number that JavaScript writes.
const NUMBER_BYTES_MAX: usize = 25;

/// A channel, and somebody in it.
pub(super) type Hold = (Arc<str>, Arc<str>);

/// Somebody.
#[derive(Debug)]
pub(super) struct User {
    /// Names with their quotes, and values: both as they came.
    fields: Vec<(Box<str>, Box<str>)>,
    /// Connections that joined as this user, by their serial numbers.
    pub(super) holders: BTreeSet<u64>,
    /// When something was last said by or of this user: who has no connection is forgotten after a while.
    pub(super) heard_at: Instant,
    pub(super) place: Option<Place>,
}

/// Where somebody is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) position: Position,
    /// The tick after which it was last moved.
    pub(super) moved_after: u32,
    /// How binary frames name the user.
    pub(super) number: u16,
    /// It did not come in the elektron form, so that clients of `/` have still to be told.
    pub(super) is_untold: bool,
}

/// What a change changed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Change {
    /// Somebody is there who was not.
    pub(super) is_new: bool,
    /// Something that is no position.
    pub(super) has_fields: bool,
    /// A position.
    pub(super) has_moved: bool,
    /// Something was left out because there is no room.
    pub(super) is_full: bool,
}

/// All users of a channel.
#[derive(Debug, Default)]
pub(super) struct Users {
    by_id: BTreeMap<Arc<str>, User>,
    numbers: BTreeSet<u16>,
    last_number: u16,
    /// Of the fields of all.
    bytes: usize,
}

impl Users {
    pub(super) fn get(&self, id: &str) -> Option<&User> {
        self.by_id.get(id)
    }

    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut User> {
        self.by_id.get_mut(id)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &User)> {
        self.by_id.iter()
    }

    /// The user of that id, who may be new; `None` when there is no room.
    pub(super) fn upsert(&mut self, id: &Arc<str>, now: Instant) -> Option<(bool, &mut User)> {
        let is_new = !self.by_id.contains_key(id);
        if is_new {
            if self.by_id.len() >= USERS_MAX {
                return None;
            }
            self.bytes += id.len();
        }
        let user = self.by_id.entry(Arc::clone(id)).or_insert_with(|| User {
            fields: Vec::new(),
            holders: BTreeSet::new(),
            heard_at: now,
            place: None,
        });
        user.heard_at = now;
        Some((is_new, user))
    }

    /// Takes the fields of an object over, and the position if there is one among them. Without room only fields that are there change.
    pub(super) fn merge(&mut self, id: &str, object: &str, tick: u32, has_room: bool) -> Change {
        let mut change = Change::default();
        let Some(user) = self.by_id.get_mut(id) else {
            return change;
        };
        let mut numbers = user
            .place
            .map_or([0.0; 6], |place| place.position.numbers());
        for (key, value) in scan::fields(object) {
            let position = (FIELDS.iter().zip(&mut numbers)).find(|(name, _)| is_key(key, name));
            let is_position = position.is_some();
            if let Some((_, slot)) = position
                && let Some(number) = scan::number(value)
            {
                *slot = number;
                change.has_moved = true;
            }
            match user.set(key, value, has_room) {
                Some(bytes) => {
                    self.bytes = self.bytes.saturating_add_signed(bytes);
                    change.has_fields |= !is_position;
                }
                None => change.is_full |= user.field(key) != Some(value),
            }
        }
        if change.has_moved {
            let is_placed = self.place(id, Position::from_numbers(numbers), tick, false);
            change.is_full |= !is_placed;
        }
        change
    }

    /// Moves somebody. `false` when there is no number left for them.
    pub(super) fn place(
        &mut self,
        id: &str,
        position: Position,
        tick: u32,
        is_untold: bool,
    ) -> bool {
        let Some(user) = self.by_id.get_mut(id) else {
            return false;
        };
        if let Some(place) = &mut user.place {
            place.position = position;
            place.moved_after = tick;
            place.is_untold |= is_untold;
            return true;
        }
        let Some(number) = free_number(&self.numbers, self.last_number) else {
            return false;
        };
        self.numbers.insert(number);
        self.last_number = number;
        user.place = Some(Place {
            position,
            moved_after: tick,
            number,
            is_untold,
        });
        true
    }

    /// Somebody is gone. `None` when there was nobody of that id.
    pub(super) fn remove(&mut self, id: &str) -> Option<User> {
        let (key, user) = self.by_id.remove_entry(id)?;
        let bytes: usize = user
            .fields
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum();
        self.bytes = self.bytes.saturating_sub(key.len() + bytes);
        if let Some(place) = user.place {
            self.numbers.remove(&place.number);
        }
        Some(user)
    }

    /// `{"id":{...},...}`, with or without the fields that are positions.
    pub(super) fn write(&self, out: &mut Vec<u8>, has_positions: bool) {
        out.push(b'{');
        for (index, (id, user)) in self.by_id.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            push_quoted(out, id);
            out.extend_from_slice(b":{");
            let mut is_first = true;
            for (key, value) in &user.fields {
                if !has_positions && is_position(key) {
                    continue;
                }
                if !is_first {
                    out.push(b',');
                }
                is_first = false;
                out.extend_from_slice(key.as_bytes());
                out.push(b':');
                out.extend_from_slice(value.as_bytes());
            }
            out.push(b'}');
        }
        out.push(b'}');
    }
}

impl User {
    /// A field's value, by its name with quotes.
    pub(super) fn field(&self, key: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(name, _)| **name == *key);
        found.map(|(_, value)| &**value)
    }

    /// By how many bytes this makes it larger; `None` when it changes nothing or there is no room.
    fn set(&mut self, key: &str, value: &str, has_room: bool) -> Option<isize> {
        let total: usize = self
            .fields
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum();
        let count = self.fields.len();
        let slot = self.fields.iter_mut().find(|(name, _)| **name == *key);
        let before = slot
            .as_ref()
            .map_or(0, |(key, value)| key.len() + value.len());
        let after = key.len() + value.len();
        if total - before + after > USER_BYTES_MAX {
            return None;
        }
        let is_small = slot.is_some() && value.len() <= NUMBER_BYTES_MAX;
        if after > before && !has_room && !is_small {
            return None;
        }
        match slot {
            Some((_, old)) if **old == *value => return None,
            Some((_, old)) => *old = value.into(),
            None if count >= FIELDS_MAX => return None,
            None => self.fields.push((key.into(), value.into())),
        }
        Some(after.cast_signed() - before.cast_signed())
    }
}

/// Whether a name with quotes is one of a position.
fn is_position(key: &str) -> bool {
    FIELDS.iter().any(|name| is_key(key, name))
}

fn is_key(quoted: &str, name: &str) -> bool {
    quoted
        .strip_prefix('"')
        .and_then(|key| key.strip_suffix('"'))
        == Some(name)
}

/// The next one in the circle, so that frames which are still under way do not move somebody new.
fn free_number(used: &BTreeSet<u16>, last: u16) -> Option<u16> {
    let first_free = |from: u16, to: u16| {
        let mut expected = u32::from(from);
        for number in used.range((Bound::Included(from), Bound::Included(to))) {
            if u32::from(*number) != expected {
                break;
            }
            expected += 1;
        }
        u16::try_from(expected).ok().filter(|number| *number <= to)
    };
    let behind = (last < u16::MAX)
        .then(|| first_free(last + 1, u16::MAX))
        .flatten();
    behind.or_else(|| first_free(1, last.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_round_and_are_used_once() {
        assert_eq!(free_number(&BTreeSet::new(), 0), Some(1));
        assert_eq!(free_number(&BTreeSet::from([2, 3]), 1), Some(4));
        assert_eq!(
            free_number(&BTreeSet::from([u16::MAX, 1]), u16::MAX - 1),
            Some(2)
        );
        let all: BTreeSet<u16> = (1..=u16::MAX).collect();
        assert_eq!(free_number(&all, 5), None);
    }
}
