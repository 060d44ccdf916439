//! Small text work on session descriptions that str0m leaves to us.

/// The `a=msid` stream that all our sections carry: receivers synchronise tracks of one MediaStream (RFC 8830).
const STREAM: &str = "proscenium";

/// How many m-sections a description has; cheap, for refusing monsters before they are parsed.
pub(crate) fn count_sections(sdp: &str) -> usize {
    sdp.lines().filter(|line| line.starts_with("m=")).count()
}

/// The names of a description's sections.
pub(super) fn mids(sdp: &str) -> impl Iterator<Item = &str> {
    sdp.lines().filter_map(|line| line.strip_prefix("a=mid:"))
}

/// Puts all sections that we send into one MediaStream.
pub(super) fn polish(sdp: &str) -> String {
    let mut out = String::with_capacity(sdp.len() + 64);
    for line in sdp.lines() {
        if let Some(track) = msid_track(line) {
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
    fn all_sections_are_one_stream() {
        let sdp = "a=msid-semantic:WMS a b\r\na=msid:a x\r\na=msid:b y\r\n";
        assert_eq!(
            polish(sdp),
            "a=msid-semantic:WMS *\r\na=msid:proscenium x\r\na=msid:proscenium y\r\n"
        );
    }
}
