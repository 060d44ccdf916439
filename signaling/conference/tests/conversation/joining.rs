//! Coming in.

use conference::protocol::close;
use conference::{Denied, Grant, Input, Order, ParticipantRole, Refusal};
use serde_json::json;

use crate::house::{House, camera, grant, identity, join_message};

#[test]
fn whoever_joins_is_welcomed_with_everybody_and_answered() {
    let mut house = House::new();
    let ada = house.join("Ada");
    let messages = house.take_json(ada);
    let kinds: Vec<_> = messages.iter().map(|m| m["type"].clone()).collect();
    assert_eq!(kinds, ["welcome", "quality", "answer"]);
    let welcome = &messages[0];
    assert_eq!(welcome["version"], 1);
    assert_eq!(welcome["media"], "new");
    assert_eq!(welcome["role"], "participant");
    assert_eq!(welcome["participants"][0]["name"], "Ada");
    assert_eq!(
        welcome["participants"][0]["feeds"][0]["layers"][2]["height"],
        720
    );
    assert_eq!(messages[2]["id"], 0);

    let ben = house.join("Ben");
    assert_eq!(
        house.last(ben, "welcome")["participants"][0]["name"],
        "Ada",
        "in the order of joining"
    );
    assert_eq!(
        house.names(ada),
        ["Ada"],
        "the first change was told just now"
    );
    house.wait(std::time::Duration::from_millis(100));
    assert_eq!(house.names(ada), ["Ada", "Ben"]);
    assert_eq!(
        house.last(ada, "joined")["participant"]["feeds"][0]["audio"],
        true
    );
}

#[test]
fn media_is_ordered_after_it_is_open_and_in_order() {
    let mut house = House::new();
    house.answers = false;
    house.join("Ada");
    let orders = house.take_orders();
    let [Order::Open { session, offer, .. }] = &orders[..] else {
        panic!("{orders:?}");
    };
    assert_eq!(offer, "offer");
    let answer = crate::house::answer_to(&orders[0]).unwrap();
    house.news(answer);
    let orders = house.take_orders();
    let [
        Order::Publish {
            session: same,
            audio,
            video,
            is_music: false,
            ..
        },
    ] = &orders[..]
    else {
        panic!("{orders:?}");
    };
    assert_eq!(
        (same, audio.as_deref(), video.as_deref()),
        (session, Some("0"), Some("1"))
    );
}

#[test]
fn candidates_wait_for_the_token_and_the_session() {
    let mut house = House::new();
    house.answers = false;
    house.grant = None;
    let ada = house.connect();
    house.say(ada, join_message("Ada"));
    house.say(
        ada,
        json!({"type": "candidate", "candidate": "candidate:1 early"}),
    );
    let given = grant(ParticipantRole::Participant);
    house.verified(ada, Ok(given));
    house.say(
        ada,
        json!({"type": "candidate", "candidate": "a=candidate:2 later"}),
    );
    house.say(ada, json!({"type": "candidate"}));
    house.say(ada, json!({"type": "candidate", "candidate": ""}));
    let orders = house.take_orders();
    assert_eq!(orders.len(), 1);
    let answer = crate::house::answer_to(&orders[0]).unwrap();
    house.news(answer);
    let orders = house.take_orders();
    assert!(
        orders
            .iter()
            .any(|order| matches!(order, Order::Candidates { candidates, .. }
            if *candidates == ["candidate:1 early", "candidate:2 later"])),
        "{orders:?}"
    );
    house.say(
        ada,
        json!({"type": "candidate", "candidate": "candidate:3 now"}),
    );
    assert_eq!(house.take_orders().len(), 1);
    house.say(ada, json!({"type": "candidate", "candidate": "nonsense"}));
    assert_eq!(house.errors(ada), ["malformed"]);
}

#[test]
fn a_token_that_gives_nothing_is_an_error_with_its_reason_and_the_end() {
    for (denied, code) in [
        (Denied::Missing, "token_missing"),
        (Denied::Invalid, "token_invalid"),
        (Denied::Expired, "token_expired"),
        (Denied::OtherSpace, "token_space"),
    ] {
        let mut house = House::new();
        house.grant = None;
        let ada = house.connect();
        let mut join = join_message("Ada");
        join["token"] = json!("key");
        house.say(ada, join);
        assert_eq!(house.verifying, [(ada, Some("key".to_owned()))]);
        house.verified(ada, Err(denied));
        let error = house.last(ada, "error");
        assert_eq!(
            (error["code"].as_str(), error["request"].as_str()),
            (Some(code), Some("join"))
        );
        assert_eq!(house.closed(ada), Some(close::TOKEN));
        assert!(house.conference.is_empty());
        assert!(house.orders.is_empty());
    }
}

#[test]
fn a_token_can_say_what_somebody_is_called() {
    let mut house = House::new();
    house.grant = Some(Grant {
        name: Some("Ada Lovelace".to_owned()),
        ..grant(ParticipantRole::Performer)
    });
    let ada = house.join("Somebody");
    assert_eq!(house.names(ada), ["Ada Lovelace"]);
    house.say(ada, json!({"type": "rename", "name": "Eve"}));
    assert_eq!(house.errors(ada), ["forbidden"]);

    house.grant = Some(grant(ParticipantRole::Participant));
    let ben = house.join("Ben");
    house.say(ben, json!({"type": "rename", "name": " Benjamin "}));
    house.wait(std::time::Duration::from_millis(100));
    assert_eq!(house.names(ada), ["Ada Lovelace", "Benjamin"]);
}

#[test]
fn a_join_that_cannot_be_may_be_corrected() {
    let mut house = House::new();
    let ada = house.connect();
    let table = [
        (json!({"version": 0}), "version"),
        (json!({"version": "one"}), "malformed"),
        (json!({"version": -1}), "malformed"),
        (json!({"identity": "short"}), "identity"),
        (json!({"identity": "with a space 0123456789"}), "identity"),
        (json!({"name": ""}), "name"),
        (json!({"name": "   "}), "name"),
        (json!({"name": "x".repeat(65)}), "name"),
        (json!({"name": "two\nlines"}), "name"),
        (json!({"name": "\u{202e}adA"}), "name"),
        (json!({"data": "x".repeat(513)}), "too_large"),
        (json!({"feeds": [{"source": "window"}]}), "malformed"),
        (json!({"feeds": [{"source": "camera"}]}), "malformed"),
    ];
    let count = table.len();
    for (index, (change, code)) in table.into_iter().enumerate() {
        let mut join = join_message("Ada");
        for (field, value) in change.as_object().unwrap() {
            join[field] = value.clone();
        }
        house.say(ada, join);
        assert_eq!(house.errors(ada), [code], "{change}, {index} of {count}");
        house.wait(std::time::Duration::from_millis(700));
    }
    house.wait(std::time::Duration::from_millis(300));
    assert_eq!(house.closed(ada), None);
    house.say(ada, join_message("Ada"));
    assert_eq!(house.names(ada), ["Ada"]);
    house.say(ada, join_message("Ada"));
    assert_eq!(house.errors(ada), ["conflict"]);
}

#[test]
fn a_newer_version_and_unknown_fields_do_no_harm() {
    let mut house = House::new();
    let ada = house.connect();
    let mut join = join_message("Ada");
    join["version"] = json!(7);
    join["hologram"] = json!({"depth": [1, 2, 3]});
    join["feeds"][0]["smell"] = json!(true);
    join["feeds"][0]["layers"][0]["fps"] = json!(15);
    join["data"] = json!("userId,\u{1f}anything");
    house.say(ada, join);
    let welcome = house.last(ada, "welcome");
    assert_eq!(welcome["version"], 1);
    assert_eq!(welcome["participants"][0]["data"], "userId,\u{1f}anything");
    house.say(ada, json!({"type": "teleport", "to": "stage"}));
    assert_eq!(house.errors(ada), ["unknown_type"]);
    assert_eq!(house.closed(ada), None);
    for _ in 0..60 {
        house.say(ada, json!({"type": "teleport", "to": "stage"}));
    }
    assert_eq!(house.closed(ada), None, "it is only newer than we are");
}

#[test]
fn nothing_but_join_counts_before_the_welcome() {
    let mut house = House::new();
    house.grant = None;
    let ada = house.connect();
    house.say(ada, json!({"type": "hand", "raised": true}));
    house.say(ada, json!({"type": "offer", "id": 1, "sdp": "offer"}));
    assert_eq!(house.errors(ada), ["not_joined", "not_joined"]);
    house.say(ada, join_message("Ada"));
    house.say(ada, json!({"type": "hand", "raised": true}));
    house.say(ada, join_message("Ada"));
    assert_eq!(house.errors(ada), ["not_joined", "conflict"]);
    house.say(ada, json!({"type": "leave"}));
    assert_eq!(house.closed(ada), Some(close::LEFT));
    house.verified(ada, Ok(grant(ParticipantRole::Participant)));
    assert!(house.conference.is_empty(), "the token came too late");
}

#[test]
fn whoever_does_not_join_within_ten_seconds_is_closed() {
    let mut house = House::new();
    let silent = house.connect();
    house.wait(std::time::Duration::from_millis(9_999));
    assert_eq!(house.closed(silent), None);
    house.wait(std::time::Duration::from_millis(1));
    assert_eq!(house.closed(silent), Some(close::POLICY));
    assert!(house.conference.is_empty());
    assert_eq!(house.conference.deadline(), None);
}

#[test]
fn a_full_space_says_when_to_try_again() {
    let mut house = House::with_room_for(2);
    house.join("Ada");
    let ben = house.join("Ben");
    let eve = house.join("Eve");
    let error = house.last(eve, "error");
    assert_eq!(error["code"], "full");
    assert!(error["retry_after"].as_u64().unwrap() > 0);
    assert_eq!(house.closed(eve), Some(close::FULL));
    assert_eq!(house.names(ben), ["Ada", "Ben"]);
    // One's old self makes room for the new one.
    house.hang_up(ben);
    let ben = house.join("Ben");
    assert_eq!(house.closed(ben), None);
    house.say(ben, json!({"type": "leave"}));
    let eve = house.join("Eve");
    assert_eq!(house.closed(eve), None);
}

#[test]
fn full_media_sends_the_newcomer_away_and_refused_sdp_does_not() {
    let mut house = House::new();
    let ada = house.join("Ada");
    house.answers = false;
    let ben = house.join("Ben");
    house.wait(std::time::Duration::from_millis(100));
    assert_eq!(house.names(ada), ["Ada", "Ben"]);
    let session = last_opened(&mut house);
    house.news(conference::News::Answered {
        session,
        id: 0,
        result: Err(Refusal::Full {
            what: "media thread 0".to_owned(),
            retry_after: std::time::Duration::from_secs(5),
        }),
    });
    let error = house.last(ben, "error");
    assert_eq!(
        (&error["code"], &error["retry_after"], &error["request"]),
        (&json!("full"), &json!(5), &json!("join"))
    );
    assert_eq!(house.closed(ben), Some(close::FULL));
    house.wait(std::time::Duration::from_millis(100));
    assert_eq!(house.names(ada), ["Ada"]);

    let eve = house.join("Eve");
    let session = last_opened(&mut house);
    house.news(conference::News::Answered {
        session,
        id: 0,
        result: Err(Refusal::NotAcceptable("no codec in common".to_owned())),
    });
    let error = house.last(eve, "error");
    assert_eq!(
        (&error["code"], &error["id"]),
        (&json!("not_acceptable"), &json!(0))
    );
    assert_eq!(house.closed(eve), None, "she can offer again");
    house.answers = true;
    house.say(eve, json!({"type": "offer", "id": 1, "sdp": "better"}));
    assert_eq!(house.last(eve, "answer")["id"], 1);
    house.say(eve, camera());
    assert!(
        matches!(house.take_orders().last(), Some(Order::Watch { .. }))
            || !house.live_feeds().is_empty()
    );
}

fn last_opened(house: &mut House) -> conference::SessionId {
    (house.take_orders().iter().rev())
        .find_map(|order| match order {
            Order::Open { session, .. } => Some(*session),
            _ => None,
        })
        .unwrap()
}

#[test]
fn a_join_without_an_offer_is_somebody_who_has_no_media_yet() {
    let mut house = House::new();
    let ada = house.connect();
    house.say(
        ada,
        json!({"type": "join", "version": 1, "name": "Ada", "identity": identity("Ada")}),
    );
    assert_eq!(house.last(ada, "welcome")["media"], "new");
    assert!(house.take_orders().is_empty());
    house.say(ada, camera());
    assert_eq!(house.errors(ada), ["conflict"], "no section to publish yet");
    house.say(ada, json!({"type": "answer", "id": 1, "sdp": "answer"}));
    assert_eq!(house.errors(ada), ["conflict"]);
    house.say(ada, json!({"type": "offer", "id": 1, "sdp": "offer"}));
    house.say(ada, camera());
    assert_eq!(house.errors(ada), [] as [&str; 0]);
    assert_eq!(house.live_feeds().len(), 1);
}

#[test]
fn a_stopping_server_lets_everybody_go_and_nobody_in() {
    let mut house = House::new();
    let ada = house.join("Ada");
    let waiting = house.connect();
    house.input(Input::Stopping);
    assert_eq!(house.closed(ada), Some(close::STOPPING));
    assert_eq!(house.closed(waiting), Some(close::STOPPING));
    assert!(matches!(
        house.take_orders().last(),
        Some(Order::Close { .. })
    ));
    let late = house.connect();
    assert_eq!(house.errors(late), ["stopping"]);
    assert_eq!(house.closed(late), Some(close::STOPPING));
    assert!(house.conference.is_empty());
}
