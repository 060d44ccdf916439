//! Over real sockets, against a real bus: what goes in comes out where it should.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ::bus::{Permissions, Subscription};
use bytes::Bytes;
use rosc::{OscMessage, OscPacket, OscType};
use serde_json::{Value, json};
use tokio::net::UdpSocket;

use super::super::{OscBridge, OscCounters};
use super::{bundle, encode, message};
use crate::bus::{self, Bus, Client, Item, Opening, Outbox};
use crate::config::{OscConfig, OscPeer, SpaceConfig};
use crate::shutdown::Shutdown;
use crate::store::{History, HistoryLimits};

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

struct Venue {
    bus: Bus,
    address: SocketAddr,
    counters: Arc<OscCounters>,
    bridge: tokio::task::JoinHandle<()>,
    _directory: tempfile::TempDir,
}

impl Drop for Venue {
    fn drop(&mut self) {
        self.bridge.abort();
    }
}

/// A venue with OSC in the spaces `foyer` and `backstage` for these peers.
async fn venue(peers: &[SocketAddr]) -> Venue {
    let directory = tempfile::tempdir().unwrap();
    let history = History::open(directory.path(), HistoryLimits::default()).unwrap();
    let moments: bus::Moments = Arc::new(|_| None);
    let bus = Bus::start(
        bus::Settings::default(),
        history,
        moments,
        Shutdown::default(),
    );
    let peer = |at: &SocketAddr| OscPeer {
        address: at.ip(),
        port: Some(at.port()),
    };
    let config = OscConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        peers: peers.iter().map(peer).collect(),
        spaces: vec!["foyer".to_owned(), "backstage".to_owned()],
    };
    let spaces: &[SpaceConfig] = &[];
    let bridge = OscBridge::bind(&config, spaces, bus.clone()).await.unwrap();
    let (address, counters) = (bridge.address(), bridge.counters());
    Venue {
        bus,
        address,
        counters,
        bridge: tokio::spawn(bridge.run()),
        _directory: directory,
    }
}

struct Peer(UdpSocket);

impl Peer {
    async fn new() -> Self {
        Self(UdpSocket::bind("127.0.0.1:0").await.unwrap())
    }

    fn at(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    async fn say(&self, venue: &Venue, packet: &OscPacket) {
        self.0
            .send_to(&encode(packet), venue.address)
            .await
            .unwrap();
    }

    /// The next message that comes.
    async fn hear(&self) -> OscMessage {
        let mut buffer = [0; 2000];
        let received = tokio::time::timeout(PATIENCE, self.0.recv_from(&mut buffer));
        let (length, _) = received.await.expect("nothing came").unwrap();
        match rosc::decoder::decode_udp(&buffer[..length]).unwrap().1 {
            OscPacket::Message(message) => message,
            OscPacket::Bundle(bundle) => panic!("{bundle:?}"),
        }
    }
}

/// Somebody on the elektron wire.
fn listener(venue: &Venue) -> (Client, Outbox) {
    let opening = Opening {
        subscription: Subscription::Everything,
        permissions: Permissions::default(),
        address: "".into(),
    };
    venue.bus.connect(opening).unwrap()
}

/// The next message of this type.
async fn hear(outbox: &mut Outbox, kind: &str) -> Value {
    let heard = async {
        loop {
            let messages = match outbox.next().await {
                Item::Batch(batch) => batch.messages().to_vec(),
                Item::One(message) => vec![message],
                Item::Positions { .. } => Vec::new(),
                Item::Close { code, reason } => panic!("closed with {code}: {reason}"),
            };
            if let Some(found) = messages.iter().find(|message| &*message.kind == kind) {
                return serde_json::from_slice(&found.raw).unwrap();
            }
        }
    };
    let heard = tokio::time::timeout(PATIENCE, heard).await;
    heard.unwrap_or_else(|_| panic!("no {kind} came"))
}

async fn publish(venue: &Venue, envelope: Value) {
    let bytes = Bytes::from(envelope.to_string());
    venue.bus.publish(bytes, None).await.unwrap();
}

/// Tells when the bridge hears the space, so that nothing is said too early.
async fn until_bridged(venue: &Venue, peers: &[&Peer]) {
    loop {
        publish(venue, json!({"type": "READY", "channel": "foyer"})).await;
        let heard = async {
            for peer in peers {
                while peer.hear().await.addr != "/proscenium/foyer/READY" {}
            }
        };
        if tokio::time::timeout(Duration::from_millis(50), heard)
            .await
            .is_ok()
        {
            return;
        }
    }
}

#[tokio::test]
async fn what_a_peer_says_is_heard_by_all_but_itself() {
    let (desk, visuals) = (Peer::new().await, Peer::new().await);
    let venue = venue(&[desk.at(), visuals.at()]).await;
    let (_client, mut page) = listener(&venue);
    until_bridged(&venue, &[&desk, &visuals]).await;
    let cue = message(
        "/proscenium/foyer/CUE",
        vec![OscType::Int(7), OscType::String("go".into())],
    );
    desk.say(&venue, &cue).await;
    let heard = hear(&mut page, "CUE").await;
    assert_eq!(heard["value"], json!([7, "go"]));
    assert_eq!(
        (heard["channel"].as_str(), heard["userName"].as_str()),
        (Some("foyer"), Some("osc"))
    );
    let next = |heard: OscMessage| (heard.addr != "/proscenium/foyer/READY").then_some(heard);
    let visual = loop {
        if let Some(heard) = next(visuals.hear().await) {
            break heard;
        }
    };
    assert_eq!(visual.addr, "/proscenium/foyer/CUE");
    assert_eq!(visual.args, [OscType::Int(7), OscType::String("go".into())]);
    publish(
        &venue,
        json!({"type": "LEVEL", "channel": "foyer", "value": 0.5}),
    )
    .await;
    let level = loop {
        if let Some(heard) = next(desk.hear().await) {
            break heard;
        }
    };
    assert_eq!(
        (level.addr.as_str(), level.args),
        ("/proscenium/foyer/LEVEL", vec![OscType::Float(0.5)])
    );
}

#[tokio::test]
async fn chat_over_osc_is_kept_and_a_pattern_reaches_every_bridged_space() {
    let desk = Peer::new().await;
    let venue = venue(&[desk.at()]).await;
    let (_client, mut page) = listener(&venue);
    let chat = message(
        "/proscenium/foyer/CHAT",
        vec![OscType::String("hello".into())],
    );
    desk.say(&venue, &chat).await;
    assert_eq!(hear(&mut page, "CHAT").await["value"], "hello");
    let both = message("/proscenium/*/CUE", vec![]);
    let (now, other) = (
        bundle(0, 1, vec![both]),
        message("/proscenium/elsewhere/CUE", vec![]),
    );
    desk.say(&venue, &other).await;
    desk.say(&venue, &now).await;
    let mut channels = Vec::new();
    while channels.len() < 2 {
        let Item::Batch(batch) = page.next().await else {
            continue;
        };
        let cues = batch
            .messages()
            .iter()
            .filter(|message| &*message.kind == "CUE");
        channels.extend(cues.map(|message| message.channel.to_string()));
    }
    channels.sort();
    assert_eq!(channels, ["backstage", "foyer"]);
    assert_eq!(venue.counters.not_for_us.load(Ordering::Relaxed), 1);
    assert_eq!(venue.counters.received.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn positions_go_both_ways() {
    let (desk, visuals) = (Peer::new().await, Peer::new().await);
    let venue = venue(&[desk.at(), visuals.at()]).await;
    until_bridged(&venue, &[&desk, &visuals]).await;
    let numbers = [1.0, 2.0, 3.0, 0.0, 0.5, 0.0].map(OscType::Float);
    let args: Vec<_> = std::iter::once(OscType::String("ada".into()))
        .chain(numbers)
        .collect();
    desk.say(&venue, &message("/proscenium/foyer/position", args.clone()))
        .await;
    let moved = loop {
        let heard = visuals.hear().await;
        if heard.addr == "/proscenium/foyer/position" {
            break heard;
        }
    };
    assert_eq!(moved.args, args);
}

#[tokio::test]
async fn nonsense_does_not_end_it() {
    let desk = Peer::new().await;
    let venue = venue(&[desk.at()]).await;
    let (_client, mut page) = listener(&venue);
    for nonsense in [&b""[..], b"#bundle\0", b"/", &[0xff; 65_000]] {
        desk.0.send_to(nonsense, venue.address).await.unwrap();
    }
    desk.say(&venue, &message("/proscenium/foyer/CUE", vec![]))
        .await;
    hear(&mut page, "CUE").await;
    assert_eq!(venue.counters.malformed.load(Ordering::Relaxed), 4);
}

#[tokio::test]
async fn a_port_that_is_taken_is_named_with_what_to_do() {
    let taken = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let venue = venue(&[]).await;
    let config = OscConfig {
        listen: taken.local_addr().unwrap(),
        peers: Vec::new(),
        spaces: Vec::new(),
    };
    let bound = OscBridge::bind(&config, &[], venue.bus.clone()).await;
    let error = bound.err().unwrap().to_string();
    assert!(
        error.contains(&config.listen.to_string()) && error.contains("--osc"),
        "{error}"
    );
}
