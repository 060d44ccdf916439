//! Keyframe requests are merged, throttled and given up.

use std::time::Duration;

use sfu::StreamId;

use crate::media::Video;
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

/// Half a minute of a publisher who sends no keyframe but its first unless it is asked, with viewers as browsers are: one at
/// once and one who comes in the middle. Returns how often the publisher was asked, before the second viewer and after.
fn count(seed: u64, codec: Video, layers: &[u64], workers: usize) -> (u64, u64) {
    let _seeded = Seeded(seed);
    let mut world = World::new(seed, workers);
    let manner = Manner {
        codec,
        gop: 0,
        layers: layers.to_vec(),
        ..Manner::default()
    };
    let publisher = world.publish(0, STREAM, manner);
    world.run_until_complete(STREAM, 2);
    world.view(workers - 1, STREAM);
    world.run(Duration::from_secs(15));
    let early = world.clients[publisher].publisher().requests;
    world.view(0, STREAM);
    world.run(Duration::from_secs(15));
    world.check();
    for client in &world.clients[1..] {
        let shown = client.viewer().video.decoded.len();
        assert!(shown > 400, "{codec:?}: {shown} pictures");
    }
    (early, world.clients[publisher].publisher().requests - early)
}

#[test]
fn a_viewer_who_lacks_nothing_asks_for_nothing() {
    for (at, codec) in (0..).zip([Video::H264, Video::Vp8, Video::Vp9, Video::Av1]) {
        for workers in 1..=2 {
            let asked = count(seed(420) + at, codec, &[1_000_000], workers);
            assert_eq!(asked, (0, 0), "{codec:?}, {workers} workers");
        }
    }
}

#[test]
fn a_viewer_of_simulcast_asks_once_for_each_layer_that_it_changes_to() {
    for (at, codec) in (0..).zip([Video::H264, Video::Vp8, Video::Vp9, Video::Av1]) {
        let asked = count(seed(430) + at, codec, &[150_000, 350_000, 1_500_000], 1);
        assert_eq!(asked, (1, 1), "{codec:?}");
    }
}
