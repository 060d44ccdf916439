//! Same seed, same events.

use std::time::Duration;

use sfu::StreamId;

use crate::link::Link;
use crate::media::Video;
use crate::publisher::Manner;
use crate::shell::{Seeded, seed};
use crate::trace::Trace;
use crate::world::World;

fn lossy_space(seed: u64, seconds: u64) -> Trace {
    let mut world = World::new(seed, 2);
    world.trace.records = true;
    let path = Link {
        loss: 0.02,
        jitter: Duration::from_millis(8),
        reorders: true,
        ..Link::default()
    };
    let streams = [(StreamId(1), 0, Video::H264), (StreamId(2), 1, Video::Vp8)];
    for (publication, (stream, worker, codec)) in (1..).zip(streams) {
        let at = world.publish(
            worker,
            stream,
            Manner {
                publication,
                codec,
                ..Manner::default()
            },
        );
        world.clients[at].up = path.clone();
        world.clients[at].down = path.clone();
        world.run_until_complete(stream, 2);
    }
    for viewer in 0..12 {
        let (stream, ..) = streams[viewer % 2];
        let at = world.view(viewer / 2 % 2, stream);
        world.clients[at].up = path.clone();
        world.clients[at].down = path.clone();
        world.run(Duration::from_millis(700));
    }
    world.run_until(world.base + Duration::from_secs(seconds));
    world.check();
    world.trace.settle();
    world.trace
}

#[test]
fn the_same_seed_replays_the_same_minute_of_a_lossy_space() {
    let seed = seed(1);
    let _seeded = Seeded(seed);
    let first = lossy_space(seed, 60);
    let again = lossy_space(seed, 60);
    assert_eq!(
        first.first_difference(&again),
        None,
        "of {} lines",
        first.lines().len()
    );
    assert!(
        first.lines().len() > 100_000,
        "only {} lines",
        first.lines().len()
    );
}

#[test]
fn another_seed_makes_another_minute() {
    let seed = seed(2);
    assert!(
        lossy_space(seed, 5)
            .first_difference(&lossy_space(seed + 1, 5))
            .is_some()
    );
}
