//! Conferences.

use sfu::{CloseReason, Event, PeerId, Role, RoomId, StreamId};

use super::{
    ANYBODY, IDLE, STRANGER, after, at, enter, go_live, key, refusal, told, tracks, venue,
};
use crate::{Consequence, FeedShape, Output, Venue};

const VOICE: FeedShape = FeedShape {
    has_audio: true,
    is_music: false,
};

/// Somebody in `room` who publishes a stream that is live.
fn publish(venue: &mut Venue, room: RoomId) -> (PeerId, StreamId) {
    let (peer, _) = venue.seat_participant(room, &IDLE).expect("there is room");
    let stream = venue.fresh_stream();
    venue.enter_feed(peer, stream, VOICE).expect("it is there");
    venue.apply(
        at(0),
        Event::Live {
            stream,
            peer,
            tracks: tracks(),
        },
    );
    (peer, stream)
}

#[test]
fn one_participant_too_many_is_refused_until_another_is_told_to_leave() {
    let mut venue = venue();
    let room = venue.open_room(8);
    let (first, _) = venue.seat_participant(room, &IDLE).expect("there is room");
    venue.seat_participant(room, &IDLE).expect("there is room");
    let refused = refusal(venue.seat_participant(room, &IDLE));
    assert!(refused.contains("participants"), "{refused}");
    venue.begin_leaving(at(0), first).expect("it is there");
    assert!(venue.begin_leaving(at(0), first).is_none());
    assert!(venue.seat_participant(room, &IDLE).is_ok());
}

#[test]
fn a_participants_stream_is_told_to_all_workers_and_needs_no_name() {
    let mut venue = venue();
    let room = venue.open_room(8);
    let (peer, stream) = publish(&mut venue, room);
    let live = Event::Live {
        stream,
        peer,
        tracks: tracks(),
    };
    let origin = venue.feed_origin(stream);
    assert_eq!(
        after(&mut venue, live),
        [Consequence::Origin(stream, origin)]
    );
    assert!(venue.space("stage").is_empty());
    venue.end_feed(at(0), stream);
    assert_eq!(told(&mut venue), [Consequence::Origin(stream, None)]);
    assert_eq!(venue.feed_origin(stream), None);
}

#[test]
fn workers_are_told_of_a_room_once_for_each_change() {
    let mut venue = venue();
    let room = venue.open_room(8);
    let (peer, stream) = publish(&mut venue, room);
    let states = venue.settle(room);
    assert_eq!(states.len(), 1);
    assert!(states[0].reports && states[0].streams[0].stream == stream);
    assert!(venue.settle(room).is_empty());
    venue.unsettle(room);
    assert_eq!(venue.settle(room).len(), 1);
    // The worker of a room that is empty hears that it is.
    venue.apply(
        at(0),
        Event::Closed {
            peer,
            reason: CloseReason::Remote,
        },
    );
    let states = venue.settle(room);
    assert!(states.len() == 1 && states[0].streams.is_empty() && !states[0].reports);
    assert!(venue.settle(room).is_empty());
}

#[test]
fn a_named_stream_is_seen_and_not_taken_over_and_its_name_ends_with_it() {
    let mut venue = venue();
    let room = venue.open_room(8);
    let (peer, stream) = publish(&mut venue, room);
    venue
        .name_feed(at(0), stream, Some(key("guest")))
        .expect("the name is free");
    assert!(venue.is_live(&key("guest")));
    let silent = Event::Silent {
        stream,
        peer,
        silent: true,
    };
    venue.apply(at(0), silent);
    let taken = refusal(venue.reserve(&key("guest"), &ANYBODY, &IDLE));
    assert!(taken.contains("somebody else"), "{taken}");
    let (_, viewed, ..) = venue.seat_viewer(&key("guest"), &IDLE).expect("it is live");
    assert_eq!(viewed, stream);
    venue.apply(
        at(0),
        Event::Closed {
            peer,
            reason: CloseReason::Lost,
        },
    );
    assert!(!venue.is_live(&key("guest")));
    let reserved = venue.reserve(&key("guest"), &STRANGER, &IDLE);
    assert_ne!(reserved.expect("the name is free").stream, stream);
}

#[test]
fn a_name_that_is_taken_back_sends_its_viewers_away() {
    let mut venue = venue();
    let room = venue.open_room(8);
    let (_, stream) = publish(&mut venue, room);
    venue
        .name_feed(at(0), stream, Some(key("guest")))
        .expect("the name is free");
    let (viewer, _, worker, ..) = venue.seat_viewer(&key("guest"), &IDLE).expect("it is live");
    enter(&mut venue, &key("guest"), Role::Viewer, viewer, worker);
    told(&mut venue);
    venue.name_feed(at(0), stream, None).expect("it is there");
    assert_eq!(told(&mut venue), [Consequence::Close(viewer, worker)]);
    // Whoever publishes under that name now gets a stream of its own.
    go_live(&mut venue, "guest");
    let (_, viewed, ..) = venue.seat_viewer(&key("guest"), &IDLE).expect("it is live");
    assert_ne!(viewed, stream);
}

#[test]
fn a_performers_name_is_not_given_to_a_participant() {
    let mut venue = venue();
    go_live(&mut venue, "main");
    let room = venue.open_room(8);
    let (_, stream) = publish(&mut venue, room);
    let refused = refusal(venue.name_feed(at(0), stream, Some(key("main"))));
    assert!(refused.contains("somebody else"), "{refused}");
}

#[test]
fn events_go_to_the_room_of_whom_they_concern() {
    let mut venue = venue();
    let (one, other) = (venue.open_room(8), venue.open_room(8));
    let (here, _) = publish(&mut venue, one);
    let (there, _) = publish(&mut venue, other);
    for peer in [here, there] {
        venue.apply(at(0), Event::Connected { peer });
    }
    let all = std::iter::from_fn(|| venue.poll());
    let mail: Vec<_> = all
        .filter(|output| matches!(output, Output::Mail(..)))
        .collect();
    assert_eq!(
        mail,
        [
            Output::Mail(one, Event::Connected { peer: here }),
            Output::Mail(other, Event::Connected { peer: there }),
        ]
    );
}
