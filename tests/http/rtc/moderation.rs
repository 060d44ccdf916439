//! What moderators do, and what becomes of a feed that is made a stream.

use serde_json::{Value, json};

use super::door::token;
use super::meeting::Two;
use super::person::{Person, join};
use super::phone::wait;
use crate::offers;
use crate::server::Server;

/// A moderator without media.
async fn moderator(server: &Server) -> Person {
    let mut join = join("Mod");
    join["token"] = json!(token(server, "demo", "moderator", 600).await);
    let (person, is) = Person::join_with(server, "demo", join).await;
    assert_eq!(is.all["role"], "moderator");
    person
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moderator_mutes_unpublishes_and_removes() {
    let server = Server::start().await;
    let mut two = Two::meet(&server).await;
    let mut moderator = moderator(&server).await;
    let act = |action: &str, more: Value| {
        let mut message = json!({ "type": "moderate", "action": action, "id": two.ada_is.id });
        let more = more.as_object().unwrap().clone();
        message.as_object_mut().unwrap().extend(more);
        message
    };
    moderator
        .say(act("mute", json!({ "source": "camera", "audio": true })))
        .await;
    assert_eq!(two.ada.hear("muted").await["audio"], true);
    two.bob_phone.rests(&[&two.audio]).await;
    two.bob_phone.receives(&two.video, 5).await;

    moderator
        .say(act("unpublish", json!({ "source": "camera" })))
        .await;
    two.ada.hear("unpublished").await;
    two.bob_phone.rests(&[&two.video]).await;

    moderator.say(act("remove", json!({}))).await;
    assert_eq!(two.ada.closed().await, 4003);
    two.bob
        .hear_where("left", |left| left["reason"] == "removed")
        .await;
    wait("one participant", || server.participants() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_space_lets_nobody_in() {
    let server = Server::start().await;
    let mut moderator = moderator(&server).await;
    moderator
        .say(json!({ "type": "moderate", "action": "lock", "on": true }))
        .await;
    moderator
        .hear_where("space", |message| message["space"]["locked"] == true)
        .await;
    let mut eve = Person::connect(&server, "demo").await;
    eve.say(join("Eve")).await;
    assert_eq!(eve.hear("error").await["code"], "locked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_that_is_made_a_stream_is_viewed_with_whep_and_cannot_be_taken() {
    let server = Server::start().await;
    let mut two = Two::meet(&server).await;
    let mut moderator = moderator(&server).await;
    let name = |stream: Value| json!({ "type": "moderate", "action": "stream", "id": two.ada_is.id, "source": "camera", "stream": stream });
    let streams = async || {
        let answer = server.get("/api/spaces/demo").await;
        let report: Value = serde_json::from_str(&answer.body).unwrap();
        report["streams"].clone()
    };
    assert_eq!(streams().await, json!([]));

    moderator.say(name(json!("guest"))).await;
    let named = |ada: &Value| ada["feeds"][0]["stream"] == "guest";
    two.bob.hear_of("updated", &two.ada_is.id, named).await;
    let shown = streams().await;
    assert_eq!(
        (&shown[0]["name"], &shown[0]["live"]),
        (&json!("guest"), &json!(true))
    );
    server
        .begin("/whep/demo/guest", offers::CHROMIUM_RECEIVE)
        .await;
    assert_eq!(streams().await[0]["viewers"], 1);
    let taken = server.post("/whip/demo/guest", offers::CHROMIUM_SEND).await;
    taken.check_problem(409, "somebody else");

    // Without the name the viewers are sent away, and the conference goes on.
    moderator.say(name(Value::Null)).await;
    let unnamed = |ada: &Value| ada["feeds"][0]["stream"].is_null();
    two.bob.forget();
    two.bob.hear_of("updated", &two.ada_is.id, unnamed).await;
    server.expect_no_sessions().await;
    assert_eq!(streams().await, json!([]));
    two.bob_phone.receives(&two.video, 5).await;

    // And a name that a performer has is refused.
    server
        .begin("/whip/demo/guest", offers::CHROMIUM_SEND)
        .await;
    moderator.say(name(json!("guest"))).await;
    assert_eq!(moderator.hear("error").await["code"], "conflict");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_of_a_feed_is_free_when_its_participant_leaves() {
    let server = Server::start().await;
    let mut two = Two::meet(&server).await;
    let mut moderator = moderator(&server).await;
    moderator
        .say(json!({ "type": "moderate", "action": "stream", "id": two.ada_is.id, "source": "camera", "stream": "main" }))
        .await;
    let key = proscenium::media::StreamKey {
        space: "demo".into(),
        stream: "main".into(),
    };
    wait("a live stream", || server.media.directory().is_live(&key)).await;
    two.ada.say(json!({ "type": "leave" })).await;
    assert_eq!(two.ada.closed().await, 1000);
    wait("a free name", || !server.media.directory().is_live(&key)).await;
    server.begin("/whip/demo", offers::CHROMIUM_SEND).await;
}
