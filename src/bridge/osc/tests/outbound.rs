//! What goes out, and what does not.

use std::sync::Arc;

use bus::{FrameKind, Message, Policy};
use rosc::{OscMessage, OscPacket, OscType};
use serde_json::{Value, json};

use super::super::echoes::Echoes;
use super::super::outbound::{self, Outgoing};

fn said(kind: &str, value: Option<Value>) -> Message {
    let mut envelope = json!({"id": "abcdefghijklmnop", "type": kind, "channel": "foyer"});
    if let Some(value) = value {
        envelope["value"] = value;
    }
    Message {
        seq: 1,
        channel: "foyer".into(),
        kind: kind.into(),
        id: None,
        user: None,
        frame: FrameKind::Text,
        raw: envelope.to_string().into(),
        media: None,
        is_kept: false,
        policy: Policy::Everything,
    }
}

fn decode(datagram: &[u8]) -> Vec<OscMessage> {
    fn flat(packet: OscPacket, all: &mut Vec<OscMessage>) {
        match packet {
            OscPacket::Message(message) => all.push(message),
            OscPacket::Bundle(bundle) => {
                bundle
                    .content
                    .into_iter()
                    .for_each(|packet| flat(packet, all));
            }
        }
    }
    let (rest, packet) = rosc::decoder::decode_udp(datagram).unwrap();
    assert!(rest.is_empty());
    let mut all = Vec::new();
    flat(packet, &mut all);
    all
}

#[test]
fn a_message_goes_out_with_its_value_as_arguments() {
    let check = |kind: &str, value: Option<Value>, addr: &str, args: &[OscType]| {
        let Outgoing::Datagram(datagram) = outbound::message("foyer", &said(kind, value)) else {
            panic!("{kind} stays");
        };
        let messages = decode(&datagram);
        assert_eq!(
            (messages[0].addr.as_str(), messages[0].args.as_slice()),
            (addr, args)
        );
    };
    check("HEART", None, "/proscenium/foyer/HEART", &[]);
    check(
        "ANYTHING",
        Some(json!(0.5)),
        "/proscenium/foyer/ANYTHING",
        &[OscType::Float(0.5)],
    );
    check(
        "go",
        Some(json!(null)),
        "/proscenium/foyer/go",
        &[OscType::Nil],
    );
    let user = OscType::String("{\"userName\":\"Ada\"}".into());
    let join = Some(json!({"userName": "Ada"}));
    check(
        "CHANNEL_JOIN",
        join,
        "/proscenium/foyer/CHANNEL_JOIN",
        &[user],
    );
}

#[test]
fn pictures_and_what_fits_no_datagram_stay() {
    let text = |length: usize| Some(json!("x".repeat(length)));
    let large = |kind: &str, value| outbound::message("foyer", &said(kind, value));
    assert_eq!(large("IMAGE", text(10)), Outgoing::TooLarge);
    let Outgoing::Datagram(full) = large("T", text(1375)) else {
        panic!("fits");
    };
    assert_eq!(full.len(), 1400);
    assert_eq!(large("T", text(1376)), Outgoing::TooLarge);
    assert_eq!(large("T", text(60_000)), Outgoing::TooLarge);
    assert_eq!(large("position", Some(json!(1))), Outgoing::NotForOsc);
    let made = Message {
        seq: 0,
        ..said("welcome", None)
    };
    assert_eq!(outbound::message("foyer", &made), Outgoing::NotForOsc);
    let text = Message {
        raw: "[object Object]".into(),
        ..said("", None)
    };
    assert_eq!(outbound::message("foyer", &text), Outgoing::NotForOsc);
}

#[test]
fn a_tick_is_bundles_of_positions_and_of_who_left() {
    let space: Arc<str> = "foyer".into();
    let frame = |frame: Value| {
        outbound::positions(&space, frame.to_string().as_bytes(), &mut Echoes::default())
    };
    let [(0, datagram)] = &frame(json!({"positions": {"ada": [1, 2, 3, 0, 0.5, 0]}}))[..] else {
        panic!("one datagram");
    };
    let moved = &decode(datagram)[0];
    assert_eq!(moved.addr, "/proscenium/foyer/position");
    let numbers = [1.0, 2.0, 3.0, 0.0, 0.5, 0.0].map(OscType::Float);
    assert_eq!(moved.args[0], OscType::String("ada".into()));
    assert_eq!(moved.args[1..], numbers);
    let users = (0..200).map(|user| (format!("user-{user}"), json!([user, 0, 0, 0, 0, 0])));
    let positions: serde_json::Map<_, _> = users.collect();
    let datagrams = frame(json!({"positions": positions, "gone": ["bob"]}));
    assert!(datagrams.len() <= 16, "{}", datagrams.len());
    assert!(datagrams.iter().all(|(_, datagram)| datagram.len() <= 1400));
    let all: Vec<_> = datagrams
        .iter()
        .flat_map(|(_, datagram)| decode(datagram))
        .collect();
    assert_eq!(all.len(), 201);
    assert_eq!(all[200].addr, "/proscenium/foyer/gone");
    assert_eq!(all[200].args, [OscType::String("bob".into())]);
    assert!(frame(json!({"presence": {}})).is_empty());
    assert!(frame(json!({"positions": {"ada": [1]}})).is_empty());
    assert!(frame(json!({"positions": {"u".repeat(2000): [0, 0, 0, 0, 0, 0]}})).is_empty());
}

#[test]
fn a_position_does_not_go_back_to_who_said_it() {
    let space: Arc<str> = "foyer".into();
    let mut echoes = Echoes::default();
    echoes.moved(&space, "ada", 0b10, [1.0; 6]);
    let frame = json!({"positions": {"ada": [1, 1, 1, 1, 1, 1], "bob": [0, 0, 0, 0, 0, 0]}});
    let mut except = |frame: &Value| -> Vec<u32> {
        let datagrams = outbound::positions(&space, frame.to_string().as_bytes(), &mut echoes);
        datagrams.iter().map(|(except, _)| *except).collect()
    };
    assert_eq!(except(&frame), [0b10, 0]);
    let elsewhere = json!({"positions": {"ada": [2, 1, 1, 1, 1, 1]}});
    assert_eq!(except(&elsewhere), [0], "somebody else moved her");
    assert_eq!(except(&json!({"gone": ["ada"]})), [0]);
    let back = json!({"positions": {"ada": [1, 1, 1, 1, 1, 1]}});
    assert_eq!(except(&back), [0], "who has left is not remembered");
}
