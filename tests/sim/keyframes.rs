//! Keyframe requests are merged, throttled and given up.

use std::time::Duration;

use sfu::StreamId;

use crate::publisher::Manner;
use crate::shell::{Seeded, seed};
use crate::world::World;

const STREAM: StreamId = StreamId(1);

#[test]
fn fifty_viewers_who_join_in_100_ms_cost_a_few_keyframe_requests() {
    let seed = seed(40);
    let _seeded = Seeded(seed);
    let mut world = World::new(seed, 2);
    let manner = Manner {
        gop: 0,
        layers: vec![2_000_000],
        ..Manner::default()
    };
    let publisher = world.publish(0, STREAM, manner);
    world.run_until_complete(STREAM, 2);
    world.run(Duration::from_secs(10));
    let before = world.clients[publisher].publisher().requests;
    for at in 0..50 {
        world.view(at % 2, STREAM);
        world.run(Duration::from_millis(2));
    }
    world.run(Duration::from_secs(3));
    world.check();
    let requests = world.clients[publisher].publisher().requests - before;
    assert!(
        requests <= 3,
        "{requests} keyframe requests for fifty viewers"
    );
    for client in &world.clients[1..] {
        assert!(
            !client.viewer().video.decoded.is_empty(),
            "{} saw nothing",
            client.peer
        );
    }
}

#[test]
fn a_publisher_that_never_answers_is_left_in_peace() {
    let seed = seed(41);
    let _seeded = Seeded(seed);
    let mut world = World::new(seed, 1);
    let manner = Manner {
        gop: 0,
        answers_keyframe_requests: false,
        ..Manner::default()
    };
    let publisher = world.publish(0, STREAM, manner);
    world.run_until_complete(STREAM, 2);
    let viewer = world.view(0, STREAM);
    world.clients[viewer].down.loss = 0.3;
    world.run(Duration::from_secs(60));
    let requests = world.clients[publisher].publisher().requests;
    assert!(
        requests <= 12,
        "{requests} requests in a minute to somebody who does not listen"
    );
}
