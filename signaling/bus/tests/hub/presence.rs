//! Who is present.

use serde_json::json;

use crate::house::{House, envelope};

/// Who is in `r`, as somebody sees it who joins elsewhere.
fn users(house: &mut House) -> serde_json::Value {
    house.root(99);
    house.say(99, &envelope("CHANNEL_JOIN", "elsewhere", "watcher", "{}"));
    let mut update = house.of_type(99, "CHANNELS_UPDATED").remove(0);
    house.close(99);
    update["value"]["r"]["users"].take()
}

#[test]
fn a_connection_that_closes_leaves_no_ghost() {
    let mut house = House::new();
    house.root(1);
    house.root(2);
    house.say(
        2,
        &envelope("CHANNEL_JOIN", "r", "u", "{\"userName\":\"U\"}"),
    );
    assert_eq!(users(&mut house), json!({"u": {"userName": "U"}}));
    house.heard(1);
    house.close(2);
    let leaves = house.of_type(1, "CHANNEL_LEAVE");
    assert_eq!(leaves.len(), 1);
    assert_eq!(
        (
            &leaves[0]["channel"],
            &leaves[0]["userId"],
            &leaves[0]["userName"]
        ),
        (&json!("r"), &json!("u"), &json!("U"))
    );
    assert_eq!(users(&mut house), json!({}));
}

#[test]
fn somebody_with_two_connections_leaves_with_the_last() {
    let mut house = House::new();
    for client in [1, 2, 3] {
        house.root(client);
    }
    house.say(2, &envelope("CHANNEL_JOIN", "r", "u", "{}"));
    house.say(3, &envelope("CHANNEL_JOIN", "r", "u", "{}"));
    house.pass(100);
    house.heard(1);
    house.close(2);
    assert!(house.of_type(1, "CHANNEL_LEAVE").is_empty());
    house.close(3);
    assert_eq!(house.of_type(1, "CHANNEL_LEAVE").len(), 1);
    assert_eq!(users(&mut house), json!({}));
}

#[test]
fn a_leave_is_not_said_twice() {
    let mut house = House::new();
    house.root(1);
    house.root(2);
    house.say(2, &envelope("CHANNEL_JOIN", "r", "u", "{}"));
    house.say(2, &envelope("CHANNEL_LEAVE", "r", "u", "\"\""));
    house.close(2);
    assert_eq!(house.of_type(1, "CHANNEL_LEAVE").len(), 1);
}

#[test]
fn updates_are_merged_here_and_everywhere() {
    let mut house = House::new();
    house.root(1);
    for channel in ["r", "s"] {
        house.say(
            1,
            &envelope("CHANNEL_JOIN", channel, "u", "{\"userName\":\"U\"}"),
        );
    }
    house.say(
        1,
        &envelope(
            "USER_UPDATE",
            "r",
            "u",
            "{\"userName\":\"V\",\"positionX\":5}",
        ),
    );
    house.say(
        1,
        &envelope(
            "CHANNEL_USER_UPDATE",
            "r",
            "u",
            "{\"userColor\":\"#f00\",\"userX\":1.50}",
        ),
    );
    house.say(
        1,
        &envelope("CHANNEL_USER_UPDATE", "r", "new", "{\"userX\":1}"),
    );
    house.pass(500);
    let last = house
        .texts(1)
        .into_iter()
        .rfind(|text| text.contains("CHANNELS_UPDATED"))
        .unwrap();
    let expected = concat!(
        r##""value":{"r":{"users":{"new":{"userX":1},"u":{"userName":"V","positionX":5,"userColor":"#f00","userX":1.50}}},"##,
        r#""s":{"users":{"u":{"userName":"V","positionX":5}}}}}"#
    );
    assert!(last.ends_with(expected), "{last}");
}

#[test]
fn a_channel_that_everybody_has_left_is_told_of_for_a_minute_and_not_for_ever() {
    let mut house = House::new();
    house.root(1);
    house.root(2);
    house.say(2, &envelope("CHANNEL_JOIN", "made-up", "u", "{}"));
    house.say(2, &envelope("CHANNEL_LEAVE", "made-up", "u", "\"\""));
    house.pass(1000);
    let mut updated = |wait_ms: u64| {
        house.pass(wait_ms);
        house.heard(1);
        house.say(2, &envelope("CHANNEL_JOIN", "r", "v", "{}"));
        house.say(2, &envelope("CHANNEL_LEAVE", "r", "v", "\"\""));
        house.pass(1000);
        let told = house.of_type(1, "CHANNELS_UPDATED");
        told.last().unwrap()["value"].to_string()
    };
    let both = r#"{"made-up":{"users":{}},"r":{"users":{}}}"#;
    assert_eq!(updated(1000), both);
    assert_eq!(updated(60_000), r#"{"r":{"users":{}}}"#);
}

#[test]
fn who_finds_no_room_to_join_hears_what_was_said_all_the_same() {
    let mut house = House::new();
    house.root(1);
    house.say(1, &envelope("CHAT", "r", "u", "\"before\""));
    for number in 0..64 {
        house.say(
            1,
            &envelope("CHANNEL_JOIN", "s", &format!("u{number}"), "{}"),
        );
    }
    house.pass(1000);
    house.heard(1);
    house.say(1, &envelope("CHANNEL_JOIN", "r", "one-more", "{}"));
    let values = house.values(1);
    let of = |kind: &str| values.iter().find(|value| value["type"] == kind);
    assert_eq!(of("ERROR").unwrap()["value"]["code"], "full");
    assert_eq!(
        of("CHAT_SYNC").unwrap()["value"][0]["value"],
        json!("before")
    );
    assert!(of("CHANNELS_UPDATED").is_some());
}

#[test]
fn a_closing_connection_takes_whom_it_only_moved() {
    let mut house = House::new();
    house.root(1);
    house.root(2);
    house.say(
        2,
        &envelope("CHANNEL_USER_UPDATE", "r", "u", "{\"userX\":1}"),
    );
    assert_eq!(users(&mut house), json!({"u": {"userX": 1}}));
    house.close(2);
    assert_eq!(users(&mut house), json!({}));
}

#[test]
fn who_came_over_no_connection_is_forgotten_after_a_minute_of_silence() {
    let mut house = House::new();
    house.root(1);
    house.tell(bus::Input::Publish {
        bytes: envelope("CHANNEL_USER_UPDATE", "r", "osc", "{\"userX\":1}").into(),
        media: None,
        except: None,
        answer: None,
    });
    house.drain();
    house.pass(59_000);
    assert!(house.of_type(1, "CHANNEL_LEAVE").is_empty());
    house.pass(2000);
    assert_eq!(house.of_type(1, "CHANNEL_LEAVE").len(), 1);
}

#[test]
fn a_join_that_waits_for_the_disk_leaves_no_ghost_when_its_connection_closes() {
    let mut house = House::new();
    house.is_store_prompt = false;
    house.root(1);
    house.root(2);
    house.say(2, &envelope("CHAT", "r", "u", "\"x\""));
    house.say(2, &envelope("CHANNEL_JOIN", "r", "u", "{}"));
    house.close(2);
    house.store_next(true);
    house.drain();
    let kinds: Vec<_> = house
        .values(1)
        .iter()
        .map(|value| value["type"].clone())
        .collect();
    assert_eq!(kinds, ["CHAT", "CHANNEL_JOIN"]);
    assert_eq!(users(&mut house), json!(null));
}

#[test]
fn a_space_is_told_who_is_there_without_positions_four_times_a_second() {
    let mut house = House::new();
    house.root(1);
    house.say(
        1,
        &envelope(
            "CHANNEL_USER_UPDATE",
            "r",
            "u",
            "{\"userColor\":\"red\",\"userX\":1}",
        ),
    );
    house.pass(1000);
    house.space(2, "r", None);
    let presence = house.of_key(2, "presence");
    assert_eq!(presence, [json!({"users": {"u": {"userColor": "red"}}})]);
    for number in 0..100 {
        house.say(
            1,
            &envelope(
                "CHANNEL_USER_UPDATE",
                "r",
                "u",
                &format!("{{\"userX\":{number},\"userColor\":\"c{number}\"}}"),
            ),
        );
        house.pass(10);
    }
    let heard = house.of_key(2, "presence");
    assert!((4..=5).contains(&heard.len()), "{}", heard.len());
    house.pass(300);
    house.heard(2);
    house.say(
        1,
        &envelope(
            "CHANNEL_USER_UPDATE",
            "r",
            "u",
            "{\"userX\":500,\"userColor\":\"c99\"}",
        ),
    );
    house.pass(1000);
    assert!(house.of_key(2, "presence").is_empty());
}
