//! Where things are in a text that is known to be JSON, so that they can be cut out without being written anew.
//!
//! `serde_json` has checked the text before; this only looks for the ends of values. It does not recurse, so that depth costs nothing, and
//! it reads no number, so that size costs nothing.

use std::borrow::Cow;

/// The fields of an object, as `("key" with its quotes, value)`. Nothing when the text is no object.
pub(super) fn fields(json: &str) -> Fields<'_> {
    let json = json.trim_ascii();
    Fields {
        rest: json.strip_prefix('{').unwrap_or(""),
    }
}

/// See [`fields`].
#[derive(Debug, Clone)]
pub(super) struct Fields<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.rest.trim_ascii_start();
        let start = start.strip_prefix(',').unwrap_or(start).trim_ascii_start();
        if !start.starts_with('"') {
            self.rest = "";
            return None;
        }
        let (key, rest) = split(start);
        let rest = rest
            .trim_ascii_start()
            .strip_prefix(':')?
            .trim_ascii_start();
        let (value, rest) = split(rest);
        self.rest = rest;
        Some((key, value))
    }
}

/// The numbers of an array of numbers; `None` when it is something else, or when one of them is no number.
pub(super) fn numbers<const N: usize>(json: &str) -> Option<[f32; N]> {
    let inner = json.trim_ascii().strip_prefix('[')?.strip_suffix(']')?;
    let mut found = [0.0; N];
    let mut parts = inner.split(',');
    for slot in &mut found {
        *slot = number(parts.next()?)?;
    }
    parts.next().is_none().then_some(found)
}

/// A finite number.
pub(super) fn number(json: &str) -> Option<f32> {
    let number: f32 = json.trim_ascii().parse().ok()?;
    number.is_finite().then_some(number)
}

/// What a JSON string says; `None` when it is something else. Half a surrogate pair, which JavaScript writes when it has cut a name, becomes
/// a replacement character.
pub(super) fn text(json: &str) -> Option<Cow<'_, str>> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    if !inner.contains('\\') {
        return Some(Cow::Borrowed(inner));
    }
    let mut units = Vec::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        let unescaped = match character {
            '\\' => match characters.next()? {
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'u' => {
                    let digits = characters.as_str().get(..4)?;
                    units.push(u16::from_str_radix(digits, 16).ok()?);
                    characters = characters.as_str().get(4..)?.chars();
                    continue;
                }
                other => other,
            },
            other => other,
        };
        units.extend_from_slice(unescaped.encode_utf16(&mut [0; 2]));
    }
    Some(Cow::Owned(String::from_utf16_lossy(&units)))
}

/// Cuts the first value off.
fn split(json: &str) -> (&str, &str) {
    let bytes = json.as_bytes();
    let end = match bytes.first() {
        Some(b'"') => string_end(bytes),
        Some(b'{' | b'[') => container_end(bytes),
        _ => bytes
            .iter()
            .position(|byte| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n'))
            .unwrap_or(bytes.len()),
    };
    json.split_at_checked(end).unwrap_or((json, ""))
}

/// Behind the closing quote of the string that begins here.
fn string_end(bytes: &[u8]) -> usize {
    let mut at = 1;
    while let Some(offset) =
        (bytes.get(at..)).and_then(|rest| rest.iter().position(|byte| matches!(byte, b'"' | b'\\')))
    {
        at += offset;
        if bytes.get(at) == Some(&b'"') {
            return at + 1;
        }
        at += 2;
    }
    bytes.len()
}

/// Behind the closing bracket of the container that begins here.
fn container_end(bytes: &[u8]) -> usize {
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at += string_end(bytes.get(at..).unwrap_or_default());
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_with_their_own_bytes() {
        let json = " { \"a\" : \"x,\\\"}y\" ,\n\"b\":{\"c\":[1,\"]\"]},\"d\":1e999 ,\"e\": null}";
        let found: Vec<_> = fields(json).collect();
        assert_eq!(
            found,
            [
                ("\"a\"", "\"x,\\\"}y\""),
                ("\"b\"", "{\"c\":[1,\"]\"]}"),
                ("\"d\"", "1e999"),
                ("\"e\"", "null")
            ]
        );
    }

    #[test]
    fn what_is_no_object_has_no_fields() {
        for json in ["[1,2]", "\"x\"", "5", "null", "{}", "{ }", ""] {
            assert_eq!(fields(json).count(), 0, "{json}");
        }
    }

    #[test]
    fn a_string_is_read_as_a_browser_reads_it() {
        let check = |json: &str, expected: Option<&str>| {
            assert_eq!(text(json).as_deref(), expected, "{json}");
        };
        check("\"a\"", Some("a"));
        check("\"\"", Some(""));
        check("\"a\\n\\u00e4\\/\\\"\"", Some("a\nä/\""));
        check("\"\\ud83d\\ude00\"", Some("😀"));
        check("\"x\\ud83d\"", Some("x\u{fffd}"));
        check("5", None);
        check("null", None);
        check("\"", None);
    }

    #[test]
    fn numbers_are_finite_and_as_many_as_asked_for() {
        assert_eq!(numbers("[1, -2.5,3e1]"), Some([1.0, -2.5, 30.0]));
        for bad in [
            "[1,2]",
            "[1,2,3,4]",
            "[1,2,1e999]",
            "[1,2,\"3\"]",
            "[[1,2,3]]",
            "1,2,3",
            "[]",
        ] {
            assert_eq!(numbers::<3>(bad), None, "{bad}");
        }
    }
}
