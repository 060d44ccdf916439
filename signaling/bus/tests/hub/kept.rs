//! What is kept leaves when it is on disk, and order holds.

use bus::FrameKind;
use serde_json::json;

use crate::house::{House, envelope, said};

fn values(house: &mut House, client: u32) -> Vec<serde_json::Value> {
    house
        .values(client)
        .into_iter()
        .map(|mut value| value["value"].take())
        .collect()
}

#[test]
fn nothing_kept_leaves_before_it_is_on_disk_and_only_its_sender_waits() {
    let mut house = House::new();
    house.is_store_prompt = false;
    house.root(1);
    house.root(2);
    house.say(1, &envelope("CHAT", "r", "u", "1"));
    house.say(1, &envelope("X", "r", "u", "2"));
    house.say(2, &envelope("X", "r", "v", "3"));
    assert_eq!(values(&mut house, 1), [json!(3)]);
    house.store_next(true);
    house.drain();
    assert_eq!(values(&mut house, 1), [json!(1), json!(2)]);
    assert!(house.keeps.is_empty());
}

#[test]
fn what_store_true_says_is_kept_whatever_its_type() {
    let mut house = House::new();
    house.root(1);
    house.say(
        1,
        r#"{"type":"STATS","channel":"r","value":1,"store":true}"#,
    );
    house.say(
        1,
        r#"{"type":"STATS","channel":"r","value":2,"store":false}"#,
    );
    house.say(
        1,
        r#"{"type":"STATS","channel":"r","value":3,"store":"true"}"#,
    );
    house.say(1, r#"{"type":"LIKE","value":4}"#);
    assert_eq!(house.stored.len(), 2);
    assert_eq!(values(&mut house, 1).len(), 4);
}

#[test]
fn what_cannot_be_stored_is_heard_by_nobody_and_its_sender_is_told() {
    let mut house = House::new();
    house.is_store_prompt = false;
    house.root(1);
    house.root(2);
    house.say(1, &envelope("CHAT", "r", "u", "1"));
    house.say(1, &envelope("X", "r", "u", "2"));
    house.store_next(false);
    house.drain();
    let heard = house.values(1);
    assert_eq!(heard[0]["value"], 2);
    assert_eq!(
        (&heard[1]["type"], &heard[1]["value"]["code"]),
        (&json!("ERROR"), &json!("not_stored"))
    );
    assert_eq!(heard[1]["value"]["id"], "abcdefghijklmnop");
    assert_eq!(values(&mut house, 2), [json!(2)]);
}

#[test]
fn answers_in_any_order_deliver_in_the_order_of_numbers() {
    let mut house = House::new();
    house.is_store_prompt = false;
    house.root(1);
    house.space(2, "r", None);
    house.root(3);
    for (client, value) in [(1, "1"), (3, "2"), (1, "3")] {
        house.say(client, &envelope("CHAT", "r", "u", value));
    }
    while let Some((ticket, message)) = house.keeps.pop_back() {
        house.answer_keep(ticket, &message, true);
        house.drain();
    }
    assert_eq!(values(&mut house, 1), [json!(1), json!(2), json!(3)]);
}

#[test]
fn numbers_ascend_in_the_order_of_delivery_even_when_thousands_pass_a_kept_message() {
    let mut house = House::with(bus::Settings {
        client_rate: 0,
        ..Default::default()
    });
    house.is_store_prompt = false;
    house.root(1);
    house.root(2);
    house.space(3, "r", None);
    for round in 0..5 {
        house.say(1, &envelope("CHAT", "r", "u", "\"kept\""));
        house.tell(said(
            1,
            FrameKind::Text,
            envelope("X", "r", "u", "\"behind\"").as_bytes(),
        ));
        for _ in 0..1500 {
            house.tell(said(
                2,
                FrameKind::Text,
                envelope("X", "r", "v", "0").as_bytes(),
            ));
            if house.keeps.len() < 3 {
                house.tell(said(
                    1,
                    FrameKind::Text,
                    envelope("CHAT", "r", "u", "\"kept\"").as_bytes(),
                ));
            }
            house.drain();
        }
        while !house.keeps.is_empty() {
            house.store_next(true);
            house.drain();
        }
        house.pass(round);
    }
    let seqs: Vec<_> = house
        .values(3)
        .iter()
        .filter_map(|value| value["seq"].as_u64())
        .collect();
    assert!(seqs.len() > 1000, "{}", seqs.len());
    assert!(seqs.is_sorted_by(|a, b| a < b));
    assert_eq!(house.errors(1), Vec::<String>::new());
}

#[test]
fn a_sender_with_too_much_on_the_way_is_told_full() {
    let mut house = House::with(bus::Settings {
        client_rate: 0,
        ..Default::default()
    });
    house.is_store_prompt = false;
    house.root(1);
    for _ in 0..600 {
        house.say(1, &envelope("CHAT", "r", "u", "1"));
    }
    let errors = house.errors(1);
    assert_eq!(errors.len(), 600 - 512);
    assert!(errors.iter().all(|code| code == "full"));
    while !house.keeps.is_empty() {
        house.store_next(true);
    }
    house.drain();
    assert_eq!(house.values(1).len(), 512);
}
