//! The stage, roles, and the rights that follow.

use std::time::Duration;

use conference::{Order, ParticipantRole};
use serde_json::{Value, json};

use crate::house::{Client, House, camera};

fn moderate(house: &mut House, moderator: Client, action: &str, mut fields: Value) {
    fields["type"] = json!("moderate");
    fields["action"] = json!(action);
    house.say(moderator, fields);
}

#[test]
fn somebody_of_the_audience_is_called_on_stage_and_sent_back() {
    let mut house = House::new();
    let moderator = house.join_as("Mod", ParticipantRole::Moderator);
    let viewer = house.join_as("Vic", ParticipantRole::Viewer);
    house.wait(Duration::from_secs(1));
    let id = house.id(moderator, "Vic");
    house.say(viewer, json!({"type": "hand", "raised": true}));
    house.wait(Duration::from_secs(1));
    moderate(
        &mut house,
        moderator,
        "stage",
        json!({"id": id, "on": true}),
    );
    let told = house.last(viewer, "permissions");
    assert_eq!(told["role"], "viewer");
    assert_eq!(told["permissions"]["publish"], true);
    assert_eq!(told["permissions"]["music"], false);
    house.take_orders();
    house.say(viewer, camera());
    assert!(
        matches!(house.take_orders()[..], [Order::Publish { .. }]),
        "no renegotiation"
    );
    house.wait(Duration::from_secs(1));
    let updated = house.last(moderator, "updated");
    assert_eq!(updated["participant"]["stage"], true);
    assert_eq!(updated["participant"]["hand"], Value::Null);
    house.take_orders();

    moderate(
        &mut house,
        moderator,
        "stage",
        json!({"id": id, "on": false}),
    );
    let messages = house.take_json(viewer);
    let kinds: Vec<_> = messages
        .iter()
        .map(|m| m["type"].as_str().unwrap())
        .collect();
    assert!(
        kinds.contains(&"permissions") && kinds.contains(&"unpublished"),
        "{kinds:?}"
    );
    let orders = house.take_orders();
    assert!(matches!(orders[0], Order::Unpublish { .. }), "{orders:?}");
    assert_eq!(house.closed(viewer), None);
    house.say(viewer, camera());
    assert_eq!(house.errors(viewer), ["forbidden"]);
}

#[test]
fn a_space_whose_stage_alone_publishes_silences_the_others() {
    let mut house = House::new();
    let moderator = house.join_as("Mod", ParticipantRole::Moderator);
    let ada = house.join("Ada");
    let ben = house.join("Ben");
    house.wait(Duration::from_secs(1));
    let id = house.id(moderator, "Ada");
    moderate(
        &mut house,
        moderator,
        "stage",
        json!({"id": id, "on": true}),
    );
    house.wait(Duration::from_secs(1));
    for client in [moderator, ada, ben] {
        house.take(client);
    }
    house.take_orders();
    moderate(&mut house, moderator, "stage_only", json!({"on": true}));
    assert_eq!(house.last(ben, "unpublished")["source"], "camera");
    assert!(
        house
            .take_json(ada)
            .iter()
            .all(|m| m["type"] != "unpublished")
    );
    assert!(
        house
            .take_json(moderator)
            .iter()
            .all(|m| m["type"] != "unpublished")
    );
    assert_eq!(house.live_feeds().len(), 2);

    // Whoever comes now is told at once.
    let eve = house.join("Eve");
    let welcome = house.last(eve, "welcome");
    assert_eq!(welcome["space"]["stage_only"], true);
    assert_eq!(welcome["permissions"]["publish"], false);
    moderate(&mut house, moderator, "stage_only", json!({"on": false}));
    assert_eq!(
        house.last(eve, "permissions")["permissions"]["publish"],
        true
    );
}

#[test]
fn a_role_that_is_lowered_takes_its_rights_along() {
    let mut house = House::new();
    let moderator = house.join_as("Mod", ParticipantRole::Moderator);
    let performer = house.join_as("Pia", ParticipantRole::Performer);
    house.say(performer, json!({"type": "music", "on": true}));
    house.wait(Duration::from_secs(1));
    let id = house.id(moderator, "Pia");
    house.take_orders();

    moderate(
        &mut house,
        moderator,
        "role",
        json!({"id": id, "role": "participant"}),
    );
    assert!(
        matches!(
            house.take_orders()[..],
            [Order::Publish {
                is_music: false,
                ..
            }]
        ),
        "the feed stays, as speech"
    );
    moderate(
        &mut house,
        moderator,
        "role",
        json!({"id": id, "role": "viewer"}),
    );
    house.wait(Duration::from_secs(1));
    assert!(matches!(house.take_orders()[0], Order::Unpublish { .. }));
    moderate(
        &mut house,
        moderator,
        "role",
        json!({"id": id, "role": "moderator"}),
    );
    assert_eq!(
        house.last(performer, "permissions")["permissions"]["moderate"],
        true
    );
    // Moderators may undo one another, and themselves.
    let own = house.id(moderator, "Mod");
    moderate(
        &mut house,
        performer,
        "role",
        json!({"id": own, "role": "viewer"}),
    );
    moderate(&mut house, moderator, "lock", json!({"on": true}));
    assert_eq!(house.errors(moderator), ["forbidden"]);
}

#[test]
fn a_role_that_changes_nothing_is_told_nobody() {
    let mut house = House::new();
    let moderator = house.join_as("Mod", ParticipantRole::Moderator);
    let ada = house.join("Ada");
    house.wait(Duration::from_secs(1));
    let id = house.id(moderator, "Ada");
    house.take(ada);
    moderate(
        &mut house,
        moderator,
        "role",
        json!({"id": id, "role": "participant"}),
    );
    house.wait(Duration::from_secs(1));
    assert_eq!(house.take(ada), []);
}
