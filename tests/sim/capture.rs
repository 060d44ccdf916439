//! The publisher's own capture times reach whoever agreed on them.

use std::time::Duration;

use sfu::{Command, StreamId, Tap, TapItem};

use crate::client::Terms;
use crate::publisher::{Manner, epoch};
use crate::shell::{Seeded, seed};
use crate::world::World;

const STREAM: StreamId = StreamId(1);

/// NTP time has 32 bits for a fraction of a second.
const ROUNDING: Duration = Duration::from_micros(2);

#[test]
fn a_capture_time_reaches_viewers_and_taps_as_it_came() {
    let seed = seed(45);
    let _seeded = Seeded(seed);
    let mut world = World::new(seed, 2);
    let manner = Manner {
        capture_times: true,
        ..Manner::default()
    };
    world.publish(0, STREAM, manner);
    world.run_until_complete(STREAM, 2);
    let tap = Some(Tap { is_watched: false });
    let stream = STREAM;
    world.tell(0, Command::Tap { stream, tap });
    let terms = Terms {
        capture_times: true,
        ..Terms::default()
    };
    let viewer = world.view_with(1, STREAM, &terms).unwrap();
    let other = world.view(0, STREAM);
    world.run(Duration::from_secs(3));
    world.check();
    assert!(world.clients[other].viewer().captured.is_empty());
    let viewer = world.clients[viewer].viewer();
    // Every packet of every picture said it, in the order of the pictures.
    assert!(viewer.captured.len() > 250, "{}", viewer.captured.len());
    for decoded in &viewer.video.decoded {
        let expected = epoch() + Duration::from_micros(decoded.picture.captured_us);
        let is_there = viewer
            .captured
            .iter()
            .any(|(at, _)| *at <= expected + ROUNDING && expected <= *at + ROUNDING);
        assert!(is_there, "{:?}", decoded.picture);
    }
    let claims = viewer.captured.iter().any(|(_, has_offset)| *has_offset);
    assert!(
        !claims,
        "the server does not know how far that clock is from its own"
    );
    let epoch_us = epoch()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_micros();
    let tapped: Vec<u128> = world
        .taps
        .iter()
        .filter_map(|(_, _, item)| match item {
            TapItem::Packet { packet, .. } => packet.captured_us.map(u128::from),
            TapItem::Tracks { .. } | TapItem::Ended { .. } => None,
        })
        .collect();
    assert!(tapped.len() > 250, "{}", tapped.len());
    assert!(tapped.is_sorted() && tapped[0] >= epoch_us && tapped[0] < epoch_us + 10_000_000);
}
