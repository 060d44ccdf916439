//! The limits of the venue, and what its tests have in common.

mod rooms;
mod standby;

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use sfu::{Codec, CodecKind, Event, PeerId, Role, TrackInfo, WorkerId};
use uuid::Uuid;

use crate::{
    Claim, Consequence, Limits, Moment, Output, Refused, SessionRecord, StreamKey, TakeOver, Venue,
};

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

fn venue() -> Venue {
    Venue::new(Limits {
        streams_max: 8,
        publishers_max: 2,
        viewers_max: 2,
        participants_max: 2,
    })
}

/// This long after the beginning.
fn at(seconds: u64) -> Moment {
    static BASE: LazyLock<Instant> = LazyLock::new(base);
    Moment {
        now: *BASE + Duration::from_secs(seconds),
        unix_us: (1_000_000 + seconds) * 1_000_000,
    }
}

#[expect(clippy::disallowed_methods, reason = "a test has to begin somewhere")]
fn base() -> Instant {
    Instant::now()
}

/// What the workers are to be told of what happened since the last call.
fn told(venue: &mut Venue) -> Vec<Consequence> {
    let all = std::iter::from_fn(|| venue.poll());
    let told = |output| match output {
        Output::Consequence(consequence) => Some(consequence),
        Output::Changed(_) | Output::Mail(..) => None,
    };
    all.filter_map(told).collect()
}

/// What the workers are to be told of an event.
fn after(venue: &mut Venue, event: Event) -> Vec<Consequence> {
    told(venue);
    venue.apply(at(0), event);
    told(venue)
}

/// A session is accepted; its resource is its peer's number.
fn enter(venue: &mut Venue, key: &StreamKey, role: Role, peer: PeerId, worker: WorkerId) {
    let session = SessionRecord {
        key: key.clone(),
        role,
        etag: String::new(),
        peer,
        worker,
    };
    venue.enter(Uuid::from_u64_pair(0, peer.0), session);
}

/// Somebody publishes `stream` and is live.
fn go_live(venue: &mut Venue, stream: &str) {
    let reserved = venue.reserve(&key(stream), &ANYBODY, &IDLE);
    let reserved = reserved.expect("there is room");
    venue.apply(
        at(0),
        Event::Live {
            stream: reserved.stream,
            peer: reserved.peer,
            tracks: tracks(),
        },
    );
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
    let mut venue = venue();
    go_live(&mut venue, "a");
    go_live(&mut venue, "b");
    let refused = refusal(venue.reserve(&key("c"), &ANYBODY, &IDLE));
    assert!(refused.contains("publishers"), "{refused}");
    let again = venue.reserve(&key("b"), &ANYBODY, &IDLE);
    venue.give_back(&key("b"), again.expect("a take-over needs no place").peer);
    assert!(venue.is_live(&key("b")));
}

#[test]
fn a_publisher_who_leaves_makes_room_for_another() {
    let mut venue = venue();
    go_live(&mut venue, "a");
    let second = venue.reserve(&key("b"), &ANYBODY, &IDLE);
    venue.give_back(&key("b"), second.expect("there is room").peer);
    go_live(&mut venue, "c");
}

#[test]
fn one_viewer_too_many_is_refused_until_another_leaves() {
    let mut venue = venue();
    go_live(&mut venue, "a");
    let mut seated = Vec::new();
    for _ in 0..2 {
        let (peer, _, worker, ..) = venue.seat_viewer(&key("a"), &IDLE).expect("there is room");
        enter(&mut venue, &key("a"), Role::Viewer, peer, worker);
        seated.push(peer);
    }
    let refused = refusal(venue.seat_viewer(&key("a"), &IDLE));
    assert!(refused.contains("viewers"), "{refused}");
    venue.apply(
        at(0),
        Event::Closed {
            peer: seated[0],
            reason: sfu::CloseReason::Remote,
        },
    );
    assert!(venue.seat_viewer(&key("a"), &IDLE).is_ok());
}

#[test]
fn a_stream_has_its_slate_while_its_viewers_wait_and_no_longer() {
    let mut venue = venue();
    let slate = || {
        let picture = vec![Arc::from([0x65, 1].as_slice())];
        let slate = sfu::Slate::new(vec![picture], None);
        Arc::new(slate.expect("it has a picture"))
    };
    let shown = |venue: &Venue| {
        let streams = venue.space("stage");
        streams.first().map(|summary| summary.slate)
    };
    assert_eq!(venue.set_slate(&key("a"), slate()), None, "not known");
    let reserved = venue.reserve(&key("a"), &ANYBODY, &IDLE);
    let reserved = reserved.expect("there is room");
    let (stream, peer) = (reserved.stream, reserved.peer);
    let tracks = tracks();
    venue.apply(
        at(0),
        Event::Live {
            stream,
            peer,
            tracks,
        },
    );
    assert_eq!(venue.set_slate(&key("a"), slate()), Some(stream));
    let seat = venue.seat_viewer(&key("a"), &IDLE);
    let (viewer, _, worker, ..) = seat.expect("there is room");
    enter(&mut venue, &key("a"), Role::Viewer, viewer, worker);
    assert_eq!(shown(&venue), Some(false), "somebody performs");
    venue.apply(at(0), Event::Ended { stream, peer });
    assert_eq!(shown(&venue), Some(true));
    assert!(venue.slate(&key("a")).is_some());
    venue.leave(at(0), viewer, None);
    assert_eq!(shown(&venue), None, "nobody waits");
}
