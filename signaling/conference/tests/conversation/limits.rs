//! What is too much, and texts that nobody should have sent.

use std::time::Duration;

use conference::protocol::{SHORT_TEXT_MAX, TEXT_MAX, close};
use serde_json::{Value, json};

use crate::house::{House, camera};

#[test]
fn whoever_is_too_fast_is_told_so_once_a_second_and_then_closed() {
    let mut house = House::new();
    let ada = house.join("Ada");
    house.wait(Duration::from_secs(10));
    house.take(ada);
    for number in 0..150 {
        house.say(ada, json!({"type": "hand", "raised": number % 2 == 0}));
    }
    assert_eq!(house.errors(ada), ["too_fast"]);
    house.wait(Duration::from_secs(1));
    for _ in 0..20 {
        house.say(ada, json!({"type": "hand", "raised": true}));
    }
    assert_eq!(house.errors(ada), [] as [&str; 0], "20 a second are fine");
    for _ in 0..600 {
        if house.closed(ada).is_none() {
            house.say(ada, json!({"type": "hand", "raised": true}));
        }
    }
    assert_eq!(house.closed(ada), Some(close::POLICY));
    let ben = house.join("Ben");
    assert_eq!(
        house.names(ben),
        ["Ada", "Ben"],
        "only its WebSocket is gone"
    );
    house.wait(Duration::from_secs(40));
    assert_eq!(house.names(ben), ["Ben"]);
}

#[test]
fn offers_are_dearer_and_each_one_too_many_is_named() {
    let mut house = House::new();
    let ada = house.join("Ada");
    house.take(ada);
    for id in 1..=12 {
        house.say(ada, json!({"type": "offer", "id": id, "sdp": "offer"}));
    }
    let errors: Vec<_> = (house.take_json(ada).into_iter())
        .filter(|message| message["type"] == "error")
        .collect();
    let ids: Vec<_> = errors.iter().map(|error| error["id"].clone()).collect();
    assert_eq!(ids, [json!(10), json!(11), json!(12)]);
    assert!(
        errors
            .iter()
            .all(|e| e["code"] == "too_fast" && e["request"] == "offer")
    );
}

#[test]
fn texts_that_cannot_be_read_are_errors_and_many_of_them_the_end() {
    let mut house = House::new();
    let ada = house.join("Ada");
    house.take(ada);
    let deep = "[".repeat(10_000);
    let texts = [
        "",
        " ",
        "null",
        "1",
        "\"join\"",
        "[]",
        "{}",
        "{",
        "{\"type\":1}",
        "{\"type\":null}",
        "{\"type\":\"offer\"}",
        "{\"type\":\"offer\",\"id\":0,\"sdp\":\"\"}",
        "{\"type\":\"offer\",\"id\":-1,\"sdp\":\"\"}",
        "{\"type\":\"offer\",\"id\":1.5,\"sdp\":\"\"}",
        "{\"type\":\"offer\",\"id\":9007199254740992,\"sdp\":\"\"}",
        "{\"type\":\"hand\",\"raised\":\"yes\"}",
        "{\"type\":\"watch\",\"tracks\":{}}",
        "{\"type\":\"moderate\"}",
        "{\"type\":\"moderate\",\"action\":\"explode\"}",
        "{\"type\":\"mute\",\"source\":\"camera\"}",
        "{\"type\":\"rename\",\"name\":null}",
        &deep,
        "\u{0}",
        "{\"type\":\"publish\",\"source\":\"camera\",\"audio\":\"0\",\"video\":\"0\"}",
        "{\"type\":\"publish\",\"source\":\"camera\",\"audio\":\"a b\"}",
        "{\"type\":\"publish\",\"source\":\"camera\",\"audio\":\"\"}",
        "{\"type\":\"publish\",\"source\":\"camera\",\"audio\":\"0\",\"layers\":[{\"rid\":\"x y\"}]}",
        "{\"type\":\"publish\",\"source\":\"camera\",\"audio\":\"0\",\"layers\":[{\"height\":16385}]}",
    ];
    for text in texts {
        house.say_text(ada, text);
        assert_eq!(house.errors(ada), ["malformed"], "{text:.60}");
    }
    assert_eq!(house.closed(ada), None);
    for _ in texts.len()..=32 {
        house.say_text(ada, "{");
    }
    assert_eq!(house.closed(ada), Some(close::POLICY));
}

#[test]
fn texts_and_lists_have_a_length() {
    let check = |message: Value, expected: &[&str]| {
        let mut house = House::new();
        let ada = house.join("Ada");
        house.take(ada);
        house.say(ada, message);
        assert_eq!(house.errors(ada), expected);
    };
    let offer = |length: usize| json!({"type": "offer", "id": 1, "sdp": "x".repeat(length)});
    let around = offer(0).to_string().len();
    check(offer(TEXT_MAX - around), &[]);
    check(offer(TEXT_MAX - around + 1), &["too_large"]);
    let rename = |length: usize| json!({"type": "hand", "raised": true, "pad": "x".repeat(length)});
    let around = rename(0).to_string().len();
    check(rename(SHORT_TEXT_MAX - around), &[]);
    check(rename(SHORT_TEXT_MAX - around + 1), &["too_large"]);

    let watch = |count: usize| {
        let track = json!({"id": "p", "source": "camera"});
        json!({"type": "watch", "tracks": vec![track; count]})
    };
    check(watch(256), &[]);
    check(watch(257), &["too_large"]);
    let silence = |count: usize| json!({"type": "silence", "ids": vec!["p"; count]});
    check(silence(512), &[]);
    check(silence(513), &["too_large"]);
    let layers = |count: usize| {
        let mut publish = camera();
        publish["layers"] = json!(vec![json!({"rid": "a"}); count]);
        publish
    };
    check(layers(4), &[]);
    check(layers(5), &["too_large"]);
    let candidate = |length: usize| json!({"type": "candidate", "candidate": format!("{:<1$}", "candidate:", length).replace(' ', "1")});
    check(candidate(512), &[]);
    check(candidate(513), &["too_large"]);
    check(json!({"type": "rename", "name": "x".repeat(64)}), &[]);
    check(json!({"type": "rename", "name": "x".repeat(65)}), &["name"]);
}

#[test]
fn candidates_are_counted() {
    let mut house = House::new();
    let ada = house.join("Ada");
    house.take_orders();
    for _ in 0..300 {
        house.say(
            ada,
            json!({"type": "candidate", "candidate": "candidate:1"}),
        );
        house.wait(Duration::from_millis(60));
    }
    assert_eq!(house.take_orders().len(), 256);
    assert_eq!(house.errors(ada), [] as [&str; 0]);
}

#[test]
fn more_websockets_than_could_ever_join_are_refused() {
    let mut house = House::with_room_for(2);
    for _ in 0..68 {
        let client = house.connect();
        assert_eq!(house.closed(client), None);
    }
    let client = house.connect();
    assert_eq!(house.errors(client), ["full"]);
    assert_eq!(house.closed(client), Some(close::FULL));
}
