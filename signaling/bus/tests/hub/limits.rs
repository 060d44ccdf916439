//! Limits, and what is hostile.

use bus::{ClientId, FrameKind, IMAGE_BYTES_MAX, Input, MESSAGE_BYTES_MAX, Moderation};

use crate::house::{Heard, House, START_US, envelope, said};

fn sized(kind: &str, bytes: usize) -> String {
    let empty = envelope(kind, "r", "u", "\"\"").len();
    envelope(
        kind,
        "r",
        "u",
        &format!("\"{}\"", "x".repeat(bytes - empty)),
    )
}

#[test]
fn sizes_are_limited_by_type() {
    let check = |kind: &str, bytes: usize, expected: &[&str]| {
        let mut house = House::new();
        house.root(1);
        house.say(1, &sized(kind, bytes));
        assert_eq!(house.errors(1), expected, "{kind} {bytes}");
    };
    check("CHAT", MESSAGE_BYTES_MAX, &[]);
    check("CHAT", MESSAGE_BYTES_MAX + 1, &["too_large"]);
    check("IMAGE", IMAGE_BYTES_MAX, &[]);
    check("IMAGE", IMAGE_BYTES_MAX + 1, &["too_large"]);
    check("IMAGE\",\"store\":true,\"x\":\"", MESSAGE_BYTES_MAX, &[]);
    check(
        "IMAGE\",\"store\":true,\"x\":\"",
        MESSAGE_BYTES_MAX + 1,
        &["too_large"],
    );
    let mut house = House::new();
    house.root(1);
    house.say(1, &"x".repeat(MESSAGE_BYTES_MAX + 1));
    house.say(1, &envelope("X", "r", "u", "1"));
    let values = house.values(1);
    assert_eq!(values[0]["value"]["code"], "too_large");
    assert_eq!(values[1]["type"], "X");
}

#[test]
fn who_is_too_fast_is_told_sometimes_and_closed_at_last() {
    let mut house = House::new();
    house.root(1);
    house.root(2);
    for _ in 0..250 {
        house.say(1, &envelope("X", "r", "u", "1"));
    }
    assert_eq!(house.errors(1), ["rate"]);
    assert_eq!(house.values(2).len(), 200);
    for _ in 0..2000 {
        house.say(1, &envelope("X", "r", "u", "1"));
    }
    let closed = house
        .heard(1)
        .iter()
        .filter(|heard| **heard == Heard::Closed(1008))
        .count();
    assert_eq!(closed, 1);
    house.say(2, &envelope("X", "r", "u", "1"));
    assert!(house.errors(2).is_empty());
}

#[test]
fn a_little_too_fast_is_forgiven() {
    let mut house = House::new();
    house.root(1);
    for _ in 0..2000 {
        house.say(1, &envelope("X", "r", "u", "1"));
        house.pass(8);
    }
    assert!(!house.heard(1).contains(&Heard::Closed(1008)));
}

#[test]
fn presence_has_bounds_that_are_told() {
    let mut house = House::new();
    house.root(1);
    house.root(2);
    for user in 0..70 {
        house.say(1, &envelope("CHANNEL_JOIN", "r", &format!("u{user}"), "{}"));
    }
    assert_eq!(house.errors(1), ["full"; 6]);
    let fields: Vec<_> = (0..40).map(|field| format!("\"f{field}\":1")).collect();
    house.say(
        2,
        &envelope(
            "CHANNEL_JOIN",
            "s",
            "v",
            &format!("{{{}}}", fields.join(",")),
        ),
    );
    assert!(house.errors(2).contains(&"full".to_owned()));
    house.say(
        2,
        &envelope(
            "USER_UPDATE",
            "s",
            "v",
            &format!("{{\"big\":\"{}\"}}", "x".repeat(3000)),
        ),
    );
    house.pass(100);
    let update = house.of_type(1, "CHANNELS_UPDATED").pop().unwrap();
    assert_eq!(
        update["value"]["s"]["users"]["v"]
            .as_object()
            .unwrap()
            .len(),
        32
    );
}

#[test]
fn presence_of_all_is_one_message_of_a_megabyte_at_most() {
    let mut house = House::new();
    for client in 0..30 {
        house.root(client);
        for user in 0..60 {
            let value = format!("{{\"name\":\"{}\"}}", "x".repeat(1900));
            house.say(
                client,
                &envelope("CHANNEL_JOIN", "r", &format!("u{client}-{user}"), &value),
            );
        }
        house.pass(500);
    }
    let update = house
        .texts(0)
        .into_iter()
        .rfind(|text| text.contains("CHANNELS_UPDATED"))
        .unwrap();
    assert!(update.len() < 1_100_000, "{}", update.len());
    assert!(house.errors(29).contains(&"full".to_owned()));
}

#[test]
fn channels_beyond_all_bounds_forget_the_silent_ones() {
    let mut house = House::with(bus::Settings {
        client_rate: 0,
        ..Default::default()
    });
    house.root(1);
    house.space(2, "r", None);
    house.heard(2);
    for channel in 0..5000 {
        house.say(1, &envelope("X", &format!("c{channel}"), "u", "1"));
        house.pass(1);
    }
    assert!(house.errors(1).is_empty());
    house.say(1, &envelope("X", "r", "u", "1"));
    assert_eq!(house.of_key(2, "message").len(), 1);
    house.space(3, "c0", Some(crate::house::START_US));
    assert_eq!(house.of_key(3, "welcome")[0]["missed"], true);
}

#[test]
fn long_names_are_relayed_but_mean_nothing() {
    let mut house = House::new();
    house.root(1);
    let long = "x".repeat(300);
    let text = envelope("CHANNEL_JOIN", &long, &long, "{}");
    house.say(1, &text);
    house.pass(100);
    assert_eq!(house.texts(1), [text]);
}

#[test]
fn deep_and_huge_json_is_relayed() {
    let mut house = House::new();
    house.root(1);
    house.space(2, "r", None);
    house.heard(2);
    for kind in [
        "X",
        "CHANNEL_JOIN",
        "CHANNEL_USER_UPDATE",
        "POSITION",
        "USER_UPDATE",
        "CHAT",
    ] {
        for value in [
            format!("{}{}", "[".repeat(30_000), "]".repeat(30_000)),
            format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000)),
            "9".repeat(60_000),
            "-1e99999999999".to_owned(),
        ] {
            let text = envelope(kind, "r", "u", &value);
            house.say(1, &text);
            let heard = house.heard(1);
            assert!(
                heard.contains(&Heard::Frame(FrameKind::Text, text.into())),
                "{kind}"
            );
        }
    }
}

#[test]
fn who_does_not_exist_or_comes_twice_does_not_hurt() {
    let mut house = House::new();
    house.tell(said(9, FrameKind::Text, b"{}"));
    house.tell(Input::Closed {
        client: ClientId(9),
    });
    house.tell(Input::Lagged {
        client: ClientId(9),
    });
    house.tell(Input::Kept {
        ticket: 77,
        is_stored: true,
    });
    house.tell(Input::Loaded {
        channel: "x".into(),
        messages: vec![],
    });
    house.tell(Input::CaughtUp {
        client: ClientId(9),
        request: 1,
        messages: vec![],
        is_cut: true,
    });
    house.drain();
    house.root(1);
    house.space(1, "r", None);
    house.say(1, "{\"type\":\"X\"}");
    assert_eq!(house.of_key(1, "message").len(), 1);
    house.root(1);
    house.say(1, "{\"type\":\"X\",\"channel\":\"r\"}");
    assert_eq!(house.texts(1).len(), 1);
}

#[test]
fn a_client_that_catches_up_for_too_long_is_closed() {
    let mut house = House::with(bus::Settings {
        client_rate: 0,
        ..Default::default()
    });
    house.is_store_prompt = false;
    house.root(1);
    house.space(2, "r", Some(5));
    for _ in 0..80 {
        house.say(1, &sized("X", MESSAGE_BYTES_MAX));
    }
    assert_eq!(house.heard(2).last(), Some(&Heard::Closed(1013)));
    house.catch_up_next();
    house.drain();
    assert!(house.heard(2).is_empty());
}

#[test]
fn a_moved_name_that_is_too_long_moves_nobody() {
    let mut house = House::new();
    house.space(1, "r", None);
    house.move_to(1, &"x".repeat(200), [1.0; 6]);
    house.move_to(1, "", [1.0; 6]);
    house.pass(100);
    assert!(house.of_key(1, "positions").is_empty());
}

#[test]
fn memory_of_all_channels_is_bounded_and_the_most_silent_one_is_forgotten() {
    let mut house = House::with(bus::Settings {
        client_rate: 0,
        ..Default::default()
    });
    house.root(1);
    // 75 times 15 messages of 64 kB are 70 MB.
    for channel in 0..75 {
        let text = envelope(
            "X",
            &format!("c{channel}"),
            "u",
            &format!("\"{}\"", "x".repeat(65_000)),
        );
        for _ in 0..15 {
            house.say(1, &text);
        }
        house.pass(1);
        house.heard(1);
    }
    let since = Some(crate::house::START_US);
    house.space(2, "c0", since);
    house.space(3, "c74", since);
    let missed = |house: &mut House, client: u32| {
        let heard = house.values(client);
        let messages = heard.iter().filter(|value| value.get("message").is_some());
        (heard[0]["welcome"]["missed"].clone(), messages.count())
    };
    assert_eq!(missed(&mut house, 2), (true.into(), 0));
    assert_eq!(missed(&mut house, 3), (false.into(), 15));
}

#[test]
fn a_named_space_has_room_when_others_have_taken_all_there_is() {
    let mut house = House::with(bus::Settings {
        named: ["stage".into()].into(),
        ..Default::default()
    });
    for number in 0..1024 {
        house.space(number, &format!("squat-{number}"), None);
    }
    house.space(2000, "other", None);
    assert_eq!(house.heard(2000), [Heard::Closed(1013)]);
    house.space(2001, "stage", None);
    house.root(2002);
    house.say(2002, &envelope("X", "stage", "u", "1"));
    assert_eq!(house.of_key(2001, "message").len(), 1);
}

#[test]
fn bans_and_slow_mode_are_in_force_when_there_is_no_room_for_more_channels() {
    let mut house = House::new();
    for number in 0..1024 {
        house.space(number, &format!("squat-{number}"), None);
    }
    house.moderate(ban("stage", Some("eve"), START_US / 1000 + 5000));
    house.moderate(Moderation::SlowMode {
        channel: "hall".into(),
        pause_ms: 1000,
    });
    house.root(2000);
    house.say(2000, &envelope("X", "stage", "eve", "1"));
    assert_eq!(house.errors(2000), ["banned"]);
    for _ in 0..2 {
        house.say(2000, &envelope("CHAT", "hall", "ada", "\"hello\""));
    }
    assert!(house.errors(2000).contains(&"slow_mode".to_owned()));
    assert!(house.unheeded.is_empty());
}

#[test]
fn more_bans_than_can_be_are_named_and_those_that_are_over_make_room() {
    let mut house = House::new();
    let until = START_US / 1000 + 5000;
    for number in 0..12_000 {
        house.moderate(ban(&format!("space-{number}"), Some("eve"), until));
    }
    assert!(house.unheeded.is_empty());
    house.moderate(ban("stage", Some("eve"), until + 5000));
    assert_eq!(house.unheeded, ["stage".into()]);
    house.moderate(ban("space-7", Some("mallory"), until));
    assert_eq!(house.unheeded.len(), 1);
    house.pass(6000);
    house.moderate(ban("stage", Some("eve"), until + 5000));
    assert_eq!(house.unheeded.len(), 1);
    house.root(1);
    house.say(1, &envelope("X", "stage", "eve", "1"));
    assert_eq!(house.errors(1), ["banned"]);
}

fn ban(space: &str, user: Option<&str>, until_ms: u64) -> Moderation {
    Moderation::Ban {
        channel: space.into(),
        user: user.map(Into::into),
        address: None,
        until_ms,
    }
}
