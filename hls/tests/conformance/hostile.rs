//! What nobody sends, and everybody can.

use bytes::Bytes;
use hls::{CodecKind, Frame, Output, Packager, Settings, TrackConfig};
use proptest::prelude::*;

use crate::source::Camera;

#[derive(Clone, Debug)]
enum Act {
    Push {
        track: usize,
        step: i64,
        keyframe: bool,
        noise: Option<Vec<u8>>,
        duration: Option<u32>,
    },
    Begin(Vec<usize>),
    Pause,
    Advance(i64),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let step = prop_oneof![
        8 => 0_i64..20_000,
        2 => -20_000_i64..0,
        1 => 0_i64..5_000_000,
        1 => any::<i64>(),
    ];
    let noise = prop_oneof![
        3 => Just(None),
        1 => prop::collection::vec(any::<u8>(), 0..60).prop_map(Some),
    ];
    let push = (0_usize..6, step, any::<bool>(), noise, any::<Option<u32>>()).prop_map(
        |(track, step, keyframe, noise, duration)| Act::Push {
            track,
            step,
            keyframe,
            noise,
            duration,
        },
    );
    let act = prop_oneof![
        40 => push,
        1 => prop::collection::vec(0_usize..6, 0..5).prop_map(Act::Begin),
        1 => Just(Act::Pause),
        2 => any::<i64>().prop_map(Act::Advance),
    ];
    prop::collection::vec(act, 0..200)
}

const KINDS: [CodecKind; 5] = [
    CodecKind::H264,
    CodecKind::Vp9,
    CodecKind::Av1,
    CodecKind::Opus,
    CodecKind::Aac,
];

fn config(number: usize) -> TrackConfig {
    TrackConfig {
        rendition: format!("r{}", number % 4),
        codec: KINDS[number % KINDS.len()],
        channels: number as u8,
        config: Bytes::from(vec![7; number % 3]),
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 500,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_comes_the_timelines_go_on(acts in acts()) {
        let mut packager = Packager::new(Settings::default(), String::from("0badcafe"), 0);
        let mut cameras = KINDS.map(|kind| Camera::new(kind, 320, 176));
        let mut kinds: Vec<usize> = Vec::new();
        let mut time = 0_i64;
        let mut ends = vec![(0_u64, 0_i64); 64];
        for act in acts {
            match act {
                Act::Push { track, step, keyframe, noise, duration } => {
                    time = time.saturating_add(step);
                    let kind = kinds.get(track).copied().unwrap_or(0);
                    let data = match noise {
                        Some(noise) => vec![Bytes::from(noise)],
                        None if kind > 2 => vec![Bytes::from_static(&[0xfc, 1])],
                        None => cameras[kind].picture(keyframe, 9),
                    };
                    for data in data {
                        packager.push(track, Frame { pts: time, keyframe, data, duration });
                    }
                }
                Act::Begin(tracks) => {
                    kinds = tracks.iter().map(|number| number % KINDS.len()).collect();
                    packager.begin(tracks.into_iter().map(config).collect());
                }
                Act::Pause => packager.pause(),
                Act::Advance(ms) => packager.advance(ms),
            }
            while let Some(output) = packager.poll() {
                if let Output::Segment(segment) = output {
                    let (msn, end) = &mut ends[segment.rendition];
                    prop_assert_eq!(segment.msn, *msn + 1);
                    prop_assert!(segment.start >= *end);
                    prop_assert!(segment.duration > 0);
                    let limit = u64::from(segment.timescale) * 105 / 10;
                    prop_assert!(segment.duration < limit, "{} of {}", segment.duration, limit);
                    *msn = segment.msn;
                    *end = segment.start + segment.duration as i64;
                }
            }
        }
        packager.end();
    }
}
