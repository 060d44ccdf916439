//! Where recent messages came from, for moderators who ban whoever sent one.

use std::collections::VecDeque;
use std::sync::Arc;

/// Messages whose senders are remembered, some 400 kB: a minute of a busy venue. The oldest is forgotten.
const SENDERS_MAX: usize = 4096;

/// Who sent a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// Its `userId`.
    pub user: Option<Arc<str>>,
    /// The address of its connection, as in [`super::Input::Opened`].
    pub address: Arc<str>,
}

/// The senders of the newest messages. In memory only: nobody's address is kept with what they said.
#[derive(Debug, Default)]
pub(super) struct Senders {
    /// As they came.
    recent: VecDeque<(u64, Arc<str>, Sender)>,
}

impl Senders {
    /// Remembers who sent message `seq` of a channel.
    pub(super) fn note(&mut self, seq: u64, channel: &Arc<str>, sender: Sender) {
        if self.recent.len() >= SENDERS_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back((seq, Arc::clone(channel), sender));
    }

    /// Who sent a message of a channel.
    pub(super) fn of(&self, channel: &str, seq: u64) -> Option<&Sender> {
        let mut newest = self.recent.iter().rev();
        let found =
            newest.find(|(its_seq, its_channel, _)| *its_seq == seq && **its_channel == *channel);
        found.map(|(.., sender)| sender)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_senders_are_known_and_the_oldest_forgotten() {
        let mut senders = Senders::default();
        let channel: Arc<str> = "stage".into();
        let sender = |seq: u64| Sender {
            user: seq.is_multiple_of(2).then(|| "ada".into()),
            address: format!("192.0.2.{}", seq % 256).into(),
        };
        for seq in 1..=SENDERS_MAX as u64 + 1 {
            senders.note(2 * seq, &channel, sender(seq));
        }
        assert_eq!(senders.of("stage", 2), None);
        assert_eq!(senders.of("stage", 4), Some(&sender(2)));
        assert_eq!(senders.of("stage", 5), None);
        assert_eq!(senders.of("other", 4), None);
        assert_eq!(senders.recent.len(), SENDERS_MAX);
    }
}
