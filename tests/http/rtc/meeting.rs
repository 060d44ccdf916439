//! People who see and hear one another.

use serde_json::{Value, json};

use super::person::{Person, Welcome, join};
use super::phone::Phone;
use crate::server::Server;

/// Publishes microphone and camera.
pub(crate) async fn publish(person: &mut Person, phone: &Phone) {
    let message = json!({ "type": "publish", "source": "camera", "audio": phone.microphone, "video": phone.camera,
        "layers": [{ "rid": "", "width": 640, "height": 360 }], "muted": { "audio": false, "video": false } });
    person.say(message).await;
}

/// The sections in which somebody's sound and picture come.
pub(crate) async fn slots(person: &mut Person, id: &str) -> (String, String) {
    let mid = |message: &Value, kind: &str| {
        let slots = message["slots"].as_array().unwrap();
        let is_wanted =
            |slot: &&Value| slot["kind"] == kind && slot["id"] == id && slot["state"] == "live";
        let slot = slots.iter().find(is_wanted)?;
        Some(slot["mid"].as_str().unwrap().to_owned())
    };
    let both = |message: &Value| Some((mid(message, "audio")?, mid(message, "video")?));
    let map = person.hear_where("slots", |map| both(map).is_some()).await;
    both(&map).unwrap()
}

/// Two who see and hear one another: Ada publishes, Bob watches.
pub(crate) struct Two {
    pub(crate) ada: Person,
    pub(crate) ada_is: Welcome,
    pub(crate) ada_phone: Phone,
    pub(crate) bob: Person,
    pub(crate) bob_phone: Phone,
    /// Where Bob hears and sees Ada.
    pub(crate) audio: String,
    pub(crate) video: String,
}

impl Two {
    pub(crate) async fn meet(server: &Server) -> Self {
        let (ada_phone, bob_phone) = (Phone::new(), Phone::new());
        let (mut ada, ada_is) = Person::call(server, "demo", "Ada", &ada_phone).await;
        let (mut bob, _) = Person::call(server, "demo", "Bob", &bob_phone).await;
        ada_phone.connected().await;
        bob_phone.connected().await;
        publish(&mut ada, &ada_phone).await;
        let (audio, video) = slots(&mut bob, &ada_is.id).await;
        bob_phone.receives(&video, 5).await;
        bob_phone.receives(&audio, 5).await;
        Self {
            ada,
            ada_is,
            ada_phone,
            bob,
            bob_phone,
            audio,
            video,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_publishes_and_the_other_sees_and_hears_it() {
    let server = Server::start().await;
    let Two {
        mut ada,
        ada_is,
        mut bob,
        ada_phone: _ada_phone,
        bob_phone: _bob_phone,
        ..
    } = Two::meet(&server).await;
    let published = bob
        .hear_of("updated", &ada_is.id, |ada| {
            ada["feeds"][0]["source"] == "camera"
        })
        .await;
    assert_eq!(published["feeds"][0]["audio"], true);
    bob.forget();
    ada.say(json!({ "type": "unpublish", "source": "camera" }))
        .await;
    bob.hear_of("updated", &ada_is.id, |ada| {
        ada["feeds"].as_array().unwrap().is_empty()
    })
    .await;
    bob.hear_where("slots", |message| {
        message["slots"].as_array().unwrap().is_empty()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_speaks_is_named() {
    let server = Server::start().await;
    let phone = Phone::new();
    let (mut ada, ada_is) = Person::call(&server, "demo", "Ada", &phone).await;
    let other = Phone::new();
    let (mut bob, _) = Person::call(&server, "demo", "Bob", &other).await;
    phone.connected().await;
    publish(&mut ada, &phone).await;
    let speakers = bob
        .hear_where("speakers", |message| message["dominant"] == ada_is.id)
        .await;
    assert_eq!(speakers["active"][0]["id"], ada_is.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_or_pictures_that_are_muted_or_silenced_stop_and_come_back() {
    let server = Server::start().await;
    let mut two = Two::meet(&server).await;
    let mute = |audio: bool, video: bool| json!({ "type": "mute", "source": "camera", "audio": audio, "video": video });
    two.ada.say(mute(true, true)).await;
    let is_muted = |ada: &Value| ada["feeds"][0]["muted"]["video"] == true;
    two.bob.hear_of("updated", &two.ada_is.id, is_muted).await;
    two.bob_phone.rests(&[&two.audio, &two.video]).await;
    two.ada.say(mute(false, false)).await;
    two.bob_phone.receives(&two.audio, 5).await;
    two.bob_phone.receives(&two.video, 5).await;

    two.bob
        .say(json!({ "type": "silence", "ids": [two.ada_is.id] }))
        .await;
    two.bob_phone.rests(&[&two.audio]).await;
    two.bob_phone.receives(&two.video, 5).await;
    two.bob.say(json!({ "type": "silence", "ids": [] })).await;
    let (audio, _) = slots(&mut two.bob, &two.ada_is.id).await;
    two.bob_phone.receives(&audio, 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_is_not_watched_does_not_come() {
    let server = Server::start().await;
    let mut two = Two::meet(&server).await;
    two.bob.say(json!({ "type": "watch", "tracks": [] })).await;
    two.bob_phone.rests(&[&two.video]).await;
    let wanted = json!({ "id": two.ada_is.id, "source": "camera", "width": 320, "height": 180, "priority": "normal" });
    two.bob.forget();
    two.bob
        .say(json!({ "type": "watch", "tracks": [wanted] }))
        .await;
    let (_, video) = slots(&mut two.bob, &two.ada_is.id).await;
    two.bob_phone.receives(&video, 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_offer_is_answered_and_all_goes_on() {
    let server = Server::start().await;
    let mut two = Two::meet(&server).await;
    let offer = two.bob_phone.offer_again();
    two.bob
        .say(json!({ "type": "offer", "id": 1, "sdp": offer }))
        .await;
    let answer = two.bob.hear("answer").await;
    assert_eq!(answer["id"], 1);
    two.bob_phone.take_answer(answer["sdp"].as_str().unwrap());
    two.bob_phone.receives(&two.video, 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_needs_more_slots_than_there_are_is_offered_them() {
    let server = Server::start().await;
    let watcher = Phone::new();
    let (mut bob, _) = Person::call(&server, "demo", "Bob", &watcher).await;
    watcher.connected().await;
    let mut others = Vec::new();
    for name in ["Ada", "Eve", "Joe", "Kim"] {
        let phone = Phone::new();
        let (mut person, is) = Person::call(&server, "demo", name, &phone).await;
        phone.connected().await;
        publish(&mut person, &phone).await;
        others.push((person, is, phone));
    }
    // One offer may not be enough: people come while the first one is on its way.
    let all_shown = |map: &Value| {
        let slots = map["slots"].as_array().unwrap();
        let is_shown = |id: &str| {
            slots
                .iter()
                .any(|slot| slot["kind"] == "video" && slot["id"] == id)
        };
        others.iter().all(|(_, is, _)| is_shown(&is.id))
    };
    let mut offers = 0;
    let map = loop {
        let message = bob.hear_any(&["offer", "slots"]).await;
        if message["type"] == "offer" {
            offers += 1;
            let answer = watcher.take_offer(message["sdp"].as_str().unwrap());
            bob.say(json!({ "type": "answer", "id": message["id"], "sdp": answer }))
                .await;
        } else if all_shown(&message) {
            break message;
        }
    };
    assert!(offers > 0);
    let pictures = map["slots"].as_array().unwrap().iter();
    for slot in pictures.filter(|slot| slot["kind"] == "video") {
        watcher.receives(slot["mid"].as_str().unwrap(), 5).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn feeds_that_come_with_the_first_message_are_seen_by_those_who_are_there() {
    let server = Server::start().await;
    let watcher = Phone::new();
    let (mut bob, _) = Person::call(&server, "demo", "Bob", &watcher).await;
    watcher.connected().await;
    let phone = Phone::new();
    let feed = json!({ "source": "camera", "audio": phone.microphone, "video": phone.camera,
        "layers": [{ "rid": "", "width": 640, "height": 360 }], "muted": { "audio": false, "video": false } });
    let mut joining = join("Ada");
    joining["sdp"] = json!(phone.offer());
    joining["feeds"] = json!([feed]);
    let (mut ada, ada_is) = Person::join_with(&server, "demo", joining).await;
    let answer = ada.hear("answer").await;
    phone.take_answer(answer["sdp"].as_str().unwrap());
    let (audio, video) = slots(&mut bob, &ada_is.id).await;
    watcher.receives(&video, 5).await;
    watcher.receives(&audio, 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_that_is_turned_on_later_is_seen_and_sound_goes_on() {
    let server = Server::start().await;
    let (phone, watcher) = (Phone::new(), Phone::new());
    let (mut ada, ada_is) = Person::call(&server, "demo", "Ada", &phone).await;
    let (mut bob, _) = Person::call(&server, "demo", "Bob", &watcher).await;
    let sections = |video: Value| {
        json!({ "type": "publish", "source": "camera", "audio": phone.microphone, "video": video,
        "layers": [{ "rid": "", "width": 640, "height": 360 }], "muted": { "audio": false, "video": false } })
    };
    ada.say(sections(Value::Null)).await;
    let is_heard = |map: &Value| map["slots"][0]["kind"] == "audio";
    let map = bob.hear_where("slots", is_heard).await;
    watcher
        .receives(map["slots"][0]["mid"].as_str().unwrap(), 5)
        .await;
    for video in [json!(phone.camera), Value::Null, json!(phone.camera)] {
        bob.forget();
        ada.say(sections(video.clone())).await;
        if video.is_null() {
            let alone = |map: &Value| map["slots"].as_array().unwrap().len() == 1;
            let map = bob.hear_where("slots", alone).await;
            assert_eq!(map["slots"][0]["kind"], "audio");
        } else {
            let (audio, video) = slots(&mut bob, &ada_is.id).await;
            watcher.receives(&video, 5).await;
            watcher.receives(&audio, 5).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_on_different_media_threads_see_and_hear_one_another() {
    let server = Server::start_with(|config| config.limits.participants_max = 40).await;
    let phone = Phone::new();
    let (mut ada, ada_is) = Person::call(&server, "demo", "Ada", &phone).await;
    phone.connected().await;
    // So many that the next one goes to the other thread; they never connect.
    let crowd = Phone::new();
    let mut idle = Vec::new();
    for number in 0..17 {
        let mut joining = join(&format!("Idle-{number}"));
        joining["sdp"] = json!(crowd.offer());
        let (mut person, _) = Person::join_with(&server, "demo", joining).await;
        person.hear("answer").await;
        idle.push(person);
    }
    let watcher = Phone::new();
    let (mut bob, bob_is) = Person::call(&server, "demo", "Bob", &watcher).await;
    watcher.connected().await;
    publish(&mut ada, &phone).await;
    publish(&mut bob, &watcher).await;
    let (audio, video) = slots(&mut bob, &ada_is.id).await;
    watcher.receives(&audio, 5).await;
    watcher.receives(&video, 5).await;
    let (audio, video) = slots(&mut ada, &bob_is.id).await;
    phone.receives(&audio, 5).await;
    phone.receives(&video, 5).await;
    assert!(
        server.count("packets_relayed") > 0,
        "they are on one thread"
    );

    bob.say(json!({ "type": "leave" })).await;
    let is_empty = |map: &Value| map["slots"].as_array().unwrap().is_empty();
    ada.hear_where("slots", is_empty).await;
}
