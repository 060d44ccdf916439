//! Data channels: what is said arrives, all of it and in order; of positions the newest arrives soon; who misuses them is alone with it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sfu::{Command, DATA_QUEUE_MAX, DATA_RECEIVED_MAX, DataChannel, DataEvent, Event, PeerId};
use str0m::channel::{ChannelConfig, Reliability};

use super::venue::{MS, Path, S, Venue};
use crate::shell::seed;

fn channel(label: &str) -> ChannelConfig {
    let is_lossy = label == "positions";
    ChannelConfig {
        label: label.into(),
        ordered: !is_lossy,
        reliability: if is_lossy {
            Reliability::MaxRetransmits { retransmits: 0 }
        } else {
            Reliability::Reliable
        },
        negotiated: None,
        protocol: "since=7&positions=binary".into(),
    }
}

/// As our own client opens them.
fn both() -> [ChannelConfig; 2] {
    ["positions", "messages"].map(channel)
}

/// Comes in with data channels.
fn enter(venue: &mut Venue, path: Path, channels: &[ChannelConfig]) -> usize {
    let worker = venue.people.len() % venue.world.nodes.len();
    let client = venue
        .world
        .join_talking(venue.room, worker, channels, |client| {
            client.up = path.link();
            client.down = path.link();
        });
    venue.people.push(client);
    let stream = venue.world.publish_camera(client);
    venue.streams.push(stream);
    client
}

/// Waits until both channels are open; from now on data is lost like everything else. (The client's handshake repeats itself at random.)
fn settle(venue: &mut Venue, client: usize) {
    for _ in 0..100 {
        let opened = venue.world.clients[client].in_conference();
        if opened.is_some_and(|participant| participant.opened.len() >= 2)
            && is_open(venue, client, DataChannel::Messages)
            && is_open(venue, client, DataChannel::Positions)
        {
            let target = &mut venue.world.clients[client];
            target.up.loses_dtls = true;
            target.down.loses_dtls = true;
            return;
        }
        venue.world.run(100 * MS);
    }
    panic!("{client} has no channels after 10 s");
}

fn peer_of(venue: &Venue, client: usize) -> PeerId {
    venue.world.clients[client].peer
}

/// What a worker told of a participant's channels.
fn told(venue: &Venue, client: usize) -> impl Iterator<Item = &(Instant, PeerId, DataEvent)> {
    let peer = peer_of(venue, client);
    venue
        .world
        .data
        .iter()
        .filter(move |(_, of, _)| *of == peer)
}

fn is_open(venue: &Venue, client: usize, channel: DataChannel) -> bool {
    told(venue, client)
        .any(|(.., event)| matches!(event, DataEvent::Open { channel: of, .. } if *of == channel))
}

fn closes(venue: &Venue, client: usize) -> usize {
    told(venue, client)
        .filter(|(.., event)| matches!(event, DataEvent::Closed { .. }))
        .count()
}

/// What came over a channel of a participant, with when.
fn said(venue: &Venue, client: usize, channel: DataChannel) -> Vec<(Instant, Vec<u8>)> {
    told(venue, client)
        .filter_map(|(at, _, event)| match event {
            DataEvent::Message {
                channel: of, bytes, ..
            } if *of == channel => Some((*at, bytes.clone())),
            _ => None,
        })
        .collect()
}

/// Says something over the channel with this place in the list; `false` when SCTP has no room.
fn say(venue: &mut Venue, client: usize, channel: usize, bytes: &[u8]) -> bool {
    let target = &mut venue.world.clients[client];
    let id = target.participant().channels[channel];
    let open = target.rtc.channel(id);
    let is_said = open.is_some_and(|mut open| open.write(false, bytes).unwrap_or(false));
    venue.world.drain_client(client);
    is_said
}

fn tell(venue: &mut Venue, client: usize, channel: DataChannel, bytes: Vec<u8>) {
    let (peer, worker) = (peer_of(venue, client), venue.world.clients[client].worker);
    let command = Command::SendData {
        peer,
        channel,
        is_binary: channel == DataChannel::Positions,
        bytes: Arc::from(bytes),
    };
    venue.world.tell(worker, command);
}

/// A numbered message of some length.
fn numbered(number: u32, length: usize) -> Vec<u8> {
    let mut bytes = vec![b'x'; length.max(4)];
    bytes[..4].copy_from_slice(&number.to_le_bytes());
    bytes
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_le_bytes(bytes[..4].try_into().unwrap())
}

const LOSSY: Path = Path {
    bps: 5_000_000,
    loss: 0.08,
    round_trip: Duration::from_millis(80),
};

#[test]
fn messages_arrive_complete_and_in_order_over_a_lossy_path() {
    let mut venue = Venue::new(seed(290), 2, 8);
    let client = enter(&mut venue, LOSSY, &both());
    enter(&mut venue, Path::GOOD, &both());
    settle(&mut venue, client);
    let protocols: Vec<_> = told(&venue, client)
        .filter_map(|(.., event)| match event {
            DataEvent::Open { protocol, .. } => Some(protocol.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(protocols, ["since=7&positions=binary"; 2]);
    for at in 0..400 {
        // A picture now and then, the longest that may be.
        let length = if at % 100 == 50 {
            DATA_RECEIVED_MAX
        } else {
            200
        };
        assert!(say(&mut venue, client, 1, &numbered(at, length)), "{at}");
        tell(
            &mut venue,
            client,
            DataChannel::Messages,
            numbered(at, length),
        );
        venue.world.run(20 * MS);
    }
    // Behind so many losses SCTP is slow.
    let peer = peer_of(&venue, client);
    let waited = venue.world.run_while(60 * S, |world| {
        let up = world
            .data
            .iter()
            .filter(|(_, of, event)| *of == peer && matches!(event, DataEvent::Message { .. }));
        let down = world.clients[client].in_conference().unwrap().heard.len();
        up.count() < 400 || down < 400
    });
    println!("all have arrived {waited:?} after the last was said");
    let up: Vec<u32> = said(&venue, client, DataChannel::Messages)
        .iter()
        .map(|(_, bytes)| number(bytes))
        .collect();
    assert_eq!(up, (0..400).collect::<Vec<_>>());
    let participant = venue.world.clients[client].in_conference().unwrap();
    let down: Vec<u32> = participant
        .heard
        .iter()
        .map(|(.., bytes)| number(bytes))
        .collect();
    assert_eq!(down, (0..400).collect::<Vec<_>>());
    let taken: usize = told(&venue, client)
        .map(|(.., event)| match event {
            DataEvent::Taken { bytes } => *bytes,
            _ => 0,
        })
        .sum();
    assert_eq!(taken, 396 * 200 + 4 * DATA_RECEIVED_MAX);
    assert_eq!(closes(&venue, client), 0);
    venue.check();
}

#[test]
fn positions_are_lost_but_what_arrives_is_soon_and_the_newest_wins() {
    let mut venue = Venue::new(seed(291), 1, 8);
    let client = enter(&mut venue, LOSSY, &both());
    settle(&mut venue, client);
    let mut sent = Vec::new();
    for at in 0..400 {
        say(&mut venue, client, 0, &numbered(at, 36));
        tell(
            &mut venue,
            client,
            DataChannel::Positions,
            numbered(at, 600),
        );
        sent.push(venue.world.now);
        venue.world.run(50 * MS);
    }
    venue.world.run(S);
    let up = said(&venue, client, DataChannel::Positions);
    let participant = venue.world.clients[client].in_conference().unwrap();
    let heard = participant.heard.iter();
    let down: Vec<_> = heard.map(|(at, _, bytes)| (*at, bytes.clone())).collect();
    for (way, came) in [("up", up), ("down", down)] {
        let mut ages: Vec<_> = came
            .iter()
            .map(|(at, bytes)| *at - sent[number(bytes) as usize])
            .collect();
        ages.sort();
        let (median, worst) = (ages[ages.len() / 2], ages[ages.len() - 1]);
        println!(
            "{way}: {} of 400, {median:?} in the median, {worst:?} at worst",
            came.len()
        );
        assert!((320..400).contains(&came.len()), "{way}: {}", came.len());
        // Behind a loss SCTP sends less for a moment.
        assert!(worst < 500 * MS, "{way}: {worst:?}");
        let newest = came.iter().map(|(_, bytes)| number(bytes)).max();
        assert!(newest >= Some(396), "{way}: {newest:?}");
    }
    venue.check();
}

#[test]
fn who_does_not_read_is_closed_and_nobody_else_waits() {
    let mut venue = Venue::new(seed(292), 1, 8);
    let slow = enter(&mut venue, Path::GOOD, &both());
    let other = enter(&mut venue, Path::GOOD, &both());
    settle(&mut venue, slow);
    settle(&mut venue, other);
    venue.world.clients[slow].down.is_cut = true;
    let mut sent = Vec::new();
    for at in 0..40 {
        for client in [slow, other] {
            let message = numbered(at, DATA_QUEUE_MAX / 16);
            tell(&mut venue, client, DataChannel::Messages, message);
        }
        sent.push(venue.world.now);
        venue.world.run(100 * MS);
    }
    assert_eq!((closes(&venue, slow), closes(&venue, other)), (1, 0));
    let participant = venue.world.clients[other].in_conference().unwrap();
    assert_eq!(participant.heard.len(), 40);
    for (at, _, bytes) in &participant.heard {
        let age = *at - sent[number(bytes) as usize];
        assert!(age < 300 * MS, "{age:?}");
    }
    assert_eq!(venue.world.nodes[0].worker.stats().data_closed, 1);
}

/// Somebody with such channels among two others, who see and hear each other all the while.
fn hostile(seed: u64, channels: &[ChannelConfig], act: impl FnOnce(&mut Venue, usize)) -> Venue {
    let mut venue = Venue::new(seed, 1, 8);
    enter(&mut venue, Path::GOOD, &both());
    enter(&mut venue, Path::GOOD, &both());
    venue.run_until(3 * S);
    let client = enter(&mut venue, Path::GOOD, channels);
    venue.world.run(2 * S);
    act(&mut venue, client);
    let honest = venue.people[0];
    settle(&mut venue, honest);
    let from = venue.world.now;
    assert!(say(&mut venue, honest, 1, b"still here"));
    venue.world.run(2 * S);
    assert!(
        said(&venue, honest, DataChannel::Messages)
            .iter()
            .any(|(at, bytes)| *at >= from && bytes == b"still here")
    );
    for client in [venue.people[0], venue.people[1]] {
        let slots = &venue.world.clients[client].in_conference().unwrap().slots;
        let last = slots.iter().filter_map(|slot| slot.picture.decoded.last());
        let newest = last.map(|picture| picture.at).max().unwrap();
        assert!(venue.world.now - newest < S, "no pictures any more");
    }
    assert_eq!(venue.world.nodes[0].worker.stats().panics, 0);
    venue.check();
    venue
}

fn is_gone(venue: &Venue, client: usize) -> bool {
    let peer = peer_of(venue, client);
    let mut events = venue.world.events.iter();
    events.any(|(.., event)| matches!(event, Event::Closed { peer: of, .. } if *of == peer))
}

#[test]
fn a_hundred_channels_cost_their_owner_the_connection() {
    let channels: Vec<_> = (0..100).map(|at| channel(&format!("c{at}"))).collect();
    let venue = hostile(seed(293), &channels, |_, _| {});
    assert!(is_gone(&venue, venue.people[2]));
    assert!(venue.world.nodes[0].worker.stats().channels_refused <= 32);
}

#[test]
fn channels_that_nobody_knows_are_closed_and_a_second_one_replaces_the_first() {
    let labels = ["chat", "messages", "messages", "", "positions", "positions"];
    let venue = hostile(seed(294), &labels.map(channel), |venue, client| {
        say(venue, client, 1, b"first");
        assert!(say(venue, client, 2, b"second"));
    });
    let client = venue.people[2];
    assert!(!is_gone(&venue, client));
    assert_eq!(venue.world.nodes[0].worker.stats().channels_refused, 2);
    let participant = venue.world.clients[client].in_conference().unwrap();
    assert_eq!(participant.closed.len(), 4);
    let came = said(&venue, client, DataChannel::Messages);
    let came: Vec<_> = came.iter().map(|(_, bytes)| bytes.as_slice()).collect();
    assert_eq!(came, [b"second"]);
}

#[test]
fn a_channel_that_its_client_closed_opens_again_at_once() {
    let mut venue = Venue::new(seed(299), 1, 8);
    let client = enter(&mut venue, LOSSY, &both());
    enter(&mut venue, Path::GOOD, &both());
    settle(&mut venue, client);
    for round in 0..20 {
        let target = &mut venue.world.clients[client];
        let last = target.participant().channels.len() - 1;
        let before = target.participant().channels[last.max(1)];
        target.rtc.direct_api().close_data_channel(before);
        let mut api = target.rtc.sdp_api();
        let again = api.add_channel_with_config(channel("messages"));
        assert!(api.apply().is_none(), "nothing to negotiate");
        target.participant().channels.push(again);
        venue.world.drain_client(client);
        let message = numbered(round, 50);
        // Behind losses SCTP is slow.
        let mut is_said = false;
        for _ in 0..300 {
            venue.world.run(100 * MS);
            is_said = is_said || say(&mut venue, client, last + 1, &message);
            if is_said && said(&venue, client, DataChannel::Messages).len() > round as usize {
                break;
            }
        }
        let came = said(&venue, client, DataChannel::Messages);
        assert_eq!(came.last().map(|(_, bytes)| bytes), Some(&message));
        tell(&mut venue, client, DataChannel::Messages, message.clone());
        venue.world.run_while(30 * S, |world| {
            let heard = &world.clients[client].in_conference().unwrap().heard;
            heard.last().is_none_or(|(.., bytes)| *bytes != message)
        });
        let heard = &venue.world.clients[client].in_conference().unwrap().heard;
        assert_eq!(heard.last().map(|(.., bytes)| bytes), Some(&message));
    }
    assert!(!is_gone(&venue, client));
    assert_eq!(venue.world.nodes[0].worker.stats().channels_refused, 0);
    venue.check();
}

#[test]
fn a_message_that_is_too_long_does_not_arrive() {
    let venue = hostile(seed(295), &both(), |venue, client| {
        assert!(say(venue, client, 1, b"short"));
        for _ in 0..20 {
            let _ = say(venue, client, 1, &vec![b'x'; 100 * 1024]);
            venue.world.run(200 * MS);
        }
    });
    let came = said(&venue, venue.people[2], DataChannel::Messages);
    assert_eq!(came.len(), 1, "and nothing behind it");
}

#[test]
fn a_flood_costs_the_channel_which_may_be_opened_again() {
    let venue = hostile(seed(296), &both(), |venue, client| {
        for at in 0..40 {
            for _ in 0..100 {
                say(venue, client, 1, &numbered(at, 8));
            }
            say(venue, client, 0, &numbered(at, 36));
            venue.world.run(10 * MS);
        }
        venue.world.run(S);
        assert_eq!(closes(venue, client), 1);
        let target = &mut venue.world.clients[client];
        let mut api = target.rtc.sdp_api();
        let again = api.add_channel_with_config(channel("messages"));
        assert!(api.apply().is_none(), "nothing to negotiate");
        target.participant().channels.push(again);
        venue.world.drain_client(client);
        venue.world.run(2 * S);
        assert!(say(venue, client, 2, b"sorry"));
    });
    let client = venue.people[2];
    let came = said(&venue, client, DataChannel::Messages);
    assert!((1000..1300).contains(&came.len()), "{}", came.len());
    assert_eq!(came.last().unwrap().1, b"sorry");
    assert!(!is_gone(&venue, client));
}

#[test]
fn data_on_streams_without_a_channel_is_nothing() {
    let negotiated = |stream: u16| ChannelConfig {
        negotiated: Some(stream),
        ..channel("messages")
    };
    let streams: Vec<_> = (0..60).map(|at| negotiated(2 + 17 * at)).collect();
    let venue = hostile(seed(297), &streams, |venue, client| {
        for round in 0..20 {
            for at in 0..60 {
                let _ = say(venue, client, at, &numbered(round, 50));
            }
            venue.world.run(50 * MS);
        }
    });
    assert_eq!(told(&venue, venue.people[2]).count(), 0);
}

#[test]
fn channels_end_with_their_participant_without_a_word() {
    let mut venue = Venue::new(seed(298), 1, 8);
    let client = enter(&mut venue, Path::GOOD, &both());
    venue.run_until(3 * S);
    venue.world.leave(client);
    venue.world.run(S);
    assert!(is_gone(&venue, client));
    assert_eq!(closes(&venue, client), 0);
    // What is still on its way to it is nothing.
    tell(&mut venue, client, DataChannel::Messages, numbered(1, 10));
    venue.world.run(S);
}
