//! A session's own resource (RFC 9725 sections 4.2 and 4.3): candidates, ICE restarts, the end.

use crate::client::check_cors;
use crate::offers;
use crate::server::{SDP, SDPFRAG, Server, attribute};

const CANDIDATE: &str = "candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host";
const NEW_CREDENTIALS: &str = "a=ice-ufrag:neWu\r\na=ice-pwd:nEwPaSsWoRd0123456789ab\r\n";

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
