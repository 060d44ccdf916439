//! One publisher after another on the same stream: a viewer's own stream goes on.

use std::time::Duration;

use sfu::{CloseReason, Command, Event, StreamId, TakesOver};

use crate::media::Video;
use crate::publisher::Manner;
use crate::shell::{Seeded, seed};
use crate::world::World;

const STREAM: StreamId = StreamId(1);
const S: Duration = Duration::from_secs(1);

/// How the first publisher goes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    /// The second one is accepted while the first still sends.
    Replaced,
    /// It is closed by the shell, and the second one comes three seconds later.
    Closed,
    /// Its process dies; the second one comes two seconds later.
    Died,
}

fn check(seed: u64, end: End, codecs: [Video; 2], workers: [usize; 2]) {
    let _seeded = Seeded(seed);
    let case = (end, codecs, workers);
    let mut world = World::new(seed, 3);
    let manner = |publication: u16, codec| Manner {
        publication,
        codec,
        ..Manner::default()
    };
    let first = world.publish(workers[0], STREAM, manner(1, codecs[0]));
    world.run_until_complete(STREAM, 2);
    let viewers: Vec<usize> = (0..3).map(|worker| world.view(worker, STREAM)).collect();
    world.run(4 * S);
    match end {
        End::Replaced => {}
        End::Closed => {
            let peer = world.clients[first].peer;
            world.tell(workers[0], Command::Close { peer });
            world.run(3 * S);
        }
        End::Died => {
            world.clients[first].is_dead = true;
            world.run(2 * S);
        }
    }
    let again = world.now;
    world.publish(workers[1], STREAM, manner(2, codecs[1]));
    world.run(4 * S);
    world.check();
    for viewer in viewers {
        let viewer = world.clients[viewer].viewer();
        let shown = |publication| {
            let of = viewer.video.decoded.iter();
            of.filter(|decoded| decoded.picture.publication == publication)
                .count()
        };
        assert!(
            shown(1) > 60,
            "{case:?}: {} pictures of the first",
            shown(1)
        );
        assert!(
            shown(2) > 60,
            "{case:?}: {} pictures of the second",
            shown(2)
        );
        let next = viewer
            .video
            .decoded
            .iter()
            .find(|decoded| decoded.picture.publication == 2);
        let waited = next.unwrap().at - again;
        assert!(
            waited < S,
            "{case:?}: the second's picture after {waited:?}"
        );
        assert_eq!(
            viewer.audio.newest.map(|(publication, _)| publication),
            Some(2),
            "{case:?}"
        );
    }
    check_closed(&world, first, end, workers);
}

/// The first publisher was closed once, for the right reason.
fn check_closed(world: &World, first: usize, end: End, workers: [usize; 2]) {
    let case = (end, workers);
    let peer = world.clients[first].peer;
    let closed: Vec<_> = world
        .events
        .iter()
        .filter_map(|(_, _, event)| match event {
            Event::Closed { peer: of, reason } if *of == peer => Some(reason.clone()),
            _ => None,
        })
        .collect();
    let expected = match end {
        End::Closed => CloseReason::Asked,
        _ if workers[0] == workers[1] => CloseReason::TakenOver,
        _ => CloseReason::Asked,
    };
    assert_eq!(closed, [expected], "{case:?}");
}

#[test]
fn a_viewers_stream_goes_on_when_the_same_worker_gets_another_publisher() {
    for (at, end) in (0..).zip([End::Replaced, End::Closed, End::Died]) {
        check(seed(50) + at, end, [Video::H264, Video::H264], [0, 0]);
    }
}

#[test]
fn a_viewers_stream_goes_on_when_another_worker_gets_the_publisher() {
    for (at, end) in (0..).zip([End::Replaced, End::Closed, End::Died]) {
        check(seed(53) + at, end, [Video::Vp8, Video::Vp8], [0, 1]);
    }
}

#[test]
fn a_viewers_stream_goes_on_with_another_codec() {
    check(seed(56), End::Replaced, [Video::H264, Video::Vp8], [0, 0]);
    check(seed(57), End::Died, [Video::Vp8, Video::Av1], [2, 1]);
    check(seed(58), End::Closed, [Video::Vp9, Video::H264], [1, 1]);
}

#[test]
fn a_camera_takes_over_from_a_browser_and_the_other_way_round() {
    let seed = seed(59);
    let _seeded = Seeded(seed);
    let mut world = World::new(seed, 2);
    let manner = Manner {
        has_audio: false,
        ..Manner::default()
    };
    world.publish(0, STREAM, manner.clone());
    world.run_until_complete(STREAM, 1);
    let viewer = world.view(1, STREAM);
    world.run(2 * S);
    let source = world.open_source(0, STREAM, Video::H264);
    world.feed_source(source, 2, 3 * S);
    world.publish(
        0,
        STREAM,
        Manner {
            publication: 3,
            ..manner
        },
    );
    world.run(3 * S);
    world.check();
    let decoded = &world.clients[viewer].viewer().video.decoded;
    for publication in 1..=3 {
        let shown = decoded
            .iter()
            .filter(|decoded| decoded.picture.publication == publication);
        assert!(shown.count() > 40, "publication {publication}");
    }
}

/// Why a client's session was closed, once at most.
fn closed(world: &World, client: usize) -> Option<CloseReason> {
    let peer = world.clients[client].peer;
    let mut reasons = world.events.iter().filter_map(|(_, _, event)| match event {
        Event::Closed { peer: of, reason } if *of == peer => Some(reason.clone()),
        _ => None,
    });
    let reason = reasons.next();
    assert_eq!(reasons.next(), None, "{peer} was closed twice");
    reason
}

/// The longest time without a new picture since `from`.
fn longest_still(world: &World, viewer: usize, from: std::time::Instant) -> Duration {
    let decoded = &world.clients[viewer].viewer().video.decoded;
    let mut last = from;
    let mut longest = Duration::ZERO;
    for at in decoded
        .iter()
        .map(|decoded| decoded.at)
        .filter(|at| *at >= from)
    {
        longest = longest.max(at - last);
        last = at;
    }
    longest.max(world.now - last)
}

fn stage(seed: u64) -> (World, usize, usize) {
    let mut world = World::new(seed, 1);
    let first = world.publish(0, STREAM, Manner::default());
    world.run_until_complete(STREAM, 2);
    let viewer = world.view(0, STREAM);
    world.run(3 * S);
    (world, first, viewer)
}

fn another(publication: u16) -> Manner {
    Manner {
        publication,
        ..Manner::default()
    }
}

#[test]
fn a_publisher_that_never_connects_ends_no_show() {
    let seed = seed(60);
    let _seeded = Seeded(seed);
    let (mut world, first, viewer) = stage(seed);
    let from = world.now;
    let dead = world.publish(0, STREAM, another(2));
    world.clients[dead].is_dead = true;
    world.run(31 * S);
    world.check();
    assert_eq!(closed(&world, first), None);
    assert_eq!(closed(&world, dead), Some(CloseReason::NeverConnected));
    let still = longest_still(&world, viewer, from);
    assert!(still < S / 5, "{still:?} without a picture");
    let took = |event: &Event| matches!(event, Event::TookOver { .. } | Event::Ended { .. });
    assert!(!world.events.iter().any(|(_, _, event)| took(event)));
}

#[test]
fn a_publisher_that_connects_and_sends_nothing_ends_no_show() {
    let seed = seed(61);
    let _seeded = Seeded(seed);
    let (mut world, first, viewer) = stage(seed);
    let from = world.now;
    // Its first picture would leave its encoder in a minute.
    let mute = Manner {
        has_audio: false,
        video_latency: 60 * S,
        ..another(2)
    };
    let mute = world.publish(0, STREAM, mute);
    world.run(31 * S);
    assert_eq!(closed(&world, first), None);
    assert_eq!(closed(&world, mute), Some(CloseReason::NeverConnected));
    let still = longest_still(&world, viewer, from);
    assert!(still < S / 5, "{still:?} without a picture");
}

#[test]
fn the_old_picture_stays_until_the_new_one_is_there() {
    let seed = seed(62);
    let _seeded = Seeded(seed);
    let (mut world, first, viewer) = stage(seed);
    let from = world.now;
    let second = world.publish(0, STREAM, another(2));
    world.run(3 * S);
    world.check();
    assert_eq!(closed(&world, first), Some(CloseReason::TakenOver));
    assert_eq!(closed(&world, second), None);
    let still = longest_still(&world, viewer, from);
    assert!(still < S / 5, "{still:?} without a picture");
    let decoded = &world.clients[viewer].viewer().video.decoded;
    assert_eq!(decoded.last().unwrap().picture.publication, 2);
}

#[test]
fn who_may_replace_the_silent_only_leaves_a_show_alone() {
    let seed = seed(63);
    let _seeded = Seeded(seed);
    let (mut world, first, viewer) = stage(seed);
    let from = world.now;
    world.takes_over = TakesOver::Silent;
    let refused = world.publish(0, STREAM, another(2));
    world.run(3 * S);
    assert_eq!(closed(&world, first), None);
    assert_eq!(closed(&world, refused), Some(CloseReason::TakenOver));
    let still = longest_still(&world, viewer, from);
    assert!(still < S / 5, "{still:?} without a picture");
    world.clients[first].is_dead = true;
    world.run(3 * S);
    let next = world.publish(0, STREAM, another(3));
    world.run(3 * S);
    assert_eq!(closed(&world, next), None);
    let decoded = &world.clients[viewer].viewer().video.decoded;
    assert_eq!(decoded.last().unwrap().picture.publication, 3);
}

#[test]
fn publishers_that_wait_are_few_and_none_keeps_another_from_the_stage() {
    let seed = seed(64);
    let _seeded = Seeded(seed);
    let (mut world, first, viewer) = stage(seed);
    let mut dead = Vec::new();
    for publication in 2..12 {
        let client = world.publish(0, STREAM, another(publication));
        world.clients[client].is_dead = true;
        dead.push(client);
    }
    world.run(S / 10);
    assert_eq!(world.nodes[0].worker.stats().publishers, 5);
    assert_eq!(world.nodes[0].worker.stats().waiting_dropped, 6);
    let next = world.publish(0, STREAM, another(12));
    world.run(3 * S);
    world.check();
    assert_eq!(closed(&world, first), Some(CloseReason::TakenOver));
    assert_eq!(closed(&world, next), None);
    for client in dead {
        // They asked before the one who came.
        assert_eq!(closed(&world, client), Some(CloseReason::TakenOver));
    }
    let decoded = &world.clients[viewer].viewer().video.decoded;
    assert_eq!(decoded.last().unwrap().picture.publication, 12);
}
