//! `/ws/{space}`: one space, in the form that new clients get.

use futures_util::future::join_all;
use std::time::Duration;

use conference::ParticipantRole;
use proscenium::tokens::{Claims, Scope};
use serde_json::{Value, json};

use super::peer::{Peer, envelope};
use crate::server::{OPERATOR_SECRET, Server};

async fn with_a_private_space() -> Server {
    Server::start_with(|config| {
        config.spaces.push(proscenium::config::SpaceConfig {
            name: "backstage".into(),
            key: None,
            private: true,
            whep_slate: false,
            streams: Vec::new(),
        });
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_heard_in_both_forms_wherever_it_is_said() {
    let server = Server::start().await;
    let mut old = Peer::come(&server, "/").await;
    let mut new = Peer::come(&server, "/ws/stage").await;
    let welcome = new.hear_frame("welcome").await;
    assert_eq!(welcome["welcome"]["space"], "stage");

    let said = r#"{"type":"ANYTHING", "channel":"stage","value":1.50}"#;
    old.say(said).await;
    let heard = new
        .hear_where(|message| {
            message
                .to_text()
                .is_ok_and(|text| text.starts_with("{\"message\":"))
        })
        .await;
    let heard = heard.to_text().unwrap().to_owned();
    assert!(
        heard.starts_with(&format!("{{\"message\":{said},\"seq\":")),
        "{heard}"
    );
    let seq = serde_json::from_str::<Value>(&heard).unwrap()["seq"]
        .as_u64()
        .unwrap();
    assert!(seq > welcome["welcome"]["seq"].as_u64().unwrap());

    new.say(r#"{"type":"CUE","value":[1]}"#).await;
    let with_channel = old.hear("CUE").await;
    assert_eq!(with_channel["channel"], "stage");
    assert_eq!(new.hear_frame("message").await["message"]["type"], "CUE");

    // Another space's client hears neither.
    let mut other = Peer::come(&server, "/ws/foyer").await;
    old.say(said).await;
    other.say(r#"{"type":"MARK","value":0}"#).await;
    assert_eq!(other.hear_frame("message").await["message"]["type"], "MARK");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_may_choose_its_types() {
    let server = Server::start().await;
    let mut some = Peer::come(&server, "/ws/stage?types=CHAT,LIKE").await;
    some.hear_frame("welcome").await;
    for kind in ["HEART", "CHAT", "IMAGE", "LIKE"] {
        some.say(envelope(kind, "stage", "ada", json!("x"))).await;
    }
    for kind in ["CHAT", "LIKE"] {
        assert_eq!(some.hear_frame("message").await["message"]["type"], kind);
    }
    let kept = some.kept();
    assert!(
        kept.iter().all(|frame| frame.get("message").is_none()),
        "{kept:?}"
    );
    // Who comes again, too.
    let mut again = Peer::come(&server, "/ws/stage?types=LIKE&since=1").await;
    let first = again.hear_frame("message").await;
    assert_eq!(first["message"]["type"], "LIKE", "{first}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_again_hears_what_it_missed_once() {
    let server = Server::start().await;
    let mut ada = Peer::come(&server, "/ws/stage").await;
    ada.hear_frame("welcome").await;
    let mut bob = Peer::come(&server, "/ws/stage").await;
    ada.say(envelope("CHAT", "stage", "ada", json!(0))).await;
    let since = bob.hear_frame("message").await["seq"].as_u64().unwrap();
    bob.leave().await;
    for number in 1..20 {
        let kind = if number % 3 == 0 { "CHAT" } else { "HEART" };
        ada.say(envelope(kind, "stage", "ada", json!(number))).await;
    }
    for _ in 0..20 {
        ada.hear_frame("message").await;
    }
    let mut bob = Peer::come(&server, &format!("/ws/stage?since={since}")).await;
    let welcome = bob.hear_frame("welcome").await;
    assert_eq!(welcome["welcome"]["missed"], false, "{welcome}");
    ada.say(envelope("CHAT", "stage", "ada", json!(20))).await;
    for number in 1..=20 {
        let frame = bob.hear_frame("message").await;
        assert_eq!(frame["message"]["value"], number, "{frame}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_private_is_neither_heard_nor_said_on_the_root() {
    let server = with_a_private_space().await;
    let mut old = Peer::come(&server, "/").await;
    let mut new = Peer::try_come(&server, "/ws/backstage", Some(OPERATOR_SECRET))
        .await
        .unwrap();
    new.hear_frame("welcome").await;
    new.say(envelope(
        "CHANNEL_JOIN",
        "backstage",
        "eve",
        json!({ "userName": "Eve" }),
    ))
    .await;
    new.say(envelope("CHAT", "backstage", "eve", json!("hush")))
        .await;
    new.hear_frame("message").await;
    old.say(envelope("CHAT", "backstage", "ada", json!("let me in")))
        .await;
    assert_eq!(old.hear("ERROR").await["value"]["code"], "private");
    // Joining brings presence and history, and none of the private ones.
    old.say(envelope("CHANNEL_JOIN", "foyer", "ada", json!({})))
        .await;
    let updated = old.hear("CHANNELS_UPDATED").await;
    assert!(updated["value"].get("backstage").is_none(), "{updated}");
    let of_private =
        |message: &Value| message["channel"] == "backstage" && message["type"] != "ERROR";
    assert!(!old.kept().iter().any(of_private), "{:?}", old.kept());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_space_wants_a_token_before_the_handshake() {
    let server = with_a_private_space().await;
    let come =
        async |path: &str, bearer: Option<&str>| Peer::try_come(&server, path, bearer).await.err();
    let token = |space: &str, role| {
        let now = proscenium::clock::unix_seconds().unsigned_abs();
        let scope = Scope::Space(space.parse().unwrap());
        let claims = Claims::new(scope, role, Duration::from_secs(60), now);
        server.tokens.mint(&claims)
    };
    assert_eq!(come("/ws/backstage", None).await, Some(401));
    assert_eq!(come("/ws/backstage?token=nonsense", None).await, Some(401));
    let other = token("stage", ParticipantRole::Moderator);
    assert_eq!(
        come(&format!("/ws/backstage?token={other}"), None).await,
        Some(401)
    );
    let good = token("backstage", ParticipantRole::Viewer);
    assert_eq!(
        come(&format!("/ws/backstage?token={good}"), None).await,
        None
    );
    assert_eq!(come("/ws/backstage", Some(&good)).await, None);
    assert_eq!(
        come(&format!("/ws/backstage?token={OPERATOR_SECRET}"), None).await,
        None
    );
    // What everybody may hear needs none, and is not closed by a stale one.
    assert_eq!(come("/ws/stage?token=nonsense", None).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_comes_with_the_next_tick_and_at_once_to_who_comes_late() {
    let server = Server::start().await;
    let mut ada = Peer::come(&server, "/ws/stage").await;
    ada.say(envelope(
        "POSITION",
        "stage",
        "ada",
        json!([1, 2, 3, 0, 0.5, 0]),
    ))
    .await;
    let moved = ada.hear_frame("positions").await;
    assert_eq!(
        moved["positions"]["ada"],
        json!([1, 2, 3, 0, 0.5, 0]),
        "{moved}"
    );
    let mut late = Peer::come(&server, "/ws/stage").await;
    let whole = late.hear_frame("positions").await;
    assert_eq!(whole["positions"]["ada"], moved["positions"]["ada"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_the_secret_at_a_space_has_a_limit_and_tokens_do_not_count() {
    let server = Server::start().await;
    let scope = Scope::Space("stage".parse().unwrap());
    let now = proscenium::clock::unix_seconds().unsigned_abs();
    let lifetime = Duration::from_secs(60);
    let claims = Claims::new(scope, ParticipantRole::Viewer, lifetime, now);
    let token = server.tokens.mint(&claims);
    let mut status = None;
    for _ in 0..2000 {
        let come = Peer::try_come(&server, "/ws/stage?token=guess", None);
        status = come.await.err();
        if status.is_some() {
            break;
        }
    }
    assert_eq!(status, Some(429));
    let right = format!("/ws/stage?token={OPERATOR_SECRET}");
    let rights = (0..64).map(|_| Peer::try_come(&server, &right, None));
    let rights = join_all(rights).await;
    assert!(rights.into_iter().any(|right| right.err() == Some(429)));
    let holder = format!("/ws/stage?token={token}");
    assert!(Peer::try_come(&server, &holder, None).await.is_ok());
}
