//! Every row of the elektron wire's table.

use bus::{ClientId, FrameKind, Permissions, Subscription};

use crate::house::{Heard, House, envelope, said};

/// What one client says reaches another and itself, byte for byte.
fn check_relayed(text: &str) {
    let mut house = House::new();
    house.root(1);
    house.root(2);
    house.say(1, text);
    house.pass(100);
    for client in [1, 2] {
        let heard = house.texts(client);
        assert!(
            heard.iter().any(|other| other == text),
            "{client}: {text} is not in {heard:?}"
        );
        assert_eq!(
            heard.iter().filter(|other| *other == text).count(),
            1,
            "{text}"
        );
    }
}

#[test]
fn every_type_is_relayed_untouched() {
    for kind in [
        "CHAT",
        "HEART",
        "LIKE",
        "IMAGE",
        "IMAGE_JOIN",
        "IMAGE_LEAVE",
        "CHANNEL_JOIN",
        "CHANNEL_LEAVE",
        "USER_UPDATE",
        "CHANNEL_USER_UPDATE",
        "ANYTHING",
        "STATS",
        "VIDEO",
        "WHATEVER",
    ] {
        for value in [
            "\"x\"",
            "5",
            "[1,2]",
            "{\"userName\":\"N\"}",
            "{\"userX\":1.50}",
            "null",
        ] {
            check_relayed(&envelope(kind, "residence", "u", value));
        }
    }
}

#[test]
fn odd_texts_are_relayed_untouched() {
    for text in [
        "[object Object]",
        "",
        "{",
        "[]",
        "5",
        " {\"type\" : \"CHAT\" } ",
        "{\"channel\":\"\",\"type\":\"CHAT\"}",
        "{\"channel\":5,\"type\":[],\"userId\":null}",
        "{\"type\":\"X\",\"value\":\"\\ud83d\"}",
        "{\"type\":\"X\",\"value\":1e999}",
        "\u{feff}{\"type\":\"CHAT\"}",
    ] {
        check_relayed(text);
    }
}

#[test]
fn binary_frames_stay_binary() {
    let mut house = House::new();
    house.root(1);
    let text = envelope("ANYTHING", "residence", "u", "1");
    house.say_frame(1, FrameKind::Binary, text.as_bytes());
    house.say_frame(1, FrameKind::Binary, b"\xff\x00\xfe");
    let heard = house.heard(1);
    assert_eq!(heard[0], Heard::Frame(FrameKind::Binary, text.into()));
    assert_eq!(
        heard[1],
        Heard::Frame(FrameKind::Binary, b"\xff\x00\xfe"[..].into())
    );
}

#[test]
fn a_joiner_gets_presence_and_history_at_once_and_nobody_else_the_history() {
    let mut house = House::new();
    house.root(1);
    let chat = envelope("CHAT", "residence", "u", "\"hello\"");
    let like = envelope("LIKE", "residence", "u", "\"abcdefghijklmnop\"");
    house.say(1, &chat);
    house.say(1, &like);
    house.say(1, &envelope("CHAT", "elsewhere", "u", "\"no\""));
    house.root(2);
    house.texts(1);
    house.say(
        2,
        &envelope("CHANNEL_JOIN", "residence", "v", "{\"userName\":\"Vera\"}"),
    );
    let texts = house.texts(2);
    let kinds: Vec<_> = texts.iter().map(|text| kind(text)).collect();
    assert_eq!(
        kinds,
        ["CHANNEL_JOIN", "CHANNELS_UPDATED", "CHAT_SYNC", "LIKE_SYNC"]
    );
    assert!(
        texts[1].ends_with(r#""value":{"residence":{"users":{"v":{"userName":"Vera"}}}}}"#),
        "{}",
        texts[1]
    );
    assert!(texts[2].ends_with(&format!(
        r#""channel":"residence","userId":"","userName":"","value":[{chat}]}}"#
    )));
    assert!(texts[3].ends_with(&format!("\"value\":[{like}]}}")));
    house.pass(100);
    let kinds: Vec<_> = house.texts(1).iter().map(|text| kind(text)).collect();
    assert_eq!(kinds, ["CHANNEL_JOIN", "CHANNELS_UPDATED"]);
}

fn kind(text: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(text).unwrap();
    value["type"].as_str().unwrap().to_owned()
}

#[test]
fn history_is_read_once_and_joiners_meanwhile_wait_for_it() {
    let mut house = House::new();
    house.is_store_prompt = false;
    house.root(1);
    house.root(2);
    house.say(1, &envelope("CHANNEL_JOIN", "r", "u", "{}"));
    house.say(2, &envelope("CHANNEL_JOIN", "r", "v", "{}"));
    assert_eq!(house.loads.len(), 1);
    let chat = envelope("CHAT", "r", "u", "\"meanwhile\"");
    house.say(1, &chat);
    // It is on disk, and the store reads it, before the hub knows.
    let (ticket, message) = house.keeps.pop_front().unwrap();
    house.stored.push(message);
    house.load_next();
    house.drain();
    for client in [1, 2] {
        assert!(
            house.of_type(client, "CHAT_SYNC")[0]["value"]
                .as_array()
                .unwrap()
                .is_empty()
        );
    }
    house.tell(bus::Input::Kept {
        ticket,
        is_stored: true,
    });
    house.drain();
    assert_eq!(house.of_type(1, "CHAT").len(), 1);
    house.root(3);
    house.say(3, &envelope("CHANNEL_JOIN", "r", "w", "{}"));
    assert!(house.loads.is_empty());
    assert_eq!(
        house.of_type(3, "CHAT_SYNC")[0]["value"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn history_is_bounded_to_the_newest() {
    let mut house = House::new();
    house.root(1);
    for number in 0..700 {
        house.say(1, &envelope("CHAT", "r", "u", &number.to_string()));
        house.pass(10);
    }
    house.heard(1);
    house.say(1, &envelope("CHANNEL_JOIN", "r", "u", "{}"));
    let sync = house.of_type(1, "CHAT_SYNC").remove(0);
    let values: Vec<_> = sync["value"]
        .as_array()
        .unwrap()
        .iter()
        .map(|chat| chat["value"].as_u64().unwrap())
        .collect();
    assert_eq!(values, (200..700).collect::<Vec<_>>());
    for number in 0..20 {
        let long = format!("\"{}{number}\"", "x".repeat(60_000));
        house.say(1, &envelope("CHAT", "r", "u", &long));
    }
    house.heard(1);
    house.say(1, &envelope("CHANNEL_JOIN", "r", "u", "{}"));
    let sync = house.of_type(1, "CHAT_SYNC").remove(0);
    assert!(sync.to_string().len() < 600_000);
    assert_eq!(sync["value"].as_array().unwrap().len(), 8);
}

#[test]
fn presence_is_told_at_most_once_in_50_ms() {
    let mut house = House::new();
    house.root(1);
    house.root(2);
    house.say(
        1,
        &envelope("CHANNEL_JOIN", "r", "u", "{\"userName\":\"U\"}"),
    );
    house.pass(100);
    house.heard(2);
    // 1 s of a position every 10 ms.
    for number in 0..100 {
        house.say(
            1,
            &envelope(
                "CHANNEL_USER_UPDATE",
                "r",
                "u",
                &format!("{{\"userX\":{number}}}"),
            ),
        );
        house.pass(10);
    }
    let updates = house.of_type(2, "CHANNELS_UPDATED");
    assert!((18..=21).contains(&updates.len()), "{}", updates.len());
    assert_eq!(
        updates.last().unwrap()["value"]["r"]["users"]["u"]["userX"],
        99
    );
    house.pass(1000);
    assert!(house.of_type(2, "CHANNELS_UPDATED").is_empty());
}

#[test]
fn nobody_speaks_as_the_server() {
    let mut house = House::new();
    house.root(1);
    house.root(2);
    house.space(3, "r", None);
    house.heard(3);
    for kind in [
        "CHANNELS_UPDATED",
        "CHAT_SYNC",
        "LIKE_SYNC",
        "DELETE",
        "ERROR",
    ] {
        house.say(1, &envelope(kind, "r", "u", "[]"));
        assert_eq!(house.errors(1), ["forbidden"], "{kind}");
        house.say(3, &envelope(kind, "r", "u", "[]"));
        assert_eq!(house.of_key(3, "error").len(), 1, "{kind}");
        house.pass(100);
        assert!(house.heard(2).is_empty(), "{kind}");
    }
}

#[test]
fn only_operators_reset_and_reload() {
    for kind in ["RESET", "UPDATE"] {
        let mut house = House::new();
        house.root(1);
        house.root(2);
        house.say(1, &envelope("CHAT", "r", "u", "\"x\""));
        house.say(
            1,
            &envelope("CHANNEL_JOIN", "r", "u", "{\"userName\":\"U\"}"),
        );
        house.pass(100);
        house.heard(1);
        house.heard(2);
        house.say(1, &envelope(kind, "r", "u", "\"1\""));
        assert_eq!(house.errors(1), ["forbidden"]);
        house.pass(100);
        assert!(house.heard(2).is_empty());
        assert_eq!((house.clears, house.stored.len()), (0, 1));
        let operator = Permissions {
            is_operator: true,
            ..Permissions::default()
        };
        house.open(3, Subscription::Everything, operator);
        house.say(3, &envelope(kind, "r", "op", "\"1\""));
        house.pass(100);
        let values = house.values(2);
        assert_eq!(values[0]["type"], kind);
        if kind == "RESET" {
            assert_eq!(house.clears, 1);
            assert_eq!(values[1]["type"], "CHANNELS_UPDATED");
            assert_eq!(values[1]["value"].to_string(), r#"{"r":{"users":{}}}"#);
            house.say(2, &envelope("CHANNEL_JOIN", "r", "u", "{}"));
            assert!(
                house.of_type(2, "CHAT_SYNC")[0]["value"]
                    .as_array()
                    .unwrap()
                    .is_empty()
            );
        }
    }
}

#[test]
fn what_is_said_in_one_turn_is_one_batch() {
    let mut house = House::new();
    for client in 0..100 {
        house.root(client);
    }
    house.batches.clear();
    for client in 0..100 {
        let text = envelope("ANYTHING", "r", "u", &client.to_string());
        house.tell(said(client, FrameKind::Text, text.as_bytes()));
    }
    house.drain();
    assert_eq!(house.batches, [(100, 100)]);
}

#[test]
fn what_is_published_is_heard_but_by_whom_it_is_from() {
    let mut house = House::new();
    house.root(1);
    house.space(2, "r", None);
    house.space(3, "r", None);
    house.heard(2);
    house.tell(bus::Input::Publish {
        bytes: envelope("CUE", "r", "osc", "1").into(),
        media: None,
        except: Some(ClientId(2)),
        answer: Some(7),
    });
    house.drain();
    assert_eq!(house.of_type(1, "CUE").len(), 1);
    assert!(house.of_key(2, "message").is_empty());
    assert_eq!(house.of_key(3, "message").len(), 1);
    assert!(matches!(house.published[..], [(7, Ok(_))]));
    house.tell(bus::Input::Publish {
        bytes: "x".into(),
        media: None,
        except: None,
        answer: Some(8),
    });
    house.drain();
    assert_eq!(house.published[1], (8, Err(bus::Refusal::NotJson)));
}
