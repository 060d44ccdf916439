//! Tracks that come faster than they play.

use bytes::Bytes;
use hls::{CodecKind, Frame, Output, Packager, Settings};

use crate::late_sound::{packet, track};
use crate::source::Camera;

const VIDEO: usize = 0;
const AUDIO: usize = 1;
/// How many times as fast.
const SPEED: i64 = 5;

/// Twenty seconds of pictures and sound of which `stops` says whether a track has come to its end. Gives the parts of each track: from
/// when to when it lasts, and when it was there, in ms.
fn run(speed: i64, says_arrival: bool, stops: impl Fn(usize, i64) -> bool) -> [Vec<[i64; 3]>; 2] {
    let mut packager = Packager::new(Settings::default(), String::from("0badcafe"), 0);
    let (h264, opus) = (CodecKind::H264, CodecKind::Opus);
    packager.begin(vec![track("video", h264, 0), track("audio", opus, 2)]);
    let mut camera = Camera::new(h264, 640, 368);
    let mut parts = [Vec::new(), Vec::new()];
    for at_ms in (0..20_000).step_by(20) {
        let is_key = at_ms % 2_000 == 0;
        let pictures =
            (at_ms % 40 == 0 && !stops(VIDEO, at_ms)).then(|| camera.picture(is_key, 50));
        let pictures = pictures
            .into_iter()
            .flatten()
            .map(|data| (VIDEO, is_key, data));
        let sounds = (!stops(AUDIO, at_ms)).then(|| (AUDIO, true, packet(at_ms / 20)));
        for (track, keyframe, data) in pictures.chain(sounds) {
            let frame = frame(track, at_ms, keyframe, data);
            if says_arrival {
                packager.push_at(track, frame, at_ms * 1_000 / speed);
            } else {
                packager.push(track, frame);
            }
        }
        while let Some(output) = packager.poll() {
            if let Output::Part(part) = output {
                let per_ms = i64::from(part.timescale) / 1_000;
                let (start, end) = (part.start, part.start + i64::from(part.duration));
                parts[part.rendition].push([start / per_ms, end / per_ms, at_ms / speed]);
            }
        }
    }
    parts
}

fn frame(track: usize, at_ms: i64, keyframe: bool, data: Bytes) -> Frame {
    let rate = if track == VIDEO { 90 } else { 48 };
    Frame {
        pts: at_ms * rate,
        keyframe,
        data,
        duration: (track == AUDIO).then_some(960),
    }
}

#[test]
fn what_comes_as_fast_as_it_plays_is_packaged_as_if_nobody_said_when_it_came() {
    for stopped in [VIDEO, AUDIO] {
        let stops = |track, at_ms| track == stopped && at_ms >= 6_000;
        assert_eq!(run(1, true, stops), run(1, false, stops));
    }
}

#[test]
fn a_track_that_stops_is_waited_for_as_long_however_fast_the_other_comes() {
    for stopped in [VIDEO, AUDIO] {
        let parts = run(SPEED, true, |track, at_ms| {
            track == stopped && at_ms >= 6_000
        });
        for (track, parts) in parts.iter().enumerate() {
            // The first part that shows or sounds what never came, or waited for it.
            let there = parts.iter().find(|[_, end, _]| *end > 6_020);
            let [_, _, there_ms] = there.expect("it goes on");
            let waited_ms = there_ms - 6_000 / SPEED;
            let is_held = track == stopped || stopped == VIDEO;
            assert!(
                waited_ms <= 500 && (waited_ms >= 380 || !is_held),
                "{waited_ms} ms for {track} when {stopped} has stopped"
            );
            // From then on there is no more to wait for.
            let [_, end_ms, _] = parts.last().expect("there are some");
            assert!(*end_ms >= 20_000 - 400 - 500, "{track} until {end_ms}");
        }
    }
}
