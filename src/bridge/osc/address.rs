//! Addresses: `/proscenium/{space}/{type}`, and the patterns that stand for several spaces (OSC 1.0, "OSC Message
//! Dispatching and Pattern Matching").
//!
//! Patterns are matched here and not by `rosc`, which backtracks too little to find `a*b?c` and panics on some classes.
//! The work is bounded by the product of both lengths.

use venue::SpaceName;

/// What all addresses begin with.
const ROOT: &str = "proscenium";

/// What has a meaning in a pattern.
const SPECIAL: [char; 8] = [' ', '#', '*', ',', '?', '[', '{', '}'];

/// Characters of a type: as long as anybody will write.
const TYPE_MAX: usize = 64;

/// Where a message is for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target<'a> {
    /// The space of this name.
    Space(&'a str),
    /// All spaces that match.
    Pattern(&'a str),
}

/// The spaces and the type that an address names; `None` when it is no address of ours.
pub(super) fn parse(address: &str) -> Option<(Target<'_>, &str)> {
    let (root, rest) = address.strip_prefix('/')?.split_once('/')?;
    let (space, kind) = rest.split_once('/')?;
    if !matches(root, ROOT) || !is_type(kind) {
        return None;
    }
    if space.contains(SPECIAL) || space.contains(']') {
        return Some((Target::Pattern(space), kind));
    }
    space.parse::<SpaceName>().ok()?;
    Some((Target::Space(space), kind))
}

/// Types are whatever clients invent, so that a pattern of them has nothing to match.
fn is_type(kind: &str) -> bool {
    kind.len() <= TYPE_MAX
        && kind.split('/').all(|part| !part.is_empty())
        && kind.chars().all(|c| c.is_ascii_graphic())
        && !kind.contains(SPECIAL)
        && !kind.contains(']')
}

/// The address of a message that goes out: what OSC cannot say in an address becomes `_`.
pub(super) fn outgoing(space: &str, kind: &str) -> String {
    let safe = |c: char| {
        let is_safe = c.is_ascii_graphic() && !SPECIAL.contains(&c) && c != ']';
        if is_safe { c } else { '_' }
    };
    let kind: String = kind.chars().map(safe).collect();
    let parts: Vec<_> = kind
        .split('/')
        .map(|part| if part.is_empty() { "_" } else { part })
        .collect();
    format!("/{ROOT}/{space}/{}", parts.join("/"))
}

/// Whether a part of an address, which may be a pattern, means `name`. What is no pattern means nothing.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let name = name.as_bytes();
    // Where in the name one may be after what of the pattern has been read.
    let mut places = vec![false; name.len() + 1];
    places[0] = true;
    let mut rest = pattern.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        places = match first {
            b'*' => {
                let from = places.iter().position(|is_place| *is_place);
                let mut places = vec![false; name.len() + 1];
                places[from.unwrap_or(name.len() + 1).min(name.len() + 1)..].fill(true);
                places
            }
            b'?' => step(&places, name, |_| true),
            b'[' => match class(&mut rest) {
                Some(contains) => step(&places, name, contains),
                None => return false,
            },
            b'{' => match alternatives(&mut rest) {
                Some(words) => branch(&places, name, &words),
                None => return false,
            },
            b']' | b'}' | b' ' | b'#' | b',' => return false,
            literal => step(&places, name, |byte| byte == *literal),
        };
    }
    places[name.len()]
}

/// One byte further, where it fits.
fn step(places: &[bool], name: &[u8], fits: impl Fn(u8) -> bool) -> Vec<bool> {
    let steps = places.iter().zip(name);
    let steps = steps.map(|(is_place, byte)| *is_place && fits(*byte));
    std::iter::once(false).chain(steps).collect()
}

/// `[a-z0]` and `[!a-z]`; takes it from `rest`. `None` when it does not end.
fn class<'a>(rest: &mut &'a [u8]) -> Option<impl Fn(u8) -> bool + use<'a>> {
    let end = rest.iter().position(|byte| *byte == b']')?;
    let (inside, behind) = rest.split_at(end);
    *rest = behind.get(1..)?;
    let (is_negated, members) = match inside.strip_prefix(b"!") {
        Some(members) => (true, members),
        None => (false, inside),
    };
    Some(move |byte| {
        let mut members = members;
        let mut is_member = false;
        loop {
            members = match members {
                // A minus at the end stands for itself.
                [low, b'-', high, behind @ ..] => {
                    // Ranges the wrong way round mean the same.
                    is_member |= (*low.min(high)..=*low.max(high)).contains(&byte);
                    behind
                }
                [one, behind @ ..] => {
                    is_member |= *one == byte;
                    behind
                }
                [] => return is_member != is_negated,
            };
        }
    })
}

/// `{one,two}`; takes it from `rest`. `None` when it does not end.
fn alternatives<'a>(rest: &mut &'a [u8]) -> Option<Vec<&'a [u8]>> {
    let end = rest.iter().position(|byte| *byte == b'}')?;
    let (inside, behind) = rest.split_at(end);
    *rest = behind.get(1..)?;
    Some(inside.split(|byte| *byte == b',').collect())
}

fn branch(places: &[bool], name: &[u8], words: &[&[u8]]) -> Vec<bool> {
    let mut next = vec![false; places.len()];
    for (place, _) in places.iter().enumerate().filter(|(_, is_place)| **is_place) {
        for word in words.iter().filter(|word| name[place..].starts_with(word)) {
            next[place + word.len()] = true;
        }
    }
    next
}
