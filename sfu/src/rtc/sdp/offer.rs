//! An offer as real clients write it, made into one that str0m takes.

use super::{Sdp, Use, word};

/// Which way media may flow over a connection, seen from the offerer, as its answer will say it.
///
/// `sendrecv` is what a page offers that called `addTrack`; a publisher is sent nothing and a viewer sends nothing, so what is
/// answered is the half that is of use. No attribute means `sendrecv` (RFC 8866 section 6.7).
fn direction(offered: &str, used: Use) -> &'static str {
    let (sends, receives) = match offered {
        "sendonly" => (true, false),
        "recvonly" => (false, true),
        "inactive" => (false, false),
        _ => (true, true),
    };
    match (
        sends && used != Use::Viewer,
        receives && used != Use::Publisher,
    ) {
        (true, true) => "sendrecv",
        (true, false) => "sendonly",
        (false, true) => "recvonly",
        (false, false) => "inactive",
    }
}

fn is_direction(line: &str) -> bool {
    ["sendrecv", "sendonly", "recvonly", "inactive"]
        .iter()
        .any(|name| line.strip_prefix("a=") == Some(name))
}

/// GStreamer's `whepsrc` leaves out that Opus has two channels, which RFC 7587 section 7 demands.
fn is_short_opus(line: &str) -> bool {
    line.strip_prefix("a=rtpmap:").is_some_and(|map| {
        map.split_once(' ')
            .is_some_and(|(_, codec)| codec.eq_ignore_ascii_case("opus/48000"))
    })
}

/// The offer without what no parser takes, without the sections that it switches off itself, and with the one direction that
/// is of use in each. [`super::answer::finish`] puts those sections back.
pub(in crate::rtc) fn normalise(offer: &str, used: Use) -> String {
    let sdp = Sdp::split(offer);
    let mut out = String::with_capacity(offer.len() + 64);
    let everywhere = sdp.session.iter().find(|line| is_direction(line));
    // A participant's sections have places that count in its later offers, too.
    let is_off = |section: &[&str]| used != Use::Participant && super::is_off(section);
    let off: Vec<&str> = sdp
        .sections
        .iter()
        .filter(|section| is_off(section))
        .filter_map(|section| super::mid(section))
        .collect();
    let mut push = |line: &str| {
        out.push_str(line);
        out.push_str(if is_short_opus(line) {
            "/2\r\n"
        } else {
            "\r\n"
        });
    };
    for line in &sdp.session {
        match line.strip_prefix("a=group:BUNDLE") {
            Some(mids) if !off.is_empty() => {
                let kept = mids.split_whitespace().filter(|mid| !off.contains(mid));
                push(&format!(
                    "a=group:BUNDLE {}",
                    kept.collect::<Vec<_>>().join(" ")
                ));
            }
            _ if is_direction(line) => {}
            _ => push(line),
        }
    }
    for section in sdp.sections.iter().filter(|section| !is_off(section)) {
        let is_media = ["m=audio ", "m=video "]
            .iter()
            .any(|start| section[0].starts_with(start));
        // Two of them contradict one another: that is for the parser to refuse.
        let own: Vec<&str> = section
            .iter()
            .copied()
            .filter(|line| is_direction(line))
            .collect();
        for line in section {
            if !is_media || own.len() > 1 || !is_direction(line) {
                push(line);
            }
        }
        if is_media && own.len() <= 1 {
            let offered = own
                .first()
                .or(everywhere)
                .map_or("sendrecv", |line| &line[2..]);
            push(&format!("a={}", direction(offered, used)));
        }
    }
    out
}

/// What an offer says of the sound in one section.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::rtc) struct OpusWish {
    /// It will probably send two channels, or wants to be asked for them.
    pub(in crate::rtc) stereo: bool,
    /// `maxaveragebitrate`, in bit/s.
    pub(super) bitrate_bps: Option<u32>,
}

/// The bit rates that Opus has (RFC 7587 section 6.1).
const BITRATES: std::ops::RangeInclusive<u32> = 6_000..=510_000;

/// What a section's `a=fmtp` lines say of payload type `format`.
pub(super) fn opus_wish(section: &[&str], format: &str) -> OpusWish {
    let mut wish = OpusWish::default();
    let lines = section
        .iter()
        .filter_map(|line| line.strip_prefix("a=fmtp:"));
    for (_, parameters) in lines
        .filter_map(|line| line.split_once(' '))
        .filter(|(of, _)| *of == format)
    {
        for (name, value) in parameters.split(';').filter_map(|one| one.split_once('=')) {
            match name.trim() {
                "stereo" | "sprop-stereo" => wish.stereo |= value.trim() == "1",
                "maxaveragebitrate" => {
                    wish.bitrate_bps = value
                        .trim()
                        .parse()
                        .ok()
                        .filter(|bps| BITRATES.contains(bps));
                }
                _ => {}
            }
        }
    }
    wish
}

/// The payload types of Opus in a section.
pub(super) fn opus_formats<'a>(section: &[&'a str]) -> Vec<&'a str> {
    let maps = section
        .iter()
        .filter_map(|line| line.strip_prefix("a=rtpmap:"));
    maps.filter_map(|map| map.split_once(' '))
        .filter(|(_, codec)| {
            codec
                .split('/')
                .next()
                .is_some_and(|name| name.eq_ignore_ascii_case("opus"))
        })
        .map(|(format, _)| format)
        .collect()
}

/// The names of an offer's sections whose sender has two channels to send.
pub(in crate::rtc) fn stereo_mids(offer: &str) -> Vec<&str> {
    let sdp = Sdp::split(offer);
    let is_stereo = |section: &[&str]| {
        opus_formats(section)
            .iter()
            .any(|format| opus_wish(section, format).stereo)
    };
    sdp.sections
        .iter()
        .filter(|section| word(section[0], 0) == Some("m=audio") && is_stereo(section))
        .filter_map(|section| super::mid(section))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opus_has_two_channels_whatever_a_client_leaves_out() {
        assert_eq!(
            normalise(
                "v=0\r\na=rtpmap:96 OPUS/48000\r\na=rtpmap:97 opus/48000/2\na=rtpmap:98 H264/90000\r\n",
                Use::Viewer
            ),
            "v=0\r\na=rtpmap:96 OPUS/48000/2\r\na=rtpmap:97 opus/48000/2\r\na=rtpmap:98 H264/90000\r\n"
        );
    }

    #[test]
    fn of_every_direction_the_half_of_use_is_left() {
        let check = |used, expected: [&str; 5]| {
            for (offered, expected) in [
                "a=sendrecv\r\n",
                "",
                "a=sendonly\r\n",
                "a=recvonly\r\n",
                "a=inactive\r\n",
            ]
            .into_iter()
            .zip(expected)
            {
                let offer = format!("v=0\r\nm=audio 9 X 0\r\n{offered}a=mid:0\r\n");
                let expected = format!("v=0\r\nm=audio 9 X 0\r\na=mid:0\r\na={expected}\r\n");
                assert_eq!(normalise(&offer, used), expected, "{used:?} {offered}");
            }
        };
        check(
            Use::Publisher,
            ["sendonly", "sendonly", "sendonly", "inactive", "inactive"],
        );
        check(
            Use::Viewer,
            ["recvonly", "recvonly", "inactive", "recvonly", "inactive"],
        );
        check(
            Use::Participant,
            ["sendrecv", "sendrecv", "sendonly", "recvonly", "inactive"],
        );
    }

    #[test]
    fn a_direction_of_the_session_is_that_of_sections_without_one() {
        let offer = "v=0\r\na=sendonly\r\nm=audio 9 X 0\r\nm=video 9 X 96\r\na=recvonly\r\nm=application 9 Y z\r\n";
        assert_eq!(
            normalise(offer, Use::Publisher),
            "v=0\r\nm=audio 9 X 0\r\na=sendonly\r\nm=video 9 X 96\r\na=inactive\r\nm=application 9 Y z\r\n"
        );
    }

    #[test]
    fn two_directions_stay_for_the_parser_to_refuse() {
        let offer = "v=0\r\nm=audio 9 X 0\r\na=sendonly\r\na=recvonly\r\n";
        assert_eq!(normalise(offer, Use::Publisher), offer);
    }

    #[test]
    fn sections_that_are_off_are_left_out_unless_they_are_bundled() {
        let offer = "v=0\r\na=group:BUNDLE a v b\r\nm=audio 9 X 0\r\na=mid:a\r\na=sendonly\r\n\
                     m=video 0 X 96\r\na=mid:v\r\na=sendonly\r\nm=video 0 X 96\r\na=mid:b\r\na=bundle-only\r\na=sendonly\r\n";
        assert_eq!(
            normalise(offer, Use::Publisher),
            "v=0\r\na=group:BUNDLE a b\r\nm=audio 9 X 0\r\na=mid:a\r\na=sendonly\r\n\
             m=video 0 X 96\r\na=mid:b\r\na=bundle-only\r\na=sendonly\r\n"
        );
        assert_eq!(normalise(offer, Use::Participant), offer);
    }

    #[test]
    fn stereo_is_what_an_offer_says_of_its_opus() {
        let audio = |fmtp: &str| {
            format!(
                "v=0\r\nm=audio 9 X 111 0\r\na=mid:a\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:{fmtp}\r\n"
            )
        };
        for (fmtp, expected) in [
            ("111 minptime=10;stereo=1", true),
            ("111 minptime=10; sprop-stereo=1 ", true),
            ("111 stereo=0;sprop-stereo=0", false),
            ("111 minptime=10", false),
            ("0 stereo=1", false),
        ] {
            assert_eq!(!stereo_mids(&audio(fmtp)).is_empty(), expected, "{fmtp}");
        }
    }
}
