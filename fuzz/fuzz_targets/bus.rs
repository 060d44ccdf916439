//! Any clients that say anything in any order, and a store that answers in any order: nothing panics, nobody hears anything who is not
//! there, and what comes out keeps the rules that no input may break.
#![no_main]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use bus::{
    ClientId, FrameKind, Hub, Input, Message, Moderation, Output, Permissions, Position, PositionForm, Settings,
    Subscription, read_frame,
};

#[path = "../input.rs"]
mod input;
use input::Bytes;

/// Parts of envelopes, so that inputs need not invent them; every other byte of a text stands for itself.
const WORDS: [&str; 24] = [
    "{\"type\":\"", "\",\"channel\":\"r\"", "\",\"channel\":\"secret\"", ",\"userId\":\"u\"", ",\"userid\":\"v\"",
    ",\"value\":", ",\"store\":true", "}", "CHAT", "LIKE", "IMAGE", "CHANNEL_JOIN", "CHANNEL_LEAVE", "USER_UPDATE",
    "CHANNEL_USER_UPDATE", "POSITION", "RESET", "{\"userName\":\"N\",\"userX\":1.5}", "[1,2,3,4,5,6]", "\"bad \\ud83d\"",
    ",\"id\":\"abc\"", "[[[[[[[[", "1e999", ",\"userName\":\"\\\"\"",
];

/// Outputs that one input may cause: a turn with everybody, and a thousand messages that were missed.
const OUTPUTS_MAX: usize = 10_000;

impl Bytes<'_> {
    fn text(&mut self) -> Vec<u8> {
        let length = usize::from(self.byte());
        let mut text = Vec::new();
        for byte in self.take(length) {
            match WORDS.get(usize::from(byte.wrapping_sub(128))) {
                Some(word) => text.extend_from_slice(word.as_bytes()),
                None => text.push(*byte),
            }
        }
        text
    }
}

/// Everything around the hub.
#[derive(Default)]
struct World {
    open: BTreeMap<ClientId, PositionForm>,
    keeps: VecDeque<(u64, Arc<Message>)>,
    stored: Vec<Arc<Message>>,
    loads: VecDeque<Arc<str>>,
    catch_ups: VecDeque<(ClientId, u64, Arc<str>)>,
    numbers: BTreeSet<u64>,
}

impl World {
    fn drain(&mut self, hub: &mut Hub) {
        let mut count = 0;
        while let Some(output) = hub.poll() {
            count += 1;
            assert!(count < OUTPUTS_MAX);
            self.take(output);
        }
    }

    fn take(&mut self, output: Output) {
        match output {
            Output::Deliver { to, messages, .. } => {
                assert!(!to.is_empty() && !messages.is_empty());
                assert!(to.iter().all(|client| self.open.contains_key(client)));
                for message in messages.iter() {
                    std::str::from_utf8(&message.wrapped()).expect("what is wrapped is text");
                }
            }
            Output::Tell { client, message } => {
                assert!(self.open.contains_key(&client));
                std::str::from_utf8(&message.wrapped()).expect("what is wrapped is text");
            }
            Output::Positions { to, frame, bytes, .. } => {
                let form = if frame == FrameKind::Binary { PositionForm::Binary } else { PositionForm::Json };
                assert!(to.iter().all(|client| self.open.get(client) == Some(&form)));
                if frame == FrameKind::Binary {
                    assert!(bytes.len() <= 1100 && read_frame(&bytes).is_some());
                }
            }
            Output::Keep { ticket, message } => {
                assert!(message.is_kept && self.numbers.insert(message.seq), "numbers of what is kept are used once");
                self.keeps.push_back((ticket, message));
            }
            Output::Load { channel } => self.loads.push_back(channel),
            Output::CatchUp { client, request, channel, after, before } => {
                assert!(after < before && self.open.contains_key(&client));
                self.catch_ups.push_back((client, request, channel));
            }
            Output::Close { client, reason, .. } => {
                assert!(reason.len() <= 123 && self.open.contains_key(&client));
            }
            Output::Published { .. } | Output::Unheeded { .. } => {}
            Output::Clear => self.stored.clear(),
        }
    }
}

fn opened(world: &mut World, client: ClientId, input: &mut Bytes<'_>) -> Input {
    let choice = input.byte();
    let positions = [PositionForm::None, PositionForm::Json, PositionForm::Binary][usize::from(choice >> 2) % 3];
    let subscription = match choice & 3 {
        0 => Subscription::Everything,
        which => Subscription::Space {
            space: if which == 1 { "secret" } else { "r" }.into(),
            types: Vec::new(),
            since: (choice & 16 > 0).then(|| u64::from(input.byte())),
            positions,
        },
    };
    let form = if subscription == Subscription::Everything { PositionForm::None } else { positions };
    world.open.insert(client, form);
    Input::Opened {
        client,
        subscription,
        permissions: Permissions {
            is_operator: choice & 32 > 0,
            is_moderator: choice & 64 > 0,
            is_read_only: choice & 128 > 0,
        },
        address: "192.0.2.1".into(),
    }
}

fn moderation(input: &mut Bytes<'_>) -> Moderation {
    let channel = || Arc::from("r");
    match input.byte() % 5 {
        0 => Moderation::Delete { channel: channel(), seq: u64::from(input.byte()), id: None },
        1 => Moderation::SlowMode { channel: channel(), pause_ms: u64::from(input.byte()) },
        2 => Moderation::Ban { channel: channel(), user: Some("u".into()), address: None, until_ms: u64::from(input.byte()) },
        3 => Moderation::Reset,
        _ => Moderation::Clear,
    }
}

fn next_input(world: &mut World, client: ClientId, what: u8, input: &mut Bytes<'_>) -> Option<Input> {
    Some(match what {
        0 | 1 => opened(world, client, input),
        2 => {
            world.open.remove(&client);
            Input::Closed { client }
        }
        3 => Input::Moved { client, user: "w".into(), position: Position::from_numbers([f32::from(input.byte()); 6]) },
        4 => Input::Publish { bytes: input.text().into(), media: None, except: Some(client), answer: Some(1) },
        5 => Input::Lagged { client },
        6 => {
            let (ticket, message) = world.keeps.remove(usize::from(input.byte()) % world.keeps.len().max(1))?;
            let is_stored = input.byte() & 7 > 0;
            if is_stored {
                world.stored.push(message);
            }
            Input::Kept { ticket, is_stored }
        }
        7 => Input::Loaded { channel: world.loads.pop_front()?, messages: world.stored.clone() },
        8 => {
            let (client, request, _) = world.catch_ups.pop_front()?;
            Input::CaughtUp { client, request, messages: world.stored.clone(), is_cut: input.byte() & 1 > 0 }
        }
        9 => Input::Moderate(moderation(input)),
        10 => Input::Timeout,
        _ => {
            let frame = if input.byte() & 1 > 0 { FrameKind::Binary } else { FrameKind::Text };
            Input::Said { client, frame, bytes: input.text().into(), media: None }
        }
    })
}

fuzz_target!(|data: &[u8]| {
    let mut input = Bytes(data);
    let choice = input.byte();
    let settings = Settings {
        position_hz: choice & 63,
        position_radius: (choice & 64 > 0).then_some(10.0),
        client_rate: u32::from(choice & 128) * 100,
        words: vec!["bad".to_owned()],
        private: BTreeSet::from(["secret".into()]),
        ..Settings::default()
    };
    let mut hub = Hub::new(settings);
    let mut world = World::default();
    let (mut now, mut unix_us) = (Instant::now(), 1_000);
    while !input.0.is_empty() {
        let what = input.byte();
        let client = ClientId(u32::from(input.byte() & 7));
        // A number is used again only in a later turn.
        if what % 16 <= 2 || what & 128 > 0 {
            world.drain(&mut hub);
        }
        let step = u64::from(input.byte());
        now += Duration::from_millis(step);
        unix_us += step * 1000;
        if let Some(said) = next_input(&mut world, client, what % 16, &mut input) {
            hub.handle(now, unix_us, said);
        }
        if hub.deadline().is_some_and(|due| due <= now) {
            hub.handle(now, unix_us, Input::Timeout);
        }
    }
    world.drain(&mut hub);
    hub.handle(now, unix_us, Input::Timeout);
    world.drain(&mut hub);
    assert!(hub.deadline().is_none_or(|due| due > now), "when all is done, nothing is due");
});
