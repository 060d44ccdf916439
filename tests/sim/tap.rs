//! Streams that somebody else than a peer consumes.

use std::time::Duration;

use sfu::{Command, StreamId, Tap, TapItem};

use crate::media::Video;
use crate::publisher::Manner;
use crate::shell::{Seeded, seed, terms};
use crate::world::World;

const STREAM: StreamId = StreamId(1);
const S: Duration = Duration::from_secs(1);

fn tap_everywhere(world: &mut World, workers: usize, is_watched: bool) {
    for worker in 0..workers {
        let tap = Some(Tap { is_watched });
        world.tell(
            worker,
            Command::Tap {
                stream: STREAM,
                tap,
            },
        );
    }
}

#[test]
fn a_late_tap_gets_the_kept_group_of_pictures_first_and_from_one_worker_only() {
    let seed = seed(401);
    let _seeded = Seeded(seed);
    let mut world = World::new(seed, 2);
    let manner = Manner {
        gop: 300,
        layers: vec![800_000],
        answers_keyframe_requests: false,
        ..Manner::default()
    };
    let offer = terms(&manner).like_obs();
    world.publish_with(0, STREAM, manner, &offer).unwrap();
    world.run_until_complete(STREAM, 2);
    world.run(3 * S);
    // A viewer on the other worker makes the stream known there, too.
    world.view(1, STREAM);
    world.run(S);
    assert!(world.taps.is_empty());
    let begun = world.now;
    tap_everywhere(&mut world, 2, false);
    world.run(2 * S);
    let items: Vec<_> = world.taps.iter().map(|(_, _, item)| item).collect();
    let TapItem::Tracks { tracks, .. } = items[0] else {
        panic!("tracks come first: {:?}", items[0]);
    };
    assert_eq!(tracks.len(), 2);
    let video = tracks
        .iter()
        .position(|track| !track.codec.kind.is_audio())
        .unwrap();
    let mut last = None;
    let mut before = 0;
    for item in &items {
        let TapItem::Packet { track, packet, .. } = item else {
            continue;
        };
        if usize::from(*track) != video {
            continue;
        }
        before += usize::from(packet.arrival < begun);
        if let Some(last) = last {
            assert_eq!(packet.sequence, last + 1, "each packet once, in order");
        }
        last = Some(packet.sequence);
    }
    assert!(
        before > 100,
        "only {before} packets of the kept group of pictures"
    );
    world.check();
}

/// Whether the first track that the tap was told of is the sound.
fn is_sound(world: &World) -> bool {
    world.taps.iter().any(|(_, _, item)| {
        matches!(item, TapItem::Tracks { tracks, .. } if tracks[0].codec.kind.is_audio())
    })
}

#[test]
fn a_tap_of_a_publication_that_has_just_begun_gets_its_sound_and_pictures_from_the_first_packet_on()
{
    for (late, is_beginning) in [(S / 2, true), (8 * S, false)] {
        let seed = seed(403);
        let _seeded = Seeded(seed);
        let mut world = World::new(seed, 1);
        let manner = Manner {
            gop: 15,
            layers: vec![800_000],
            answers_keyframe_requests: false,
            ..Manner::default()
        };
        let offer = terms(&manner).like_obs();
        world.publish_with(0, STREAM, manner, &offer).unwrap();
        world.run_until_complete(STREAM, 2);
        let live = world.now;
        world.run(late);
        let begun = world.now;
        tap_everywhere(&mut world, 1, false);
        world.run(S);
        let mut tracks = [const { Vec::new() }; 2];
        for (_, _, item) in &world.taps {
            if let TapItem::Packet { track, packet, .. } = item {
                tracks[usize::from(*track)].push((packet.sequence, packet.arrival));
            }
        }
        let sound = usize::from(!is_sound(&world));
        for (track, packets) in tracks.iter().enumerate() {
            let (first, arrival) = packets[0];
            if is_beginning || track == sound {
                assert!(arrival < begun, "what came before the tap, too");
                assert_eq!(arrival <= live, is_beginning, "{late:?}");
            }
            let sequences = packets.iter().map(|(sequence, _)| *sequence);
            assert!(sequences.eq(first..first + packets.len() as u64));
        }
        world.check();
    }
}

#[test]
fn a_tap_asks_for_keyframes_of_all_layers_at_one_instant_and_hears_of_the_end() {
    let seed = seed(402);
    let _seeded = Seeded(seed);
    let mut world = World::new(seed, 1);
    let manner = Manner {
        codec: Video::H264,
        gop: 0,
        layers: vec![150_000, 350_000, 1_500_000],
        ..Manner::default()
    };
    let publisher = world.publish(0, STREAM, manner);
    world.run_until_complete(STREAM, 2);
    tap_everywhere(&mut world, 1, true);
    world.run(2 * S);
    let before = world.clients[publisher].publisher().keyframes;
    world.tell(0, Command::TapKeyframe { stream: STREAM });
    world.run(S);
    let after = world.clients[publisher].publisher().keyframes;
    assert_eq!(after - before, 3, "one keyframe of each layer");
    world.leave(publisher);
    world.run(S);
    let ends = |item: &TapItem| matches!(item, TapItem::Ended { .. });
    let ended = world.taps.iter().filter(|(_, _, item)| ends(item)).count();
    assert_eq!(ended, 1);
    assert!(ends(&world.taps.last().unwrap().2));
    world.tell(
        0,
        Command::Tap {
            stream: STREAM,
            tap: None,
        },
    );
    world.check();
}
