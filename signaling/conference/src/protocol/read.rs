//! Reading what a client says: JSON, then types, then limits.

use serde::Deserialize;
use serde_json::Value;

use super::client::{ClientMessage, Join, Moderate, Publish};
use super::error::{ErrorCode, Fault};

/// Longest text message that is read, in bytes: an offer with 70 sections has about 150 kB.
pub const TEXT_MAX: usize = 512 * 1024;
/// Longest text message without SDP, in bytes: a list of 256 pictures has 12 kB to 20 kB, of 49 at most 5 kB.
pub const SHORT_TEXT_MAX: usize = 16 * 1024;
/// Characters of a foreign value that an error message repeats, so that a message stays a line long.
const QUOTE_MAX: usize = 40;
/// Longest name, in characters.
pub const NAME_MAX: usize = 64;
/// Longest text that is relayed with a participant, in bytes.
pub const DATA_MAX: usize = 512;
/// Layers of one feed.
pub const LAYERS_MAX: usize = 4;
/// Entries of one `watch`.
pub const WATCHED_MAX: usize = 256;
/// Entries of one `silence`.
pub const SILENCED_MAX: usize = 512;
/// Longest candidate, in bytes.
pub const CANDIDATE_MAX: usize = 512;

/// Feeds of one `join`: as many as there are sources.
const FEEDS_MAX: usize = 2;
/// Longest `mid`, `rid`, in bytes; RFC 8843 asks for three or fewer.
const SECTION_NAME_MAX: usize = 16;
/// Longest token, in bytes.
const TOKEN_MAX: usize = 8 * 1024;
/// Longest participant's id, resume secret or program's name, in bytes.
const WORD_MAX: usize = 64;
/// Longest words of a moderator, in characters.
const REASON_MAX: usize = 200;
/// Largest width or height, in pixels.
const SIDE_MAX: u32 = 16_384;
/// Largest id of an offer: JavaScript counts so far.
const ID_MAX: u64 = (1 << 53) - 1;

/// The types that a client can send, and whether they carry SDP.
const TYPES: [(&str, bool); 14] = [
    ("join", true),
    ("offer", true),
    ("answer", true),
    ("candidate", false),
    ("publish", false),
    ("unpublish", false),
    ("mute", false),
    ("music", false),
    ("watch", false),
    ("silence", false),
    ("hand", false),
    ("rename", false),
    ("leave", false),
    ("moderate", false),
];

/// Reads one text message. What comes out keeps every limit of this module; names and identities are checked where they are used.
///
/// # Errors
/// `too_large`, `malformed`, `unknown_type`, each with the type and id of the message if it has them.
pub fn read(text: &str) -> Result<ClientMessage, Fault> {
    if text.len() > TEXT_MAX {
        return Err(too_large(format!(
            "a message has at most {TEXT_MAX} bytes, this one {}",
            text.len()
        )));
    }
    let value: Value = serde_json::from_str(text)
        .map_err(|error| malformed(format!("the message is no JSON: {error}")))?;
    let Some(name) = value.get("type").and_then(Value::as_str) else {
        return Err(malformed("a message is an object with a text `type`"));
    };
    let Some((request, has_sdp)) = TYPES.into_iter().find(|(known, _)| *known == name) else {
        return Err(Fault::new(
            ErrorCode::UnknownType,
            format!(
                "{:?} is no type of message that this server knows; it was ignored",
                excerpt(name)
            ),
        ));
    };
    let id = value.get("id").and_then(Value::as_u64);
    let located = |fault: Fault| {
        let fault = fault.of(request);
        match id {
            Some(id) => fault.with_id(id),
            None => fault,
        }
    };
    if !has_sdp && text.len() > SHORT_TEXT_MAX {
        return Err(located(too_large(format!(
            "`{request}` has at most {SHORT_TEXT_MAX} bytes, this one {}",
            text.len()
        ))));
    }
    let message = ClientMessage::deserialize(value)
        .map_err(|error| located(malformed(format!("`{request}` cannot be read: {error}"))))?;
    checked(message).map_err(located)
}

/// A name as people will see it.
///
/// # Errors
/// `name`: empty, longer than [`NAME_MAX`], or with characters that cannot be seen.
pub(crate) fn checked_name(name: &str) -> Result<String, Fault> {
    let name = name.trim();
    let fault = |why: String| Err(Fault::new(ErrorCode::Name, why));
    if name.is_empty() {
        return fault("the name is empty; say how people shall call you".to_owned());
    }
    let length = name.chars().count();
    if length > NAME_MAX {
        return fault(format!(
            "a name has at most {NAME_MAX} characters, this one {length}"
        ));
    }
    if name.chars().any(is_invisible) {
        return fault(
            "the name has characters that cannot be seen; leave line breaks and control characters out".to_owned(),
        );
    }
    Ok(name.to_owned())
}

/// Checks an identity.
///
/// # Errors
/// `identity`: not 16 to 64 of letters, digits, `-` and `_`.
pub(crate) fn checked_identity(identity: &str) -> Result<(), Fault> {
    let is_fine = (16..=64).contains(&identity.len())
        && (identity.bytes()).all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if is_fine {
        return Ok(());
    }
    Err(Fault::new(
        ErrorCode::Identity,
        "an identity is 16 to 64 random characters of A-Z a-z 0-9 - _; make one and keep it while the page lives",
    ))
}

fn checked(message: ClientMessage) -> Result<ClientMessage, Fault> {
    match &message {
        ClientMessage::Join(join) => check_join(join)?,
        ClientMessage::Offer(offer) => check_id(offer.id)?,
        ClientMessage::Answer(answer) => check_id(answer.id)?,
        ClientMessage::Candidate(candidate) => {
            let length = candidate.candidate.as_deref().unwrap_or_default().len();
            check_length("candidate", length, CANDIDATE_MAX)?;
        }
        ClientMessage::Publish(publish) => check_publish(publish)?,
        ClientMessage::Watch(watch) => {
            check_count("tracks", watch.tracks.len(), WATCHED_MAX)?;
            for track in &watch.tracks {
                check_word("id", &track.id)?;
            }
        }
        ClientMessage::Silence(silence) => {
            check_count("ids", silence.ids.len(), SILENCED_MAX)?;
            for id in &silence.ids {
                check_word("id", id)?;
            }
        }
        ClientMessage::Moderate(moderate) => check_moderate(moderate)?,
        ClientMessage::Unpublish(_)
        | ClientMessage::Mute(_)
        | ClientMessage::Music(_)
        | ClientMessage::Hand(_)
        | ClientMessage::Rename(_)
        | ClientMessage::Leave => {}
    }
    Ok(message)
}

/// The name and the identity are checked where they are used: a token may bring the name.
fn check_join(join: &Join) -> Result<(), Fault> {
    check_length(
        "token",
        join.token.as_ref().map_or(0, String::len),
        TOKEN_MAX,
    )?;
    check_length("data", join.data.as_ref().map_or(0, String::len), DATA_MAX)?;
    for (field, word) in [("resume", &join.resume), ("client", &join.client)] {
        check_word(field, word.as_deref().unwrap_or_default())?;
    }
    check_count("feeds", join.feeds.len(), FEEDS_MAX)?;
    join.feeds.iter().try_for_each(check_publish)
}

fn check_publish(publish: &Publish) -> Result<(), Fault> {
    let mids = [("audio", &publish.audio), ("video", &publish.video)];
    for (field, mid) in mids {
        if let Some(mid) = mid {
            check_section_name(field, mid)?;
        }
    }
    if publish.audio.is_none() && publish.video.is_none() {
        return Err(malformed(
            "a feed has at least one section: put the mid of its sound into `audio`, of its pictures into `video`",
        ));
    }
    if publish.audio == publish.video {
        return Err(malformed("`audio` and `video` are two different sections"));
    }
    check_count("layers", publish.layers.len(), LAYERS_MAX)?;
    for layer in &publish.layers {
        if !layer.rid.is_empty() {
            check_section_name("rid", &layer.rid)?;
        }
        if layer.width.max(layer.height) > SIDE_MAX {
            return Err(malformed(format!(
                "a layer is at most {SIDE_MAX} pixels wide and high"
            )));
        }
    }
    Ok(())
}

fn check_moderate(moderate: &Moderate) -> Result<(), Fault> {
    match moderate {
        Moderate::Mute { id, .. }
        | Moderate::Unpublish { id, .. }
        | Moderate::Stage { id, .. }
        | Moderate::Role { id, .. }
        | Moderate::LowerHand { id } => check_word("id", id),
        Moderate::Remove { id, reason } => {
            let length = reason.as_ref().map_or(0, |reason| reason.chars().count());
            check_length("reason", length, REASON_MAX)?;
            check_word("id", id)
        }
        Moderate::Stream { id, .. } => check_word("id", id.as_deref().unwrap_or_default()),
        Moderate::Lock { .. } | Moderate::StageOnly { .. } => Ok(()),
    }
}

fn check_id(id: u64) -> Result<(), Fault> {
    if id == 0 || id > ID_MAX {
        return Err(malformed(format!("`id` counts from 1 to {ID_MAX}")));
    }
    Ok(())
}

/// The start of a foreign text, printable and short enough for an error message.
fn excerpt(text: &str) -> String {
    let mut short: String = text
        .chars()
        .take(QUOTE_MAX)
        .flat_map(char::escape_default)
        .collect();
    if text.chars().nth(QUOTE_MAX).is_some() {
        short.push_str("...");
    }
    short
}

/// A `mid` or `rid`: a token of RFC 4566, here without the characters that nobody uses.
fn check_section_name(field: &str, name: &str) -> Result<(), Fault> {
    let is_fine = (1..=SECTION_NAME_MAX).contains(&name.len())
        && (name.bytes()).all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if is_fine {
        return Ok(());
    }
    Err(malformed(format!(
        "`{field}` names a section or layer with 1 to {SECTION_NAME_MAX} of A-Z a-z 0-9 - _ ., not {:?}",
        excerpt(name)
    )))
}

fn check_word(field: &str, word: &str) -> Result<(), Fault> {
    check_length(field, word.len(), WORD_MAX)
}

fn check_length(field: &str, length: usize, length_max: usize) -> Result<(), Fault> {
    if length <= length_max {
        return Ok(());
    }
    Err(too_large(format!(
        "`{field}` is at most {length_max} long, this one {length}"
    )))
}

fn check_count(field: &str, count: usize, count_max: usize) -> Result<(), Fault> {
    if count <= count_max {
        return Ok(());
    }
    Err(too_large(format!(
        "`{field}` has at most {count_max} entries, this one {count}"
    )))
}

/// Control characters, and those that change the direction of what stands around them.
fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

fn malformed(message: impl Into<String>) -> Fault {
    Fault::new(ErrorCode::Malformed, message)
}

fn too_large(message: impl Into<String>) -> Fault {
    Fault::new(ErrorCode::TooLarge, message)
}
