//! Sound passes as it is: every byte, in order, DTX and redundancy included.

use std::time::Duration;

use sfu::StreamId;

use crate::client::Terms;
use crate::link::Link;
use crate::publisher::Manner;
use crate::shell::{Seeded, seed};
use crate::world::World;

const STREAM: StreamId = StreamId(1);
const S: Duration = Duration::from_secs(1);

fn check(seed: u64, publisher_red: bool, viewer_red: bool, reorders: bool) {
    let _seeded = Seeded(seed);
    let mut world = World::new(seed, 2);
    let manner = Manner {
        red: publisher_red,
        layers: Vec::new(),
        ..Manner::default()
    };
    let publisher = world.publish(0, STREAM, manner);
    world.clients[publisher].up = Link {
        jitter: Duration::from_millis(30),
        reorders,
        ..Link::default()
    };
    world.run_until_complete(STREAM, 1);
    let terms = Terms {
        red: viewer_red,
        has_video: false,
        ..Terms::default()
    };
    let viewers: Vec<usize> = (0..2)
        .map(|worker| world.view_with(worker, STREAM, &terms).unwrap())
        .collect();
    world.run(30 * S);
    world.check();
    for viewer in viewers {
        let audio = &world.clients[viewer].viewer().audio;
        let case = (publisher_red, viewer_red, reorders);
        assert!(
            audio.packets > 1480,
            "{case:?}: {} packets in 30 s",
            audio.packets
        );
        // The first packet that a viewer gets may have been overtaken by the second.
        assert!(
            audio.lost() <= u64::from(reorders),
            "{case:?}: {} lost",
            audio.lost()
        );
    }
}

#[test]
fn plain_sound_arrives_byte_by_byte() {
    check(seed(100), false, false, false);
    check(seed(101), false, true, true);
}

#[test]
fn redundant_sound_arrives_byte_by_byte() {
    check(seed(102), true, true, false);
    check(seed(103), true, true, true);
}

#[test]
fn a_viewer_without_redundancy_gets_the_sound_within() {
    check(seed(104), true, false, false);
    check(seed(105), true, false, true);
}
