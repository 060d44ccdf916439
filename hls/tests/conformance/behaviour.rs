//! What a stream's publisher does, and what becomes of it.

use std::sync::Arc;

use bytes::Bytes;
use hls::{
    CodecKind, Frame, Output, Packager, Part, Segment, Settings, Timeline, TrackConfig, View,
    Warning,
};

use crate::playlist::Playlist;
use crate::source::{self, Camera};

/// A packager and all that came out of it.
struct Show {
    packager: Packager,
    parts: Vec<Arc<Part>>,
    segments: Vec<Arc<Segment>>,
    inits: Vec<(usize, Bytes)>,
    warnings: Vec<Warning>,
    asked: usize,
    targets: Vec<u32>,
    outgrown: Vec<u32>,
}

fn track(rendition: &str, codec: CodecKind) -> TrackConfig {
    TrackConfig {
        rendition: rendition.to_owned(),
        codec,
        channels: if codec.is_video() { 0 } else { 2 },
        config: Bytes::new(),
    }
}

fn video() -> Vec<TrackConfig> {
    vec![track("video", CodecKind::H264)]
}

impl Show {
    fn begin(tracks: Vec<TrackConfig>) -> Self {
        let mut packager = Packager::new(Settings::default(), String::from("0badcafe"), 0);
        packager.begin(tracks);
        Self {
            packager,
            parts: Vec::new(),
            segments: Vec::new(),
            inits: Vec::new(),
            warnings: Vec::new(),
            asked: 0,
            targets: Vec::new(),
            outgrown: Vec::new(),
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.packager.poll() {
            match output {
                Output::Init {
                    rendition, bytes, ..
                } => self.inits.push((rendition, bytes)),
                Output::Part(part) => self.parts.push(part),
                Output::Segment(segment) => self.segments.push(segment),
                Output::KeyframeDue => self.asked += 1,
                Output::TargetDuration(seconds) => self.targets.push(seconds),
                Output::Outgrown(seconds) => self.outgrown.push(seconds),
                Output::Warning(warning) => self.warnings.push(warning),
            }
        }
    }

    fn push(&mut self, track: usize, pts: i64, keyframe: bool, data: Bytes) {
        self.packager.push(
            track,
            Frame {
                pts,
                keyframe,
                data,
                duration: None,
            },
        );
        self.drain();
    }

    /// Pictures at 30 a second from `from` on, with a keyframe every `group`.
    fn film(&mut self, camera: &mut Camera, from: i64, count: i64, group: i64) {
        for place in 0..count {
            let keyframe = place % group == 0;
            for frame in camera.picture(keyframe, 50) {
                self.push(0, from + place * 3000, keyframe, frame);
            }
        }
    }

    fn close(&mut self) {
        self.packager.pause();
        self.drain();
    }

    fn timeline(&self, rendition: usize) -> Timeline {
        let name = &self.packager.renditions()[rendition].name;
        let mut timeline = Timeline::new(Settings::default(), "0badcafe", name);
        let of = |segment: &&Arc<Segment>| segment.rendition == rendition;
        for segment in self.segments.iter().filter(of) {
            timeline.apply_segment(segment);
        }
        timeline
    }
}

fn camera() -> Camera {
    Camera::new(CodecKind::H264, 640, 368)
}

#[test]
fn frames_before_the_first_keyframe_are_dropped() {
    let mut show = Show::begin(video());
    let mut camera = camera();
    for place in 0..10 {
        let frames = camera.picture(false, 50);
        show.push(0, place * 3000, false, frames[0].clone());
    }
    show.film(&mut camera, 30_000, 30, 30);
    show.close();
    assert_eq!(show.segments[0].start, 30_000);
    assert!(show.segments[0].independent);
}

#[test]
fn captions_are_noticed_and_other_messages_are_not() {
    let mut show = Show::begin(video());
    let mut camera = camera();
    let mut push = |show: &mut Show, message: &[u8]| {
        let picture = camera.picture(true, 50).pop().unwrap();
        let mut frame = (message.len() as u32).to_be_bytes().to_vec();
        frame.extend_from_slice(message);
        frame.extend_from_slice(&picture);
        show.push(0, 3_000 * i64::from(camera.hint), true, frame.into());
        camera.hint += 1;
        show.packager.renditions()[0].may_have_captions
    };
    // Of an encoder, ATSC's aspect of the picture, and captions.
    assert!(!push(
        &mut show,
        b"\x06\x05\x12\xdcE\xe9\xbd\xe6\xd9H\xb7x264\x80"
    ));
    assert!(!push(
        &mut show,
        b"\x06\x04\x09\xb5\x00\x31DTG1\x41\xf8\x80"
    ));
    assert!(push(
        &mut show,
        b"\x06\x04\x0d\xb5\x00\x31GA94\x03\x41\xff\xfc\x80\x80\xff\x80"
    ));
    assert!(push(&mut show, b"\x06\x05\x01\x00\x80"));
}

#[test]
fn rewritten_parameter_sets_are_no_discontinuity() {
    let mut show = Show::begin(video());
    let mut camera = camera();
    for round in 0..4 {
        camera.hint += 1;
        show.film(&mut camera, round * 180_000, 60, 60);
    }
    show.close();
    assert_eq!(show.inits.len(), 1);
    assert_eq!(show.segments.len(), 4);
    assert!(show.segments.iter().all(|segment| !segment.discontinuity));
}

#[test]
fn another_size_is_a_discontinuity_on_all_renditions_at_the_same_time() {
    let mut show = Show::begin(vec![
        track("video", CodecKind::H264),
        track("audio", CodecKind::Opus),
    ]);
    let mut camera = camera();
    for place in 0..150_i64 {
        if place == 70 {
            camera.width = 1280;
        }
        let keyframe = place % 70 == 0;
        for frame in camera.picture(keyframe, 50) {
            show.push(0, place * 3000, keyframe, frame);
        }
        for packet in 0..2 {
            if (place * 2 + packet) % 6 < 5 {
                let number = (place * 2 + packet) / 6 * 5 + (place * 2 + packet) % 6;
                show.push(1, number * 960, true, Bytes::from_static(&[0xfc, 1, 2]));
            }
        }
    }
    show.close();
    for rendition in 0..2 {
        let of = |segment: &&Arc<Segment>| segment.rendition == rendition && segment.discontinuity;
        let marked: Vec<_> = show.segments.iter().filter(of).collect();
        assert_eq!(marked.len(), 1);
        assert_eq!(marked[0].discontinuity_sequence, 1);
        let start = marked[0].start as f64 / f64::from(marked[0].timescale);
        assert!(
            (start - 70.0 / 30.0).abs() < 0.021,
            "{rendition} at {start}"
        );
        let text = show.timeline(rendition).render(View::Vod, &[]);
        assert_eq!(text.matches("#EXT-X-DISCONTINUITY\n").count(), 1);
        // The sound's format did not change.
        assert_eq!(text.matches("#EXT-X-MAP").count(), 2 - rendition);
    }
}

#[test]
fn a_return_continues_the_numbers_behind_a_discontinuity_that_slides_out() {
    let mut show = Show::begin(video());
    let mut camera = camera();
    show.film(&mut camera, 0, 120, 60);
    show.packager.begin(video());
    show.drain();
    show.film(&mut camera, 900_000, 60 * 40, 60);
    show.close();
    let numbers: Vec<u64> = show.segments.iter().map(|segment| segment.msn).collect();
    assert_eq!(numbers, Vec::from_iter(1..=numbers.len() as u64));
    assert!(show.segments[2].discontinuity);
    assert_eq!(show.segments[2].start, 900_000);
    assert_eq!(show.inits.len(), 1, "the same format is not sent again");
    let timeline = show.timeline(0);
    let live = Playlist::parse(&timeline.render(View::Live, &[])).unwrap();
    assert_eq!(live.discontinuity_sequence, 1);
    assert!(
        live.segments
            .iter()
            .all(|segment| !segment.has_discontinuity)
    );
    let dvr = Playlist::parse(&timeline.render(View::Dvr, &[])).unwrap();
    assert_eq!(dvr.discontinuity_sequence, 0);
    assert_eq!(dvr.kind, None, "its window slides, though it did not yet");
    assert!(dvr.segments[2].has_discontinuity);
    assert_eq!(
        dvr.segments[2].discontinuities,
        live.segments[0].discontinuities
    );
}

#[test]
fn a_group_longer_than_the_target_is_cut_without_a_keyframe_and_told() {
    let mut show = Show::begin(video());
    show.film(&mut camera(), 0, 30 * 25, 10_000);
    show.close();
    assert!(
        show.segments
            .iter()
            .all(|segment| segment.duration <= 945_000)
    );
    let independent: Vec<bool> = show.segments.iter().map(|one| one.independent).collect();
    assert_eq!(independent, [true, false, false]);
    let missing = |warning: &&Warning| matches!(warning, Warning::KeyframeMissing { .. });
    assert_eq!(show.warnings.iter().filter(missing).count(), 2);
}

#[test]
fn a_group_of_ten_seconds_fits_whole() {
    let mut show = Show::begin(video());
    show.film(&mut camera(), 0, 30 * 40, 300);
    show.close();
    let lengths: Vec<u64> = show
        .segments
        .iter()
        .map(|segment| segment.duration)
        .collect();
    assert_eq!(lengths, [900_000; 4]);
    assert_eq!(
        (&show.targets[..], &show.outgrown[..]),
        (&[10][..], &[][..])
    );
    // Whoever sends it is told what that costs.
    let told = Warning::KeyframesRare {
        rendition: 0,
        seconds: 10,
    };
    assert_eq!(show.warnings, [told]);
}

#[test]
fn keyframes_are_asked_for_when_the_segment_is_long_enough_and_not_too_often() {
    let mut show = Show::begin(video());
    show.film(&mut camera(), 0, 48, 10_000);
    assert_eq!(show.asked, 0);
    let mut camera = camera();
    let mut asked = Vec::new();
    for place in 48..300 {
        let before = show.asked;
        let frames = camera.picture(false, 50);
        show.push(0, place * 3000, false, frames[0].clone());
        asked.extend((show.asked > before).then_some(place));
    }
    // 1.6 s after the last one, again soon, and then ever more seldom: nobody listens.
    assert_eq!(asked, [49, 61, 85, 133, 229]);
}

/// A film whose keyframes are so many seconds apart, one after the other.
fn film_of(groups: &[f64]) -> Show {
    let mut show = Show::begin(video());
    let mut camera = camera();
    let mut place = 0;
    for seconds in groups {
        let end = place + (seconds * 30.0).round() as i64;
        show.film(&mut camera, place * 3000, end - place, 100_000);
        place = end;
    }
    show.close();
    show
}

#[test]
fn the_target_duration_is_the_least_that_the_publishers_keyframes_fit() {
    let check = |groups: &[f64], target: u32, segments: usize| {
        let show = film_of(groups);
        assert_eq!(show.targets, [target], "{groups:?}");
        assert!(show.outgrown.is_empty(), "{groups:?}");
        let independent = show.segments.iter().all(|segment| segment.independent);
        assert!(independent, "{groups:?}");
        assert_eq!(show.segments.len(), segments, "{groups:?}");
    };
    check(&[2.0; 10], 2, 10);
    check(&[1.0; 10], 2, 5);
    check(&[50.0 / 30.0; 10], 2, 10);
    check(&[1.3; 10], 2, 10);
    check(&[2.3; 4], 2, 4);
    check(&[2.5; 4], 3, 4);
    check(&[4.0; 4], 4, 4);
    check(&[250.0 / 30.0; 4], 8, 4);
    // Somebody came to watch by WebRTC, and the publisher was asked for a keyframe in between.
    check(&[0.7, 1.3, 2.0, 2.0, 0.4, 1.6, 2.0], 2, 5);
}

#[test]
fn who_sends_keyframes_more_rarely_than_at_first_needs_another_life_which_is_said_once() {
    let show = film_of(&[2.0, 2.0, 8.0, 8.0, 8.0, 8.0]);
    assert_eq!(
        (&show.targets[..], &show.outgrown[..]),
        (&[2][..], &[8][..])
    );
    assert!(show.segments.iter().all(|one| one.duration < 225_000));
    // Once is an accident.
    let show = film_of(&[2.0, 2.0, 8.0, 2.0, 2.0, 8.0, 2.0]);
    assert_eq!(show.outgrown, []);
}

#[test]
fn parameter_sets_may_come_one_by_one() {
    let mut show = Show::begin(video());
    let mut camera = camera();
    camera.sends_sets_alone = true;
    show.film(&mut camera, 0, 60, 30);
    show.close();
    assert_eq!(show.inits.len(), 1);
    assert_eq!(show.packager.renditions()[0].codec, "avc1.42c01f");
    assert_eq!(
        show.segments.iter().map(|one| one.duration).sum::<u64>(),
        180_000
    );
}

#[test]
fn a_keyframe_without_parameter_sets_is_dropped_and_told() {
    let mut show = Show::begin(video());
    let data = Bytes::from_static(&[0, 0, 0, 4, 0x65, 0x88, 0x84, 0x21]);
    show.push(0, 0, true, data);
    show.close();
    assert!(show.parts.is_empty());
    assert!(matches!(show.warnings[..], [Warning::BadFrame { .. }]));
}

#[test]
fn out_of_order_pictures_are_shown_when_they_should_be_and_told_once() {
    let mut show = Show::begin(video());
    let mut camera = camera();
    let mut shown = Vec::new();
    for group in 0..40_i64 {
        let places = if group == 0 { vec![0] } else { vec![0, -2, -1] };
        for place in places {
            let pts = (group * 3 + place) * 3000;
            let keyframe = group == 0;
            let frames = camera.picture(keyframe, 50);
            shown.push(pts);
            show.push(0, pts, keyframe, frames[0].clone());
        }
    }
    show.close();
    assert!(
        matches!(
            show.warnings[..],
            [Warning::BFrames { .. }, Warning::KeyframesRare { .. }]
        ),
        "{:?}",
        show.warnings
    );
    let mut times = Vec::new();
    for part in &show.parts {
        times.extend(crate::boxes::presentation_times(part));
    }
    assert_eq!(times, shown);
}

#[test]
fn silence_fills_what_a_microphone_leaves_out() {
    let mut show = Show::begin(vec![track("audio", CodecKind::Opus)]);
    let packet = || Bytes::from_static(&[0xfc, 1, 2, 3]);
    for number in 0..200 {
        if !(50..120).contains(&number) {
            show.push(0, number * 960, true, packet());
        }
    }
    show.close();
    let ticks: u64 = show.segments.iter().map(|segment| segment.duration).sum();
    assert_eq!(ticks, 200 * 960);
    assert!(show.warnings.is_empty(), "{:?}", show.warnings);
    assert!(show.parts.iter().all(|part| part.duration <= 24_000));
}

#[test]
fn three_hours_at_a_crooked_rate_lose_no_tick() {
    let mut show = Show::begin(video());
    let mut camera = camera();
    let mut end = 0;
    // A twentieth of the pictures, since only their times matter: 59.94 Hz and a clock 0.4 s an hour too slow.
    for place in 0..3 * 3600 * 3_i64 {
        end = place * 1_501_667 * 20 / 1000;
        let keyframe = place % 6 == 0;
        let frames = camera.picture(keyframe, 10);
        show.push(0, end, keyframe, frames[0].clone());
        show.segments.dedup_by(|new, old| {
            assert_eq!(old.start + old.duration as i64, new.start);
            false
        });
        let kept = show.segments.len().saturating_sub(1);
        show.segments.drain(..kept);
        show.parts.clear();
    }
    let last = show.segments.last().expect("three hours are many segments");
    assert!(end - (last.start + last.duration as i64) < 5 * 90_000);
    assert!(show.warnings.is_empty(), "{:?}", show.warnings);
}

#[test]
fn a_clip_of_a_real_encoder_is_packaged_and_its_stills_are_repeated() {
    let (sets, samples) = source::clip();
    let mut show = Show::begin(video());
    for set in sets {
        show.push(0, 0, true, set);
    }
    let mut pts = 0;
    for (place, (data, keyframe)) in samples.iter().enumerate() {
        show.push(0, pts, *keyframe, data.clone());
        pts += if place % 20 == 19 { 120_000 } else { 3000 };
    }
    show.close();
    assert_eq!(show.packager.renditions()[0].width, 640);
    // Its keyframes are rarer than the first was: but for that there is nothing to warn of.
    let is_rare = |warning: &Warning| matches!(warning, Warning::KeyframeMissing { .. });
    assert!(show.warnings.iter().all(is_rare), "{:?}", show.warnings);
    assert!(show.parts.iter().all(|part| part.duration <= 18_000));
    let ends: Vec<i64> = show
        .segments
        .iter()
        .map(|one| one.start + one.duration as i64)
        .collect();
    let starts = show.segments.iter().skip(1).map(|one| one.start);
    assert!(starts.zip(&ends).all(|(start, end)| start == *end));
}
