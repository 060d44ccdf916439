//! What comes of many seeded packets, as one number for each codec: it changes when anything that comes out does.

use super::{Bench, Packet};
use crate::CodecKind;

/// FNV-1a.
fn digest(so_far: u64, value: &impl std::fmt::Debug) -> u64 {
    let add = |sum: u64, byte: u8| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    format!("{value:?}").bytes().fold(so_far, add)
}

/// An octet of `from`, or any.
fn one_of(random: &mut fastrand::Rng, from: &[u8]) -> u8 {
    if random.u8(..) < 250 {
        from[random.usize(..from.len())]
    } else {
        random.u8(..)
    }
}

fn noise(random: &mut fastrand::Rng, longest: usize) -> Vec<u8> {
    (0..random.usize(..=longest))
        .map(|_| random.u8(..))
        .collect()
}

fn payload(random: &mut fastrand::Rng, kind: CodecKind) -> Vec<u8> {
    let mut out = Vec::new();
    match kind {
        CodecKind::H264 => {
            let units = [0x67, 0x68, 0x65, 0x65, 0x41, 0x41, 0x41, 0x09, 0x06];
            match random.u8(..8) {
                0 | 1 => {
                    out.push(0x78);
                    for _ in 0..random.usize(1..4) {
                        let unit = [&[one_of(random, &units)][..], &noise(random, 9)].concat();
                        out.extend_from_slice(&(unit.len() as u16).to_be_bytes());
                        out.extend_from_slice(&unit);
                    }
                }
                2 | 3 => out.extend([0x7c, one_of(random, &[0x85, 0x45, 0x05, 0xc5, 0x81, 0x41])]),
                _ => out.push(one_of(random, &units)),
            }
        }
        CodecKind::Vp9 => out.extend([
            one_of(random, &[0x08, 0x00, 0x04, 0x88, 0xa8, 0xb8, 0x0a]),
            one_of(random, &[0x82, 0x86, 0x00]),
        ]),
        CodecKind::Av1 => match random.u8(..8) {
            0 | 1 => out.extend([0x28, 3, 0x08, 1, 2, 0x30, 0x10]),
            2..5 => out.extend([0x10, 0x30, one_of(random, &[0x30, 0x10])]),
            5 => out.extend([0x50, 0x34, 0x20, 0x30]),
            6 => out.push(0x90),
            _ => out.extend([
                one_of(random, &[0x10, 0x20, 0x98]),
                one_of(random, &[2, 0x32, 0x12]),
            ]),
        },
        _ => out.push(one_of(random, &[0xfc, 0xf8, 0x78, 0xff, 0x6f, 0xef])),
    }
    out.extend(noise(random, 20));
    out
}

#[test]
fn what_comes_of_any_packets_is_what_always_came() {
    let sum = |kind: CodecKind| {
        let (mut sum, mut frames) = (0xcbf2_9ce4_8422_2325, 0);
        for seed in 0..40 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut bench = Bench::new(kind);
            let (mut sequence, mut timestamp, mut at_us) = (0, random.u32(..), 0);
            for _ in 0..1_000 {
                sequence += match random.u8(..) {
                    0..4 => 2,
                    4..6 => 0,
                    _ => 1,
                };
                if random.u8(..) < 150 {
                    timestamp = timestamp.wrapping_add(if random.u8(..) < 3 {
                        random.u32(..)
                    } else {
                        960
                    });
                }
                at_us += random.i64(0..20_000);
                bench.push(Packet {
                    sequence: sequence + u64::from(random.u8(..) < 8),
                    timestamp,
                    marker: random.u8(..) < 100,
                    arrival_us: at_us,
                    wallclock_us: at_us - random.i64(0..5_000),
                    payload: payload(&mut random, kind).into(),
                    red: kind == CodecKind::Opus && random.u8(..) < 60,
                });
                if random.u8(..) < 60 {
                    bench.expire(at_us + random.i64(0..400_000));
                }
                let wants = bench.assembler.take_wants_keyframe();
                sum = digest(
                    sum,
                    &(
                        wants,
                        bench
                            .take()
                            .iter()
                            .map(|one| (one.pts, one.keyframe, one.data.to_vec(), one.duration))
                            .collect::<Vec<_>>(),
                    ),
                );
            }
            sum = digest(sum, &bench.counters());
            frames += bench.counters().frames;
        }
        assert!(frames > 1_000, "{kind:?}: {frames} frames");
        sum
    };
    let kinds = [
        CodecKind::H264,
        CodecKind::Vp9,
        CodecKind::Av1,
        CodecKind::Opus,
    ];
    assert_eq!(
        kinds.map(sum),
        [
            7814779203381529681,
            4987471542226533604,
            12701656108741680822,
            8239494779625772472
        ]
    );
}
