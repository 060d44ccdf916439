//! Every transition as a table: what passes of which picture.

use super::*;
use crate::forward::shapes::{Camera, SHAPES, Shape};

/// The next pictures in turn, one packet each, as `spatial layers that passed` or `-`; `!` behind one whose last sent packet
/// ended it ahead of the sender's marker.
fn pass(filter: &mut LayerFilter, camera: &mut Camera, keys: &[bool], spatial: u8) -> String {
    let mut seen = String::new();
    for &is_key in keys {
        let (mut passed, mut is_early) = (0, false);
        for frame in camera.shoot(is_key, spatial, 1) {
            let packet = &frame.packets[0];
            if let Verdict::Pass { ends_picture, .. } = filter.judge(packet) {
                passed += 1;
                is_early |= ends_picture && !packet.marker;
            }
        }
        seen += &match passed {
            0 => "-".to_owned(),
            _ => passed.to_string(),
        };
        seen += if is_early { "!" } else { "" };
    }
    seen
}

const KEY: &[bool] = &[true];
const FOUR: &[bool] = &[false; 4];

#[expect(clippy::disallowed_methods, reason = "an epoch for virtual time")]
fn camera(shape: Shape) -> Camera {
    Camera::new(shape, Instant::now())
}

#[test]
fn a_lower_frame_rate_comes_with_the_next_picture_and_a_higher_one_at_a_sync_point() {
    // Temporal layers of the pictures after the key picture: 2 1 2 0, again and again; long: with sync in the first four.
    let check = |shape, steps: &[(u8, &str)]| {
        let mut filter = LayerFilter::default();
        let mut camera = camera(shape);
        assert_eq!(pass(&mut filter, &mut camera, KEY, 1), "1");
        for (at, (temporal, expected)) in steps.iter().enumerate() {
            filter.limit(u8::MAX, *temporal);
            let seen = pass(&mut filter, &mut camera, FOUR, 1);
            assert_eq!(&seen, expected, "{shape:?}, step {at}");
        }
    };
    let short = [
        (u8::MAX, "1111"),
        (1, "-1-1"),
        (0, "---1"),
        (1, "-1-1"),
        (2, "1111"),
        (0, "---1"),
        (2, "-1-1"),
        (2, "1111"),
    ];
    check(Shape::Vp8, &short);
    check(Shape::Vp9Fixed, &short);
    let old = [
        (0, "---1"),
        (1, "-1-1"),
        (0, "---1"),
        (2, "-111"),
        (2, "1111"),
    ];
    check(Shape::Vp9Full, &old);
    check(Shape::Vp9Key, &old);
    // U at the lowest layer opens all above.
    check(
        Shape::Vp9FixedOld,
        &[(0, "---1"), (2, "1111"), (1, "-1-1"), (2, "1111")],
    );
    let long = [
        (2, "1111"),
        (0, "---1"),
        (2, "-1-1"),
        (2, "-1-1"),
        (2, "1111"),
        (2, "1111"),
        (1, "-1-1"),
        (2, "-1-1"),
        (2, "1111"),
    ];
    check(Shape::Vp8Long, &long);
    check(Shape::Vp9FixedLong, &long);
}

#[test]
fn a_key_picture_opens_every_temporal_layer() {
    for shape in [
        Shape::Vp8,
        Shape::Vp8Long,
        Shape::Vp9FixedLong,
        Shape::Vp9Key,
    ] {
        let mut filter = LayerFilter::default();
        let mut camera = camera(shape);
        filter.limit(u8::MAX, 0);
        assert_eq!(
            pass(&mut filter, &mut camera, &[true, false, false], 1),
            "1--"
        );
        filter.limit(u8::MAX, 2);
        assert_eq!(filter.passing().1, 0, "{shape:?}");
        assert_eq!(
            pass(&mut filter, &mut camera, &[true, false, false], 1),
            "111"
        );
        assert_eq!(filter.passing().1, 2);
    }
}

#[test]
fn a_lower_resolution_comes_with_the_next_picture_and_a_higher_one_at_a_key_picture() {
    for shape in [Shape::Vp9Full, Shape::Vp9Key] {
        let mut filter = LayerFilter::default();
        let mut camera = camera(shape);
        let now = camera.shoot(true, 3, 1)[0].packets[0].arrival;
        let mut filtered = |limit: (u8, u8), keys, expected: &str| {
            filter.limit(limit.0, limit.1);
            let seen = pass(&mut filter, &mut camera, keys, 3);
            assert_eq!(seen, expected, "{shape:?} {limit:?}");
            (filter.passing(), filter.needs_keyframe(now))
        };
        filtered((u8::MAX, u8::MAX), KEY, "3");
        filtered((2, 2), FOUR, "3333");
        assert_eq!(filtered((1, 2), FOUR, "2!2!2!2!"), ((1, 2), false));
        assert_eq!(filtered((2, 2), FOUR, "2!2!2!2!"), ((1, 2), true));
        assert_eq!(filtered((0, 0), FOUR, "---1!"), ((0, 0), false));
        assert_eq!(filtered((2, 1), FOUR, "-1!-1!"), ((0, 1), true));
        assert_eq!(filtered((2, 1), KEY, "3"), ((2, 1), false));
        assert_eq!(filtered((2, 2), FOUR, "3333"), ((2, 2), false));
    }
}

#[test]
fn a_spatial_layer_that_starts_later_passes_where_nothing_was_held_back() {
    let mut filter = LayerFilter::default();
    let mut camera = camera(Shape::Vp9Full);
    filter.limit(0, u8::MAX);
    assert_eq!(pass(&mut filter, &mut camera, KEY, 1), "1");
    assert_eq!(pass(&mut filter, &mut camera, FOUR, 1), "1111");
    filter.limit(2, u8::MAX);
    assert_eq!(pass(&mut filter, &mut camera, &[false; 3], 1), "111");
    assert_eq!(pass(&mut filter, &mut camera, FOUR, 3), "3333");
}

#[test]
fn a_limit_in_mid_picture_waits_for_the_next() {
    let mut filter = LayerFilter::default();
    let mut camera = camera(Shape::Vp9Full);
    let frames = camera.shoot(true, 3, 2);
    let packets = frames.iter().flat_map(|frame| &frame.packets);
    for (at, packet) in packets.enumerate() {
        if at == 2 {
            filter.limit(0, 0);
        }
        let verdict = filter.judge(packet);
        assert!(
            matches!(
                verdict,
                Verdict::Pass {
                    ends_picture: false,
                    ..
                }
            ),
            "{at}"
        );
    }
    assert_eq!(pass(&mut filter, &mut camera, FOUR, 3), "---1!");
}

#[test]
fn a_key_picture_whose_base_comes_late_opens_what_it_can_and_closes_nothing() {
    let passes = |filter: &mut LayerFilter, packet: &MediaPacket| match filter.judge(packet) {
        Verdict::Pass { ends_picture, .. } => Some(ends_picture),
        _ => None,
    };
    let mut camera = camera(Shape::Vp9Full);
    let mut filter = LayerFilter::default();
    let frames = camera.shoot(true, 3, 1);
    assert_eq!(passes(&mut filter, &frames[1].packets[0]), Some(false));
    filter.limit(0, 2);
    assert_eq!(passes(&mut filter, &frames[0].packets[0]), Some(false));
    assert_eq!(passes(&mut filter, &frames[2].packets[0]), Some(false));
    assert_eq!(pass(&mut filter, &mut camera, FOUR, 3), "1!1!1!1!");
    filter.limit(2, 2);
    // What was held back of the picture before its base came cannot be helped.
    let frames = camera.shoot(true, 3, 1);
    assert_eq!(passes(&mut filter, &frames[2].packets[0]), None);
    assert_eq!(passes(&mut filter, &frames[0].packets[0]), Some(true));
    assert_eq!(passes(&mut filter, &frames[1].packets[0]), None);
    let frames = camera.shoot(true, 3, 2);
    assert_eq!(passes(&mut filter, &frames[0].packets[1]), Some(false));
    assert_eq!(passes(&mut filter, &frames[0].packets[0]), Some(false));
    assert_eq!(passes(&mut filter, &frames[1].packets[0]), Some(false));
}

#[test]
fn what_was_lost_of_a_picture_left_out_leaves_no_hole() {
    let mut filter = LayerFilter::default();
    let mut camera = camera(Shape::Vp8);
    filter.limit(0, 0);
    filter.judge(&camera.shoot(true, 1, 1)[0].packets[0]);
    let packets = camera.shoot(false, 1, 4).remove(0).packets;
    let first = packets[0].sequence;
    assert_eq!(filter.judge(&packets[0]), Verdict::LeaveOut(first..=first));
    assert_eq!(
        filter.judge(&packets[3]),
        Verdict::LeaveOut(first..=first + 3)
    );
}

#[test]
fn a_frame_rate_that_never_syncs_asks_for_a_keyframe_after_three_seconds() {
    let mut filter = LayerFilter::default();
    let mut camera = camera(Shape::Vp8Long);
    filter.limit(0, 0);
    pass(&mut filter, &mut camera, &[true, false, false], 1);
    filter.limit(0, 2);
    // The second half of the pattern has no sync point; a sender that never sets the bit looks like this.
    let frame = loop {
        let frame = camera.shoot(false, 1, 1).remove(0);
        if frame.temporal == 2
            && frame.packets[0]
                .inspection
                .layer
                .is_some_and(|layer| !layer.is_sync)
        {
            break frame;
        }
    };
    filter.judge(&frame.packets[0]);
    let since = frame.packets[0].arrival;
    assert!(!filter.needs_keyframe(since + SYNC_MAX / 2));
    filter.limit(0, 2);
    assert!(
        filter.needs_keyframe(since + SYNC_MAX),
        "the same limit again does not begin the wait anew"
    );
    filter.limit(0, 0);
    assert!(
        !filter.needs_keyframe(since + SYNC_MAX),
        "nobody wants it any more"
    );
}

#[test]
fn a_stream_without_layers_is_left_alone() {
    let mut filter = LayerFilter::default();
    filter.limit(0, 0);
    let mut packet = camera(Shape::Vp8)
        .shoot(true, 1, 1)
        .remove(0)
        .packets
        .remove(0);
    packet.inspection = Inspection::default();
    for sequence in 0..10_u32 {
        packet.sequence = u64::from(sequence);
        packet.timestamp = sequence * 3000;
        assert_eq!(
            filter.judge(&packet),
            Verdict::Pass {
                ends_picture: false,
                pictures_left_out: 0
            }
        );
    }
    assert!(filter.pictures.is_empty());
}

#[test]
fn old_pictures_are_forgotten() {
    let mut filter = LayerFilter::default();
    let mut camera = camera(Shape::Vp8);
    let first = camera.shoot(true, 1, 1).remove(0).packets.remove(0);
    let second = camera.shoot(false, 1, 1).remove(0).packets.remove(0);
    filter.judge(&first);
    for _ in 0..PICTURES_MAX + 50 {
        filter.judge(&camera.shoot(false, 1, 1)[0].packets[0]);
        assert!(filter.pictures.len() <= PICTURES_MAX);
    }
    assert_eq!(filter.judge(&second), Verdict::TooLate);
}

#[test]
fn a_viewer_without_a_limit_never_needs_a_keyframe() {
    for shape in SHAPES {
        let mut filter = LayerFilter::default();
        let mut camera = camera(shape);
        for number in 0..200 {
            for frame in camera.shoot(number == 0, 3, 2) {
                for packet in &frame.packets {
                    filter.judge(packet);
                }
                let now = frame.packets[0].arrival;
                assert!(!filter.needs_keyframe(now), "{shape:?} at {number}");
            }
        }
    }
}
