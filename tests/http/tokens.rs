//! `POST /api/token`, row by row.

use conference::{Denied, ParticipantRole};
use proscenium::tokens::{Claims, Scope};
use serde_json::{Value, json};

use crate::client::{Answer, Ask, check_cors, raw};
use crate::offers;
use crate::server::{OPERATOR_SECRET, SDP, Server};

const JSON: &str = "application/json";

fn request(server: &Server) -> Ask {
    let bearer = format!("Bearer {OPERATOR_SECRET}");
    server
        .ask("POST", "/api/token")
        .header("authorization", &bearer)
}

async fn post(server: &Server, body: Value) -> Answer {
    request(server).body(JSON, body.to_string()).send().await
}

/// What a made token says, after checking everything else about the answer.
#[track_caller]
fn claims(server: &Server, space: &str, answer: &Answer) -> Claims {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), JSON);
    assert_eq!(answer.header("cache-control"), "no-store");
    check_cors(answer);
    let made: Value = serde_json::from_str(&answer.body).unwrap();
    let token = made["token"].as_str().unwrap();
    let claims = server.tokens.verify(space, token).unwrap();
    let expires: jiff::Timestamp = made["expires"].as_str().unwrap().parse().unwrap();
    assert_eq!(expires.as_second().unsigned_abs(), claims.expires);
    let path = match claims.space {
        Scope::Space(_) => json!(format!("/{space}/meet#token={token}")),
        Scope::Every => Value::Null,
    };
    assert_eq!(made["path"], path);
    claims
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_gets_the_token_that_was_asked_for() {
    let server = Server::start().await;
    let wanted = json!({ "space": "residence", "role": "moderator", "name": "Ada \u{1f3ad}",
        "subject": "ada@example.org", "expires_in": 60 });
    let answer = post(&server, wanted).await;
    let made = claims(&server, "residence", &answer);
    assert_eq!(made.role, ParticipantRole::Moderator);
    assert_eq!(made.name.as_deref(), Some("Ada \u{1f3ad}"));
    assert_eq!(made.subject.as_deref(), Some("ada@example.org"));
    assert_eq!(made.expires - made.issued, 60);
    let token: Value = serde_json::from_str(&answer.body).unwrap();
    let elsewhere = server
        .tokens
        .verify("foyer", token["token"].as_str().unwrap());
    assert_eq!(elsewhere, Err(Denied::OtherSpace));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_lives_for_eight_hours_unless_said_otherwise_and_no_two_are_the_same() {
    let server = Server::start().await;
    let wanted = json!({ "space": "locked", "role": "viewer" });
    let one = claims(&server, "locked", &post(&server, wanted.clone()).await);
    let other = claims(&server, "locked", &post(&server, wanted).await);
    assert_eq!(one.expires - one.issued, 8 * 3600);
    assert_eq!((one.name, one.subject), (None, None));
    assert_ne!(one.id, other.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_can_have_a_token_for_every_space() {
    let server = Server::start().await;
    let answer = post(&server, json!({ "space": "*", "role": "performer" })).await;
    for space in ["locked", "anywhere"] {
        let made = claims(&server, space, &answer);
        assert_eq!(made.space, Scope::Every);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_else_is_401_whatever_they_ask_for() {
    let server = Server::start().await;
    let wanted = json!({ "space": "demo", "role": "moderator" }).to_string();
    let made = post(&server, json!({ "space": "*", "role": "moderator" })).await;
    let made: Value = serde_json::from_str(&made.body).unwrap();
    let of_moderator = format!("Bearer {}", made["token"].as_str().unwrap());
    let longer = format!("Bearer {OPERATOR_SECRET}x");
    let shorter = format!("Bearer {}", &OPERATOR_SECRET[1..]);
    let huge = format!("Bearer {}", OPERATOR_SECRET.repeat(100));
    let basic = data_encoding::BASE64.encode(format!("operator:{OPERATOR_SECRET}").as_bytes());
    let basic = format!("Basic {basic}");
    let cases = [
        (None, "only an operator"),
        (Some(""), "only an operator"),
        (Some("Bearer"), "only an operator"),
        (Some(OPERATOR_SECRET), "only an operator"),
        (Some(&basic), "only an operator"),
        (Some("Bearer open-sesame"), "not the operator's secret"),
        (Some(&longer), "not the operator's secret"),
        (Some(&shorter), "not the operator's secret"),
        (Some(&huge), "not the operator's secret"),
        (Some(&of_moderator), "not the operator's secret"),
    ];
    for (authorization, words) in cases {
        for body in [wanted.as_str(), "", "{"] {
            let mut ask = server.ask("POST", "/api/token").body(JSON, body.to_owned());
            if let Some(value) = authorization {
                ask = ask.header("authorization", value);
            }
            let answer = ask.send().await;
            answer.check_problem(401, words);
            let challenge = answer.header("www-authenticate");
            assert!(challenge.starts_with("Bearer realm=\"operator\""));
            assert!(!answer.body.contains(OPERATOR_SECRET));
            check_cors(&answer);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_made_is_422_with_the_field_and_the_next_step() {
    let server = Server::start().await;
    let check = async |change: Value, words: &str| {
        let mut wanted = json!({ "space": "demo", "role": "viewer" });
        let fields = wanted.as_object_mut().unwrap();
        fields.extend(change.as_object().unwrap().clone());
        let answer = post(&server, wanted).await;
        answer.check_problem(422, words);
        check_cors(&answer);
    };
    check(json!({ "space": "" }), "space: the name is empty").await;
    check(json!({ "space": "a/b" }), "'/' at place 2").await;
    check(json!({ "space": "api" }), "belongs to the server").await;
    check(json!({ "space": 7 }), "expected a string").await;
    check(json!({ "space": null }), "expected a string").await;
    check(json!({ "role": "king" }), "`performer`").await;
    check(json!({ "role": "MODERATOR" }), "`moderator`").await;
    check(json!({ "name": "" }), "name: is empty").await;
    check(json!({ "name": "n".repeat(65) }), "64 are the most").await;
    check(json!({ "name": "\u{7}" }), "cannot be shown").await;
    check(json!({ "name": ["Ada"] }), "expected a string").await;
    check(json!({ "subject": "a b" }), "subject: has a character").await;
    check(json!({ "expires_in": 0 }), "one second").await;
    check(json!({ "expires_in": 31_622_401 }), "366 days").await;
    check(json!({ "expires_in": u64::MAX }), "366 days").await;
    check(json!({ "expires_in": -1 }), "cannot be used").await;
    check(json!({ "expires_in": 1.5 }), "cannot be used").await;
    check(json!({ "expires_in": "8h" }), "cannot be used").await;
    check(json!({ "expires": 60 }), "unknown field `expires`").await;
    for body in ["null", "[]", "7", "\"demo\"", "{}", "{\"space\":\"demo\"}"] {
        let answer = request(&server).body(JSON, body).send().await;
        answer.check_problem(422, "cannot be used");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_methods_are_405_and_a_preflight_needs_no_secret() {
    let server = Server::start().await;
    for path in ["/api/token", "/api/tokens", "/api/sessions"] {
        for method in ["GET", "HEAD", "PUT", "PATCH", "DELETE"] {
            let answer = server.ask(method, path).send().await;
            assert_eq!(answer.status, 405, "{method} {path}");
            assert!(answer.header("allow").contains("POST"), "{answer:?}");
            check_cors(&answer);
        }
        let asks = server
            .ask("OPTIONS", path)
            .header("origin", "https://example.org")
            .header("access-control-request-method", "POST");
        let answer = asks.send().await;
        assert_eq!(answer.status, 200);
        let methods = answer.header("access-control-allow-methods");
        assert_eq!(methods, "OPTIONS, POST");
        let allowed = answer.header("access-control-allow-headers");
        assert!(allowed.contains("Authorization") && allowed.contains("Content-Type"));
        check_cors(&answer);
    }
}

/// Name, type, body and the status that it deserves from whoever may ask.
fn hostile_bodies() -> Vec<(&'static str, &'static str, Vec<u8>, u16)> {
    let text = |text: &str| text.as_bytes().to_vec();
    let good = r#"{"space":"demo","role":"viewer"}"#;
    vec![
        ("no type", "", text(good), 415),
        (
            "a form",
            "application/x-www-form-urlencoded",
            text("a=b"),
            415,
        ),
        ("plain text", "text/plain", text(good), 415),
        (
            "another charset",
            "application/json; charset=utf-16",
            text(good),
            415,
        ),
        ("empty", JSON, vec![], 400),
        ("cut off", JSON, text(&good[..20]), 400),
        ("two values", JSON, text(&good.repeat(2)), 400),
        ("zeros", JSON, vec![0; 500], 400),
        ("latin-1", JSON, b"{\"space\":\"caf\xe9\"}".to_vec(), 400),
        ("a lone surrogate", JSON, text(r#"{"space":"\ud800"}"#), 400),
        ("deep nesting", JSON, text(&"[".repeat(4000)), 422),
        (
            "deep nesting in a field",
            JSON,
            text(&format!("{{\"x\":{}", "[".repeat(4000))),
            422,
        ),
        (
            "a number without end",
            JSON,
            text(&format!("{{\"space\":{}}}", "9".repeat(4000))),
            400,
        ),
        ("one byte too many", JSON, vec![b' '; 4097], 413),
        ("one megabyte", JSON, vec![b'{'; 1_000_000], 413),
        (
            "a field twice",
            JSON,
            text(
                r#"{"space":"a","space":"b","session":"a","session":"b","customSessionId":"a","customSessionId":"b"}"#,
            ),
            422,
        ),
        (
            "a terminal's escape codes",
            JSON,
            text(
                "{\"space\":\"\\u001b[2J\",\"session\":\"\\u001b[2J\",\"customSessionId\":\"\\u001b[2J\",\"role\":\"viewer\"}",
            ),
            422,
        ),
        (
            "a very long name",
            JSON,
            text(&format!("{{\"{}\":1}}", "n".repeat(3900))),
            422,
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_bodies_are_refused_in_words() {
    let server = Server::start().await;
    for (name, kind, body, status) in hostile_bodies() {
        let ask = request(&server);
        let ask = match kind {
            "" => ask.bare_body(body),
            kind => ask.body(kind, body),
        };
        let answer = ask.send().await;
        assert_eq!(answer.status, status, "{name}: {answer:?}");
        let detail = answer.detail();
        assert!(
            detail.len() < 400 && !detail.contains(char::is_control),
            "{name}: {detail:?}"
        );
        check_cors(&answer);
    }
    let answer = post(&server, json!({ "space": "demo", "role": "viewer" })).await;
    claims(&server, "demo", &answer);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_outside_ascii_is_400_and_a_body_without_end_413() {
    let server = Server::start().await;
    let head = "POST /api/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
    let patience = std::time::Duration::from_secs(5);
    let request = [
        head.as_bytes(),
        b"Connection: close\r\nAuthorization: Bearer caf\xe9\r\nContent-Length: 2\r\n\r\n{}",
    ]
    .concat();
    let answer = raw(server.address, &request, patience).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    let chunk = format!("{:x}\r\n{}\r\n", 1024, " ".repeat(1024));
    let request = format!(
        "{head}Authorization: Bearer {OPERATOR_SECRET}\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        chunk.repeat(20)
    );
    let answer = raw(server.address, request.as_bytes(), patience).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_guesses_is_slowed_down() {
    let server = Server::start().await;
    for path in ["/api/token", "/api/tokens", "/api/sessions"] {
        // A slow machine earns new allowance between two requests.
        let mut statuses = Vec::new();
        for number in 0..20_000 {
            let bearer = format!("Bearer guess-number-{number}");
            let ask = server.ask("POST", path).header("authorization", &bearer);
            let answer = ask.send().await;
            if answer.status == 429 {
                assert!(answer.header("retry-after").parse::<u32>().unwrap() >= 1);
                check_cors(&answer);
                statuses.clear();
                break;
            }
            statuses.push(answer.status);
        }
        assert!(statuses.is_empty(), "{path}: never too many");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_performers_token_is_as_good_as_the_key_to_publish_and_no_lesser_one_is() {
    let server = Server::start().await;
    let lifetime = std::time::Duration::from_secs(60);
    let now = jiff::Timestamp::now().as_second().unsigned_abs();
    let publish = async |space: &str, role: ParticipantRole, now: u64| {
        let claims = Claims::new(space.parse().unwrap(), role, lifetime, now);
        let bearer = format!("Bearer {}", server.tokens.mint(&claims));
        let ask = server.ask("POST", "/whip/locked").body(SDP, offers::OBS);
        ask.header("authorization", &bearer).send().await
    };
    use ParticipantRole::{Moderator, Participant, Performer, Viewer};
    for (space, role) in [
        ("locked", Performer),
        ("locked", Moderator),
        ("*", Performer),
    ] {
        let answer = publish(space, role, now).await;
        assert_eq!(answer.status, 201, "{space} {role:?}: {answer:?}");
    }
    // The first has the stage, the others wait for their media.
    server.expect_sessions(3).await;
    for (space, role, now) in [
        ("locked", Participant, now),
        ("locked", Viewer, now),
        ("other", Moderator, now),
        ("locked", Moderator, now - 3600),
    ] {
        let answer = publish(space, role, now).await;
        answer.check_problem(401, "no token for it that is good now");
    }
}
