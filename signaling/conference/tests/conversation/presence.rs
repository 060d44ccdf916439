//! Everybody knows of everybody, and nobody is told too often.

use std::time::Duration;

use conference::protocol::ServerMessage;
use serde_json::{Value, json};

use crate::house::House;

#[test]
fn two_hundred_who_join_within_five_seconds_are_told_together() {
    let mut house = House::new();
    let mut clients = Vec::new();
    for number in 0..200 {
        clients.push(house.join(&format!("P{number:03}")));
        house.wait(Duration::from_millis(25));
    }
    house.wait(Duration::from_millis(100));
    let mut presence = 0;
    for client in clients {
        assert_eq!(house.names(client).len(), 200);
        let messages = house.take(client);
        assert!(matches!(messages[0], ServerMessage::Welcome(_)));
        presence += messages
            .iter()
            .filter(|message| {
                matches!(
                    message,
                    ServerMessage::Joined { .. }
                        | ServerMessage::Updated { .. }
                        | ServerMessage::Participants { .. }
                )
            })
            .count();
    }
    // 51 times to 100 clients on average, instead of 19,900.
    assert!(presence < 5_500, "{presence}");
}

#[test]
fn changes_within_a_tenth_of_a_second_are_one_message() {
    let mut house = House::new();
    let ada = house.join("Ada");
    house.wait(Duration::from_secs(1));
    house.take(ada);
    let ben = house.join("Ben");
    house.join("Eve");
    let max = house.join("Max");
    house.say(ben, json!({"type": "hand", "raised": true}));
    house.say(max, json!({"type": "leave"}));
    house.wait(Duration::from_millis(100));
    let messages = house.take_json(ada);
    let kinds: Vec<_> = messages
        .iter()
        .map(|m| m["type"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["joined", "participants"]);
    let batch = &messages[1];
    assert_eq!(batch["joined"][0]["name"], "Eve");
    assert_eq!(batch["updated"][0]["name"], "Ben");
    assert_eq!(batch.get("left"), None, "Max was never there for Ada");
    // Ben knew of Max from nobody, Eve neither; whoever was welcomed between knows.
    assert_eq!(house.names(ben), ["Ada", "Ben", "Eve"]);
}

#[test]
fn whoever_is_welcomed_between_two_flushes_misses_nothing() {
    let mut house = House::new();
    let ada = house.join("Ada");
    let ben = house.join("Ben");
    house.say(ada, json!({"type": "hand", "raised": true}));
    // Eve's welcome has Ben and the raised hand; what happens after it she must hear.
    let eve = house.join("Eve");
    house.say(ada, json!({"type": "hand", "raised": false}));
    house.say(ben, json!({"type": "leave"}));
    let max = house.join("Max");
    house.wait(Duration::from_millis(100));
    let mut told: Vec<Value> = house.take_json(eve);
    told.retain(|message| {
        ["joined", "updated", "left", "participants"].contains(&message["type"].as_str().unwrap())
    });
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!(told[0]["joined"][0]["name"], "Max");
    assert_eq!(told[0]["updated"][0]["hand"], Value::Null);
    assert_eq!(told[0]["left"].as_array().unwrap().len(), 1);
    assert_eq!(house.names(eve), ["Ada", "Eve", "Max"]);
    assert_eq!(house.names(max), ["Ada", "Eve", "Max"]);
    assert_eq!(house.names(ada), ["Ada", "Eve", "Max"]);
}

#[test]
fn one_text_is_shared_by_all_who_are_told_the_same() {
    use conference::{Conference, Output};
    let mut house = House::new();
    for name in ["Ada", "Ben", "Eve"] {
        house.join(name);
        house.wait(Duration::from_secs(1));
    }
    let conference: &mut Conference = &mut house.conference;
    conference.handle(
        house.now,
        house.wall,
        conference::Input::Text {
            connection: conference::ConnectionId(1),
            text: json!({"type": "hand", "raised": true}).to_string(),
        },
    );
    let Some(Output::Send { to, .. }) = conference.poll() else {
        panic!("nothing is told");
    };
    assert_eq!(to.len(), 3, "oneself included");
    assert_eq!(conference.poll(), None);
}
