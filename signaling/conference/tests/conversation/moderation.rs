//! Who may do what to whom.

use std::time::Duration;

use conference::protocol::close;
use conference::{News, Order, ParticipantRole, Refusal};
use serde_json::{Value, json};

use crate::house::{Client, House, camera, screen};

const ROLES: [ParticipantRole; 4] = [
    ParticipantRole::Viewer,
    ParticipantRole::Participant,
    ParticipantRole::Performer,
    ParticipantRole::Moderator,
];

/// Somebody with a role, and Ben, a participant with a camera whose id comes last.
fn with(role: ParticipantRole) -> (House, Client, Client, String) {
    let mut house = House::new();
    let somebody = house.join_as("Ada", role);
    let ben = house.join("Ben");
    house.wait(Duration::from_secs(1));
    let id = house.id(somebody, "Ben");
    house.take(somebody);
    house.take(ben);
    house.take_orders();
    (house, somebody, ben, id)
}

#[test]
fn every_role_may_say_what_it_may_say() {
    // The message, and for viewer, participant, performer, moderator: the error, or nothing.
    let all = |code: &'static str| [code; 4];
    let from =
        |lowest: usize| std::array::from_fn(|role| if role < lowest { "forbidden" } else { "" });
    let moderate = |action: &str, mut fields: Value| {
        fields["type"] = json!("moderate");
        fields["action"] = json!(action);
        fields
    };
    let table: Vec<(Value, [&str; 4])> = vec![
        (json!({"type": "offer", "id": 1, "sdp": "offer"}), all("")),
        (
            json!({"type": "answer", "id": 1, "sdp": "answer"}),
            all("conflict"),
        ),
        (
            json!({"type": "candidate", "candidate": "candidate:1"}),
            all(""),
        ),
        (crate::house::camera(), from(1)),
        (screen(), from(1)),
        (json!({"type": "music", "on": true}), from(2)),
        (json!({"type": "watch", "tracks": []}), all("")),
        (json!({"type": "silence", "ids": []}), all("")),
        (json!({"type": "hand", "raised": true}), all("")),
        (json!({"type": "rename", "name": "Ada L."}), all("")),
        (
            moderate(
                "mute",
                json!({"id": "BEN", "source": "camera", "audio": true}),
            ),
            from(3),
        ),
        (
            moderate("unpublish", json!({"id": "BEN", "source": "camera"})),
            from(3),
        ),
        (moderate("stage", json!({"id": "BEN", "on": true})), from(3)),
        (
            moderate("role", json!({"id": "BEN", "role": "performer"})),
            from(3),
        ),
        (moderate("remove", json!({"id": "BEN"})), from(3)),
        (moderate("lock", json!({"on": true})), from(3)),
        (moderate("stage_only", json!({"on": true})), from(3)),
        (moderate("lower_hand", json!({"id": "BEN"})), from(3)),
        (
            moderate(
                "stream",
                json!({"id": "BEN", "source": "camera", "stream": "guest"}),
            ),
            from(3),
        ),
        (
            moderate("stream", json!({"source": "camera", "stream": "mine"})),
            from(2),
        ),
        (json!({"type": "leave"}), all("")),
    ];
    for (message, expected) in table {
        for (role, expected) in ROLES.into_iter().zip(expected) {
            let (mut house, ada, _, ben) = with(role);
            house.say_text(ada, &message.to_string().replace("BEN", &ben));
            let errors = house.errors(ada);
            let wanted: Vec<_> = Some(expected)
                .filter(|code| !code.is_empty())
                .into_iter()
                .collect();
            assert_eq!(errors, wanted, "{role:?} says {message}");
        }
    }
}

#[test]
fn a_viewer_joins_without_its_feeds() {
    let mut house = House::new();
    let viewer = house.join_as("Vic", ParticipantRole::Viewer);
    let messages = house.take_json(viewer);
    assert_eq!(messages[0]["permissions"]["publish"], false);
    assert_eq!(messages[0]["participants"][0]["feeds"], json!([]));
    assert_eq!(
        (&messages[1]["code"], &messages[1]["request"]),
        (&json!("forbidden"), &json!("publish"))
    );
    assert!(house.live_feeds().is_empty());
    assert_eq!(house.live_sessions().len(), 1, "it sees and hears");
}

#[test]
fn others_can_be_muted_but_never_unmuted() {
    let (mut house, moderator, ben, id) = with(ParticipantRole::Moderator);
    let mute = |audio: bool, video: bool| json!({"type": "moderate", "action": "mute", "id": id, "source": "camera", "audio": audio, "video": video});
    house.say(moderator, mute(true, false));
    let muted = house.last(ben, "muted");
    assert_eq!(
        (&muted["audio"], &muted["video"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(muted["by"], json!(house.id(ben, "Ada")));
    assert!(matches!(
        house.take_orders()[..],
        [Order::Mute {
            audio: true,
            video: false,
            ..
        }]
    ));
    house.say(moderator, mute(false, true));
    assert!(matches!(
        house.take_orders()[..],
        [Order::Mute {
            audio: true,
            video: true,
            ..
        }]
    ));
    house.say(moderator, mute(false, false));
    assert_eq!(house.take_orders(), []);
    house.take(ben);
    house.say(
        ben,
        json!({"type": "mute", "source": "camera", "audio": false, "video": false}),
    );
    assert!(matches!(
        house.take_orders()[..],
        [Order::Mute {
            audio: false,
            video: false,
            ..
        }]
    ));
    house.wait(Duration::from_secs(1));
    let updated = house.last(moderator, "updated");
    assert_eq!(updated["participant"]["feeds"][0]["muted"]["audio"], false);
}

/// Whether the last order about what Ben's media drops is to drop his sound.
fn drops_sound(house: &mut House) -> Option<bool> {
    (house.take_orders().iter().rev()).find_map(|order| match order {
        Order::Mute { audio, .. } => Some(*audio),
        _ => None,
    })
}

#[test]
fn what_is_muted_stays_muted_in_other_sections() {
    let (mut house, _, ben, _) = with(ParticipantRole::Moderator);
    house.say(
        ben,
        json!({"type": "mute", "source": "camera", "audio": true, "video": false}),
    );
    house.take_orders();
    let again = json!({"type": "publish", "source": "camera", "audio": "0", "video": null, "muted": {"audio": true}});
    house.say(ben, again);
    assert_eq!(drops_sound(&mut house), Some(true));
}

#[test]
fn only_its_owner_s_own_word_ends_a_moderator_s_mute() {
    let (mut house, moderator, ben, id) = with(ParticipantRole::Moderator);
    house.say(
        moderator,
        json!({"type": "moderate", "action": "mute", "id": id, "source": "camera", "audio": true}),
    );
    house.take(ben);
    house.take_orders();

    house.say(ben, camera());
    assert_eq!(
        house.last(ben, "muted")["audio"],
        true,
        "published as before"
    );
    let other = json!({"type": "publish", "source": "camera", "audio": "0", "video": null});
    house.say(ben, other);
    assert_eq!(house.last(ben, "muted")["audio"], true);
    assert_eq!(drops_sound(&mut house), Some(true));

    // A reload, or a client that was away when it was muted.
    let ben = house.join("Ben");
    let messages = house.take_json(ben);
    let kinds: Vec<_> = messages.iter().map(|message| &message["type"]).collect();
    assert_eq!(kinds[..2], ["welcome", "muted"]);
    assert_eq!(messages[1]["audio"], true);
    assert_eq!(drops_sound(&mut house), Some(true));

    house.say(
        ben,
        json!({"type": "mute", "source": "camera", "audio": false, "video": false}),
    );
    assert_eq!(drops_sound(&mut house), Some(false));
    let ben = house.join("Ben");
    assert_eq!(drops_sound(&mut house), None);
    assert!(
        house
            .take_json(ben)
            .iter()
            .all(|message| message["type"] != "muted")
    );
}

#[test]
fn whoever_is_removed_hears_why_and_is_closed() {
    let (mut house, moderator, ben, id) = with(ParticipantRole::Moderator);
    house.say(
        moderator,
        json!({"type": "moderate", "action": "remove", "id": id, "reason": "come back after the break"}),
    );
    assert_eq!(
        house.take_json(ben),
        [
            json!({"type": "left", "id": id, "reason": "removed", "message": "come back after the break"})
        ]
    );
    assert_eq!(house.closed(ben), Some(close::REMOVED));
    assert!(matches!(house.take_orders()[0], Order::Close { .. }));
    house.wait(Duration::from_secs(1));
    let left = house.last(moderator, "left");
    assert_eq!(
        (&left["reason"], left.get("message")),
        (&json!("removed"), None)
    );
    house.say(
        moderator,
        json!({"type": "moderate", "action": "remove", "id": id}),
    );
    assert_eq!(house.errors(moderator), ["not_found"]);
}

#[test]
fn a_locked_space_lets_only_moderators_in_and_ones_old_self() {
    let (mut house, moderator, ben, _) = with(ParticipantRole::Moderator);
    house.say(
        moderator,
        json!({"type": "moderate", "action": "lock", "on": true}),
    );
    assert_eq!(house.last(ben, "space")["space"]["locked"], true);
    let eve = house.join("Eve");
    assert_eq!(house.errors(eve), ["locked"]);
    assert_eq!(house.closed(eve), Some(close::TOKEN));
    let ben = house.join("Ben");
    assert_eq!(house.closed(ben), None);
    let second = house.join_as("Max", ParticipantRole::Moderator);
    assert_eq!(house.closed(second), None);
    house.take(moderator);
    house.say(
        moderator,
        json!({"type": "moderate", "action": "lock", "on": true}),
    );
    assert!(
        house
            .take_json(moderator)
            .iter()
            .all(|m| m["type"] != "space")
    );
    house.say(
        moderator,
        json!({"type": "moderate", "action": "lock", "on": false}),
    );
    let eve = house.join("Eve");
    assert_eq!(house.closed(eve), None);
}

#[test]
fn hands_are_raised_lowered_and_keep_their_time() {
    let (mut house, moderator, ben, id) = with(ParticipantRole::Moderator);
    house.say(ben, json!({"type": "hand", "raised": true}));
    let since = house.last(moderator, "updated")["participant"]["hand"].clone();
    assert!(since.as_str().unwrap().ends_with('Z'), "{since}");
    house.wait(Duration::from_secs(5));
    house.say(ben, json!({"type": "hand", "raised": true}));
    assert_eq!(house.take(moderator), [], "it was up already");
    house.say(
        moderator,
        json!({"type": "moderate", "action": "lower_hand", "id": id}),
    );
    house.wait(Duration::from_secs(1));
    assert_eq!(
        house.last(ben, "updated")["participant"]["hand"],
        Value::Null
    );
}

#[test]
fn a_feed_becomes_a_stream_when_its_name_is_free() {
    let (mut house, performer, ben, id) = with(ParticipantRole::Performer);
    house.answers = false;
    let name = |stream: Value| json!({"type": "moderate", "action": "stream", "source": "camera", "stream": stream});
    house.say(performer, name(json!("guest")));
    let Some(Order::Name { feed, stream }) = house.take_orders().pop() else {
        panic!("no order");
    };
    assert_eq!(stream.as_deref(), Some("guest"));
    assert_eq!(house.take(ben), [], "not before media says so");
    house.news(News::Named {
        feed,
        result: Ok(stream),
    });
    assert_eq!(
        house.last(ben, "updated")["participant"]["feeds"][0]["stream"],
        "guest"
    );

    house.say(performer, name(json!("taken")));
    house.news(News::Named {
        feed,
        result: Err(Refusal::Taken),
    });
    let error = house.last(performer, "error");
    assert_eq!(
        (&error["code"], &error["request"]),
        (&json!("conflict"), &json!("moderate"))
    );
    house.say(performer, name(json!("no such/name")));
    assert_eq!(house.errors(performer), ["name"]);
    house.take_orders();

    // A reload takes the name along.
    house.answers = true;
    let performer = house.join_as("Ada", ParticipantRole::Performer);
    let orders = house.take_orders();
    assert!(
        matches!(orders.iter().rev().find(|o| matches!(o, Order::Name { .. })),
            Some(Order::Name { stream: Some(name), .. }) if name == "guest"),
        "{orders:?}"
    );
    // An end on purpose forgets it.
    house.say(performer, json!({"type": "unpublish", "source": "camera"}));
    house.say(performer, crate::house::camera());
    let orders = house.take_orders();
    assert!(
        !orders
            .iter()
            .any(|order| matches!(order, Order::Name { .. })),
        "{orders:?}"
    );
    let other = json!({"type": "moderate", "action": "stream", "id": id, "source": "camera", "stream": "x"});
    house.say(performer, other);
    assert_eq!(house.errors(performer), ["forbidden"]);
}
