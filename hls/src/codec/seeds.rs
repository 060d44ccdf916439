//! What is read of many seeded frames, as one number for each codec: it changes when anything that is read does.

use bytes::Bytes;
use fastrand::Rng;

use super::*;

/// A sequence header as libaom writes it, and a frame.
const AV1: &[u8] = &[
    0x0a, 0x0b, 0x00, 0x00, 0x00, 0x04, 0x3c, 0xff, 0xbc, 0xff, 0xf9, 0x80, 0x40, 0x32, 4, 0x10, 1,
    2, 3,
];
const VP9: &[u8] = &[0x82, 0x49, 0x83, 0x42, 0x00, 0x27, 0xf0, 0x1d, 0xf6, 0x00];
/// Parameter sets of 320 x 240 pixels as x264 writes them, and slices.
const H264: &[u8] = &[
    0, 0, 0, 24, 0x67, 0x42, 0xc0, 0x0d, 0xd9, 0x01, 0x41, 0xfb, 0x01, 0x10, 0x00, 0x00, 0x03,
    0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x42, 0x99, 0x20, 0, 0, 0, 5, 0x68, 0xcb, 0x83,
    0xcb, 0x20, 0, 0, 0, 8, 0x65, 0x88, 0x84, 0x0a, 1, 2, 3, 4,
];

fn mutated(random: &mut Rng, from: &[u8]) -> Vec<u8> {
    let mut frame = from.to_vec();
    for _ in 0..random.usize(..4) {
        let at = random.usize(..frame.len());
        frame[at] = if random.bool() {
            random.u8(..)
        } else {
            frame[at] ^ 1 << random.u8(..8)
        };
    }
    if random.u8(..) < 20 {
        frame.truncate(random.usize(1..=frame.len()));
    }
    frame
}

#[test]
fn what_is_read_of_any_frame_is_what_always_was() {
    let sum = |(codec, from): (CodecKind, &[u8])| {
        let mut random = Rng::with_seed(9);
        let mut sum = 0xcbf2_9ce4_8422_2325_u64;
        let mut formats = 0;
        for _ in 0..400 {
            let config = TrackConfig {
                rendition: String::new(),
                codec,
                channels: 0,
                config: Bytes::new(),
            };
            let mut parser = Parser::new(&config);
            for _ in 0..20 {
                let taken = parser.take(Frame {
                    pts: 0,
                    keyframe: random.u8(..) < 200,
                    data: mutated(&mut random, from).into(),
                    duration: None,
                });
                let repeat = match &taken {
                    Ok(Some(Coded {
                        recipe: Some(recipe),
                        ..
                    })) => parser.repeat(recipe),
                    _ => None,
                };
                formats += usize::from(parser.format().is_some());
                let text = format!("{taken:?} {:?} {repeat:?}", parser.format());
                sum = text.bytes().fold(sum, |sum, byte| {
                    (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
                });
            }
        }
        assert!(formats > 2_000, "{codec:?}: {formats} formats");
        sum
    };
    let kinds = [
        (CodecKind::H264, H264),
        (CodecKind::Vp9, VP9),
        (CodecKind::Av1, AV1),
    ];
    assert_eq!(
        kinds.map(sum),
        [
            13331331154178929108,
            13271618980817520648,
            13744322214569441522
        ]
    );
}
