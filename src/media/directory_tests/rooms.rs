//! Conferences in the directory.

use sfu::{CloseReason, Event, PeerId, Role, RoomId, StreamId};

use super::{ANYBODY, IDLE, STRANGER, directory, go_live, key, refusal, tracks};
use crate::media::directory::{Consequence, Directory, FeedShape};

const VOICE: FeedShape = FeedShape {
    has_audio: true,
    is_music: false,
};

/// Somebody in `room` who publishes a stream that is live.
fn publish(directory: &Directory, room: RoomId) -> (PeerId, StreamId) {
    let (peer, _) = directory
        .seat_participant(room, &IDLE)
        .expect("there is room");
    let stream = directory.fresh_stream();
    directory
        .enter_feed(peer, stream, VOICE)
        .expect("it is there");
    directory.apply(Event::Live {
        stream,
        peer,
        tracks: tracks(),
    });
    (peer, stream)
}

#[test]
fn one_participant_too_many_is_refused_until_another_is_told_to_leave() {
    let directory = directory();
    let (room, _) = directory.open_room(8);
    let seat = || directory.seat_participant(room, &IDLE);
    let (first, _) = seat().expect("there is room");
    seat().expect("there is room");
    let refused = refusal(seat());
    assert!(refused.contains("participants"), "{refused}");
    directory.begin_leaving(first).expect("it is there");
    assert!(directory.begin_leaving(first).is_none());
    assert!(seat().is_ok());
}

#[test]
fn a_participants_stream_is_told_to_all_workers_and_needs_no_name() {
    let directory = directory();
    let (room, _) = directory.open_room(8);
    let (peer, stream) = publish(&directory, room);
    let live = Event::Live {
        stream,
        peer,
        tracks: tracks(),
    };
    let origin = directory.feed_origin(stream);
    assert_eq!(directory.apply(live), [Consequence::Origin(stream, origin)]);
    assert!(directory.space("stage").is_empty());
    assert_eq!(
        directory.end_feed(stream),
        [Consequence::Origin(stream, None)]
    );
    assert_eq!(directory.feed_origin(stream), None);
}

#[test]
fn workers_are_told_of_a_room_once_for_each_change() {
    let directory = directory();
    let (room, _) = directory.open_room(8);
    let (peer, stream) = publish(&directory, room);
    let states = directory.settle(room);
    assert_eq!(states.len(), 1);
    assert!(states[0].reports && states[0].streams[0].stream == stream);
    assert!(directory.settle(room).is_empty());
    directory.unsettle(room);
    assert_eq!(directory.settle(room).len(), 1);
    // The worker of a room that is empty hears that it is.
    directory.apply(Event::Closed {
        peer,
        reason: CloseReason::Remote,
    });
    let states = directory.settle(room);
    assert!(states.len() == 1 && states[0].streams.is_empty() && !states[0].reports);
    assert!(directory.settle(room).is_empty());
}

#[test]
fn a_named_stream_is_seen_and_not_taken_over_and_its_name_ends_with_it() {
    let directory = directory();
    let (room, _) = directory.open_room(8);
    let (peer, stream) = publish(&directory, room);
    directory
        .name_feed(stream, Some(key("guest")))
        .expect("the name is free");
    assert!(directory.is_live(&key("guest")));
    let silent = Event::Silent {
        stream,
        peer,
        silent: true,
    };
    directory.apply(silent);
    let taken = refusal(directory.reserve(&key("guest"), &ANYBODY, &IDLE));
    assert!(taken.contains("somebody else"), "{taken}");
    let (_, viewed, ..) = directory
        .seat_viewer(&key("guest"), &IDLE)
        .expect("it is live");
    assert_eq!(viewed, stream);
    directory.apply(Event::Closed {
        peer,
        reason: CloseReason::Lost,
    });
    assert!(!directory.is_live(&key("guest")));
    let reserved = directory.reserve(&key("guest"), &STRANGER, &IDLE);
    assert_ne!(reserved.expect("the name is free").stream, stream);
}

#[test]
fn a_name_that_is_taken_back_sends_its_viewers_away() {
    let directory = directory();
    let (room, _) = directory.open_room(8);
    let (_, stream) = publish(&directory, room);
    directory
        .name_feed(stream, Some(key("guest")))
        .expect("the name is free");
    let (viewer, _, worker, ..) = directory
        .seat_viewer(&key("guest"), &IDLE)
        .expect("it is live");
    directory.enter(&key("guest"), Role::Viewer, viewer, worker);
    let away = directory.name_feed(stream, None).expect("it is there");
    assert_eq!(away, [Consequence::Close(viewer, worker)]);
    // Whoever publishes under that name now gets a stream of its own.
    go_live(&directory, "guest");
    let (_, viewed, ..) = directory
        .seat_viewer(&key("guest"), &IDLE)
        .expect("it is live");
    assert_ne!(viewed, stream);
}

#[test]
fn a_performers_name_is_not_given_to_a_participant() {
    let directory = directory();
    go_live(&directory, "main");
    let (room, _) = directory.open_room(8);
    let (_, stream) = publish(&directory, room);
    let refused = refusal(directory.name_feed(stream, Some(key("main"))));
    assert!(refused.contains("somebody else"), "{refused}");
}

#[tokio::test]
async fn events_go_to_the_room_of_whom_they_concern() {
    let directory = directory();
    let ((one, first), (other, second)) = (directory.open_room(8), directory.open_room(8));
    let (here, _) = publish(&directory, one);
    let (there, _) = publish(&directory, other);
    for peer in [here, there] {
        directory.apply(Event::Connected { peer });
    }
    assert_eq!(first.take().await, [Event::Connected { peer: here }]);
    assert_eq!(second.take().await, [Event::Connected { peer: there }]);
}
