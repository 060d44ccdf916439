//! What viewers want to be sent of a simulcast, and what is said of pictures that come out of order.

use std::time::{Duration, Instant};

use sfu::{
    Codec, CodecKind, Command, Event, Input, LayerPick, LayerReport, LayerWish, PeerId, Refusal,
    Reply, RequestId, SourcePacket, StreamId,
};

use crate::publisher::Manner;
use crate::shell::{Seeded, seed, terms};
use crate::world::World;

const STREAM: StreamId = StreamId(1);
const S: Duration = Duration::from_secs(1);

/// Three layers, `l`, `m` and `h`, published on the first of two workers, and a viewer on the other.
fn world_with_viewer(seed: u64) -> (World, usize) {
    let mut world = World::new(seed, 2);
    let manner = Manner {
        layers: vec![150_000, 350_000, 1_500_000],
        ..Manner::default()
    };
    let offer = terms(&manner);
    world.publish_with(0, STREAM, manner, &offer).unwrap();
    world.run_until_complete(STREAM, 2);
    let viewer = world.view(1, STREAM);
    world.clients[viewer].down.bandwidth_bps = Some(5_000_000);
    (world, viewer)
}

fn wish(world: &mut World, viewer: usize, wish: LayerWish) -> Result<Reply, Refusal> {
    let request = RequestId(world.next_id());
    let (peer, worker) = (world.clients[viewer].peer, world.clients[viewer].worker);
    let command = Command::WishLayers {
        request,
        peer,
        wish,
    };
    world.ask(worker, command, request)
}

fn pick(world: &mut World, viewer: usize, pick: LayerPick) -> Result<Reply, Refusal> {
    let of = LayerWish {
        pick,
        ..LayerWish::default()
    };
    wish(world, viewer, of)
}

fn named(name: &str) -> LayerPick {
    LayerPick::Named(vec![name.into()])
}

/// The layers of the pictures that were shown since then.
fn shown(world: &World, viewer: usize, from: Instant) -> Vec<u8> {
    let decoded = &world.clients[viewer].viewer().video.decoded;
    let since = decoded.iter().filter(|decoded| decoded.at >= from);
    let mut layers: Vec<u8> = since.map(|decoded| decoded.picture.layer).collect();
    layers.dedup();
    layers
}

/// What is shown in the third second after a wish.
fn shown_after(world: &mut World, viewer: usize, of: LayerPick) -> Vec<u8> {
    assert_eq!(pick(world, viewer, of), Ok(Reply::Done));
    world.run(2 * S);
    let from = world.now;
    world.run(2 * S);
    shown(world, viewer, from)
}

#[test]
fn a_viewer_is_sent_the_layer_that_it_chose() {
    let seed = seed(140);
    let _seeded = Seeded(seed);
    let (mut world, viewer) = world_with_viewer(seed);
    world.run(15 * S);
    for (of, expected) in [
        (named("l"), 0),
        (named("h"), 2),
        (LayerPick::Middle, 1),
        (LayerPick::Lowest, 0),
        (LayerPick::Nth(1), 1),
        (LayerPick::Highest, 2),
    ] {
        assert_eq!(
            shown_after(&mut world, viewer, of.clone()),
            [expected],
            "{of:?}"
        );
    }
    // Back to what the link carries.
    pick(&mut world, viewer, LayerPick::Any).unwrap();
    world.run(10 * S);
    let from = world.now;
    world.run(2 * S);
    assert_eq!(shown(&world, viewer, from), [2]);
    world.check();
}

#[test]
fn a_wish_from_the_first_moment_is_the_first_picture() {
    let seed = seed(141);
    let _seeded = Seeded(seed);
    let (mut world, viewer) = world_with_viewer(seed);
    pick(&mut world, viewer, named("l")).unwrap();
    world.run(5 * S);
    assert_eq!(shown(&world, viewer, world.base), [0]);
    world.check();
}

#[test]
fn among_several_layers_the_bandwidth_decides() {
    let seed = seed(142);
    let _seeded = Seeded(seed);
    let (mut world, viewer) = world_with_viewer(seed);
    let low = LayerPick::Named(vec!["l".into(), "m".into()]);
    pick(&mut world, viewer, low).unwrap();
    world.run(15 * S);
    let from = world.now;
    world.run(2 * S);
    assert_eq!(shown(&world, viewer, from), [1]);
    world.clients[viewer].down.bandwidth_bps = Some(220_000);
    world.run(20 * S);
    let from = world.now;
    world.run(2 * S);
    assert_eq!(shown(&world, viewer, from), [0]);
}

#[test]
fn what_a_stream_does_not_have_is_refused_and_changes_nothing() {
    let seed = seed(143);
    let _seeded = Seeded(seed);
    let (mut world, viewer) = world_with_viewer(seed);
    world.run(5 * S);
    assert_eq!(shown_after(&mut world, viewer, named("l")), [0]);
    for of in [named("hd"), LayerPick::Nth(3)] {
        let refused = pick(&mut world, viewer, of);
        assert!(
            matches!(&refused, Err(Refusal::NotAcceptable(why)) if why.contains("l, m, h")),
            "{refused:?}"
        );
    }
    let from = world.now;
    world.run(3 * S);
    assert_eq!(shown(&world, viewer, from), [0]);
    let nobody = Command::WishLayers {
        request: RequestId(9_000_001),
        peer: PeerId(9_000_002),
        wish: LayerWish::default(),
    };
    assert_eq!(
        world.ask(1, nobody, RequestId(9_000_001)),
        Err(Refusal::UnknownPeer)
    );
}

#[test]
fn the_layers_of_a_stream_are_told_to_whoever_watches_it() {
    let seed = seed(144);
    let _seeded = Seeded(seed);
    let (mut world, viewer) = world_with_viewer(seed);
    world.run(5 * S);
    let request = RequestId(world.next_id());
    let peer = world.clients[viewer].peer;
    let told = world.ask(1, Command::DescribeLayers { request, peer }, request);
    let Ok(Reply::Layers(layers)) = told else {
        panic!("{told:?}");
    };
    let names: Vec<&str> = layers.iter().map(|layer| layer.name.as_str()).collect();
    assert_eq!(names, ["l", "m", "h"]);
    let rates: Vec<u64> = layers.iter().map(|layer: &LayerReport| layer.bps).collect();
    assert!(rates.is_sorted() && rates[0] > 75_000, "{rates:?}");
    assert!(layers.iter().all(|layer| layer.active));
}

/// Feeds a source of 25 pictures a second whose times of showing are these; says when the server began and ended to call them out of order.
fn told(shown: impl Iterator<Item = u32>) -> Vec<(Duration, bool)> {
    let mut world = World::new(seed(145), 1);
    let peer = PeerId(world.next_id());
    let codec = Codec {
        kind: CodecKind::H264,
        h264_profile: None,
        stereo: false,
    };
    world.tell(
        0,
        Command::OpenSource {
            stream: STREAM,
            peer,
            tracks: vec![codec],
            is_backup: false,
        },
    );
    for (sequence, show) in (0..).zip(shown) {
        let packet = SourcePacket {
            peer,
            track: 0,
            sequence,
            timestamp: show * 3600,
            marker: true,
            payload: vec![if sequence == 0 { 0x65 } else { 0x41 }, 1, 2, 3].into(),
        };
        let stream = STREAM;
        world.feed(0, Input::Packet { stream, packet });
        world.run(Duration::from_millis(40));
    }
    let about_order = |(at, _, event): &(Duration, usize, Event)| match event {
        Event::Reordered { reordered, .. } => Some((*at, *reordered)),
        _ => None,
    };
    world.events.iter().filter_map(about_order).collect()
}

#[test]
fn b_frames_are_told_within_a_second_and_their_end_too() {
    let with_b = (0..25).flat_map(|group| [3, 1, 2].map(|at| group * 3 + at));
    let without = 80..250;
    let events = told(with_b.chain(without));
    let [(begun, true), (ended, false)] = events[..] else {
        panic!("{events:?}");
    };
    assert!(begun <= S, "told after {begun:?}");
    assert!(ended > 3 * S && ended < 10 * S, "ended after {ended:?}");
}

#[test]
fn pictures_in_order_are_no_event() {
    assert_eq!(told(0..250), []);
}
