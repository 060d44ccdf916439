//! Budgets as congestion control makes them. A cell is a trace over a room; every failure prints its seed.

use super::*;

/// The rooms that every trace is tried on.
fn rooms() -> Vec<(&'static str, Vec<Picture>)> {
    let mut stage = cameras(6, SIMULCAST);
    stage[0].priority = Priority::Pinned;
    stage[1].priority = Priority::High;
    stage[5].priority = Priority::Low;
    let mut screen = cameras(4, SIMULCAST);
    screen.push(Picture::screen(9));
    let temporal = (0..5).map(|key| Picture::temporal(key, Priority::Normal));
    let mut mixed: Vec<Picture> = temporal.clone().collect();
    mixed.extend((10..13).map(|key| Picture::new(key, SIMULCAST, Priority::High)));
    mixed.push(Picture::new(20, &[900], Priority::Normal));
    vec![
        ("one", cameras(1, SIMULCAST)),
        ("grid", cameras(16, SIMULCAST)),
        ("stage", stage),
        ("screen", screen),
        ("temporal", temporal.collect()),
        ("mixed", mixed),
        ("large", cameras(49, SIMULCAST)),
    ]
}

/// Runs every room on every mean budget with `budget(at, mean, rng)` for `seconds`, and judges it by `limit` changes of
/// a stream in any minute after the first ten seconds. The worst is printed.
#[expect(clippy::print_stdout, reason = "the figure of merit")]
fn judge(
    name: &str,
    seconds: u64,
    limit: usize,
    budget: impl Fn(f64, f64, &mut fastrand::Rng) -> f64,
) {
    let mut worst = (0, String::new());
    let (mut changes, mut minutes) = (0, 0.0);
    for (room, pictures) in rooms().into_iter().filter(|(room, _)| *room != "large") {
        for (seed, mean) in (1..).zip([120, 300, 1100, 1600, 3100, 4700, 12_000]) {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut subscriber = Subscriber::new(pictures.clone());
            for at in 0..seconds * 10 {
                let kbps = budget(at as f64 / 10.0, f64::from(mean), &mut rng);
                subscriber.step(kbps as u64);
            }
            let settled = Duration::from_secs(10);
            let most = subscriber.most_changes(settled, Duration::from_secs(60));
            let told = format!("{room} at {mean} kbit/s, seed {seed}");
            let late = subscriber.changes.iter().filter(|(at, _)| *at >= settled);
            changes += late.count();
            minutes += pictures.len() as f64 * (seconds - 10) as f64 / 60.0;
            if most > worst.0 {
                worst = (most, told);
            }
        }
    }
    println!(
        "{name}: {:.3} changes per stream and minute; at most {} in one minute ({})",
        f64::from(changes as u32) / minutes,
        worst.0,
        worst.1
    );
    assert!(
        worst.0 <= limit,
        "{name}: {} changes a minute, {}",
        worst.0,
        worst.1
    );
}

#[test]
fn an_estimate_that_is_off_by_a_tenth_moves_no_stream_more_than_once_in_10_s() {
    judge("noise of 10 %", 130, 5, |_, mean, rng| {
        mean * (0.9 + 0.2 * rng.f64())
    });
}

#[test]
fn slow_noise_moves_no_stream_more_than_once_in_10_s() {
    for period in [2.0, 7.0, 30.0] {
        judge(
            &format!("10 % in waves of {period} s"),
            130,
            5,
            |at, mean, rng| {
                let wave = (at / period * std::f64::consts::TAU).sin();
                mean * (1.0 + 0.09 * wave + 0.02 * (rng.f64() - 0.5))
            },
        );
    }
}

/// Up and up, then down to 85 % at once, as Google's congestion control does it.
#[test]
fn a_sawtooth_moves_no_stream_more_than_once_in_10_s() {
    for (down, period) in [(0.85, 2.0), (0.85, 5.0), (0.7, 4.5), (0.7, 15.0)] {
        judge(
            &format!("sawtooth to {down} each {period} s"),
            130,
            5,
            sawtooth(down, period),
        );
    }
}

/// Halving is no noise but less bandwidth, which is followed down every time; the way up is not tried every time.
#[test]
fn a_budget_that_halves_again_and_again_is_not_followed_up_every_time() {
    for (period, limit) in [(5.0, 8), (9.0, 8)] {
        judge(
            &format!("halved each {period} s"),
            130,
            limit,
            sawtooth(0.5, period),
        );
    }
}

fn sawtooth(down: f64, period: f64) -> impl Fn(f64, f64, &mut fastrand::Rng) -> f64 {
    move |at, mean, rng| {
        let phase = (at / period).fract();
        mean * (down + (1.0 - down) * phase) * (0.98 + 0.04 * rng.f64())
    }
}

#[test]
fn rates_and_estimate_that_are_both_noisy_move_little() {
    for seed in 0..4 {
        let mut rng = fastrand::Rng::with_seed(seed);
        for (room, pictures) in rooms() {
            let mut subscriber = Subscriber::new(pictures.clone());
            let mean = rng.f64() * 8000.0 + 200.0;
            for _ in 0..1200 {
                for (picture, usual) in subscriber.pictures.iter_mut().zip(&pictures) {
                    for (rung, usual) in picture.rungs.iter_mut().zip(&usual.rungs) {
                        rung.bps = usual.bps * rng.u64(80..=120) / 100;
                    }
                }
                subscriber.step((mean * (0.9 + 0.2 * rng.f64())) as u64);
            }
            let most = subscriber.most_changes(Duration::from_secs(10), Duration::from_secs(60));
            assert!(
                most <= 5,
                "{room} at {mean:.0} kbit/s, seed {seed}: {most} changes a minute"
            );
        }
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "the figure of merit")]
fn a_bandwidth_step_is_settled_within_3_s() {
    let levels = [300, 700, 1500, 3000, 6000, 20_000];
    let mut longest = Duration::ZERO;
    for (room, pictures) in rooms() {
        for before in levels {
            for after in levels {
                let mut subscriber = Subscriber::new(pictures.clone());
                subscriber.stay(30_000, before);
                let step = subscriber.now - subscriber.start;
                // An estimate falls too far at first.
                if after < before {
                    subscriber.stay(1000, after * 8 / 10);
                }
                subscriber.stay(30_000, after);
                let last = subscriber.changes.iter().map(|(at, _)| *at).max();
                let settled = last.unwrap_or_default().saturating_sub(step);
                longest = longest.max(settled);
                let told = format!("{room}, {before} to {after} kbit/s");
                assert!(settled <= Duration::from_secs(3), "{settled:?}: {told}");
                assert!(subscriber.sum_kbps() <= after * 105 / 100, "{told}");
            }
        }
    }
    println!("the longest of {} steps settled in {longest:?}", 7 * 36);
}

#[test]
fn after_failures_only_news_are_tried_soon() {
    let mut subscriber = Subscriber::new(cameras(1, SIMULCAST));
    subscriber.stay(10_000, 1000);
    let mut tries = Vec::new();
    for _ in 0..20_000 {
        // The estimate promises more than the path has.
        let kbps = if subscriber.rungs == [Some(2)] {
            1000
        } else {
            1900
        };
        let before = subscriber.rungs.clone();
        if subscriber.step(kbps) > before.as_slice() {
            tries.push(subscriber.now);
        }
    }
    let waits: Vec<u64> = tries
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).as_secs())
        .collect();
    assert_eq!(waits[..3], [8, 52, 60], "{waits:?}");
    assert!(
        waits[3..].iter().all(|wait| (60..62).contains(wait)),
        "{waits:?}"
    );
    // A better network is believed.
    assert_eq!(subscriber.stay(3000, 3000), [Some(2)]);
}
