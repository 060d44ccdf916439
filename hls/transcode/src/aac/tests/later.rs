//! Places, what is made of them later, and where one goes over into the other.

use super::super::later::{self, PLACES};
use super::*;

fn pass(converter: &mut OpusToAac, packets: &[Frame]) -> Vec<Frame> {
    let mut places = Vec::new();
    for packet in packets {
        converter.pass(packet, &mut places);
    }
    places
}

fn is_place(unit: &Frame) -> bool {
    PLACES.contains(&&unit.data[..])
}

/// The same units with sound in all of them, made of the packets for so many at a time.
fn with_sound(channels: usize, packets: &[Frame], units: &[Frame], at_a_time: usize) -> Vec<Frame> {
    let mut made = units.to_vec();
    // In any order: the last first.
    for piece in made.chunks_mut(at_a_time).rev() {
        let places: Vec<&mut Frame> = piece.iter_mut().filter(|unit| is_place(unit)).collect();
        let wanted: Vec<i64> = places.iter().map(|place| place.pts).collect();
        let sound = later::units_at(channels as u8, packets, &wanted).unwrap();
        for (place, sound) in places.into_iter().zip(sound) {
            place.data = sound.expect("there are packets for all of it");
        }
    }
    made
}

/// Energy of each 100 ms, in dB of the loudest.
fn levels(samples: &[f32]) -> Vec<f64> {
    let energy = |window: &[f32]| -> f64 { window.iter().map(|s| f64::from(s * s)).sum() };
    let all: Vec<f64> = samples.chunks_exact(4_800).map(energy).collect();
    let loudest = all.iter().copied().fold(0.0, f64::max);
    all.iter()
        .map(|one| 10.0 * (one / loudest).log10())
        .collect()
}

/// In dB how much louder `reference` is than what differs from it in `sound`, in the worst of all windows of 20 ms in which there is
/// anything.
fn worst_likeness(sound: &[f32], reference: &[f32]) -> (f64, usize) {
    let windows = reference.chunks_exact(960).zip(sound.chunks_exact(960));
    let likeness = |(one, other): (&[f32], &[f32])| {
        let signal: f64 = one.iter().map(|s| f64::from(*s).powi(2)).sum();
        let pairs = one.iter().zip(other);
        let noise: f64 = pairs.map(|(a, b)| f64::from(a - b).powi(2)).sum();
        (signal > 0.5).then(|| 10.0 * (signal / noise.max(1e-12)).log10())
    };
    let all = windows.map(likeness).enumerate();
    let all = all.filter_map(|(place, db)| db.map(|db| (db, place)));
    all.min_by(|a, b| a.0.total_cmp(&b.0)).unwrap()
}

#[test]
fn a_unit_that_holds_a_place_is_silence_to_every_decoder_and_no_encoder_makes_it() {
    for channels in [1, 2] {
        let mut converter = OpusToAac::new(channels).unwrap();
        let unit = packet(0, &later::place(channels.into()));
        let heard = decode_aac(&converter.config(), &vec![unit; 20]);
        assert_eq!(heard.len(), 20 * UNIT as usize);
        assert!(heard.iter().all(|sample| *sample == 0.0));
        let packets = opus(&vec![0.0; 48_000], channels.into(), PACKET, 0);
        assert!(!convert(&mut converter, &packets).iter().any(is_place));
    }
}

/// As playlists ask for it: each part alone, of the Opus around it, in any order.
#[test]
fn sound_that_is_made_later_and_in_pieces_is_the_same_sound_at_the_same_time() {
    for channels in [1, 2] {
        let packets = opus(&tone(3 * 48_000), channels, PACKET, 500);
        let converter = OpusToAac::new(channels as u8).unwrap();
        let places = pass(&mut OpusToAac::new(channels as u8).unwrap(), &packets);
        assert_even(&places);
        assert!(places.len() > 135, "{}", places.len());
        let made = with_sound(channels, &packets, &places, 9);
        let left = decode_aac(&converter.config(), &made);
        let reference = decode_opus(&packets, channels);
        let from = 30_000;
        let at = |i: i64| left[(from as i64 + i + 500 - made[0].pts) as usize];
        let (late, alike) = delay(&reference[from..from + 4_800], at, 200);
        assert!(late.abs() <= 24 && alike > 0.99, "{late} {alike}");
        let (amplitude, purity_db) = purity(&left[20_000..120_000], HZ);
        assert!((0.24..0.26).contains(&amplitude), "{amplitude}");
        assert!(purity_db > 30.0, "{purity_db} dB over 13 joints");
    }
}

/// Who asks when half of it was packaged, and who asks from the begin on, hear the same.
#[test]
fn between_what_is_made_later_and_what_is_encoded_at_once_there_is_no_gap_and_no_click() {
    for (channels, length, slew) in [
        (1, 960, 0),
        (2, 960, 1),
        (1, 960, -1),
        (2, 480, 1),
        (2, 2_880, -3),
        (1, 120, 0),
    ] {
        let mut packets = opus(&tone(6 * 48_000), channels, length, 7_777);
        // The publisher's clock is followed for a second and two.
        let is_followed = |at: &usize| (1..2).contains(&(at * length / 48_000 / 2));
        for (number, packet) in packets.iter_mut().enumerate() {
            let ticks = (0..number).filter(is_followed).count() as i64;
            packet.pts += ticks * slew;
            let ticks = slew * i64::from(is_followed(&number));
            packet.duration = u32::try_from(length as i64 + ticks).ok();
        }
        let mut converter = OpusToAac::new(channels as u8).unwrap();
        let mut units = Vec::new();
        let turns = [0.8, 1.03, 2.6, 2.7, 4.2];
        for packet in &packets {
            let at = (packet.pts - 7_777) as f64 / 48_000.0;
            if turns.iter().filter(|turn| **turn <= at).count() % 2 == 0 {
                converter.pass(packet, &mut units);
            } else {
                converter.push(packet, &mut units).unwrap();
            }
        }
        let whole = convert(&mut OpusToAac::new(channels as u8).unwrap(), &packets);
        let pts = |units: &[Frame]| units.iter().map(|unit| unit.pts).collect::<Vec<_>>();
        assert_eq!(pts(&units), pts(&whole), "not one more or less");
        let places = units.iter().filter(|unit| is_place(unit)).count();
        assert!((100..200).contains(&places), "{places} of {}", units.len());
        let made = with_sound(channels, &packets, &units, 94);
        let config = converter.config();
        let (late, early) = (decode_aac(&config, &made), decode_aac(&config, &whole));
        let (level, purity_db) = purity(&late[9_600..270_000], HZ);
        assert!(
            (0.24..0.26).contains(&level) && purity_db > 30.0,
            "{level} {purity_db}"
        );
        for sound in [&late, &early] {
            // But for the first tenth, in which all begins.
            let levels = levels(&sound[4_800..]);
            let softest = levels.iter().copied().fold(0.0, f64::min);
            assert!(
                softest > -0.5,
                "{softest} dB in a window of {channels} x {length}"
            );
        }
        let (db, place) = worst_likeness(&late[4_800..], &early[4_800..]);
        eprintln!(
            "{channels} x {length}, {slew}: {purity_db:.1} dB pure, {db:.1} dB alike in window {place}"
        );
        assert!(db > 20.0, "{db} dB in window {place}");
    }
}

/// Where all changes from one unit to the next, both must have found the same windows.
#[test]
fn attacks_at_the_joints_sound_as_without() {
    let length = 5 * 48_000;
    let joints: Vec<usize> = (1..20).map(|n| n * 9 * UNIT as usize).collect();
    for shift in [0, 300, 512, 900, 1_500] {
        let places: Vec<usize> = joints.iter().map(|at| at + shift).collect();
        let packets = opus(&chirps(length, &places), 2, PACKET, 0);
        let whole = convert(&mut OpusToAac::new(2).unwrap(), &packets);
        let places = pass(&mut OpusToAac::new(2).unwrap(), &packets);
        let made = with_sound(2, &packets, &places, 9);
        let config = OpusToAac::new(2).unwrap().config();
        let reference = decode_opus(&packets, 2);
        let offset = -made[0].pts as usize;
        let [once, pieces] = [&whole, &made].map(|units| decode_aac(&config, units));
        let [once, pieces] =
            [&once, &pieces].map(|sound| worst_likeness(&sound[offset..], &reference));
        eprintln!("attacks {shift} after the joints: {once:?} dB at once, {pieces:?} dB in pieces");
        assert!(pieces.0 > once.0 - 3.0, "{once:?} {pieces:?}");
    }
}

/// With whatever comes after it.
#[test]
fn what_is_made_depends_on_nothing_that_comes_later() {
    let packets = opus(
        &chirps(3 * 48_000, &[50_000, 70_000, 96_000]),
        2,
        PACKET,
        500,
    );
    let places = pass(&mut OpusToAac::new(2).unwrap(), &packets);
    let wanted: Vec<i64> = places[40..80].iter().map(|place| place.pts).collect();
    let end = wanted.last().unwrap() + 2 * UNIT + 64;
    let enough = packets.partition_point(|packet| packet.pts + 960 < end) + 1;
    let first = packets.partition_point(|packet| packet.pts < wanted[0] - later::LEAD);
    let made = later::units_at(2, &packets[first..enough], &wanted).unwrap();
    assert!(made.iter().all(Option::is_some));
    assert_eq!(later::units_at(2, &packets, &wanted).unwrap(), made);
}

#[test]
fn places_are_where_units_would_be() {
    let packets = opus(&tone(3 * 48_000), 2, PACKET, 96_000);
    let toc = packets[0].data[0];
    let check = |name: &str, change: &dyn Fn(&mut Vec<Frame>)| {
        let mut packets = packets.clone();
        change(&mut packets);
        let mut sounding = OpusToAac::new(2).unwrap();
        let units = convert(&mut sounding, &packets);
        let places = pass(&mut OpusToAac::new(2).unwrap(), &packets);
        let pts = |units: &[Frame]| units.iter().map(|unit| unit.pts).collect::<Vec<_>>();
        assert_eq!(pts(&places), pts(&units), "{name}");
    };
    check("whole", &|_| ());
    check("lost, late and repeated", &|packets| {
        packets.swap(30, 31);
        packets.insert(25, packets[24].clone());
        packets.drain(16..18);
        packets.remove(7);
    });
    check("silence", &|packets| {
        packets[50].data = Bytes::copy_from_slice(&[toc]);
        packets.drain(51..90);
    });
    for jump in [2_401, 30_000, 480_000, -2_401, -60_000] {
        check("a jump", &|packets| {
            packets[70..]
                .iter_mut()
                .for_each(|packet| packet.pts += jump);
        });
    }
    check("a clock that is too fast", &|packets| {
        for (number, packet) in packets.iter_mut().enumerate() {
            packet.pts += number as i64;
        }
    });
}
