//! Bodies that real clients send, that broken ones send, and that attackers send.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use wish::Fragment;
use wish::sdp::{self, MediaKind, SdpError, Unusable};
use wish::sdpfrag::{CANDIDATES_MAX, FRAGMENT_MAX, FragmentError, MEDIA_MAX};

const CANDIDATE: &str = "candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw network-id 1";
const PWD: &str = "P2uYro0UCOQ4zxjKXaWCBui1";

fn offer(media: &str) -> String {
    format!(
        "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\na=ice-ufrag:EsAw\r\na=ice-pwd:{PWD}\r\n\
         a=fingerprint:sha-256 {}\r\n{media}",
        ["DA"; 32].join(":")
    )
}

fn section(kind: &str, direction: &str) -> String {
    format!(
        "m={kind} 9 UDP/TLS/RTP/SAVPF 96 97\r\na={direction}\r\na=rtpmap:96 H264/90000\r\na=rtpmap:97 rtx/90000\r\n"
    )
}

fn fragment_error(body: &str) -> FragmentError {
    Fragment::parse(body.as_bytes()).unwrap_err()
}

#[test]
fn a_fragment_as_the_rfc_writes_it_is_read() {
    let body = format!(
        "a=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=ice-ufrag:EsAw\r\na=ice-pwd:{PWD}\r\n\
         a={CANDIDATE}\r\na=end-of-candidates\r\n"
    );
    let fragment = Fragment::parse(body.as_bytes()).unwrap();
    assert_eq!(fragment.candidates(), [CANDIDATE]);
    assert_eq!(fragment.credentials().unwrap().unwrap().ufrag, "EsAw");
    assert_eq!(fragment.media[0].mid.as_deref(), Some("0"));
    assert!(fragment.is_end_of_candidates());
    assert_eq!(fragment.to_string(), body);
}

#[test]
fn a_fragment_of_an_early_draft_has_its_credentials_first() {
    let body =
        format!("a=ice-ufrag:EsAw\na=ice-pwd:{PWD}\nm=audio 9 RTP/AVP 0\na=mid:0\na={CANDIDATE}\n");
    let fragment = Fragment::parse(body.as_bytes()).unwrap();
    assert_eq!(fragment.credentials().unwrap().unwrap().pwd, PWD);
    assert_eq!(fragment.candidates().len(), 1);
    assert!(!fragment.is_end_of_candidates());
}

#[test]
fn candidates_repeated_for_every_section_count_once() {
    let body = format!(
        "a=ice-ufrag:EsAw\na=ice-pwd:{PWD}\nm=audio 9 X 0\na=mid:0\na={CANDIDATE}\nm=video 9 X 0\na=mid:1\na={CANDIDATE}\n\
         a=ice-pwd:{PWD}\na=ice-ufrag:EsAw\n"
    );
    let fragment = Fragment::parse(body.as_bytes()).unwrap();
    assert_eq!(fragment.candidates(), [CANDIDATE]);
    assert!(fragment.credentials().unwrap().is_some());
}

#[test]
fn unknown_attributes_and_unresolvable_candidates_are_no_errors() {
    let body = "a=x-new:1\r\na=flag\r\nm=audio 9 X 0\r\na=mid:0\r\na=candidate:1 1 udp 1 6f1c.local 9 typ host\r\n";
    assert_eq!(
        Fragment::parse(body.as_bytes()).unwrap().candidates().len(),
        1
    );
}

#[test]
fn broken_fragments_say_what_is_wrong() {
    let line = |number, line: &str| FragmentError::Line {
        number,
        line: line.to_owned(),
    };
    let check = |body: &str, expected: FragmentError| {
        assert_eq!(fragment_error(body), expected, "{body:?}")
    };
    check("", FragmentError::Empty);
    check("\r\n\r\n", FragmentError::Empty);
    check("hello", line(1, "hello"));
    check(
        "{\"candidate\":\"x\"}",
        line(1, "{\\\"candidate\\\":\\\"x\\\"}"),
    );
    check("v=0\r\n", line(1, "v=0"));
    check("a=ice-ufrag:abc\r\n", line(1, "a=ice-ufrag:abc"));
    check("a=ice-ufrag:abcd\r\n", FragmentError::HalfCredentials);
    check(
        &format!("a=ice-pwd:{PWD}\r\nm=audio 9 X 0\r\na=ice-ufrag:abcd\r\n"),
        FragmentError::HalfCredentials,
    );
    check("a=ice-pwd:short\r\n", line(1, "a=ice-pwd:short"));
    check("a=mid:0\r\n", line(1, "a=mid:0"));
    check("m=audio 9 X 0\r\na=mid:\r\n", line(2, "a=mid:"));
    check(
        "a=candidate:1\u{1b}[2J\r\n",
        line(1, "a=candidate:1\\u{1b}[2J"),
    );
    check(
        &format!("a=ice-ufrag:abcd\na=ice-pwd:{PWD}\na=ice-ufrag:efgh\na=ice-pwd:{PWD}\n"),
        FragmentError::Conflicting,
    );
    assert_eq!(Fragment::parse(b"a=\xff\xfe"), Err(FragmentError::NotText));
}

#[test]
fn sections_with_different_credentials_conflict() {
    let body = format!(
        "m=audio 9 X 0\na=ice-ufrag:abcd\na=ice-pwd:{PWD}\nm=video 9 X 0\na=ice-ufrag:efgh\na=ice-pwd:{PWD}\n"
    );
    let fragment = Fragment::parse(body.as_bytes()).unwrap();
    assert_eq!(fragment.credentials(), Err(FragmentError::Conflicting));
}

#[test]
fn a_fragment_is_read_up_to_its_limits_and_not_beyond() {
    let many = |count| "a=candidate:1 1 udp 1 192.0.2.1 9 typ host\n".repeat(count);
    assert!(Fragment::parse(many(CANDIDATES_MAX).as_bytes()).is_ok());
    let too_large = |of, limit| FragmentError::TooLarge { of, limit };
    assert_eq!(
        fragment_error(&many(CANDIDATES_MAX + 1)),
        too_large("candidates", CANDIDATES_MAX)
    );
    assert_eq!(
        fragment_error(&"m=a 9 X 0\n".repeat(MEDIA_MAX + 1)),
        too_large("m= lines", MEDIA_MAX)
    );
    assert_eq!(
        fragment_error(&format!("a={}", "x".repeat(1025))),
        too_large("bytes in a line", 1024)
    );
    assert_eq!(
        fragment_error(&"a=x\n".repeat(FRAGMENT_MAX)),
        too_large("bytes", FRAGMENT_MAX)
    );
}

#[test]
fn a_password_does_not_show_in_debug_output() {
    let fragment =
        Fragment::parse(format!("a=ice-ufrag:EsAw\na=ice-pwd:{PWD}\n").as_bytes()).unwrap();
    assert!(!format!("{fragment:?}").contains(PWD));
}

#[test]
fn an_offer_is_summed_up() {
    let body = offer(
        &(section("audio", "sendonly")
            + &section("video", "sendrecv")
            + "m=application 0 UDP/DTLS/SCTP x\r\n"),
    );
    let summary = sdp::inspect(body.as_bytes()).unwrap();
    assert_eq!(
        summary.to_string(),
        "audio sendonly H264; video sendrecv H264; application off"
    );
    assert_eq!(
        (summary.ufrag, summary.media[0].kind),
        ("EsAw", MediaKind::Audio)
    );
    assert_eq!(summary.check_publisher(&["h264", "opus"]), Ok(()));
    assert_eq!(summary.check_viewer(), Ok(()));
}

#[test]
fn a_bundle_only_section_is_on_although_its_port_is_zero() {
    let body = offer("m=video 0 UDP/TLS/RTP/SAVPF 96\r\na=bundle-only\r\na=recvonly\r\n");
    let summary = sdp::inspect(body.as_bytes()).unwrap();
    assert!(!summary.media[0].rejected);
    assert_eq!(summary.check_viewer(), Ok(()));
}

#[test]
fn a_direction_at_session_level_holds_for_all_sections() {
    let body = offer("a=recvonly\r\nm=audio 9 X 0\r\nm=video 9 X 0\r\na=sendonly\r\n");
    let summary = sdp::inspect(body.as_bytes()).unwrap();
    assert_eq!(summary.to_string(), "audio recvonly PCMU; video sendonly");
}

#[test]
fn an_offer_the_wrong_way_round_is_unusable() {
    let check = |media: String, publisher: bool, viewer: bool| {
        let body = offer(&media);
        let summary = sdp::inspect(body.as_bytes()).unwrap();
        assert_eq!(
            (
                summary.check_publisher(&["h264", "opus"]).is_ok(),
                summary.check_viewer().is_ok()
            ),
            (publisher, viewer),
            "{media}"
        );
    };
    check(section("audio", "sendonly"), true, false);
    check(section("video", "recvonly"), false, true);
    check(section("video", "inactive"), false, false);
    check(
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n".into(),
        false,
        false,
    );
    check("m=text 9 RTP/AVP 98\r\n".into(), false, false);
    check(section("video", "sendonly").repeat(2), false, false);
    check(section("video", "recvonly").repeat(2), false, true);
    check(
        section("video", "sendonly") + &section("video", "recvonly"),
        true,
        true,
    );
    let two_cameras = offer(&section("video", "sendonly").repeat(2));
    let refusal = sdp::inspect(two_cameras.as_bytes())
        .unwrap()
        .check_publisher(&["h264", "opus"]);
    assert!(matches!(
        refusal,
        Err(Unusable::TooMany {
            count: 2,
            kind: MediaKind::Video,
            ..
        })
    ));
}

#[test]
fn a_section_without_a_known_codec_refuses_the_whole_offer() {
    let video = "m=video 9 X 96\r\na=sendonly\r\na=rtpmap:96 H265/90000\r\n";
    let body = offer(&(section("audio", "sendonly") + video));
    let summary = sdp::inspect(body.as_bytes()).unwrap();
    let refusal = summary.check_publisher(&["H264", "opus"]).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "video cannot be accepted with these codecs; use one of H264, opus (audio sendonly H264; video sendonly H265)"
    );
    assert_eq!(summary.check_publisher(&["H264", "h265"]), Ok(()));
    let unwanted = offer(&(section("audio", "sendonly") + &video.replace("sendonly", "inactive")));
    let summary = sdp::inspect(unwanted.as_bytes()).unwrap();
    assert_eq!(summary.check_publisher(&["H264"]), Ok(()));
}

#[test]
fn static_payload_types_are_codecs_without_a_line() {
    let body = offer("m=audio 9 RTP/SAVP 8 0\r\na=sendonly\r\nm=video 9 X 8\r\n");
    let summary = sdp::inspect(body.as_bytes()).unwrap();
    assert_eq!(
        summary.to_string(),
        "audio sendonly PCMU PCMA; video sendrecv"
    );
}

#[test]
fn an_answer_that_takes_less_than_was_offered_is_noticed() {
    let offered = offer(&(section("audio", "sendonly") + &section("video", "sendonly")));
    let offered = sdp::inspect(offered.as_bytes()).unwrap();
    let check = |media: String, expected: Option<MediaKind>| {
        let answer = offer(&media);
        let answer = sdp::inspect(answer.as_bytes()).unwrap();
        assert_eq!(offered.refused_by(&answer), expected, "{media}");
    };
    let both = section("audio", "recvonly") + &section("video", "recvonly");
    check(both.clone(), None);
    check(
        both.replace("m=video 9", "m=video 0"),
        Some(MediaKind::Video),
    );
    check(
        section("audio", "inactive") + &section("video", "recvonly"),
        Some(MediaKind::Audio),
    );
    check(section("audio", "recvonly"), Some(MediaKind::Video));
}

#[expect(clippy::too_many_lines, reason = "a table")]
#[test]
fn broken_bodies_say_what_is_wrong() {
    let check = |body: &[u8], expected: SdpError| {
        let text = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        assert_eq!(sdp::inspect(body), Err(expected), "{text:?}");
    };
    let too_large = |of, limit| SdpError::TooLarge { of, limit };
    let missing = |name: &'static str| {
        let body = offer("m=audio 9 X 0\r\n");
        let without: Vec<_> = body.lines().filter(|line| !line.contains(name)).collect();
        check(
            (without.join("\r\n") + "\r\n").as_bytes(),
            SdpError::Missing(name),
        );
    };
    check(b"", SdpError::Empty);
    check(b" \r\n\r\n", SdpError::Empty);
    check(b"\x16\x03\x01\x02\x00\xff", SdpError::NotText);
    check(b"v=0\r\n\0", SdpError::NotText);
    check(
        "v=0\r\n"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect::<Vec<_>>()
            .as_slice(),
        SdpError::NotText,
    );
    check(
        b"{\"sdp\":\"v=0\"}",
        SdpError::NotSdp("{\\\"sdp\\\":\\\"v=0\\\"}".into()),
    );
    check(
        "[".repeat(60_000).as_bytes(),
        SdpError::NotSdp("[".repeat(40) + "..."),
    );
    check(b"v=1\r\n", SdpError::NotSdp("v=1\\r\\n".into()));
    check(
        b"v=0\r\nhello\r\n",
        SdpError::Line {
            number: 2,
            line: "hello".into(),
        },
    );
    check(
        b"v=0\r\nm=audio\r\n",
        SdpError::Line {
            number: 2,
            line: "m=audio".into(),
        },
    );
    check(
        b"v=0\r\nm=audio 99999 X 0\r\n",
        SdpError::Line {
            number: 2,
            line: "m=audio 99999 X 0".into(),
        },
    );
    check(b"v=0\r\ns=-\r\n", SdpError::NoMedia);
    check(&vec![b'v'; 1_000_000], too_large("bytes", sdp::SDP_MAX));
    check(
        format!("v=0\r\na={}\r\n", "x".repeat(5000)).as_bytes(),
        too_large("bytes in a line", sdp::LINE_MAX),
    );
    check(
        ("v=0\n".to_owned() + &"a=x\n".repeat(sdp::LINES_MAX)).as_bytes(),
        too_large("lines", sdp::LINES_MAX),
    );
    check(
        offer(&"m=audio 9 X 0\r\n".repeat(sdp::MEDIA_MAX + 1)).as_bytes(),
        too_large("m= sections", sdp::MEDIA_MAX),
    );
    for (bad, start) in [("zz:zz", "zz:zz"), ("DA:7B", "DA:7B"), ("", "")] {
        let body = offer("m=audio 9 X 0\r\n").replace(&["DA"; 32].join(":"), bad);
        let expected = format!("sha-256 {start}").trim_end().to_owned();
        check(body.as_bytes(), SdpError::Fingerprint(expected));
    }
    missing("ice-ufrag");
    missing("ice-pwd");
    missing("fingerprint");
    check(
        offer("m=audio 9 X 0\r\n").replace(PWD, "short").as_bytes(),
        SdpError::Credentials("ice-pwd"),
    );
    check(
        offer("m=audio 9 X 0\r\n")
            .replace("EsAw", "a b c")
            .as_bytes(),
        SdpError::Credentials("ice-ufrag"),
    );
}
