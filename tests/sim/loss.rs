//! Losses that can be repaired are repaired.

use std::time::Duration;

use sfu::StreamId;

use crate::link::Link;
use crate::media::Video;
use crate::publisher::Manner;
use crate::shell::{Seeded, seed, terms};
use crate::world::World;

const STREAM: StreamId = StreamId(1);

/// After a join.
const SETTLED: Duration = Duration::from_secs(3);

struct Case {
    codec: Video,
    publisher_loss: f64,
    viewer_loss: f64,
    publisher_has_rtx: bool,
    reorders: bool,
}

/// Half a minute; returns how many pictures each viewer should have seen and how many it did not.
fn check(seed: u64, case: &Case) {
    let _seeded = Seeded(seed);
    let mut world = World::new(seed, 2);
    let manner = Manner {
        codec: case.codec,
        ..Manner::default()
    };
    let mut offer = terms(&manner);
    if !case.publisher_has_rtx {
        offer = offer.like_obs();
    }
    let path = |loss| Link {
        jitter: Duration::from_millis(5),
        reorders: case.reorders,
        ..Link::lossy(loss)
    };
    let publisher = world.publish_with(0, STREAM, manner, &offer).unwrap();
    world.clients[publisher].up = path(case.publisher_loss);
    world.clients[publisher].down = path(case.publisher_loss);
    world.run_until_complete(STREAM, 2);
    for worker in 0..2 {
        let viewer = world.view(worker, STREAM);
        world.clients[viewer].up = path(case.viewer_loss);
        world.clients[viewer].down = path(case.viewer_loss);
    }
    world.run(Duration::from_secs(30));
    world.check();
    for client in &world.clients[1..] {
        let video = &client.viewer().video;
        // str0m, which plays the viewers, cannot repair all of the burst that a viewer begins with.
        let settled = client.connected_at.unwrap() + SETTLED;
        let shown: Vec<_> = video
            .decoded
            .iter()
            .filter(|decoded| decoded.at > settled)
            .collect();
        let (Some(first), Some(last)) = (shown.first(), shown.last()) else {
            panic!("nothing was shown");
        };
        let sent = last.picture.number - first.picture.number + 1;
        let shown = shown.len() as u32;
        assert!(sent > 700, "only {sent} pictures");
        assert_eq!(
            sent - shown,
            0,
            "{} of {sent} pictures are missing, {} packets lost, {} spoiled",
            sent - shown,
            video.lost(),
            video.spoiled
        );
    }
}

#[test]
fn a_viewer_with_5_percent_loss_misses_no_picture() {
    for (at, codec) in (0..).zip([Video::H264, Video::Vp8, Video::Vp9, Video::Av1]) {
        check(
            seed(30) + at,
            &Case {
                codec,
                publisher_loss: 0.0,
                viewer_loss: 0.05,
                publisher_has_rtx: true,
                reorders: at == 1,
            },
        );
    }
}

#[test]
fn a_publisher_with_rtx_and_5_percent_loss_loses_no_picture() {
    for (at, codec) in (0..).zip([Video::H264, Video::Vp8]) {
        check(
            seed(34) + at,
            &Case {
                codec,
                publisher_loss: 0.05,
                viewer_loss: 0.0,
                publisher_has_rtx: true,
                reorders: at == 1,
            },
        );
    }
}

#[test]
fn a_publisher_that_repairs_on_the_same_ssrc_loses_no_picture() {
    check(
        seed(36),
        &Case {
            codec: Video::H264,
            publisher_loss: 0.05,
            viewer_loss: 0.0,
            publisher_has_rtx: false,
            reorders: false,
        },
    );
}

#[test]
fn losses_on_both_sides_are_repaired() {
    check(
        seed(37),
        &Case {
            codec: Video::H264,
            publisher_loss: 0.05,
            viewer_loss: 0.05,
            publisher_has_rtx: false,
            reorders: true,
        },
    );
}
