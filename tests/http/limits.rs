//! What every request meets: methods, names, rates, a server that is full or stops.

use crate::client::{Answer, check_cors};
use crate::offers;
use crate::server::{PUBLISHERS_MAX, SDP, Server, VIEWERS_MAX};

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
    let until_refused = async |method: &'static str| {
        // A slow machine earns new allowance between two requests.
        for _ in 0..20_000 {
            let answer = server.ask(method, "/whip/demo/main/nonsense").send().await;
            if answer.status == 429 {
                return answer;
            }
        }
        panic!("20000 requests were not too many");
    };
    let refused = until_refused("DELETE").await;
    refused.check_problem(429, "too many requests from your address");
    assert!(refused.header("retry-after").parse::<u32>().unwrap() >= 1);
    check_cors(&refused);
    for method in ["POST", "PATCH"] {
        until_refused(method).await;
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

/// Asks `count` times with the answer of `post`; says how many were accepted, after checking that the others were refused as they should be.
async fn accepted_of(count: usize, post: impl AsyncFn(usize) -> Answer) -> usize {
    let mut accepted = 0;
    for number in 0..count {
        let answer = post(number).await;
        if answer.status == 201 {
            accepted += 1;
        } else {
            answer.check_problem(503, "full");
            assert_eq!(answer.header("retry-after"), "10");
        }
    }
    accepted
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stage_that_is_full_is_503_with_retry_after() {
    let server = Server::start().await;
    let publish = async |number: usize| {
        server
            .post(&format!("/whip/space-{number}"), offers::OBS)
            .await
    };
    assert_eq!(
        accepted_of(PUBLISHERS_MAX + 5, publish).await,
        PUBLISHERS_MAX
    );
    server.expect_sessions(PUBLISHERS_MAX).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_house_that_is_full_is_503_with_retry_after_and_the_performer_stays() {
    let server = Server::start().await;
    let _source = server.go_live("demo").await;
    let view = async |_| server.post("/whep/demo", offers::CHROMIUM_RECEIVE).await;
    assert_eq!(accepted_of(VIEWERS_MAX + 5, view).await, VIEWERS_MAX);
    server.expect_sessions(VIEWERS_MAX).await;
}
