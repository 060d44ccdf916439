//! In which order things end. Ada is 1, Ben, a moderator, is 2.

use std::time::Duration;

use conference::{Input, News, ParticipantRole, SessionId};
use serde_json::json;

use crate::house::{House, join_message};

/// What happens, and all that follows, in order. `tell 2 updated` is a message to Ben.
fn check(what: &str, act: impl FnOnce(&mut House, SessionId), expected: &[&str]) {
    let mut house = House::new();
    house.join("Ada");
    let session = house.last_session();
    house.news(News::Connected { session });
    house.join_as("Ben", ParticipantRole::Moderator);
    let other = house.last_session();
    house.news(News::Connected { session: other });
    house.wait(Duration::from_secs(1));
    house.log.clear();
    act(&mut house, session);
    assert_eq!(house.log, expected, "{what}");
}

fn moderate(house: &mut House, action: &str) {
    let id = house.id(2, "Ada");
    house.say(
        2,
        json!({"type": "moderate", "action": action, "id": id, "role": "viewer", "source": "camera"}),
    );
}

#[test]
fn media_ends_before_its_websocket_and_the_others_hear_of_it_last() {
    check(
        "she leaves",
        |house, _| house.say(1, json!({"type": "leave"})),
        &["order Close", "close 1 1000", "tell 2 left", "order Watch"],
    );
    check(
        "she is removed",
        |house, _| moderate(house, "remove"),
        &[
            "order Close",
            "tell 1 left",
            "close 1 4003",
            "tell 2 left",
            "order Watch",
        ],
    );
    check(
        "nothing is heard of her",
        |house, session| {
            house.hang_up(1);
            house.news(News::Reachable {
                session,
                reachable: false,
            });
            house.wait(Duration::from_millis(29_999));
            assert_eq!(house.log, ["tell 2 updated", "tell 2 quality"]);
            house.log.clear();
            house.wait(Duration::from_millis(1));
        },
        &["order Close", "tell 2 left", "order Watch"],
    );
    check(
        "the server stops",
        |house, _| house.input(Input::Stopping),
        &["order Close", "order Close", "close 1 1001", "close 2 1001"],
    );
}

#[test]
fn a_new_self_has_its_place_before_the_old_one_is_gone() {
    check(
        "she loads the page again",
        |house, _| {
            house.join("Ada");
        },
        &[
            "close 1 4001",
            "order Close",
            "order Open",
            "tell 3 welcome",
            "tell 3 quality",
            "tell 2 updated",
            "order Watch",
            "tell 3 answer",
            "order Publish",
            "order Watch",
            "order Watch",
        ],
    );
    check(
        "her media is lost",
        |house, session| {
            house.news(News::Ended {
                session,
                reason: "lost".to_owned(),
            });
            house.say(1, json!({"type": "offer", "id": 1, "sdp": "anew"}));
        },
        &[
            "tell 1 restart",
            "tell 1 updated",
            "tell 2 updated",
            "order Watch",
            "order Open",
            "tell 1 answer",
            "order Watch",
        ],
    );
}

#[test]
fn rights_are_told_before_what_they_end() {
    check(
        "her role is lowered",
        |house, _| moderate(house, "role"),
        &[
            "tell 1 permissions",
            "order Unpublish",
            "tell 1 unpublished",
            "tell 1 updated",
            "tell 2 updated",
            "order Watch",
        ],
    );
    check(
        "her feed is ended",
        |house, _| moderate(house, "unpublish"),
        &[
            "order Unpublish",
            "tell 1 unpublished",
            "tell 1 updated",
            "tell 2 updated",
            "order Watch",
        ],
    );
}

#[test]
fn whoever_is_turned_away_leaves_no_trace() {
    check(
        "the space is locked",
        |house, _| {
            house.say(2, json!({"type": "moderate", "action": "lock", "on": true}));
            house.log.clear();
            let eve = house.connect();
            house.say(eve, join_message("Eve"));
            house.wait(Duration::from_secs(60));
        },
        &["tell 3 error", "close 3 4004"],
    );
}
