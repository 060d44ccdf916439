//! Coming in: everybody is seen and heard, soon.

use std::time::Duration;

use super::judge::few;
use super::microphone::Turn;
use super::venue::{MS, Path, S, Venue};
use crate::shell::seed;

/// Everybody is shown everybody else and hears who speaks.
fn check(seed: u64, workers: usize, people: usize) {
    let mut venue = Venue::of(seed, workers, people);
    for (at, client) in (0_u32..).zip(venue.people.clone()) {
        let from = 2 * S + S * at;
        venue.world.script(client, vec![Turn::new(from, from + S)]);
    }
    venue.run_until((12 + people as u32) * S);
    venue.check();
    let sound = venue.judge_sound();
    let pictures = venue.judge_pictures();
    println!(
        "{workers} workers: {}; {}",
        sound.summary(),
        pictures.summary()
    );
    assert_eq!(pictures.changes.is_empty(), people < 2);
    for viewer in &venue.people {
        for (stream, owner) in venue.streams.iter().zip(&venue.people) {
            let seen = pictures.changes.contains_key(&(*viewer, *stream));
            assert_eq!(seen, viewer != owner, "{viewer} is shown {stream}: {seen}");
        }
    }
    assert!(sound.turns > 0);
    assert!(sound.holes.is_empty(), "{:?}", few(&sound.holes));
    assert!(sound.wrong.is_empty(), "{:?}", few(&sound.wrong));
    assert!(sound.skipped.is_empty(), "{:?}", few(&sound.skipped));
}

#[test]
fn everybody_sees_and_hears_everybody_on_one_worker() {
    check(seed(200), 1, 3);
}

#[test]
fn everybody_sees_and_hears_everybody_over_two_workers() {
    check(seed(201), 2, 5);
}

#[test]
fn everybody_sees_and_hears_everybody_over_three_workers() {
    check(seed(202), 3, 9);
}

#[test]
fn somebody_who_joins_is_shown_a_picture_within_300_ms() {
    let mut times = Vec::new();
    for round in 0..3 {
        let mut venue = Venue::of(seed(203) + round, 2, 6);
        venue.run_until(5 * S);
        for _ in 0..5 {
            let began = venue.world.now;
            let client = venue.world.join_with(venue.room, 0, |client| {
                client.up = Path::GOOD.link();
                client.down = Path::GOOD.link();
            });
            let first = |world: &crate::world::World| {
                let participant = world.clients[client].in_conference().unwrap();
                let shown = participant.slots.iter();
                shown
                    .filter_map(|slot| slot.picture.decoded.first())
                    .map(|decoded| decoded.at)
                    .min()
            };
            venue.world.run_while(3 * S, |world| first(world).is_none());
            let shown = first(&venue.world).expect("a picture within 3 s");
            times.push(shown - began);
            venue.world.leave(client);
            venue.world.run(S);
        }
        venue.check();
    }
    times.sort();
    println!("join to first picture: {times:?}");
    let median = times[times.len() / 2];
    assert!(median < 300 * MS, "{median:?} in the median");
    let worst = *times.last().unwrap();
    assert!(worst < Duration::from_secs(1), "{worst:?} at worst");
}
