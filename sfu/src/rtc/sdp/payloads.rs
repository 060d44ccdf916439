//! What payload types mean, before str0m takes them for granted.

use std::collections::BTreeMap;

/// Codecs of which str0m remembers the payload type. Others may be numbered as they like.
const CODECS: [&str; 9] = [
    "opus", "pcmu", "pcma", "h264", "vp8", "vp9", "av1", "red", "rtx",
];

/// Parameters that make another codec of the same name, and which one `rtx` belongs to.
const PARAMETERS: [&str; 5] = [
    "apt",
    "packetization-mode",
    "profile",
    "profile-id",
    "profile-level-id",
];

/// A payload type that means one thing in one place of a description and another one elsewhere. All sections share a transport, so that it
/// must not (RFC 9143 section 9.2); str0m panics.
pub(crate) fn payload_conflict(sdp: &str) -> Option<u8> {
    let mut meanings: BTreeMap<u8, String> = BTreeMap::new();
    for section in sdp.split("\nm=").skip(1) {
        let parameters: BTreeMap<u8, String> = attributes(section, "a=fmtp:")
            .map(|(number, text)| (number, parameters(text)))
            .collect();
        for (number, encoding) in attributes(section, "a=rtpmap:") {
            let encoding = encoding.to_ascii_lowercase();
            let name = encoding.split('/').next().unwrap_or_default();
            if !CODECS.contains(&name) {
                continue;
            }
            let meaning = match parameters.get(&number) {
                Some(parameters) => format!("{encoding} {parameters}"),
                None => format!("{encoding} "),
            };
            let known = meanings.entry(number).or_insert_with(|| meaning.clone());
            if *known != meaning {
                return Some(number);
            }
        }
    }
    None
}

/// The payload types of such lines, with what follows.
fn attributes<'a>(section: &'a str, prefix: &'static str) -> impl Iterator<Item = (u8, &'a str)> {
    section.lines().filter_map(move |line| {
        let (number, text) = line.strip_prefix(prefix)?.split_once(' ')?;
        Some((number.parse().ok()?, text.trim()))
    })
}

/// Those of [`PARAMETERS`], in order.
fn parameters(text: &str) -> String {
    let mut all: Vec<String> = text
        .split(';')
        .map(|one| one.trim().to_ascii_lowercase())
        .filter(|one| PARAMETERS.contains(&one.split('=').next().unwrap_or_default()))
        .collect();
    all.sort_unstable();
    all.join(";")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conflict(sections: &[&[&str]]) -> Option<u8> {
        let mut sdp = String::from("v=0\r\n");
        for lines in sections {
            sdp.push_str("m=video 9 UDP/TLS/RTP/SAVPF 96\r\n");
            lines.iter().for_each(|line| sdp.extend([*line, "\r\n"]));
        }
        payload_conflict(&sdp)
    }

    #[test]
    fn a_payload_type_means_the_same_everywhere() {
        let vp8 = "a=rtpmap:96 VP8/90000";
        let h264 = "a=rtpmap:96 H264/90000";
        let low = "a=fmtp:96 packetization-mode=1;profile-level-id=42e01f";
        let same =
            "a=fmtp:96 profile-level-id=42E01F;level-asymmetry-allowed=1;packetization-mode=1";
        let high = "a=fmtp:96 packetization-mode=1;profile-level-id=640032";
        assert_eq!(conflict(&[&[vp8], &["a=rtpmap:96 vp8/90000"]]), None);
        assert_eq!(conflict(&[&[h264, low], &[same, h264]]), None);
        assert_eq!(conflict(&[&[h264, low], &[h264, high]]), Some(96));
        assert_eq!(conflict(&[&[vp8], &[h264]]), Some(96));
        assert_eq!(conflict(&[&[vp8, h264]]), Some(96));
        let stereo = ["a=rtpmap:111 opus/48000/2", "a=fmtp:111 stereo=1"];
        assert_eq!(conflict(&[&stereo, &stereo[..1]]), None, "the same codec");
        let rtx = |of| {
            [
                String::from("a=rtpmap:97 rtx/90000"),
                format!("a=fmtp:97 apt={of}"),
            ]
        };
        let (first, other) = (rtx(96), rtx(98));
        assert_eq!(
            conflict(&[&[&first[0], &first[1]], &[&other[0], &other[1]]]),
            Some(97)
        );
        // Nobody here takes dialled numbers.
        let dialled = "a=rtpmap:97 telephone-event/48000";
        assert_eq!(conflict(&[&[dialled], &[&first[0], &first[1]]]), None);
        assert_eq!(conflict(&[&["a=rtpmap:999 VP8/90000", "a=rtpmap:x"]]), None);
    }
}
