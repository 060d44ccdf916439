//! What the server itself says: envelopes on `/`, frames for new clients.

use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;

use super::message::{FrameKind, Message, Policy};
use super::refusal::Refusal;
use super::wrapped::push_quoted;

/// Makes envelopes.
#[derive(Debug)]
pub(super) struct Maker {
    seed: u64,
    count: u64,
}

/// What stands in an envelope beside its id and time.
#[derive(Debug)]
pub(super) struct Contents<'a> {
    pub(super) kind: &'a str,
    pub(super) channel: &'a str,
    pub(super) user: &'a str,
    /// As JSON.
    pub(super) user_name: &'a str,
    /// As JSON.
    pub(super) value: &'a [u8],
}

impl Maker {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, count: 0 }
    }

    /// An envelope as JavaScript clients make them, with an id of its own.
    pub(super) fn envelope(&mut self, unix_us: u64, contents: &Contents<'_>) -> Bytes {
        let mut out = Vec::with_capacity(contents.value.len() + 256);
        out.extend_from_slice(b"{\"id\":\"");
        out.extend_from_slice(&self.next_id(unix_us));
        let time = i64::try_from(unix_us / 1000)
            .ok()
            .and_then(|ms| Timestamp::from_millisecond(ms).ok())
            .unwrap_or_default();
        write!(out, "\",\"datetime\":\"{time:.3}\",\"type\":").expect("memory takes it");
        push_quoted(&mut out, contents.kind);
        out.extend_from_slice(b",\"channel\":");
        push_quoted(&mut out, contents.channel);
        out.extend_from_slice(b",\"userId\":");
        push_quoted(&mut out, contents.user);
        out.extend_from_slice(b",\"userName\":");
        out.extend_from_slice(contents.user_name.as_bytes());
        out.extend_from_slice(b",\"value\":");
        out.extend_from_slice(contents.value);
        out.push(b'}');
        Bytes::from(out)
    }

    /// 16 lower-case letters. They only have to differ: a number goes through the finalizer of splitmix64.
    fn next_id(&mut self, unix_us: u64) -> [u8; 16] {
        self.count += 1;
        let mut id = [b'a'; 16];
        let (high, low) = id.split_at_mut(8);
        for (half, salt) in [(high, unix_us), (low, self.count.rotate_left(32))] {
            let mut mixed = mix(self.seed ^ salt ^ mix(self.count));
            for letter in half {
                *letter = b'a' + u8::try_from(mixed % 26).expect("less than 26");
                mixed /= 26;
            }
        }
        id
    }
}

fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A message of the server's own that is sent as it is.
pub(super) fn frame(
    kind: &Arc<str>,
    channel: &Arc<str>,
    raw: Bytes,
    policy: Policy,
) -> Arc<Message> {
    Arc::new(Message {
        seq: 0,
        channel: Arc::clone(channel),
        kind: Arc::clone(kind),
        id: None,
        user: None,
        frame: FrameKind::Text,
        raw,
        media: None,
        is_kept: false,
        policy,
    })
}

/// `{"code":...,"detail":...,"id":...}`.
pub(super) fn error_value(refusal: Refusal, id: Option<&str>) -> Vec<u8> {
    let mut out = Vec::new();
    write!(
        out,
        "{{\"code\":\"{}\",\"detail\":\"{}\",\"id\":",
        refusal.code(),
        refusal.detail()
    )
    .expect("memory takes it");
    match id {
        Some(id) => push_quoted(&mut out, id),
        None => out.extend_from_slice(b"null"),
    }
    out.push(b'}');
    out
}

/// `{"NAME":VALUE}`.
pub(super) fn named(name: &str, value: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(name.len() + value.len() + 5);
    out.extend_from_slice(b"{\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    out.extend_from_slice(value);
    out.push(b'}');
    Bytes::from(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_looks_like_those_of_the_page() {
        let contents = Contents {
            kind: "CHANNEL_LEAVE",
            channel: "a\"b",
            user: "u",
            user_name: "\"N\"",
            value: b"[]",
        };
        let mut maker = Maker::new(1);
        let text = maker.envelope(1_700_000_000_123_456, &contents);
        let text = std::str::from_utf8(&text).unwrap();
        let (id, rest) = text.strip_prefix("{\"id\":\"").unwrap().split_at(16);
        assert!(id.bytes().all(|byte| byte.is_ascii_lowercase()), "{id}");
        assert_eq!(
            rest,
            r#"","datetime":"2023-11-14T22:13:20.123Z","type":"CHANNEL_LEAVE","channel":"a\"b","userId":"u","userName":"N","value":[]}"#
        );
        assert_ne!(maker.envelope(1_700_000_000_123_456, &contents), text);
    }

    #[test]
    fn times_that_do_not_exist_do_not_hurt() {
        let contents = Contents {
            kind: "",
            channel: "",
            user: "",
            user_name: "\"\"",
            value: b"0",
        };
        assert!(!Maker::new(0).envelope(u64::MAX, &contents).is_empty());
    }
}
