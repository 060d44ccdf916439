//! WHIP and WHEP to the letter: what foreign clients rely on and ours would not miss.

use proscenium::config::IceServer;

use crate::offers;
use crate::server::{SDPFRAG, Server, attribute};

/// The `m=` sections of a description.
fn sections(sdp: &str) -> Vec<String> {
    let mut sections: Vec<String> = Vec::new();
    for line in sdp.lines() {
        if line.starts_with("m=") {
            sections.push(String::new());
        }
        if let Some(section) = sections.last_mut() {
            section.push_str(line);
            section.push('\n');
        }
    }
    sections
}

/// The direction of every section.
fn directions(sdp: &str) -> Vec<String> {
    let of = |section: String| {
        let mut found = section
            .lines()
            .filter(|line| ["a=sendrecv", "a=sendonly", "a=recvonly", "a=inactive"].contains(line));
        let direction = found.next().unwrap_or("none").to_owned();
        assert_eq!(found.next(), None, "{section}");
        direction
    };
    sections(sdp).into_iter().map(of).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_offers_both_ways_is_answered_the_one_that_is_of_use() {
    let server = Server::start().await;
    let _live = server.go_live("onair").await;
    for (path, offer, one_way, expected) in [
        (
            "/whip/demo",
            offers::CHROMIUM_SEND,
            "a=sendonly",
            "a=recvonly",
        ),
        (
            "/whep/onair",
            offers::CHROMIUM_RECEIVE,
            "a=recvonly",
            "a=sendonly",
        ),
    ] {
        let both = offer.replace(one_way, "a=sendrecv");
        for offered in [both.clone(), offers::without(&both, "a=sendrecv")] {
            let answer = server.post(path, offered.clone()).await;
            assert_eq!(answer.status, 201, "{offered}: {answer:?}");
            assert_eq!(directions(&answer.body), [expected; 2], "{path}");
            server.ask("DELETE", answer.header("location")).send().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_port_only_is_answered_with_one_port() {
    let server = Server::start().await;
    let only = offers::CHROMIUM_SEND.replace("a=rtcp-mux\r\n", "a=rtcp-mux\r\na=rtcp-mux-only\r\n");
    let without_mux = offers::CHROMIUM_SEND.replace("a=rtcp-mux\r\n", "a=rtcp-mux-only\r\n");
    for offer in [only, without_mux] {
        assert!(offer.contains("a=rtcp-mux-only"));
        let answer = server.post("/whip/demo", offer).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        for section in sections(&answer.body) {
            assert!(section.contains("a=rtcp-mux\n"), "{section}");
            assert!(!section.contains("a=rtcp-mux-only"), "{section}");
        }
        server.ask("DELETE", answer.header("location")).send().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_section_that_is_off_in_the_offer_is_off_in_the_answer() {
    let server = Server::start().await;
    let _live = server.go_live("onair").await;
    for (path, offer) in [
        ("/whip/demo", offers::CHROMIUM_SEND),
        ("/whep/onair", offers::CHROMIUM_RECEIVE),
    ] {
        for (kind, off) in [("audio", 0), ("video", 1)] {
            let offer = offer.replace(&format!("m={kind} 9 "), &format!("m={kind} 0 "));
            let answer = server.post(path, offer).await;
            assert_eq!(answer.status, 201, "{path} {kind}: {answer:?}");
            let sections = sections(&answer.body);
            assert_eq!(sections.len(), 2, "{}", answer.body);
            for (at, section) in sections.iter().enumerate() {
                let is_off = section.split(' ').nth(1) == Some("0");
                assert_eq!(is_off, at == off, "{path} {kind}: {}", answer.body);
            }
            let bundle = attribute(&answer.body, "group").unwrap();
            assert_eq!(bundle, format!("BUNDLE {}", 1 - off), "{path} {kind}");
            server.ask("DELETE", answer.header("location")).send().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_says_that_no_more_candidates_come() {
    let server = Server::start().await;
    let _live = server.go_live("onair").await;
    for (path, offer) in [
        ("/whip/demo", offers::OBS),
        ("/whep/onair", offers::CHROMIUM_RECEIVE),
    ] {
        let session = server.begin(path, offer).await;
        let lines: Vec<&str> = session.answer.body.lines().collect();
        let end = lines.iter().position(|line| *line == "a=end-of-candidates");
        let last = lines
            .iter()
            .rposition(|line| line.starts_with("a=candidate:"));
        assert!(end.is_some() && last < end, "{}", session.answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_candidate_is_400_and_the_session_goes_on() {
    let server = Server::start().await;
    let session = server.begin("/whip/demo", offers::CHROMIUM_SEND).await;
    let patch = async |line: &str| {
        let request = server
            .ask("PATCH", &session.location)
            .header("if-match", &session.etag);
        let body = format!("m=audio 9 RTP/AVP 0\r\na=mid:0\r\na={line}\r\n");
        request.body(SDPFRAG, body).send().await
    };
    for garbage in [
        "candidate:what is this",
        "candidate:1 1 udp",
        "candidate:1 1 udp many 192.0.2.1 9 typ host",
        "candidate:1 1 udp 1 192.0.2.1 99999 typ host",
        "candidate:1 1 udp 1 192.0.2.1 9 host typ",
    ] {
        patch(garbage)
            .await
            .check_problem(400, "line 3 of the fragment cannot be read");
    }
    for good in [
        "candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host",
        "candidate:1 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active",
        "candidate:1 1 UDP 1 6f1c.local 9 typ host generation 0",
        "candidate:",
        "end-of-candidates",
    ] {
        assert_eq!(patch(good).await.status, 204, "{good}");
    }
    server.expect_sessions(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn options_tell_the_ice_servers_and_logins_only_to_who_may_begin() {
    let server = Server::start_with(|config| {
        let login = |text: &str| Some(text.to_owned());
        config.ice_servers = vec![
            IceServer {
                url: "stun:stun.example.org".into(),
                username: None,
                credential: None,
            },
            IceServer {
                url: "turn:turn.example.org".into(),
                username: login("me"),
                credential: login("pass"),
            },
        ];
    })
    .await;
    for (path, key, expected) in [
        ("/whip/demo", None, 2),
        ("/whep/demo", None, 2),
        ("/whip/locked", None, 1),
        ("/whip/locked", Some("Bearer wrong"), 1),
        ("/whip/locked", Some("Bearer open-sesame"), 2),
    ] {
        let mut request = server
            .ask("OPTIONS", path)
            .header("origin", "https://a.example");
        if let Some(key) = key {
            request = request.header("authorization", key);
        }
        let answer = request.send().await;
        assert_eq!(answer.status, 200);
        let links: Vec<_> = answer.headers.get_all("link").iter().collect();
        assert_eq!(links.len(), expected, "{path} {key:?}");
        assert_eq!(links[0], "<stun:stun.example.org>; rel=\"ice-server\"");
        let exposed = answer.header("access-control-expose-headers");
        assert!(exposed.contains("Link"), "{exposed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stereo_is_answered_as_it_is_offered_and_announced_to_viewers() {
    let server = Server::start().await;
    let _live = server.go_live("onair").await;
    let fmtp = |answer: &str| {
        let line = answer.lines().find(|line| line.starts_with("a=fmtp:111 "));
        line.unwrap_or_default().to_owned()
    };
    let stereo = offers::CHROMIUM_SEND.replace(
        "a=fmtp:111 ",
        "a=fmtp:111 stereo=1;maxaveragebitrate=256000;",
    );
    let answer = server.post("/whip/demo", stereo).await;
    for parameter in ["stereo=1", "sprop-stereo=1", "maxaveragebitrate=256000"] {
        let fmtp = fmtp(&answer.body);
        assert!(fmtp.split([' ', ';']).any(|one| one == parameter), "{fmtp}");
    }
    let mono = server.begin("/whip/other", offers::CHROMIUM_SEND).await;
    assert!(
        !fmtp(&mono.answer.body).contains("stereo"),
        "{}",
        mono.answer.body
    );
    let viewer = server.watch("onair").await;
    let fmtp = fmtp(&viewer.answer.body);
    assert!(
        fmtp.contains("sprop-stereo=1") && !fmtp.contains(";stereo=1"),
        "{fmtp}"
    );
}
