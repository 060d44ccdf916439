//! What [`sdp`](crate::sdp) and [`sdpfrag`](crate::sdpfrag) have in common: lines of `x=value`.

/// Characters of a foreign value that an error message repeats, so that a message stays a line long.
const QUOTE_MAX: usize = 40;

/// One line of SDP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    /// Counted from one, as an editor does.
    pub(crate) number: usize,
    /// The letter before `=`.
    pub(crate) kind: char,
    /// Everything after `=`.
    pub(crate) value: &'a str,
}

/// Splits at LF, forgives CR LF, CR-less lines and empty lines; a line that is not `x=value` comes back as an error with its number and start.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = Result<Line<'_>, (usize, String)>> {
    text.split('\n')
        .enumerate()
        .map(|(index, line)| (index + 1, line.strip_suffix('\r').unwrap_or(line)))
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(number, line)| {
            let mut characters = line.chars();
            match (characters.next(), characters.next()) {
                (Some(kind @ 'a'..='z'), Some('=')) => Ok(Line {
                    number,
                    kind,
                    value: characters.as_str(),
                }),
                _ => Err((number, excerpt(line))),
            }
        })
}

/// The value of attribute `name` if `value` (what follows `a=`) is that attribute: `""` for a flag.
pub(crate) fn attribute<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    let rest = value.strip_prefix(name)?;
    if rest.is_empty() {
        return Some("");
    }
    rest.strip_prefix(':').map(str::trim)
}

/// The start of a foreign text, printable and short enough for an error message.
pub(crate) fn excerpt(text: &str) -> String {
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

/// Whether this can stand as a user fragment or password: printable ASCII without spaces, `length_min` to 256 of them (RFC 8839 section 5.4).
/// The RFC's alphabet is smaller, but clients are known to use `-` and `_` too.
pub(crate) fn is_ice_word(word: &str, length_min: usize) -> bool {
    (length_min..=256).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_line_endings_and_empty_lines_are_forgiven() {
        let found: Vec<_> = lines("v=0\r\n\r\ns=-\na=b:c\n")
            .map(|line| line.map(|line| (line.number, line.kind, line.value)))
            .collect();
        assert_eq!(
            found,
            [Ok((1, 'v', "0")), Ok((3, 's', "-")), Ok((4, 'a', "b:c"))]
        );
    }

    #[test]
    fn a_line_without_a_type_is_named_by_its_number() {
        let found: Vec<_> = lines("v=0\nhello\nA=1\n=\n")
            .filter_map(Result::err)
            .collect();
        assert_eq!(
            found,
            [
                (2, "hello".to_owned()),
                (3, "A=1".to_owned()),
                (4, "=".to_owned())
            ]
        );
    }

    #[test]
    fn an_excerpt_is_short_and_printable() {
        assert_eq!(excerpt("a\u{1b}[31m"), "a\\u{1b}[31m");
        assert_eq!(excerpt(&"x".repeat(1000)).len(), QUOTE_MAX + 3);
    }
}
