//! WHIP, RFC 9725, row by row.

use proscenium::config::IceServer;

use crate::client::Answer;
use crate::offers;
use crate::server::{SDP, SDPFRAG, Server};

const CANDIDATE: &str = "candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host";
const NEW_CREDENTIALS: &str = "a=ice-ufrag:neWu\r\na=ice-pwd:nEwPaSsWoRd0123456789ab\r\n";

fn check_cors(answer: &Answer) {
    assert_eq!(
        answer.header("access-control-allow-origin"),
        "*",
        "{answer:?}"
    );
    let exposed = answer.header("access-control-expose-headers");
    for name in ["Location", "ETag", "Link"] {
        assert!(exposed.contains(name), "{name} is not in {exposed}");
    }
}

fn attribute<'a>(sdp: &'a str, name: &str) -> Option<&'a str> {
    sdp.lines().find_map(|line| {
        line.strip_prefix("a=")?
            .strip_prefix(name)?
            .strip_prefix(':')
    })
}

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
async fn options_of_a_session_allow_patch_and_delete() {
    let server = Server::start().await;
    let session = server.begin("/whip/demo", offers::OBS).await;
    let answer = server.ask("OPTIONS", &session.location).send().await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("accept-patch"), SDPFRAG);
    let methods = answer.header("access-control-allow-methods");
    assert!(
        methods.contains("PATCH") && methods.contains("DELETE"),
        "{methods}"
    );
    check_cors(&answer);
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
async fn the_same_key_takes_over_and_the_old_session_is_gone() {
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
    server.expect_sessions(1).await;
    assert_eq!(server.ask("DELETE", first).send().await.status, 404);
    assert_eq!(server.ask("DELETE", second).send().await.status, 200);
    server.expect_sessions(0).await;
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
    server.expect_sessions(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn candidates_are_204_without_a_tag() {
    let server = Server::start().await;
    let session = server.begin("/whip/demo", offers::CHROMIUM_SEND).await;
    let own = "a=ice-ufrag:Jq3x\r\na=ice-pwd:v8ZkT0mQp2LsYc7RhN4wDbXe\r\n";
    for body in [
        format!(
            "{own}m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na={CANDIDATE}\r\na=end-of-candidates\r\n"
        ),
        format!("m=audio 9 RTP/AVP 0\na=mid:0\na={CANDIDATE}\n"),
        "m=audio 9 RTP/AVP 0\r\na=mid:0\r\na=candidate:1 1 udp 1 6f1c.local 9 typ host\r\n"
            .to_owned(),
        "m=audio 9 RTP/AVP 0\r\na=mid:0\r\na=candidate:what is this\r\n".to_owned(),
        "a=end-of-candidates\r\n".to_owned(),
    ] {
        let request = server
            .ask("PATCH", &session.location)
            .header("if-match", &session.etag);
        let answer = request.body(SDPFRAG, body.clone()).send().await;
        assert_eq!(answer.status, 204, "{body}: {answer:?}");
        assert_eq!((answer.header("etag"), answer.body.as_str()), ("", ""));
        check_cors(&answer);
    }
    // `*` with the present credentials is no restart.
    let request = server
        .ask("PATCH", &session.location)
        .header("if-match", "*");
    assert_eq!(request.body(SDPFRAG, own).send().await.status, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patch_that_cannot_be_read_says_why_and_leaves_the_session_alone() {
    let server = Server::start().await;
    let session = server.begin("/whip/demo", offers::CHROMIUM_SEND).await;
    let fragment = format!("m=audio 9 RTP/AVP 0\r\na=mid:0\r\na={CANDIDATE}\r\n");
    let check = async |if_match: Option<&str>, kind: &str, body: &str, status: u16| {
        let request = server
            .ask("PATCH", &session.location)
            .body(kind, body.to_owned());
        let answer = match if_match {
            Some(tag) => request.header("if-match", tag).send().await,
            None => request.send().await,
        };
        answer.check_problem(status, "");
        check_cors(&answer);
        answer
    };
    let tag = Some(session.etag.as_str());
    check(None, SDPFRAG, &fragment, 428).await;
    check(Some("\"another\""), SDPFRAG, &fragment, 412).await;
    check(
        Some(&format!("W/{}", session.etag)),
        SDPFRAG,
        &fragment,
        412,
    )
    .await;
    check(Some("\"unfinished"), SDPFRAG, &fragment, 400).await;
    check(tag, SDPFRAG, "", 400).await;
    check(tag, SDPFRAG, "hello", 400).await;
    check(tag, SDPFRAG, offers::CHROMIUM_SEND, 400).await;
    check(tag, SDPFRAG, "a=ice-ufrag:abcd\r\n", 400).await;
    check(tag, SDPFRAG, &"a=x\r\n".repeat(10_000), 413).await;
    for kind in [SDP, "text/plain", "application/json"] {
        let answer = check(tag, kind, &fragment, 415).await;
        assert_eq!(answer.header("accept-patch"), SDPFRAG);
    }
    let request = server
        .ask("PATCH", &session.location)
        .header("if-match", &session.etag);
    assert_eq!(request.body(SDPFRAG, fragment).send().await.status, 204);
    server.expect_sessions(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_credentials_restart_ice_with_a_new_tag() {
    let server = Server::start().await;
    for if_match in ["*", "\"*\"", "its own"] {
        let session = server.begin("/whip/demo", offers::CHROMIUM_SEND).await;
        let tag = if if_match == "its own" {
            &session.etag
        } else {
            if_match
        };
        let body = format!(
            "a=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n{NEW_CREDENTIALS}a={CANDIDATE}\r\n"
        );
        let request = server
            .ask("PATCH", &session.location)
            .header("if-match", tag);
        let answer = request.body(SDPFRAG, body).send().await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("content-type"), SDPFRAG);
        check_cors(&answer);
        let (before, now) = (&session.answer.body, &answer.body);
        assert!(
            now.starts_with("a=ice-lite\r\n")
                && now.contains("m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n"),
            "{now}"
        );
        for name in ["ice-ufrag", "ice-pwd"] {
            assert_ne!(
                attribute(now, name).unwrap(),
                attribute(before, name).unwrap()
            );
        }
        assert!(
            now.contains("a=candidate:") && now.contains("127.0.0.1"),
            "{now}"
        );
        let new_tag = answer.header("etag");
        assert!(new_tag.starts_with('"') && new_tag != session.etag);

        let trickle = async |tag: &str| {
            let body =
                format!("m=audio 9 RTP/AVP 0\r\na=mid:0\r\n{NEW_CREDENTIALS}a={CANDIDATE}\r\n");
            let request = server
                .ask("PATCH", &session.location)
                .header("if-match", tag);
            request.body(SDPFRAG, body).send().await.status
        };
        assert_eq!(trickle(&session.etag).await, 412);
        assert_eq!(trickle(new_tag).await, 204);
        assert_eq!(
            server.ask("DELETE", &session.location).send().await.status,
            200
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_without_m_line_is_answered_with_one() {
    let server = Server::start().await;
    let session = server.begin("/whip/demo", offers::OBS).await;
    let request = server
        .ask("PATCH", &session.location)
        .header("if-match", "*");
    let answer = request.body(SDPFRAG, NEW_CREDENTIALS).send().await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let candidate = answer.body.find("a=candidate").unwrap();
    assert!(
        answer.body.find("m=audio 9 ").unwrap() < candidate,
        "{}",
        answer.body
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn delete_is_exactly_200_whatever_the_tag_and_a_second_one_404() {
    let server = Server::start().await;
    let session = server.begin("/whip/demo", offers::OBS).await;
    let request = server
        .ask("DELETE", &session.location)
        .header("if-match", "\"of another session\"");
    let answer = request.send().await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, ""));
    check_cors(&answer);
    let again = server.ask("DELETE", &session.location).send().await;
    again.check_problem(404, "no such session");
    check_cors(&again);
    server.expect_sessions(0).await;
    assert!(server.media.directory().space("demo").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_found_only_at_its_own_url() {
    let server = Server::start().await;
    let session = server.begin("/whip/demo", offers::OBS).await;
    for method in ["GET", "HEAD"] {
        assert_eq!(
            server.ask(method, &session.location).send().await.status,
            204
        );
    }
    for path in [
        session.location.replace("/demo/", "/other/"),
        session.location.replace("/main/", "/other/"),
        session.location.replace("/whip/", "/whep/"),
        "/whip/demo/main/00000000-0000-4000-8000-000000000000".to_owned(),
        "/whip/demo/main/nonsense".to_owned(),
    ] {
        for method in ["GET", "PATCH", "DELETE"] {
            let answer = server
                .ask(method, &path)
                .header("if-match", "*")
                .body(SDPFRAG, NEW_CREDENTIALS)
                .send()
                .await;
            answer.check_problem(404, "no such session");
        }
    }
    server.expect_sessions(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_methods_are_405_with_what_is_allowed() {
    let server = Server::start().await;
    let session = server.begin("/whip/demo", offers::OBS).await;
    let check = async |path: &str, methods: &[&'static str], allowed: &[&str]| {
        for method in methods {
            let answer = server.ask(method, path).send().await;
            answer.check_problem(405, "Allow");
            for allowed in allowed {
                assert!(
                    answer.header("allow").contains(allowed),
                    "{method} {path}: {answer:?}"
                );
            }
            check_cors(&answer);
        }
    };
    check(
        "/whip/demo",
        &["PUT", "PATCH", "DELETE", "TRACE"],
        &["POST", "OPTIONS", "GET"],
    )
    .await;
    check(
        "/whep/demo/main",
        &["PUT", "PATCH", "DELETE"],
        &["POST", "OPTIONS", "GET"],
    )
    .await;
    check(
        &session.location,
        &["PUT", "POST"],
        &["PATCH", "DELETE", "OPTIONS"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn impossible_names_are_400_and_the_servers_own_words_404() {
    let server = Server::start().await;
    let check = async |path: &str, status: u16, words: &str| {
        for method in ["POST", "GET"] {
            server
                .ask(method, path)
                .body(SDP, offers::OBS)
                .send()
                .await
                .check_problem(status, words);
        }
    };
    check("/whip/a%20b", 400, "the character ' ' at place 2").await;
    check("/whip/caf%C3%A9", 400, "'é' at place 4").await;
    check("/whip/%ff", 400, "not UTF-8").await;
    check("/whip/..%2f", 400, "'/' at place 3").await;
    check(
        &format!("/whip/{}", "n".repeat(65)),
        400,
        "65 characters long",
    )
    .await;
    check("/whip/demo/a%00", 400, "place 2").await;
    check("/whip/whip", 404, "belongs to the server").await;
    check("/whep/API", 404, "belongs to the server").await;
    server.expect_sessions(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_requests_are_429_with_retry_after_and_reading_is_free() {
    let server = Server::start().await;
    let mut refused = None;
    for _ in 0..700 {
        let answer = server
            .ask("DELETE", "/whip/demo/main/nonsense")
            .send()
            .await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.unwrap();
    refused.check_problem(429, "too many requests from your address");
    assert!(refused.header("retry-after").parse::<u32>().unwrap() >= 1);
    check_cors(&refused);
    for method in ["POST", "PATCH"] {
        assert_eq!(
            server
                .ask(method, "/whip/demo/main/nonsense")
                .send()
                .await
                .status,
            429
        );
    }
    assert_eq!(server.get("/whip/demo").await.status, 204);
    assert_eq!(server.get("/healthz").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_refuses_new_sessions_with_503() {
    let server = Server::start().await;
    server.shutdown.begin();
    for path in ["/whip/demo", "/whep/demo"] {
        let answer = server.post(path, offers::OBS).await;
        answer.check_problem(503, "stopping");
        assert_eq!(answer.header("retry-after"), "5");
        check_cors(&answer);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_is_503_with_retry_after() {
    let server = Server::start().await;
    let mut answers = Vec::new();
    for number in 0..80 {
        answers.push(
            server
                .post(&format!("/whip/space-{number}"), offers::OBS)
                .await,
        );
    }
    let (accepted, refused): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.status == 201);
    assert_eq!(accepted.len(), 64);
    for answer in refused {
        answer.check_problem(503, "full");
        assert_eq!(answer.header("retry-after"), "10");
    }
    server.expect_sessions(64).await;
}
