//! Who stays although something breaks, and who does not come twice.

use serde_json::{Value, json};

use super::meeting::{Two, publish, slots};
use super::person::{Person, join};
use super::phone::{Phone, wait};
use crate::server::Server;

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_websocket_does_not_stop_media() {
    let server = Server::start().await;
    let two = Two::meet(&server).await;
    let resume = two.ada_is.resume.clone();
    two.ada.hang_up().await;
    two.bob_phone.receives(&two.video, 25).await;
    two.bob_phone.receives(&two.audio, 25).await;

    let mut again = join("Ada");
    again["resume"] = json!(resume);
    let (_ada, back) = Person::join_with(&server, "demo", again).await;
    assert_eq!(back.id, two.ada_is.id);
    assert_eq!(back.all["media"], "kept");
    two.bob_phone.receives(&two.video, 10).await;
    assert!(!two.bob.has_heard("left"), "nobody left");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_loaded_again_replaces_its_old_self() {
    let server = Server::start().await;
    let mut two = Two::meet(&server).await;
    let phone = Phone::new();
    let (mut new, new_is) = Person::call(&server, "demo", "Ada", &phone).await;
    assert_eq!(new_is.id, two.ada_is.id);
    assert_eq!(new_is.all["media"], "new");
    assert_eq!(two.ada.closed().await, 4001);
    phone.connected().await;
    two.bob.forget();
    publish(&mut new, &phone).await;
    let (_, video) = slots(&mut two.bob, &new_is.id).await;
    two.bob_phone.receives(&video, 10).await;
    assert!(!two.bob.has_heard("left") && !two.bob.has_heard("joined"));
    // The old connection is gone from the media threads, too.
    wait("two participants", || server.participants() == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_leaves_is_gone_from_media_and_from_sight() {
    let server = Server::start().await;
    let mut two = Two::meet(&server).await;
    two.ada.say(json!({ "type": "leave" })).await;
    assert_eq!(two.ada.closed().await, 1000);
    two.bob
        .hear_where("left", |left| left["id"] == two.ada_is.id)
        .await;
    let is_empty = |message: &Value| message["slots"].as_array().unwrap().is_empty();
    two.bob.hear_where("slots", is_empty).await;
    wait("one participant", || server.participants() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_connection_that_never_was_is_replaced_on_the_same_websocket() {
    let server = Server::start().await;
    let (mut ada, _) = Person::join(&server, "demo", "Ada").await;
    let phone = Phone::new();
    ada.say(json!({ "type": "offer", "id": 1, "sdp": phone.offer() }))
        .await;
    let answer = ada.hear("answer").await;
    assert_eq!(answer["id"], 1);
    phone.take_answer(answer["sdp"].as_str().unwrap());
    phone.connected().await;
    // And once more, from a new PeerConnection.
    let second = Phone::new();
    ada.say(json!({ "type": "offer", "id": 2, "sdp": second.offer(), "fresh": true }))
        .await;
    let answer = ada.hear("answer").await;
    assert_eq!(answer["id"], 2);
    second.take_answer(answer["sdp"].as_str().unwrap());
    second.connected().await;
    wait("one participant", || server.participants() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_server_is_said_to_sockets_and_connections() {
    let server = Server::start().await;
    let mut two = Two::meet(&server).await;
    server.shutdown.begin();
    assert_eq!(two.ada.closed().await, 1001);
    assert_eq!(two.bob.closed().await, 1001);
    let patience = std::time::Duration::from_secs(5);
    server.media.drain(patience).await;
    two.ada_phone.ends().await;
    two.bob_phone.ends().await;
    drop((two.ada, two.bob));
    assert!(server.conferences.drained(patience).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoevers_connection_ends_is_asked_for_a_new_one_and_goes_on_with_it() {
    let server = Server::start().await;
    let mut two = Two::meet(&server).await;
    two.ada_phone.hang_up();
    two.ada.hear("restart").await;
    let without_feeds = |ada: &Value| ada["feeds"].as_array().unwrap().is_empty();
    two.bob.forget();
    two.bob
        .hear_of("updated", &two.ada_is.id, without_feeds)
        .await;
    let phone = Phone::new();
    two.ada
        .say(json!({ "type": "offer", "id": 1, "sdp": phone.offer() }))
        .await;
    let answer = two.ada.hear("answer").await;
    phone.take_answer(answer["sdp"].as_str().unwrap());
    phone.connected().await;
    publish(&mut two.ada, &phone).await;
    two.bob.forget();
    let (_, video) = slots(&mut two.bob, &two.ada_is.id).await;
    two.bob_phone.receives(&video, 5).await;
    assert!(!two.bob.has_heard("left"));
}
