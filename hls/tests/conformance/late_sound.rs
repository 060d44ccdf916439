//! Sound that comes after the silence that was put in its place.

use bytes::Bytes;
use hls::{CodecKind, Frame, Output, Packager, Settings, SoundCounters, TrackConfig};

use crate::source::Camera;

pub(crate) fn track(rendition: &str, codec: CodecKind, channels: u8) -> TrackConfig {
    TrackConfig {
        rendition: rendition.to_owned(),
        codec,
        channels,
        config: Bytes::new(),
    }
}

/// Ten bytes of stereo that say which packet they are.
pub(crate) fn packet(number: i64) -> Bytes {
    let mut data = vec![0xfc, 0xab, 0xcd];
    data.extend(number.to_be_bytes());
    data.into()
}

/// Twenty seconds of pictures and sound; a packet of sound is pushed when the pictures have come to `behind_ms(number)` after it.
/// Gives the numbers of the packets that are in the file, and what was counted.
fn run(behind_ms: impl Fn(i64) -> i64) -> (Vec<i64>, SoundCounters) {
    let tracks = vec![
        track("video", CodecKind::H264, 0),
        track("audio", CodecKind::Opus, 2),
    ];
    let mut packager = Packager::new(Settings::default(), String::from("0badcafe"), 0);
    packager.begin(tracks);
    let mut camera = Camera::new(CodecKind::H264, 640, 368);
    let mut sounds: Vec<(i64, i64)> = (0..1_000)
        .map(|number| (number * 20 + behind_ms(number), number))
        .collect();
    sounds.sort_unstable();
    let mut next = 0;
    let push = |packager: &mut Packager, track: usize, pts: i64, keyframe: bool, data: Bytes| {
        packager.push(
            track,
            Frame {
                pts,
                keyframe,
                data,
                duration: (track == 1).then_some(960),
            },
        );
    };
    for picture in 0..20 * 25 {
        let keyframe = picture % 50 == 0;
        for data in camera.picture(keyframe, 50) {
            push(&mut packager, 0, picture * 3_600, keyframe, data);
        }
        while next < sounds.len() && sounds[next].0 <= picture * 40 {
            let number = sounds[next].1;
            push(&mut packager, 1, number * 960, true, packet(number));
            next += 1;
        }
    }
    packager.end();
    let mut kept = Vec::new();
    while let Some(output) = packager.poll() {
        if let Output::Segment(segment) = output
            && segment.rendition == 1
        {
            let found = segment.bytes.windows(3).enumerate();
            let found = found.filter(|(_, window)| *window == [0xfc, 0xab, 0xcd]);
            kept.extend(found.map(|(at, _)| {
                let number = segment.bytes[at + 3..].first_chunk::<8>();
                i64::from_be_bytes(*number.expect("a whole packet"))
            }));
        }
    }
    (kept, packager.sound())
}

/// All packets in their order, from the first on that is there.
fn assert_whole(kept: &[i64], least: usize) {
    assert!(kept.len() >= least, "{} packets", kept.len());
    for pair in kept.windows(2) {
        assert_eq!(pair[0] + 1, pair[1]);
    }
}

#[test]
fn sound_that_is_always_half_a_second_behind_is_shifted_and_whole() {
    let (kept, counted) = run(|_| 480);
    // What is left out at the end had not come.
    assert_whole(&kept, 960);
    assert_eq!(counted.dropped, 0);
    assert!(counted.filled <= 100 * 48, "{counted:?}");
}

#[test]
fn sound_that_stays_very_late_is_lost_for_a_second_and_whole_from_then_on() {
    let (kept, counted) = run(|number| if number < 200 { 20 } else { 900 });
    let lost = (0..940).filter(|number| !kept.contains(number)).count();
    assert!(lost <= 60, "{lost} packets are lost");
    assert_whole(&kept[kept.len() - 650..], 650);
    assert_eq!(counted.dropped, lost as u64 * 960);
}

#[test]
fn sound_that_comes_late_once_goes_on_in_its_time() {
    // The network holds 700 ms back, and delivers them at once.
    let (kept, counted) = run(|number| {
        if (200..235).contains(&number) {
            (235 - number) * 20
        } else {
            0
        }
    });
    let lost = (0..990).filter(|number| !kept.contains(number)).count();
    assert!(lost <= 20, "{lost} packets are lost");
    assert!(counted.dropped <= 20 * 960, "{counted:?}");
    assert!(kept.contains(&230) && kept.contains(&240));
}

#[test]
fn packets_that_come_twice_are_there_once() {
    let mut packager = Packager::new(Settings::default(), String::from("0badcafe"), 0);
    packager.begin(vec![track("audio", CodecKind::Opus, 1)]);
    for number in 0..200 {
        for _ in 0..2 {
            packager.push(
                0,
                Frame {
                    pts: number * 960,
                    keyframe: true,
                    data: packet(number),
                    duration: Some(960),
                },
            );
        }
    }
    packager.end();
    let mut ticks = 0;
    while let Some(output) = packager.poll() {
        if let Output::Segment(segment) = output {
            ticks += segment.duration;
        }
    }
    assert_eq!(ticks, 200 * 960);
    assert_eq!(packager.sound().dropped, 0);
}
