//! Every playlist that a player could read obeys RFC 8216bis and the rules of this project, whatever happens to the stream.

mod behaviour;
mod boxes;
mod checker;
mod hostile;
mod late_sound;
mod pace;
mod playlist;
mod rules;
mod scenario;
mod source;

use std::collections::BTreeMap;

use hls::CodecKind;

use scenario::{Keyframes, Scenario};

/// Scenarios of the big test, and their length; every fifth is longer than the skip boundary.
const SCENARIOS: u64 = 40;
const SECONDS: f64 = 45.0;
const SECONDS_LONG: f64 = 150.0;

/// Playlists that must have been read.
const PLAYLISTS_MIN: usize = 10_000;

/// A plain stream.
fn plain() -> Scenario {
    Scenario {
        seed: 1,
        seconds: 40.0,
        window_s: 40,
        part_ms: 500,
        codec: CodecKind::H264,
        layers: 1,
        has_opus: true,
        has_aac: false,
        fps: 30.0,
        jitter: 0.0,
        stills: 0.0,
        keyframes: Keyframes::Answered(0.1),
        losses: 0.0,
        changes: 0.0,
        rewrites_sets: false,
        restarts: 0.0,
        has_slates: true,
        rests: 0.0,
        mutes: 0.0,
        lateness: 0.0,
        has_temporal_layers: false,
        sends_sets_alone: false,
    }
}

/// Runs a scenario that must not break any rule, and gives what was warned of.
fn check(scenario: &Scenario) -> BTreeMap<&'static str, usize> {
    let checker = scenario::run(scenario);
    assert!(
        checker.violations.is_empty(),
        "{scenario:?}\n{:?}\n{}",
        checker.warnings,
        checker.violations.join("\n")
    );
    assert!(checker.parts > 0, "{scenario:?} made no parts");
    checker.warnings
}

#[test]
fn ten_thousand_playlists_under_everything_break_no_rule() {
    let seed = std::env::var("SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seeds = match seed {
        Some(seed) => seed..seed + 1,
        None => 1..1 + SCENARIOS,
    };
    let (mut playlists, mut parts, mut deltas) = (0, 0, 0);
    let mut warnings: BTreeMap<&str, usize> = BTreeMap::new();
    let mut violations = Vec::new();
    for seed in seeds {
        let is_long = seed.is_multiple_of(5);
        let scenario = Scenario::random(seed, if is_long { SECONDS_LONG } else { SECONDS });
        let checker = scenario::run(&scenario);
        playlists += checker.playlists;
        parts += checker.parts;
        deltas += checker.deltas;
        for (what, count) in checker.warnings {
            *warnings.entry(what).or_default() += count;
        }
        if !checker.violations.is_empty() {
            violations.push(format!("{scenario:?}\n{}", checker.violations.join("\n")));
        }
    }
    assert!(
        violations.is_empty(),
        "{warnings:?}\n{}",
        violations.join("\n\n")
    );
    eprintln!("{playlists} playlists of {parts} parts, {deltas} merged, {warnings:?}");
    assert!(
        seed.is_some() || playlists >= PLAYLISTS_MIN,
        "only {playlists} playlists"
    );
    assert!(seed.is_some() || deltas > 100, "only {deltas} deltas");
    for odd in ["part > target", "part < 85 %", "long part", "short part"] {
        assert_eq!(
            warnings.get(odd).copied().unwrap_or(0),
            0,
            "{odd}: {warnings:?}"
        );
    }
}

#[test]
fn a_plain_stream_has_nothing_to_warn_of() {
    let warnings = check(&plain());
    assert!(warnings.values().all(|count| *count == 0), "{warnings:?}");
}

#[test]
fn a_slate_goes_on_where_the_performer_stopped() {
    for (seed, layers, has_aac, codec) in [
        (1, 1, true, CodecKind::H264),
        (2, 3, false, CodecKind::H264),
        (3, 0, true, CodecKind::H264),
        (4, 1, true, CodecKind::Vp9),
    ] {
        let scenario = Scenario {
            seed,
            layers,
            has_aac,
            codec,
            restarts: 6.0,
            seconds: 60.0,
            ..plain()
        };
        let warnings = check(&scenario);
        for odd in ["part > target", "part < 85 %", "long part", "short part"] {
            assert_eq!(warnings.get(odd).copied().unwrap_or(0), 0, "{warnings:?}");
        }
    }
}

/// What cannot be repeated makes odd parts; they are told, one warning for each.
fn check_odd_parts_are_told(scenario: &Scenario) -> usize {
    let warnings = check(scenario);
    let count = |what: &str| warnings.get(what).copied().unwrap_or(0);
    assert!(count("part > target") <= count("long part"), "{warnings:?}");
    assert!(count("part < 85 %") <= count("short part"), "{warnings:?}");
    count("long part") + count("short part")
}

#[test]
fn pictures_that_cannot_be_repeated_make_odd_parts_that_are_told() {
    let odd = check_odd_parts_are_told(&Scenario {
        codec: CodecKind::H264,
        has_temporal_layers: true,
        stills: 10.0,
        ..plain()
    });
    assert!(odd > 0);
    let odd = check_odd_parts_are_told(&Scenario {
        codec: CodecKind::Av1,
        stills: 10.0,
        ..plain()
    });
    assert_eq!(odd, 0, "of AV1, every picture can be made to stay");
}

#[test]
fn one_picture_a_second_of_any_codec_makes_no_part_that_is_too_long() {
    for codec in [CodecKind::H264, CodecKind::Vp9, CodecKind::Av1] {
        for (fps, part_ms) in [(1.0, 200), (2.0, 200), (1.5, 500)] {
            for has_opus in [true, false] {
                let warnings = check(&Scenario {
                    codec,
                    fps,
                    part_ms,
                    has_opus,
                    ..plain()
                });
                for odd in ["long part", "short part", "part > target", "part < 85 %"] {
                    let count = warnings.get(odd).copied().unwrap_or(0);
                    assert_eq!(count, 0, "{codec:?} {fps} {part_ms}: {warnings:?}");
                }
            }
        }
    }
}

#[test]
fn two_pictures_a_second_make_parts_as_long_as_any() {
    for fps in [2.0, 3.0, 7.0] {
        let warnings = check(&Scenario {
            fps,
            jitter: 0.3,
            ..plain()
        });
        assert!(
            warnings.get("short part").is_none_or(|count| *count == 0),
            "{warnings:?}"
        );
    }
}
