//! Late joiners, with a publisher that cannot be asked for a keyframe.

use std::time::Duration;

use sfu::StreamId;

use crate::client::LIVE;
use crate::link::Link;
use crate::media::{Parameters, Video};
use crate::publisher::Manner;
use crate::shell::{Seeded, seed, terms};
use crate::world::World;

const STREAM: StreamId = StreamId(1);

/// From the connection to the first picture.
const FIRST_PICTURE_MAX: Duration = Duration::from_millis(300);

/// From the connection to live.
const CATCH_UP_MAX: Duration = Duration::from_secs(3);

struct Case {
    codec: Video,
    parameters: Parameters,
    loss: f64,
    bps: u64,
    workers: usize,
    viewers: usize,
}

fn check(seed: u64, case: &Case) {
    let _seeded = Seeded(seed);
    let mut world = World::new(seed, case.workers);
    let manner = Manner {
        codec: case.codec,
        parameters: case.parameters,
        gop: 300,
        layers: vec![case.bps],
        answers_keyframe_requests: false,
        ..Manner::default()
    };
    let offer = terms(&manner).like_obs();
    world.publish_with(0, STREAM, manner, &offer).unwrap();
    world.run_until_complete(STREAM, 2);
    for at in 0..case.viewers {
        let wait = world.rng.u64(..4_000);
        world.run(Duration::from_millis(wait));
        let viewer = world.view(at % case.workers, STREAM);
        world.clients[viewer].up = Link::lossy(case.loss);
        world.clients[viewer].down = Link::lossy(case.loss);
    }
    world.run(Duration::from_secs(8));
    world.check();
    let mut late = 0;
    for (at, client) in world.clients.iter().enumerate().skip(1) {
        let connected = client.connected_at.expect("connected");
        let viewer = client.viewer();
        let first = viewer.video.decoded.first().expect("a picture");
        let waited = first.at.saturating_duration_since(connected);
        let live = connected + CATCH_UP_MAX;
        let age = viewer
            .age_max(world.base, live, live + Duration::from_secs(1))
            .unwrap_or(Duration::MAX);
        let allowance = if case.loss > 0.0 {
            LIVE
        } else {
            Duration::ZERO
        };
        if waited > FIRST_PICTURE_MAX {
            late += 1;
            eprintln!("viewer {at}: first picture after {waited:?}");
        }
        // str0m, which plays the viewers here, asks only for the last hundred packets: in a burst some repairs that are
        // lost again are out of its sight. Browsers remember ten thousand.
        if case.loss == 0.0 {
            assert_eq!(late, 0, "viewer {at}: first picture after {waited:?}");
            assert!(age <= LIVE, "viewer {at}: {age:?} behind");
            assert_eq!(viewer.video.spoiled, 0, "viewer {at}");
        }
        let age = viewer
            .age_max(world.base, world.now - Duration::from_secs(1), world.now)
            .expect("pictures in the end");
        assert!(age <= LIVE + allowance, "viewer {at}: still {age:?} behind");
        let sound = viewer.audio.packets;
        assert!(sound > 200, "viewer {at}: {sound} packets of sound");
    }
    // With losses it shows also at the beginning: a second loss of one packet of the first picture is for good.
    let allowed = if case.loss > 0.0 {
        1.max(case.viewers / 6)
    } else {
        0
    };
    assert!(
        late <= allowed,
        "{late} of {} viewers were late",
        case.viewers
    );
}

#[test]
fn a_late_joiner_sees_a_picture_within_300_ms_and_is_live_within_3_s() {
    check(
        seed(10),
        &Case {
            codec: Video::H264,
            parameters: Parameters::Apart,
            loss: 0.0,
            bps: 2_500_000,
            workers: 2,
            viewers: 12,
        },
    );
}

#[test]
fn a_late_joiner_to_a_6_mbit_stage_is_live_within_3_s() {
    check(
        seed(11),
        &Case {
            codec: Video::H264,
            parameters: Parameters::Together,
            loss: 0.0,
            bps: 6_000_000,
            workers: 1,
            viewers: 5,
        },
    );
}

#[test]
fn a_late_joiner_with_2_percent_loss_sees_a_picture_within_300_ms() {
    check(
        seed(12),
        &Case {
            codec: Video::H264,
            parameters: Parameters::Apart,
            loss: 0.02,
            bps: 1_500_000,
            workers: 2,
            viewers: 24,
        },
    );
}

#[test]
fn parameter_sets_that_came_only_once_reach_every_late_joiner() {
    check(
        seed(13),
        &Case {
            codec: Video::H264,
            parameters: Parameters::Once,
            loss: 0.0,
            bps: 1_000_000,
            workers: 2,
            viewers: 8,
        },
    );
}

#[test]
fn late_joiners_to_other_codecs_are_served_alike() {
    for (at, codec) in (0..).zip([Video::Vp8, Video::Vp9, Video::Av1]) {
        check(
            seed(14) + at,
            &Case {
                codec,
                parameters: Parameters::Apart,
                loss: 0.01,
                bps: 1_000_000,
                workers: 2,
                viewers: 6,
            },
        );
    }
}
