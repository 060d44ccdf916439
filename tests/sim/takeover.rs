//! One publisher after another on the same stream: a viewer's own stream goes on.

use std::time::Duration;

use sfu::{CloseReason, Command, Event, StreamId};

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
