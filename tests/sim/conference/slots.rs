//! Slots that go from hand to hand, streams that come, go and fall silent.

use std::time::Instant;

use sfu::{Priority, SlotState, StreamId};

use super::microphone::Turn;
use super::participant::Source;
use super::room::Plan;
use super::venue::{MS, Path, S, Venue};
use crate::shell::seed;

/// When somebody was shown pictures of a stream.
fn shown(venue: &Venue, who: usize, stream: StreamId) -> Vec<Instant> {
    let participant = venue.world.clients[who].in_conference().unwrap();
    let decoded = participant
        .slots
        .iter()
        .flat_map(|slot| &slot.picture.decoded);
    let mut times: Vec<Instant> = decoded
        .filter(|decoded| u64::from(decoded.picture.publication) == stream.0)
        .map(|decoded| decoded.at)
        .collect();
    times.sort();
    times
}

#[test]
fn a_slot_goes_from_one_who_leaves_to_one_who_comes() {
    for (at, workers) in (0..).zip(1..=3) {
        let mut venue = Venue::of(seed(230) + at, workers, 4);
        venue.plan_all(&Plan::Everybody { layer_max: 2 });
        venue.run_until(5 * S);
        for round in 0..6_usize {
            let leaves = venue.people[round % 3 + 1];
            let gone = venue.streams[round % 3 + 1];
            if round % 2 == 0 {
                venue.world.leave(leaves);
            } else {
                let peer = venue.world.clients[leaves].peer;
                let worker = venue.world.clients[leaves].worker;
                venue.world.tell(worker, sfu::Command::Close { peer });
            }
            venue.world.run(2 * S);
            let began = venue.world.now;
            venue.enter(Path::GOOD);
            let (client, stream) = (venue.people.pop().unwrap(), venue.streams.pop().unwrap());
            venue.people[round % 3 + 1] = client;
            venue.streams[round % 3 + 1] = stream;
            venue.world.run(3 * S);
            venue.check();
            let first = shown(&venue, venue.people[0], stream).first().copied();
            let first = first.expect("the one who came is seen") - began;
            assert!(first < S, "round {round}: seen after {first:?}");
            let last = shown(&venue, venue.people[0], gone).last().copied();
            assert!(last.unwrap() < began, "round {round}: seen after it left");
        }
        let watcher = venue.world.clients[venue.people[0]].in_conference();
        let slots = watcher.unwrap().slots.iter().filter(|slot| !slot.is_audio);
        assert_eq!(slots.count(), 3, "no slot was added");
    }
}

#[test]
fn pictures_change_places_without_another_negotiation() {
    let mut venue = Venue::of(seed(233), 2, 8);
    let (watcher, streams) = (venue.people[0], venue.streams.clone());
    let first = |three: [usize; 3]| {
        Plan::List(
            three
                .into_iter()
                .map(|at| (streams[at], 2, Priority::Normal))
                .collect(),
        )
    };
    for round in 0..8 {
        let three = [1 + round % 7, 1 + (round + 2) % 7, 1 + (round + 4) % 7];
        venue.world.plan(watcher, first(three));
        venue.world.run(3 * S);
        let after = venue.world.now - S;
        for (at, stream) in streams.iter().enumerate() {
            let times = shown(&venue, watcher, *stream);
            let now = times.last().is_some_and(|last| *last > after);
            assert_eq!(now, three.contains(&at), "round {round}: {stream}");
        }
    }
    venue.check();
}

#[test]
fn what_is_muted_is_dropped_and_what_is_unmuted_is_back_at_once() {
    for (at, workers) in (0..).zip(1..=2) {
        let mut venue = Venue::of(seed(235) + at, workers, 3);
        let (owner, stream, other) = (venue.people[1], venue.streams[1], venue.people[0]);
        venue.world.script(owner, vec![Turn::new(2 * S, 100 * S)]);
        venue.run_until(5 * S);
        for (sound, picture) in [(true, false), (false, true), (true, true)] {
            venue.world.mute(stream, sound, picture);
            venue.world.run(500 * MS);
            let muted = venue.world.now;
            venue.world.run(3 * S);
            let unmuted = venue.world.now;
            venue.world.mute(stream, false, false);
            venue.world.run(2 * S);
            venue.check();
            let case = format!("{workers} workers, sound {sound}, picture {picture}");
            let times = shown(&venue, other, stream);
            let of = |from, until| {
                times
                    .iter()
                    .filter(|at| (from..until).contains(*at))
                    .count()
            };
            assert_eq!(of(muted, unmuted) == 0, picture, "{case}");
            let back = times.iter().find(|at| **at >= unmuted).unwrap();
            assert!(*back - unmuted < 500 * MS, "{case}: {:?}", *back - unmuted);
            let participant = venue.world.clients[other].in_conference().unwrap();
            let heard: Vec<Instant> = participant
                .slots
                .iter()
                .flat_map(|slot| &slot.heard)
                .filter(|heard| u64::from(heard.voice.publication) == stream.0)
                .map(|heard| heard.at)
                .collect();
            let of = |from, until| {
                heard
                    .iter()
                    .filter(|at| (from..until).contains(*at))
                    .count()
            };
            assert_eq!(of(muted, unmuted) == 0, sound, "{case}");
            assert!(of(unmuted, unmuted + 200 * MS) > 3, "{case}");
        }
    }
}

#[test]
fn a_screen_is_shared_beside_the_camera_and_taken_back() {
    let mut venue = Venue::of(seed(238), 2, 3);
    let (owner, other) = (venue.people[1], venue.people[0]);
    venue.run_until(4 * S);
    for _ in 0..3 {
        let screen = StreamId(venue.world.next_id());
        venue
            .world
            .publish_feed(owner, screen, Source::Screen, false);
        venue.world.run(3 * S);
        let times = shown(&venue, other, screen);
        assert!(times.len() > 30, "{} pictures of the screen", times.len());
        venue.world.unpublish(screen);
        let ended = venue.world.now;
        venue.world.run(2 * S);
        let late = shown(&venue, other, screen);
        assert!(late.iter().all(|at| *at < ended + 100 * MS));
        let camera = shown(&venue, other, venue.streams[1]);
        assert!(camera.last().unwrap() > &(ended + S), "the camera goes on");
    }
    venue.check();
}

#[test]
fn layers_that_nobody_watches_are_not_sent_and_come_back_with_a_keyframe() {
    let mut venue = Venue::of(seed(239), 2, 4);
    let stream = venue.streams[1];
    let owner = venue.people[1];
    let sent = |venue: &mut Venue| {
        let camera = venue.world.clients[owner].participant();
        camera.camera(Source::Camera).pictures
    };
    venue.run_until(5 * S);
    venue.plan_all(&Plan::Everybody { layer_max: 0 });
    venue.world.run(8 * S);
    let before = sent(&mut venue);
    venue.world.run(4 * S);
    let after = sent(&mut venue);
    assert_eq!(after[1..], before[1..], "only the lowest is watched");
    assert!(after[0] > before[0] + 50);
    let began = venue.world.now;
    let best = Plan::List(vec![(stream, 2, Priority::High)]);
    venue.world.plan(venue.people[0], best);
    venue.world.run(3 * S);
    venue.check();
    let participant = venue.world.clients[venue.people[0]]
        .in_conference()
        .unwrap();
    let (slot, state) = participant.picture_of(stream).unwrap();
    assert_eq!(state, SlotState::Live);
    let mut decoded = slot.picture.decoded.iter();
    let best = decoded.find(|one| one.at > began && one.picture.layer == 2);
    let waited = best.expect("the best layer within 3 s").at - began;
    println!("a layer that was off is shown after {waited:?}");
    assert!(waited < 2 * S, "the best layer after {waited:?}");
    venue.plan_all(&Plan::List(Vec::new()));
    venue.world.run(20 * S);
    let before = sent(&mut venue);
    venue.world.run(4 * S);
    assert_eq!(sent(&mut venue), before, "nobody watches at all");
}
