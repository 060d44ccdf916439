//! A hub with clients and a store whose every move a test makes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bus::{
    CATCH_UP_MAX, ClientId, FrameKind, Hub, Input, Message, Moderation, Output, Permissions,
    Position, PositionForm, Refusal, Settings, Subscription,
};
use bytes::Bytes;
use serde_json::Value;

/// When every test begins, in microseconds since 1970.
pub(crate) const START_US: u64 = 1_700_000_000_000_000;

/// What a client got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    Frame(FrameKind, Bytes),
    Positions {
        bytes: Bytes,
        frame: FrameKind,
        is_whole: bool,
    },
    Closed(u16),
}

/// A client as a test sees it.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) is_on_root: bool,
    pub(crate) heard: Vec<Heard>,
}

/// Client and request, channel, and the numbers that what is asked for lies between.
pub(crate) type CatchUp = ((u32, u64), Arc<str>, u64, u64);

pub(crate) struct House {
    pub(crate) hub: Hub,
    pub(crate) now: Instant,
    pub(crate) unix_us: u64,
    pub(crate) clients: BTreeMap<u32, Seen>,
    /// Answers at once when set; otherwise the test answers what is asked.
    pub(crate) is_store_prompt: bool,
    pub(crate) stored: Vec<Arc<Message>>,
    pub(crate) keeps: VecDeque<(u64, Arc<Message>)>,
    pub(crate) loads: VecDeque<Arc<str>>,
    pub(crate) catch_ups: VecDeque<CatchUp>,
    pub(crate) published: Vec<(u64, Result<u64, Refusal>)>,
    pub(crate) clears: usize,
    /// Channels for which moderators decided in vain.
    pub(crate) unheeded: Vec<Arc<str>>,
    /// Of `Deliver`, since the test looked last.
    pub(crate) batches: Vec<(usize, usize)>,
}

impl House {
    pub(crate) fn new() -> Self {
        Self::with(Settings::default())
    }

    #[expect(clippy::disallowed_methods, reason = "any moment will do")]
    pub(crate) fn with(settings: Settings) -> Self {
        Self {
            hub: Hub::new(settings),
            now: Instant::now(),
            unix_us: START_US,
            clients: BTreeMap::new(),
            is_store_prompt: true,
            stored: Vec::new(),
            keeps: VecDeque::new(),
            loads: VecDeque::new(),
            catch_ups: VecDeque::new(),
            published: Vec::new(),
            clears: 0,
            unheeded: Vec::new(),
            batches: Vec::new(),
        }
    }

    /// The server dies; what is on disk stays.
    pub(crate) fn restart(&mut self, mut settings: Settings) {
        settings.last_seq = self
            .stored
            .iter()
            .map(|message| message.seq)
            .max()
            .unwrap_or(0);
        self.hub = Hub::new(settings);
        self.clients.clear();
        self.keeps.clear();
        self.loads.clear();
        self.catch_ups.clear();
    }

    /// On `/`.
    pub(crate) fn root(&mut self, id: u32) {
        self.open(id, Subscription::Everything, Permissions::default());
    }

    pub(crate) fn space(&mut self, id: u32, space: &str, since: Option<u64>) {
        self.space_with(id, space, since, PositionForm::Json);
    }

    pub(crate) fn space_with(
        &mut self,
        id: u32,
        space: &str,
        since: Option<u64>,
        positions: PositionForm,
    ) {
        let subscription = Subscription::Space {
            space: space.into(),
            types: Vec::new(),
            since,
            positions,
        };
        self.open(id, subscription, Permissions::default());
    }

    pub(crate) fn open(&mut self, id: u32, subscription: Subscription, permissions: Permissions) {
        let is_on_root = subscription == Subscription::Everything;
        self.clients.insert(
            id,
            Seen {
                is_on_root,
                heard: Vec::new(),
            },
        );
        self.tell(Input::Opened {
            client: ClientId(id),
            subscription,
            permissions,
            address: format!("192.0.2.{}", id % 250).into(),
        });
        self.drain();
    }

    pub(crate) fn close(&mut self, id: u32) {
        self.tell(Input::Closed {
            client: ClientId(id),
        });
        self.drain();
    }

    pub(crate) fn say(&mut self, id: u32, text: &str) {
        self.say_frame(id, FrameKind::Text, text.as_bytes());
    }

    pub(crate) fn say_frame(&mut self, id: u32, frame: FrameKind, bytes: &[u8]) {
        self.tell(said(id, frame, bytes));
        self.drain();
    }

    pub(crate) fn move_to(&mut self, id: u32, user: &str, numbers: [f32; 6]) {
        self.tell(Input::Moved {
            client: ClientId(id),
            user: user.into(),
            position: Position::from_numbers(numbers),
        });
        self.drain();
    }

    pub(crate) fn moderate(&mut self, moderation: Moderation) {
        self.tell(Input::Moderate(moderation));
        self.drain();
    }

    /// One input of a turn; `drain` ends it.
    pub(crate) fn tell(&mut self, input: Input) {
        self.hub.handle(self.now, self.unix_us, input);
    }

    /// Time passes; what is due on the way happens when it is due.
    pub(crate) fn pass(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        for _ in 0..10_000 {
            let Some(due) = self.hub.deadline().filter(|due| *due <= end) else {
                break;
            };
            self.step_to(due);
        }
        self.step_to(end);
        assert!(
            self.hub.deadline().is_none_or(|due| due > end),
            "the hub is never done"
        );
    }

    fn step_to(&mut self, to: Instant) {
        let to = to.max(self.now);
        self.unix_us += u64::try_from((to - self.now).as_micros()).unwrap();
        self.now = to;
        self.tell(Input::Timeout);
        self.drain();
    }

    pub(crate) fn drain(&mut self) {
        while let Some(output) = self.hub.poll() {
            self.take(output);
        }
    }

    fn take(&mut self, output: Output) {
        match output {
            Output::Deliver {
                to,
                except,
                messages,
            } => {
                assert!(!to.is_empty() && !messages.is_empty());
                self.batches.push((to.len(), messages.len()));
                for client in to.iter().filter(|client| Some(**client) != except) {
                    for message in messages.iter() {
                        self.hear(client.0, message);
                    }
                }
            }
            Output::Tell { client, message } => self.hear(client.0, &message),
            Output::Positions {
                to,
                frame,
                bytes,
                is_whole,
            } => {
                for client in to.iter() {
                    let heard = Heard::Positions {
                        bytes: bytes.clone(),
                        frame,
                        is_whole,
                    };
                    self.clients.get_mut(&client.0).unwrap().heard.push(heard);
                }
            }
            Output::Keep { ticket, message } => {
                self.keeps.push_back((ticket, message));
                if self.is_store_prompt {
                    self.store_next(true);
                }
            }
            Output::Load { channel } => {
                self.loads.push_back(channel);
                if self.is_store_prompt {
                    self.load_next();
                }
            }
            Output::CatchUp {
                client,
                request,
                channel,
                after,
                before,
            } => {
                let whose = (client.0, request);
                self.catch_ups.push_back((whose, channel, after, before));
                if self.is_store_prompt {
                    self.catch_up_next();
                }
            }
            Output::Published { answer, result } => self.published.push((answer, result)),
            Output::Unheeded { channel } => self.unheeded.push(channel),
            Output::Clear => {
                self.stored.clear();
                self.clears += 1;
            }
            Output::Close { client, code, .. } => {
                self.clients
                    .get_mut(&client.0)
                    .unwrap()
                    .heard
                    .push(Heard::Closed(code));
            }
        }
    }

    /// The store answers the oldest request to keep something.
    pub(crate) fn store_next(&mut self, is_stored: bool) {
        if let Some((ticket, message)) = self.keeps.pop_front() {
            self.answer_keep(ticket, &message, is_stored);
        }
    }

    pub(crate) fn answer_keep(&mut self, ticket: u64, message: &Arc<Message>, is_stored: bool) {
        if is_stored {
            assert!(
                self.stored.iter().all(|other| other.seq != message.seq),
                "a number twice"
            );
            self.stored.push(Arc::clone(message));
        }
        self.tell(Input::Kept { ticket, is_stored });
    }

    pub(crate) fn load_next(&mut self) {
        if let Some(channel) = self.loads.pop_front() {
            let messages = self.between(&channel, 0, u64::MAX);
            self.tell(Input::Loaded { channel, messages });
        }
    }

    pub(crate) fn catch_up_next(&mut self) {
        let Some(((client, request), channel, after, before)) = self.catch_ups.pop_front() else {
            return;
        };
        let mut messages = self.between(&channel, after, before);
        let is_cut = messages.len() > CATCH_UP_MAX;
        messages.truncate(CATCH_UP_MAX);
        self.tell(Input::CaughtUp {
            client: ClientId(client),
            request,
            messages,
            is_cut,
        });
    }

    pub(crate) fn between(&self, channel: &str, after: u64, before: u64) -> Vec<Arc<Message>> {
        let mut found: Vec<_> = (self.stored.iter())
            .filter(|message| {
                *message.channel == *channel && message.seq > after && message.seq < before
            })
            .cloned()
            .collect();
        found.sort_by_key(|message| message.seq);
        found
    }

    fn hear(&mut self, id: u32, message: &Arc<Message>) {
        let client = self.clients.get_mut(&id).unwrap();
        client.heard.push(if client.is_on_root {
            Heard::Frame(message.frame, message.raw.clone())
        } else {
            Heard::Frame(FrameKind::Text, message.wrapped())
        });
    }

    /// Everything that a client got since the last call.
    pub(crate) fn heard(&mut self, id: u32) -> Vec<Heard> {
        std::mem::take(&mut self.clients.get_mut(&id).unwrap().heard)
    }

    /// The same as texts; bytes and closes are left out.
    pub(crate) fn texts(&mut self, id: u32) -> Vec<String> {
        self.heard(id)
            .into_iter()
            .filter_map(|heard| match heard {
                Heard::Frame(_, bytes)
                | Heard::Positions {
                    bytes,
                    frame: FrameKind::Text,
                    ..
                } => Some(String::from_utf8(bytes.to_vec()).unwrap()),
                Heard::Positions { .. } | Heard::Closed(_) => None,
            })
            .collect()
    }

    /// The same as JSON.
    pub(crate) fn values(&mut self, id: u32) -> Vec<Value> {
        let texts = self.texts(id);
        texts
            .iter()
            .map(|text| serde_json::from_str(text).unwrap())
            .collect()
    }

    /// What a client of `/` got of one type.
    pub(crate) fn of_type(&mut self, id: u32, kind: &str) -> Vec<Value> {
        let mut values = self.values(id);
        values.retain(|value| value["type"] == kind);
        values
    }

    /// What a client of a space got under one key.
    pub(crate) fn of_key(&mut self, id: u32, key: &str) -> Vec<Value> {
        let values = self.values(id);
        values
            .into_iter()
            .filter_map(|value| value.get(key).cloned())
            .collect()
    }

    pub(crate) fn errors(&mut self, id: u32) -> Vec<String> {
        let values = self.values(id);
        let errors = values.iter().filter_map(|value| {
            let error = value
                .get("error")
                .or_else(|| (value["type"] == "ERROR").then(|| &value["value"]))?;
            error["code"].as_str().map(ToOwned::to_owned)
        });
        errors.collect()
    }
}

pub(crate) fn said(id: u32, frame: FrameKind, bytes: &[u8]) -> Input {
    Input::Said {
        client: ClientId(id),
        frame,
        bytes: Bytes::copy_from_slice(bytes),
        media: None,
    }
}

/// An envelope as the page writes it.
pub(crate) fn envelope(kind: &str, channel: &str, user: &str, value: &str) -> String {
    format!(
        r#"{{"id":"abcdefghijklmnop","datetime":"2024-05-01T20:15:00.000Z","type":"{kind}","channel":"{channel}","userId":"{user}","userName":"{user}","value":{value}}}"#
    )
}
