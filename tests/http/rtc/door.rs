//! Who comes in, who does not, and who is shown the door.

use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use super::meeting::Two;
use super::person::{Person, join};
use super::phone::{Phone, wait};
use crate::client::raw;
use crate::server::Server;

#[tokio::test(flavor = "multi_thread")]
async fn two_who_join_are_told_of_one_another() {
    let server = Server::start().await;
    let (mut ada, ada_is) = Person::join(&server, "demo", "Ada").await;
    assert_eq!(ada_is.all["space"]["name"], "demo");
    assert_eq!(ada_is.all["role"], "participant");
    assert_eq!(ada_is.all["participants"].as_array().unwrap().len(), 1);
    let (bob, bob_is) = Person::join(&server, "demo", "Bob").await;
    assert_eq!(bob_is.all["participants"].as_array().unwrap().len(), 2);
    let joined = ada.hear_of("joined", &bob_is.id, |_| true).await;
    assert_eq!(joined["name"], "Bob");
    let metrics = server.get("/metrics").await.body;
    for line in [
        "proscenium_conferences 1",
        "proscenium_conference_connections 2",
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "{line}: {metrics}"
        );
    }

    let (_, elsewhere) = Person::join(&server, "foyer", "Eve").await;
    assert_eq!(elsewhere.all["participants"].as_array().unwrap().len(), 1);

    let mut bob = bob;
    bob.say(json!({ "type": "leave" })).await;
    assert_eq!(bob.closed().await, 1000);
    let left = ada.hear("left").await;
    assert_eq!(
        (&left["id"], &left["reason"]),
        (&json!(bob_is.id), &json!("left"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_space_that_everybody_left_is_forgotten() {
    let server = Server::start().await;
    let (mut ada, _) = Person::join(&server, "demo", "Ada").await;
    ada.say(json!({ "type": "leave" })).await;
    assert_eq!(ada.closed().await, 1000);
    drop(ada);
    let counters = server.conferences.counters();
    wait("an empty venue", || {
        (counters.spaces(), counters.connections()) == (0, 0)
    })
    .await;
    // And can be made again.
    Person::join(&server, "demo", "Ada").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_websockets_to_spaces_are_taken() {
    let server = Server::start().await;
    let answer = server.get("/rtc/demo").await;
    answer.check_problem(426, "WebSocket");
    assert_eq!(answer.header("upgrade"), "websocket");
    server.get("/rtc/no%20space").await.check_problem(400, "");
    let posted = server.ask("POST", "/rtc/demo").send().await;
    assert_eq!(posted.status, 405);
    assert_eq!(Person::try_connect(&server, "whip").await.err(), Some(404));
    assert_eq!(Person::try_connect(&server, "a@b").await.err(), Some(400));
    // Another page's script may connect.
    let request = format!(
        "GET /rtc/demo HTTP/1.1\r\nHost: {}\r\nOrigin: https://elsewhere.example\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        server.address
    );
    let patience = std::time::Duration::from_millis(500);
    let answer = raw(server.address, request.as_bytes(), patience).await;
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_space_with_a_key_wants_it_or_a_token() {
    let server = Server::start().await;
    let check = async |token: Option<&str>, expected: &str| {
        let mut person = Person::connect(&server, "locked").await;
        let mut join = join("Ada");
        if let Some(token) = token {
            join["token"] = json!(token);
        }
        person.say(join).await;
        if expected.starts_with("token") {
            assert_eq!(person.hear("error").await["code"], expected);
            assert_eq!(person.closed().await, 4004);
        } else {
            assert_eq!(person.hear("welcome").await["role"], expected);
        }
    };
    check(None, "token_missing").await;
    check(Some("sesame-open"), "token_invalid").await;
    check(Some("open-sesame"), "performer").await;
    check(
        Some(&token(&server, "locked", "viewer", 60).await),
        "viewer",
    )
    .await;
    check(
        Some(&token(&server, "demo", "viewer", 60).await),
        "token_space",
    )
    .await;
}

/// A token as an operator gets it.
pub(crate) async fn token(server: &Server, space: &str, role: &str, seconds: u64) -> String {
    let bearer = format!("Bearer {}", crate::server::OPERATOR_SECRET);
    let body = json!({ "space": space, "role": role, "expires_in": seconds }).to_string();
    let request = server.ask("POST", "/api/token");
    let request = request.header("authorization", &bearer);
    let answer = request.body("application/json", body).send().await;
    let made: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    made["token"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_is_answered_and_harms_nobody() {
    let server = Server::start().await;
    let (mut ada, _) = Person::join(&server, "demo", "Ada").await;
    for (nonsense, code) in [
        ("{", "malformed"),
        ("[]", "malformed"),
        (r#"{"type":"dance"}"#, "unknown_type"),
        (r#"{"type":"rename"}"#, "malformed"),
        (r#"{"type":"rename","name":""}"#, "name"),
        (
            r#"{"type":"moderate","action":"lock","on":true}"#,
            "forbidden",
        ),
    ] {
        ada.say_raw(nonsense).await;
        assert_eq!(ada.hear("error").await["code"], code, "{nonsense}");
    }
    ada.say(json!({ "type": "offer", "id": 1, "sdp": "v=0\r\n" }))
        .await;
    let error = ada.hear("error").await;
    assert_eq!(
        (&error["request"], &error["id"]),
        (&json!("offer"), &json!(1))
    );
    ada.say(json!({ "type": "hand", "raised": true })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_long_or_no_text_ends_the_connection() {
    let server = Server::start().await;
    let (mut ada, _) = Person::join(&server, "demo", "Ada").await;
    ada.say_raw(format!(
        r#"{{"type":"rename","name":"{}"}}"#,
        "x".repeat(20_000)
    ))
    .await;
    assert_eq!(ada.hear("error").await["code"], "too_large");
    ada.send(Message::text("x".repeat(600_000))).await;
    assert_eq!(ada.closed().await, 1009);

    let (mut bob, _) = Person::join(&server, "demo", "Bob").await;
    bob.send(Message::binary(vec![1, 2, 3])).await;
    assert_eq!(bob.closed().await, 1003);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_too_many_is_told_that_it_is_full() {
    let server = Server::start_with(|config| config.limits.space_participants_max = 2).await;
    let (_ada, _) = Person::join(&server, "demo", "Ada").await;
    let (mut bob, _) = Person::join(&server, "demo", "Bob").await;
    let mut eve = Person::connect(&server, "demo").await;
    eve.say(join("Eve")).await;
    let error = eve.hear("error").await;
    assert_eq!(error["code"], "full");
    assert!(error["retry_after"].as_u64().unwrap() > 0, "{error}");
    assert_eq!(eve.closed().await, 1013);
    bob.say(json!({ "type": "leave" })).await;
    assert_eq!(bob.closed().await, 1000);
    Person::join(&server, "demo", "Eve").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_venue_that_is_full_or_closing_refuses_before_the_upgrade() {
    let server = Server::start().await;
    let mut people = Vec::new();
    let refused = loop {
        match Person::try_connect(&server, "demo").await {
            Ok(person) => people.push(person),
            Err(status) => break status,
        }
    };
    assert_eq!(
        (refused, people.len()),
        (503, 2 * crate::server::PARTICIPANTS_MAX)
    );
    assert_eq!(server.conferences.counters().refused(), 1);
    drop(people);
    let counters = server.conferences.counters();
    wait("room", || counters.connections() == 0).await;

    let (mut ada, _) = Person::join(&server, "demo", "Ada").await;
    server.shutdown.begin();
    assert_eq!(ada.closed().await, 1001);
    drop(ada);
    assert_eq!(Person::try_connect(&server, "demo").await.err(), Some(503));
    let patience = std::time::Duration::from_secs(5);
    assert!(server.conferences.drained(patience).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_is_closed_with_1013_and_delays_nobody() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    // What the system holds back for a client counts, too.
    socket.set_send_buffer_size(4096).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let server = Server::start_on(socket.listen(64).unwrap(), |_| {});
    let mut two = Two::meet(&server).await;

    let phone = Phone::new();
    let mut slow = Person::connect_narrowly(&server, "demo").await;
    let mut joining = join("Slow");
    joining["sdp"] = json!(phone.offer());
    slow.say(joining).await;
    let counters = server.conferences.counters();
    // Each answer is some 20 kB.
    let mut id = 0;
    while counters.slow() == 0 && id < 100 {
        id += 1;
        let offer = json!({ "type": "offer", "id": id, "sdp": phone.offer() });
        if !slow.send(Message::text(offer.to_string())).await {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    wait("an overflow", || counters.slow() == 1).await;
    assert_eq!(slow.closed().await, 1013);
    two.ada.say(json!({ "type": "hand", "raised": true })).await;
    let raised = |ada: &serde_json::Value| !ada["hand"].is_null();
    two.bob.hear_of("updated", &two.ada_is.id, raised).await;
    two.bob_phone.receives(&two.video, 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_school_behind_one_address_comes_in_but_a_flood_is_slowed_down() {
    let server = Server::start().await;
    let mut answers = Vec::new();
    let mut people = Vec::new();
    while answers.last() != Some(&429) && answers.len() < 2000 {
        match Person::try_connect(&server, "demo").await {
            // The venue of this test is small: the last ones stay, and fill it.
            Ok(person) => people.push(person),
            Err(status) => answers.push(status),
        }
    }
    assert!(answers.len() > 500, "{} came", answers.len());
    assert_eq!(answers.last(), Some(&429));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_who_come_at_once_are_all_welcome_and_know_one_another() {
    const PEOPLE: usize = 200;
    let server = Server::start_with(|config| config.limits.participants_max = PEOPLE).await;
    let arrivals = (0..PEOPLE).map(|number| {
        let server = &server;
        async move {
            Person::join(server, "demo", &format!("Person-{number}"))
                .await
                .0
        }
    });
    let mut people = futures_util::future::join_all(arrivals).await;
    // Whoever raises a hand now is seen by the first and by the last.
    people[PEOPLE / 2]
        .say(json!({ "type": "hand", "raised": true }))
        .await;
    let raised = |message: &serde_json::Value| {
        let one = message["participant"].clone();
        // So soon after the arrival, both may be told in one.
        let many = |list: &str| message[list].as_array().cloned().unwrap_or_default();
        many("updated")
            .into_iter()
            .chain(many("joined"))
            .chain([one])
            .any(|participant| participant["hand"].is_string())
    };
    for at in [0, PEOPLE - 1] {
        people[at]
            .hear_where_any(&["updated", "participants"], raised)
            .await;
    }
    assert_eq!(server.conferences.counters().slow(), 0);
}
