//! Times of frames, whatever clocks and networks do.

use super::{Bench, PPS, SPS, frame};
use crate::CodecKind;
use crate::frames::Packet;

/// A picture that needs no other; every one, so that losses do not matter here.
fn picture(sequence: u64, timestamp: u32, at_us: i64) -> Packet {
    let payload: Vec<u8> = [&[0x78, 0, 5], SPS, &[0, 3], PPS, &[0, 3, 0x65, 0x88, 1]].concat();
    frame(sequence, timestamp, at_us, &[payload]).remove(0)
}

/// Pictures at 30 Hz whose timestamps begin at `from` and which arrive as `arrival_us` says.
fn run(from: u32, count: u32, arrival_us: impl Fn(u32) -> i64) -> Bench {
    let mut bench = Bench::new(CodecKind::H264);
    for index in 0..count {
        let timestamp = from.wrapping_add(index * 3_000);
        bench.push(picture(index.into(), timestamp, arrival_us(index)));
    }
    bench.expire(arrival_us(count) + 250_000);
    assert_eq!(bench.frames.len(), count as usize);
    bench
}

fn even(index: u32) -> i64 {
    i64::from(index) * 1_000_000 / 30
}

fn assert_rising(times: &[i64]) {
    for pair in times.windows(2) {
        assert!(pair[0] < pair[1], "{pair:?}");
    }
}

#[test]
fn timestamps_that_turn_over_are_steps_like_others() {
    let bench = run(u32::MAX - 10_000, 100, even);
    let expected: Vec<i64> = (0..100).map(|index| index * 3_000).collect();
    assert_eq!(bench.times(), expected);
}

#[test]
fn what_was_kept_from_before_the_beginning_has_negative_times() {
    let bench = run(7, 100, |index| even(index) - 2_000_000);
    assert_eq!(bench.times()[..2], [-180_000, -177_000]);
    assert_eq!(bench.times()[60], 0);
}

#[test]
fn a_network_that_stalls_moves_nothing_much() {
    // Two seconds of pictures arrive at once.
    let bench = run(0, 600, |index| match index {
        200..260 => even(260),
        _ => even(index),
    });
    for (index, time) in bench.times().into_iter().enumerate() {
        let off = time - 3_000 * index as i64;
        assert!(off.abs() <= 30 * 90, "{off} ticks at {index}");
    }
    assert_eq!(bench.counters().steps, 0);
}

#[test]
fn pictures_that_begin_with_a_delay_keep_their_pace() {
    // The first picture waited 300 ms for its way.
    let bench = run(0, 1_500, |index| {
        even(index) + if index == 0 { 300_000 } else { 0 }
    });
    let times = bench.times();
    for pair in times.windows(2) {
        assert!((2_955..=3_045).contains(&(pair[1] - pair[0])), "{pair:?}");
    }
    let off = times[1_499] - 3_000 * 1_499;
    assert!((off - 27_000).abs() < 1_350, "{off} ticks");
    assert_eq!(bench.counters().steps, 0);
}

#[test]
fn a_publisher_that_begins_with_half_a_second_at_once_keeps_its_pace_and_its_lead() {
    let bench = run(0, 900, |index| even(index.saturating_sub(16)));
    let times = bench.times();
    for pair in times.windows(2) {
        assert!((2_955..=3_045).contains(&(pair[1] - pair[0])), "{pair:?}");
    }
    let lead = times[899] - (900 - 16) * 3_000;
    assert!((20_000..48_000).contains(&lead), "{lead} ticks");
    assert_eq!(bench.counters().steps, 0);
}

#[test]
fn a_clock_that_leaps_is_brought_back_at_once() {
    for leap in [10_000_000u32, 0u32.wrapping_sub(10_000_000), 1 << 31] {
        let mut bench = Bench::new(CodecKind::H264);
        for index in 0..200u32 {
            let leap = if index < 100 { 0 } else { leap };
            let timestamp = (index * 3_000).wrapping_add(leap);
            bench.push(picture(index.into(), timestamp, even(index)));
        }
        let expected: Vec<i64> = (0..200).map(|index| index * 3_000).collect();
        assert_eq!(bench.times(), expected, "{leap}");
        assert_eq!(bench.counters().steps, 1);
    }
}

#[test]
fn a_clock_that_stood_still_is_corrected_when_that_lasts() {
    // The sender slept for five seconds, and so did its clock.
    let bench = run(0, 300, |index| {
        even(index) + if index < 100 { 0 } else { 5_000_000 }
    });
    let times = bench.times();
    assert_rising(&times);
    assert_eq!(times[100], 300_000);
    assert_eq!(times[140], 140 * 3_000 + 450_000);
    assert_eq!(bench.counters().steps, 1);
}

#[test]
fn pictures_that_were_held_back_at_first_stay_where_their_timestamps_are() {
    // The network delivered the first two seconds at once.
    let bench = run(0, 600, |index| even(index).max(2_000_000));
    let times = bench.times();
    for pair in times.windows(2) {
        assert!((2_955..=3_045).contains(&(pair[1] - pair[0])), "{pair:?}");
    }
    let ahead = times[599] - 3_000 * 599;
    assert!((ahead - 180_000).abs() < 9_000, "{ahead} ticks");
    assert_eq!(bench.counters().steps, 0);
}

#[test]
fn frames_that_come_seldom_are_no_leaps() {
    let mut bench = Bench::new(CodecKind::H264);
    for index in 0..20u32 {
        // A slide every five seconds, with 100 ms of jitter.
        let at_us = i64::from(index) * 5_000_000 + i64::from(index % 2) * 100_000;
        bench.push(picture(index.into(), index * 450_000, at_us));
    }
    bench.expire(100_000_000);
    assert_eq!(bench.counters().steps, 0);
    assert_rising(&bench.times());
}

#[test]
fn b_frames_keep_their_times_and_are_counted() {
    let mut bench = Bench::new(CodecKind::H264);
    let mut expected = Vec::new();
    // Decoding order I0 P3 B1 B2 P6 B4 B5...
    let order = std::iter::once(0).chain((0..200).flat_map(|group| {
        let first = group * 3;
        [first + 3, first + 1, first + 2]
    }));
    for (decoded, shown) in order.enumerate() {
        let arrival_us = even(decoded as u32);
        let mut packet = picture(decoded as u64, shown * 3_000 + 6_000, arrival_us);
        packet.wallclock_us = even(shown);
        bench.push(packet);
        expected.push(i64::from(shown) * 3_000);
    }
    assert_eq!(bench.times(), expected);
    let counters = bench.counters();
    assert_eq!((counters.steps, counters.reordered), (0, 200));
}

#[test]
fn a_variable_frame_rate_is_kept_as_it_is() {
    let mut bench = Bench::new(CodecKind::H264);
    let mut random = fastrand::Rng::with_seed(5);
    let (mut timestamp, mut expected) = (0u32, Vec::new());
    for index in 0..2_000 {
        let at_us = i64::from(timestamp) * 100 / 9 + random.i64(0..20_000);
        expected.push(i64::from(timestamp));
        bench.push(picture(index, timestamp, at_us));
        timestamp += random.u32(1_500..45_000);
    }
    for (time, expected) in bench.times().into_iter().zip(expected) {
        // The jitter has a mean of 10 ms, and the first picture had any.
        assert!((time - expected).abs() <= 25 * 90, "{time} for {expected}");
    }
}
