//! G.711 that becomes Opus: where it is put, and what a loss does to it.

use payload::CodecKind;
use payload::frames::{Lead, Opening, Packet};

use super::{Bench, assert_gapless, packet};

/// Eight samples of 1 kHz: loud, above zero and below it, by either law.
const WAVE: [u8; 8] = [0xaa, 0xaa, 0xaa, 0xaa, 0x2a, 0x2a, 0x2a, 0x2a];

/// A packet of 20 ms, the `at`th since the begin.
fn g711(at: u64, first: u32) -> Packet {
    let timestamp = first.wrapping_add(at as u32 * 160);
    packet(at, timestamp, 20_000 * at as i64, &WAVE.repeat(20))
}

#[test]
fn g711_becomes_opus_without_a_hole_in_its_time_whatever_its_timestamps_are() {
    for first in [0, 77, u32::MAX - 1_000, u32::MAX / 6] {
        let mut bench = Bench::new(CodecKind::Pcma);
        let mut opening = Opening::new(8_000, 0, first, 0);
        opening.add(0, first, 0);
        let (lead, anchors) = Lead::begin(&[Some(opening)]);
        bench.lead = lead;
        bench.assembler.begin(anchors[0].unwrap());
        for at in 0..500 {
            bench.push(g711(at, first));
        }
        assert_gapless(&bench.frames);
        let frames = &bench.frames;
        assert_eq!(frames[0].pts, 0, "{first}");
        let last = frames.last().unwrap();
        let end = last.pts + i64::from(last.duration.unwrap());
        // What the resampler holds is at most 104 ms.
        assert!((480_000 - 5_000..=480_000).contains(&end), "{first}: {end}");
        assert!(frames.iter().all(|one| one.data[0] & 4 == 0), "one channel");
        let counters = bench.counters();
        assert_eq!(
            counters.damaged + counters.dropped + counters.missing_ticks,
            0
        );
    }
}

#[test]
fn what_is_lost_of_g711_is_filled_and_what_follows_is_in_its_time() {
    let mut bench = Bench::new(CodecKind::Pcmu);
    for at in (0..200).filter(|at| !(100..105).contains(at)) {
        bench.push(g711(at, 5));
        bench.expire(20_000 * at as i64 + 1);
    }
    assert_gapless(&bench.frames);
    let last = bench.frames.last().unwrap();
    let end = last.pts + i64::from(last.duration.unwrap());
    assert!((192_000 - 5_000..=192_000).contains(&end), "{end}");
    let counters = bench.counters();
    // 100 ms, and what the resampler held before.
    assert!(
        (4_800..10_000).contains(&counters.missing_ticks),
        "{counters:?}"
    );
}

#[test]
fn g711_of_any_length_is_no_panic() {
    let mut random = fastrand::Rng::with_seed(11);
    let mut bench = Bench::new(CodecKind::Pcma);
    for at in 0..2_000 {
        let payload: Vec<u8> = (0..random.usize(0..1_200)).map(|_| random.u8(..)).collect();
        let timestamp = if random.f64() < 0.05 {
            random.u32(..)
        } else {
            at as u32 * 160
        };
        bench.push(packet(at, timestamp, 20_000 * at as i64, &payload));
    }
    assert_gapless(&bench.frames);
}
