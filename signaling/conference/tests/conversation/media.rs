//! Feeds, pictures, sound, and what media tells.

use std::time::Duration;

use conference::{
    FeedId, News, Order, ParticipantRole, Priority, Quality, SlotNews, SlotState, Want,
};
use serde_json::{Value, json};

use crate::house::{Client, House, camera, screen};

fn settle(house: &mut House) {
    house.wait(Duration::from_secs(1));
    house.take_orders();
    let clients: Vec<_> = house.clients.keys().copied().collect();
    for client in clients {
        house.take(client);
    }
}

/// The last list of pictures that was ordered.
fn wants(house: &mut House) -> Vec<Want> {
    (house.take_orders().iter().rev())
        .find_map(|order| match order {
            Order::Watch { wants, .. } => Some(wants.clone()),
            _ => None,
        })
        .unwrap_or_default()
}

fn track(house: &House, client: Client, name: &str, source: &str, height: u32) -> Value {
    json!({"id": house.id(client, name), "source": source, "width": height * 16 / 9, "height": height})
}

#[test]
fn without_a_word_everybody_is_shown_in_the_order_of_joining_screens_first() {
    let mut house = House::new();
    house.join("Ada");
    house.join("Ben");
    let eve = house.join("Eve");
    let feeds = house.live_feeds();
    let own = house.last_session();
    let orders = house.take_orders();
    let shown = (orders.iter()).find_map(|order| match order {
        Order::Watch { session, wants } if *session == own => Some(wants),
        _ => None,
    });
    let shown: Vec<_> = shown.unwrap().iter().map(|want| want.feed).collect();
    assert_eq!(shown, feeds[..2], "as soon as she is in");
    settle(&mut house);
    house.say(eve, screen());
    house.wait(Duration::from_secs(1));
    let shared = house.live_feeds()[3];
    let orders = house.take_orders();
    let lists: Vec<_> = (orders.iter())
        .filter_map(|order| match order {
            Order::Watch { wants, .. } => Some(wants),
            _ => None,
        })
        .collect();
    assert_eq!(lists.len(), 2, "hers has not changed: {orders:?}");
    for list in lists {
        assert_eq!(list[0].feed, shared);
        assert!(list[0].is_detail && list[0].priority == Priority::High);
    }
}

#[test]
fn the_size_on_screen_chooses_the_layer() {
    let mut house = House::new();
    let ada = house.join("Ada");
    house.join("Ben");
    house.join("Eve");
    settle(&mut house);
    for (height, layer_max) in [(90, 0), (180, 0), (300, 1), (360, 1), (460, 2), (1080, 2)] {
        let tracks = json!([track(&house, ada, "Eve", "camera", height)]);
        house.say(ada, json!({"type": "watch", "tracks": tracks}));
        let orders = house.take_orders();
        for order in &orders {
            let Order::Watch { wants, .. } = order else {
                panic!("{order:?}");
            };
            assert_eq!(
                (wants.len(), wants[0].layer_max),
                (1, layer_max),
                "{height}"
            );
        }
        house.say(ada, json!({"type": "watch", "tracks": tracks}));
        assert_eq!(house.take_orders(), [], "the same again is no order");
    }
}

#[test]
fn what_cannot_be_watched_is_left_out_until_it_can() {
    let mut house = House::new();
    let ada = house.join("Ada");
    let ben = house.join("Ben");
    settle(&mut house);
    let camera_of_ben = track(&house, ada, "Ben", "camera", 360);
    let tracks = json!([
        track(&house, ada, "Ben", "screen", 720),
        camera_of_ben.clone(),
        camera_of_ben,
        track(&house, ada, "Ada", "camera", 360),
        {"id": "p_nobody", "source": "camera"},
    ]);
    house.say(ada, json!({"type": "watch", "tracks": tracks}));
    assert_eq!(wants(&mut house).len(), 1);
    house.say(ben, screen());
    house.wait(Duration::from_secs(1));
    let list = wants(&mut house);
    assert_eq!(list.len(), 2);
    assert!(list[0].is_detail, "in the order of the list");
    house.say(ben, json!({"type": "unpublish", "source": "screen"}));
    house.say(ben, json!({"type": "unpublish", "source": "screen"}));
    assert_eq!(house.errors(ben), ["not_found"]);
    house.wait(Duration::from_secs(1));
    assert_eq!(wants(&mut house).len(), 1);
    house.say(ada, json!({"type": "watch", "tracks": []}));
    assert!(matches!(&house.take_orders()[..], [Order::Watch { wants, .. }] if wants.is_empty()));
}

#[test]
fn no_more_pictures_are_wanted_than_there_can_be_slots() {
    let mut house = House::new();
    for number in 0..60 {
        house.join(&format!("P{number:02}"));
        house.take_orders();
    }
    let last = house.join("Last");
    house.wait(Duration::from_secs(1));
    assert_eq!(wants(&mut house).len(), 49);
    let tracks: Vec<_> = (0..60)
        .rev()
        .map(|number| track(&house, last, &format!("P{number:02}"), "camera", 90))
        .collect();
    house.say(last, json!({"type": "watch", "tracks": tracks}));
    assert_eq!(wants(&mut house).len(), 49);
}

#[test]
fn sound_that_somebody_does_not_want_is_told_by_feed() {
    let mut house = House::new();
    let ada = house.join("Ada");
    let ben = house.join("Ben");
    settle(&mut house);
    let feed = house.live_feeds()[1];
    let ids = [
        house.id(ada, "Ben"),
        house.id(ada, "Ada"),
        "p_nobody".to_owned(),
    ];
    house.say(ada, json!({"type": "silence", "ids": ids}));
    assert!(matches!(&house.take_orders()[..], [Order::Silence { feeds, .. }] if *feeds == [feed]));
    // It holds for whatever Ben publishes later.
    house.say(
        ben,
        json!({"type": "publish", "source": "screen", "audio": "3", "video": "2"}),
    );
    house.wait(Duration::from_secs(1));
    let orders = house.take_orders();
    assert!(
        (orders.iter())
            .any(|order| matches!(order, Order::Silence { feeds, .. } if feeds.len() == 2)),
        "{orders:?}"
    );
    house.say(ada, json!({"type": "silence", "ids": []}));
    assert!(matches!(&house.take_orders()[..], [Order::Silence { feeds, .. }] if feeds.is_empty()));
}

#[test]
fn a_feed_that_changes_is_the_same_feed() {
    let mut house = House::new();
    let ada = house.join_as("Ada", ParticipantRole::Performer);
    settle(&mut house);
    let feed = house.live_feeds()[0];
    house.say(ada, camera());
    assert_eq!(house.take_orders(), [], "nothing changed");
    house.say(
        ada,
        json!({"type": "publish", "source": "camera", "audio": "0", "video": "5", "muted": {"audio": true}}),
    );
    let orders = house.take_orders();
    assert!(
        matches!(&orders[..], [
            Order::Publish { feed: one, video: Some(mid), .. },
            Order::Mute { feed: two, audio: true, video: false, .. },
        ] if one == two && *one == feed && mid == "5"),
        "{orders:?}"
    );
    house.say(ada, json!({"type": "music", "on": true}));
    assert!(matches!(
        house.take_orders()[..],
        [Order::Publish { is_music: true, .. }]
    ));
    house.say(
        ada,
        json!({"type": "publish", "source": "screen", "video": "5"}),
    );
    assert_eq!(
        house.errors(ada),
        ["conflict"],
        "a section belongs to one feed"
    );
    house.say(
        ada,
        json!({"type": "mute", "source": "screen", "audio": true, "video": true}),
    );
    assert_eq!(house.errors(ada), ["not_found"]);
}

#[test]
fn slots_and_speakers_are_told_by_participant() {
    let mut house = House::new();
    let ada = house.join("Ada");
    let session = house.last_session();
    let ben = house.join("Ben");
    settle(&mut house);
    let feeds = house.live_feeds();
    let slot = |feed: FeedId, mid: &str, is_audio: bool, state: SlotState| SlotNews {
        mid: mid.to_owned(),
        is_audio,
        feed,
        state,
    };
    house.news(News::Slots {
        session,
        slots: vec![
            slot(feeds[1], "4", true, SlotState::Live),
            slot(feeds[1], "7", false, SlotState::Paused),
            slot(FeedId(9_999), "8", false, SlotState::Live),
        ],
    });
    let ben_id = house.id(ada, "Ben");
    assert_eq!(
        house.take_json(ada),
        [json!({"type": "slots", "slots": [
            {"mid": "4", "kind": "audio", "id": ben_id, "source": "camera", "state": "live"},
            {"mid": "7", "kind": "video", "id": ben_id, "source": "camera", "state": "paused"},
        ]})]
    );
    house.news(News::Speakers {
        active: vec![(feeds[1], 20), (feeds[0], 40), (FeedId(9_999), 50)],
        dominant: Some(feeds[1]),
    });
    let speakers = house.last(ben, "speakers");
    assert_eq!(speakers["dominant"], json!(ben_id));
    assert_eq!(speakers["active"].as_array().unwrap().len(), 2);
    assert_eq!(speakers["active"][0], json!({"id": ben_id, "level": 20}));
}

#[test]
fn a_publisher_is_told_its_watched_layers_when_they_change() {
    let mut house = House::new();
    let ada = house.join("Ada");
    settle(&mut house);
    let feed = house.live_feeds()[0];
    let news = |watched: [bool; 3]| News::Layers {
        feed,
        watched: watched.to_vec(),
    };
    house.news(news([true, false, false]));
    house.news(news([true, false, false]));
    assert_eq!(
        house.take_json(ada),
        [json!({"type": "layers", "source": "camera", "active": [true, false, false]})]
    );
    house.news(news([true, true, false]));
    assert_eq!(house.take(ada).len(), 1);
}

#[test]
fn quality_is_told_in_words_and_together() {
    let mut house = House::new();
    let ada = house.join("Ada");
    let first = house.last_session();
    house.news(News::Connected { session: first });
    house.join("Ben");
    let second = house.last_session();
    house.news(News::Connected { session: second });
    settle(&mut house);
    house.wait(Duration::from_secs(1));
    house.news(News::Quality {
        session: first,
        quality: Quality::Poor,
    });
    house.news(News::Quality {
        session: second,
        quality: Quality::Fair,
    });
    house.wait(Duration::from_secs(1));
    let told: Vec<_> = house.take_json(ada);
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(told[0]["participants"][0]["quality"], "poor");
    assert_eq!(told[1]["participants"][0]["quality"], "fair");
    house.news(News::Quality {
        session: first,
        quality: Quality::Poor,
    });
    house.wait(Duration::from_secs(1));
    assert_eq!(house.take(ada), []);
}

#[test]
fn nobody_is_shown_a_feed_before_media_knows_it() {
    let mut house = House::new();
    let ada = house.join("Ada");
    settle(&mut house);
    house.answers = false;
    house.join("Ben");
    house.wait(Duration::from_secs(1));
    let orders = house.take_orders();
    assert!(matches!(orders[..], [Order::Open { .. }]), "{orders:?}");
    assert_eq!(house.names(ada), ["Ada", "Ben"]);
    house.news(crate::house::answer_to(&orders[0]).unwrap());
    house.wait(Duration::from_secs(1));
    let orders = house.take_orders();
    let published = (orders.iter()).position(|order| matches!(order, Order::Publish { .. }));
    let shown = (orders.iter()).rposition(|order| matches!(order, Order::Watch { .. }));
    assert!(published.unwrap() < shown.unwrap(), "{orders:?}");
}
