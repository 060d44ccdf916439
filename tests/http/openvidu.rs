//! `POST /api/sessions` and `POST /api/tokens` as clients of OpenVidu 2 use them.

use conference::ParticipantRole;
use serde_json::{Value, json};

use crate::client::{Answer, Ask, check_cors};
use crate::server::{OPERATOR_SECRET, Server};

const JSON: &str = "application/json";
const LOCKED_KEY: &str = "open-sesame";

fn ask(server: &Server, path: &str, authorization: Option<&str>) -> Ask {
    let ask = server.ask("POST", path);
    match authorization {
        Some(value) => ask.header("authorization", value),
        None => ask,
    }
}

async fn post(server: &Server, path: &str, by: Option<&str>, body: Value) -> Answer {
    let ask = ask(server, path, by).body(JSON, body.to_string());
    let answer = ask.send().await;
    check_cors(&answer);
    answer
}

fn bearer(secret: &str) -> String {
    format!("Bearer {secret}")
}

/// As OpenVidu's clients send their password.
fn basic(secret: &str) -> String {
    let pair = format!("OPENVIDUAPP:{secret}");
    format!("Basic {}", data_encoding::BASE64.encode(pair.as_bytes()))
}

#[track_caller]
fn read(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("cache-control"), "no-store");
    serde_json::from_str(&answer.body).unwrap()
}

/// The role that a made token gives in `space`, after checking the answer around it.
#[track_caller]
fn role(server: &Server, space: &str, answer: &Answer) -> ParticipantRole {
    let made = read(answer);
    let token = made["token"].as_str().unwrap();
    let claims = server.tokens.verify(space, token).unwrap();
    assert_eq!(made["id"], json!(claims.id));
    assert_eq!(
        (&made["session"], &made["data"]),
        (&json!(space), &json!(""))
    );
    assert_eq!(claims.expires - claims.issued, 3600);
    let is_for_all = !claims.is_for_open_space;
    assert_eq!(is_for_all, made["role"] == "MODERATOR" || space == "locked");
    assert_eq!((claims.name, claims.subject), (None, None));
    assert!(server.tokens.verify("elsewhere", token).is_err());
    claims.role
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_pages_two_calls_let_it_into_an_open_space() {
    let server = Server::start().await;
    let wanted = json!({ "customSessionId": "residence" });
    // The page still has the password of another server.
    let by = basic("MY_SECRET");
    let made = read(&post(&server, "/api/sessions", Some(&by), wanted.clone()).await);
    assert_eq!(made["id"], "residence");
    assert!(made["createdAt"].as_u64().unwrap() > 1_700_000_000_000);
    let again = post(&server, "/api/sessions", Some(&by), wanted).await;
    again.check_problem(409, "session residence is there already");
    let session = json!({ "session": "residence" });
    let token = post(&server, "/api/tokens", Some(&by), session).await;
    assert_eq!(read(&token)["role"], "PUBLISHER");
    let given = role(&server, "residence", &token);
    assert_eq!(given, ParticipantRole::Participant);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_without_a_name_gets_one_and_its_token_needs_no_session_first() {
    let server = Server::start().await;
    for body in [
        json!({}),
        json!({ "customSessionId": "" }),
        json!({ "mediaMode": "ROUTED" }),
    ] {
        let made = read(&post(&server, "/api/sessions", None, body).await);
        assert!(made["id"].as_str().unwrap().starts_with("ses_"), "{made}");
    }
    let token = post(
        &server,
        "/api/tokens",
        None,
        json!({ "session": "never-made" }),
    )
    .await;
    assert_eq!(
        role(&server, "never-made", &token),
        ParticipantRole::Participant
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_space_with_a_key_wants_it_or_the_operators_secret() {
    let server = Server::start().await;
    let session = json!({ "customSessionId": "locked" });
    let token = json!({ "session": "locked" });
    let wrong = [
        (None, "has a key"),
        (Some(bearer("wrong-key")), "not the key"),
        (Some(basic("wrong-key")), "not the key"),
        (Some(bearer(&"k".repeat(3000))), "not the key"),
        (Some("Digest open-sesame".to_owned()), "has a key"),
        (Some(LOCKED_KEY.to_owned()), "has a key"),
    ];
    for (by, words) in &wrong {
        for (path, body) in [("/api/sessions", &session), ("/api/tokens", &token)] {
            let answer = post(&server, path, by.as_deref(), body.clone()).await;
            answer.check_problem(401, words);
            assert!(answer.header("www-authenticate").contains("\"locked\""));
        }
    }
    let mut sessions = Vec::new();
    for secret in [LOCKED_KEY, OPERATOR_SECRET] {
        for by in [bearer(secret), basic(secret)] {
            let made = post(&server, "/api/sessions", Some(&by), session.clone()).await;
            sessions.push(made.status.as_u16());
            let made = post(&server, "/api/tokens", Some(&by), token.clone()).await;
            let role = role(&server, "locked", &made);
            assert_eq!(role, ParticipantRole::Participant, "{by}");
        }
    }
    assert_eq!(sessions, [200, 409, 409, 409], "refused ones made none");
}

#[tokio::test(flavor = "multi_thread")]
async fn openvidus_roles_become_ours_and_only_an_operator_makes_moderators() {
    let server = Server::start().await;
    let wanted = |session: &str, role: &str| json!({ "session": session, "role": role });
    let made = post(&server, "/api/tokens", None, wanted("demo", "SUBSCRIBER")).await;
    assert_eq!(role(&server, "demo", &made), ParticipantRole::Viewer);
    let made = post(&server, "/api/tokens", None, wanted("demo", "PUBLISHER")).await;
    assert_eq!(role(&server, "demo", &made), ParticipantRole::Participant);
    let key = bearer(LOCKED_KEY);
    for (session, by) in [("demo", None), ("locked", Some(key.as_str()))] {
        let refused = post(&server, "/api/tokens", by, wanted(session, "MODERATOR")).await;
        refused.check_problem(403, "only an operator");
    }
    let by = bearer(OPERATOR_SECRET);
    for session in ["demo", "locked"] {
        let made = post(
            &server,
            "/api/tokens",
            Some(&by),
            wanted(session, "MODERATOR"),
        )
        .await;
        assert_eq!(read(&made)["role"], "MODERATOR");
        assert_eq!(role(&server, session, &made), ParticipantRole::Moderator);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_is_made_for_every_space_and_none_for_what_is_no_space() {
    let server = Server::start().await;
    let by = bearer(OPERATOR_SECRET);
    for (name, status) in [
        ("*", 400),
        ("a b", 400),
        ("..", 400),
        ("whip", 404),
        (&"s".repeat(65), 400),
    ] {
        for path in ["/api/sessions", "/api/tokens"] {
            let body = json!({ "session": name, "customSessionId": name });
            let answer = post(&server, path, Some(&by), body).await;
            assert_eq!(answer.status, status, "{path} {name}: {answer:?}");
            answer.detail();
        }
    }
    for body in [
        json!({}),
        json!({ "session": 7 }),
        json!({ "session": null }),
        json!([]),
        json!({ "session": "demo", "role": "KING" }),
    ] {
        let answer = post(&server, "/api/tokens", None, body).await;
        answer.check_problem(422, "cannot be used");
    }
    let answer = post(
        &server,
        "/api/sessions",
        None,
        json!({ "customSessionId": [] }),
    )
    .await;
    answer.check_problem(422, "cannot be used");
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_bodies_are_refused_in_words() {
    let server = Server::start().await;
    let long = "x".repeat(4097);
    for path in ["/api/sessions", "/api/tokens"] {
        for (kind, body, status) in [
            ("text/plain", "{}", 415),
            (JSON, "", 400),
            (JSON, "{", 400),
            (JSON, "\u{0}", 400),
            (JSON, long.as_str(), 413),
            (
                JSON,
                r#"{"session":"\u001b[2J","customSessionId":"\u001b[2J"}"#,
                400,
            ),
        ] {
            let answer = ask(&server, path, None)
                .body(kind, body.to_owned())
                .send()
                .await;
            assert_eq!(answer.status, status, "{path} {body:.40}: {answer:?}");
            let detail = answer.detail();
            assert!(
                detail.len() < 400 && !detail.contains(char::is_control),
                "{detail:?}"
            );
            check_cors(&answer);
        }
    }
}
