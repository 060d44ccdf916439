//! Backups.

use sfu::{Event, PeerId, Role, StreamId, TakesOver};

use super::{ANYBODY, IDLE, STRANGER, after, at, enter, key, told, tracks, venue};
use crate::{Backup, Claim, Consequence, Output, Refused, TakeOver, Venue};

const BACKUP: Claim<'static> = Claim {
    is_backup: true,
    ..ANYBODY
};
/// In a space without key: this token, and another one.
const OWN: TakeOver = TakeOver::SameOwner([1; 32]);
const OTHER: TakeOver = TakeOver::SameOwner([2; 32]);

fn with(right: &TakeOver, is_backup: bool) -> Claim<'_> {
    Claim {
        right,
        is_backup,
        may_wait: true,
    }
}

/// A camera of the configuration.
const fn camera(is_backup: bool) -> Claim<'static> {
    Claim {
        is_backup,
        may_wait: false,
        ..STRANGER
    }
}

/// Somebody publishes `main` and is live, and its backup, with the same claim, stands by.
fn stage(venue: &mut Venue, right: &TakeOver) -> (StreamId, PeerId, PeerId) {
    let main = reserve(venue, &with(right, false));
    live(venue, main.0, main.1);
    let backup = reserve(venue, &with(right, true));
    assert_eq!(state(venue), None, "nothing came of it yet");
    let (stream, peer) = backup;
    venue.apply(at(0), Event::StandsBy { stream, peer });
    assert_eq!(state(venue), Some(Backup::StandsBy));
    (stream, main.1, peer)
}

fn reserve(venue: &mut Venue, claim: &Claim<'_>) -> (StreamId, PeerId) {
    let reserved = venue.reserve(&key("main"), claim, &IDLE);
    let reserved = reserved.expect("it has the right");
    (reserved.stream, reserved.peer)
}

fn live(venue: &mut Venue, stream: StreamId, peer: PeerId) {
    venue.apply(
        at(0),
        Event::Live {
            stream,
            peer,
            tracks: tracks(),
        },
    );
}

fn took_over(venue: &mut Venue, stream: StreamId, peer: PeerId, stays: bool) {
    venue.apply(
        at(0),
        Event::TookOver {
            stream,
            peer,
            stays,
        },
    );
}

fn state(venue: &Venue) -> Option<Backup> {
    let streams = venue.space("stage");
    let main = streams.iter().find(|summary| &*summary.stream == "main");
    main.and_then(|summary| summary.backup)
}

fn since(venue: &Venue) -> std::time::SystemTime {
    venue.space("stage")[0].since.expect("it is live")
}

#[test]
fn a_performance_goes_on_with_its_backup_and_back() {
    let mut venue = venue();
    let (stream, main, backup) = stage(&mut venue, &TakeOver::Always);
    let begun = since(&venue);
    took_over(&mut venue, stream, backup, true);
    assert_eq!(state(&venue), Some(Backup::OnAir));
    assert_eq!(since(&venue), begun);
    assert!(venue.has_place(&key("main"), main));
    took_over(&mut venue, stream, main, true);
    assert_eq!(state(&venue), Some(Backup::StandsBy));
    assert_eq!(since(&venue), begun);
    // The backup goes.
    venue.apply(
        at(0),
        Event::Closed {
            peer: backup,
            reason: sfu::CloseReason::Remote,
        },
    );
    venue.give_back(&key("main"), backup);
    assert_eq!(state(&venue), None);
    assert!(venue.is_live(&key("main")));
}

#[test]
fn a_backup_that_sends_nothing_is_none() {
    let mut venue = venue();
    let (stream, _, backup) = stage(&mut venue, &TakeOver::Always);
    for (silent, expected) in [(true, None), (false, Some(Backup::StandsBy))] {
        venue.apply(
            at(0),
            Event::Silent {
                stream,
                peer: backup,
                silent,
            },
        );
        assert_eq!(state(&venue), expected);
        let told: Vec<_> = std::iter::from_fn(|| venue.poll()).collect();
        assert!(
            told.contains(&Output::Changed("stage".into())),
            "it is told"
        );
    }
}

#[test]
fn a_stage_that_was_left_is_live_until_its_backup_comes_or_does_not() {
    let check = |comes: bool| {
        let mut venue = venue();
        let (stream, main, backup) = stage(&mut venue, &TakeOver::Always);
        let begun = since(&venue);
        let ended = Event::Ended { stream, peer: main };
        // Once by whoever was asked to end it, once by its worker.
        assert_eq!(after(&mut venue, ended.clone()), []);
        assert_eq!(after(&mut venue, ended), []);
        assert!(venue.is_live(&key("main")), "for a moment");
        if comes {
            took_over(&mut venue, stream, backup, false);
            assert_eq!(since(&venue), begun);
            told(&mut venue);
            venue.expire(at(3));
            assert_eq!(told(&mut venue), []);
            assert_eq!(state(&venue), Some(Backup::OnAir));
        } else {
            venue.expire(at(3));
            assert_eq!(told(&mut venue), [Consequence::Origin(stream, None)]);
            assert!(!venue.is_live(&key("main")));
            assert_eq!(state(&venue), Some(Backup::StandsBy));
        }
    };
    check(true);
    check(false);
}

#[test]
fn in_a_space_without_key_nobody_stands_by() {
    let mut venue = venue();
    let main = reserve(&mut venue, &with(&OWN, false));
    live(&mut venue, main.0, main.1);
    for name in ["main", "side"] {
        for right in [&OWN, &OTHER, &TakeOver::OnlyIfSilent] {
            let refused = venue.reserve(&key(name), &with(right, true), &IDLE);
            assert!(matches!(refused, Err(Refused::Taken)), "{name} {right:?}");
        }
    }
}

#[test]
fn the_performer_has_its_stage_back_from_its_backup() {
    let mut venue = venue();
    let (stream, _, backup) = stage(&mut venue, &TakeOver::Always);
    took_over(&mut venue, stream, backup, true);
    let again = venue.reserve(&key("main"), &with(&TakeOver::Always, false), &IDLE);
    assert_eq!(again.expect("the key").takes_over, TakesOver::Anybody);
    let again = venue.reserve(&key("main"), &with(&TakeOver::Always, true), &IDLE);
    assert_eq!(again.expect("the key").takes_over, TakesOver::Absent);
}

/// In a space without key, with a camera of the configuration as its backup.
#[test]
fn a_performer_who_comes_back_while_a_camera_takes_over_has_the_stage() {
    let mut venue = venue();
    let (stream, main) = reserve(&mut venue, &with(&OWN, false));
    live(&mut venue, stream, main);
    let (_, camera) = reserve(&mut venue, &camera(true));
    venue.apply(
        at(0),
        Event::StandsBy {
            stream,
            peer: camera,
        },
    );
    venue.apply(at(0), Event::Ended { stream, peer: main });
    let again = venue.reserve(&key("main"), &with(&OWN, false), &IDLE);
    let again = again.expect("nobody else performs");
    assert_eq!(again.takes_over, TakesOver::Only(camera));
}

#[test]
fn a_camera_does_not_get_the_stage_of_a_performer_who_fell_silent() {
    let mut venue = venue();
    let (stream, main, backup) = stage(&mut venue, &TakeOver::Always);
    took_over(&mut venue, stream, backup, true);
    assert!(!venue.is_open_to(&key("main"), false));
    let refused = venue.reserve(&key("main"), &camera(false), &IDLE);
    assert!(matches!(refused, Err(Refused::Taken)));
    venue.apply(at(0), Event::Ended { stream, peer: main });
    assert!(venue.is_open_to(&key("main"), false));
}

#[test]
fn a_backup_that_is_closed_as_it_takes_over_leaves_nothing_behind() {
    let mut venue = venue();
    let (stream, main, backup) = stage(&mut venue, &TakeOver::Always);
    enter(
        &mut venue,
        &key("main"),
        Role::Publisher,
        main,
        sfu::WorkerId(0),
    );
    let closed = |peer| Event::Closed {
        peer,
        reason: sfu::CloseReason::Remote,
    };
    venue.give_back(&key("main"), backup);
    took_over(&mut venue, stream, backup, true);
    venue.apply(
        at(0),
        Event::Ended {
            stream,
            peer: backup,
        },
    );
    // For its worker the publisher stands by now: it says nothing but that the connection is closed.
    let consequences = after(&mut venue, closed(main));
    assert_eq!(consequences, [Consequence::Origin(stream, None)]);
    assert!(!venue.is_live(&key("main")));
}

#[test]
fn a_camera_that_stands_by_leaves_the_stage_to_whoever_performs() {
    let mut venue = venue();
    let (stream, peer) = reserve(&mut venue, &camera(true));
    live(&mut venue, stream, peer);
    assert_eq!(state(&venue), Some(Backup::OnAir));
    assert!(!venue.is_open_to(&key("main"), true), "one is enough");
    assert!(venue.is_open_to(&key("main"), false));
    let taken = venue.reserve(&key("main"), &camera(true), &IDLE);
    assert!(matches!(taken, Err(Refused::Taken)));
    let performer = venue.reserve(&key("main"), &STRANGER, &IDLE);
    let performer = performer.expect("nobody else performs");
    assert_eq!(performer.takes_over, TakesOver::Only(peer));
    took_over(&mut venue, stream, performer.peer, true);
    assert!(venue.has_place(&key("main"), peer), "it goes on");
    // Another performer is one too many, as always.
    assert!(matches!(
        venue.reserve(&key("main"), &STRANGER, &IDLE),
        Err(Refused::Taken)
    ));
}

#[test]
fn a_camera_has_its_own_stage_back_from_its_backup() {
    let mut venue = venue();
    let (stream, backup) = reserve(&mut venue, &BACKUP);
    live(&mut venue, stream, backup);
    let (_, main) = reserve(&mut venue, &camera(false));
    assert_eq!(state(&venue), Some(Backup::OnAir));
    took_over(&mut venue, stream, main, true);
    assert_eq!(state(&venue), Some(Backup::StandsBy));
}
