//! A participant on the message bus: between its data channels and a client of the bus, one task for each.
//!
//! What the bus has for the participant waits in the bus's outbox, which leaves out old states and ends who is too slow; from there it is
//! given to the media thread only as fast as SCTP takes it. So a phone on a bad network delays nobody but itself.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bus::{FrameKind, Permissions, PositionForm, Subscription};
use bytes::{Buf as _, Bytes};
use serde::Deserialize;
use sfu::{DATA_QUEUE_MAX, DATA_SENT_MAX, DataChannel, DataEvent};

use crate::bus::{Bus, Client, Item, Opening, Outbox, frames};
use crate::clock;
use crate::media::{Behind, DataChannels};

/// How long who wants positions in bytes has to open the channel for them. The first try of SCTP to repeat what was lost comes after a
/// second.
const POSITIONS_WAIT: Duration = Duration::from_secs(2);

/// When a media thread that took no more is asked again.
const RETRY: Duration = Duration::from_millis(5);

/// Who speaks.
#[derive(Debug, Clone)]
pub(super) struct Speaker {
    /// Where.
    pub(super) space: Arc<str>,
    /// The participant's id in the protocol: who it moves as long as it has not said who it is.
    pub(super) participant: Arc<str>,
    /// As [`Opening::address`].
    pub(super) address: Arc<str>,
    pub(super) is_moderator: bool,
}

/// What the `protocol` of the channel `messages` says: `since=SEQ` and `positions=binary`, `json` or `none`, joined by `&`. What is not
/// known is not looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Wishes {
    since: Option<u64>,
    positions: Option<PositionForm>,
}

impl Wishes {
    fn read(protocol: &str) -> Self {
        let mut wishes = Self::default();
        for (key, value) in protocol.split('&').filter_map(|part| part.split_once('=')) {
            match (key, value) {
                ("since", number) => wishes.since = number.parse().ok(),
                ("positions", "binary") => wishes.positions = Some(PositionForm::Binary),
                ("positions", "json") => wishes.positions = Some(PositionForm::Json),
                ("positions", "none") => wishes.positions = Some(PositionForm::None),
                _ => {}
            }
        }
        wishes
    }
}

/// Carries what is said until the participant is gone. Without a bus its channels are closed as soon as they open.
pub(super) async fn speak(channels: DataChannels, bus: Option<Bus>, speaker: Speaker) {
    let talk = Talk {
        user: speaker.participant.clone(),
        channels,
        bus,
        speaker,
        has_positions: false,
        opened: None,
        link: None,
        pending: VecDeque::new(),
        under_way: 0,
        closing: None,
        is_behind: false,
        has_sent: false,
    };
    talk.run().await;
}

struct Talk {
    channels: DataChannels,
    bus: Option<Bus>,
    speaker: Speaker,
    /// Whom it moves.
    user: Arc<str>,
    has_positions: bool,
    /// The channel `messages` is open, since when and with which wishes; the bus does not know yet.
    opened: Option<(Wishes, Instant)>,
    /// While it is connected to the bus.
    link: Option<(Client, Outbox)>,
    /// What the media thread has not been given yet.
    pending: VecDeque<Bytes>,
    /// Bytes that it has been given and that SCTP has not taken yet.
    under_way: usize,
    /// A channel that is to be closed when all that is pending was given.
    closing: Option<DataChannel>,
    /// The media thread took no more.
    is_behind: bool,
    /// The media thread is to be told that there is something.
    has_sent: bool,
}

/// What happened.
enum Turn {
    Event(Option<DataEvent>),
    Item(Item),
    /// The bus has given up: the participant does not read.
    TooSlow,
    Time,
}

impl Talk {
    async fn run(mut self) {
        loop {
            match self.turn().await {
                Turn::Event(None) => return,
                Turn::Event(Some(event)) => self.on_event(event).await,
                Turn::Item(item) => self.on_items(item),
                Turn::TooSlow => {
                    // What is under way may never be taken.
                    self.pending.clear();
                    self.under_way = 0;
                    self.end(DataChannel::Messages);
                }
                Turn::Time => {}
            }
            self.connect();
            self.pump();
            if std::mem::take(&mut self.has_sent) {
                self.channels.flush();
            }
        }
    }

    async fn turn(&mut self) -> Turn {
        let wakes = [
            self.is_behind.then(|| clock::now() + RETRY),
            self.opened.map(|(_, since)| since + POSITIONS_WAIT),
        ];
        let wake = wakes.into_iter().flatten().min();
        let is_idle = self.pending.is_empty() && self.closing.is_none();
        let outbox = self.link.as_mut().map(|(_, outbox)| outbox);
        tokio::select! {
            biased;
            event = self.channels.next() => Turn::Event(event),
            turn = listen(outbox, is_idle) => turn,
            () = super::actor::sleep_until(wake) => Turn::Time,
        }
    }

    async fn on_event(&mut self, event: DataEvent) {
        match event {
            DataEvent::Open { channel, protocol } => match channel {
                DataChannel::Positions => self.has_positions = true,
                DataChannel::Messages => {
                    self.opened = Some((Wishes::read(&protocol), clock::now()));
                }
            },
            DataEvent::Closed { channel } => match channel {
                DataChannel::Positions => self.has_positions = false,
                DataChannel::Messages => self.forget(),
            },
            DataEvent::Taken { bytes } => self.under_way = self.under_way.saturating_sub(bytes),
            DataEvent::Message {
                channel: DataChannel::Messages,
                is_binary,
                bytes,
            } => self.say(is_binary, bytes).await,
            DataEvent::Message { bytes, .. } => self.go(&bytes).await,
        }
    }

    /// Connects to the bus as soon as it is known how.
    fn connect(&mut self) {
        let Some((wishes, since)) = self.opened else {
            return;
        };
        let is_late = clock::now() >= since + POSITIONS_WAIT;
        let positions = match wishes.positions {
            Some(PositionForm::Binary) if !self.has_positions && !is_late => return,
            Some(PositionForm::Binary) | None if self.has_positions => PositionForm::Binary,
            Some(PositionForm::Binary) | None => PositionForm::Json,
            Some(form) => form,
        };
        self.opened = None;
        let opening = Opening {
            subscription: Subscription::Space {
                space: self.speaker.space.clone(),
                types: Vec::new(),
                since: wishes.since,
                positions,
            },
            permissions: Permissions {
                is_operator: false,
                is_moderator: self.speaker.is_moderator,
                is_read_only: false,
            },
            address: self.speaker.address.clone(),
        };
        match self.bus.as_ref().map(|bus| bus.connect(opening)) {
            Some(Ok(link)) => self.link = Some(link),
            Some(Err(refused)) => {
                self.pending
                    .push_back(complaint("full", &refused.to_string()));
                self.end(DataChannel::Messages);
            }
            None => self.end(DataChannel::Messages),
        }
    }

    /// The channel `messages` is closed, and with it everything that goes over it.
    fn forget(&mut self) {
        self.opened = None;
        self.link = None;
        self.pending.clear();
        self.under_way = 0;
        self.closing = None;
    }

    /// Closes a channel after what is pending.
    fn end(&mut self, channel: DataChannel) {
        self.opened = None;
        self.link = None;
        self.closing = Some(channel);
    }

    async fn say(&mut self, is_binary: bool, bytes: Vec<u8>) {
        let Some((client, _)) = &self.link else {
            return;
        };
        if let Some(user) = user_of(&bytes)
            && *user != *self.user
        {
            self.user = user.into();
        }
        // A text frame that is not UTF-8 would cost every WebSocket that hears it its connection.
        let is_text = !is_binary && std::str::from_utf8(&bytes).is_ok();
        let frame = if is_text {
            FrameKind::Text
        } else {
            FrameKind::Binary
        };
        if !client.say(frame, bytes.into()).await {
            self.end(DataChannel::Messages);
        }
    }

    async fn go(&mut self, bytes: &[u8]) {
        if let (Some((client, _)), Some(position)) = (&self.link, bus::read_frame(bytes))
            && !client.moved(self.user.clone(), position).await
        {
            self.end(DataChannel::Messages);
        }
    }

    /// Takes an item, and those that are there as long as nothing waits: the media thread is woken once for all.
    fn on_items(&mut self, item: Item) {
        let mut next = Some(item);
        while let Some(item) = next {
            self.on_item(item);
            let is_idle = self.pending.is_empty() && self.closing.is_none();
            let outbox = self.link.as_mut().filter(|_| is_idle);
            next = outbox.and_then(|(_, outbox)| outbox.try_next());
        }
    }

    fn on_item(&mut self, item: Item) {
        match item {
            Item::Batch(batch) => self.pending = split(batch.wire(crate::bus::Form::Space)),
            Item::One(message) => self.pending.push_back(message.wrapped()),
            Item::Positions {
                frame: FrameKind::Text,
                bytes,
            } => self.pending.push_back(bytes),
            Item::Positions { bytes, .. } => {
                // One that finds no room is as good as lost on the way.
                if self.has_positions {
                    let bytes = Arc::from(&*bytes);
                    let sent = (self.channels).send(DataChannel::Positions, true, bytes);
                    self.has_sent |= sent.is_ok();
                }
            }
            Item::Close { reason, .. } => {
                self.pending.push_back(complaint("closed", reason));
                self.end(DataChannel::Messages);
            }
        }
    }

    /// Gives the media thread what SCTP has room for.
    fn pump(&mut self) {
        self.is_behind = false;
        while let Some(next) = self.pending.front() {
            let next = if next.len() > DATA_SENT_MAX {
                let detail = format!(
                    "a message of {} bytes is too long for a data channel; /ws/{} has it",
                    next.len(),
                    self.speaker.space
                );
                complaint("too_large", &detail)
            } else {
                next.clone()
            };
            if self.under_way + next.len() > DATA_QUEUE_MAX {
                break;
            }
            // The one copy for each participant; SCTP makes another one of it.
            let sent = (self.channels).send(DataChannel::Messages, false, Arc::from(&*next));
            if let Err(Behind(_)) = sent {
                self.is_behind = true;
                break;
            }
            self.under_way += next.len();
            self.pending.pop_front();
            self.has_sent = true;
        }
        // What was given is told to be taken before the channel may go.
        if let Some(channel) = self.closing
            && self.pending.is_empty()
            && self.under_way == 0
        {
            if self.channels.close(channel) {
                self.closing = None;
            } else {
                self.is_behind = true;
            }
        }
    }
}

/// What comes from the bus: the next item if there is room for it, else only whether it has given up.
async fn listen(outbox: Option<&mut Outbox>, is_idle: bool) -> Turn {
    match outbox {
        Some(outbox) if is_idle => Turn::Item(outbox.next().await),
        Some(outbox) => {
            poll_fn(|context| outbox.poll_overflowed(context)).await;
            Turn::TooSlow
        }
        None => std::future::pending().await,
    }
}

/// The messages of WebSocket frames that stand one behind the other, without a copy.
fn split(wire: &Bytes) -> VecDeque<Bytes> {
    let mut rest = wire.clone();
    let mut payloads = VecDeque::new();
    while rest.has_remaining() {
        let end = frames::boundary(&rest, 1);
        let head = match rest.get(1) {
            Some(126) => 4,
            Some(127) => frames::HEAD_MAX,
            _ => 2,
        };
        payloads.push_back(rest.slice(head.min(end)..end));
        rest.advance(end);
    }
    payloads
}

/// An error, as the bus says them.
fn complaint(code: &str, detail: &str) -> Bytes {
    let error = serde_json::json!({ "error": { "code": code, "detail": detail, "id": "" } });
    error.to_string().into()
}

/// Who says this, if it says so.
fn user_of(message: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Envelope {
        #[serde(rename = "userId", alias = "userid")]
        user: Option<String>,
    }
    let envelope: Envelope = serde_json::from_slice(message).ok()?;
    envelope
        .user
        .filter(|user| !user.is_empty() && user.len() <= USER_MAX)
}

/// As the bus knows users by.
const USER_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;

    #[test]
    fn the_protocol_says_where_to_go_on_and_how_positions_come() {
        let check = |protocol: &str, since, positions| {
            assert_eq!(
                Wishes::read(protocol),
                Wishes { since, positions },
                "{protocol}"
            );
        };
        check("", None, None);
        check("since=12", Some(12), None);
        check(
            "positions=binary&since=9",
            Some(9),
            Some(PositionForm::Binary),
        );
        check("positions=none", None, Some(PositionForm::None));
        check("since=-1&positions=&x&=&json", None, None);
    }

    #[test]
    fn frames_are_taken_apart() {
        let mut wire = BytesMut::new();
        let sizes = [0, 1, 125, 126, 70_000, 3];
        for size in sizes {
            frames::put_head(&mut wire, FrameKind::Text, size);
            wire.extend_from_slice(&vec![b'x'; size]);
        }
        let payloads = split(&wire.freeze());
        assert_eq!(payloads.iter().map(Bytes::len).collect::<Vec<_>>(), sizes);
        assert!(payloads.iter().flatten().all(|byte| *byte == b'x'));
    }

    #[test]
    fn whoever_says_who_they_are_is_known_by_it() {
        let check = |message: &str, expected: Option<&str>| {
            assert_eq!(
                user_of(message.as_bytes()).as_deref(),
                expected,
                "{message}"
            );
        };
        check(
            r#"{"type":"CHAT","userId":"ada","value":{"userId":"x"}}"#,
            Some("ada"),
        );
        check(r#"{"userid":"max"}"#, Some("max"));
        check(r#"{"userId":""}"#, None);
        check(r#"{"userId":7}"#, None);
        check("nothing", None);
    }
}
