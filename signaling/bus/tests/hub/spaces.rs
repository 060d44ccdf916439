//! Clients of one space.

use std::collections::BTreeSet;
use std::sync::Arc;

use bus::{
    ClientId, FrameKind, Input, MediaMoment, Message, Permissions, Policy, PositionForm, Settings,
    Subscription,
};

use crate::house::{House, START_US, envelope};

#[test]
fn a_space_hears_only_itself_and_the_root_hears_all() {
    let mut house = House::new();
    house.root(1);
    house.space(2, "r", None);
    house.space(3, "s", None);
    house.heard(2);
    let here = envelope("ANYTHING", "r", "u", "1");
    house.say(1, &here);
    house.say(3, &envelope("ANYTHING", "s", "u", "2"));
    assert_eq!(
        house.texts(2),
        [format!("{{\"message\":{here},\"seq\":{}}}", START_US + 1)]
    );
    assert_eq!(house.of_type(1, "ANYTHING").len(), 2);
}

#[test]
fn the_first_thing_is_a_welcome() {
    let mut house = House::new();
    house.space(1, "r\u{e4}", None);
    assert_eq!(
        house.texts(1),
        [
            format!(
                "{{\"welcome\":{{\"space\":\"r\u{e4}\",\"seq\":{START_US},\"missed\":false,\"tick_hz\":20}}}}"
            ),
            "{\"presence\":{\"users\":{}}}".to_owned()
        ]
    );
}

#[test]
fn an_implied_channel_is_added_and_another_one_refused() {
    let mut house = House::new();
    house.root(1);
    house.space(2, "r", None);
    house.say(2, "{\"type\":\"X\"}");
    house.say(2, "{\"type\":\"X\",\"channel\":\"r\"}");
    house.say(2, "{\"type\":\"X\",\"channel\":\"s\",\"id\":\"i\"}");
    house.say(2, "{\"type\":\"X\",\"channel\":null}");
    assert_eq!(
        house.texts(1),
        [
            "{\"channel\":\"r\",\"type\":\"X\"}",
            "{\"type\":\"X\",\"channel\":\"r\"}"
        ]
    );
    let errors = house.of_key(2, "error");
    assert_eq!(errors.len(), 2);
    assert_eq!(
        (&errors[0]["code"], &errors[0]["id"]),
        (&"forbidden".into(), &"i".into())
    );
}

#[test]
fn new_clients_speak_json_objects() {
    let mut house = House::new();
    house.space(1, "r", None);
    for text in ["x", "5", "[]", "{", ""] {
        house.say(1, text);
        assert_eq!(house.errors(1), ["not_json"], "{text}");
    }
}

#[test]
fn binary_json_reaches_spaces_as_text() {
    let mut house = House::new();
    house.root(1);
    house.space(2, "r", None);
    house.say_frame(
        1,
        FrameKind::Binary,
        envelope("X", "r", "u", "1").as_bytes(),
    );
    assert_eq!(house.of_key(2, "message").len(), 1);
}

#[test]
fn the_moment_of_the_picture_is_beside_the_message() {
    let mut house = House::new();
    house.root(1);
    house.space(2, "r", None);
    house.heard(2);
    let text = envelope("CUE", "r", "u", "1");
    house.tell(Input::Said {
        client: ClientId(1),
        frame: FrameKind::Text,
        bytes: text.clone().into(),
        media: Some(MediaMoment {
            stream: "main".into(),
            life: "l1".into(),
            time_ms: 5,
        }),
    });
    house.drain();
    let expected = format!(
        "{{\"message\":{text},\"seq\":{},\"media\":{{\"stream\":\"main\",\"life\":\"l1\",\"time_ms\":5}}}}",
        START_US + 1
    );
    assert_eq!(house.texts(2), [expected]);
    assert_eq!(house.texts(1), [text]);
}

#[test]
fn what_is_no_json_is_wrapped_as_text() {
    let message = Message {
        seq: 5,
        channel: "".into(),
        kind: "".into(),
        id: None,
        user: None,
        frame: FrameKind::Text,
        raw: "[object \"Object]".into(),
        media: None,
        is_kept: false,
        policy: Policy::Everything,
    };
    assert_eq!(
        message.wrapped(),
        "{\"text\":\"[object \\\"Object]\",\"seq\":5}"
    );
    let types: [Arc<str>; 1] = ["CHAT".into()];
    assert!(!message.is_wanted(&types) && message.is_wanted(&[]));
}

#[test]
fn a_private_space_is_neither_heard_nor_spoken_to_from_the_root() {
    let settings = Settings {
        private: BTreeSet::from(["secret".into()]),
        ..Settings::default()
    };
    let mut house = House::with(settings);
    house.root(1);
    house.space(2, "secret", None);
    house.space(3, "secret", None);
    house.say(2, &envelope("CHAT", "secret", "u", "\"x\""));
    house.say(
        2,
        &envelope("CHANNEL_JOIN", "secret", "u", "{\"userName\":\"U\"}"),
    );
    house.say(
        2,
        &envelope("CHANNEL_USER_UPDATE", "secret", "u", "{\"userX\":1}"),
    );
    house.move_to(2, "u", [1.0; 6]);
    house.pass(500);
    house.close(2);
    house.pass(500);
    assert!(house.heard(1).is_empty());
    assert_eq!(house.of_key(3, "message").len(), 3);
    house.say(1, &envelope("CHAT", "secret", "u", "\"x\""));
    assert_eq!(house.errors(1), ["private"]);
    house.say(
        1,
        &envelope("USER_UPDATE", "other", "u", "{\"userName\":\"changed\"}"),
    );
    house.say(1, &envelope("CHANNEL_JOIN", "other", "w", "{}"));
    house.pass(500);
    assert!(house.texts(1).iter().all(|text| !text.contains("secret")));
    assert!(house.heard(3).is_empty());
}

#[test]
fn who_may_only_listen_is_told_so() {
    let mut house = House::new();
    let subscription = Subscription::Space {
        space: "r".into(),
        types: vec![],
        since: None,
        positions: PositionForm::Json,
    };
    let permissions = Permissions {
        is_read_only: true,
        ..Permissions::default()
    };
    house.open(1, subscription, permissions);
    house.say(1, "{\"type\":\"CHAT\",\"value\":\"x\"}");
    house.move_to(1, "u", [1.0; 6]);
    house.pass(100);
    assert_eq!(house.errors(1), ["read_only"]);
}
