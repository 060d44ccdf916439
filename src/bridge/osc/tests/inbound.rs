//! Who may say what, into which space, and when.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rosc::{OscPacket, OscType};
use serde_json::{Value, json};

use super::super::counters::OscCounters;
use super::super::inbound::{Inbound, Said, Spaces};
use super::super::peers::Peers;
use super::{bundle, encode, message};
use crate::config::{OscConfig, OscPeer};

const NOON: u64 = 1_800_000_000;

struct World {
    peers: Peers,
    inbound: Inbound,
    counters: Arc<OscCounters>,
    start: Instant,
    now: Duration,
}

fn peers(texts: &[&str]) -> OscConfig {
    let peer = |text: &&str| match text.parse::<SocketAddr>() {
        Ok(at) => OscPeer {
            address: at.ip(),
            port: Some(at.port()),
        },
        Err(_) => OscPeer {
            address: text.parse().unwrap(),
            port: None,
        },
    };
    OscConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        peers: texts.iter().map(peer).collect(),
        spaces: Vec::new(),
    }
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

impl World {
    fn new(config: &OscConfig, spaces: Spaces) -> Self {
        let counters = Arc::<OscCounters>::default();
        Self {
            peers: Peers::new(config),
            inbound: Inbound::new(spaces, counters.clone()),
            counters,
            start: crate::clock::now(),
            now: Duration::ZERO,
        }
    }

    fn open() -> Self {
        let (private, named) = (names(&["backstage"]), names(&["foyer", "hall"]));
        let spaces = Spaces {
            listed: names(&[]),
            private,
            named,
        };
        Self::new(&peers(&[]), spaces)
    }

    fn times(&self) -> (Instant, SystemTime) {
        let wall = UNIX_EPOCH + Duration::from_secs(NOON) + self.now;
        (self.start + self.now, wall)
    }

    fn hear_from(&mut self, source: &str, datagram: &[u8]) -> Vec<Said> {
        let mut said = Vec::new();
        let times = self.times();
        let source = source.parse().unwrap();
        self.inbound
            .handle(&mut self.peers, times, (source, datagram), &mut said);
        said
    }

    fn hear(&mut self, packet: &OscPacket) -> Vec<Said> {
        self.hear_from("127.0.0.1:50000", &encode(packet))
    }

    fn due(&mut self) -> Vec<Said> {
        let mut said = Vec::new();
        let (now, _) = self.times();
        self.inbound.take_due(now, &mut said);
        said
    }
}

fn envelope(said: &Said) -> Value {
    let bytes = said
        .envelope("abcdefghijklmnop", "2026-01-01T00:00:00.000Z")
        .unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

fn of(number: &AtomicU64) -> u64 {
    number.load(Ordering::Relaxed)
}

#[test]
fn a_message_becomes_an_envelope() {
    let said = World::open().hear(&message("/proscenium/foyer/CUE", vec![OscType::Float(0.1)]));
    let bytes = said[0]
        .envelope("abcdefghijklmnop", "2026-01-01T00:00:00.000Z")
        .unwrap();
    assert_eq!(
        String::from_utf8(bytes).unwrap(),
        r#"{"id":"abcdefghijklmnop","datetime":"2026-01-01T00:00:00.000Z","type":"CUE","channel":"foyer","userId":"osc","userName":"osc","value":0.1}"#
    );
}

#[test]
fn a_position_is_of_who_is_named_or_else_of_the_sender() {
    let mut world = World::open();
    let three = vec![OscType::Float(0.1), OscType::Int(2), OscType::Float(3.0)];
    let said = world.hear(&message("/proscenium/foyer/position", three.clone()));
    let position = envelope(&said[0]);
    assert_eq!(position["type"], "POSITION");
    assert_eq!(position["userId"], "osc");
    assert_eq!(position["value"], json!([0.1, 2.0, 3.0, 0.0, 0.0, 0.0]));
    let named = [vec![OscType::String("ada".into())], three].concat();
    let said = world.hear(&message("/proscenium/foyer/position", named));
    assert_eq!(envelope(&said[0])["userId"], "ada");
    let nan = vec![OscType::Float(f32::NAN); 6];
    assert!(
        world
            .hear(&message("/proscenium/foyer/position", nan))
            .is_empty()
    );
    assert_eq!(of(&world.counters.not_for_us), 1);
}

#[test]
fn what_only_the_server_or_those_who_are_there_may_say_is_not_taken() {
    let mut world = World::open();
    for kind in [
        "RESET",
        "UPDATE",
        "CHANNEL_JOIN",
        "CHANNELS_UPDATED",
        "DELETE",
        "ERROR",
    ] {
        let address = format!("/proscenium/foyer/{kind}");
        assert!(world.hear(&message(&address, vec![])).is_empty(), "{kind}");
    }
    assert_eq!(of(&world.counters.not_for_us), 6);
}

#[test]
fn a_value_that_no_message_can_have_is_not_taken() {
    let mut world = World::open();
    let mut hear = |text: String| {
        let args = vec![OscType::String(text)];
        world.hear(&message("/proscenium/foyer/TEXT", args)).len()
    };
    assert_eq!(hear("x".repeat(59_998)), 1);
    assert_eq!(hear("x".repeat(59_999)), 0);
    assert_eq!(hear("\u{1}".repeat(20_000)), 0, "six bytes each as JSON");
}

#[test]
fn only_bridged_spaces_are_spoken_to() {
    let check = |world: &mut World, address: &str, expected: &[&str]| {
        let said = world.hear(&message(address, vec![]));
        let spaces: Vec<&str> = said.iter().map(|said| &*said.space).collect();
        assert_eq!(spaces, expected, "{address}");
    };
    let mut open = World::open();
    check(&mut open, "/proscenium/foyer/GO", &["foyer"]);
    check(
        &mut open,
        "/proscenium/never-heard-of/GO",
        &["never-heard-of"],
    );
    check(&mut open, "/proscenium/backstage/GO", &[]);
    check(&mut open, "/proscenium/*/GO", &["foyer", "hall"]);
    check(
        &mut open,
        "/proscenium/{hall,backstage,other}/GO",
        &["hall"],
    );
    let listed = names(&["backstage", "hall"]);
    let private = names(&["backstage"]);
    let spaces = Spaces {
        listed,
        private,
        named: names(&["foyer", "hall"]),
    };
    let mut closed = World::new(&peers(&[]), spaces);
    check(&mut closed, "/proscenium/backstage/GO", &["backstage"]);
    check(&mut closed, "/proscenium/foyer/GO", &[]);
    check(&mut closed, "/proscenium/*/GO", &["backstage", "hall"]);
}

#[test]
fn strangers_are_counted_and_not_heard() {
    let datagram = encode(&message("/proscenium/foyer/GO", vec![]));
    let spaces = Spaces::default;
    let mut alone = World::new(&peers(&[]), spaces());
    assert_eq!(alone.hear_from("127.0.0.1:1", &datagram).len(), 1);
    assert_eq!(alone.hear_from("[::1]:1", &datagram).len(), 1);
    assert_eq!(alone.hear_from("192.0.2.5:1", &datagram).len(), 0);
    assert_eq!(of(&alone.counters.strangers), 1);
    let mut stage = World::new(&peers(&["192.0.2.5", "192.0.2.6:9000"]), spaces());
    let user = |said: Vec<Said>| said.first().map(|said| envelope(said)["userId"].clone());
    assert_eq!(
        user(stage.hear_from("192.0.2.5:1", &datagram)),
        Some(json!("osc-1"))
    );
    assert_eq!(
        user(stage.hear_from("[::ffff:192.0.2.6]:1", &datagram)),
        Some(json!("osc-2"))
    );
    assert_eq!(user(stage.hear_from("127.0.0.1:1", &datagram)), None);
    assert_eq!(user(stage.hear_from("192.0.2.7:9000", &datagram)), None);
}

#[test]
fn a_program_known_by_its_port_is_the_only_one_that_is_not_sent_its_own() {
    let three = peers(&["127.0.0.1:9000", "127.0.0.1:9001", "192.0.2.6:9000"]);
    let peers = Peers::new(&three);
    let echoes = |source: &str| peers.origin(source.parse().unwrap()).unwrap().echoes;
    assert_eq!(echoes("127.0.0.1:9000"), 0b001);
    assert_eq!(echoes("127.0.0.1:9001"), 0b010);
    assert_eq!(echoes("127.0.0.1:50000"), 0b011);
    assert_eq!(echoes("192.0.2.6:50000"), 0b100);
}

#[test]
fn a_sender_that_says_too_much_is_held_to_its_rate_and_others_are_not() {
    let mut world = World::new(&peers(&["192.0.2.5", "192.0.2.6"]), Spaces::default());
    let burst = encode(&bundle(
        0,
        1,
        vec![message("/proscenium/foyer/GO", vec![]); 512],
    ));
    let mut heard = 0;
    for _ in 0..10 {
        heard += world.hear_from("192.0.2.5:1", &burst).len();
    }
    assert_eq!(heard, 1024);
    assert_eq!(of(&world.counters.too_many), 10 * 512 - 1024);
    assert_eq!(world.hear_from("192.0.2.6:1", &burst).len(), 512);
    world.now += Duration::from_millis(100);
    assert_eq!(world.hear_from("192.0.2.5:1", &burst).len(), 100);
}

#[test]
fn a_bundle_waits_for_its_time_and_an_old_one_does_not() {
    let mut world = World::open();
    let dated = |offset: i64, fractional: u32, kind: &str| {
        let seconds = u32::try_from(NOON as i64 + 2_208_988_800 + offset).unwrap();
        let address = format!("/proscenium/foyer/{kind}");
        bundle(seconds, fractional, vec![message(&address, vec![])])
    };
    assert_eq!(world.hear(&dated(-5, 0, "PAST")).len(), 1);
    assert_eq!(
        world
            .hear(&bundle(0, 0, vec![message("/proscenium/foyer/X", vec![])]))
            .len(),
        1
    );
    assert_eq!(world.hear(&dated(2, 0, "SECOND")).len(), 0);
    assert_eq!(world.hear(&dated(1, 1 << 31, "FIRST")).len(), 0);
    assert_eq!(world.hear(&dated(2, 0, "THIRD")).len(), 0);
    assert_eq!(world.hear(&dated(10, 0, "LAST")).len(), 0);
    assert_eq!(world.hear(&dated(11, 0, "NEVER")).len(), 0);
    assert_eq!(of(&world.counters.too_early), 1);
    let kinds = |said: Vec<Said>| -> Vec<Value> {
        said.iter()
            .map(|said| envelope(said)["type"].clone())
            .collect()
    };
    let first = world.start + Duration::from_millis(1500);
    assert_eq!(world.inbound.deadline(), Some(first));
    world.now = Duration::from_millis(1499);
    assert!(world.due().is_empty());
    world.now = Duration::from_millis(1500);
    assert_eq!(kinds(world.due()), ["FIRST"]);
    world.now = Duration::from_secs(2);
    assert_eq!(kinds(world.due()), ["SECOND", "THIRD"]);
    world.now = Duration::from_secs(10);
    assert_eq!(kinds(world.due()), ["LAST"]);
    assert_eq!(world.inbound.deadline(), None);
}

#[test]
fn a_bundle_in_a_bundle_has_its_own_time() {
    let mut world = World::open();
    let later = u32::try_from(NOON + 2_208_988_800 + 1).unwrap();
    let now = message("/proscenium/foyer/NOW", vec![]);
    let then = bundle(later, 0, vec![message("/proscenium/foyer/THEN", vec![])]);
    assert_eq!(world.hear(&bundle(0, 1, vec![now, then])).len(), 1);
    world.now = Duration::from_secs(1);
    assert_eq!(world.due().len(), 1);
}

#[test]
fn so_much_waits_for_its_time_and_no_more() {
    let mut world = World::open();
    let later = u32::try_from(NOON + 2_208_988_800 + 10).unwrap();
    let full = bundle(later, 0, vec![message("/proscenium/foyer/GO", vec![]); 512]);
    for _ in 0..9 {
        world.hear(&full);
        world.now += Duration::from_secs(1);
    }
    assert_eq!(of(&world.counters.too_many), 512);
    world.now = Duration::from_secs(20);
    assert_eq!(world.due().len(), 4096);
    let long = OscType::String("x".repeat(50_000));
    let later = u32::try_from(NOON + 2_208_988_800 + 25).unwrap();
    let long = bundle(later, 0, vec![message("/proscenium/foyer/GO", vec![long])]);
    for _ in 0..100 {
        world.hear(&long);
    }
    world.now = Duration::from_secs(25);
    let kept = world.due().len();
    assert!(
        (75..80).contains(&kept),
        "4 MB are some 79 of them, not {kept}"
    );
}

#[test]
fn what_is_no_osc_is_counted() {
    let mut world = World::open();
    world.hear_from("127.0.0.1:1", b"nonsense");
    world.hear_from("127.0.0.1:1", &[b'/'; 5]);
    assert_eq!(of(&world.counters.malformed), 2);
    let many = vec![message("/proscenium/foyer/GO", vec![]); 513];
    world.hear(&bundle(0, 1, many));
    assert_eq!(of(&world.counters.too_large), 1);
    assert_eq!(
        of(&world.counters.received),
        1,
        "only `nonsense` was a message by its shape"
    );
}
