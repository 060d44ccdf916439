//! Frames through a library's packets and back, losses, limits and malformed input.

use super::super::packetise;
use super::*;

const SPS: &[u8] = &[0x67, 0x42, 0xc0, 0x1e, 0x11];
const PPS: &[u8] = &[0x68, 0xce, 0x38];

fn unit(header: u8, len: usize) -> Bytes {
    std::iter::once(header)
        .chain((1..len).map(|i| (i % 251) as u8 | 1))
        .collect()
}

/// Cuts a frame by the library, as a camera would.
fn packets(elapsed: i64, nals: &[Bytes]) -> Vec<Packet> {
    let payloads = packetise(nals.iter().cloned());
    let last = payloads.len() - 1;
    let packet = |(index, payload): (usize, &std::sync::Arc<[u8]>)| Packet {
        elapsed,
        marker: index == last,
        lost: false,
        payload: Bytes::copy_from_slice(payload),
    };
    payloads.iter().enumerate().map(packet).collect()
}

fn key_frame() -> Vec<Bytes> {
    vec![
        Bytes::from_static(SPS),
        Bytes::from_static(PPS),
        unit(0x65, 5_000),
    ]
}

fn push_all(assembler: &mut Assembler, packets: &[Packet]) -> Vec<Frame> {
    packets
        .iter()
        .flat_map(|packet| assembler.push(packet))
        .collect()
}

/// An assembler that has just given a key frame.
fn running() -> Assembler {
    let mut assembler = Assembler::new([]);
    assert_eq!(push_all(&mut assembler, &packets(0, &key_frame())).len(), 1);
    assembler
}

#[test]
fn frames_survive_the_round_trip_through_the_librarys_packets() {
    let mut assembler = Assembler::new([]);
    for (index, size) in [2, 100, 1_200, 1_201, 2_399, 90_000]
        .into_iter()
        .enumerate()
    {
        let slice = if index == 0 {
            key_frame()
        } else {
            vec![unit(0x41, size), unit(0x41, size + 1)]
        };
        let frames = push_all(&mut assembler, &packets(index as i64, &slice));
        assert_eq!(frames.len(), 1, "slices of {size} bytes");
        assert_eq!((frames[0].elapsed, &frames[0].nals), (index as i64, &slice));
        assert_eq!(frames[0].profile, (index == 0).then_some(0x42c01e));
    }
    assert_eq!(assembler.dropped(), Dropped::default());
}

#[test]
fn parameter_sets_of_the_description_or_of_before_come_before_each_key_frame() {
    let mut assembler = Assembler::new([Bytes::from_static(SPS), Bytes::from_static(PPS)]);
    for elapsed in 0..2 {
        let frames = push_all(&mut assembler, &packets(elapsed, &[unit(0x65, 40)]));
        assert_eq!(
            frames[0].nals,
            [
                &Bytes::from_static(SPS),
                &Bytes::from_static(PPS),
                &unit(0x65, 40)
            ]
        );
    }
    // A second picture parameter set, and a new version of it, in the middle.
    for set in [&[0x68, 0x40, 1][..], &[0x68, 0x40, 2]] {
        let changed = [Bytes::copy_from_slice(set), unit(0x41, 40)];
        assert_eq!(push_all(&mut assembler, &packets(5, &changed)).len(), 1);
    }
    let frames = push_all(&mut assembler, &packets(6, &[unit(0x65, 40)]));
    assert_eq!(frames[0].nals.len(), 4);
    assert_eq!(frames[0].nals[2][..], [0x68, 0x40, 2]);
}

#[test]
fn a_new_sequence_replaces_the_old_one_with_its_picture_parameter_sets() {
    let mut assembler = running();
    let sps = Bytes::from_static(&[0x67, 0x64, 0x00, 0x28, 0x22]);
    let frame = [
        sps.clone(),
        Bytes::from_static(&[0x68, 0x40, 7]),
        unit(0x65, 40),
    ];
    let frames = push_all(&mut assembler, &packets(1, &frame));
    assert_eq!(frames[0].nals[..], frame[..]);
    assert_eq!(frames[0].profile, Some(0x640028));
}

#[test]
fn nothing_is_given_before_the_first_key_frame_with_parameter_sets() {
    let mut assembler = Assembler::new([]);
    assert!(push_all(&mut assembler, &packets(0, &[unit(0x41, 3_000)])).is_empty());
    assert!(push_all(&mut assembler, &packets(1, &[unit(0x65, 3_000)])).is_empty());
    assert_eq!(
        assembler.dropped(),
        Dropped {
            damaged: 0,
            without_reference: 2
        }
    );
    assert_eq!(push_all(&mut assembler, &packets(2, &key_frame())).len(), 1);
}

#[test]
fn after_a_loss_nothing_is_given_until_the_next_key_frame() {
    for lost in 0..4 {
        let mut assembler = running();
        let mut damaged = packets(1, &[unit(0x41, 4_000)]);
        damaged.remove(lost);
        let mut after = packets(2, &[unit(0x41, 4_000)]);
        // The receiver notices a loss at the packet that follows it.
        damaged.get_mut(lost).unwrap_or(&mut after[0]).lost = true;
        assert!(
            push_all(&mut assembler, &damaged).is_empty(),
            "packet {lost} lost"
        );
        assert!(
            push_all(&mut assembler, &after).is_empty(),
            "packet {lost} lost"
        );
        assert_eq!(push_all(&mut assembler, &packets(3, &key_frame())).len(), 1);
        assert_eq!(
            push_all(&mut assembler, &packets(4, &[unit(0x41, 40)])).len(),
            1
        );
    }
}

#[test]
fn a_camera_without_markers_and_one_with_too_many_are_understood() {
    let mut assembler = Assembler::new([]);
    let mut silent = packets(0, &key_frame());
    silent.iter_mut().for_each(|packet| packet.marker = false);
    assert!(push_all(&mut assembler, &silent).is_empty());
    let mut second = packets(1, &key_frame());
    second.iter_mut().for_each(|packet| {
        packet.marker = NalType::of(&packet.payload).is_some_and(|kind| kind.is_parameter_set())
    });
    second.last_mut().unwrap().marker = true;
    let frames = push_all(&mut assembler, &second);
    assert_eq!(
        frames.iter().map(|frame| frame.elapsed).collect::<Vec<_>>(),
        [0, 1]
    );
    assert!(frames.iter().all(|frame| frame.nals == key_frame()));
}

#[test]
fn a_frame_without_end_takes_no_more_memory_than_allowed() {
    let mut assembler = running();
    let mut start = unit(0x7c, 60_000).to_vec();
    start[1] = 0x81;
    let mut endless = Packet {
        elapsed: 1,
        marker: false,
        lost: false,
        payload: start.into(),
    };
    for _ in 0..FRAME_MAX / 60_000 + 10 {
        assert!(assembler.push(&endless).is_empty());
        let held = assembler.fragments.as_ref().map_or(0, BytesMut::len);
        assert!(held <= FRAME_MAX);
        let mut more = endless.payload.to_vec();
        more[1] = 0x01;
        endless.payload = more.into();
    }
    assert!(assembler.fragments.is_none());
    let tiny = Packet {
        elapsed: 2,
        payload: Bytes::from_static(&[0x41, 1]),
        ..endless
    };
    for _ in 0..NALS_MAX * 2 {
        assembler.push(&tiny);
    }
    assert!(assembler.nals.is_empty());
    assert_eq!(push_all(&mut assembler, &packets(3, &key_frame())).len(), 1);
    assert_eq!(
        assembler.dropped(),
        Dropped {
            damaged: 2,
            without_reference: 0
        }
    );
}

#[test]
fn malformed_payloads_damage_one_frame_and_nothing_else() {
    let malformed: &[&[u8]] = &[
        &[],
        &[0x78, 0],
        &[0x78, 0, 9, 1],
        &[0x78, 0, 1, 0x41, 0],
        &[0x7c],
        &[0x7c, 0x05, 1],
        &[0x7d, 1],
        &[0x1f],
        &[0],
    ];
    for payload in malformed {
        let mut assembler = running();
        let packet = Packet {
            elapsed: 1,
            marker: true,
            lost: false,
            payload: Bytes::copy_from_slice(payload),
        };
        assert!(assembler.push(&packet).is_empty(), "{payload:02x?}");
        assert_eq!(assembler.dropped().damaged, 1, "{payload:02x?}");
        assert_eq!(
            push_all(&mut assembler, &packets(2, &key_frame())).len(),
            1,
            "{payload:02x?}"
        );
    }
}

#[test]
fn random_payloads_never_panic() {
    let mut state = 1u64;
    let mut random = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    let mut assembler = Assembler::new([]);
    for _ in 0..200_000 {
        let kinds = [0x78, 0x7c, 0x67, 0x68, 0x65, random() as u8];
        let mut payload: Vec<u8> = (0..random() % 12)
            .map(|_| (random() % 4) as u8 * 85)
            .collect();
        payload.insert(0, kinds[random() % kinds.len()]);
        let packet = Packet {
            elapsed: (random() % 3) as i64,
            marker: random() % 3 == 0,
            lost: random() % 9 == 0,
            payload: payload.into(),
        };
        for frame in assembler.push(&packet) {
            packetise(frame.nals);
        }
    }
}

/// FNV-1a over all that comes of seeded packets: it changes when anything that comes out does.
#[test]
fn what_comes_of_any_packets_is_what_always_came() {
    let mut random = fastrand::Rng::with_seed(3);
    let mut sum = 0xcbf2_9ce4_8422_2325_u64;
    for _ in 0..40 {
        let mut assembler = Assembler::new([]);
        let mut elapsed = 0;
        for _ in 0..500 {
            elapsed += i64::from(random.bool()) * 3_000;
            let header = [0x67, 0x68, 0x68, 0x65, 0x41, 0x78, 0x7c, 0x06][random.usize(..8)];
            let mut payload = vec![header];
            match header {
                0x78 => {
                    for _ in 0..random.usize(..4) {
                        let length = random.u8(..9);
                        payload.extend([0, length]);
                        payload.extend((0..length).map(|_| random.u8(..)));
                    }
                }
                0x7c => payload.push([0x85, 0x45, 0x05, 0xc5, 0x81, 0x41][random.usize(..6)]),
                _ => {}
            }
            payload.extend((0..random.usize(..6)).map(|_| random.u8(..)));
            let frames = assembler.push(&Packet {
                elapsed,
                marker: random.u8(..) < 100,
                lost: random.u8(..) < 5,
                payload: payload.into(),
            });
            for frame in frames {
                let nals: Vec<_> = frame.nals.iter().map(|nal| nal.to_vec()).collect();
                let text = format!("{:?}", (frame.elapsed, nals, frame.profile));
                sum = text.bytes().fold(sum, |sum, byte| {
                    (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
                });
            }
        }
        let dropped = assembler.dropped();
        sum = (sum ^ dropped.damaged << 16 ^ dropped.without_reference)
            .wrapping_mul(0x0100_0000_01b3);
    }
    assert_eq!(sum, 8664718491675135420);
}
