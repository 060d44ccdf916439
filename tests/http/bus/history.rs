//! What is kept, and how it is asked for.

use conference::ParticipantRole;
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::visitor::Visitor;
use crate::client::{Answer, check_cors};
use crate::server::{OPERATOR_SECRET, Server};

fn with_secret(path: &str) -> String {
    let sign = if path.contains('?') { '&' } else { '?' };
    format!("{path}{sign}secret={OPERATOR_SECRET}")
}

fn value(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{answer:?}");
    serde_json::from_str(&answer.body).unwrap()
}

#[track_caller]
fn check_no_access(answer: &Answer) {
    assert_eq!(
        (answer.status.as_u16(), answer.body.as_str()),
        (403, "No access")
    );
}

const CHAT: &str = r#"{ "type":"CHAT","channel":"stage", "value": "hello" ,"x":1.50e1}"#;
const STATS: &str = r#"{"type":"STATS","channel":"stage","store":true,"value":[1, 2]}"#;
const STORED: &str = r#"{"type":"CHAT","channel":"other","store":true,"value":"kept"}"#;
const HEART: &str = r#"{"type":"HEART","channel":"stage","value":""}"#;

/// A server where these four were said.
async fn after_a_talk() -> (Server, Visitor) {
    let server = Server::start().await;
    let mut visitor = Visitor::come(&server, "/").await;
    for text in [CHAT, STATS, STORED, HEART] {
        visitor.say_and_hear(text).await;
    }
    (server, visitor)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_with_store_comes_back_byte_for_byte() {
    let (server, _visitor) = after_a_talk().await;
    let check = async |path: &str, expected: &str| {
        let answer = server.get(&with_secret(path)).await;
        assert_eq!(answer.body, expected, "{path}");
        assert_eq!(answer.header("content-type"), "application/json");
    };
    check("/messages", &format!("[{STATS},{STORED}]")).await;
    check("/messages?type=STATS", &format!("[{STATS}]")).await;
    check("/messages?channel=other", &format!("[{STORED}]")).await;
    check("/messages?channel=other&type=STATS", &format!("[{STATS}]")).await;
    check("/messages?type=&channel=other", &format!("[{STORED}]")).await;
    check("/messages?type=HEART", "[]").await;
    check("/messages?channel=nowhere", "[]").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_operator_reads_and_clears_all_messages_and_every_origin_may_ask() {
    let (server, mut visitor) = after_a_talk().await;
    for path in [
        "/messages",
        "/messages?secret=wrong-secret",
        "/messages?secret=",
        "/messages/clear",
    ] {
        check_no_access(&server.get(path).await);
    }
    check_no_access(
        &server
            .ask("POST", "/webhooks/video")
            .body("application/json", "{}")
            .send()
            .await,
    );
    let before = server.get(&with_secret("/messages")).await;
    assert_eq!(value(&before).as_array().unwrap().len(), 2);
    assert_eq!(server.get(&with_secret("/messages/clear")).await.body, "[]");
    assert_eq!(server.get(&with_secret("/messages")).await.body, "[]");
    let pages = server.get("/api/spaces/stage/messages").await;
    assert_eq!(value(&pages), json!({ "messages": [], "next": null }));
    visitor.say_and_hear(STATS).await;
    let after = server.ask("GET", with_secret("/messages"));
    let after = after.header("origin", "https://example.org").send().await;
    assert_eq!(after.body, format!("[{STATS}]"));
    let allowed = after.header("access-control-allow-origin");
    assert_eq!(
        (allowed, after.header("vary")),
        ("https://example.org", "Origin")
    );
    let refused = server.ask("GET", "/messages").header("origin", "null");
    let refused = refused.send().await;
    assert_eq!(refused.header("access-control-allow-origin"), "null");
    for path in [
        "/messages",
        "/messages/clear",
        "/webhooks/video",
        "/area51/_upload.php",
    ] {
        let preflight = server.ask("OPTIONS", path).send().await;
        assert_eq!(preflight.status, 200);
        check_cors(&preflight);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_the_secret_has_a_limit() {
    let server = Server::start().await;
    for _ in 0..2000 {
        let answer = server.get("/messages?secret=guess").await;
        if answer.status == 429 {
            assert!(!answer.header("retry-after").is_empty());
            // A right guess looks like a wrong one now.
            let right = with_secret("/messages");
            let rights = join_all((0..64).map(|_| server.get(&right))).await;
            assert!(rights.iter().any(|answer| answer.status == 429));
            return;
        }
    }
    panic!("nobody counts");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_video_service_tells_is_heard_and_kept() {
    let server = Server::start().await;
    let mut visitor = Visitor::come(&server, "/").await;
    let body = r#" { "video":{"id":7 , "rate":1.50e1} } "#;
    let post = |body: &str| {
        let path = with_secret("/webhooks/video");
        server
            .ask("POST", path)
            .body("application/json", body.to_owned())
            .send()
    };
    let answer = post(body).await;
    assert_eq!(
        answer.body,
        format!(r#"{{"status":200,"received":{}}}"#, body.trim())
    );
    let (text, heard) = visitor.hear(|value| value["type"] == "VIDEO").await;
    assert_eq!(heard["channel"], "elektron");
    assert_eq!(heard["value"]["video"]["id"], 7);
    assert!(text.contains(body.trim()), "{text}");
    let kept = server.get(&with_secret("/messages?type=VIDEO")).await;
    assert_eq!(kept.body, format!("[{text}]"));
    for nonsense in ["", "no json", "{\"a\":1"] {
        check_no_access(&post(nonsense).await);
    }
    let large = post(&format!("\"{}\"", "x".repeat(70_000))).await;
    large.check_problem(413, "longer than 60000 bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spaces_history_is_paged_by_time_type_and_number() {
    let (server, _visitor) = after_a_talk().await;
    let page = async |query: &str| {
        let answer = server
            .get(&format!("/api/spaces/stage/messages{query}"))
            .await;
        check_cors(&answer);
        assert_eq!(answer.header("cache-control"), "no-store");
        let page = value(&answer);
        (
            page["messages"].as_array().unwrap().clone(),
            page["next"].clone(),
            answer.body,
        )
    };
    let (all, next, body) = page("").await;
    let [chat, stats] = &all[..] else {
        panic!("{all:?}")
    };
    assert_eq!(next, Value::Null);
    assert!(
        body.contains(&format!(r#"{{"message":{CHAT},"seq":{}}}"#, chat["seq"])),
        "{body}"
    );
    assert_eq!(stats["message"]["type"], "STATS");
    let (first, next, _) = page("?limit=1").await;
    assert_eq!(
        (&first[..], &next),
        (std::slice::from_ref(chat), &chat["seq"])
    );
    let (rest, next, _) = page(&format!("?limit=1&after={next}")).await;
    assert_eq!(
        (&rest[..], &next),
        (std::slice::from_ref(stats), &Value::Null)
    );
    assert_eq!(page("?type=CHAT,LIKE").await.0, std::slice::from_ref(chat));
    assert_eq!(
        page("?newest=1&limit=1").await.0,
        std::slice::from_ref(stats)
    );
    let ms = |message: &Value| message["seq"].as_u64().unwrap() / 1000;
    let from = format!("?from={}", ms(stats) + 1);
    assert_eq!(page(&from).await.0, Vec::<Value>::new());
    let both = format!("?from={}&to={}", ms(chat), ms(stats) + 1);
    assert_eq!(page(&both).await.0, all);
    let dates = page("?from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z").await;
    assert_eq!(dates.0, Vec::<Value>::new());
    let wrong = server.get("/api/spaces/stage/messages?from=noon").await;
    wrong.check_problem(400, "from: noon is not a time such as");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_spaces_history_needs_a_token() {
    let server = Server::start_with(|config| {
        config.spaces[0].private = true;
    })
    .await;
    let path = "/api/spaces/locked/messages";
    server
        .get(path)
        .await
        .check_problem(401, "space locked is private");
    let token = server.token("locked", ParticipantRole::Viewer);
    let with_token = server
        .ask("GET", path)
        .header("authorization", &format!("Bearer {token}"));
    assert_eq!(with_token.send().await.status, 200);
}
