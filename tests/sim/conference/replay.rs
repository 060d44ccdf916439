//! Same seed, same conference.

use fastrand::Rng;

use super::venue::{MS, Path, S, Venue, draw_bps};
use crate::hashing::with_fixed_order;
use crate::shell::seed;
use crate::trace::Trace;

/// A minute of eight people on drawn links, who speak in turns.
fn minute(seed: u64, seconds: u32) -> Trace {
    let mut venue = Venue::new(seed, 2, 3);
    venue.world.trace.records = true;
    let mut rng = Rng::with_seed(seed);
    for _ in 0..8 {
        venue.enter(Path::draw(&mut rng));
        venue.world.run(150 * MS);
    }
    venue.converse(&mut rng, 3 * S, S * seconds, 2);
    for at in (10..seconds).step_by(7) {
        venue.run_until(S * at);
        let client = venue.people[rng.usize(..8)];
        let bps = draw_bps(&mut rng);
        venue.set_bps(client, bps);
    }
    venue.run_until(S * seconds);
    let mut trace = std::mem::take(&mut venue.world.trace);
    trace.settle();
    trace
}

#[test]
fn the_same_seed_replays_the_same_minute_of_a_conference() {
    let seed = seed(280);
    let [first, again] = [0, 1].map(|_| with_fixed_order(move || minute(seed, 60)));
    println!("{} lines", first.lines().len());
    assert_eq!(first.first_difference(&again), None, "seed {seed}");
    assert!(
        first.lines().len() > 100_000,
        "only {} lines",
        first.lines().len()
    );
}

#[test]
fn another_seed_is_another_conference() {
    let seed = seed(281);
    let difference = minute(seed, 5);
    assert!(difference.first_difference(&minute(seed + 1, 5)).is_some());
}
