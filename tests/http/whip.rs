//! WHIP, RFC 9725: how a session begins, row by row.

use proscenium::config::IceServer;

use crate::client::check_cors;
use crate::offers;
use crate::server::{SDP, Server, attribute};

#[tokio::test(flavor = "multi_thread")]
async fn options_tell_what_an_endpoint_takes_without_a_key() {
    let server = Server::start().await;
    for path in ["/whip/locked", "/whip/locked/main", "/whep/demo"] {
        let answer = server
            .ask("OPTIONS", path)
            .header("origin", "https://example.org")
            .send()
            .await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("accept-post"), SDP);
        assert_eq!(
            answer.header("access-control-allow-methods"),
            "OPTIONS, GET, HEAD, POST"
        );
        for name in ["Authorization", "Content-Type", "If-Match"] {
            assert!(answer.header("access-control-allow-headers").contains(name));
        }
        check_cors(&answer);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn get_and_head_of_an_endpoint_succeed_with_nothing() {
    let server = Server::start().await;
    for method in ["GET", "HEAD"] {
        let answer = server.ask(method, "/whip/demo/second").send().await;
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (204, ""));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_real_clients_offer_is_answered_with_201() {
    for (name, offer) in [
        (
            "aiortc",
            offers::AIORTC_RECEIVE.replace("recvonly", "sendonly"),
        ),
        ("chromium", offers::CHROMIUM_SEND.to_owned()),
        (
            "chromium with simulcast",
            offers::CHROMIUM_SIMULCAST.to_owned(),
        ),
        ("ffmpeg, passive", offers::FFMPEG.to_owned()),
        ("ffmpeg, active", offers::FFMPEG_HIGH_ACTIVE.to_owned()),
        ("gstreamer", offers::GSTREAMER.to_owned()),
        ("obs", offers::OBS.to_owned()),
        ("obs with simulcast", offers::OBS_SIMULCAST.to_owned()),
    ] {
        let server = Server::start().await;
        let sections = offer.matches("m=").count();
        let answer = server.post("/whip/demo", offer).await;
        assert_eq!(answer.status, 201, "{name}: {answer:?}");
        assert_eq!(answer.header("content-type"), SDP, "{name}");
        assert_eq!(
            answer.body.matches("\nm=").count(),
            sections,
            "{name}: {}",
            answer.body
        );
        assert!(
            !answer.body.contains("\nm=audio 0 ") && !answer.body.contains("\nm=video 0 "),
            "{name}: {}",
            answer.body
        );
        assert!(answer.body.contains("a=recvonly"), "{name}");
        assert!(answer.body.ends_with("\r\n"), "{name}");
        server.expect_sessions(1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_carries_all_candidates_and_says_that_we_are_ice_lite() {
    let server = Server::start().await;
    let session = server.begin("/whip/demo", offers::FFMPEG).await;
    let sdp = &session.answer.body;
    assert!(sdp.contains("a=ice-lite"), "{sdp}");
    // FFmpeg offers setup:passive, so that we have to be the active side.
    assert_eq!(attribute(sdp, "setup"), Some("active"));
    let worker_port = |port: &u16| {
        server
            .media
            .candidates()
            .iter()
            .any(|address| address.port() == *port)
    };
    let candidates: Vec<_> = sdp
        .lines()
        .filter_map(|line| line.strip_prefix("a=candidate:"))
        .collect();
    assert!(
        candidates
            .iter()
            .any(|line| line.contains(" udp ") && line.contains("127.0.0.1")),
        "{sdp}"
    );
    assert!(
        candidates
            .iter()
            .any(|line| line.contains(" tcp ") && line.contains("tcptype passive")),
        "{sdp}"
    );
    let ports = candidates
        .iter()
        .map(|line| line.split(' ').nth(5).unwrap().parse::<u16>().unwrap());
    assert!(ports.collect::<Vec<_>>().iter().all(worker_port), "{sdp}");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_layers_of_obs_are_accepted_in_a_line_of_their_own() {
    let server = Server::start().await;
    let session = server.begin("/whip/demo", offers::OBS_SIMULCAST).await;
    assert!(
        session.answer.body.contains("a=simulcast:recv 0;1;2\r\n"),
        "{}",
        session.answer.body
    );
    for rid in ["0", "1", "2"] {
        assert!(
            session
                .answer
                .body
                .contains(&format!("a=rid:{rid} recv\r\n"))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_session_is_told_by_a_relative_location_without_query_and_a_strong_tag() {
    let server = Server::start().await;
    let session = server.begin("/whip/demo", offers::OBS).await;
    let resource = session.location.strip_prefix("/whip/demo/main/").unwrap();
    assert_eq!(resource.len(), 36);
    assert!(!session.location.contains('?'));
    assert!(
        session.etag.starts_with('"') && session.etag.ends_with('"') && session.etag.len() > 10
    );
    check_cors(&session.answer);
    let other = server.begin("/whip/demo/second", offers::OBS).await;
    assert!(other.location.starts_with("/whip/demo/second/"));
    assert_ne!(other.etag, session.etag);
}

#[tokio::test(flavor = "multi_thread")]
async fn ice_servers_are_told_by_link_headers() {
    let server = Server::start_with(|config| {
        let login = |text: &str| Some(text.to_owned());
        config.ice_servers = vec![
            IceServer {
                url: "stun:stun.example.org".into(),
                username: None,
                credential: None,
            },
            IceServer {
                url: "turn:turn.example.org?transport=udp".into(),
                username: login("me"),
                credential: login("pass"),
            },
        ];
    })
    .await;
    let session = server.begin("/whip/demo", offers::OBS).await;
    let links: Vec<_> = session.answer.headers.get_all("link").iter().collect();
    assert_eq!(links[0], "<stun:stun.example.org>; rel=\"ice-server\"");
    assert_eq!(
        links[1],
        "<turn:turn.example.org?transport=udp>; rel=\"ice-server\"; username=\"me\"; credential=\"pass\"; \
         credential-type=\"password\""
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn content_types_are_read_leniently_but_not_guessed() {
    let server = Server::start().await;
    let check = async |kind: &str, status: u16| {
        let answer = server
            .ask("POST", "/whip/demo")
            .body(kind, offers::OBS)
            .send()
            .await;
        assert_eq!(answer.status, status, "{kind}: {answer:?}");
        if status == 415 {
            assert_eq!(answer.header("accept-post"), SDP);
            check_cors(&answer);
        } else {
            let location = answer.header("location").to_owned();
            assert_eq!(server.ask("DELETE", location).send().await.status, 200);
        }
    };
    check("application/sdp; charset=utf-8", 201).await;
    check("Application/SDP", 201).await;
    check("application/sdp; charset=utf-16", 415).await;
    check("text/plain", 415).await;
    check("application/json", 415).await;
    check("sdp", 415).await;
    let none = server
        .ask("POST", "/whip/demo")
        .bare_body(offers::OBS)
        .send()
        .await;
    none.check_problem(415, "no Content-Type");
    let compressed = server
        .ask("POST", "/whip/demo")
        .header("content-encoding", "gzip")
        .body(SDP, offers::OBS)
        .send()
        .await;
    compressed.check_problem(415, "compressed");
    server.expect_sessions(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unusable_offer_is_422_in_words_and_leaves_nothing() {
    let server = Server::start().await;
    let check = async |offer: String, words: &str| {
        let answer = server.post("/whip/demo", offer).await;
        answer.check_problem(422, words);
        check_cors(&answer);
    };
    check(
        offers::CHROMIUM_RECEIVE.to_owned(),
        "a publisher has to send (audio recvonly opus",
    )
    .await;
    check(
        offers::OBS.replace("sendonly", "inactive"),
        "a publisher has to send",
    )
    .await;
    let unknown = offers::of_unknown_codecs().replace("recvonly", "sendonly");
    check(unknown, "audio cannot be accepted with these codecs").await;
    let half_known = offers::OBS.replace("H264/90000", "H265/90000");
    check(half_known, "use one of H264, VP8, VP9, AV1, opus").await;
    let (_, video) = offers::OBS.split_once("m=video").unwrap();
    let second = format!("m=video{}", video.replace("a=mid:1", "a=mid:2"));
    check(
        format!(
            "{}{second}",
            offers::OBS.replace("BUNDLE 0 1", "BUNDLE 0 1 2")
        ),
        "2 video sections",
    )
    .await;
    server.expect_sessions(0).await;
    assert!(server.media.directory().space("demo").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_asked_for_and_told_apart() {
    let server = Server::start().await;
    let post = async |authorization: Option<&str>| {
        let request = server.ask("POST", "/whip/locked").body(SDP, offers::OBS);
        match authorization {
            Some(value) => request.header("authorization", value).send().await,
            None => request.send().await,
        }
    };
    let missing = post(None).await;
    missing.check_problem(401, "Authorization: Bearer KEY");
    assert_eq!(
        missing.header("www-authenticate"),
        "Bearer realm=\"locked\""
    );
    check_cors(&missing);
    for wrong in ["Bearer wrong", "Bearer open-sesam", "Bearer open-sesamee"] {
        let answer = post(Some(wrong)).await;
        answer.check_problem(401, "not the key");
        assert_eq!(
            answer.header("www-authenticate"),
            "Bearer realm=\"locked\", error=\"invalid_token\""
        );
    }
    for other in ["Basic b3Blbjpz", "Bearer ", "open-sesame"] {
        assert_eq!(post(Some(other)).await.status, 401, "{other}");
    }
    server.expect_sessions(0).await;
    assert_eq!(post(Some("bearer open-sesame")).await.status, 201);
    server.expect_sessions(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_is_checked_before_the_body_is_read() {
    let server = Server::start().await;
    let answer = server.post("/whip/locked", "no sdp").await;
    assert_eq!(answer.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_with_the_right_key_ends_no_session_by_itself() {
    let server = Server::start().await;
    let publish = async || {
        let request = server
            .ask("POST", "/whip/locked")
            .header("authorization", "Bearer open-sesame");
        let answer = request.body(SDP, offers::OBS).send().await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.header("location").to_owned()
    };
    let first = publish().await;
    let second = publish().await;
    server.expect_sessions(2).await;
    assert_eq!(server.ask("DELETE", second).send().await.status, 200);
    server.expect_sessions(1).await;
    assert_eq!(server.ask("GET", &first).send().await.status, 204);
    // Of many that never connect a few are kept, and the first of all.
    let mut last = String::new();
    for _ in 0..7 {
        last = publish().await;
    }
    server.expect_sessions(5).await;
    for present in [&first, &last] {
        assert_eq!(server.ask("GET", present).send().await.status, 204);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_publisher_without_right_is_409() {
    let server = Server::start().await;
    let publish = async |token: Option<&str>| {
        let request = server.ask("POST", "/whip/open").body(SDP, offers::OBS);
        match token {
            Some(token) => {
                request
                    .header("authorization", &format!("Bearer {token}"))
                    .send()
                    .await
            }
            None => request.send().await,
        }
    };
    assert_eq!(publish(Some("mine")).await.status, 201);
    for stranger in [None, Some("yours")] {
        let answer = publish(stranger).await;
        answer.check_problem(409, "somebody else publishes this stream");
        assert_eq!(answer.header("retry-after"), "10");
    }
    server.expect_sessions(1).await;
    assert_eq!(publish(Some("mine")).await.status, 201);
    server.expect_sessions(2).await;
}
