//! Small text work on session descriptions that str0m leaves to us.

mod answer;
mod offer;
mod payloads;

pub(super) use answer::{announce, finish};
pub(super) use offer::{normalise, stereo_mids};
pub(crate) use payloads::payload_conflict;

/// The `a=msid` stream that all our sections carry: receivers synchronise tracks of one MediaStream (RFC 8830).
pub(super) const STREAM: &str = "proscenium";

/// How many m-sections a description has; cheap, for refusing monsters before they are parsed.
pub(crate) fn count_sections(sdp: &str) -> usize {
    sdp.lines().filter(|line| line.starts_with("m=")).count()
}

/// The names of a description's sections.
pub(super) fn mids(sdp: &str) -> impl Iterator<Item = &str> {
    sdp.lines().filter_map(|line| line.strip_prefix("a=mid:"))
}

/// Takes dependency descriptors out of the sections in which the offerer may send another codec than AV1: browsers describe
/// every codec with them then, and leave out of the payloads what a descriptor says. Receivers without it need that.
pub(super) fn without_descriptors(offer: &str) -> String {
    let mut out = String::with_capacity(offer.len());
    let mut rest = offer;
    while !rest.is_empty() {
        let end = rest.find("\nm=").map_or(rest.len(), |at| at + 1);
        let (section, after) = rest.split_at(end);
        let keeps = section.contains("a=recvonly") || is_av1_alone(section);
        for line in section.lines() {
            if keeps
                || !(line.starts_with("a=extmap:") && line.contains(super::extensions::DEPENDENCY))
            {
                out.push_str(line);
                out.push_str("\r\n");
            }
        }
        rest = after;
    }
    out
}

fn is_av1_alone(section: &str) -> bool {
    const HELPERS: [&str; 4] = ["rtx", "red", "ulpfec", "flexfec-03"];
    let mut codecs = section.lines().filter_map(|line| {
        let (_, codec) = line.strip_prefix("a=rtpmap:")?.split_once(' ')?;
        let name = codec.split('/').next()?;
        (!HELPERS
            .iter()
            .any(|helper| name.eq_ignore_ascii_case(helper)))
        .then_some(name)
    });
    codecs.all(|name| name.eq_ignore_ascii_case("AV1"))
}

/// What a connection is for, as far as its descriptions are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// It sends to us and is sent nothing.
    Publisher,
    /// It is sent to and sends nothing.
    Viewer,
    /// Both, and it offers again and again.
    Participant,
}

/// The lines of a description, section by section.
struct Sdp<'a> {
    session: Vec<&'a str>,
    /// Each begins with its `m=` line.
    sections: Vec<Vec<&'a str>>,
}

impl<'a> Sdp<'a> {
    fn split(text: &'a str) -> Self {
        let (mut session, mut sections) = (Vec::new(), Vec::<Vec<_>>::new());
        for line in text.lines() {
            if line.starts_with("m=") {
                sections.push(vec![line]);
            } else {
                sections.last_mut().unwrap_or(&mut session).push(line);
            }
        }
        Self { session, sections }
    }
}

/// Whether a section is switched off: port 0, unless it lives on another one's port (RFC 9143 section 6).
fn is_off(section: &[&str]) -> bool {
    word(section[0], 1) == Some("0") && !section.contains(&"a=bundle-only")
}

fn mid<'a>(section: &[&'a str]) -> Option<&'a str> {
    section.iter().find_map(|line| line.strip_prefix("a=mid:"))
}

fn word(line: &str, at: usize) -> Option<&str> {
    line.split(' ').nth(at)
}

/// No candidate of ours comes later (RFC 8840 section 8.2).
const END: &str = "a=end-of-candidates";

/// The lines of a description with its candidates, and that these are all, in the first section that is used: str0m puts them
/// into the first, where clients do not look when it is refused.
fn with_candidates_in_use(sdp: &str) -> Vec<&str> {
    let (mut candidates, mut lines): (Vec<&str>, Vec<&str>) = sdp
        .lines()
        .filter(|line| *line != END)
        .partition(|line| line.starts_with("a=candidate:"));
    if !candidates.is_empty() {
        candidates.push(END);
    }
    let is_used = |line: &str| line.starts_with("m=") && line.split(' ').nth(1) != Some("0");
    let Some(used) = lines.iter().position(|line| is_used(line)) else {
        return sdp.lines().collect();
    };
    let end = lines[used + 1..]
        .iter()
        .position(|line| line.starts_with("m="))
        .map_or(lines.len(), |next| used + 1 + next);
    lines.splice(end..end, candidates);
    lines
}

/// Puts the candidates where they are looked for and, if asked to, all sections that we send into one MediaStream.
pub(super) fn polish(sdp: &str, is_one_stream: bool) -> String {
    let mut out = String::with_capacity(sdp.len() + 64);
    for line in with_candidates_in_use(sdp) {
        if let Some(track) = msid_track(line).filter(|_| is_one_stream) {
            out.push_str("a=msid:");
            out.push_str(STREAM);
            out.push(' ');
            out.push_str(track);
        } else if let Some(rest) = line.strip_prefix("a=msid-semantic:") {
            let semantic = rest.split_whitespace().next().unwrap_or("WMS");
            out.push_str("a=msid-semantic:");
            out.push_str(semantic);
            out.push_str(" *");
        } else {
            out.push_str(line);
        }
        out.push_str("\r\n");
    }
    out
}

fn msid_track(line: &str) -> Option<&str> {
    let (stream, track) = line.strip_prefix("a=msid:")?.split_once(' ')?;
    (stream != "-").then_some(track)
}

/// The same offer after an ICE restart: other credentials, no candidates.
pub(super) fn with_credentials(offer: &str, ufrag: &str, pwd: &str) -> String {
    let mut out = String::with_capacity(offer.len());
    for line in offer.lines() {
        if line.starts_with("a=candidate:") || line.starts_with("a=end-of-candidates") {
            continue;
        }
        if line.starts_with("a=ice-ufrag:") {
            out.push_str("a=ice-ufrag:");
            out.push_str(ufrag);
        } else if line.starts_with("a=ice-pwd:") {
            out.push_str("a=ice-pwd:");
            out.push_str(pwd);
        } else {
            out.push_str(line);
        }
        out.push_str("\r\n");
    }
    out
}

/// Whether `text` is an ICE user fragment or password of at least `min` characters (RFC 8839 section 5.4).
pub(super) fn is_credential(text: &str, min: usize) -> bool {
    let is_ice_char = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    (min..=256).contains(&text.len()) && text.bytes().all(is_ice_char)
}

/// A candidate for the generation `ufrag`. It still names the one that it was made for, and browsers ignore candidates of
/// another generation than the current.
pub(super) fn with_ufrag(candidate: &str, ufrag: &str) -> String {
    match candidate.split_once(" ufrag ") {
        Some((head, tail)) => {
            let rest = tail.split_once(' ').map(|(_, rest)| rest);
            let separator = if rest.is_some() { " " } else { "" };
            format!(
                "{head} ufrag {ufrag}{separator}{}",
                rest.unwrap_or_default()
            )
        }
        None => candidate.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_are_of_the_current_generation() {
        for (candidate, expected) in [
            (
                "candidate:1 1 udp 2 10.0.0.1 7900 typ host ufrag old",
                "candidate:1 1 udp 2 10.0.0.1 7900 typ host ufrag new",
            ),
            (
                "candidate:1 typ host ufrag old x y",
                "candidate:1 typ host ufrag new x y",
            ),
            ("candidate:1 typ host", "candidate:1 typ host"),
        ] {
            assert_eq!(with_ufrag(candidate, "new"), expected);
        }
    }

    #[test]
    fn credentials_are_ice_characters_and_long_enough() {
        assert!(is_credential("aB9+", 4) && is_credential(&"/".repeat(256), 22));
        for wrong in ["", "abc", "ab-d", "ab d", "abc\r", &"a".repeat(257)] {
            assert!(!is_credential(wrong, 4), "{wrong:?}");
        }
    }

    #[test]
    fn a_restarted_offer_differs_in_its_credentials_only() {
        let offer = "v=0\r\na=ice-ufrag:old\r\na=ice-pwd:older\r\nm=audio 9\r\na=candidate:1 1 udp\r\na=mid:0\r\n";
        assert_eq!(
            with_credentials(offer, "new", "newer"),
            "v=0\r\na=ice-ufrag:new\r\na=ice-pwd:newer\r\nm=audio 9\r\na=mid:0\r\n"
        );
    }

    #[test]
    fn descriptors_are_agreed_on_where_nothing_but_av1_is_sent() {
        let uri = crate::rtc::extensions::DEPENDENCY;
        let section = |direction: &str, codecs: &[&str]| {
            let mut text = format!(
                "m=video 9 X 45\r\na=extmap:4 urn:mid\r\na={direction}\r\na=extmap:13 {uri}\r\n"
            );
            for codec in codecs {
                text += &format!("a=rtpmap:45 {codec}/90000\r\n");
            }
            text
        };
        let check = |direction, codecs: &[&str], keeps| {
            let other =
                section("sendonly", &["VP8"]).replace(&format!("a=extmap:13 {uri}\r\n"), "");
            let offer = format!("v=0\r\n{other}{}{other}", section(direction, codecs));
            let out = without_descriptors(&offer);
            let expected = match keeps {
                true => offer.clone(),
                false => offer.replace(&format!("a=extmap:13 {uri}\r\n"), ""),
            };
            assert_eq!(out, expected, "{direction} {codecs:?}");
        };
        check("sendonly", &["AV1", "rtx"], true);
        check("sendrecv", &["av1", "red", "ulpfec"], true);
        check("sendonly", &["AV1", "VP8"], false);
        check("sendrecv", &["H264"], false);
        check("recvonly", &["VP8", "AV1", "H264"], true);
    }

    #[test]
    fn candidates_stand_in_the_first_section_that_is_used() {
        let answer = "v=0\r\nm=audio 0 X 0\r\na=candidate:1\r\na=candidate:2\r\na=mid:0\r\nm=video 9 X 96\r\na=mid:1\r\nm=video 9 X 96\r\n";
        assert_eq!(
            polish(answer, true),
            "v=0\r\nm=audio 0 X 0\r\na=mid:0\r\nm=video 9 X 96\r\na=mid:1\r\na=candidate:1\r\na=candidate:2\r\na=end-of-candidates\r\nm=video 9 X 96\r\n"
        );
        let refused = "m=audio 0 X 0\r\na=candidate:1\r\n";
        assert_eq!(polish(refused, true), refused);
    }

    #[test]
    fn all_sections_are_one_stream() {
        let sdp = "a=msid-semantic:WMS a b\r\na=msid:a x\r\na=msid:b y\r\n";
        assert_eq!(
            polish(sdp, true),
            "a=msid-semantic:WMS *\r\na=msid:proscenium x\r\na=msid:proscenium y\r\n"
        );
    }
}
