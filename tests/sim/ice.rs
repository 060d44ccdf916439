//! Connections that change under way.

use std::time::Duration;

use sfu::{Command, Reply, RequestId, StreamId};

use crate::client::Terms;
use crate::publisher::Manner;
use crate::shell::{Seeded, seed, terms};
use crate::world::World;

const STREAM: StreamId = StreamId(1);
const S: Duration = Duration::from_secs(1);

/// The longest time in which a viewer was shown nothing, since `from` after the start.
fn longest_stall(world: &World, viewer: usize, from: Duration) -> Duration {
    let from = world.base + from;
    let decoded = &world.clients[viewer].viewer().video.decoded;
    let mut times = vec![from];
    times.extend(
        decoded
            .iter()
            .map(|decoded| decoded.at)
            .filter(|at| *at > from),
    );
    times.push(world.now);
    times
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .max()
        .unwrap()
}

/// An ICE restart as WHIP and WHEP do it: credentials there and back.
fn restart(world: &mut World, client: usize) {
    let (ufrag, pwd, _) = world.clients[client].restart_ice();
    let (peer, worker) = (world.clients[client].peer, world.clients[client].worker);
    let request = RequestId(world.next_id());
    let command = Command::RestartIce {
        request,
        peer,
        ufrag,
        pwd,
        candidates: Vec::new(),
    };
    let reply = world.ask(worker, command, request);
    let Ok(Reply::Restarted {
        ufrag,
        pwd,
        candidates,
    }) = reply
    else {
        panic!("{reply:?}");
    };
    assert!(
        candidates
            .iter()
            .any(|candidate| candidate.contains("10.0.0.")),
        "{candidates:?}"
    );
    for candidate in &candidates {
        let generation = candidate.split_once(" ufrag ").map(|(_, ufrag)| ufrag);
        assert!(
            generation.is_none_or(|generation| generation == ufrag),
            "{candidate}"
        );
    }
    world.clients[client].take_restart(&ufrag, &pwd, &candidates);
    world.drain_client(client);
}

#[test]
fn media_flows_on_through_ice_restarts_of_publisher_and_viewer() {
    let seed = seed(70);
    let _seeded = Seeded(seed);
    let mut world = World::new(seed, 2);
    let publisher = world.publish(0, STREAM, Manner::default());
    world.run_until_complete(STREAM, 2);
    let viewer = world.view(1, STREAM);
    world.run(3 * S);
    let from = world.elapsed();
    for client in [publisher, viewer, publisher, viewer] {
        restart(&mut world, client);
        world.run(3 * S);
    }
    world.run(40 * S);
    world.check();
    let stall = longest_stall(&world, viewer, from);
    assert!(stall < S, "{stall:?} without a picture");
}

#[test]
fn a_viewer_whose_nat_gives_it_another_address_sees_again() {
    let seed = seed(71);
    let _seeded = Seeded(seed);
    let mut world = World::new(seed, 1);
    world.publish(0, STREAM, Manner::default());
    world.run_until_complete(STREAM, 2);
    let viewer = world.view(0, STREAM);
    world.run(5 * S);
    let from = world.elapsed();
    world.clients[viewer].external = world.fresh_address();
    world.run(40 * S);
    let stall = longest_stall(&world, viewer, from);
    // str0m sends to the older of two equal pairs until it expires, although the client nominates the new one.
    assert!(stall < 17 * S, "{stall:?} without a picture");
    let last = world.clients[viewer].viewer().video.decoded.last().unwrap();
    assert!(world.now - last.at < S, "nothing is seen in the end");
}

#[test]
fn a_publisher_whose_nat_gives_it_another_address_is_seen_on() {
    let seed = seed(72);
    let _seeded = Seeded(seed);
    let mut world = World::new(seed, 1);
    let publisher = world.publish(0, STREAM, Manner::default());
    world.run_until_complete(STREAM, 2);
    let viewer = world.view(0, STREAM);
    world.run(5 * S);
    let from = world.elapsed();
    world.clients[publisher].external = world.fresh_address();
    world.run(12 * S);
    let stall = longest_stall(&world, viewer, from);
    assert!(stall < 6 * S, "{stall:?} without a picture");
}

#[test]
fn publisher_and_viewer_over_ice_tcp_are_served_alike() {
    let seed = seed(73);
    let _seeded = Seeded(seed);
    let mut world = World::new(seed, 2);
    let manner = Manner::default();
    let offer = Terms {
        tcp: true,
        ..terms(&manner)
    };
    world.publish_with(0, STREAM, manner, &offer).unwrap();
    world.run_until_complete(STREAM, 2);
    let terms = Terms {
        tcp: true,
        ..Terms::default()
    };
    let viewer = world.view_with(1, STREAM, &terms).unwrap();
    let other = world.view(0, STREAM);
    world.run(10 * S);
    world.check();
    for viewer in [viewer, other] {
        let shown = world.clients[viewer].viewer().video.decoded.len();
        assert!(shown > 280, "viewer {viewer}: {shown} pictures in 10 s");
    }
}

#[test]
fn a_viewer_may_answer_an_offer_instead() {
    let seed = seed(74);
    let _seeded = Seeded(seed);
    let mut world = World::new(seed, 2);
    world.publish(0, STREAM, Manner::default());
    world.run_until_complete(STREAM, 2);
    let viewer = world.view_by_answer(1, STREAM);
    world.run(5 * S);
    world.check();
    let shown = world.clients[viewer].viewer().video.decoded.len();
    assert!(shown > 120, "{shown} pictures in 5 s");
}
