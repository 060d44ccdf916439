//! Random networks and random limits: what is sent can be decoded, and its numbers tell nothing but what was lost.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::forward::shapes::{Camera, Frame, SHAPES, Shape};

const PICTURES: usize = 300;

/// One packet on its way from the sender to the forwarder.
struct Arrival {
    order: u64,
    frame: usize,
    packet: MediaPacket,
}

struct Run {
    frames: Vec<Frame>,
    /// By source sequence number.
    sent: BTreeMap<u64, Outgoing>,
    arrived: BTreeSet<u64>,
    /// Arrived after a packet with a higher number had.
    late: BTreeSet<u64>,
    frame_of: BTreeMap<u64, usize>,
}

fn film(shape: Shape, random: &mut fastrand::Rng, start: Instant) -> Vec<Frame> {
    let mut camera = Camera::new(shape, start);
    let mut frames = Vec::new();
    let mut spatial = shape.spatial_layers();
    for number in 0..PICTURES {
        let is_key = number == 0 || random.usize(..60) == 0;
        if (is_key || camera.is_at_base()) && number > 0 && random.u8(..4) == 0 {
            spatial = random.u8(1..=shape.spatial_layers());
        }
        frames.extend(camera.shoot(is_key, spatial, random.usize(1..4)));
    }
    frames
}

/// Loses some packets, repairs most of them late, and lets others overtake.
fn network(frames: &[Frame], loss: f64, random: &mut fastrand::Rng) -> Vec<Arrival> {
    let mut arrivals = Vec::new();
    for (at, frame) in frames.iter().enumerate() {
        for packet in &frame.packets {
            let mut order = packet.sequence * 1000;
            if frame.picture > 0 {
                if loss > 0.0 && random.u8(..10) == 0 {
                    order += random.u64(..5000);
                }
                if random.f64() < loss {
                    if random.u8(..5) == 0 {
                        continue;
                    }
                    order += random.u64(2000..80_000);
                }
            }
            arrivals.push(Arrival {
                order,
                frame: at,
                packet: packet.clone(),
            });
        }
    }
    arrivals.sort_by_key(|arrival| arrival.order);
    arrivals
}

fn run(shape: Shape, loss: f64, random: &mut fastrand::Rng, start: Instant) -> Run {
    let frames = film(shape, random, start);
    let arrivals = network(&frames, loss, random);
    let mut gop = GopCache::new(shape.kind());
    let mut forwarder = Forwarder::new(90_000);
    let mut run = Run {
        sent: BTreeMap::new(),
        arrived: BTreeSet::new(),
        late: BTreeSet::new(),
        frame_of: BTreeMap::new(),
        frames,
    };
    let mut limit = (u8::MAX, u8::MAX);
    if random.bool() {
        limit = (random.u8(..3), random.u8(..3));
        forwarder.limit(limit.0, limit.1);
    }
    let first = arrivals
        .iter()
        .filter(|arrival| run.frames[arrival.frame].picture == 0);
    let mut replayed = first
        .map(|arrival| arrival.packet.sequence)
        .collect::<Vec<_>>();
    for arrival in &arrivals {
        let frame = &run.frames[arrival.frame];
        let source = arrival.packet.sequence;
        let newest = run.arrived.last().copied();
        if newest.is_some_and(|newest| newest > source) {
            run.late.insert(source);
        }
        let is_new_picture =
            newest.is_none_or(|newest| run.frames[run.frame_of[&newest]].picture < frame.picture);
        run.arrived.insert(source);
        run.frame_of.insert(source, arrival.frame);
        if frame.picture == 0 {
            gop.push(&arrival.packet, false);
            if replayed.last() == Some(&source) {
                forwarder.replay(start, 0, &gop, 0);
                let sent = advance(&mut forwarder, start, &gop);
                replayed.retain(|&source| run.frames[run.frame_of[&source]].spatial <= limit.0);
                // The first packets leave twice.
                for (source, outgoing) in replayed.drain(..).zip(sent) {
                    run.sent.insert(source, outgoing);
                }
                assert!(!forwarder.is_replaying());
            }
            continue;
        }
        if random.u8(..25) == 0 {
            limit = match random.u8(..4) {
                0 => (u8::MAX, u8::MAX),
                _ => (random.u8(..3), random.u8(..3)),
            };
            forwarder.limit(limit.0, limit.1);
        }
        if let Some(outgoing) = forwarder.forward(0, &arrival.packet) {
            if is_new_picture {
                assert!(
                    frame.temporal <= limit.1 && frame.spatial <= limit.0,
                    "over the limit"
                );
            }
            run.sent.insert(source, outgoing);
        }
    }
    run
}

fn check_references(run: &Run) {
    let by_id: BTreeMap<(u32, u8), &Frame> = run
        .frames
        .iter()
        .map(|frame| ((frame.picture, frame.spatial), frame))
        .collect();
    for frame in &run.frames {
        if !frame
            .packets
            .iter()
            .any(|packet| run.sent.contains_key(&packet.sequence))
        {
            continue;
        }
        let mut needed = frame.needs.iter().map(|id| by_id[id]).chain([frame]);
        let whole = |needed: &Frame| {
            needed.packets.iter().all(|packet| {
                run.sent.contains_key(&packet.sequence) || !run.arrived.contains(&packet.sequence)
            })
        };
        if let Some(missing) = needed.find(|needed| !whole(needed)) {
            panic!(
                "picture {} layer {}:{} needs {} layer {}:{}, which was kept back",
                frame.picture,
                frame.spatial,
                frame.temporal,
                missing.picture,
                missing.spatial,
                missing.temporal
            );
        }
    }
}

fn check_sequence(run: &Run) {
    let touched: BTreeSet<usize> = run.sent.keys().map(|source| run.frame_of[source]).collect();
    let mut frame_of = BTreeMap::new();
    for (at, frame) in run.frames.iter().enumerate() {
        frame_of.extend(frame.packets.iter().map(|packet| (packet.sequence, at)));
    }
    let sent: Vec<_> = run.sent.iter().collect();
    assert_eq!(sent[0].1.sequence, 1);
    for pair in sent.windows(2) {
        let ((&a, out_a), (&b, out_b)) = (pair[0], pair[1]);
        let holes = out_b
            .sequence
            .checked_sub(out_a.sequence + 1)
            .expect("the order is the source's");
        let between = a + 1..b;
        let is_lost = |source: &u64| !run.arrived.contains(source);
        let certain = between
            .clone()
            .filter(|source| is_lost(source) && touched.contains(&frame_of[source]))
            .count() as u64;
        let possible = between
            .filter(|source| is_lost(source) || run.late.contains(source))
            .count() as u64;
        assert!(
            (certain..=possible).contains(&holes),
            "{holes} holes between {a} and {b}, lost were {certain} to {possible}"
        );
    }
}

fn check_markers(run: &Run) {
    let mut pictures: BTreeMap<u32, Vec<(u64, &Outgoing)>> = BTreeMap::new();
    for (&source, outgoing) in &run.sent {
        let picture = run.frames[run.frame_of[&source]].picture;
        pictures
            .entry(picture)
            .or_default()
            .push((source, outgoing));
    }
    for (picture, sent) in pictures {
        let (last, last_out) = sent[sent.len() - 1];
        let early = sent[..sent.len() - 1]
            .iter()
            .find(|(_, outgoing)| outgoing.marker);
        assert!(early.is_none(), "picture {picture} ends before its end");
        let frame = &run.frames[run.frame_of[&last]];
        let is_end = frame
            .packets
            .last()
            .is_some_and(|packet| packet.sequence == last);
        let next = run.frames.get(run.frame_of[&last] + 1);
        let is_top = next.is_none_or(|next| {
            next.picture != picture
                || next
                    .packets
                    .iter()
                    .any(|packet| run.arrived.contains(&packet.sequence))
        });
        assert_eq!(
            last_out.marker && is_top,
            is_end && is_top,
            "picture {picture} has no end, or one too many"
        );
    }
}

fn check_picture_ids(run: &Run) {
    let mut firsts: BTreeMap<u32, (u16, u8, u8)> = BTreeMap::new();
    for (source, outgoing) in &run.sent {
        let Some((id, Some(tl0))) = outgoing.vp8 else {
            return;
        };
        let frame = &run.frames[run.frame_of[source]];
        let known = firsts
            .entry(frame.picture)
            .or_insert((id, tl0, frame.temporal));
        assert_eq!(
            (known.0, known.1),
            (id, tl0),
            "all packets of a picture agree"
        );
    }
    let sent: Vec<_> = firsts.into_iter().collect();
    for pair in sent.windows(2) {
        let ((a, (id_a, tl0_a, _)), (b, (id_b, tl0_b, temporal))) = (pair[0], pair[1]);
        let gap = u32::from(id_b.wrapping_sub(id_a) & 0x7fff);
        let between = run.frames[a as usize + 1..b as usize].iter();
        let lost = between
            .clone()
            .filter(|frame| {
                frame.packets.iter().all(|packet| {
                    !run.arrived.contains(&packet.sequence) || run.late.contains(&packet.sequence)
                })
            })
            .count() as u32;
        assert!(
            (1..=1 + lost).contains(&gap),
            "{gap} from picture {a} to {b} with {lost} lost"
        );
        let base = between.filter(|frame| frame.temporal == 0).count() as u8;
        assert_eq!(
            tl0_b.wrapping_sub(tl0_a),
            base + u8::from(temporal == 0),
            "TL0PICIDX from picture {a} to {b}"
        );
    }
}

/// Receivers find what a frame needs by the distance of numbers.
fn check_frame_numbers(run: &Run) {
    let mut sent = run.sent.iter().filter_map(|(source, outgoing)| {
        let packets = &run.frames[run.frame_of[source]].packets;
        let packet = packets.iter().find(|packet| packet.sequence == *source)?;
        let before = packet.dependency.as_ref()?.frame_number;
        Some(
            outgoing
                .dependency
                .as_ref()?
                .frame_number
                .wrapping_sub(before),
        )
    });
    let first = sent.next();
    assert!(
        sent.all(|offset| Some(offset) == first),
        "a distance changed"
    );
}

#[test]
fn whatever_the_network_and_the_limits_do_the_viewer_can_decode() {
    let seed =
        std::env::var("SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    eprintln!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let start = Instant::now();
    for round in 0..40 {
        for shape in SHAPES {
            for loss in [0.0, 0.02, 0.2] {
                eprintln!("round {round} {shape:?} loss {loss}");
                let run = run(shape, loss, &mut random, start);
                check_sequence(&run);
                check_references(&run);
                check_markers(&run);
                check_picture_ids(&run);
                check_frame_numbers(&run);
            }
        }
    }
}
