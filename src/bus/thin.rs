//! Leaves out of a slow client's queue what is not worth waiting for.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use bus::{Message, Policy};

use super::outbox::Item;

/// The keys of pictures begin so: one of somebody is as good as no other, and the next one comes soon.
const PICTURES: &str = "IMAGE:";

/// What was left out.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Thinned {
    /// Items.
    pub(super) dropped: usize,
    /// Whether positions were among them.
    pub(super) has_dropped_positions: bool,
}

/// Keeps of each state only the newest, and no positions: whoever is behind gets all of them when it has caught up.
pub(super) fn thin(items: &mut VecDeque<Item>) -> Thinned {
    let mut thinned = Thinned::default();
    let mut seen: HashSet<Arc<str>> = HashSet::new();
    let mut is_newest = |message: &Message| match &message.policy {
        Policy::Everything => true,
        Policy::Newest(key) => seen.insert(key.clone()),
    };
    let mut kept = VecDeque::with_capacity(items.len());
    // From the newest on backwards.
    while let Some(item) = items.pop_back() {
        match item {
            // What has nothing to leave out stays as it is encoded.
            Item::Batch(batch) if !batch.has_states() => kept.push_front(Item::Batch(batch)),
            Item::Batch(batch) => {
                for message in batch.messages().iter().rev() {
                    if is_newest(message) {
                        kept.push_front(Item::One(message.clone()));
                    } else {
                        thinned.dropped += 1;
                    }
                }
            }
            Item::One(message) => {
                if is_newest(&message) {
                    kept.push_front(Item::One(message));
                } else {
                    thinned.dropped += 1;
                }
            }
            Item::Positions { .. } => {
                thinned.dropped += 1;
                thinned.has_dropped_positions = true;
            }
            Item::Close { .. } => kept.push_front(item),
        }
    }
    *items = kept;
    thinned
}

/// Drops pictures, oldest first, until `bytes` are won or none is left. Says how many.
pub(super) fn drop_pictures(items: &mut VecDeque<Item>, bytes: usize) -> usize {
    let (mut won, before) = (0, items.len());
    items.retain(|item| {
        let is_kept = won >= bytes || !is_picture(item);
        if !is_kept {
            won += item.weight();
        }
        is_kept
    });
    before - items.len()
}

fn is_picture(item: &Item) -> bool {
    match item {
        Item::One(message) => {
            matches!(&message.policy, Policy::Newest(key) if key.starts_with(PICTURES))
        }
        _ => false,
    }
}
