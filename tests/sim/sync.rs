//! Sound and picture stay together.

use std::time::{Duration, SystemTime};

use sfu::StreamId;

use crate::link::Link;
use crate::media::Video;
use crate::publisher::Manner;
use crate::shell::{Seeded, seed, terms};
use crate::viewer::Viewer;
use crate::world::World;

const STREAM: StreamId = StreamId(1);
const MS: Duration = Duration::from_millis(1);

/// NTP time at which `timestamp` plays, as the last sender report says.
fn plays_at(report: (SystemTime, u32), timestamp: u32, clock_rate: f64) -> f64 {
    let (ntp, reported) = report;
    let ntp = ntp
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs_f64();
    ntp + f64::from(timestamp.wrapping_sub(reported).cast_signed()) / clock_rate
}

/// How much later than the sound of its moment a viewer plays a picture, in seconds.
fn skew(world: &World, viewer: &Viewer, audio_start: Duration) -> f64 {
    let picture = viewer.video.decoded.last().unwrap();
    let (_, heard, _, number) = *viewer.audio.heard.last().unwrap();
    let [audio, video] = viewer.reports.map(|report| report.expect("a report"));
    let captured_heard = audio_start + 20 * MS * number;
    let captured_seen = Duration::from_micros(picture.picture.captured_us);
    assert!(world.elapsed() > captured_seen);
    let seen = plays_at(video, picture.timestamp, 90_000.0) - captured_seen.as_secs_f64();
    let heard = plays_at(audio, heard, 48_000.0) - captured_heard.as_secs_f64();
    seen - heard
}

fn check(seed: u64, codec: Video, gop: u32) {
    let _seeded = Seeded(seed);
    let mut world = World::new(seed, 2);
    let manner = Manner {
        codec,
        gop,
        video_latency: 80 * MS,
        answers_keyframe_requests: gop < 100,
        ..Manner::default()
    };
    let offer = terms(&manner).like_obs();
    let publisher = world.publish_with(0, STREAM, manner, &offer).unwrap();
    world.clients[publisher].up = Link {
        jitter: 15 * MS,
        ..Link::default()
    };
    world.run_until_complete(STREAM, 2);
    let start = world.clients[publisher].connected_at.unwrap() - world.base;
    let mut viewers = Vec::new();
    for worker in [0, 1, 0] {
        world.run(4100 * MS);
        viewers.push(world.view(worker, STREAM));
    }
    world.run(12_000 * MS);
    world.check();
    for viewer in viewers {
        let skew = skew(&world, world.clients[viewer].viewer(), start);
        assert!(
            skew.abs() < 0.040,
            "{codec:?}: the picture is {skew} s behind the sound"
        );
    }
}

#[test]
fn a_picture_that_comes_80_ms_late_plays_with_its_sound() {
    check(seed(60), Video::H264, 60);
    check(seed(61), Video::H264, 300);
    check(seed(62), Video::Vp8, 60);
}
