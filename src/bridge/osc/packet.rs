//! One datagram to the messages in it, bounded before anything is decoded.
//!
//! `rosc` follows nested bundles and drops nested arrays by recursion, as deep as a hostile datagram says. So bundles are
//! taken apart here, down to [`DEPTH_MAX`], and `rosc` gets single messages of which the head has been looked at.

use rosc::{OscMessage, OscPacket, OscType};

/// Bundles in bundles. Programs make one, some make two.
const DEPTH_MAX: usize = 8;

/// Messages of one datagram: a whole mixing desk at once.
const MESSAGES_MAX: usize = 512;

/// Bytes of an address: three names and some patterns.
const ADDRESS_MAX: usize = 512;

/// Type tags of one message, brackets included.
const TAGS_MAX: usize = 512;

/// Arrays in arrays.
const ARRAYS_MAX: usize = 8;

const BUNDLE: &[u8] = b"#bundle\0";

/// What an immediate bundle says instead of a time (OSC 1.0, "OSC Time Tags").
const IMMEDIATE: u64 = 1;

/// When a message is meant to happen: seconds since 1900 with 32 bits of fraction. `None`: at once.
pub(super) type TimeTag = Option<u64>;

/// Why a datagram or one of its messages is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Not OSC, cut off, or text that is no UTF-8.
    Malformed,
    /// Beyond one of the limits.
    TooMuch,
}

/// The messages of a datagram in their order, still encoded, each with its bundle's time.
///
/// # Errors
/// When any part of it is not OSC, or when it is too deep or too many: then nothing of it is used.
pub(super) fn split(datagram: &[u8]) -> Result<Vec<(TimeTag, &[u8])>, Fault> {
    let mut messages = Vec::new();
    walk(datagram, None, 0, &mut messages)?;
    Ok(messages)
}

fn walk<'a>(
    bytes: &'a [u8],
    time: TimeTag,
    depth: usize,
    messages: &mut Vec<(TimeTag, &'a [u8])>,
) -> Result<(), Fault> {
    if !bytes.len().is_multiple_of(4) {
        return Err(Fault::Malformed);
    }
    let Some(content) = bytes.strip_prefix(BUNDLE) else {
        if messages.len() == MESSAGES_MAX {
            return Err(Fault::TooMuch);
        }
        messages.push((time, bytes));
        return Ok(());
    };
    if depth == DEPTH_MAX {
        return Err(Fault::TooMuch);
    }
    let (tag, mut rest) = content.split_first_chunk().ok_or(Fault::Malformed)?;
    let time = Some(u64::from_be_bytes(*tag)).filter(|tag| *tag != IMMEDIATE);
    while !rest.is_empty() {
        let (length, behind) = rest.split_first_chunk().ok_or(Fault::Malformed)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| Fault::Malformed)?;
        let (element, next) = behind.split_at_checked(length).ok_or(Fault::Malformed)?;
        walk(element, time, depth + 1, messages)?;
        rest = next;
    }
    Ok(())
}

/// One message of [`split`], decoded.
///
/// # Errors
/// When it is not OSC, or beyond a limit. A message without any type tags is one without arguments, as old senders mean.
pub(super) fn decode(message: &[u8]) -> Result<OscMessage, Fault> {
    let (address, rest) = text(message)?;
    if !address.starts_with(b"/") || !address.is_ascii() {
        return Err(Fault::Malformed);
    }
    if address.len() > ADDRESS_MAX {
        return Err(Fault::TooMuch);
    }
    if rest.is_empty() {
        return Ok(OscMessage {
            addr: String::from_utf8_lossy(address).into_owned(),
            args: Vec::new(),
        });
    }
    let (tags, _) = text(rest)?;
    check_tags(tags)?;
    match rosc::decoder::decode_udp(message) {
        Ok(([], OscPacket::Message(message))) => Ok(message),
        _ => Err(Fault::Malformed),
    }
}

/// A string and what is behind its padding.
fn text(bytes: &[u8]) -> Result<(&[u8], &[u8]), Fault> {
    let end = bytes.iter().position(|byte| *byte == 0);
    let (text, rest) = bytes.split_at(end.ok_or(Fault::Malformed)?);
    let padding = 4 - text.len() % 4;
    let rest = rest.get(padding..).ok_or(Fault::Malformed)?;
    Ok((text, rest))
}

fn check_tags(tags: &[u8]) -> Result<(), Fault> {
    let tags = tags.strip_prefix(b",").ok_or(Fault::Malformed)?;
    let mut depth = 0_usize;
    for tag in tags {
        match tag {
            b'[' => depth += 1,
            b']' => depth = depth.checked_sub(1).ok_or(Fault::Malformed)?,
            _ => {}
        }
        if depth > ARRAYS_MAX {
            return Err(Fault::TooMuch);
        }
    }
    if depth > 0 {
        return Err(Fault::Malformed);
    }
    if tags.len() > TAGS_MAX {
        return Err(Fault::TooMuch);
    }
    Ok(())
}

/// A message as a datagram.
pub(super) fn encode(addr: String, args: Vec<OscType>) -> Option<Vec<u8>> {
    rosc::encoder::encode(&OscPacket::Message(OscMessage { addr, args })).ok()
}
