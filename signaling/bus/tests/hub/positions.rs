//! Positions in all three forms.

use bus::{ClientId, Input, PositionForm, Settings};
use serde_json::{Value, json};

use crate::house::{Heard, House, envelope};

#[test]
fn a_tick_tells_who_has_moved_and_a_latecomer_everything() {
    let mut house = House::new();
    house.space(1, "r", None);
    house.space(2, "r", None);
    house.move_to(1, "a", [1.0, 2.0, 3.0, 0.0, 0.5, 0.0]);
    house.pass(50);
    house.heard(2);
    house.move_to(1, "a", [2.0, 2.0, 3.0, 0.0, 0.5, 0.0]);
    house.move_to(1, "a", [3.0, 2.0, 3.0, 0.0, 0.5, 0.0]);
    house.move_to(2, "b", [1.0; 6]);
    house.pass(50);
    let texts = house.texts(2);
    assert!(
        texts.contains(&r#"{"positions":{"a":[3,2,3,0,0.5,0],"b":[1,1,1,1,1,1]}}"#.to_owned()),
        "{texts:?}"
    );
    house.pass(2000);
    assert!(house.of_key(2, "positions").is_empty());
    house.move_to(2, "b", [2.0; 6]);
    house.pass(50);
    assert_eq!(
        house.of_key(1, "positions").last().unwrap(),
        &json!({"b": [2, 2, 2, 2, 2, 2]})
    );
    house.space(3, "r", None);
    let heard = house.of_key(3, "positions");
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0].as_object().unwrap().len(), 2);
}

#[test]
fn moving_200_people_at_20_hz_is_20_frames_a_second() {
    let mut house = House::new();
    for client in 0..200 {
        house.space(client, "r", None);
    }
    for client in 0..200 {
        house.heard(client);
    }
    for step in 0..20_u8 {
        for client in 0..200 {
            house.tell(Input::Moved {
                client: ClientId(client),
                user: format!("u{client}").into(),
                position: bus::Position::from_numbers([f32::from(step); 6]),
            });
        }
        house.drain();
        house.pass(50);
    }
    let frames = house.of_key(7, "positions");
    assert!((20..=21).contains(&frames.len()), "{}", frames.len());
    assert_eq!(frames.last().unwrap().as_object().unwrap().len(), 200);
}

#[test]
fn who_leaves_is_told_as_gone_with_the_whole_state() {
    let mut house = House::new();
    house.space(1, "r", None);
    house.space(2, "r", None);
    house.space(3, "r", None);
    house.move_to(2, "b", [1.0; 6]);
    house.move_to(3, "c", [2.0; 6]);
    house.pass(100);
    house.heard(1);
    house.close(2);
    house.pass(100);
    let frames: Vec<_> = house
        .heard(1)
        .into_iter()
        .filter_map(|heard| match heard {
            Heard::Positions {
                bytes, is_whole, ..
            } => Some((bytes, is_whole)),
            _ => None,
        })
        .collect();
    assert_eq!(
        frames,
        [(
            r#"{"positions":{"c":[2,2,2,2,2,2]},"gone":["b"]}"#.into(),
            true
        )]
    );
    house.close(3);
    house.pass(100);
    assert!(house.texts(1).contains(&r#"{"gone":["c"]}"#.to_owned()));
}

/// What the foyer sends.
fn foyer() -> String {
    let value = r#"{"userColor":"red","userX":1.25,"userRotationY":-2}"#;
    envelope("CHANNEL_USER_UPDATE", "r", "a", value)
}

/// Client 1 on `/` moves `a`, client 2 of the space moves `b` by a message, client 3 moves `c` by bytes.
fn three_forms() -> House {
    let mut house = House::new();
    house.root(1);
    house.space(2, "r", None);
    house.space_with(3, "r", None, PositionForm::Binary);
    for client in [1, 2, 3] {
        house.heard(client);
    }
    house.say(1, &foyer());
    house.say(2, &envelope("POSITION", "r", "b", "[1,2,3]"));
    house.move_to(3, "c", [7.0; 6]);
    house.pass(60);
    house
}

#[test]
fn positions_from_everywhere_reach_the_root_in_its_own_form() {
    let mut house = three_forms();
    let texts = house.texts(1);
    assert_eq!(texts.iter().filter(|text| **text == foyer()).count(), 1);
    assert!(!texts.iter().any(|text| text.contains("\"POSITION\"")));
    let values: Vec<Value> = texts
        .iter()
        .map(|text| serde_json::from_str(text).unwrap())
        .collect();
    let is_told = |value: &&Value| value["type"] == "CHANNEL_USER_UPDATE" && value["userId"] != "a";
    let told: Vec<_> = values.iter().filter(is_told).collect();
    assert_eq!(told.len(), 2);
    assert_eq!(told[0]["userId"], "b");
    assert_eq!(
        told[0]["value"],
        json!({"userX": 1, "userY": 2, "userZ": 3, "userRotationX": 0, "userRotationY": 0, "userRotationZ": 0})
    );
    let last = values
        .iter()
        .rfind(|value| value["type"] == "CHANNELS_UPDATED")
        .unwrap();
    assert_eq!(last["value"]["r"]["users"]["c"]["userX"], 7);
}

#[test]
fn positions_from_everywhere_reach_a_space_as_frames_and_not_as_messages() {
    let mut house = three_forms();
    let heard = house.values(2);
    assert!(
        heard.iter().all(|value| value.get("message").is_none()),
        "{heard:?}"
    );
    let mut known = serde_json::Map::new();
    for frame in heard
        .iter()
        .filter_map(|value| value["positions"].as_object())
    {
        known.extend(frame.clone());
    }
    assert_eq!(
        Value::Object(known),
        json!({"a": [1.25, 0, 0, 0, -2, 0], "b": [1, 2, 3, 0, 0, 0], "c": [7, 7, 7, 7, 7, 7]})
    );
}

#[test]
fn positions_from_everywhere_come_as_bytes_with_their_numbers_told_before() {
    let mut house = three_forms();
    let (mut numbers, mut moved) = (Vec::new(), Vec::new());
    for heard in house.heard(3) {
        match heard {
            Heard::Frame(_, text) => {
                let value: Value = serde_json::from_slice(&text).unwrap();
                numbers.extend(value.get("number").cloned());
            }
            Heard::Positions { bytes, .. } => {
                for entry in bytes[8..].chunks(28) {
                    let number = u16::from_le_bytes([entry[0], entry[1]]);
                    assert!(
                        usize::from(number) <= numbers.len(),
                        "{number} before it is told"
                    );
                    moved.push(number);
                }
            }
            Heard::Closed(code) => panic!("closed with {code}"),
        }
    }
    assert_eq!(numbers, [json!({"a": 1}), json!({"b": 2}), json!({"c": 3})]);
    assert_eq!(moved, [1, 2, 3]);
}

#[test]
fn bytes_of_who_has_stopped_are_repeated_once() {
    let mut house = House::new();
    house.space_with(1, "r", None, PositionForm::Binary);
    house.space(2, "r", None);
    house.move_to(2, "b", [1.0; 6]);
    house.pass(10_000);
    let count = house
        .heard(1)
        .iter()
        .filter(|heard| matches!(heard, Heard::Positions { .. }))
        .count();
    assert_eq!(count, 2);
    assert_eq!(house.of_key(2, "positions").len(), 1);
}

#[test]
fn frames_of_bytes_fit_into_a_datagram_and_say_when_they_are_everything() {
    let mut house = House::new();
    house.root(1);
    for user in 0..100 {
        house.say(
            1,
            &envelope(
                "CHANNEL_USER_UPDATE",
                "r",
                &format!("u{user}"),
                "{\"userX\":1}",
            ),
        );
        house.pass(10);
    }
    house.space_with(2, "r", None, PositionForm::Binary);
    let heard = house.heard(2);
    let frames: Vec<_> = heard
        .iter()
        .filter_map(|heard| match heard {
            Heard::Positions {
                bytes, is_whole, ..
            } => Some((bytes.len(), bytes[1], *is_whole)),
            _ => None,
        })
        .collect();
    // One connection brings at most 64.
    assert_eq!(frames, [(1100, 1, true), (8 + 25 * 28, 1, true)]);
}

#[test]
fn with_a_radius_who_is_far_is_told_twice_a_second() {
    let settings = Settings {
        position_radius: Some(10.0),
        ..Settings::default()
    };
    let mut house = House::with(settings);
    for client in 1..=3 {
        house.space(client, "r", None);
    }
    house.move_to(1, "me", [0.0; 6]);
    house.pass(1000);
    house.heard(1);
    for step in 0..40_u8 {
        let x = f32::from(step) / 100.0;
        house.move_to(2, "near", [x, 0.0, 0.0, 0.0, 0.0, 0.0]);
        house.move_to(3, "far", [100.0 + x, 0.0, 0.0, 0.0, 0.0, 0.0]);
        house.pass(50);
    }
    house.pass(1000);
    let frames = house.of_key(1, "positions");
    let count = |user: &str| {
        frames
            .iter()
            .filter(|frame| frame.get(user).is_some())
            .count()
    };
    assert!(count("near") >= 38, "{}", count("near"));
    assert!((3..=6).contains(&count("far")), "{}", count("far"));
    let last = frames
        .iter()
        .rfind(|frame| frame.get("far").is_some())
        .unwrap();
    assert_eq!(last["far"][0], 100.39);
}

#[test]
fn who_missed_a_frame_gets_everything() {
    let mut house = House::new();
    house.space(1, "r", None);
    house.space(2, "r", None);
    house.move_to(2, "b", [1.0; 6]);
    house.pass(1000);
    house.heard(1);
    house.tell(Input::Lagged {
        client: ClientId(1),
    });
    house.tell(Input::Lagged {
        client: ClientId(1),
    });
    house.drain();
    house.pass(1000);
    assert_eq!(
        house.of_key(1, "positions"),
        [json!({"b": [1, 1, 1, 1, 1, 1]})]
    );
    assert!(house.of_key(2, "positions").len() <= 1);
}

#[test]
fn numbers_that_json_does_not_know_move_nobody() {
    let mut house = House::new();
    house.space(1, "r", None);
    house.move_to(1, "a", [f32::NAN; 6]);
    house.move_to(1, "a", [f32::INFINITY; 6]);
    house.say(
        1,
        &envelope("CHANNEL_USER_UPDATE", "r", "a", "{\"userX\":1e999}"),
    );
    house.pass(100);
    assert!(house.of_key(1, "positions").is_empty());
}
