//! The publisher's line is dead for five seconds.

use std::time::Duration;

use sfu::StreamId;

use crate::media::Video;
use crate::publisher::Manner;
use crate::shell::{Seeded, seed, terms};
use crate::viewer::age;
use crate::world::World;

const STREAM: StreamId = StreamId(1);
const S: Duration = Duration::from_secs(1);

/// A frozen browser asks for a keyframe after this long.
const PATIENCE: Duration = Duration::from_secs(3);

/// How old a picture may be that is shown after the return.
const AGE_MAX: Duration = Duration::from_millis(500);

struct Case {
    codec: Video,
    layers: &'static [u64],
    answers: bool,
    /// Pictures from keyframe to keyframe.
    gop: u32,
    /// From the line's return to the first picture.
    frozen_max: Duration,
}

fn check(seed: u64, case: &Case) {
    let _seeded = Seeded(seed);
    let mut world = World::new(seed, 2);
    let manner = Manner {
        codec: case.codec,
        gop: case.gop,
        layers: case.layers.to_vec(),
        answers_keyframe_requests: case.answers,
        ..Manner::default()
    };
    let mut offer = terms(&manner);
    if !case.answers {
        offer = offer.like_obs();
    }
    let publisher = world.publish_with(0, STREAM, manner, &offer).unwrap();
    world.run_until_complete(STREAM, 2);
    let viewers: Vec<usize> = (0..2).map(|worker| world.view(worker, STREAM)).collect();
    for &viewer in &viewers {
        world.clients[viewer].viewer_mut().patience = Some(PATIENCE);
    }
    world.run(12 * S);
    for is_cut in [true, false] {
        world.clients[publisher].up.is_cut = is_cut;
        world.clients[publisher].down.is_cut = is_cut;
        if is_cut {
            world.run(5 * S);
        }
    }
    let back = world.now;
    // Somebody comes when the line is back and no keyframe has come yet.
    world.run(Duration::from_millis(15));
    let late = world.view(1, STREAM);
    world.run(15 * S);
    world.check();
    for viewer in viewers.into_iter().chain([late]) {
        let decoded = &world.clients[viewer].viewer().video.decoded;
        let after: Vec<_> = decoded.iter().filter(|one| one.at >= back).collect();
        let first = after.first().expect("the picture comes back");
        let frozen = first.at - back;
        assert!(
            frozen <= case.frozen_max,
            "{:?}: frozen for {frozen:?} after the return",
            case.codec
        );
        for one in &after {
            let age = age(world.base, one.at, one.picture.captured_us);
            assert!(age < AGE_MAX, "{:?}: {age:?} old", case.codec);
        }
        let captured = decoded.iter().map(|one| one.picture.captured_us);
        assert!(captured.is_sorted(), "{:?} goes back in time", case.codec);
        let shown = after.len();
        assert!(shown > 100, "{:?}: {shown} pictures", case.codec);
    }
    let requests = world.clients[publisher].publisher().requests;
    assert!(requests <= 12, "{requests} requests in 32 s");
}

#[test]
fn a_publisher_that_answers_is_seen_again_within_a_second() {
    for (at, codec) in (0..).zip([Video::H264, Video::Vp8, Video::Vp9, Video::Av1]) {
        for (more, gop) in [(0, 0), (10, 300)] {
            let case = Case {
                codec,
                layers: &[1_000_000],
                answers: true,
                gop,
                frozen_max: Duration::from_millis(300),
            };
            check(seed(450) + at + more, &case);
        }
    }
}

#[test]
fn simulcast_is_seen_again_within_a_second() {
    for (at, codec) in (0..).zip([Video::H264, Video::Vp8]) {
        let case = Case {
            codec,
            layers: &[150_000, 350_000, 1_500_000],
            answers: true,
            gop: 0,
            frozen_max: S,
        };
        check(seed(470) + at, &case);
    }
}

#[test]
fn a_deaf_publisher_is_seen_again_at_its_next_keyframe() {
    for at in 0..3 {
        let case = Case {
            codec: Video::H264,
            layers: &[2_000_000],
            answers: false,
            gop: 240,
            // One comes every eight seconds.
            frozen_max: 8 * S + Duration::from_millis(100),
        };
        check(seed(480) + at, &case);
    }
}
