//! Participants who ask for what is not there. Nobody else notices.

use sfu::{Command, Priority, Refusal, RequestId, StreamId, VIDEO_SLOTS_MAX, Want};

use super::room::worker_id;
use super::venue::{Path, S, Venue};
use crate::shell::seed;

fn everybody_is_shown(venue: &mut Venue) {
    venue.world.run(3 * S);
    venue.check();
    let from = venue.world.now - S;
    for client in &venue.people {
        let slots = &venue.world.clients[*client].in_conference().unwrap().slots;
        let shown = slots.iter().filter(|slot| {
            let last = slot.picture.decoded.last();
            last.is_some_and(|last| last.at > from)
        });
        let told = venue.world.clients[*client].in_conference().unwrap();
        let told = told.told.last().map(|(_, slots)| slots);
        assert_eq!(
            shown.count(),
            venue.people.len() - 1,
            "{client} was told {told:?}"
        );
    }
}

#[test]
fn sections_that_do_not_exist_or_are_not_ones_own_publish_nothing() {
    let mut venue = Venue::of(seed(270), 2, 3);
    venue.run_until(2 * S);
    let client = venue.people[0];
    let (peer, worker) = (venue.world.clients[client].peer, 0);
    let slots = &venue.world.clients[client].in_conference().unwrap().slots;
    let slot = slots[3].mid.to_string();
    let mids = [
        "nothing",
        "",
        "0",
        "\u{0}\u{ffff}",
        &"x".repeat(5000),
        &slot,
    ];
    for (at, mid) in mids.into_iter().enumerate() {
        let own = Some(mid.to_owned());
        for (audio, video) in [(own.clone(), None), (None, own.clone()), (own.clone(), own)] {
            let stream = StreamId(40_000 + at as u64);
            let command = Command::Publish {
                peer,
                stream,
                audio,
                video,
            };
            venue.world.tell(worker, command);
        }
    }
    for publication in 0..100 {
        let stream = StreamId(50_000 + publication);
        let command = Command::Publish {
            peer,
            stream,
            audio: None,
            video: Some(format!("m{publication}")),
        };
        venue.world.tell(worker, command);
    }
    let mine = venue.streams[0];
    let others = venue.streams[1];
    for stream in [others, StreamId(60_000)] {
        venue
            .world
            .tell(worker, Command::Unpublish { peer, stream });
        venue.world.tell(
            worker,
            Command::Mute {
                peer,
                stream,
                audio: true,
                video: true,
            },
        );
    }
    let live = venue.world.events.iter().any(
        |(_, _, event)| matches!(event, sfu::Event::Live { stream, .. } if stream.0 >= 40_000),
    );
    assert!(!live);
    assert!(venue.world.is_feed(mine));
    everybody_is_shown(&mut venue);
}

#[test]
fn streams_that_do_not_exist_are_watched_in_vain() {
    let mut venue = Venue::of(seed(271), 2, 3);
    venue.run_until(2 * S);
    for client in venue.people.clone() {
        let (peer, worker) = (
            venue.world.clients[client].peer,
            venue.world.clients[client].worker,
        );
        let wants = (0..2 * VIDEO_SLOTS_MAX as u64)
            .map(|at| Want {
                stream: StreamId(70_000 + at),
                origin: worker_id(usize::try_from(at).unwrap() % 2),
                layer_max: u8::MAX,
                priority: Priority::Pinned,
                is_detail: true,
            })
            .collect();
        venue.world.tell(worker, Command::Watch { peer, wants });
        let streams = (0..5000).map(StreamId).collect();
        venue.world.tell(worker, Command::Silence { peer, streams });
    }
    venue.world.run(5 * S);
    for client in venue.people.clone() {
        let (peer, worker) = (
            venue.world.clients[client].peer,
            venue.world.clients[client].worker,
        );
        let streams = Vec::new();
        venue.world.tell(worker, Command::Silence { peer, streams });
    }
    venue.world.tell_room(venue.room);
    everybody_is_shown(&mut venue);
}

#[test]
fn a_stream_that_is_wanted_twice_is_shown_once() {
    let mut venue = Venue::of(seed(272), 1, 2);
    venue.run_until(2 * S);
    let (peer, stream) = (venue.world.clients[venue.people[0]].peer, venue.streams[1]);
    let want = Want {
        stream,
        origin: worker_id(0),
        layer_max: 2,
        priority: Priority::Normal,
        is_detail: false,
    };
    let wants = vec![want; 10];
    venue.world.tell(0, Command::Watch { peer, wants });
    everybody_is_shown(&mut venue);
}

#[test]
fn offers_of_every_kind_of_wrong_are_refused_and_change_nothing() {
    let mut venue = Venue::of(seed(273), 2, 3);
    venue.run_until(2 * S);
    let client = venue.people[0];
    let (_, good) = venue.world.clients[client].offer_another(
        str0m::media::MediaKind::Video,
        str0m::media::Direction::SendOnly,
    );
    venue.world.clients[client].forget_offer();
    let mut wrong = vec![
        String::new(),
        "v=0\r\n".to_owned(),
        "hello".to_owned(),
        "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n".repeat(200),
        good.replace("a=mid:", "a=mud:"),
        good.replace("a=fingerprint:", "a=finger:"),
        good.replace("a=group:BUNDLE", "a=group:LS"),
        good.replace("m=video", "m=audio"),
        good[..good.len() / 2].to_owned(),
        good.lines().rev().collect::<Vec<_>>().join("\r\n"),
    ];
    for _ in 0..60 {
        let mut bytes = good.clone().into_bytes();
        for _ in 0..venue.world.rng.usize(1..12) {
            let at = venue.world.rng.usize(..bytes.len());
            bytes[at] = venue.world.rng.u8(b' '..b'~');
        }
        wrong.push(String::from_utf8(bytes).unwrap());
    }
    let mut refused = 0;
    for offer in &wrong[..10] {
        refused += usize::from(venue.world.reoffer(client, offer).is_err());
    }
    assert!(refused >= 7, "{refused} of ten were refused");
    everybody_is_shown(&mut venue);
    // What is nearly right may be taken, and then the connection is the offerer's to have spoilt; the others go on.
    for offer in &wrong[10..] {
        let _ = venue.world.reoffer(client, offer);
        venue.world.run(S / 20);
    }
    venue.world.run(3 * S);
    for node in &venue.world.nodes {
        assert_eq!(node.worker.stats().panics, 0);
    }
    venue.world.leave(client);
    venue.people.remove(0);
    venue.streams.remove(0);
    everybody_is_shown(&mut venue);
}

#[test]
fn commands_for_nobody_are_refused() {
    let mut venue = Venue::of(seed(274), 1, 2);
    venue.run_until(2 * S);
    let stream = venue.streams[0];
    let viewer = venue.world.view(0, stream);
    venue.world.run(S);
    let peers = [sfu::PeerId(99_999), venue.world.clients[viewer].peer];
    for peer in peers {
        let request = RequestId(venue.world.next_id());
        let command = Command::AddSlots {
            request,
            peer,
            audio: 5,
            video: 5,
        };
        let reply = venue.world.ask(0, command, request);
        assert_eq!(reply, Err(Refusal::UnknownPeer), "{peer}");
        let request = RequestId(venue.world.next_id());
        let offer = String::new();
        let command = Command::Reoffer {
            request,
            peer,
            offer,
        };
        let reply = venue.world.ask(0, command, request);
        assert_eq!(reply, Err(Refusal::UnknownPeer), "{peer}");
        let stream = StreamId(80_000);
        let (audio, video) = (None, None);
        venue.world.tell(
            0,
            Command::Publish {
                peer,
                stream,
                audio,
                video,
            },
        );
        let wants = Vec::new();
        venue.world.tell(0, Command::Watch { peer, wants });
    }
    everybody_is_shown(&mut venue);
}

#[test]
fn a_participant_that_leaves_before_it_is_connected_leaves_nothing() {
    let mut venue = Venue::of(seed(275), 2, 2);
    venue.run_until(2 * S);
    for round in 0..10 {
        let client = venue.enter(Path::GOOD);
        venue.people.pop();
        venue.streams.pop();
        if round % 2 == 0 {
            venue.world.run(S / 40);
        }
        let (peer, worker) = (
            venue.world.clients[client].peer,
            venue.world.clients[client].worker,
        );
        venue.world.tell(worker, Command::Close { peer });
        venue.world.clients[client].is_dead = true;
        venue.world.run(S / 10);
    }
    everybody_is_shown(&mut venue);
    assert_eq!(venue.world.room(venue.room).members.len(), 2);
    assert_eq!(venue.world.room(venue.room).feeds.len(), 2);
}
