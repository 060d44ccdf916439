//! What one turn has for several clients, some of whom want only some types of it.

use std::sync::Arc;

use bus::Message;

use super::batch::Batch;
use super::outbox::Item;

/// Messages on their way to several clients. Who wants the same gets the same batch.
pub(super) struct Parcel {
    messages: Arc<[Arc<Message>]>,
    whole: Item,
    /// What is left of it for those who want only some types.
    parts: Vec<(Types, Option<Item>)>,
}

/// Types of messages that a client wants.
pub(super) type Types = Arc<[Arc<str>]>;

impl Parcel {
    pub(super) fn new(messages: Arc<[Arc<Message>]>, receivers: usize) -> Self {
        let whole = match (&messages[..], receivers) {
            // What belongs to one alone need not be put together.
            ([message], 1) => Item::One(message.clone()),
            _ => Item::Batch(Arc::new(Batch::new(messages.clone()))),
        };
        Self {
            messages,
            whole,
            parts: Vec::new(),
        }
    }

    /// What a client gets that wants only these types, or all of them if there are none. `None`: nothing.
    pub(super) fn of(&mut self, types: &Types) -> Option<Item> {
        if types.is_empty() {
            return Some(self.whole.clone());
        }
        let known = self.parts.iter().find(|(wanted, _)| wanted == types);
        if let Some((_, part)) = known {
            return part.clone();
        }
        let wanted = self
            .messages
            .iter()
            .filter(|message| message.is_wanted(types));
        let wanted: Arc<[_]> = wanted.cloned().collect();
        let part = match wanted.len() {
            0 => None,
            count if count == self.messages.len() => Some(self.whole.clone()),
            _ => Some(Item::Batch(Arc::new(Batch::new(wanted)))),
        };
        self.parts.push((types.clone(), part.clone()));
        part
    }
}

#[cfg(test)]
mod tests {
    use bus::{FrameKind, Policy};
    use bytes::Bytes;

    use super::*;

    fn message(seq: u64, kind: &str) -> Arc<Message> {
        Arc::new(Message {
            seq,
            channel: "stage".into(),
            kind: kind.into(),
            id: None,
            user: None,
            frame: FrameKind::Text,
            raw: Bytes::from_static(b"{}"),
            media: None,
            is_kept: false,
            policy: Policy::Everything,
        })
    }

    #[test]
    fn each_gets_the_types_that_it_wants_and_who_wants_the_same_shares_it() {
        let messages = Arc::from([message(1, "CHAT"), message(2, "HEART"), message(0, "made")]);
        let mut parcel = Parcel::new(messages, 3);
        let mut of = |types: &[&str]| {
            let types: Arc<[Arc<str>]> = types.iter().map(|kind| Arc::from(*kind)).collect();
            match parcel.of(&types) {
                Some(Item::Batch(batch)) => {
                    let numbers = batch.messages().iter().map(|message| message.seq);
                    (Some(batch.clone()), numbers.collect())
                }
                other => (None, vec![other.map_or(99, |_| 98)]),
            }
        };
        assert_eq!(of(&[]).1, [1, 2, 0]);
        assert_eq!(of(&["LIKE"]).1, [0]);
        let (chat, numbers) = of(&["CHAT", "LIKE"]);
        assert_eq!(numbers, [1, 0]);
        assert!(Arc::ptr_eq(
            &chat.unwrap(),
            &of(&["CHAT", "LIKE"]).0.unwrap()
        ));
        assert!(Arc::ptr_eq(
            &of(&["HEART", "CHAT"]).0.unwrap(),
            &of(&[]).0.unwrap()
        ));
    }

    #[test]
    fn who_wants_nothing_of_it_gets_nothing() {
        let mut parcel = Parcel::new(Arc::from([message(1, "CHAT")]), 1);
        assert!(parcel.of(&Arc::from([Arc::from("LIKE")])).is_none());
        assert!(matches!(parcel.of(&Arc::from([])), Some(Item::One(_))));
    }
}
