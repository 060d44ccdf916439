//! Simulcast: a viewer gets what its link carries.

use std::time::{Duration, Instant};

use sfu::StreamId;

use crate::media::Video;
use crate::publisher::Manner;
use crate::receiver::Decoded;
use crate::shell::{Seeded, seed, terms};
use crate::world::World;

const STREAM: StreamId = StreamId(1);
const S: Duration = Duration::from_secs(1);

/// The share of `layer` in the pictures shown between two instants.
fn share(decoded: &[Decoded], layer: u8, from: Instant, until: Instant) -> f64 {
    let shown: Vec<_> = decoded
        .iter()
        .filter(|decoded| (from..until).contains(&decoded.at))
        .collect();
    let of_layer = shown
        .iter()
        .filter(|decoded| decoded.picture.layer == layer)
        .count();
    assert!(!shown.is_empty(), "nothing was shown");
    of_layer as f64 / shown.len() as f64
}

fn check(seed: u64, codec: Video, answers: bool, workers: usize) {
    let _seeded = Seeded(seed);
    let mut world = World::new(seed, workers);
    let manner = Manner {
        codec,
        gop: 60,
        layers: vec![150_000, 350_000, 1_500_000],
        answers_keyframe_requests: answers,
        ..Manner::default()
    };
    let mut offer = terms(&manner);
    if !answers {
        offer = offer.like_obs();
    }
    world.publish_with(0, STREAM, manner, &offer).unwrap();
    world.run_until_complete(STREAM, 2);
    world.run(3 * S);
    let viewer = world.view(workers - 1, STREAM);
    world.clients[viewer].down.bandwidth_bps = Some(3_000_000);
    world.run(15 * S);
    let narrow = world.now;
    world.clients[viewer].down.bandwidth_bps = Some(400_000);
    world.run(20 * S);
    let wide = world.now;
    world.clients[viewer].down.bandwidth_bps = Some(3_000_000);
    world.run(40 * S);
    world.check();
    let decoded = &world.clients[viewer].viewer().video.decoded;
    let best = share(decoded, 2, narrow - 3 * S, narrow);
    assert!(
        best > 0.9,
        "{codec:?}: {best} of the best layer on a wide link"
    );
    let too_much = share(decoded, 2, wide - 8 * S, wide);
    assert!(
        too_much < 0.05,
        "{codec:?}: {too_much} of the best layer on a narrow link"
    );
    let again = share(decoded, 2, world.now - 3 * S, world.now);
    assert!(
        again > 0.9,
        "{codec:?}: {again} of the best layer when the link is wide again"
    );
    let stalls = stalls(decoded, wide - 10 * S, wide);
    // What is lost of a publisher that sends no keyframe on request is shown again, which takes a moment.
    let stall_max = if answers { S } else { 2 * S };
    assert!(
        stalls < stall_max,
        "{codec:?}: {stalls:?} without a picture on a narrow link"
    );
}

/// The longest time without a picture.
fn stalls(decoded: &[Decoded], from: Instant, until: Instant) -> Duration {
    let times: Vec<Instant> = decoded
        .iter()
        .map(|decoded| decoded.at)
        .filter(|at| (from..until).contains(at))
        .collect();
    times
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .max()
        .unwrap_or(until - from)
}

#[test]
fn a_viewer_settles_on_a_layer_that_fits_and_climbs_back() {
    check(seed(20), Video::H264, true, 1);
}

#[test]
fn layers_of_vp8_change_without_a_jump_in_its_counters() {
    check(seed(21), Video::Vp8, true, 2);
}

#[test]
fn layers_of_a_publisher_that_ignores_keyframe_requests_change_too() {
    check(seed(22), Video::H264, false, 1);
}

#[test]
fn a_viewer_on_a_wide_link_gets_the_best_layer_at_once() {
    let seed = seed(23);
    let _seeded = Seeded(seed);
    let mut world = World::new(seed, 2);
    let manner = Manner {
        layers: vec![150_000, 350_000, 1_500_000],
        ..Manner::default()
    };
    world.publish(0, STREAM, manner);
    world.run_until_complete(STREAM, 2);
    world.run(3 * S);
    let viewers: Vec<usize> = (0..2).map(|worker| world.view(worker, STREAM)).collect();
    world.run(6 * S);
    world.check();
    for viewer in viewers {
        let decoded = &world.clients[viewer].viewer().video.decoded;
        assert_eq!(
            decoded.last().map(|last| last.picture.layer),
            Some(2),
            "viewer {viewer}"
        );
    }
}
