//! What holds for every subscriber; each case prints its seed when it fails.

use super::*;

const CLASSES: [Priority; 4] = [
    Priority::Low,
    Priority::Normal,
    Priority::High,
    Priority::Pinned,
];

fn draw(rng: &mut fastrand::Rng, key: usize) -> Picture {
    let mut picture = match rng.u8(..8) {
        0 => Picture::new(key, &[rng.u64(100..2500)], Priority::Normal),
        1 => Picture::screen(key),
        2 => Picture::new(key, &[], Priority::Normal),
        3 | 4 => Picture::temporal(key, Priority::Normal),
        _ => Picture::new(key, SIMULCAST, Priority::Normal),
    };
    picture.priority = CLASSES[rng.usize(..4)];
    picture
}

/// Nothing that is sent exceeds the budget, no paused picture would fit beside everybody's lowest rung, and within a
/// class nobody is ahead of another who could follow.
fn holds(subscriber: &Subscriber, kbps: u64, told: &str) {
    let rungs = subscriber.rungs.iter().zip(&subscriber.pictures);
    assert!(
        subscriber.sum_kbps() <= kbps * 105 / 100 + 1,
        "too much: {told}"
    );
    let lowest: u64 = rungs
        .clone()
        .filter(|(rung, _)| rung.is_some())
        .map(|(_, picture)| picture.rungs[0].bps / 1000)
        .sum();
    for (rung, picture) in rungs {
        match rung {
            Some(at) => assert!(*at < picture.rungs.len(), "{told}"),
            None => {
                let Some(first) = picture.rungs.first() else {
                    continue;
                };
                let fits = (lowest + first.bps / 1000) * 100 < kbps * 83;
                assert!(!fits, "{picture:?} starves at {kbps} kbit/s: {told}");
            }
        }
    }
}

#[test]
fn nobody_starves_whom_others_could_feed() {
    for seed in 0..60 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let count = rng.usize(1..20);
        let pictures = (0..count).map(|key| draw(&mut rng, key)).collect();
        let mut subscriber = Subscriber::new(pictures);
        for change in 0..6 {
            let kbps = 100 + rng.u64(..150) * rng.u64(..150);
            // After failures a step up may wait for a minute.
            subscriber.stay(65_000, kbps);
            holds(&subscriber, kbps, &format!("seed {seed}, change {change}"));
            if rng.bool() {
                let key = 100 + change;
                subscriber.pictures.push(draw(&mut rng, key));
                subscriber.rungs.push(None);
            }
        }
    }
}

/// Cameras of one class are never two layers apart while the lower one's next layer fits.
#[test]
fn equals_are_never_two_layers_apart() {
    for seed in 0..60 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut subscriber = Subscriber::new(cameras(rng.usize(2..12), SIMULCAST));
        for _ in 0..4 {
            let kbps = 200 + rng.u64(..130) * rng.u64(..130);
            subscriber.stay(65_000, kbps);
            let best = subscriber.rungs.iter().max().unwrap();
            let least = subscriber.rungs.iter().min().unwrap();
            let steps = |rung: &Option<usize>| rung.map_or(0, |at| at + 1);
            assert!(
                steps(best) - steps(least) <= 1,
                "{:?} at {kbps} kbit/s, seed {seed}",
                subscriber.rungs
            );
        }
    }
}

#[test]
fn nothing_panics_and_every_answer_is_a_rung() {
    for seed in 0..100 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut subscriber = Subscriber::new(Vec::new());
        for _ in 0..200 {
            if rng.u8(..4) == 0 && subscriber.pictures.len() < 49 {
                let key = rng.usize(..1000);
                let picture = draw(&mut rng, key);
                subscriber.pictures.retain(|other| other.key != key);
                subscriber.pictures.push(picture);
            }
            if rng.u8(..8) == 0 {
                rng.shuffle(&mut subscriber.pictures);
            }
            if rng.u8(..8) == 0 {
                subscriber.pictures.pop();
            }
            for picture in &mut subscriber.pictures {
                for rung in &mut picture.rungs {
                    if rng.u8(..20) == 0 {
                        rung.bps = rng.u64(..10_000_000);
                    }
                }
            }
            subscriber.now += Duration::from_millis(rng.u64(..5000));
            let kbps = rng.u64(..50) * rng.u64(..1000);
            subscriber.step(kbps);
            assert_eq!(subscriber.rungs.len(), subscriber.pictures.len());
            for (rung, picture) in subscriber.rungs.iter().zip(&subscriber.pictures) {
                assert!(
                    rung.is_none_or(|at| at < picture.rungs.len()),
                    "seed {seed}"
                );
            }
        }
    }
}
