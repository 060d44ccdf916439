//! Pictures in every packaging, and what becomes of them when something is missing.

use bytes::Bytes;
use rtc_rtp::codec::{av1::Av1Payloader, h264::H264Payloader, vp9::Vp9Payloader};
use rtc_rtp::packetizer::Payloader;

use super::{Bench, PPS, Packet, SPS, frame, units};
use crate::CodecKind;
use crate::frames::Frame;

const IDR: &[u8] = &[0x65, 0x88, 1, 2];
const SLICE: &[u8] = &[0x41, 0x9a, 3, 4];
/// A slice that does not begin the picture.
const LATER: &[u8] = &[0x41, 0x3a, 5];

/// Packets at 30 Hz.
#[derive(Default)]
struct Sender {
    sequence: u64,
    frames: u32,
}

impl Sender {
    fn frame(&mut self, payloads: &[&[u8]]) -> Vec<Packet> {
        let at_us = i64::from(self.frames) * 1_000_000 / 30;
        let packets = frame(self.sequence, self.frames * 3_000, at_us, payloads);
        self.sequence += payloads.len() as u64;
        self.frames += 1;
        packets
    }

    /// A keyframe with parameter sets in packets of their own.
    fn key(&mut self) -> Vec<Packet> {
        self.frame(&[SPS, PPS, IDR])
    }

    /// An assembler that has given a keyframe, and whose first packets wait no more.
    fn begun(&mut self) -> Bench {
        let mut bench = Bench::begun(CodecKind::H264, self.key());
        let given = bench.take();
        assert_eq!(given.len(), 1);
        // The 50 ms of the beginning.
        self.frames += 1;
        bench
    }
}

fn push(bench: &mut Bench, packets: Vec<Packet>) -> Vec<Frame> {
    for packet in packets {
        bench.push(packet);
    }
    bench.take()
}

#[test]
fn every_packaging_of_a_keyframe_gives_the_same_units() {
    let aggregate: Vec<u8> = [0x78, 0, 5]
        .iter()
        .chain(SPS)
        .chain(&[0, 3])
        .chain(PPS)
        .copied()
        .collect();
    let whole: Vec<u8> = aggregate
        .iter()
        .chain(&[0, 4])
        .chain(IDR)
        .copied()
        .collect();
    for payloads in [
        &[SPS, PPS, IDR][..],
        &[&aggregate, IDR],
        &[&whole],
        &[SPS, &[0x78, 0, 3, 0x68, 0xce, 0x38, 0, 4, 0x65, 0x88, 1, 2]],
        &[
            SPS,
            PPS,
            &[0x7c, 0x85, 0x88],
            &[0x7c, 0x05, 1],
            &[0x7c, 0x45, 2],
        ],
        // An empty unit in an aggregate, an empty fragment at each end, padding.
        &[SPS, &[0x78, 0, 3, 0x68, 0xce, 0x38, 0, 0], IDR],
        &[
            SPS,
            PPS,
            &[0x7c, 0x85],
            &[0x7c, 0x05, 0x88, 1, 2],
            &[0x7c, 0x45],
        ],
        &[SPS, PPS, &[], IDR],
    ] {
        let mut sender = Sender::default();
        let mut bench = sender.begun();
        let frames = push(&mut bench, sender.frame(payloads));
        assert_eq!(frames.len(), 1, "{payloads:02x?}");
        assert!(frames[0].keyframe);
        assert_eq!(units(&frames[0]), [SPS, PPS, IDR], "{payloads:02x?}");
    }
}

#[test]
fn what_the_librarys_packetiser_makes_is_put_together_again() {
    let mut payloader = H264Payloader::default();
    let mut bench = Bench::new(CodecKind::H264);
    let mut sender = Sender::default();
    let slice: Vec<u8> = std::iter::once(0x65)
        .chain((1..5_000).map(|i| i as u8 | 1))
        .collect();
    for _ in 0..3 {
        let mut payloads = Vec::new();
        for unit in [SPS, PPS, &slice] {
            let unit = Bytes::copy_from_slice(unit);
            payloads.extend(payloader.payload(1_200, &unit).unwrap());
        }
        let payloads: Vec<&[u8]> = payloads.iter().map(|payload| &payload[..]).collect();
        for packet in sender.frame(&payloads) {
            bench.push(packet);
        }
    }
    assert_eq!(bench.frames.len(), 3);
    for frame in &bench.frames {
        assert_eq!(units(frame), [SPS, PPS, &slice]);
    }
}

#[test]
fn keyframes_without_parameter_sets_get_the_last_ones() {
    let mut sender = Sender::default();
    let mut bench = sender.begun();
    let newer: &[u8] = &[0x67, 0x42, 0xc0, 0x28, 0x11];
    let second: &[u8] = &[0x68, 0x4e, 0x38];
    // In an access unit of their own, with marker and timestamp of their own.
    assert_eq!(push(&mut bench, sender.frame(&[newer])), []);
    assert_eq!(push(&mut bench, sender.frame(&[PPS, second])), []);
    for _ in 0..2 {
        let frames = push(&mut bench, sender.frame(&[IDR]));
        assert_eq!(units(&frames[0]), [newer, PPS, second, IDR]);
    }
    let frames = push(&mut bench, sender.frame(&[SLICE]));
    assert_eq!(units(&frames[0]), [SLICE]);
}

#[test]
fn a_keyframe_whose_parameter_sets_never_came_is_not_given() {
    let mut sender = Sender::default();
    let first = sender.frame(&[&[0x09, 0x10], IDR]);
    let mut bench = Bench::begun(CodecKind::H264, first);
    sender.frames += 1;
    assert!(bench.assembler.take_wants_keyframe());
    push(&mut bench, sender.frame(&[SLICE]));
    assert!(bench.frames.is_empty());
    let frames = push(&mut bench, sender.key());
    assert_eq!(frames.len(), 1);
}

#[test]
fn markers_on_parameter_sets_do_not_end_the_frame() {
    let mut sender = Sender::default();
    let mut bench = sender.begun();
    let mut packets = sender.key();
    packets[0].marker = true;
    packets[1].marker = true;
    let frames = push(&mut bench, packets);
    assert_eq!(frames.len(), 1);
    assert_eq!(units(&frames[0]), [SPS, PPS, IDR]);
    assert_eq!(push(&mut bench, sender.frame(&[SLICE])).len(), 1);
}

#[test]
fn a_sender_without_markers_is_understood_one_frame_later() {
    let mut sender = Sender::default();
    let mut bench = sender.begun();
    for index in 0..4 {
        let mut packets = sender.frame(&[SLICE, LATER]);
        packets[1].marker = false;
        let frames = push(&mut bench, packets);
        assert_eq!(frames.len(), usize::from(index > 0));
        for frame in frames {
            assert_eq!(units(&frame), [SLICE, LATER]);
        }
    }
}

#[test]
fn a_sender_that_marks_every_packet_is_understood_from_the_next_keyframe_on() {
    let mut sender = Sender::default();
    let mut bench = sender.begun();
    let mut marked = |payloads: &[&[u8]]| {
        let mut packets = sender.frame(payloads);
        for packet in &mut packets {
            packet.marker = true;
        }
        push(&mut bench, packets)
    };
    // The first slice looks like a frame; then it is known better.
    assert_eq!(marked(&[SLICE, LATER]).len(), 1);
    assert_eq!(marked(&[SLICE, LATER]), []);
    assert_eq!(marked(&[SPS, PPS, IDR, &[0x65, 0x3a]]), []);
    let frames = marked(&[SLICE, LATER]);
    assert_eq!(units(&frames[0]).len(), 4);
    assert_eq!(units(&marked(&[SLICE, LATER])[0]), [SLICE, LATER]);
}

#[test]
fn after_a_loss_nothing_is_given_until_a_keyframe_which_is_asked_for_again_and_again() {
    let mut sender = Sender::default();
    let mut bench = sender.begun();
    let mut lossy = sender.frame(&[SLICE, LATER, LATER]);
    lossy.remove(1);
    assert_eq!(push(&mut bench, lossy), []);
    assert!(!bench.assembler.take_wants_keyframe());
    let mut asked = Vec::new();
    for index in 0..40 {
        assert_eq!(push(&mut bench, sender.frame(&[SLICE])), []);
        if bench.assembler.take_wants_keyframe() {
            asked.push(index);
        }
    }
    // 250 ms after the loss, and again 500 and 1,000 ms after what was given last.
    assert_eq!(asked, [7, 14, 29]);
    let frames = push(&mut bench, sender.key());
    assert!(frames[0].keyframe);
    assert_eq!(push(&mut bench, sender.frame(&[SLICE])).len(), 1);
    assert!(!bench.assembler.take_wants_keyframe());
    let counters = bench.counters();
    assert_eq!(
        (counters.lost, counters.damaged, counters.dropped),
        (1, 1, 40)
    );
}

#[test]
fn a_keyframe_right_after_a_loss_is_used_when_its_beginning_is_there() {
    for (payloads, lost, is_given) in [
        // The loss is the end of the frame before.
        (&[SPS, PPS, IDR][..], 0, true),
        (&[&[0x09, 0x10], SPS, PPS, IDR], 0, true),
        // The loss may have been newer parameter sets.
        (&[SPS, PPS, IDR], 1, false),
        (&[SPS, PPS, IDR], 2, false),
        // A slice of the keyframe itself.
        (&[SPS, PPS, IDR, IDR], 3, false),
    ] {
        let mut sender = Sender::default();
        let mut bench = sender.begun();
        let mut before = sender.frame(&[SLICE, LATER]);
        before.pop();
        let mut packets = sender.frame(payloads);
        packets.drain(..lost);
        push(&mut bench, before);
        push(&mut bench, packets);
        let now_us = i64::from(sender.frames) * 33_333 + 250_000;
        let given = bench.expire(now_us).take();
        assert_eq!(
            given.len(),
            usize::from(is_given),
            "{payloads:02x?} without {lost}"
        );
    }
}

#[test]
fn senders_of_bare_keyframes_begin_again_with_a_slice() {
    let mut sender = Sender::default();
    let mut bench = sender.begun();
    assert_eq!(push(&mut bench, sender.frame(&[IDR])).len(), 1);
    let mut before = sender.frame(&[SLICE, LATER]);
    before.pop();
    push(&mut bench, before);
    push(&mut bench, sender.frame(&[IDR]));
    let frames = bench.expire(2_000_000).take();
    assert_eq!(units(&frames[0]), [SPS, PPS, IDR]);
}

#[test]
fn broken_payloads_cost_a_group_of_pictures_and_nothing_else() {
    for payloads in [
        &[&[0x78, 0][..]][..],
        &[&[0x78, 0, 9, 0x41, 0x9a]],
        &[&[0x7c]],
        &[&[0x7c, 0x01, 1]],
        &[&[0x7c, 0x81, 0x9a]],
        &[&[0x7c, 0x81, 0x9a], &[0x7c, 0x81, 0x9a]],
        &[&[0x7c, 0x81, 0x9a], SLICE],
        &[&[0x7c, 0x9c, 0x9a], &[0x7c, 0x5c, 0x9a]],
        &[&[0x7d, 0, 0, 1]],
        &[&[0xc1, 0x9a]],
        &[&[0x00, 0x9a]],
        &[&[0x1f, 0x9a]],
    ] {
        let mut sender = Sender::default();
        let mut bench = sender.begun();
        assert_eq!(
            push(&mut bench, sender.frame(payloads)),
            [],
            "{payloads:02x?}"
        );
        assert!(bench.assembler.take_wants_keyframe(), "{payloads:02x?}");
        assert_eq!(push(&mut bench, sender.frame(&[SLICE])), []);
        assert_eq!(push(&mut bench, sender.key()).len(), 1);
        assert_eq!(bench.counters().damaged, 1);
    }
}

#[test]
fn a_frame_that_is_too_large_is_dropped() {
    let mut sender = Sender::default();
    let mut bench = sender.begun();
    let slice = vec![0x41; 60_000];
    let payloads = vec![&slice[..]; 150];
    assert_eq!(push(&mut bench, sender.frame(&payloads)), []);
    let payloads = vec![LATER; 8_193];
    assert_eq!(push(&mut bench, sender.frame(&payloads)), []);
    assert_eq!(bench.counters().damaged, 2);
    assert_eq!(push(&mut bench, sender.key()).len(), 1);
}

#[test]
fn vp9_and_av1_of_the_librarys_packetisers_are_put_together_again() {
    let body = |first: u8, length: usize| -> Vec<u8> {
        std::iter::once(first)
            .chain((1..length).map(|i| i as u8))
            .collect()
    };
    let mut vp9 = Vp9Payloader::default();
    let mut sender = Sender::default();
    let mut bench = Bench::new(CodecKind::Vp9);
    let pictures = [body(0x82, 9_000), body(0x86, 100), body(0x86, 3_000)];
    for picture in &pictures {
        let payloads = vp9
            .payload(1_200, &Bytes::copy_from_slice(picture))
            .unwrap();
        let payloads: Vec<&[u8]> = payloads.iter().map(|payload| &payload[..]).collect();
        sender
            .frame(&payloads)
            .into_iter()
            .for_each(|packet| _ = bench.push(packet));
    }
    let given: Vec<(&[u8], bool)> = bench
        .frames
        .iter()
        .map(|frame| (&frame.data[..], frame.keyframe))
        .collect();
    let expected: Vec<(&[u8], bool)> = pictures
        .iter()
        .map(|picture| (&picture[..], picture[0] == 0x82))
        .collect();
    assert_eq!(given, expected);

    let sized = |header: u8, body: &[u8]| -> Vec<u8> {
        let (low, high) = (body.len() as u8 & 0x7f | 0x80, (body.len() >> 7) as u8);
        [&[header, low, high], body].concat()
    };
    let sequence = sized(0x0a, &body(0, 200));
    let units = [
        [sequence, sized(0x32, &body(0x10, 9_000))].concat(),
        sized(0x32, &body(0x30, 200)),
        sized(0x32, &body(0x30, 3_000)),
    ];
    let mut av1 = Av1Payloader {};
    let mut sender = Sender::default();
    let mut bench = Bench::new(CodecKind::Av1);
    for unit in &units {
        let with_delimiter = [&[0x12, 0], &unit[..]].concat();
        let payloads = av1.payload(1_200, &with_delimiter.into()).unwrap();
        let payloads: Vec<&[u8]> = payloads.iter().map(|payload| &payload[..]).collect();
        sender
            .frame(&payloads)
            .into_iter()
            .for_each(|packet| _ = bench.push(packet));
    }
    let given: Vec<&[u8]> = bench.frames.iter().map(|frame| &frame.data[..]).collect();
    assert_eq!(
        given,
        units.iter().map(|unit| &unit[..]).collect::<Vec<_>>()
    );
    let keys: Vec<bool> = bench.frames.iter().map(|frame| frame.keyframe).collect();
    assert_eq!(keys, [true, false, false]);
}
