//! Packets as programs and attackers make them. What goes over a real socket is in [`exchange`].

mod addresses;
mod exchange;
mod hostile;
mod inbound;
mod outbound;
mod values;

use rosc::{OscBundle, OscMessage, OscPacket, OscTime, OscType};

/// A message as a program encodes it.
fn message(addr: &str, args: Vec<OscType>) -> OscPacket {
    OscPacket::Message(OscMessage {
        addr: addr.to_owned(),
        args,
    })
}

fn bundle(seconds: u32, fractional: u32, content: Vec<OscPacket>) -> OscPacket {
    OscPacket::Bundle(OscBundle {
        timetag: OscTime {
            seconds,
            fractional,
        },
        content,
    })
}

fn encode(packet: &OscPacket) -> Vec<u8> {
    rosc::encoder::encode(packet).unwrap()
}

/// A string with its padding.
fn padded(text: &[u8]) -> Vec<u8> {
    let mut bytes = text.to_vec();
    bytes.resize(text.len() + 4 - text.len() % 4, 0);
    bytes
}
