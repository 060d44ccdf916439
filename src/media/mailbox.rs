//! What the media side tells one conference: a mailbox that never overflows, because news replaces older news of the same thing.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sfu::{Event, PeerId, StreamId};
use tokio::sync::Notify;

/// The events of one room, from the directory's thread to the one task that reads them.
///
/// Overflow policy: every event but `Connected` and `Closed`, which come once, says the whole state of something; an unread
/// one is replaced by the next, and counted. So a mailbox holds at most seven events for each participant and one for each of its
/// streams, however slow its reader is.
#[derive(Debug, Default)]
pub struct Mailbox {
    mail: Mutex<Mail>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct Mail {
    /// By order of arrival.
    events: BTreeMap<u64, Event>,
    latest: BTreeMap<Subject, u64>,
    next: u64,
    replaced: u64,
}

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Connected(PeerId),
    Reachable(PeerId),
    Quality(PeerId),
    Slots(PeerId),
    SlotsWanted(PeerId),
    Layers(StreamId),
    Speakers,
    Closed(PeerId),
}

impl Subject {
    /// `None` for what concerns no conference.
    fn of(event: &Event) -> Option<Self> {
        Some(match event {
            Event::Connected { peer } => Self::Connected(*peer),
            Event::Reachable { peer, .. } => Self::Reachable(*peer),
            Event::Quality { peer, .. } => Self::Quality(*peer),
            Event::Slots { peer, .. } => Self::Slots(*peer),
            Event::SlotsWanted { peer, .. } => Self::SlotsWanted(*peer),
            Event::Layers { stream, .. } => Self::Layers(*stream),
            Event::Speakers { .. } => Self::Speakers,
            Event::Closed { peer, .. } => Self::Closed(*peer),
            Event::TookOver { .. }
            | Event::StandsBy { .. }
            | Event::Live { .. }
            | Event::Silent { .. }
            | Event::Reordered { .. }
            | Event::Ended { .. } => return None,
        })
    }
}

impl Mailbox {
    fn lock(&self) -> MutexGuard<'_, Mail> {
        // Nothing in here is ever half changed.
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn put(&self, event: Event) {
        let Some(subject) = Subject::of(&event) else {
            return;
        };
        let mut mail = self.lock();
        mail.next += 1;
        let number = mail.next;
        if let Some(older) = mail.latest.insert(subject, number) {
            mail.events.remove(&older);
            mail.replaced += 1;
        }
        mail.events.insert(number, event);
        drop(mail);
        self.filled.notify_one();
    }

    /// Everything that came since the last call, oldest first; waits until there is something. For one reader. Cancel safe.
    pub async fn take(&self) -> Vec<Event> {
        loop {
            let events = self.try_take();
            if !events.is_empty() {
                return events;
            }
            self.filled.notified().await;
        }
    }

    fn try_take(&self) -> Vec<Event> {
        let mut mail = self.lock();
        mail.latest.clear();
        std::mem::take(&mut mail.events).into_values().collect()
    }

    /// Events that were replaced before they were read.
    pub fn replaced(&self) -> u64 {
        self.lock().replaced
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reachable(peer: u64, reachable: bool) -> Event {
        Event::Reachable {
            peer: PeerId(peer),
            reachable,
        }
    }

    #[tokio::test]
    async fn newer_news_of_the_same_thing_replaces_older_news() {
        let mailbox = Mailbox::default();
        mailbox.put(reachable(1, false));
        mailbox.put(reachable(2, false));
        mailbox.put(reachable(1, true));
        assert_eq!(
            mailbox.take().await,
            [reachable(2, false), reachable(1, true)]
        );
        assert_eq!(mailbox.replaced(), 1);
        mailbox.put(reachable(1, false));
        assert_eq!(mailbox.take().await, [reachable(1, false)]);
        assert_eq!(mailbox.replaced(), 1);
    }

    #[tokio::test]
    async fn a_reader_that_waits_is_woken() {
        let mailbox = std::sync::Arc::new(Mailbox::default());
        let reader = tokio::spawn({
            let mailbox = mailbox.clone();
            async move { mailbox.take().await }
        });
        tokio::task::yield_now().await;
        mailbox.put(Event::Connected { peer: PeerId(3) });
        assert_eq!(reader.await.unwrap().len(), 1);
    }
}
