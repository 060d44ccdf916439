//! The clip of the built-in performer through packets that are lost, repeated and out of order.

use std::collections::HashMap;
use std::sync::Arc;

use payload::CodecKind;
use payload::frames::Frame;
use payload::h264::NalType;

use super::{Bench, Packet, assert_gapless, frame, units};
use crate::bridge::clip::{AUDIO, Clip, VIDEO};

/// The packets of one track, with the index of each one's frame.
fn packets(clip: &Clip, track: usize, repeats: u64) -> Vec<(usize, Packet)> {
    let items: Vec<_> = clip
        .items
        .iter()
        .filter(|item| item.track == track)
        .collect();
    let rate = if track == VIDEO { 90_000 } else { 48_000 };
    let length = clip.duration.as_micros() as u64 * rate / 1_000_000;
    let mut packets = Vec::new();
    for index in 0..repeats as usize * items.len() {
        let item = items[index % items.len()];
        let ticks = item.ticks + (index / items.len()) as u64 * length;
        let first = 1_000 + packets.len() as u64;
        // The timestamps turn over in the middle.
        let timestamp = (ticks as u32).wrapping_sub((length / 2) as u32);
        let at_us = (ticks * 1_000_000 / rate) as i64;
        let frame = frame(first, timestamp, at_us, &item.payloads);
        packets.extend(frame.into_iter().map(|packet| (index, packet)));
    }
    packets
}

/// What the clip's frame must become.
fn expected(clip: &Clip, index: usize) -> Vec<Vec<u8>> {
    let frames: Vec<_> = clip
        .items
        .iter()
        .filter(|item| item.track == VIDEO)
        .collect();
    let mut nals: Vec<Vec<u8>> = Vec::new();
    for payload in &frames[index % frames.len()].payloads {
        match payload[0] & 0x1f {
            28 if payload[1] & 0x80 != 0 => {
                nals.push(vec![payload[0] & 0x60 | payload[1] & 0x1f]);
                nals.last_mut().unwrap().extend_from_slice(&payload[2..]);
            }
            28 => nals.last_mut().unwrap().extend_from_slice(&payload[2..]),
            24 => panic!("the packetiser joins nothing"),
            _ => nals.push(payload.to_vec()),
        }
    }
    nals
}

#[test]
fn all_pictures_come_out_as_they_went_in_and_in_even_steps() {
    let clip = Clip::embedded();
    let mut bench = Bench::new(CodecKind::H264);
    for (_, packet) in packets(&clip, VIDEO, 2) {
        bench.push(packet);
    }
    assert_eq!(bench.frames.len(), 720);
    for (index, frame) in bench.frames.iter().enumerate() {
        let nals = units(frame);
        assert_eq!(nals, expected(&clip, index), "frame {index}");
        assert_eq!(frame.keyframe, index % 30 == 0, "frame {index}");
        assert_eq!(frame.pts, 3_000 * index as i64);
    }
    assert!(!bench.assembler.take_wants_keyframe());
    assert_eq!(bench.counters().damaged + bench.counters().dropped, 0);
}

#[test]
fn all_sound_comes_out_as_it_went_in() {
    let clip = Clip::embedded();
    let mut bench = Bench::new(CodecKind::Opus);
    let packets = packets(&clip, AUDIO, 2);
    for (_, packet) in packets.clone() {
        bench.push(packet);
    }
    assert_eq!(bench.frames.len(), 1_200);
    assert_gapless(&bench.frames);
    for (frame, (_, packet)) in bench.frames.iter().zip(&packets) {
        assert_eq!(&frame.data[..], &packet.payload[..]);
        assert_eq!(frame.duration, Some(960));
    }
}

/// Loses, repeats and delays packets; gives what arrives, in order of arrival, and which frames lost something.
fn disturb(
    packets: Vec<(usize, Packet)>,
    random: &mut fastrand::Rng,
    loss: f64,
) -> (Vec<Packet>, HashMap<usize, bool>) {
    let mut whole = HashMap::new();
    let mut arrivals = Vec::new();
    for (index, mut packet) in packets {
        let is_lost = random.f64() < loss;
        *whole.entry(index).or_insert(true) &= !is_lost;
        if is_lost {
            continue;
        }
        // Most come after 0 to 30 ms, some are repaired within 200 ms.
        packet.arrival_us += random.i64(0..30_000);
        if random.f64() < 0.01 {
            packet.arrival_us += random.i64(30_000..170_000);
        }
        if random.f64() < 0.02 {
            let mut twin = packet.clone();
            twin.arrival_us += random.i64(0..400_000);
            arrivals.push(twin);
        }
        arrivals.push(packet);
    }
    arrivals.sort_by_key(|packet| packet.arrival_us);
    (arrivals, whole)
}

#[test]
fn a_picture_with_a_hole_is_never_given_and_after_a_loss_a_keyframe_comes_first() {
    for seed in 0..30 {
        let clip = Clip::embedded();
        let mut random = fastrand::Rng::with_seed(seed);
        let (arrivals, whole) = disturb(packets(&clip, VIDEO, 3), &mut random, 0.002);
        let mut bench = Bench::new(CodecKind::H264);
        let mut now = 0;
        let mut asked = 0;
        for packet in arrivals {
            while now + 50_000 < packet.arrival_us {
                now += 50_000;
                bench.expire(now);
            }
            bench.push(packet);
            asked += u32::from(bench.assembler.take_wants_keyframe());
        }
        bench.expire(now + 1_000_000);
        let index_of = |frame: &Frame| ((frame.pts + 1_500) / 3_000) as usize;
        let mut last: Option<usize> = None;
        for frame in &bench.frames {
            // Capture times jitter by 30 ms here, which the clock must swallow.
            let nals = units(frame);
            let near = index_of(frame);
            let index = (near.saturating_sub(3)..near + 4)
                .find(|index| Some(*index) > last && expected(&clip, *index) == nals)
                .unwrap_or_else(|| panic!("seed {seed}: no such frame as at {}", frame.pts));
            assert!(whole[&index], "seed {seed}: frame {index} has a hole");
            if last.is_none_or(|last| index != last + 1) {
                assert!(frame.keyframe, "seed {seed}: {last:?} then {index}");
                assert_eq!(NalType::of(&nals[0]), Some(NalType::SPS));
            }
            last = Some(index);
        }
        // A group of pictures is given as far as it is whole, and from its beginning.
        let mut expected_count = 0;
        for group in 0..36 {
            let is_whole = |index: &usize| whole[index];
            expected_count += (group * 30..group * 30 + 30).take_while(is_whole).count();
        }
        // Of two losses side by side one may look like the other's end.
        assert!(
            bench.frames.len() <= expected_count && bench.frames.len() + 4 >= expected_count,
            "seed {seed}: {} of {expected_count} frames",
            bench.frames.len()
        );
        assert!(asked >= 1, "seed {seed}");
        assert!(
            bench
                .frames
                .windows(2)
                .all(|pair| pair[0].pts < pair[1].pts)
        );
    }
}

#[test]
fn sound_goes_on_without_a_hole_whatever_is_lost() {
    for seed in 0..30 {
        let clip = Clip::embedded();
        let mut random = fastrand::Rng::with_seed(seed);
        let (arrivals, whole) = disturb(packets(&clip, AUDIO, 3), &mut random, 0.05);
        let mut bench = Bench::new(CodecKind::Opus);
        for packet in arrivals {
            let now = packet.arrival_us;
            bench.push(packet).expire(now);
        }
        bench.expire(36_600_000);
        assert_gapless(&bench.frames);
        let lost = whole.values().filter(|whole| !**whole).count() as u64;
        let counters = bench.counters();
        assert_eq!(counters.dropped, 0, "seed {seed}");
        assert!(
            (lost.saturating_sub(6)..=lost + 40).contains(&counters.concealed),
            "seed {seed}: {} for {lost}",
            counters.concealed
        );
        let length: u64 = bench
            .frames
            .iter()
            .filter_map(|frame| frame.duration)
            .map(u64::from)
            .sum();
        assert!(
            (35_900..36_100).contains(&(length / 48)),
            "seed {seed}: {length}"
        );
    }
}

#[test]
fn a_keyframe_of_a_megabyte_is_copied_once() {
    let payload: Arc<[u8]> = std::iter::once(0x7c)
        .chain([0x05])
        .chain((0..1_198).map(|index| index as u8))
        .collect();
    let mut payloads = vec![payload; 850];
    let mut first = payloads[0].to_vec();
    first[1] |= 0x80;
    payloads[0] = first.into();
    let mut last = payloads[849].to_vec();
    last[1] |= 0x40;
    payloads[849] = last.into();
    payloads.insert(0, super::PPS.into());
    payloads.insert(0, super::SPS.into());
    let mut bench = Bench::new(CodecKind::H264);
    for packet in frame(0, 0, 0, &payloads) {
        bench.push(packet);
    }
    // Until the frame is whole its payloads are the caller's.
    assert_eq!(Arc::strong_count(&payloads[2]), 2);
    bench.expire(100_000);
    assert_eq!(Arc::strong_count(&payloads[2]), 1);
    let frame = bench.frames.pop().unwrap();
    assert_eq!(frame.data.len(), 4 + 5 + 4 + 3 + 4 + 1 + 850 * 1_198);
    // One allocation: nothing had to grow.
    let unique = frame.data.try_into_mut().expect("nobody else has it");
    assert!(unique.capacity() <= 850 * 1_200 + 4 * 852 + 64 + 8);
}
