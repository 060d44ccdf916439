//! The hub: who is there, what is said, who hears it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use super::io::{ClientId, Input, Output, Subscription};
use super::message::{Message, Policy};
use super::settings::Settings;

/// All messages of a server pass here, in one order.
///
/// Tell it what happens with [`handle`](Self::handle), then [`poll`](Self::poll) until there is nothing more: one turn may have several
/// inputs, and what is for the same clients comes out together. When [`deadline`](Self::deadline) comes, tell it [`Input::Timeout`].
#[derive(Debug)]
pub struct Hub {
    settings: Settings,
    last_seq: u64,
    clients: BTreeMap<ClientId, Subscription>,
    out: VecDeque<Output>,
}

impl Hub {
    /// A hub where nobody is.
    pub fn new(settings: Settings) -> Self {
        Self {
            last_seq: settings.last_seq,
            settings,
            clients: BTreeMap::new(),
            out: VecDeque::new(),
        }
    }

    /// What happens at `now`, which is `unix_us` microseconds since 1970.
    pub fn handle(&mut self, _now: Instant, unix_us: u64, input: Input) {
        match input {
            Input::Opened {
                client,
                subscription,
                ..
            } => {
                self.clients.insert(client, subscription);
            }
            Input::Closed { client } => {
                self.clients.remove(&client);
            }
            Input::Said { frame, bytes, .. } => {
                self.last_seq = unix_us.max(self.last_seq + 1);
                let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
                let text = |key: &str| value.get(key).and_then(|value| value.as_str());
                let message = Arc::new(Message {
                    seq: self.last_seq,
                    channel: text("channel").unwrap_or_default().into(),
                    kind: text("type").unwrap_or_default().into(),
                    id: text("id").map(Arc::from),
                    user: text("userId").map(Arc::from),
                    frame,
                    raw: bytes,
                    media: None,
                    is_kept: false,
                    policy: Policy::Everything,
                });
                self.relay(&message);
            }
            _ => {}
        }
    }

    fn relay(&mut self, message: &Arc<Message>) {
        let hears = |subscription: &Subscription| match subscription {
            Subscription::Everything => !self.settings.private.contains(&message.channel),
            Subscription::Space { space, .. } => *space == message.channel,
        };
        for is_everything in [true, false] {
            let to: Arc<[ClientId]> = (self.clients.iter())
                .filter(|(_, subscription)| {
                    (**subscription == Subscription::Everything) == is_everything
                        && hears(subscription)
                })
                .map(|(client, _)| *client)
                .collect();
            if !to.is_empty() {
                self.out.push_back(Output::Deliver {
                    to,
                    except: None,
                    messages: Arc::from([Arc::clone(message)]),
                });
            }
        }
    }

    /// What to do next; `None` when all is done for this turn.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When [`Input::Timeout`] is due; `None` when nothing waits.
    pub fn deadline(&self) -> Option<Instant> {
        None
    }
}
