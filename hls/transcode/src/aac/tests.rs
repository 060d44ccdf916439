//! Real Opus through the converter, decoded again and measured against what an Opus decoder makes of the same packets.

use std::f64::consts::TAU;

use opus_rs::{Application, OpusEncoder};
use proptest::prelude::*;
use syom::{DecodeOptions, Decoder};

use super::*;

mod later;

/// Samples in the packet that browsers send.
const PACKET: usize = 960;
const HZ: f64 = 1_000.0;

/// The left channel of a tone of [`HZ`], 12 dB below the loudest.
fn tone(samples: usize) -> Vec<f32> {
    (0..samples)
        .map(|i| (0.25 * (i as f64 * HZ * TAU / f64::from(RATE)).sin()) as f32)
        .collect()
}

/// Silence with a chirp of 20 ms from 300 Hz to 6 kHz at each of `places`.
fn chirps(samples: usize, places: &[usize]) -> Vec<f32> {
    let mut sound = vec![0.0; samples];
    for place in places {
        for i in 0..PACKET {
            let at = i as f64 / f64::from(RATE);
            let envelope = (std::f64::consts::PI * i as f64 / PACKET as f64).sin();
            let phase = TAU * (300.0 * at + 0.5 * (5_700.0 / 0.02) * at * at);
            sound[place + i] = (0.5 * envelope * phase.sin()) as f32;
        }
    }
    sound
}

/// Packets of `length` samples with timestamps from `pts` on; every channel has the same sound.
fn opus(sound: &[f32], channels: usize, length: usize, pts: i64) -> Vec<Frame> {
    let mut encoder = OpusEncoder::new(RATE as i32, channels, Application::Audio).unwrap();
    encoder.bitrate_bps = 128_000;
    let mut packets = Vec::new();
    for (index, chunk) in sound.chunks_exact(length).enumerate() {
        let interleaved: Vec<f32> = chunk
            .iter()
            .flat_map(|sample| std::iter::repeat_n(*sample, channels))
            .collect();
        let mut data = [0; 1_275];
        let written = encoder.encode(&interleaved, length, &mut data).unwrap();
        packets.push(packet(pts + (index * length) as i64, &data[..written]));
    }
    packets
}

fn packet(pts: i64, data: &[u8]) -> Frame {
    Frame {
        pts,
        keyframe: true,
        data: Bytes::copy_from_slice(data),
        duration: None,
    }
}

fn convert(converter: &mut OpusToAac, packets: &[Frame]) -> Vec<Frame> {
    let mut units = Vec::new();
    for packet in packets {
        converter.push(packet, &mut units).unwrap();
    }
    units
}

/// The left channel of what an Opus decoder makes of the packets, from the first one's timestamp on.
fn decode_opus(packets: &[Frame], channels: usize) -> Vec<f32> {
    let mut decoder = OpusDecoder::new(RATE as i32, channels).unwrap();
    let mut samples = vec![0.0; PACKET_MAX * channels];
    let mut left = Vec::new();
    for packet in packets {
        let decoded = decoder
            .decode(&packet.data, PACKET_MAX, &mut samples)
            .unwrap();
        left.extend(samples[..decoded * channels].iter().step_by(channels));
    }
    left
}

/// The left channel of what an AAC decoder makes of the units, from the first one's timestamp on.
fn decode_aac(config: &[u8], units: &[Frame]) -> Vec<f32> {
    let options = DecodeOptions::unbounded();
    let mut decoder = Decoder::from_asc(config, options).unwrap();
    let mut left = Vec::new();
    for unit in units {
        decoder
            .decode_au(&unit.data, |frame| {
                assert_eq!((frame.sample_rate, frame.samples), (RATE, UNIT as usize));
                left.extend_from_slice(frame.planar[0]);
                Ok(())
            })
            .unwrap();
    }
    left
}

/// How many samples later `sound` has the same as `reference`, by correlation within `reach`; and how alike they are.
fn delay(reference: &[f32], sound: impl Fn(i64) -> f32, reach: i64) -> (i64, f64) {
    let energy = |of: &mut dyn Iterator<Item = f32>| of.map(|s| f64::from(s).powi(2)).sum::<f64>();
    let own = energy(&mut reference.iter().copied());
    (-reach..=reach)
        .map(|late| {
            let of = |i: usize| sound(i as i64 + late);
            let product: f64 = reference
                .iter()
                .enumerate()
                .map(|(i, s)| f64::from(*s) * f64::from(of(i)))
                .sum();
            let other = energy(&mut (0..reference.len()).map(of));
            (late, product / (own * other).sqrt().max(1e-12))
        })
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .unwrap()
}

/// Amplitude of the tone in `samples`, and in dB how much louder it is than everything else in them.
fn purity(samples: &[f32], hz: f64) -> (f64, f64) {
    let wave = |i: usize| (hz * TAU * i as f64 / f64::from(RATE)).sin_cos();
    let (mut sine, mut cosine) = (0.0, 0.0);
    for (i, sample) in samples.iter().enumerate() {
        sine += 2.0 * f64::from(*sample) * wave(i).0 / samples.len() as f64;
        cosine += 2.0 * f64::from(*sample) * wave(i).1 / samples.len() as f64;
    }
    let noise: f64 = samples
        .iter()
        .enumerate()
        .map(|(i, s)| (f64::from(*s) - sine * wave(i).0 - cosine * wave(i).1).powi(2))
        .sum();
    let amplitude = sine.hypot(cosine);
    let signal = amplitude * amplitude / 2.0 * samples.len() as f64;
    (amplitude, 10.0 * (signal / noise.max(1e-12)).log10())
}

/// That the units follow one another without a hole or an overlap that a player could notice.
fn assert_even(units: &[Frame]) {
    for pair in units.windows(2) {
        let step = pair[1].pts - pair[0].pts;
        assert!((UNIT - 1..=UNIT + 1).contains(&step), "a step of {step}");
    }
    assert!(units.iter().all(|unit| unit.duration == Some(1_024)));
}

#[test]
fn a_tone_keeps_its_pitch_level_and_purity() {
    for channels in [1, 2] {
        let packets = opus(&tone(3 * 48_000), channels, PACKET, 0);
        let mut converter = OpusToAac::new(channels as u8).unwrap();
        let units = convert(&mut converter, &packets);
        let sound = decode_aac(&converter.config(), &units);
        let (level, purity_db) = purity(&sound[48_000..96_000], HZ);
        let (_, opus_db) = purity(&decode_opus(&packets, channels)[48_000..96_000], HZ);
        let bytes: usize = units.iter().map(|unit| unit.data.len()).sum();
        let bps = bytes * 8 * RATE as usize / (units.len() * UNIT as usize);
        eprintln!(
            "{channels} channels: a tone of {level:.3}, {purity_db:.1} dB above all else \
             ({opus_db:.1} dB in Opus alone), {bps} bit/s"
        );
        assert!((0.24..0.26).contains(&level));
        assert!(purity_db > 30.0);
        assert!(bps < if channels == 1 { 80_000 } else { 140_000 });
        assert_eq!(converter.undecodable(), 0);
    }
}

#[test]
fn sound_comes_at_the_same_time_as_from_opus() {
    let places = [9_600, 24_000, 43_210];
    for (channels, length) in [(1, 960), (2, 960), (2, 480), (2, 120), (1, 2_880)] {
        let begin = 7_777;
        let packets = opus(&chirps(57_600, &places), channels, length, begin);
        let mut converter = OpusToAac::new(channels as u8).unwrap();
        let units = convert(&mut converter, &packets);
        assert_even(&units);
        assert_eq!(units[0].pts, begin - UNIT);
        let reference = decode_opus(&packets, channels);
        let sound = decode_aac(&converter.config(), &units);
        for place in places {
            let at = |i: i64| sound[(place as i64 + UNIT + i) as usize];
            let (late, alike) = delay(&reference[place..place + 2 * PACKET], at, 200);
            eprintln!(
                "{channels} channels, {length} samples: {late} samples late, {alike:.4} alike"
            );
            assert!(late.abs() <= 4 && alike > 0.95);
        }
    }
}

#[test]
fn nothing_comes_before_the_timeline_begins() {
    let packets = opus(&tone(48_000), 2, PACKET, -500);
    let units = convert(&mut OpusToAac::new(2).unwrap(), &packets);
    assert_eq!(units[0].pts, 524);
    assert_even(&units);
}

#[test]
fn ten_minutes_of_a_clock_that_is_too_fast_or_too_slow_do_not_drift() {
    let place = 4_800;
    let mut round = opus(&chirps(48_000, &[place]), 1, PACKET, 0);
    let reference = decode_opus(&round, 1);
    for ppm in [-200.0, 90.0] {
        let mut converter = OpusToAac::new(1).unwrap();
        let mut units = Vec::new();
        let mut last = Vec::new();
        for number in 0..600 * 50 {
            let pts = (f64::from(number) * 960.0 * (1.0 + ppm / 1e6)).round() as i64;
            let packet = &mut round[number as usize % 50];
            packet.pts = pts;
            converter.push(packet, &mut units).unwrap();
            assert_even(&units);
            if number >= 598 * 50 {
                last.append(&mut units);
            }
            units.drain(..units.len().saturating_sub(1));
        }
        let sound = decode_aac(&converter.config(), &last);
        let chirp_pts = round[place / PACKET].pts + (place % PACKET) as i64;
        let unit = last.iter().rposition(|unit| unit.pts <= chirp_pts).unwrap();
        let from = unit as i64 * UNIT + chirp_pts - last[unit].pts;
        let at = |i: i64| sound[(from + i) as usize];
        let (late, alike) = delay(&reference[place..place + 2 * PACKET], at, 960);
        eprintln!("{ppm} ppm: {late} samples late after ten minutes, {alike:.4} alike");
        assert!(late.abs() <= 4 && alike > 0.95);
    }
}

#[test]
fn after_a_jump_all_begins_anew_at_the_new_timestamp() {
    let place = 20_000;
    let begin = 96_000;
    for jump in [2_401, 30_000, 480_000, -2_401, -60_000] {
        let mut converter = OpusToAac::new(2).unwrap();
        let before = opus(&tone(48_000), 2, PACKET, begin);
        let pts = begin + 48_000 + jump;
        let after = opus(&chirps(48_000, &[place]), 2, PACKET, pts);
        let first = convert(&mut converter, &before);
        let second = convert(&mut converter, &after);
        let new = second
            .iter()
            .position(|unit| unit.pts >= pts - UNIT && (unit.pts - pts) % UNIT == 0);
        let (tail, second) = second.split_at(new.unwrap());
        let old: Vec<Frame> = [&first[..], tail].concat();
        assert_even(&old);
        assert_even(second);
        let end = old.last().unwrap().pts + UNIT;
        if jump > 0 {
            assert!(
                (begin + 48_000..=second[0].pts).contains(&end),
                "{jump}: the old one ends at {end}"
            );
            assert_eq!(second[0].pts, pts - UNIT);
        } else {
            assert!(tail.is_empty());
            assert_eq!(second[0].pts, pts);
        }
        let reference = decode_opus(&after, 2);
        let sound = decode_aac(&converter.config(), second);
        let at = |i: i64| sound[(pts + place as i64 - second[0].pts + i) as usize];
        let (late, alike) = delay(&reference[place..place + 2 * PACKET], at, 200);
        assert!(
            late.abs() <= 4 && alike > 0.95,
            "{jump}: {late} samples late, {alike} alike"
        );
    }
}

#[test]
fn lost_late_and_repeated_packets_leave_the_timeline_whole() {
    let place = 40_000;
    let packets = opus(&chirps(57_600, &[place]), 2, PACKET, 5_000);
    let mut faulty = packets.clone();
    faulty.swap(30, 31);
    faulty.insert(25, packets[24].clone());
    faulty.drain(16..18);
    faulty.remove(7);
    let mut converter = OpusToAac::new(2).unwrap();
    let units = convert(&mut converter, &faulty);
    assert_even(&units);
    let whole = convert(&mut OpusToAac::new(2).unwrap(), &packets);
    assert_eq!(units.len(), whole.len());
    assert!(
        units
            .iter()
            .zip(&whole)
            .all(|(unit, other)| unit.pts == other.pts)
    );
    let reference = decode_opus(&packets, 2);
    let sound = decode_aac(&converter.config(), &units);
    let at = |i: i64| sound[(place as i64 + UNIT + i) as usize];
    let (late, alike) = delay(&reference[place..place + 2 * PACKET], at, 200);
    assert!(
        late.abs() <= 4 && alike > 0.9,
        "{late} samples late, {alike} alike"
    );
}

#[test]
fn a_sender_that_says_nothing_in_silence_leaves_the_timeline_whole() {
    let packets = opus(&tone(96_000), 2, PACKET, 0);
    let mut converter = OpusToAac::new(2).unwrap();
    let mut units = convert(&mut converter, &packets[..50]);
    let toc = packets[0].data[0];
    for (number, data) in [
        (50, &[toc][..]),
        (70, &[toc, 0]),
        (71, &[toc]),
        (91, &[toc, 1]),
    ] {
        converter
            .push(&packet(number * 960, data), &mut units)
            .unwrap();
    }
    let resumed: Vec<Frame> = packets
        .iter()
        .map(|packet| Frame {
            pts: packet.pts + 92 * 960,
            ..packet.clone()
        })
        .collect();
    units.extend(convert(&mut converter, &resumed));
    assert_even(&units);
    assert_eq!(converter.undecodable(), 0);
    let sound = decode_aac(&converter.config(), &units);
    let first = units[0].pts;
    let loudness = |from: i64| {
        let part = &sound[(from - first) as usize..][..PACKET];
        (part.iter().map(|s| s * s).sum::<f32>() / PACKET as f32).sqrt()
    };
    let levels: Vec<f32> = [45, 51, 55, 60, 75, 90, 100]
        .map(|n| loudness(n * 960))
        .to_vec();
    eprintln!("level before, in and after silence: {levels:.4?}");
    assert!(levels[5] < levels[0] / 10.0 && levels[6] > 0.15);
}

#[test]
fn broken_packets_are_bridged_and_counted() {
    let packets = opus(&tone(96_000), 2, PACKET, 0);
    let mut converter = OpusToAac::new(2).unwrap();
    let mut units = Vec::new();
    for (index, packet) in packets.iter().enumerate() {
        let mut packet = packet.clone();
        match index % 10 {
            3 => packet.data = Bytes::new(),
            // A packet of many frames without their lengths.
            7 => packet.data = Bytes::from_static(&[0xff, 0x85, 0xff, 0xff]),
            _ => {}
        }
        converter.push(&packet, &mut units).unwrap();
    }
    assert_eq!(converter.undecodable(), 20);
    assert_even(&units);
    let (end, sound_end) = (units.last().unwrap().pts, packets.last().unwrap().pts);
    assert!((sound_end - end).abs() < 2 * UNIT, "{end} of {sound_end}");
}

#[test]
fn stereo_in_a_mono_track_and_mono_in_a_stereo_track_are_heard() {
    for (channels, told) in [(2, 1), (1, 2)] {
        let packets = opus(&tone(96_000), channels, PACKET, 0);
        let mut converter = OpusToAac::new(told).unwrap();
        let units = convert(&mut converter, &packets);
        let (level, purity_db) =
            purity(&decode_aac(&converter.config(), &units)[48_000..90_000], HZ);
        assert!(
            (0.23..0.27).contains(&level) && purity_db > 25.0,
            "{level}, {purity_db} dB"
        );
    }
}

#[test]
fn the_configuration_says_aac_lc_at_48_khz() {
    let config = |channels| OpusToAac::new(channels).unwrap().config().to_vec();
    assert_eq!((config(1), config(2)), (vec![0x11, 0x88], vec![0x11, 0x90]));
    for channels in [0, 3, 255] {
        assert!(matches!(
            OpusToAac::new(channels),
            Err(AacError::Channels(_))
        ));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

    #[test]
    fn hostile_packets_do_no_harm(
        channels in 1u8..=2,
        packets in prop::collection::vec(
            (prop_oneof![
                4 => -3_000i64..3_000,
                1 => any::<i64>(),
                1 => Just(i64::MIN),
                1 => Just(i64::MAX),
            ],
            prop::collection::vec(any::<u8>(), 0..200),
            any::<Option<u32>>(),
            any::<bool>()),
            1..20,
        ),
    ) {
        let mut converter = OpusToAac::new(channels).unwrap();
        let mut near = 48_000i64;
        for (offset, data, duration, is_wanted) in packets {
            near = near.saturating_add(960).saturating_add(offset);
            let mut units = Vec::new();
            let frame = Frame { pts: near, keyframe: true, data: data.into(), duration };
            if is_wanted {
                converter.push(&frame, &mut units).unwrap();
            } else {
                converter.pass(&frame, &mut units);
            }
            prop_assert!(units.len() <= 57);
            prop_assert!(converter.passed.len() <= PASSED_MAX);
            prop_assert!(units.iter().all(|unit| unit.pts >= 0));
            prop_assert!(converter.samples.len() == PACKET_MAX * usize::from(channels));
        }
    }
}
