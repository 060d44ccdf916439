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

/// Publishes with the key of `locked`, as a proxy says for whom.
async fn publish_for(server: &Server, stream: &str, client: &str) -> Answer {
    let ask = server.ask("POST", format!("/whip/locked/{stream}"));
    let ask = ask.header("authorization", "Bearer open-sesame");
    let ask = ask.header("x-forwarded-for", client);
    ask.body(SDP, offers::OBS).send().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_household_has_half_of_the_places_of_those_who_wait_for_a_stream() {
    let server = Server::start_with(|config| {
        config.limits.publishers_max = 12;
        config.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    })
    .await;
    // Nobody waits: of these a household has as many as there may be.
    for stream in ["a", "b", "c", "d"] {
        let begun = publish_for(&server, stream, "2001:db8::1").await;
        assert_eq!(begun.status, 201, "{begun:?}");
    }
    let mut waiting = Vec::new();
    for stream in ["a", "a", "b", "b?backup", "c", "c"] {
        let address = format!("2001:db8::{}", waiting.len() + 1);
        let begun = publish_for(&server, stream, &address).await;
        assert_eq!(begun.status, 201, "{begun:?}");
        waiting.push(begun.header("location").to_owned());
    }
    for stream in ["a", "d", "d?backup"] {
        let refused = publish_for(&server, stream, "2001:db8::99").await;
        refused.check_problem(429, "6 publishers from your address wait for their turn");
        assert_eq!(refused.header("retry-after"), "10");
        check_cors(&refused);
    }
    let new = publish_for(&server, "e", "2001:db8::99").await;
    assert_eq!(
        new.status, 201,
        "who need not wait is not concerned: {new:?}"
    );
    // Others are not either, until everybody together has all places.
    for (number, stream) in ["a", "b", "c", "d", "d", "d"].into_iter().enumerate() {
        let begun = publish_for(&server, stream, &format!("192.0.2.{}", number / 3)).await;
        assert_eq!(begun.status, 201, "{begun:?}");
    }
    let open = async || {
        let ask = server.ask("POST", "/whip/open");
        let ask = ask.header("authorization", "Bearer mine");
        let ask = ask.header("x-forwarded-for", "198.51.100.1");
        ask.body(SDP, offers::OBS).send().await
    };
    let begun = open().await;
    assert_eq!(begun.status, 201, "nobody is there: {begun:?}");
    let refused = open().await;
    refused.check_problem(503, "12 publishers wait for their turn already");
    assert_eq!(refused.header("retry-after"), "10");
    let keeper = publish_for(&server, "a", "198.51.100.1").await;
    assert_eq!(
        keeper.status, 201,
        "the key has places of its own: {keeper:?}"
    );
    for location in &waiting[..2] {
        let ended = server.ask("DELETE", location).send().await;
        assert_eq!(ended.status, 200, "{ended:?}");
    }
    let again = open().await;
    assert_eq!(again.status, 201, "a place that is free is had: {again:?}");
    server.expect_sessions(6 + 12).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_come_at_once_to_wait_none_slips_past_the_share_of_a_household() {
    let server = Server::start_with(|config| {
        config.limits.publishers_max = 8;
        config.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    })
    .await;
    let streams = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let all = streams.iter().cycle().take(4 * streams.len());
    let asking = all.map(|stream| publish_for(&server, stream, "192.0.2.1"));
    let answers = futures_util::future::join_all(asking).await;
    let accepted = answers.iter().filter(|answer| answer.status == 201).count();
    assert!(accepted <= streams.len() + 4, "{accepted} were accepted");
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        // Those that are still being refused count, too.
        assert!([429, 503].contains(&answer.status.as_u16()), "{answer:?}");
    }
    server.expect_sessions(accepted).await;
    assert_eq!(
        server.media.directory().waiting().len(),
        accepted - streams.len()
    );
}
