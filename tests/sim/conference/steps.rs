//! Links that get wider and narrower: what is shown follows within seconds.

use super::judge::few;
use super::microphone::Turn;
use super::room::Plan;
use super::venue::{Path, S, Venue};
use crate::hashing::with_fixed_order;
use crate::shell::seed;

/// Nobody loses anything but by the bottleneck; one viewer's link goes through these rates, ten seconds each.
fn check(seed: u64, rates: &[u64]) {
    let mut venue = Venue::of(seed, 2, 6);
    let viewer = venue.people[0];
    let talker = venue.people[1];
    let ends = 12 * S + 15 * S * u32::try_from(rates.len()).unwrap() - 8 * S;
    venue.world.script(talker, vec![Turn::new(5 * S, ends)]);
    venue.plan_all(&Plan::Everybody { layer_max: 2 });
    venue.run_until(12 * S);
    for bps in rates {
        venue.set_bps(viewer, *bps);
        venue.world.run(15 * S);
    }
    venue.check();
    let pictures = venue.judge_pictures();
    let sound = venue.judge_sound();
    println!(
        "{rates:?}: {:?}; {}; {}",
        pictures.settled,
        pictures.summary(),
        sound.summary()
    );
    for ((after, to_less), bps) in pictures.settled.iter().zip(rates) {
        assert!(
            *after <= 3 * S,
            "{after:?} after the step to {bps} bit/s, to less: {to_less}"
        );
    }
    let oscillations = few(&pictures.oscillations);
    assert!(oscillations.is_empty(), "{oscillations:#?}");
    assert!(pictures.starved.is_empty(), "{:#?}", few(&pictures.starved));
    assert!(sound.holes.is_empty(), "{:#?}", few(&sound.holes));
}

#[test]
#[ignore = "the estimate follows later than the bar allows"]
fn what_is_shown_settles_within_3_s_of_a_step_to_less() {
    with_fixed_order(|| check(seed(290), &[3_000_000, 1_200_000, 500_000]));
}

#[test]
#[ignore = "the estimate follows later than the bar allows"]
fn what_is_shown_settles_within_3_s_of_a_step_to_more() {
    with_fixed_order(|| check(seed(291), &[500_000, 3_000_000, 600_000, 8_000_000]));
}

#[test]
fn a_viewer_on_a_link_of_300_kbit_keeps_sound_and_a_picture_and_recovers() {
    let mut venue = Venue::of(seed(292), 2, 3);
    let viewer = venue.people[0];
    let talker = venue.people[1];
    venue.world.script(talker, vec![Turn::new(5 * S, 39 * S)]);
    venue.run_until(12 * S);
    venue.set_bps(viewer, 300_000);
    venue.world.run(20 * S);
    let narrow = venue.world.now;
    venue.set_bps(viewer, Path::GOOD.bps);
    venue.world.run(15 * S);
    venue.check();
    let slots = &venue.world.clients[viewer].in_conference().unwrap().slots;
    let shown = |from, until, layer_min| {
        let decoded = slots.iter().flat_map(|slot| &slot.picture.decoded);
        decoded
            .filter(|one| (from..until).contains(&one.at) && one.picture.layer >= layer_min)
            .count()
    };
    let before = shown(narrow - 10 * S, narrow, 0);
    assert!(before > 100, "{before} pictures in 10 s at 300 kbit/s");
    let after = shown(venue.world.now - 5 * S, venue.world.now, 2);
    assert!(after > 100, "{after} of the best layers in 5 s after that");
    let sound = venue.judge_sound();
    println!("{}", sound.summary());
    assert!(sound.worst() <= S / 5, "{:#?}", few(&sound.holes));
}
