//! From messages and positions of a space to datagrams. Does no I/O.

use std::sync::Arc;

use bus::Message;
use rosc::{OscBundle, OscMessage, OscPacket, OscTime, OscType};
use serde::Deserialize;
use serde_json::Value;

use super::address;
use super::echoes::{Echoes, Numbers};
use super::inbound::is_position;
use super::packet;
use super::peers::PeerSet;
use super::value;

/// What fits into a datagram that no network cuts into pieces.
const DATAGRAM_MAX: usize = 1400;

/// The name of a bundle and its time.
const BUNDLE_HEAD: usize = 16;

/// The only types that are pictures by trade.
const PICTURES: [&str; 1] = ["IMAGE"];

/// What becomes of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outgoing {
    /// It goes out.
    Datagram(Vec<u8>),
    /// A picture, or longer than a datagram.
    TooLarge,
    /// The server's own texts, and what looks like a position and is none.
    NotForOsc,
}

#[derive(Deserialize)]
struct Envelope {
    /// Absent is not `null`: a message without a value has no arguments.
    #[serde(default, deserialize_with = "present")]
    value: Option<Value>,
}

fn present<'de, D: serde::Deserializer<'de>>(source: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(source).map(Some)
}

/// A message of a space as OSC.
pub(super) fn message(space: &str, message: &Message) -> Outgoing {
    if message.is_made() || message.kind.is_empty() || is_position(&message.kind) {
        return Outgoing::NotForOsc;
    }
    // A value this long is longer in OSC, too, but for escapes and spaces; it is not worth parsing.
    let is_large = message.raw.len() > 4 * DATAGRAM_MAX;
    if is_large || PICTURES.contains(&&*message.kind) {
        return Outgoing::TooLarge;
    }
    let Ok(envelope) = serde_json::from_slice::<Envelope>(&message.raw) else {
        return Outgoing::NotForOsc;
    };
    let args = envelope
        .value
        .map_or_else(Vec::new, |value| value::to_args(&value));
    match packet::encode(address::outgoing(space, &message.kind), args) {
        Some(datagram) if datagram.len() <= DATAGRAM_MAX => Outgoing::Datagram(datagram),
        Some(_) => Outgoing::TooLarge,
        None => Outgoing::NotForOsc,
    }
}

#[derive(Deserialize)]
struct Frame {
    #[serde(default)]
    positions: std::collections::BTreeMap<String, Numbers>,
    #[serde(default)]
    gone: Vec<String>,
}

/// A tick's frame as datagrams, each with those whom it is not for: a bundle of as many as fit for those that go to
/// everybody, and for each group of echoes of their own.
pub(super) fn positions(
    space: &Arc<str>,
    frame: &[u8],
    echoes: &mut Echoes,
) -> Vec<(PeerSet, Vec<u8>)> {
    let Ok(frame) = serde_json::from_slice::<Frame>(frame) else {
        return Vec::new();
    };
    let mut groups: Vec<(PeerSet, Vec<OscMessage>)> = Vec::new();
    let mut add = |peers: PeerSet, message| match groups.iter_mut().find(|(of, _)| *of == peers) {
        Some((_, messages)) => messages.push(message),
        None => groups.push((peers, vec![message])),
    };
    for (user, at) in &frame.positions {
        let user_arg = std::iter::once(OscType::String(user.replace('\0', "")));
        add(
            echoes.of_position(space, user, at),
            OscMessage {
                addr: address::outgoing(space, "position"),
                args: user_arg.chain(at.map(OscType::Float)).collect(),
            },
        );
    }
    for user in &frame.gone {
        echoes.left(space, user);
        add(
            0,
            OscMessage {
                addr: address::outgoing(space, "gone"),
                args: vec![OscType::String(user.replace('\0', ""))],
            },
        );
    }
    let pack = |(peers, messages)| bundles(messages).map(move |bytes| (peers, bytes));
    groups.into_iter().flat_map(pack).collect()
}

/// Messages in as few datagrams as they fit into; one alone needs no bundle.
fn bundles(messages: Vec<OscMessage>) -> impl Iterator<Item = Vec<u8>> {
    let mut bundles: Vec<Vec<OscPacket>> = Vec::new();
    let mut room = 0;
    for message in messages {
        let length = 4 + message.addr.len() + 40 + user_length(&message);
        if length > room || bundles.is_empty() {
            bundles.push(Vec::new());
            room = DATAGRAM_MAX - BUNDLE_HEAD;
        }
        room = room.saturating_sub(length);
        if let Some(last) = bundles.last_mut() {
            last.push(OscPacket::Message(message));
        }
    }
    bundles.into_iter().filter_map(|mut content| {
        let packet = match content.len() {
            1 => content.pop()?,
            _ => OscPacket::Bundle(OscBundle {
                timetag: OscTime {
                    seconds: 0,
                    fractional: 1,
                },
                content,
            }),
        };
        let datagram = rosc::encoder::encode(&packet).ok();
        datagram.filter(|datagram| datagram.len() <= DATAGRAM_MAX)
    })
}

/// With its padding; the other arguments are counted by the caller.
fn user_length(message: &OscMessage) -> usize {
    match message.args.first() {
        Some(OscType::String(user)) => user.len() + 8,
        _ => 0,
    }
}
