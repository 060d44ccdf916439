//! What moderators and operators do.

use bus::{Moderation, Permissions, PositionForm, Settings, Subscription};
use serde_json::json;

use crate::house::{House, START_US, envelope};

fn chat(user: &str, text: &str) -> String {
    envelope("CHAT", "r", user, &format!("\"{text}\""))
}

#[test]
fn a_deleted_message_is_gone_and_everybody_is_told() {
    let mut house = House::new();
    house.root(1);
    house.space(2, "r", None);
    house.say(1, &chat("u", "bad"));
    let seq = house.stored[0].seq;
    house.stored.clear();
    house.heard(1);
    house.heard(2);
    house.moderate(Moderation::Delete {
        channel: "r".into(),
        seq,
        id: Some("abc".into()),
    });
    let told = house.of_type(1, "DELETE");
    assert_eq!(
        (&told[0]["channel"], &told[0]["value"]),
        (&json!("r"), &json!({"seq": seq, "id": "abc"}))
    );
    assert_eq!(
        house.texts(2),
        [format!("{{\"deleted\":{{\"seq\":{seq},\"id\":\"abc\"}}}}")]
    );
    house.say(1, &envelope("CHANNEL_JOIN", "r", "u", "{}"));
    assert!(
        house.of_type(1, "CHAT_SYNC")[0]["value"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    house.space(3, "r", Some(seq - 1));
    assert!(
        house
            .of_key(3, "message")
            .iter()
            .all(|message| message["type"] != "CHAT")
    );
}

#[test]
fn slow_mode_counts_per_user_and_per_connection() {
    let mut house = House::new();
    house.root(1);
    house.root(2);
    house.moderate(Moderation::SlowMode {
        channel: "r".into(),
        pause_ms: 5000,
    });
    house.say(1, &chat("u", "1"));
    house.say(1, &chat("u", "2"));
    assert_eq!(house.errors(1), ["slow_mode"]);
    house.say(1, &chat("other", "3"));
    assert_eq!(house.errors(1), ["slow_mode"]);
    house.say(1, &envelope("CHAT", "s", "u", "\"elsewhere\""));
    house.say(1, &envelope("HEART", "r", "u", "1"));
    house.say(2, &chat("v", "4"));
    assert!(house.errors(1).is_empty());
    house.pass(5000);
    house.say(2, &chat("v", "5"));
    assert!(house.errors(2).is_empty());
    house.moderate(Moderation::SlowMode {
        channel: "r".into(),
        pause_ms: 0,
    });
    house.say(2, &chat("v", "6"));
    assert!(house.errors(2).is_empty());
    let permissions = Permissions {
        is_moderator: true,
        ..Permissions::default()
    };
    let subscription = Subscription::Space {
        space: "r".into(),
        types: vec![],
        since: None,
        positions: PositionForm::None,
    };
    house.moderate(Moderation::SlowMode {
        channel: "r".into(),
        pause_ms: 5000,
    });
    house.open(3, subscription, permissions);
    house.say(3, &chat("m", "7"));
    house.say(3, &chat("m", "8"));
    assert!(house.errors(3).is_empty());
}

#[test]
fn two_channels_in_slow_mode_by_turns_are_no_way_around_it() {
    let mut house = House::new();
    house.root(1);
    for channel in ["r", "s"] {
        house.moderate(Moderation::SlowMode {
            channel: channel.into(),
            pause_ms: 5000,
        });
    }
    let in_s = |user: &str| envelope("CHAT", "s", user, "\"x\"");
    house.say(1, &chat("a", "1"));
    house.say(1, &in_s("b"));
    assert!(house.errors(1).is_empty());
    house.say(1, &chat("c", "2"));
    house.say(1, &in_s("d"));
    assert_eq!(house.errors(1), ["slow_mode", "slow_mode"]);
}

#[test]
fn who_is_banned_changes_nobody_there_from_elsewhere() {
    let mut house = House::new();
    for client in 1..=3 {
        house.root(client);
    }
    house.say(
        1,
        &envelope("CHANNEL_JOIN", "r", "u", r#"{"userName":"U"}"#),
    );
    house.say(
        2,
        &envelope("CHANNEL_JOIN", "r", "v", r#"{"userName":"V"}"#),
    );
    let until_ms = START_US / 1000 + 60_000;
    for (user, address) in [(Some("u"), None), (None, Some("192.0.2.2"))] {
        house.moderate(Moderation::Ban {
            channel: "r".into(),
            user: user.map(Into::into),
            address: address.map(Into::into),
            until_ms,
        });
    }
    let rename = |user: &str, name: &str| {
        let value = format!("{{\"userName\":\"{name}\"}}");
        envelope("USER_UPDATE", "s", user, &value)
    };
    house.say(1, &rename("u", "bad"));
    house.say(2, &rename("v", "worse"));
    house.space(4, "r", None);
    let names = |house: &mut House, client: u32| {
        let users = house.of_key(client, "presence")[0]["users"].clone();
        [
            users["u"]["userName"].clone(),
            users["v"]["userName"].clone(),
        ]
    };
    assert_eq!(names(&mut house, 4), [json!("U"), json!("V")]);
    house.say(3, &rename("v", "W"));
    house.space(5, "r", None);
    assert_eq!(names(&mut house, 5), [json!("U"), json!("W")]);
}

#[test]
fn who_is_banned_is_not_relayed_until_then() {
    let mut house = House::new();
    for client in 1..=3 {
        house.root(client);
    }
    let until_ms = START_US / 1000 + 60_000;
    let ban = |user: Option<&str>, address: Option<&str>, until_ms: u64| Moderation::Ban {
        channel: "r".into(),
        user: user.map(Into::into),
        address: address.map(Into::into),
        until_ms,
    };
    house.moderate(ban(Some("u"), None, until_ms));
    house.moderate(ban(None, Some("192.0.2.2"), until_ms));
    house.say(1, &chat("u", "1"));
    house.say(2, &chat("v", "2"));
    house.say(2, &envelope("IMAGE", "r", "w", "\"data:\""));
    assert_eq!(house.errors(1), ["banned"]);
    assert_eq!(house.errors(2), ["banned", "banned"]);
    assert!(house.heard(3).is_empty());
    house.say(1, &envelope("CHAT", "s", "u", "\"elsewhere\""));
    house.say(1, &chat("x", "3"));
    assert!(house.errors(1).is_empty());
    house.moderate(ban(None, Some("192.0.2.2"), 0));
    house.say(2, &chat("v", "4"));
    assert!(house.errors(2).is_empty());
    house.pass(60_001);
    house.say(1, &chat("u", "5"));
    assert!(house.errors(1).is_empty());
}

#[test]
fn banned_people_do_not_move_either() {
    let mut house = House::new();
    house.space(1, "r", None);
    house.moderate(Moderation::Ban {
        channel: "r".into(),
        user: Some("u".into()),
        address: None,
        until_ms: u64::MAX,
    });
    house.move_to(1, "u", [1.0; 6]);
    house.pass(100);
    assert!(house.of_key(1, "positions").is_empty());
}

#[test]
fn words_are_filtered_in_chat_only() {
    let mut house = House::with(Settings {
        words: vec!["dumb".into()],
        ..Settings::default()
    });
    house.root(1);
    house.say(1, &chat("u", "how \\u0044UMB!"));
    assert_eq!(house.errors(1), ["word"]);
    let named = r#"{"type":"CHAT","channel":"r","userName":"dumb","value":"x"}"#;
    house.say(1, named);
    assert_eq!(house.errors(1), ["word"]);
    house.say(1, &chat("u", "dumbo"));
    house.say(1, &envelope("X", "r", "u", "\"dumb\""));
    assert!(house.errors(1).is_empty());
}

#[test]
fn a_reset_over_http_wipes_and_tells() {
    let mut house = House::new();
    house.root(1);
    house.space(2, "r", None);
    house.say(
        1,
        &envelope("CHANNEL_JOIN", "r", "u", "{\"userName\":\"U\"}"),
    );
    house.say(1, &chat("u", "x"));
    house.pass(500);
    house.heard(1);
    house.heard(2);
    house.moderate(Moderation::Reset);
    house.pass(500);
    let kinds: Vec<_> = house
        .values(1)
        .iter()
        .map(|value| value["type"].clone())
        .collect();
    assert_eq!(kinds, ["RESET", "CHANNELS_UPDATED"]);
    let heard = house.values(2);
    assert!(heard.iter().any(|value| value.get("cleared").is_some()));
    assert!(heard.contains(&json!({"presence": {"users": {}}})));
}
