//! The limits of the directory.

mod rooms;
mod standby;

use std::sync::Arc;

use sfu::{Codec, CodecKind, Event, TrackInfo};

use super::directory::{Claim, Directory, Limits, StreamKey};
use super::{Refused, TakeOver};

const IDLE: [usize; 2] = [0, 0];

/// With the key.
const ANYBODY: Claim<'static> = Claim {
    right: &TakeOver::Always,
    is_backup: false,
    may_wait: true,
};

/// In a space without key, with no token.
const STRANGER: Claim<'static> = Claim {
    right: &TakeOver::OnlyIfSilent,
    ..ANYBODY
};

fn key(stream: &str) -> StreamKey {
    StreamKey {
        space: Arc::from("stage"),
        stream: Arc::from(stream),
    }
}

fn directory() -> Directory {
    Directory::new(Limits {
        streams_max: 8,
        publishers_max: 2,
        viewers_max: 2,
        participants_max: 2,
    })
}

/// Somebody publishes `stream` and is live.
fn go_live(directory: &Directory, stream: &str) {
    let reserved = directory.reserve(&key(stream), &ANYBODY, &IDLE);
    let reserved = reserved.expect("there is room");
    directory.apply(Event::Live {
        stream: reserved.stream,
        peer: reserved.peer,
        tracks: tracks(),
    });
}

/// Sound alone.
fn tracks() -> Vec<TrackInfo> {
    let codec = Codec {
        kind: CodecKind::Opus,
        h264_profile: None,
        stereo: true,
    };
    vec![TrackInfo {
        codec,
        layers: vec![String::new()],
    }]
}

fn refusal<T>(result: Result<T, Refused>) -> String {
    match result {
        Ok(_) => panic!("must be refused"),
        Err(refused) => refused.to_string(),
    }
}

#[test]
fn one_publisher_too_many_is_refused_but_a_take_over_is_not() {
    let directory = directory();
    go_live(&directory, "a");
    go_live(&directory, "b");
    let refused = refusal(directory.reserve(&key("c"), &ANYBODY, &IDLE));
    assert!(refused.contains("publishers"), "{refused}");
    let again = directory.reserve(&key("b"), &ANYBODY, &IDLE);
    directory.give_back(&key("b"), again.expect("a take-over needs no place").peer);
    assert!(directory.is_live(&key("b")));
}

#[test]
fn a_publisher_who_leaves_makes_room_for_another() {
    let directory = directory();
    go_live(&directory, "a");
    let second = directory.reserve(&key("b"), &ANYBODY, &IDLE);
    directory.give_back(&key("b"), second.expect("there is room").peer);
    go_live(&directory, "c");
}

#[test]
fn one_viewer_too_many_is_refused_until_another_leaves() {
    let directory = directory();
    go_live(&directory, "a");
    let mut seated = Vec::new();
    for _ in 0..2 {
        let (peer, _, worker, ..) = directory
            .seat_viewer(&key("a"), &IDLE)
            .expect("there is room");
        directory.enter(&key("a"), sfu::Role::Viewer, peer, worker);
        seated.push(peer);
    }
    let refused = refusal(directory.seat_viewer(&key("a"), &IDLE));
    assert!(refused.contains("viewers"), "{refused}");
    directory.apply(Event::Closed {
        peer: seated[0],
        reason: sfu::CloseReason::Remote,
    });
    assert!(directory.seat_viewer(&key("a"), &IDLE).is_ok());
}

#[test]
fn a_stream_has_its_slate_while_its_viewers_wait_and_no_longer() {
    let directory = directory();
    let slate = || {
        let picture = vec![Arc::from([0x65, 1].as_slice())];
        let slate = sfu::Slate::new(vec![picture], None);
        Arc::new(slate.expect("it has a picture"))
    };
    let shown = || {
        let streams = directory.space("stage");
        streams.first().map(|summary| summary.slate)
    };
    assert_eq!(directory.set_slate(&key("a"), slate()), None, "not known");
    let reserved = directory.reserve(&key("a"), &ANYBODY, &IDLE);
    let reserved = reserved.expect("there is room");
    let (stream, peer) = (reserved.stream, reserved.peer);
    let tracks = tracks();
    directory.apply(Event::Live {
        stream,
        peer,
        tracks,
    });
    assert_eq!(directory.set_slate(&key("a"), slate()), Some(stream));
    let seat = directory.seat_viewer(&key("a"), &IDLE);
    let (viewer, _, worker, ..) = seat.expect("there is room");
    directory.enter(&key("a"), sfu::Role::Viewer, viewer, worker);
    assert_eq!(shown(), Some(false), "somebody performs");
    directory.apply(Event::Ended { stream, peer });
    assert_eq!(shown(), Some(true));
    assert!(directory.slate(&key("a")).is_some());
    directory.leave(viewer, None);
    assert_eq!(shown(), None, "nobody waits");
}
