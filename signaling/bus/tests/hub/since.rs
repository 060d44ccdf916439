//! Coming back after a moment, or after the server did.

use bus::{Moderation, Settings};
use serde_json::json;

use crate::house::{House, envelope};

fn values(house: &mut House, client: u32) -> Vec<u64> {
    house
        .of_key(client, "message")
        .iter()
        .map(|message| message["value"].as_u64().unwrap())
        .collect()
}

fn last_seq(house: &mut House, client: u32) -> u64 {
    house
        .values(client)
        .iter()
        .filter_map(|value| value["seq"].as_u64())
        .next_back()
        .unwrap()
}

#[test]
fn a_short_absence_loses_nothing() {
    let mut house = House::new();
    house.space(1, "r", None);
    house.root(2);
    house.say(2, &envelope("X", "r", "u", "1"));
    let since = last_seq(&mut house, 1);
    house.close(1);
    house.say(2, &envelope("X", "r", "u", "2"));
    house.say(2, &envelope("CHAT", "r", "u", "3"));
    house.space(1, "r", Some(since));
    assert!(house.catch_ups.is_empty());
    house.say(2, &envelope("X", "r", "u", "4"));
    let heard = house.values(1);
    assert_eq!(heard[0]["welcome"]["missed"], false);
    let values: Vec<_> = heard
        .iter()
        .filter_map(|value| value["message"]["value"].as_u64())
        .collect();
    assert_eq!(values, [2, 3, 4]);
}

#[test]
fn after_a_restart_what_was_kept_comes_from_the_disk_and_live_messages_behind_it() {
    let mut house = House::new();
    house.space(1, "r", None);
    house.root(2);
    for value in 1..=4 {
        let kind = if value % 2 == 0 { "X" } else { "CHAT" };
        house.say(2, &envelope(kind, "r", "u", &value.to_string()));
        house.pass(1);
    }
    let seqs: Vec<_> = house
        .values(1)
        .iter()
        .filter_map(|value| value["seq"].as_u64())
        .collect();
    house.pass(1000);
    house.restart(Settings::default());
    house.is_store_prompt = false;
    house.space(1, "r", Some(seqs[0]));
    house.root(2);
    house.say(2, &envelope("X", "r", "u", "5"));
    let heard = house.values(1);
    assert_eq!(heard[0]["welcome"]["missed"], true);
    assert_eq!(heard.len(), 2, "{heard:?}");
    house.catch_up_next();
    house.say(2, &envelope("X", "r", "u", "6"));
    assert_eq!(values(&mut house, 1), [3, 5, 6]);
}

#[test]
fn a_long_absence_is_caught_up_piece_by_piece() {
    let mut house = House::with(Settings {
        client_rate: 0,
        ..Settings::default()
    });
    house.root(1);
    for value in 0..3500 {
        house.say(1, &envelope("CHAT", "r", "u", &value.to_string()));
        house.pass(2);
        house.heard(1);
    }
    house.space(2, "r", Some(house.stored[9].seq));
    assert_eq!(values(&mut house, 2), (10..3500).collect::<Vec<_>>());
}

#[test]
fn an_answer_for_who_had_the_number_before_is_not_taken_for_ones_own() {
    let mut house = House::new();
    house.root(9);
    for value in 1..=4 {
        house.say(9, &envelope("CHAT", "r", "u", &value.to_string()));
        house.pass(1);
    }
    let second = house.stored[1].seq;
    house.pass(1000);
    house.restart(Settings::default());
    house.is_store_prompt = false;
    house.space(1, "r", Some(second));
    house.close(1);
    house.space(1, "r", Some(5));
    house.catch_up_next();
    house.drain();
    assert!(values(&mut house, 1).is_empty());
    house.catch_up_next();
    house.drain();
    assert_eq!(values(&mut house, 1), [1, 2, 3, 4]);
}

#[test]
fn a_number_of_another_time_is_told_to_have_missed_something() {
    let mut house = House::new();
    house.space(1, "r", None);
    house.root(9);
    house.say(9, &envelope("X", "r", "u", "1"));
    let since = last_seq(&mut house, 1);
    for (since, has_missed) in [(since, false), (since + 1, true), (u64::MAX, true)] {
        house.space(2, "r", Some(since));
        let welcome = house.of_key(2, "welcome");
        assert_eq!(welcome[0]["missed"], has_missed, "{since}");
        house.close(2);
    }
    house.space(2, "r", Some(u64::MAX));
    house.say(9, &envelope("X", "r", "u", "2"));
    assert_eq!(values(&mut house, 2), [2]);
}

#[test]
fn what_was_deleted_or_cleared_meanwhile_does_not_come_back() {
    let mut house = House::new();
    house.is_store_prompt = false;
    house.root(1);
    for value in 0..3 {
        house.say(1, &envelope("CHAT", "r", "u", &value.to_string()));
        house.store_next(true);
        house.drain();
    }
    house.space(2, "r", Some(5));
    let seq = house.stored[1].seq;
    let ((client, request), channel, after, before) = house.catch_ups.pop_front().unwrap();
    let messages = house.between(&channel, after, before);
    house.moderate(Moderation::Delete {
        channel: "r".into(),
        seq,
        id: None,
    });
    house.tell(bus::Input::CaughtUp {
        client: bus::ClientId(client),
        request,
        messages,
        is_cut: false,
    });
    house.drain();
    let heard = house.values(2);
    let values: Vec<_> = heard
        .iter()
        .filter_map(|value| value["message"]["value"].as_u64())
        .collect();
    assert_eq!(values, [0, 2]);
    assert!(heard.contains(&json!({"deleted": {"seq": seq, "id": null}})));
    house.moderate(Moderation::Clear);
    house.space(3, "r", Some(5));
    house.catch_up_next();
    house.drain();
    assert!(house.of_key(3, "message").is_empty());
}

#[test]
fn a_message_that_is_on_disk_but_was_not_heard_before_a_crash_is_caught_up() {
    let mut house = House::new();
    house.is_store_prompt = false;
    house.space(1, "r", None);
    house.root(2);
    house.root(3);
    house.say(2, &envelope("CHAT", "r", "u", "1"));
    // Another one passes it; then the disk has it, and the server is killed.
    house.say(3, &envelope("X", "r", "v", "2"));
    let since = last_seq(&mut house, 1);
    let (_, message) = house.keeps.pop_front().unwrap();
    house.stored.push(message);
    house.pass(10);
    house.restart(Settings::default());
    house.space(1, "r", Some(since));
    house.catch_up_next();
    house.drain();
    assert_eq!(values(&mut house, 1), [1]);
}
