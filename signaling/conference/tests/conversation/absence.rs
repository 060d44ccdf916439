//! Lost WebSockets, lost media, new selves.

use std::time::Duration;

use conference::protocol::close;
use conference::{Grant, News, Order, ParticipantRole, SessionId};
use serde_json::{Value, json};

use crate::house::{Client, House, camera, grant, identity, join_message};

const SECOND: Duration = Duration::from_secs(1);

/// Two who are connected, the first one's session and resume secret.
fn two() -> (House, Client, Client, SessionId, Value) {
    let mut house = House::new();
    let ada = house.join("Ada");
    let session = house.last_session();
    house.news(News::Connected { session });
    let resume = house.last(ada, "welcome")["resume"].clone();
    let ben = house.join("Ben");
    let other = house.last_session();
    house.news(News::Connected { session: other });
    house.wait(SECOND);
    house.take(ada);
    house.take(ben);
    house.take_orders();
    (house, ada, ben, session, resume)
}

fn resumed(resume: &Value) -> Value {
    json!({"type": "join", "version": 1, "name": "Ada", "identity": identity("Ada"), "resume": resume})
}

#[test]
fn a_lost_websocket_does_not_stop_media() {
    let (mut house, ada, ben, session, resume) = two();
    house.hang_up(ada);
    house.wait(100 * SECOND);
    assert_eq!(house.names(ben), ["Ada", "Ben"]);
    assert_eq!(house.take_orders(), []);
    assert_eq!(
        house.take_json(ben),
        [] as [Value; 0],
        "nobody noticed anything"
    );

    let again = house.connect();
    house.grant = None;
    house.say(again, resumed(&resume));
    assert!(house.verifying.is_empty(), "the secret is enough");
    let messages = house.take_json(again);
    assert_eq!(messages[0]["media"], "kept");
    assert_eq!(house.take_orders(), []);
    // The session goes on with what it was.
    house.say(again, json!({"type": "unpublish", "source": "camera"}));
    assert!(
        matches!(house.take_orders()[0], Order::Unpublish { session: same, .. } if same == session)
    );
}

#[test]
fn whoever_is_not_heard_for_30_seconds_leaves_no_ghost() {
    let (mut house, ada, ben, session, _) = two();
    house.news(News::Reachable {
        session,
        reachable: false,
    });
    house.wait(SECOND);
    let updated = house.take_json(ben);
    assert_eq!(updated[0]["participant"]["reachable"], false);
    assert_eq!(updated[1]["participants"][0]["quality"], "lost");
    // The network is gone: media sees it at once, the WebSocket after a while.
    house.wait(20 * SECOND);
    house.hang_up(ada);
    house.wait(Duration::from_millis(8_990));
    assert_eq!(house.names(ben), ["Ada", "Ben"]);
    house.wait(Duration::from_millis(110));
    assert_eq!(house.names(ben), ["Ben"], "30 s after the last packet");
    let left = house.last(ben, "left");
    assert_eq!(left["reason"], "lost");
    assert!(house.take_orders().contains(&Order::Close { session }));
}

#[test]
fn the_30_seconds_count_from_what_was_heard_last() {
    // A client that speaks over its WebSocket is there, whatever media does.
    let (mut house, ada, ben, session, _) = two();
    house.news(News::Reachable {
        session,
        reachable: false,
    });
    house.wait(60 * SECOND);
    assert_eq!(house.names(ben), ["Ada", "Ben"]);
    house.say(ada, json!({"type": "hand", "raised": true}));
    house.hang_up(ada);
    house.wait(29 * SECOND);
    assert_eq!(house.names(ben), ["Ada", "Ben"]);
    house.wait(2 * SECOND);
    assert_eq!(house.names(ben), ["Ben"]);

    // One that said nothing for long has a moment to come back all the same.
    let (mut house, ada, ben, session, resume) = two();
    house.news(News::Ended {
        session,
        reason: "lost".to_owned(),
    });
    house.wait(60 * SECOND);
    house.hang_up(ada);
    house.wait(4 * SECOND);
    assert_eq!(house.names(ben), ["Ada", "Ben"]);
    house.grant = None;
    let again = house.connect();
    house.say(again, resumed(&resume));
    house.wait(60 * SECOND);
    assert_eq!(house.names(ben), ["Ada", "Ben"]);
    assert_eq!(house.last(again, "welcome")["media"], "new");
}

#[test]
fn media_that_comes_back_ends_the_absence() {
    let (mut house, ada, ben, session, _) = two();
    house.news(News::Reachable {
        session,
        reachable: false,
    });
    house.hang_up(ada);
    house.wait(29 * SECOND);
    house.news(News::Reachable {
        session,
        reachable: true,
    });
    house.wait(60 * SECOND);
    assert_eq!(house.names(ben), ["Ada", "Ben"]);
    assert_eq!(house.last(ben, "updated")["participant"]["reachable"], true);
}

#[test]
fn whoever_never_had_media_is_gone_30_seconds_after_its_websocket() {
    let mut house = House::new();
    let ada = house.connect();
    house.say(
        ada,
        json!({"type": "join", "version": 1, "name": "Ada", "identity": identity("Ada")}),
    );
    house.wait(100 * SECOND);
    house.hang_up(ada);
    house.wait(Duration::from_millis(29_900));
    assert!(!house.conference.is_empty());
    house.wait(Duration::from_millis(200));
    assert!(house.conference.is_empty());
}

#[test]
fn media_that_ends_while_the_websocket_lives_is_made_anew() {
    let (mut house, ada, ben, session, _) = two();
    house.news(News::Ended {
        session,
        reason: "consent was lost".to_owned(),
    });
    assert!(house.take_json(ada).iter().any(|m| m["type"] == "restart"));
    house.wait(SECOND);
    let updated = house.last(ben, "updated");
    assert_eq!(updated["participant"]["feeds"], json!([]));
    house.say(ada, camera());
    assert_eq!(house.errors(ada), ["conflict"]);
    house.say(ada, json!({"type": "offer", "id": 5, "sdp": "anew"}));
    house.say(ada, camera());
    assert_eq!(house.last(ada, "answer")["id"], 5);
    house.wait(SECOND);
    assert_eq!(
        house.last(ben, "updated")["participant"]["feeds"][0]["source"],
        "camera"
    );
    // The same old news once more is nobody's.
    house.take_orders();
    house.news(News::Ended {
        session,
        reason: "consent was lost".to_owned(),
    });
    house.news(News::Reachable {
        session,
        reachable: false,
    });
    house.wait(SECOND);
    assert_eq!(house.take(ben), []);
    assert_eq!(house.take_orders(), []);
}

#[test]
fn a_fresh_offer_replaces_a_peerconnection_that_lives() {
    let (mut house, ada, _, session, _) = two();
    house.say(
        ada,
        json!({"type": "offer", "id": 1, "sdp": "anew", "fresh": true}),
    );
    let orders = house.take_orders();
    assert_eq!(orders[0], Order::Close { session });
    assert!(matches!(&orders[1], Order::Open { offer, .. } if offer == "anew"));
    assert_eq!(house.last(ada, "answer")["id"], 1);
}

#[test]
fn a_reload_replaces_its_old_self_and_nobody_sees_it_leave() {
    let (mut house, ada, ben, session, _) = two();
    let id = house.id(ben, "Ada");
    let again = house.join("Ada");
    assert_eq!(house.closed(ada), Some(close::REPLACED));
    assert_eq!(house.last(again, "welcome")["id"], json!(id));
    let orders = house.take_orders();
    assert_eq!(orders[0], Order::Close { session }, "{orders:?}");
    house.wait(SECOND);
    let kinds: Vec<_> = (house.take_json(ben).iter())
        .map(|message| message["type"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kinds, ["updated"]);
    // The old WebSocket's end is no news.
    house.hang_up(ada);
    house.wait(100 * SECOND);
    assert_eq!(house.names(ben), ["Ada", "Ben"]);
}

#[test]
fn a_wrong_secret_is_a_new_join_that_needs_its_token() {
    let (mut house, _, _, _, _) = two();
    house.grant = None;
    for secret in [json!("wrong"), json!(""), Value::Null] {
        let again = house.connect();
        house.say(again, resumed(&secret));
        assert_eq!(house.verifying.pop(), Some((again, None)), "{secret}");
    }
}

#[test]
fn an_identity_belongs_to_one_subject() {
    let mut house = House::new();
    let somebody = |subject: &str| {
        Some(Grant {
            subject: Some(subject.to_owned()),
            ..grant(ParticipantRole::Participant)
        })
    };
    house.grant = somebody("ada");
    let ada = house.join("Ada");
    house.grant = somebody("eve");
    let eve = house.join("Ada");
    assert_eq!(house.errors(eve), ["identity"]);
    assert_eq!(house.closed(eve), Some(close::TOKEN));
    assert_eq!(house.closed(ada), None);
    house.grant = Some(grant(ParticipantRole::Participant));
    let anonymous = house.join("Ada");
    assert_eq!(house.errors(anonymous), ["identity"]);
    house.grant = somebody("ada");
    house.join("Ada");
    assert_eq!(house.closed(ada), Some(close::REPLACED));
}

#[test]
fn a_role_that_a_moderator_gave_survives_a_reload_and_a_new_token_changes_it() {
    let mut house = House::new();
    let moderator = house.join_as("Mod", ParticipantRole::Moderator);
    let ada = house.join("Ada");
    house.wait(SECOND);
    let id = house.id(moderator, "Ada");
    let role = json!({"type": "moderate", "action": "role", "id": id, "role": "performer"});
    house.say(moderator, role);
    let again = house.join("Ada");
    assert_eq!(house.last(again, "welcome")["role"], "performer");
    let again = house.join_as("Ada", ParticipantRole::Viewer);
    assert_eq!(house.last(again, "welcome")["role"], "viewer");
    assert_eq!(house.closed(ada), Some(close::REPLACED));
}

#[test]
fn whoever_comes_back_is_told_how_things_are() {
    let (mut house, ada, ben, session, resume) = two();
    let feeds = house.live_feeds();
    house.hang_up(ada);
    house.news(News::Slots {
        session,
        slots: vec![conference::SlotNews {
            mid: "4".to_owned(),
            is_audio: false,
            feed: feeds[1],
            state: conference::SlotState::Live,
        }],
    });
    house.news(News::Speakers {
        active: vec![(feeds[1], 30)],
        dominant: Some(feeds[1]),
    });
    house.news(News::Layers {
        feed: feeds[0],
        watched: vec![true, false, false],
    });
    // It comes back with its old self's WebSocket half open, too.
    let again = house.connect();
    house.say(again, resumed(&resume));
    let ben_id = house.id(ben, "Ben");
    let messages = house.take_json(again);
    let find = |kind: &str| messages.iter().find(|m| m["type"] == kind).unwrap();
    assert_eq!(find("slots")["slots"][0]["id"], json!(ben_id));
    assert_eq!(find("speakers")["dominant"], json!(ben_id));
    assert_eq!(find("layers")["active"], json!([true, false, false]));
    assert_eq!(find("quality")["participants"].as_array().unwrap().len(), 2);
}

#[test]
fn leaving_closes_media_then_the_websocket() {
    let (mut house, ada, ben, session, _) = two();
    house.say(ada, json!({"type": "leave"}));
    assert_eq!(house.take_orders()[0], Order::Close { session });
    assert_eq!(house.closed(ada), Some(close::LEFT));
    house.wait(SECOND);
    assert_eq!(house.last(ben, "left")["reason"], "left");
    house.say(ben, join_message("Ben"));
    house.say(ben, json!({"type": "leave"}));
    house.wait(SECOND);
    assert!(house.conference.is_empty());
    assert_eq!(house.conference.deadline(), None);
}
