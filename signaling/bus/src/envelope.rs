//! What the hub reads of a message. It forgives: whatever is not as expected is as good as absent.

use std::borrow::Cow;

use serde::de::IgnoredAny;

use super::scan;

/// Bytes of the name of a channel; a longer one is relayed, but nothing is known by it.
pub(super) const CHANNEL_BYTES_MAX: usize = 256;
/// Bytes of a `type`, `id` or `userId`; longer ones are relayed, but nothing is known by them. UUIDs have 36.
pub(super) const WORD_BYTES_MAX: usize = 128;

/// The fields of an envelope that mean something to the hub.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Envelope<'a> {
    pub(super) id: Option<Cow<'a, str>>,
    /// Whether there is any, readable or not.
    pub(super) has_channel: bool,
    pub(super) channel: Option<Cow<'a, str>>,
    pub(super) kind: Option<Cow<'a, str>>,
    pub(super) user: Option<Cow<'a, str>>,
    /// As JSON.
    pub(super) user_name: Option<&'a str>,
    /// As JSON.
    pub(super) value: Option<&'a str>,
    /// `store: true`.
    pub(super) is_stored: bool,
}

/// Reads what may be an envelope; `None` for what is not a JSON object.
pub(super) fn read(bytes: &[u8]) -> Option<Envelope<'_>> {
    let text = std::str::from_utf8(bytes).ok()?;
    if !text.trim_ascii_start().starts_with('{') {
        return None;
    }
    // Ignoring does not recurse and reads no numbers.
    serde_json::from_str::<IgnoredAny>(text).ok()?;
    Some(read_checked(text))
}

/// The channel that a message names, for whoever has to know it before the hub does; `None` for what is no JSON object or names none.
pub fn channel_of(bytes: &[u8]) -> Option<Cow<'_, str>> {
    read(bytes)?.channel
}

/// The same for what [`read`] has taken before.
pub(super) fn read_again(bytes: &[u8]) -> Envelope<'_> {
    std::str::from_utf8(bytes).map_or_else(|_| Envelope::default(), read_checked)
}

fn read_checked(text: &str) -> Envelope<'_> {
    let mut envelope = Envelope::default();
    for (key, value) in scan::fields(text) {
        // As in JavaScript, the last of several fields of one name counts.
        match plain_key(key).as_ref() {
            "id" => envelope.id = word(value, WORD_BYTES_MAX),
            "channel" => {
                envelope.has_channel = true;
                envelope.channel = word(value, CHANNEL_BYTES_MAX);
            }
            "type" => envelope.kind = word(value, WORD_BYTES_MAX),
            // Max writes them in lower case.
            "userId" | "userid" => envelope.user = word(value, WORD_BYTES_MAX),
            "userName" | "username" => envelope.user_name = value.starts_with('"').then_some(value),
            "value" => envelope.value = Some(value),
            "store" => envelope.is_stored = value == "true",
            _ => {}
        }
    }
    envelope
}

fn word(json: &str, bytes_max: usize) -> Option<Cow<'_, str>> {
    scan::text(json).filter(|text| !text.is_empty() && text.len() <= bytes_max)
}

fn plain_key(key: &str) -> Cow<'_, str> {
    scan::text(key).unwrap_or_default()
}

/// The message with `"channel":SPACE` as its first field, for who said it where the space is implied.
pub(super) fn with_channel(bytes: &[u8], space: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + space.len() + 16);
    let start = bytes
        .iter()
        .position(|byte| *byte == b'{')
        .map_or(0, |at| at + 1);
    let (head, rest) = bytes.split_at_checked(start).unwrap_or((&[], bytes));
    out.extend_from_slice(head);
    out.extend_from_slice(b"\"channel\":");
    super::wrapped::push_quoted(&mut out, space);
    if !rest.trim_ascii_start().starts_with(b"}") {
        out.push(b',');
    }
    out.extend_from_slice(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_is_read_whatever_surrounds_it() {
        let text = r#" {"id":"a","x":[{}],"type":"CHAT","channel":"r","userid":"u","username":"N","value":{"k":1},"store":true} "#;
        let envelope = read(text.as_bytes()).unwrap();
        assert_eq!(envelope.id.as_deref(), Some("a"));
        assert_eq!(envelope.kind.as_deref(), Some("CHAT"));
        assert_eq!(envelope.channel.as_deref(), Some("r"));
        assert_eq!(envelope.user.as_deref(), Some("u"));
        assert_eq!(envelope.user_name, Some("\"N\""));
        assert_eq!(envelope.value, Some("{\"k\":1}"));
        assert!(envelope.is_stored);
    }

    #[test]
    fn the_channel_is_that_of_the_envelope_and_not_of_what_is_in_it() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(channel_of(text.as_bytes()).as_deref(), expected, "{text}");
        };
        check(r#"{"value":{"channel":"b"},"channel":"a"}"#, Some("a"));
        check(r#"{"value":{"channel":"b"}}"#, None);
        check("[object Object]", None);
        check(r#"{"channel":"a""#, None);
    }

    #[test]
    fn wrong_kinds_of_values_are_as_good_as_absent() {
        let envelope =
            read(br#"{"id":5,"type":null,"channel":["x"],"userId":{},"store":"true"}"#).unwrap();
        assert!(envelope.has_channel);
        assert_eq!(
            envelope,
            Envelope {
                has_channel: true,
                ..Envelope::default()
            }
        );
    }

    #[test]
    fn what_is_no_json_object_is_none() {
        for text in [
            "",
            "[object Object]",
            "[1]",
            "5",
            "{",
            "{\"a\":1}x",
            "{\"a\":\"\n\"}",
            "\u{feff}{}",
        ] {
            assert_eq!(read(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(read(b"{\"a\":\"\xff\"}"), None);
    }

    #[test]
    fn depth_and_huge_numbers_do_not_hurt() {
        let deep = format!(
            "{{\"type\":\"X\",\"value\":{}{}}}",
            "[".repeat(30_000),
            "]".repeat(30_000)
        );
        assert_eq!(read(deep.as_bytes()).unwrap().kind.as_deref(), Some("X"));
        let huge = format!(
            "{{\"value\":1e99999,\"type\":\"X\",\"y\":{}}}",
            "9".repeat(60_000)
        );
        assert_eq!(read(huge.as_bytes()).unwrap().kind.as_deref(), Some("X"));
    }

    #[test]
    fn a_channel_is_added_as_the_first_field() {
        let check = |from: &str, expected: &str| {
            assert_eq!(with_channel(from.as_bytes(), "a\"b"), expected.as_bytes());
        };
        check(
            "{\"type\":\"X\"}",
            "{\"channel\":\"a\\\"b\",\"type\":\"X\"}",
        );
        check(" { } ", " {\"channel\":\"a\\\"b\" } ");
    }
}
