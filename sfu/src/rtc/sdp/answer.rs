//! What str0m leaves out of an answer, and what the offer asks of it.

use std::fmt::Write as _;

use super::offer::{OpusWish, opus_formats, opus_wish};
use super::{Sdp, Use, is_off, mid, word};

/// The answer with the sound as it was offered, and with the sections that the offer switched off.
///
/// A browser sends two channels, and more than 32 kbit/s for each, only when the other side's description asks for it. What
/// we send may be in two channels: who publishes, and how, changes while a viewer stays.
pub(in crate::rtc) fn finish(answer: &str, offer: &str, used: Use) -> String {
    let offer = Sdp::split(offer);
    let answer = Sdp::split(answer);
    let mut out = String::with_capacity(2048);
    let mut push = |line: &str| {
        out.push_str(line);
        out.push_str("\r\n");
    };
    answer.session.iter().for_each(|line| push(line));
    let mut own = answer.sections.iter().peekable();
    for offered in &offer.sections {
        let is_left_out = used != Use::Participant && is_off(offered);
        // str0m has no answer to what is neither sound, picture nor data.
        match own.next_if(|section| !is_left_out && mid(section) == mid(offered)) {
            Some(section) => tuned(section, offered).iter().for_each(|line| push(line)),
            None => switched_off(offered).iter().for_each(|line| push(line)),
        }
    }
    for section in own {
        section.iter().for_each(|line| push(line));
    }
    out
}

/// An offer of ours with its sound as the other side's last offer asks for it.
pub(in crate::rtc) fn announce(own: &str, theirs: &str) -> String {
    let theirs = Sdp::split(theirs);
    let own = Sdp::split(own);
    let offered = |section: &[&str]| {
        let mut sections = theirs.sections.iter();
        sections.find(|offered| mid(offered).is_some() && mid(offered) == mid(section))
    };
    let sections = own.sections.iter().flat_map(|section| {
        let offered = offered(section).map_or(&[][..], Vec::as_slice);
        tuned(section, offered)
    });
    let session = own.session.iter().map(|line| (*line).to_owned());
    session.chain(sections).map(|line| line + "\r\n").collect()
}

/// A section that stays off: port 0, and the formats of the offer (RFC 3264 section 6).
fn switched_off(offered: &[&str]) -> Vec<String> {
    let mut words: Vec<&str> = offered[0].split(' ').collect();
    if let Some(port) = words.get_mut(1) {
        *port = "0";
    }
    let mut lines = vec![words.join(" "), "c=IN IP4 0.0.0.0".to_owned()];
    lines.extend(mid(offered).map(|mid| format!("a=mid:{mid}")));
    if word(offered[0], 0) != Some("m=application") {
        lines.push("a=inactive".to_owned());
    }
    lines
}

/// One section with its Opus as it was offered.
fn tuned(section: &[&str], offered: &[&str]) -> Vec<String> {
    let has = |line: &str| section.contains(&line);
    let receives = has("a=recvonly") || has("a=sendrecv");
    let sends = has("a=sendonly") || has("a=sendrecv");
    let mut lines: Vec<String> = section.iter().map(|line| (*line).to_owned()).collect();
    if word(section[0], 0) != Some("m=audio") {
        return lines;
    }
    for format in opus_formats(section) {
        let wish = opus_wish(offered, format);
        let asked = if receives { wish } else { OpusWish::default() };
        let mut more = String::new();
        if asked.stereo {
            more.push_str(";stereo=1");
        }
        if asked.stereo || sends {
            more.push_str(";sprop-stereo=1");
        }
        if let Some(bps) = asked.bitrate_bps {
            let _ = write!(more, ";maxaveragebitrate={bps}");
        }
        if !more.is_empty() {
            add_parameters(&mut lines, format, &more);
        }
    }
    lines
}

/// Adds `;name=value`s to a format's parameters.
fn add_parameters(lines: &mut Vec<String>, format: &str, more: &str) {
    let fmtp = format!("a=fmtp:{format} ");
    if let Some(line) = lines.iter_mut().find(|line| line.starts_with(&fmtp)) {
        line.push_str(more);
        return;
    }
    let map = format!("a=rtpmap:{format} ");
    if let Some(at) = lines.iter().position(|line| line.starts_with(&map)) {
        lines.insert(at + 1, format!("{fmtp}{}", &more[1..]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn audio(direction: &str, fmtp: &str) -> String {
        format!(
            "v=0\r\nm=audio 9 X 111\r\na=mid:0\r\na={direction}\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10{fmtp}\r\n"
        )
    }

    #[test]
    fn stereo_and_bit_rate_are_answered_as_they_are_offered() {
        for (offered, expected) in [
            ("", ""),
            (";stereo=0", ""),
            (";stereo=1", ";stereo=1;sprop-stereo=1"),
            (";sprop-stereo=1", ";stereo=1;sprop-stereo=1"),
            (
                ";stereo=1;maxaveragebitrate=256000",
                ";stereo=1;sprop-stereo=1;maxaveragebitrate=256000",
            ),
            (";maxaveragebitrate=96000", ";maxaveragebitrate=96000"),
            (";maxaveragebitrate=99999999", ""),
            (";maxaveragebitrate=many", ""),
        ] {
            assert_eq!(
                finish(
                    &audio("recvonly", ""),
                    &audio("sendrecv", offered),
                    Use::Publisher
                ),
                audio("recvonly", expected),
                "{offered}"
            );
        }
    }

    #[test]
    fn a_viewer_is_told_that_two_channels_may_come() {
        assert_eq!(
            finish(
                &audio("sendonly", ""),
                &audio("recvonly", ";stereo=1;maxaveragebitrate=96000"),
                Use::Viewer
            ),
            audio("sendonly", ";sprop-stereo=1")
        );
        let bare = "v=0\r\nm=audio 9 X 96\r\na=mid:0\r\na=sendonly\r\na=rtpmap:96 opus/48000/2\r\n";
        assert_eq!(
            finish(bare, &audio("recvonly", ""), Use::Viewer),
            format!("{bare}a=fmtp:96 sprop-stereo=1\r\n")
        );
    }

    #[test]
    fn an_offer_of_ours_asks_for_what_was_offered_and_says_what_may_come() {
        let check = |direction: &str, theirs: &str, expected: &str| {
            assert_eq!(
                announce(&audio(direction, ""), theirs),
                audio(direction, expected)
            );
        };
        check("sendonly", "", ";sprop-stereo=1");
        let theirs = audio("sendonly", ";stereo=1");
        check("recvonly", &theirs, ";stereo=1;sprop-stereo=1");
        check("recvonly", &theirs.replace("mid:0", "mid:1"), "");
    }

    #[test]
    fn what_is_off_in_the_offer_is_off_in_the_answer_at_the_same_place() {
        let offer = "v=0\r\nm=video 0 X 96 97\r\na=mid:v\r\na=sendonly\r\nm=audio 9 X 0\r\na=mid:a\r\na=sendonly\r\nm=application 0 Y z\r\n";
        let answer = "v=0\r\nm=audio 9 X 0\r\na=mid:a\r\na=recvonly\r\n";
        assert_eq!(
            finish(answer, offer, Use::Publisher),
            "v=0\r\nm=video 0 X 96 97\r\nc=IN IP4 0.0.0.0\r\na=mid:v\r\na=inactive\r\n\
             m=audio 9 X 0\r\na=mid:a\r\na=recvonly\r\nm=application 0 Y z\r\nc=IN IP4 0.0.0.0\r\n"
        );
    }
}
