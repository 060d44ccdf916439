//! Bodies and requests that nobody in his right mind sends. None may leave a session or disturb the next client.

use std::time::{Duration, Instant};

use crate::client::raw;
use crate::offers;
use crate::server::{SDP, SDPFRAG, Server};

/// Name, body and the status that it deserves.
#[expect(clippy::too_many_lines, reason = "a table")]
fn hostile_bodies() -> Vec<(&'static str, Vec<u8>, u16)> {
    let text = |text: String| text.into_bytes();
    let obs = offers::OBS;
    vec![
        ("empty", vec![], 400),
        ("one megabyte", vec![b'v'; 1_000_000], 413),
        (
            "one byte too many",
            text(format!("{obs}{}", "a=x\r\n".repeat(20_000))[..65_537].to_owned()),
            413,
        ),
        ("binary", (0..=255).cycle().take(4000).collect(), 400),
        ("zeros", vec![0; 4000], 400),
        (
            "a NUL in a line",
            text(obs.replace("a=mid:0", "a=mid:\0")),
            400,
        ),
        ("deep nesting", text("[".repeat(60_000)), 400),
        (
            "json",
            text(format!("{{\"type\":\"offer\",\"sdp\":{:?}}}", obs)),
            400,
        ),
        (
            "html",
            text("<!doctype html><h1>hello</h1>".to_owned()),
            400,
        ),
        (
            "utf-16",
            obs.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            400,
        ),
        (
            "latin-1",
            [obs.as_bytes(), b"a=x:caf\xe9\r\n"].concat(),
            400,
        ),
        ("only the first line", text("v=0\r\n".to_owned()), 400),
        (
            "no media",
            text(obs.split("m=audio").next().unwrap().to_owned()),
            400,
        ),
        ("no ice-ufrag", text(offers::without(obs, "ice-ufrag")), 400),
        ("no ice-pwd", text(offers::without(obs, "ice-pwd")), 400),
        (
            "no fingerprint",
            text(offers::without(obs, "fingerprint")),
            400,
        ),
        (
            "a short password",
            text(offers::replace_line(obs, "a=ice-pwd", "a=ice-pwd:short")),
            400,
        ),
        (
            "a fingerprint of letters",
            text(offers::replace_line(
                obs,
                "a=fingerprint",
                "a=fingerprint:sha-256 zz:zz",
            )),
            400,
        ),
        (
            "an unknown hash",
            text(offers::replace_line(
                obs,
                "a=fingerprint",
                "a=fingerprint:md5 00:11",
            )),
            400,
        ),
        (
            "an impossible port",
            text(obs.replace("m=audio 9", "m=audio 99999")),
            400,
        ),
        (
            "a line of 5000 bytes",
            text(format!("{obs}a={}\r\n", "x".repeat(5000))),
            400,
        ),
        (
            "10000 sections",
            text(format!("{obs}{}", "m=audio 9 X 0\n".repeat(3000))),
            400,
        ),
        (
            "10000 lines",
            text(format!("{obs}{}", "a=x\n".repeat(10_000))),
            400,
        ),
        (
            "a terminal's escape codes",
            text(format!("v=0\r\n\u{1b}[2J\r\n{obs}")),
            400,
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_offers_are_refused_in_words_and_leave_nothing() {
    let server = Server::start().await;
    let source = server.go_live("demo").await;
    for path in ["/whip/hostile", "/whep/demo"] {
        for (name, body, status) in hostile_bodies() {
            let answer = server.post(path, body).await;
            assert_eq!(answer.status, status, "{name} to {path}: {answer:?}");
            let detail = answer.detail();
            assert!(
                detail.len() < 400 && !detail.contains(char::is_control),
                "{name}: {detail:?}"
            );
        }
    }
    server.expect_sessions(0).await;
    assert!(server.media.directory().space("hostile").is_empty());
    drop(source);
    server.begin("/whip/demo", offers::OBS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_lines_in_an_otherwise_good_offer_do_no_harm() {
    let server = Server::start().await;
    for line in [
        "a=rid:\u{202e} send",
        "a=simulcast:send ;;;;",
        "a=fmtp:96 profile-level-id=zzzzzz",
        "a=fmtp:999 apt=999",
        "a=rtpmap:999 H264/0",
        "a=rtpmap:96 /",
        "a=extmap:0 urn:x",
        "a=extmap:99999 urn:x",
        "a=ssrc:99999999999 cname:x",
        "a=ssrc-group:FID",
        "a=mid:0",
        "a=candidate:",
        "a=candidate:1 1 udp 99999999999 256.256.256.256 99999 typ what",
        "a=setup:holdconn",
        "a=group:BUNDLE 0 0 0 0",
        "a=msid:",
        "b=AS:-1",
        "a=sctp-port:99999",
        "m=audio 9 UDP/TLS/RTP/SAVPF 300",
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
    ] {
        let answer = server
            .post("/whip/demo", format!("{}{line}\r\n", offers::OBS))
            .await;
        assert!(
            matches!(answer.status.as_u16(), 201 | 400 | 422),
            "{line}: {answer:?}"
        );
        if answer.status == 201 {
            assert_eq!(
                server
                    .ask("DELETE", answer.header("location"))
                    .send()
                    .await
                    .status,
                200
            );
        }
    }
    server.expect_sessions(0).await;
    assert_eq!(
        server
            .media
            .counters()
            .iter()
            .filter(|counters| !counters.is_alive())
            .count(),
        0
    );
    let panics = server.get("/metrics").await.body;
    assert!(panics.contains("proscenium_panics_total 0\n"), "{panics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_end_is_cut_at_the_limit() {
    let server = Server::start().await;
    let chunk = format!("{:x}\r\n{}\r\n", 4096, "v".repeat(4096));
    let head = format!(
        "POST /whip/demo HTTP/1.1\r\nHost: x\r\nContent-Type: {SDP}\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    let answer = raw(
        server.address,
        (head + &chunk.repeat(40)).as_bytes(),
        Duration::from_secs(5),
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(
        answer.to_lowercase().contains("connection: close"),
        "{answer}"
    );
    server.expect_sessions(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_never_ends_is_408_after_ten_seconds() {
    let server = Server::start().await;
    let head = format!(
        "POST /whip/demo HTTP/1.1\r\nHost: x\r\nContent-Type: {SDP}\r\nContent-Length: 1000\r\n\r\nv=0\r\n"
    );
    let begun = Instant::now();
    let answer = raw(server.address, head.as_bytes(), Duration::from_secs(15)).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!((Duration::from_secs(9)..Duration::from_secs(14)).contains(&begun.elapsed()));
    server.expect_sessions(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_before_the_answer_leaves_no_session() {
    let server = Server::start().await;
    let body = offers::OBS;
    let head = format!(
        "POST /whip/demo HTTP/1.1\r\nHost: x\r\nContent-Type: {SDP}\r\nContent-Length: {}\r\n\r\n",
        body.len() + 1
    );
    for _ in 0..20 {
        // The last byte never comes.
        raw(
            server.address,
            (head.clone() + body).as_bytes(),
            Duration::from_millis(10),
        )
        .await;
    }
    server.expect_sessions(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_fragments_leave_the_session_as_it_was() {
    let server = Server::start().await;
    let session = server.begin("/whip/demo", offers::OBS).await;
    for (body, status) in [
        (vec![0_u8; 100], 400),
        (vec![b'a'; 20_000], 413),
        (b"a=\xff\xfe".to_vec(), 400),
        ("a=candidate:x\r\n".repeat(500).into_bytes(), 400),
        (
            format!("a=candidate:{}\r\n", "9".repeat(2000)).into_bytes(),
            400,
        ),
        ("m=audio 9 X 0\r\n".repeat(100).into_bytes(), 400),
        ("a=candidate:\u{1b}[2J\r\n".to_owned().into_bytes(), 400),
        (
            "a=candidate:1 1 udp 1 ::ffff:0.0.0.0 0 typ host\r\n"
                .to_owned()
                .into_bytes(),
            204,
        ),
        (
            "a=candidate:1 1 tcp 1 127.0.0.1 99999 typ relay raddr x rport y\r\n"
                .to_owned()
                .into_bytes(),
            400,
        ),
    ] {
        let request = server
            .ask("PATCH", &session.location)
            .header("if-match", &session.etag);
        let answer = request.body(SDPFRAG, body.clone()).send().await;
        assert_eq!(
            answer.status,
            status,
            "{:?}: {answer:?}",
            String::from_utf8_lossy(&body[..body.len().min(40)])
        );
    }
    server.expect_sessions(1).await;
    assert_eq!(
        server.ask("DELETE", &session.location).send().await.status,
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn strange_headers_are_refused_not_followed() {
    let server = Server::start().await;
    let post = |name: &str, value: &[u8]| {
        let mut request = format!("POST /whip/locked HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: {SDP}\r\n{name}: ").into_bytes();
        request.extend_from_slice(value);
        request.extend_from_slice(
            format!(
                "\r\nContent-Length: {}\r\n\r\n{}",
                offers::OBS.len(),
                offers::OBS
            )
            .as_bytes(),
        );
        request
    };
    for (name, value, status) in [
        ("Authorization", b"Bearer caf\xe9".as_slice(), "400"),
        ("Authorization", &[b'k'; 4000], "401"),
        ("Content-Length", b"-1", "400"),
        ("Transfer-Encoding", b"what", "400"),
        ("X-Forwarded-For", b"127.0.0.1, \xff", "401"),
    ] {
        let answer = raw(server.address, &post(name, value), Duration::from_secs(5)).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{name}: {answer}"
        );
    }
    server.expect_sessions(0).await;
}
