//! What is written can be read, and nothing that is read makes the readers panic.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use proptest::prelude::*;
use wish::sdpfrag::Section;
use wish::{Credentials, EntityTag, Fragment, IceServerLink, IfMatch, MediaType, sdp};

fn credentials() -> impl Strategy<Value = Credentials> {
    ("[!-~]{4,32}", "[!-~]{22,64}").prop_map(|(ufrag, pwd)| Credentials { ufrag, pwd })
}

fn candidate() -> impl Strategy<Value = String> {
    "candidate:[0-9]{1,10} 1 (udp|tcp) [0-9]{1,9} [0-9a-f.:]{7,39} [0-9]{1,4} typ (host|srflx)"
}

fn section(line: &'static str, mid: &'static str) -> impl Strategy<Value = Section> {
    (
        line,
        proptest::option::of(mid),
        proptest::option::of(credentials()),
        proptest::collection::vec(candidate(), 0..8),
        any::<bool>(),
    )
        .prop_map(
            |(line, mid, credentials, candidates, end_of_candidates)| Section {
                line,
                mid,
                credentials,
                candidates,
                end_of_candidates,
            },
        )
}

fn fragment() -> impl Strategy<Value = Fragment> {
    (
        any::<bool>(),
        proptest::option::of("[a-z0-9]{1,8}( [a-z0-9]{1,8}){0,2}"),
        proptest::option::of("BUNDLE( [0-9]{1,2}){1,3}"),
        section("", "").prop_map(|section| Section {
            mid: None,
            ..section
        }),
        proptest::collection::vec(
            section(
                "(audio|video) 9 UDP/TLS/RTP/SAVPF [0-9]{1,3}",
                "[a-z0-9]{1,8}",
            ),
            0..4,
        ),
    )
        .prop_map(|(ice_lite, ice_options, group, session, media)| Fragment {
            ice_lite,
            ice_options,
            group,
            session,
            media,
        })
}

/// Reads the `username` and `credential` parameters of a `Link` value again, as a client does.
fn parameter(link: &str, name: &str) -> String {
    let start = link.find(&format!("; {name}=\"")).unwrap() + name.len() + 4;
    let mut characters = link[start..].chars();
    let mut value = String::new();
    while let Some(character) = characters.next() {
        match character {
            '"' => return value,
            '\\' => value.push(characters.next().unwrap()),
            _ => value.push(character),
        }
    }
    panic!("{link} has no closing quote");
}

proptest! {
    #[test]
    fn a_written_fragment_reads_back_the_same(fragment in fragment()) {
        let text = fragment.to_string();
        prop_assume!(!text.is_empty());
        prop_assert_eq!(Fragment::parse(text.as_bytes()), Ok(fragment.clone()));
        let with_lf = text.replace("\r\n", "\n");
        prop_assert_eq!(Fragment::parse(with_lf.as_bytes()), Ok(fragment));
    }

    #[test]
    fn a_written_tag_matches_itself_and_no_other(tag in "[!#-~]{1,64}", other in "[!#-~]{1,64}") {
        prop_assume!(tag != "*");
        let parsed = IfMatch::parse(&EntityTag::strong(&tag).to_string()).unwrap();
        prop_assert!(parsed.matches(&tag));
        prop_assert_eq!(parsed.matches(&other), tag == other);
    }

    #[test]
    fn a_turn_login_survives_its_quoting(username in "[ -~]{0,64}", credential in "[ -~]{0,64}") {
        let link = IceServerLink::new("turn:turn.example.org", Some(&username), Some(&credential)).unwrap().to_string();
        prop_assert!(link.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        prop_assert_eq!(parameter(&link, "username"), username);
        prop_assert_eq!(parameter(&link, "credential"), credential);
    }

    #[test]
    fn no_header_makes_a_reader_panic(header in "\\PC{0,200}") {
        let _ = IfMatch::parse(&header);
        let _ = MediaType::parse(&header);
        let _ = IceServerLink::new(&header, Some(&header), Some(&header));
    }

    #[test]
    fn no_body_makes_a_reader_panic(body in proptest::collection::vec(any::<u8>(), 0..2048)) {
        let _ = Fragment::parse(&body);
        let _ = sdp::inspect(&body);
    }

    #[test]
    fn no_text_that_resembles_sdp_makes_a_reader_panic(
        lines in proptest::collection::vec("(v=0|a=|m=|m=audio |m=video 9 X 1|a=mid:|a=rtpmap:1 |a=ice-ufrag:|a=ice-pwd:|a=candidate:)\\PC{0,30}", 0..40)
    ) {
        let body = format!("v=0\r\n{}", lines.join("\r\n"));
        let _ = Fragment::parse(body.as_bytes());
        if let Ok(summary) = sdp::inspect(body.as_bytes()) {
            prop_assert!(!summary.to_string().contains(['\r', '\n', '\0']));
            let _ = (summary.check_publisher(&["opus"]), summary.refused_by(&summary), summary.check_viewer());
        }
    }
}
