//! WHEP, draft 03, row by row.

use std::time::{Duration, SystemTime};

use crate::offers;
use crate::server::{SDP, SDPFRAG, Server, Session};

/// An answer to a counter-offer as a browser would give it: the same sections, turned round.
fn turned_round(offer: &str) -> String {
    let ours = [
        "a=ice-ufrag:",
        "a=ice-pwd:",
        "a=fingerprint:",
        "a=setup:",
        "a=candidate:",
        "a=ssrc",
        "a=msid",
        "a=ice-lite",
        "a=end-of",
    ];
    let kept = offer
        .lines()
        .filter(|line| !ours.iter().any(|start| line.starts_with(start)));
    let fingerprint = offers::OBS
        .lines()
        .find(|line| line.starts_with("a=fingerprint"))
        .unwrap();
    let own = format!(
        "a=ice-ufrag:aNsW\r\na=ice-pwd:aNsWeRaNsWeRaNsWeRaNsW\r\n{fingerprint}\r\na=setup:active"
    );
    let mut answer = String::new();
    for line in kept {
        answer.push_str(&line.replace("a=sendonly", "a=recvonly"));
        answer.push_str("\r\n");
        if line.starts_with("a=mid:") {
            answer.push_str(&own);
            answer.push_str("\r\n");
        }
    }
    answer
}

async fn counter_offer(server: &Server, offer: String) -> Session {
    let answer = server.post("/whep/demo", offer).await;
    assert_eq!(answer.status, 406, "{answer:?}");
    Session::of(answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_live_is_409_with_retry_after() {
    let server = Server::start().await;
    for (path, offer) in [
        ("/whep/demo", offers::CHROMIUM_RECEIVE.to_owned()),
        ("/whep/demo/second", offers::CHROMIUM_RECEIVE.to_owned()),
        ("/whep/demo", offers::of_unknown_codecs()),
    ] {
        let answer = server.post(path, offer).await;
        answer.check_problem(409, "nothing is live here yet");
        assert_eq!(answer.header("retry-after"), "3");
        assert_eq!(answer.header("access-control-allow-origin"), "*");
    }
    server.expect_sessions(0).await;
    assert!(server.media.directory().space("demo").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn head_discovers_an_endpoint() {
    let server = Server::start().await;
    for method in ["HEAD", "GET"] {
        let answer = server.ask(method, "/whep/demo").send().await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("content-type")),
            (200, SDP)
        );
        assert_eq!(answer.body, "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_of_a_live_stream_gets_201_and_a_sendonly_answer() {
    let server = Server::start().await;
    let _source = server.go_live("demo").await;
    for (name, offer) in [
        ("chromium", offers::CHROMIUM_RECEIVE),
        ("aiortc", offers::AIORTC_RECEIVE),
    ] {
        let session = server.begin("/whep/demo", offer).await;
        let sdp = &session.answer.body;
        assert_eq!(session.answer.header("content-type"), SDP, "{name}");
        assert!(session.location.starts_with("/whep/demo/main/"), "{name}");
        assert!(session.etag.starts_with('"'), "{name}");
        assert_eq!(sdp.matches("a=sendonly").count(), 2, "{name}: {sdp}");
        assert!(
            sdp.contains("H264") && sdp.contains("opus"),
            "{name}: {sdp}"
        );
        assert!(sdp.contains("a=candidate:"), "{name}: {sdp}");
        assert_eq!(
            server.ask("DELETE", &session.location).send().await.status,
            200
        );
        assert_eq!(
            server.ask("DELETE", &session.location).send().await.status,
            404
        );
    }
    server.expect_sessions(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_trickles_and_restarts_like_a_publisher() {
    let server = Server::start().await;
    let _source = server.go_live("demo").await;
    let session = server.watch("demo").await;
    let patch = async |tag: &str, body: &'static str| {
        let request = server
            .ask("PATCH", &session.location)
            .header("if-match", tag);
        request.body(SDPFRAG, body).send().await
    };
    let candidates =
        "m=audio 9 RTP/AVP 0\r\na=mid:0\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n";
    assert_eq!(patch(&session.etag, candidates).await.status, 204);
    let restarted = patch(
        "*",
        "a=ice-ufrag:neWu\r\na=ice-pwd:nEwPaSsWoRd0123456789ab\r\n",
    )
    .await;
    assert_eq!(restarted.status, 200, "{restarted:?}");
    assert_eq!(patch(&session.etag, candidates).await.status, 412);
    assert_eq!(
        patch(restarted.header("etag"), candidates).await.status,
        204
    );
}

/// medooze's WHEP client, which the draft's author wrote, sends no `If-Match` with its candidates.
#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_whose_candidates_carry_its_credentials_needs_no_tag() {
    let server = Server::start().await;
    let _source = server.go_live("demo").await;
    let session = server.watch("demo").await;
    let patch = async |credentials: &str| {
        let body = format!(
            "{credentials}m=audio 9 RTP/AVP 0\r\na=mid:0\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n"
        );
        let request = server.ask("PATCH", &session.location).body(SDPFRAG, body);
        request.send().await.status
    };
    let own = "a=ice-ufrag:Jq3x\r\na=ice-pwd:v8ZkT0mQp2LsYc7RhN4wDbXe\r\n";
    assert_eq!(patch(own).await, 204);
    assert_eq!(patch("").await, 428);
    let others = "a=ice-ufrag:neWu\r\na=ice-pwd:nEwPaSsWoRd0123456789ab\r\n";
    assert_eq!(patch(others).await, 428, "a restart without a tag");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_that_cannot_be_answered_gets_an_offer_that_can() {
    let server = Server::start().await;
    let _source = server.go_live("demo").await;
    for offer in [
        offers::of_unknown_codecs(),
        offers::CHROMIUM_SEND.to_owned(),
        offers::CHROMIUM_RECEIVE.replace("recvonly", "inactive"),
    ] {
        let session = counter_offer(&server, offer).await;
        let sdp = &session.answer.body;
        assert!(session.location.starts_with("/whep/demo/main/"));
        assert!(session.etag.starts_with('"'));
        assert!(
            sdp.starts_with("v=0\r\n")
                && sdp.contains("a=sendonly")
                && sdp.contains("a=candidate:"),
            "{sdp}"
        );
        assert!(
            !sdp.contains("a=recvonly") && !sdp.contains("a=inactive"),
            "{sdp}"
        );
        let answer = turned_round(sdp);
        let patched = server
            .ask("PATCH", &session.location)
            .body(SDP, answer.clone())
            .send()
            .await;
        assert_eq!(
            (patched.status.as_u16(), patched.body.as_str()),
            (204, ""),
            "{patched:?}\n{answer}"
        );
        // Once is enough: a session is not renegotiated.
        let again = server
            .ask("PATCH", &session.location)
            .body(SDP, answer)
            .send()
            .await;
        again.check_problem(409, "waits for no answer");
        assert_eq!(
            server.ask("DELETE", &session.location).send().await.status,
            200
        );
    }
    server.expect_sessions(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_counter_offer_says_how_long_it_is_valid() {
    let server = Server::start().await;
    let _source = server.go_live("demo").await;
    let session = counter_offer(&server, offers::of_unknown_codecs()).await;
    let kind = session.answer.header("content-type");
    let date = kind
        .strip_prefix("application/sdp; valid-until=\"")
        .unwrap()
        .strip_suffix('"')
        .unwrap();
    let valid = httpdate::parse_http_date(date)
        .unwrap()
        .duration_since(SystemTime::now())
        .unwrap();
    assert!(
        (Duration::from_secs(25)..=Duration::from_secs(30)).contains(&valid),
        "{valid:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_counter_offer_that_is_not_answered_is_withdrawn() {
    let server = Server::start().await;
    let _source = server.go_live("demo").await;
    let session = counter_offer(&server, offers::of_unknown_codecs()).await;
    server.expect_sessions(1).await;
    assert_eq!(server.get(&session.location).await.status, 204);
    for _ in 0..40 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if server.get(&session.location).await.status == 404 {
            server.expect_sessions(0).await;
            return;
        }
    }
    panic!("the counter-offer is still there after 40 s");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_no_sdp_may_be_sent_again() {
    let server = Server::start().await;
    let _source = server.go_live("demo").await;
    let session = counter_offer(&server, offers::of_unknown_codecs()).await;
    let patch = async |body: String| {
        server
            .ask("PATCH", &session.location)
            .body(SDP, body)
            .send()
            .await
    };
    patch("v=0\r\nnonsense\r\n".to_owned())
        .await
        .check_problem(400, "line 2");
    patch("x".repeat(100_000)).await.check_problem(413, "65536");
    assert_eq!(patch(turned_round(&session.answer.body)).await.status, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_sdp_answer_to_an_ordinary_session_is_refused() {
    let server = Server::start().await;
    let _source = server.go_live("demo").await;
    let viewer = server.watch("demo").await;
    let patch = async |path: &str| {
        server
            .ask("PATCH", path)
            .body(SDP, turned_round(offers::CHROMIUM_SEND))
            .send()
            .await
    };
    patch(&viewer.location)
        .await
        .check_problem(409, "waits for no answer");
    let publisher = server.begin("/whip/other", offers::OBS).await;
    let answer = patch(&publisher.location).await;
    answer.check_problem(415, "application/trickle-ice-sdpfrag");
    server.expect_sessions(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn options_of_a_viewers_session_name_both_types() {
    let server = Server::start().await;
    let _source = server.go_live("demo").await;
    let session = server.watch("demo").await;
    let answer = server.ask("OPTIONS", &session.location).send().await;
    assert_eq!(
        answer.header("accept-patch"),
        "application/trickle-ice-sdpfrag, application/sdp"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_space_may_be_watched_by_everybody() {
    let server = Server::start().await;
    let _source = server.go_live("locked").await;
    server.watch("locked").await;
}
