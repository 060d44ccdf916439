//! Whatever a publisher sends: no panic, no memory without bound, no frame that breaks a promise.

use proptest::prelude::*;

use super::{Bench, Packet, units};
use crate::CodecKind;

const KINDS: [CodecKind; 4] = [
    CodecKind::H264,
    CodecKind::Vp9,
    CodecKind::Av1,
    CodecKind::Opus,
];

/// First octets with which payloads of these formats mean something, before anything at all.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    let heads = prop::sample::select(vec![
        vec![],
        vec![0x67, 0x42],
        vec![0x68, 0xce],
        vec![0x65, 0x88],
        vec![0x41, 0x9a],
        vec![0x78, 0, 3],
        vec![0x7c, 0x85],
        vec![0x7c, 0x05],
        vec![0x7c, 0x45],
        vec![0x08, 0x82],
        vec![0xb8, 0x81, 0x02],
        vec![0x0a, 0xf8],
        vec![0x18, 0x0a],
        vec![0x50, 0x32],
        vec![0x90],
        vec![0x00, 4],
        vec![0xfc],
        vec![0xfb, 0x82],
        vec![0xef, 0x0f, 0x00, 0x02, 0x6f],
    ]);
    let tail = prop::collection::vec(any::<u8>(), 0..24);
    (heads, tail).prop_map(|(head, tail)| [head, tail].concat())
}

fn number<T: Copy + std::fmt::Debug + Arbitrary + 'static>(
    near: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = T> {
    prop_oneof![20 => near, 1 => any::<T>()]
}

prop_compose! {
    fn packets()(
        steps in prop::collection::vec(
            (
                number(0u64..4),
                number(0u32..2),
                any::<bool>(),
                number(-20_000i64..100_000),
                number(-50_000i64..50_000),
                payload(),
                any::<bool>(),
            ),
            1..120,
        ),
        from in (number(Just(1_000u64)), any::<u32>(), number(Just(0i64))),
    ) -> Vec<Packet> {
        let (mut sequence, mut timestamp, mut now_us) = from;
        steps
            .into_iter()
            .map(|(ahead, frames, marker, passed_us, off_us, payload, red)| {
                sequence = sequence.wrapping_add(ahead).wrapping_sub(1);
                timestamp = timestamp.wrapping_add(frames.wrapping_mul(960));
                now_us = now_us.wrapping_add(passed_us);
                let packet = Packet {
                    sequence,
                    timestamp,
                    marker,
                    arrival_us: now_us,
                    wallclock_us: now_us.wrapping_add(off_us),
                    payload: payload.into(),
                    red,
                };
                sequence = sequence.wrapping_add(1);
                packet
            })
            .collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_packets_break_an_assembler(packets in packets()) {
        for kind in KINDS {
            let mut bench = Bench::new(kind);
            for packet in &packets {
                let now_us = packet.arrival_us;
                bench.push(packet.clone());
                bench.expire(now_us);
                // A hole of a minute is filled by 3,000 packets and no more.
                prop_assert!(bench.frames.len() <= 20_000 * packets.len());
            }
            let has_key = bench.frames.first().is_none_or(|first| first.keyframe);
            prop_assert!(has_key, "the first frame is no keyframe");
            for frame in &bench.frames {
                prop_assert!(!frame.data.is_empty());
                prop_assert_eq!(frame.duration.is_some(), kind == CodecKind::Opus);
                if kind == CodecKind::H264 {
                    prop_assert!(units(frame).iter().all(|unit| !unit.is_empty()));
                }
            }
            if kind == CodecKind::Opus {
                for pair in bench.frames.windows(2) {
                    prop_assert!(pair[0].pts + i64::from(pair[0].duration.unwrap()) <= pair[1].pts);
                }
            }
        }
    }
}

#[test]
fn a_flood_keeps_within_its_bounds() {
    let mut random = fastrand::Rng::with_seed(3);
    let mut bench = Bench::new(CodecKind::H264);
    let payload: std::sync::Arc<[u8]> = vec![0x7c; 1_200].into();
    for _ in 0..200_000 {
        bench.push(Packet {
            sequence: random.u64(0..1 << 20),
            timestamp: random.u32(..) & 0xff,
            marker: random.bool(),
            arrival_us: 0,
            wallclock_us: 0,
            payload: payload.clone(),
            red: false,
        });
        // The window and one frame.
        assert!(std::sync::Arc::strong_count(&payload) <= 4_096 + 8_192 + 2);
    }
    assert!(bench.frames.is_empty());
}
