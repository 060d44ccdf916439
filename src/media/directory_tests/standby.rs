//! Backups in the directory.

use std::time::Duration;

use sfu::{Event, PeerId, StreamId, TakesOver};

use super::{ANYBODY, IDLE, STRANGER, directory, key, tracks};
use crate::clock;
use crate::media::directory::{Backup, Claim, Consequence, Directory};
use crate::media::{Refused, TakeOver};

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
fn stage(directory: &Directory, right: &TakeOver) -> (StreamId, PeerId, PeerId) {
    let main = reserve(directory, &with(right, false));
    live(directory, main.0, main.1);
    let backup = reserve(directory, &with(right, true));
    assert_eq!(state(directory), None, "nothing came of it yet");
    let (stream, peer) = backup;
    directory.apply(Event::StandsBy { stream, peer });
    assert_eq!(state(directory), Some(Backup::StandsBy));
    (stream, main.1, peer)
}

fn reserve(directory: &Directory, claim: &Claim<'_>) -> (StreamId, PeerId) {
    let reserved = directory.reserve(&key("main"), claim, &IDLE);
    let reserved = reserved.expect("it has the right");
    (reserved.stream, reserved.peer)
}

fn live(directory: &Directory, stream: StreamId, peer: PeerId) {
    directory.apply(Event::Live {
        stream,
        peer,
        tracks: tracks(),
    });
}

fn took_over(directory: &Directory, stream: StreamId, peer: PeerId, stays: bool) {
    directory.apply(Event::TookOver {
        stream,
        peer,
        stays,
    });
}

fn state(directory: &Directory) -> Option<Backup> {
    let streams = directory.space("stage");
    let main = streams.iter().find(|summary| &*summary.stream == "main");
    main.and_then(|summary| summary.backup)
}

fn since(directory: &Directory) -> std::time::SystemTime {
    directory.space("stage")[0].since.expect("it is live")
}

#[test]
fn a_performance_goes_on_with_its_backup_and_back() {
    let directory = directory();
    let (stream, main, backup) = stage(&directory, &TakeOver::Always);
    let begun = since(&directory);
    took_over(&directory, stream, backup, true);
    assert_eq!(state(&directory), Some(Backup::OnAir));
    assert_eq!(since(&directory), begun);
    assert!(directory.has_place(&key("main"), main));
    took_over(&directory, stream, main, true);
    assert_eq!(state(&directory), Some(Backup::StandsBy));
    assert_eq!(since(&directory), begun);
    // The backup goes.
    directory.apply(Event::Closed {
        peer: backup,
        reason: sfu::CloseReason::Remote,
    });
    directory.give_back(&key("main"), backup);
    assert_eq!(state(&directory), None);
    assert!(directory.is_live(&key("main")));
}

#[test]
fn a_backup_that_sends_nothing_is_none() {
    let directory = directory();
    let (stream, _, backup) = stage(&directory, &TakeOver::Always);
    let mut changes = directory.changes();
    for (silent, expected) in [(true, None), (false, Some(Backup::StandsBy))] {
        directory.apply(Event::Silent {
            stream,
            peer: backup,
            silent,
        });
        assert_eq!(state(&directory), expected);
        assert_eq!(&*changes.try_recv().expect("it is told"), "stage");
    }
}

#[test]
fn a_stage_that_was_left_is_live_until_its_backup_comes_or_does_not() {
    let check = |comes: bool| {
        let directory = directory();
        let (stream, main, backup) = stage(&directory, &TakeOver::Always);
        let begun = since(&directory);
        let ended = Event::Ended { stream, peer: main };
        // Once by whoever was asked to end it, once by its worker.
        assert_eq!(directory.apply(ended.clone()), []);
        assert_eq!(directory.apply(ended), []);
        assert!(directory.is_live(&key("main")), "for a moment");
        let later = clock::now() + Duration::from_secs(3);
        if comes {
            took_over(&directory, stream, backup, false);
            assert_eq!(since(&directory), begun);
            assert_eq!(directory.expire(later), []);
            assert_eq!(state(&directory), Some(Backup::OnAir));
        } else {
            let gone = directory.expire(later);
            assert_eq!(gone, [Consequence::Origin(stream, None)]);
            assert!(!directory.is_live(&key("main")));
            assert_eq!(state(&directory), Some(Backup::StandsBy));
        }
    };
    check(true);
    check(false);
}

#[test]
fn in_a_space_without_key_nobody_stands_by() {
    let directory = directory();
    let main = reserve(&directory, &with(&OWN, false));
    live(&directory, main.0, main.1);
    for name in ["main", "side"] {
        for right in [&OWN, &OTHER, &TakeOver::OnlyIfSilent] {
            let refused = directory.reserve(&key(name), &with(right, true), &IDLE);
            assert!(matches!(refused, Err(Refused::Taken)), "{name} {right:?}");
        }
    }
}

#[test]
fn the_performer_has_its_stage_back_from_its_backup() {
    let directory = directory();
    let (stream, _, backup) = stage(&directory, &TakeOver::Always);
    took_over(&directory, stream, backup, true);
    let again = directory.reserve(&key("main"), &with(&TakeOver::Always, false), &IDLE);
    assert_eq!(again.expect("the key").takes_over, TakesOver::Anybody);
    let again = directory.reserve(&key("main"), &with(&TakeOver::Always, true), &IDLE);
    assert_eq!(again.expect("the key").takes_over, TakesOver::Absent);
}

/// In a space without key, with a camera of the configuration as its backup.
#[test]
fn a_performer_who_comes_back_while_a_camera_takes_over_has_the_stage() {
    let directory = directory();
    let (stream, main) = reserve(&directory, &with(&OWN, false));
    live(&directory, stream, main);
    let (_, camera) = reserve(&directory, &camera(true));
    directory.apply(Event::StandsBy {
        stream,
        peer: camera,
    });
    directory.apply(Event::Ended { stream, peer: main });
    let again = directory.reserve(&key("main"), &with(&OWN, false), &IDLE);
    let again = again.expect("nobody else performs");
    assert_eq!(again.takes_over, TakesOver::Only(camera));
}

#[test]
fn a_camera_does_not_get_the_stage_of_a_performer_who_fell_silent() {
    let directory = directory();
    let (stream, main, backup) = stage(&directory, &TakeOver::Always);
    took_over(&directory, stream, backup, true);
    assert!(!directory.is_open_to(&key("main"), false));
    let refused = directory.reserve(&key("main"), &camera(false), &IDLE);
    assert!(matches!(refused, Err(Refused::Taken)));
    directory.apply(Event::Ended { stream, peer: main });
    assert!(directory.is_open_to(&key("main"), false));
}

#[test]
fn a_backup_that_is_closed_as_it_takes_over_leaves_nothing_behind() {
    let directory = directory();
    let (stream, main, backup) = stage(&directory, &TakeOver::Always);
    directory.enter(&key("main"), sfu::Role::Publisher, main, sfu::WorkerId(0));
    let closed = |peer| Event::Closed {
        peer,
        reason: sfu::CloseReason::Remote,
    };
    directory.give_back(&key("main"), backup);
    took_over(&directory, stream, backup, true);
    directory.apply(Event::Ended {
        stream,
        peer: backup,
    });
    // For its worker the publisher stands by now: it says nothing but that the connection is closed.
    let consequences = directory.apply(closed(main));
    assert_eq!(consequences, [Consequence::Origin(stream, None)]);
    assert!(!directory.is_live(&key("main")));
}

#[test]
fn a_camera_that_stands_by_leaves_the_stage_to_whoever_performs() {
    let directory = directory();
    let (stream, peer) = reserve(&directory, &camera(true));
    live(&directory, stream, peer);
    assert_eq!(state(&directory), Some(Backup::OnAir));
    assert!(!directory.is_open_to(&key("main"), true), "one is enough");
    assert!(directory.is_open_to(&key("main"), false));
    let taken = directory.reserve(&key("main"), &camera(true), &IDLE);
    assert!(matches!(taken, Err(Refused::Taken)));
    let performer = directory.reserve(&key("main"), &STRANGER, &IDLE);
    let performer = performer.expect("nobody else performs");
    assert_eq!(performer.takes_over, TakesOver::Only(peer));
    took_over(&directory, stream, performer.peer, true);
    assert!(directory.has_place(&key("main"), peer), "it goes on");
    // Another performer is one too many, as always.
    assert!(matches!(
        directory.reserve(&key("main"), &STRANGER, &IDLE),
        Err(Refused::Taken)
    ));
}

#[test]
fn a_camera_has_its_own_stage_back_from_its_backup() {
    let directory = directory();
    let (stream, backup) = reserve(&directory, &BACKUP);
    live(&directory, stream, backup);
    let (_, main) = reserve(&directory, &camera(false));
    assert_eq!(state(&directory), Some(Backup::OnAir));
    took_over(&directory, stream, main, true);
    assert_eq!(state(&directory), Some(Backup::StandsBy));
}
