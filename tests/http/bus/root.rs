//! `/`: the wire that older clients speak.

use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use super::peer::{Peer, envelope, value};
use crate::server::{OPERATOR_SECRET, Server};

#[tokio::test(flavor = "multi_thread")]
async fn everybody_hears_everything_byte_for_byte_and_the_sender_too() {
    let server = Server::start().await;
    let mut ada = Peer::come(&server, "/").await;
    let mut bob = Peer::come(&server, "/").await;
    let said = [
        Message::text(
            r#"{ "type" : "ANYTHING","channel":"residence", "value": 1.0e2, "x":{"y":[]}}"#,
        ),
        Message::binary(
            r#"{"type":"IMAGE","channel":"residence","userid":"max","value":"data:image/jpeg;base64,AAAA"}"#,
        ),
        Message::text("[object Object]"),
        Message::text(""),
        Message::binary(vec![0, 159, 146, 150]),
        Message::text(r#"{"type":"HEART","channel":"no such name!","value":""}"#),
        Message::text("ž".repeat(30_000)),
    ];
    for message in &said {
        ada.send(message.clone()).await;
    }
    for peer in [&mut ada, &mut bob] {
        for message in &said {
            assert_eq!(&peer.next().await, message);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fragments_are_one_message_and_a_ping_between_them_is_answered() {
    use tokio_tungstenite::tungstenite::protocol::frame::Frame;
    use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
    let server = Server::start().await;
    let mut ada = Peer::come(&server, "/").await;
    let part = |text: &'static str, kind, is_last| {
        Message::Frame(Frame::message(text, OpCode::Data(kind), is_last))
    };
    ada.send(part("{\"type\":", Data::Text, false)).await;
    ada.send(Message::Ping("are you there".into())).await;
    assert_eq!(ada.next().await, Message::Pong("are you there".into()));
    ada.send(part("\"X\"", Data::Continue, false)).await;
    ada.send(part("}", Data::Continue, true)).await;
    assert_eq!(ada.next().await, Message::text("{\"type\":\"X\"}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_joins_gets_the_history_and_everybody_hears_who_is_there() {
    let server = Server::start().await;
    let mut ada = Peer::come(&server, "/").await;
    let chat = envelope("CHAT", "residence", "ada", json!("hello"));
    let like = envelope("LIKE", "residence", "ada", json!("abcdefghijklmnop"));
    ada.say(&chat).await;
    ada.say(&like).await;
    ada.hear("LIKE").await;
    let mut bob = Peer::come(&server, "/").await;
    bob.say(envelope(
        "CHANNEL_JOIN",
        "residence",
        "bob",
        json!({ "userName": "Bob" }),
    ))
    .await;
    for (kind, expected) in [("CHAT_SYNC", &chat), ("LIKE_SYNC", &like)] {
        let sync = bob.hear(kind).await;
        assert_eq!(sync["channel"], "residence");
        assert_eq!(
            sync["value"].to_string(),
            format!(
                "[{}]",
                serde_json::from_str::<serde_json::Value>(expected).unwrap()
            )
        );
    }
    for peer in [&mut ada, &mut bob] {
        let updated = peer.hear("CHANNELS_UPDATED").await;
        let user = &updated["value"]["residence"]["users"]["bob"];
        assert_eq!(user["userName"], "Bob", "{updated}");
        assert_eq!(peer.hear("CHANNEL_JOIN").await["userId"], "bob");
    }
    // Only the joiner gets history.
    ada.say(envelope("HEART", "residence", "ada", json!("")))
        .await;
    ada.hear("HEART").await;
    assert!(
        ada.kept()
            .iter()
            .all(|message| message["type"] != "CHAT_SYNC")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_cut_off_leaves_no_ghost() {
    let server = Server::start().await;
    let mut ada = Peer::come(&server, "/").await;
    let mut bob = Peer::come(&server, "/").await;
    bob.say(envelope("CHANNEL_JOIN", "residence", "bob", json!({})))
        .await;
    ada.hear("CHANNEL_JOIN").await;
    drop(bob);
    let left = ada.hear("CHANNEL_LEAVE").await;
    assert_eq!(
        (&left["channel"], &left["userId"]),
        (&json!("residence"), &json!("bob"))
    );
    let is_empty = |message: &Message| {
        let value = value(message);
        value["type"] == "CHANNELS_UPDATED"
            && value["value"]["residence"]["users"].get("bob").is_none()
    };
    ada.hear_where(is_empty).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_operator_resets_and_updates() {
    let server = Server::start().await;
    let mut ada = Peer::come(&server, "/").await;
    let mut bob = Peer::come(&server, "/").await;
    ada.say(envelope("CHAT", "residence", "ada", json!("stays")))
        .await;
    bob.hear("CHAT").await;
    for kind in ["RESET", "UPDATE"] {
        bob.say(envelope(kind, "", "bob", json!("1"))).await;
        let error = bob.hear("ERROR").await;
        assert_eq!(error["value"]["code"], "forbidden", "{error}");
    }
    let by_header = Peer::try_come(&server, "/", Some(OPERATOR_SECRET))
        .await
        .unwrap();
    let by_query = Peer::come(&server, &format!("/?secret={OPERATOR_SECRET}")).await;
    for mut operator in [by_header, by_query] {
        operator.say(envelope("UPDATE", "", "op", json!("1"))).await;
        ada.hear("UPDATE").await;
        operator.say(envelope("RESET", "", "op", json!(""))).await;
        ada.hear("RESET").await;
    }
    // Nothing is left of what was said.
    bob.say(envelope("CHANNEL_JOIN", "residence", "bob", json!({})))
        .await;
    assert_eq!(bob.hear("CHAT_SYNC").await["value"], json!([]));
    assert!(
        bob.kept()
            .iter()
            .filter(|message| message["type"] == "RESET")
            .count()
            == 2
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_refused_and_what_is_far_too_large_closes() {
    let server = Server::start().await;
    let mut ada = Peer::come(&server, "/").await;
    ada.say(envelope(
        "CHAT",
        "residence",
        "ada",
        json!("x".repeat(70_000)),
    ))
    .await;
    assert_eq!(ada.hear("ERROR").await["value"]["code"], "too_large");
    // A picture may have a megabyte.
    let picture = envelope("IMAGE", "residence", "ada", json!("x".repeat(1_000_000)));
    ada.say(&picture).await;
    assert_eq!(ada.next().await, Message::text(picture));
    ada.say("x".repeat((1 << 20) + 5000)).await;
    assert_eq!(ada.closed().await, 1009);
}
