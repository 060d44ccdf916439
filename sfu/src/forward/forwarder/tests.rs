mod past;
mod property;

use payload::CodecKind;
use payload::inspect::inspect;

use super::*;
use crate::forward::shapes::{Camera, Shape};

const MS: Duration = Duration::from_millis(1);

/// A picture of `packets` packets of 1,000 bytes; every tenth is a key picture.
fn picture(start: Instant, number: u32, packets: u32) -> Vec<MediaPacket> {
    let key = number.is_multiple_of(10);
    let at = start + 33 * MS * number;
    (0..packets)
        .map(|part| {
            let mut payload = vec![0; 1000];
            payload[0] = if part == 0 { 0x10 } else { 0 };
            payload[1] = u8::from(!key);
            MediaPacket {
                sequence: u64::from(number * packets + part),
                timestamp: number * 3000,
                marker: part + 1 == packets,
                arrival: at,
                wallclock: at,
                inspection: inspect(CodecKind::Vp8, &payload),
                payload: payload.into(),
                red: false,
                audio_level: None,
                orientation: None,
                captured_us: None,
                dependency: None,
                ahead: std::time::Duration::ZERO,
            }
        })
        .collect()
}

fn group(start: Instant, pictures: std::ops::Range<u32>, packets: u32) -> GopCache {
    let mut gop = GopCache::new(CodecKind::Vp8);
    for number in pictures {
        push(&mut gop, &picture(start, number, packets));
    }
    gop
}

fn push(gop: &mut GopCache, packets: &[MediaPacket]) {
    for packet in packets {
        gop.push(packet, false);
    }
}

fn advance(forwarder: &mut Forwarder, now: Instant, gop: &GopCache) -> Vec<Outgoing> {
    let mut sent = Vec::new();
    forwarder.advance(now, gop, |outgoing| sent.push(outgoing));
    sent
}

#[test]
fn a_replay_is_paced_and_ends_live() {
    let start = Instant::now();
    let gop = group(start, 0..5, 40);
    let mut forwarder = Forwarder::new(90_000);
    forwarder.replay(start, 0, &gop, 0);
    let mut sent = advance(&mut forwarder, start, &gop).len();
    assert_eq!(
        sent,
        36 + REPEATED,
        "the burst, and the first packets again"
    );
    let mut ticks = 0;
    while forwarder.is_replaying() {
        ticks += 1;
        let now = start + REPLAY_TICK * ticks;
        sent += advance(&mut forwarder, now, &gop).len();
    }
    assert_eq!(sent, 200 + REPEATED);
    assert!(
        (25..=28).contains(&ticks),
        "164 kB at 10 Mbit/s in {ticks} ticks of 5 ms"
    );
}

#[test]
fn a_group_that_is_replaced_under_a_replay_cuts_no_picture() {
    let start = Instant::now();
    let mut gop = group(start, 5..10, 20);
    push(&mut gop, &picture(start, 10, 20));
    push(&mut gop, &picture(start, 11, 20));
    push(&mut gop, &picture(start, 12, 20));
    let mut forwarder = Forwarder::new(90_000);
    forwarder.replay(start, 0, &gop, 0);
    let mut sent = advance(&mut forwarder, start, &gop);
    assert!(!sent.last().unwrap().marker, "the pause is in mid-picture");
    push(&mut gop, &picture(start, 20, 20));
    for tick in 1..100 {
        sent.extend(advance(&mut forwarder, start + REPLAY_TICK * tick, &gop));
    }
    sent.drain(36..36 + REPEATED);
    let sequences: Vec<u64> = sent.iter().map(|outgoing| outgoing.sequence).collect();
    assert_eq!(
        sequences,
        (1..=60).collect::<Vec<_>>(),
        "two whole pictures, then the new group"
    );
    let ends = sent.iter().filter(|outgoing| outgoing.marker).count();
    assert_eq!(ends, 3);
}

#[test]
fn a_layer_changes_between_two_pictures() {
    let start = Instant::now();
    let low = group(start, 0..1, 2);
    let mut forwarder = Forwarder::new(90_000);
    forwarder.replay(start, 0, &low, 0);
    advance(&mut forwarder, start, &low);
    let next = picture(start, 1, 2);
    forwarder.choose_layer(1);
    assert!(forwarder.forward(0, &next[0]).is_some());
    let high = group(start, 10..11, 3);
    let now = start + 330 * MS;
    forwarder.on_gop(now, 1, &high, 0);
    assert_eq!(forwarder.due_layer(now), None, "the picture is open");
    assert!(forwarder.forward(0, &next[1]).is_some());
    assert_eq!(forwarder.due_layer(now), Some(1));
    forwarder.replay(now, 1, &high, 0);
    let sent = advance(&mut forwarder, now, &high);
    assert_eq!(sent[0].sequence, 5);
    assert_eq!(forwarder.current_layer(), Some(1));
}

#[test]
fn a_picture_without_an_end_delays_a_change_for_a_moment_and_leaves_a_hole() {
    let start = Instant::now();
    let low = group(start, 0..1, 2);
    let mut forwarder = Forwarder::new(90_000);
    forwarder.replay(start, 0, &low, 0);
    advance(&mut forwarder, start, &low);
    forwarder.choose_layer(1);
    forwarder.forward(0, &picture(start, 1, 2)[0]);
    let high = group(start, 10..11, 3);
    forwarder.on_gop(start, 1, &high, 0);
    assert_eq!(forwarder.due_layer(start + PICTURE_MAX), Some(1));
    forwarder.replay(start, 1, &high, 0);
    assert_eq!(
        advance(&mut forwarder, start, &high)[0].sequence,
        5,
        "4 never comes"
    );
}

#[test]
fn another_publisher_is_waited_for_from_its_keyframe() {
    let start = Instant::now();
    let gop = group(start, 0..2, 2);
    let mut forwarder = Forwarder::new(90_000);
    forwarder.replay(start, 0, &gop, 0);
    let before = advance(&mut forwarder, start, &gop);
    forwarder.reset(90_000);
    assert!(forwarder.is_waiting() && forwarder.forward(0, &picture(start, 2, 1)[0]).is_none());
    let other = group(start, 10..11, 1);
    forwarder.on_gop(start + 330 * MS, 0, &other, 0);
    let after = advance(&mut forwarder, start + 330 * MS, &other);
    assert_eq!(after[0].sequence, 5);
    let last = before
        .iter()
        .map(|outgoing| outgoing.timestamp)
        .max()
        .unwrap();
    assert_eq!(
        after[0].timestamp - last,
        9 * 3000 - 90 * 3,
        "297 ms on the wall clock"
    );
}

#[test]
fn a_replay_obeys_the_limits() {
    let start = Instant::now();
    let check = |shape, limit: (u8, u8), spatial, expected: &str| {
        let mut camera = Camera::new(shape, start);
        let mut gop = GopCache::new(shape.kind());
        for number in 0..9 {
            for frame in camera.shoot(number == 0, spatial, 1) {
                push(&mut gop, &frame.packets);
            }
        }
        let mut forwarder = Forwarder::new(90_000);
        forwarder.limit(limit.0, limit.1);
        forwarder.replay(start, 0, &gop, 0);
        let mut sent = advance(&mut forwarder, start, &gop);
        sent.truncate(sent.len() - REPEATED);
        let sequences: Vec<u64> = sent.iter().map(|outgoing| outgoing.sequence).collect();
        assert_eq!(sequences, (1..=sent.len() as u64).collect::<Vec<_>>());
        // A picture's packets together, and a dot where the marker ends it.
        let seen: String = sent
            .iter()
            .map(|outgoing| if outgoing.marker { "1." } else { "1" })
            .collect();
        assert_eq!(seen, expected, "{shape:?} {limit:?}");
        let ids: Vec<u16> = sent
            .iter()
            .filter_map(|outgoing| Some(outgoing.vp8?.0))
            .collect();
        assert!(ids.windows(2).all(|pair| pair[1] == pair[0] + 1), "{ids:?}");
    };
    check(Shape::Vp8, (0, 0), 1, "1.1.1.");
    check(Shape::Vp8, (0, 1), 1, "1.1.1.1.1.");
    check(Shape::Vp9Full, (1, 0), 3, "11.11.11.");
    check(Shape::Vp9Key, (0, 1), 3, "1.1.1.1.1.");
    check(Shape::Vp9Key, (2, 0), 3, "111.111.111.");
    check(Shape::Av1Full, (1, 0), 3, "11.11.11.");
    check(Shape::Av1Key, (0, 1), 3, "1.1.1.1.1.");
}

#[test]
fn a_viewer_that_cannot_follow_av1_layers_is_sent_the_lowest_whatever_it_may_have() {
    let start = Instant::now();
    let sent = |can_follow, shape: Shape, limit: (u8, u8)| {
        let mut camera = Camera::new(shape, start);
        let mut gop = GopCache::new(shape.kind());
        let mut forwarder = Forwarder::new(90_000);
        forwarder.follow_av1_layers(can_follow);
        forwarder.limit(limit.0, limit.1);
        for frame in camera.shoot(true, 3, 1) {
            push(&mut gop, &frame.packets);
        }
        forwarder.replay(start, 0, &gop, 0);
        advance(&mut forwarder, start, &gop);
        let frames = camera.shoot(false, 3, 1);
        let packets = frames.iter().flat_map(|frame| &frame.packets);
        let sent = packets.filter_map(|packet| forwarder.forward(0, packet));
        let markers: Vec<bool> = sent.map(|outgoing| outgoing.marker).collect();
        assert!(!forwarder.needs_keyframe(start));
        markers
    };
    for shape in [Shape::Av1Full, Shape::Av1Key] {
        assert_eq!(sent(true, shape, (255, 255)), [false, false, true]);
        assert_eq!(sent(true, shape, (1, 2)), [false, true]);
        assert_eq!(sent(false, shape, (255, 255)), [true]);
        assert_eq!(sent(false, shape, (2, 2)), [true]);
    }
}
