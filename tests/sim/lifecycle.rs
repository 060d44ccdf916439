//! Every peer that was accepted is closed exactly once, whoever closes it, in whatever order.

use std::time::Duration;

use sfu::{CONNECT_MAX, CloseReason, Command, Event, PeerId, Reply, Role, StreamId};

use crate::publisher::Manner;
use crate::shell::{Seeded, seed};
use crate::world::World;

const STREAM: StreamId = StreamId(1);
const S: Duration = Duration::from_secs(1);

fn closed(world: &World, peer: PeerId) -> Vec<CloseReason> {
    let reasons = world.events.iter().filter_map(|(_, _, event)| match event {
        Event::Closed { peer: of, reason } if *of == peer => Some(reason.clone()),
        _ => None,
    });
    reasons.collect()
}

fn ended(world: &World, peer: PeerId) -> usize {
    let of = |event: &Event| matches!(event, Event::Ended { peer: of, .. } if *of == peer);
    world
        .events
        .iter()
        .filter(|(_, _, event)| of(event))
        .count()
}

/// What may happen to a stream with a publisher and a viewer.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Act {
    ClosePublisher,
    CloseViewer,
    Forget,
    /// The client says good-bye.
    PublisherLeaves,
    ViewerLeaves,
    Wait,
}

use Act::{ClosePublisher, CloseViewer, Forget, PublisherLeaves, ViewerLeaves, Wait};

const ORDERS: &[&[Act]] = &[
    &[ClosePublisher, CloseViewer],
    &[CloseViewer, ClosePublisher],
    &[Forget],
    &[Forget, ClosePublisher, CloseViewer],
    &[ClosePublisher, Forget, CloseViewer],
    &[CloseViewer, Forget, ClosePublisher, Forget],
    &[ClosePublisher, ClosePublisher, CloseViewer, CloseViewer],
    &[PublisherLeaves, Wait, ClosePublisher, CloseViewer],
    &[ViewerLeaves, Wait, CloseViewer, ClosePublisher],
    &[PublisherLeaves, ClosePublisher, ViewerLeaves, CloseViewer],
    &[PublisherLeaves, ViewerLeaves, Wait, Forget],
    &[ViewerLeaves, PublisherLeaves, Forget],
];

fn run(seed: u64, order: &[Act], workers: usize, is_connected: bool) {
    let mut world = World::new(seed, workers);
    let publisher = world.publish(0, STREAM, Manner::default());
    world.run_until_complete(STREAM, 2);
    let viewer = world.view(workers - 1, STREAM);
    if is_connected {
        world.run(S);
    }
    let peers = [publisher, viewer].map(|client| world.clients[client].peer);
    for act in order {
        match act {
            ClosePublisher => world.tell(0, Command::Close { peer: peers[0] }),
            CloseViewer => world.tell(workers - 1, Command::Close { peer: peers[1] }),
            Forget => {
                for worker in 0..workers {
                    world.tell(worker, Command::Forget { stream: STREAM });
                }
            }
            PublisherLeaves => world.leave(publisher),
            ViewerLeaves => world.leave(viewer),
            Wait => world.run(S),
        }
    }
    world.run(3 * S);
    for peer in peers {
        assert_eq!(
            closed(&world, peer).len(),
            1,
            "{peer} after {order:?}, connected {is_connected}"
        );
    }
    assert_eq!(ended(&world, peers[0]), 1, "after {order:?}");
    for node in &world.nodes {
        let stats = node.worker.stats();
        assert_eq!((stats.publishers, stats.viewers), (0, 0), "after {order:?}");
    }
}

#[test]
fn every_peer_is_closed_once_in_whatever_order() {
    let seed = seed(80);
    let _seeded = Seeded(seed);
    for order in ORDERS {
        for workers in 1..=2 {
            run(seed, order, workers, true);
            let leaves = order
                .iter()
                .any(|act| matches!(act, PublisherLeaves | ViewerLeaves));
            if !leaves {
                run(seed, order, workers, false);
            }
        }
    }
}

#[test]
fn a_peer_that_never_connects_is_closed_after_its_time_and_told_of_once() {
    let seed = seed(81);
    let _seeded = Seeded(seed);
    let mut world = World::new(seed, 1);
    world.publish(0, STREAM, Manner::default());
    world.run_until_complete(STREAM, 2);
    let viewer = world.view(0, STREAM);
    world.clients[viewer].is_dead = true;
    let other = StreamId(2);
    let publisher = world.publish(0, other, Manner::default());
    world.clients[publisher].is_dead = true;
    world.run(CONNECT_MAX - S);
    let peers = [viewer, publisher].map(|client| world.clients[client].peer);
    for peer in peers {
        assert_eq!(closed(&world, peer), [], "too early");
    }
    world.run(3 * S);
    for peer in peers {
        assert_eq!(closed(&world, peer), [CloseReason::NeverConnected]);
    }
    world.run(60 * S);
    for peer in peers {
        assert_eq!(closed(&world, peer).len(), 1);
    }
    assert_eq!(world.nodes[0].worker.stats().viewers, 0);
}

#[test]
fn a_peer_whose_process_died_is_lost_within_a_minute() {
    let seed = seed(82);
    let _seeded = Seeded(seed);
    let mut world = World::new(seed, 2);
    let publisher = world.publish(0, STREAM, Manner::default());
    world.run_until_complete(STREAM, 2);
    let viewer = world.view(1, STREAM);
    world.run(2 * S);
    for client in [publisher, viewer] {
        world.clients[client].is_dead = true;
    }
    world.run(60 * S);
    for client in [publisher, viewer] {
        let peer = world.clients[client].peer;
        assert_eq!(closed(&world, peer), [CloseReason::Lost]);
    }
    let silent = world
        .events
        .iter()
        .any(|(_, _, event)| matches!(event, Event::Silent { silent: true, .. }));
    assert!(silent, "a silent publisher is noticed before it is lost");
}

#[test]
fn a_viewer_that_hangs_disturbs_nobody_and_grows_nothing() {
    let seed = seed(83);
    let _seeded = Seeded(seed);
    let mut world = World::new(seed, 1);
    world.publish(0, STREAM, Manner::default());
    world.run_until_complete(STREAM, 2);
    let viewers: Vec<usize> = (0..3).map(|_| world.view(0, STREAM)).collect();
    world.run(2 * S);
    // It reads nothing but its kernel answers nothing either; the server's datagrams fall on the floor.
    world.clients[viewers[1]].is_dead = true;
    world.run(20 * S);
    world.check();
    for &viewer in &[viewers[0], viewers[2]] {
        let shown = world.clients[viewer].viewer().video.decoded.len();
        assert!(shown > 600, "viewer {viewer}: {shown} pictures in 22 s");
    }
}

#[test]
fn a_publisher_without_an_end_to_its_group_is_watched_all_the_same() {
    let seed = seed(84);
    let _seeded = Seeded(seed);
    let mut world = World::new(seed, 2);
    let manner = Manner {
        gop: 0,
        layers: vec![3_000_000],
        frames_per_second: 10,
        answers_keyframe_requests: false,
        has_audio: false,
        ..Manner::default()
    };
    world.publish(0, STREAM, manner);
    world.run_until_complete(STREAM, 1);
    let viewer = world.view(1, STREAM);
    world.run(100 * S);
    world.check();
    let shown = world.clients[viewer].viewer().video.decoded.len();
    assert!(shown > 980, "{shown} pictures in 100 s");
    // The kept group outgrew its limit. Nobody is shown a picture that lacks its references; a late joiner waits and takes no harm.
    let late = world.view(0, STREAM);
    world.run(5 * S);
    world.check();
    assert_eq!(world.clients[late].viewer().video.decoded.len(), 0);
}

#[test]
fn a_refused_offer_leaves_nothing_behind() {
    let seed = seed(85);
    let _seeded = Seeded(seed);
    let mut world = World::new(seed, 1);
    for offer in [
        "",
        "nonsense",
        "v=0\r\n",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n",
    ] {
        for role in [Role::Publisher, Role::Viewer] {
            let (peer, result) = world.offer_text(0, STREAM, role, offer);
            assert!(result.is_err(), "{offer:?}: {result:?}");
            assert_ne!(result, Ok(Reply::Done));
            world.tell(0, Command::Close { peer });
            assert_eq!(closed(&world, peer), [], "never accepted, never closed");
        }
    }
    let stats = world.nodes[0].worker.stats();
    assert_eq!((stats.publishers, stats.viewers), (0, 0));
}
