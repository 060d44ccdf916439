//! Sound without holes.

use super::{Bench, Packet, assert_gapless, packet};
use crate::CodecKind;
use crate::frames::Frame;

/// 20 ms of stereo CELT.
const PACKET: &[u8] = &[0xfc, 1, 2, 3];
/// What stands for 20 ms of missing stereo sound.
const FILLER: &[u8] = &[0xfc];
/// The same, when sound has been missing for half a second.
const SILENCE: &[u8] = &[0xfc, 0xff, 0xfe];

fn sound(index: u64) -> Packet {
    packet(index, index as u32 * 960, index as i64 * 20_000, PACKET)
}

/// The packets `indices`, each in its time.
fn run(indices: impl IntoIterator<Item = u64>) -> Bench {
    let mut bench = Bench::new(CodecKind::Opus);
    for index in indices {
        let packet = sound(index);
        bench.expire(packet.arrival_us).push(packet);
    }
    bench
}

fn fillers(bench: &Bench) -> usize {
    let is_filler = |frame: &&Frame| [FILLER, SILENCE].contains(&&frame.data[..]);
    bench.frames.iter().filter(is_filler).count()
}

#[test]
fn lost_packets_are_replaced_by_as_much_of_nothing() {
    let mut bench = run((0..100).filter(|index| !(40..43).contains(index)));
    bench.expire(2_300_000);
    assert_eq!(bench.frames.len(), 100);
    assert_gapless(&bench.frames);
    for index in 40..43 {
        assert_eq!(&bench.frames[index].data[..], FILLER);
    }
    let counters = bench.counters();
    assert_eq!(
        (counters.lost, counters.concealed, counters.frames),
        (3, 3, 100)
    );
}

#[test]
fn discontinuous_transmission_is_filled_when_the_next_packet_comes() {
    // Every twentieth packet comes, and sequence numbers go on without a gap.
    let mut bench = Bench::new(CodecKind::Opus);
    for index in 0..50u64 {
        let packet = Packet {
            sequence: index,
            ..sound(index * 20)
        };
        bench.expire(packet.arrival_us).push(packet);
    }
    assert_gapless(&bench.frames);
    assert_eq!(bench.frames.len(), 49 * 20 + 1);
    assert_eq!(fillers(&bench), 49 * 19);
    assert_eq!(bench.counters().lost, 0);
}

#[test]
fn a_muted_microphone_goes_on_as_silence_while_time_passes() {
    let mut bench = run(0..50);
    bench.take();
    let mut last_us = 1_000_000;
    for now_us in (1_000_000..9_000_000).step_by(20_000) {
        bench.expire(now_us);
        if let Some(frame) = bench.frames.last() {
            let end_us = (frame.pts + 960) * 1_000 / 48;
            assert!(now_us - end_us <= 640_000, "{end_us} at {now_us}");
            last_us = end_us;
        }
    }
    assert!(last_us > 8_300_000);
    // It is switched on again; the packets after the pause continue the numbering.
    for index in 450..500u64 {
        let packet = Packet {
            sequence: index - 400,
            ..sound(index)
        };
        bench.expire(packet.arrival_us).push(packet);
    }
    assert_gapless(&bench.frames);
    assert_eq!(bench.frames.len(), 450);
    assert_eq!(fillers(&bench), 400);
    assert_eq!(&bench.frames[24].data[..], FILLER);
    assert!(
        bench.frames[25..400]
            .iter()
            .all(|frame| &frame.data[..] == SILENCE)
    );
    assert_eq!(bench.counters().dropped, 0);
}

#[test]
fn sound_that_comes_after_its_silence_is_not_played_twice() {
    let mut bench = run(0..50);
    // One and a half seconds of it come at once.
    bench.expire(2_480_000);
    for index in 50..200 {
        let mut packet = sound(index);
        packet.arrival_us = packet.arrival_us.max(2_500_000);
        bench.push(packet);
    }
    assert_gapless(&bench.frames);
    assert_eq!(bench.frames.len(), 200);
    let counters = bench.counters();
    assert_eq!(counters.concealed, counters.dropped);
    assert!((40..50).contains(&counters.dropped), "{counters:?}");
}

#[test]
fn a_hole_of_more_than_a_minute_is_left() {
    let mut bench = run(0..50);
    let packet = Packet {
        sequence: 50,
        ..sound(4_000)
    };
    bench.push(packet);
    assert_eq!(bench.frames.len(), 51);
    assert_eq!(bench.frames[50].pts, 4_000 * 960);
}

/// Redundancy of one packet of 20 ms around `primary`.
fn red(packet: Packet, before: u32, redundant: &[u8]) -> Packet {
    let bits = (before << 10 | redundant.len() as u32).to_be_bytes();
    let header = [0x80 | 111, bits[1], bits[2], bits[3], 111];
    Packet {
        payload: [&header, redundant, &packet.payload].concat().into(),
        red: true,
        ..packet
    }
}

#[test]
fn a_lost_packet_is_recovered_from_redundancy() {
    let mut bench = Bench::new(CodecKind::Opus);
    for index in (0..60).filter(|index| *index != 30 && *index != 40 && *index != 41) {
        bench.push(red(sound(index), 960, &[0xfc, 9, 9]));
    }
    bench.expire(1_700_000);
    assert_gapless(&bench.frames);
    let data: Vec<&[u8]> = bench.frames.iter().map(|frame| &frame.data[..]).collect();
    assert_eq!(data[29..32], [PACKET, &[0xfc, 9, 9], PACKET]);
    assert_eq!(data[39..43], [PACKET, FILLER, &[0xfc, 9, 9], PACKET]);
    assert_eq!((data.len(), bench.counters().recovered), (60, 2));
}

#[test]
fn redundancy_that_makes_no_sense_is_nothing() {
    let mut bench = Bench::new(CodecKind::Opus);
    for index in (0..60).filter(|index| index % 10 != 5) {
        let nonsense: (u32, &[u8]) = match index % 4 {
            0 => (0, &[0xfc, 9]),
            1 => (16_383, &[0xfc, 9]),
            2 => (960, &[]),
            _ => (960, &[0xfb, 0]),
        };
        bench.push(red(sound(index), nonsense.0, nonsense.1));
        let mut broken = sound(index);
        broken.red = true;
        broken.payload = vec![0xff; 7].into();
        bench.push(broken);
    }
    bench.expire(1_700_000);
    assert_gapless(&bench.frames);
    assert_eq!(bench.frames.len(), 60);
    assert_eq!(bench.counters().recovered, 0);
}

#[test]
fn packets_of_other_lengths_follow_one_another() {
    let mut bench = Bench::new(CodecKind::Opus);
    let mut at = 0u32;
    // 10, 60 and 120 ms, and 2.5 ms.
    for index in 0..400u64 {
        let payload: &[u8] = match index % 4 {
            0 => &[0xf0, 1],
            1 => &[0x18, 1],
            2 => &[0x1b, 2, 1, 1],
            _ => &[0xe0, 1],
        };
        let at_us = i64::from(at) * 1_000 / 48;
        bench.push(packet(index, at, at_us, payload));
        at += [480, 2_880, 5_760, 120][index as usize % 4];
    }
    assert_gapless(&bench.frames);
    let expected: Vec<u32> = [480, 2_880, 5_760, 120].repeat(100);
    let durations: Vec<u32> = bench
        .frames
        .iter()
        .filter_map(|frame| frame.duration)
        .collect();
    assert_eq!(durations, expected);
    assert_eq!(bench.counters().concealed, 0);
}

#[test]
fn unreadable_packets_are_replaced_like_lost_ones() {
    let mut bench = Bench::new(CodecKind::Opus);
    for index in 0..50 {
        let mut packet = sound(index);
        if index == 20 {
            packet.payload = vec![0xfb, 0].into();
        }
        bench.push(packet);
    }
    assert_gapless(&bench.frames);
    assert_eq!(&bench.frames[20].data[..], FILLER);
    assert_eq!(bench.counters().damaged, 1);
}

#[test]
fn a_sound_card_that_is_a_thousandth_off_is_followed() {
    for speed in [0.999, 1.001] {
        let mut bench = Bench::new(CodecKind::Opus);
        for index in 0..30_000u64 {
            let at_us = (index as f64 * 20_000.0 * speed) as i64;
            bench.push(packet(index, index as u32 * 960, at_us, PACKET));
        }
        assert_gapless(&bench.frames);
        let last = bench.frames.last().unwrap();
        let truth = 29_999.0 * 960.0 * speed;
        let off_ms = (last.pts as f64 - truth) / 48.0;
        assert!(off_ms.abs() < 30.0, "{off_ms} ms at {speed}");
        let counters = bench.counters();
        assert_eq!((counters.concealed, counters.dropped), (0, 0));
    }
}
