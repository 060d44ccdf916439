//! Anything may come from the network; nobody else notices.

use std::net::SocketAddr;
use std::time::Duration;

use fastrand::Rng;
use sfu::{Command, Refusal, Reply, RequestId, Role, StreamId, Transport};

use crate::publisher::Manner;
use crate::shell::{Seeded, seed};
use crate::world::World;

const STREAM: StreamId = StreamId(1);
const S: Duration = Duration::from_secs(1);

/// First bytes of STUN, DTLS, RTP, RTCP and of nothing.
const FIRST: &[u8] = &[
    0, 1, 2, 19, 20, 21, 22, 23, 63, 64, 127, 128, 144, 191, 192, 255,
];

fn random_datagram(rng: &mut Rng) -> Vec<u8> {
    let length = match rng.u8(..10) {
        0 => rng.usize(..4),
        1..=6 => rng.usize(..120),
        7..=8 => rng.usize(..1500),
        _ => rng.usize(1500..=65_535),
    };
    let mut bytes: Vec<u8> = (0..length).map(|_| rng.u8(..)).collect();
    if let Some(first) = bytes.first_mut()
        && rng.u8(..10) != 0
    {
        *first = FIRST[rng.usize(..FIRST.len())];
    }
    if bytes.len() > 8 && rng.bool() {
        // STUN's magic cookie, so that more than the first line of the parser is reached.
        bytes[4..8].copy_from_slice(&[0x21, 0x12, 0xa4, 0x42]);
        let body = u16::try_from(bytes.len().saturating_sub(20)).unwrap_or(u16::MAX) & !3;
        bytes[2..4].copy_from_slice(&body.to_be_bytes());
    }
    bytes
}

fn mutated(rng: &mut Rng, datagram: &[u8]) -> Vec<u8> {
    let mut bytes = datagram.to_vec();
    match rng.u8(..5) {
        0 => bytes.truncate(rng.usize(..=datagram.len())),
        1 => bytes.extend((0..rng.usize(..200)).map(|_| 0xff)),
        2 => bytes.resize(65_535, rng.u8(..)),
        _ => {}
    }
    for _ in 0..rng.usize(..6) {
        if !bytes.is_empty() {
            let at = rng.usize(..bytes.len());
            bytes[at] = rng.u8(..);
        }
    }
    // Whoever can read a check can replay it: that is no matter of parsing. Its transaction id breaks its integrity.
    if matches!(bytes.first(), Some(0 | 1)) && bytes.len() > 20 {
        bytes[8] ^= 0x55;
    }
    bytes
}

#[test]
fn random_and_mutated_datagrams_disturb_nobody() {
    let seed = seed(90);
    let _seeded = Seeded(seed);
    let mut rng = Rng::with_seed(seed);
    let mut world = World::new(seed, 1);
    world.keeps_samples = true;
    let publisher = world.publish(0, STREAM, Manner::default());
    world.run_until_complete(STREAM, 2);
    let viewers: Vec<usize> = (0..3).map(|_| world.view(0, STREAM)).collect();
    world.run(2 * S);
    let stranger = SocketAddr::from(([203, 0, 113, 7], 4000));
    for round in 0..1200 {
        world.run(Duration::from_millis(5));
        for _ in 0..8 {
            let transport = if rng.bool() {
                Transport::Udp
            } else {
                Transport::Tcp
            };
            let bytes = random_datagram(&mut rng);
            world.inject(0, transport, stranger, &bytes);
            let at = rng.usize(..world.samples.len());
            let bytes = mutated(&mut rng, &world.samples[at].clone());
            // From a stranger, and as if a peer had sent it: addresses can be forged.
            world.inject(0, Transport::Udp, stranger, &bytes);
            let victim = if round % 2 == 0 {
                publisher
            } else {
                viewers[0]
            };
            let forged = world.clients[victim].external;
            if !matches!(bytes.first(), Some(20..=63)) {
                world.inject(0, Transport::Udp, forged, &bytes);
            }
        }
    }
    world.run(2 * S);
    let stats = *world.nodes[0].worker.stats();
    assert_eq!(stats.panics, 0);
    assert!(
        stats.dropped_malformed > 1000 && stats.dropped_unknown_ufrag > 0,
        "{stats:?}"
    );
    world.check();
    for viewer in viewers {
        let shown = world.clients[viewer].viewer().video.decoded.len();
        assert!(shown > 280, "viewer {viewer}: {shown} pictures in 10 s");
    }
}

#[test]
fn a_payload_too_long_to_forward_is_dropped_and_counted() {
    let seed = seed(91);
    let _seeded = Seeded(seed);
    let mut world = World::new(seed, 1);
    let publisher = world.publish(0, STREAM, Manner::default());
    world.run_until_complete(STREAM, 2);
    let viewer = world.view(0, STREAM);
    world.run(2 * S);
    for _ in 0..3 {
        let client = &mut world.clients[publisher];
        let crate::client::Part::Publisher(part) = &mut client.part else {
            unreachable!("a publisher");
        };
        part.write_monster(&mut client.rtc, 1900);
        let now = world.now;
        world.clients[publisher].handle_timeout(now);
        world.drain_client(publisher);
        world.run(S);
    }
    world.run(3 * S);
    let stats = *world.nodes[0].worker.stats();
    assert_eq!((stats.panics, stats.dropped_unusable), (0, 3));
    let last = world.clients[viewer].viewer().video.decoded.last().unwrap();
    assert!(world.now - last.at < S, "the viewer sees on");
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn sdp_of_every_kind_of_wrong_is_refused_and_leaves_nothing() {
    let seed = seed(92);
    let _seeded = Seeded(seed);
    let mut world = World::new(seed, 1);
    world.publish(0, STREAM, Manner::default());
    world.run_until_complete(STREAM, 2);
    let good = world.good_offer();
    let many = format!(
        "{good}{}",
        "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:x\r\n".repeat(200)
    );
    let without = |prefix: &str| -> String {
        good.lines()
            .filter(|line| !line.starts_with(prefix))
            .flat_map(|line| [line, "\r\n"])
            .collect()
    };
    let wrong = [
        String::new(),
        "\0\u{1}\u{2}".to_owned(),
        "v=0\r\n".to_owned(),
        "m=".to_owned(),
        "m=audio\r\n".to_owned(),
        good[..good.len() / 2].replace("m=", "x="),
        many,
        without("a=ice-ufrag"),
        without("a=ice-pwd"),
        without("a=fingerprint"),
        without("a=rtpmap"),
        good.replace("UDP/TLS/RTP/SAVPF", "RTP/AVP"),
        good.replace("a=setup:", "a=setup:x"),
        good.replace("opus", "x-opus")
            .replace("H264", "x-h264")
            .replace("VP8", "x")
            .replace("VP9", "y")
            .replace("AV1", "z"),
        good.replace("m=", "m=m="),
        good.replace("a=mid:", "a=mid:\u{fffd}"),
    ];
    let before = *world.nodes[0].worker.stats();
    let mut accepted = 0;
    for (at, offer) in wrong.iter().enumerate() {
        for role in [Role::Publisher, Role::Viewer] {
            let stream = if role == Role::Viewer {
                STREAM
            } else {
                StreamId(2)
            };
            let (peer, result) = world.offer_text(0, stream, role, offer);
            match result {
                Err(Refusal::Malformed(_) | Refusal::NotAcceptable(_)) => {}
                // Some of it is merely odd. Then the peer is real, and goes.
                Ok(Reply::Sdp(_)) => accepted += 1,
                other => panic!("{at}: {other:?}"),
            }
            world.tell(0, Command::Close { peer });
        }
    }
    assert!(
        accepted < 8,
        "{accepted} of {} were accepted",
        wrong.len() * 2
    );
    let mut rng = Rng::with_seed(seed);
    for _ in 0..1000 {
        let bytes = mutated(&mut rng, good.as_bytes());
        let bytes = &bytes[..bytes.len().min(4000)];
        let (peer, _) = world.offer_text(0, STREAM, Role::Viewer, &String::from_utf8_lossy(bytes));
        world.tell(0, Command::Close { peer });
    }
    let after = *world.nodes[0].worker.stats();
    assert_eq!(
        (after.publishers, after.viewers),
        (before.publishers, before.viewers)
    );
    assert_eq!(after.panics, 0);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn candidates_and_restarts_of_every_kind_of_wrong_harm_nobody() {
    let seed = seed(93);
    let _seeded = Seeded(seed);
    let mut world = World::new(seed, 1);
    world.publish(0, STREAM, Manner::default());
    world.run_until_complete(STREAM, 2);
    let viewer = world.view(0, STREAM);
    world.run(2 * S);
    let peer = world.clients[viewer].peer;
    let candidates: Vec<String> = [
        "",
        "candidate:",
        "candidate:1 1 udp 2113937151 xxx.local 5000 typ host",
        "candidate:1 1 udp 99999999999 1.2.3.4 5000 typ host",
        "candidate:1 1 udp 1 1.2.3.4 99999 typ host",
        "candidate:1 1 udp 1 :: 0 typ host",
        "candidate:1 1 sctp 1 1.2.3.4 5000 typ host",
        "candidate:1 1 udp 1 224.0.0.1 5000 typ host",
        "candidate:1 1 udp 1 192.0.2.1 5000 typ srflx",
        "a=candidate:1 1 udp 1 192.0.2.2 5000 typ host\r\na=x",
        "\u{0}",
    ]
    .into_iter()
    .map(str::to_owned)
    .chain((0..2000).map(|at| {
        format!(
            "candidate:{at} 1 udp {at} 198.51.100.{} {} typ host",
            at % 250,
            at + 1
        )
    }))
    .collect();
    let request = RequestId(world.next_id());
    let command = Command::AddCandidates {
        request,
        peer,
        candidates: candidates.clone(),
    };
    assert_eq!(world.ask(0, command, request), Ok(Reply::Done));
    let ignored = world.nodes[0].worker.stats().candidates_ignored;
    assert!(ignored > 1900, "{ignored} ignored");
    for (peer, known) in [(peer, true), (sfu::PeerId(u64::MAX), false)] {
        for text in [
            "",
            "\r\na=x:y",
            "x",
            &"u".repeat(10_000),
            "\u{1F3AD}\u{1F3AD}\u{1F3AD}\u{1F3AD}",
        ] {
            let request = RequestId(world.next_id());
            let command = Command::Answer {
                request,
                peer,
                answer: text.to_owned(),
            };
            let result = world.ask(0, command, request);
            assert!(result.is_err(), "{result:?}");
            let request = RequestId(world.next_id());
            let command = Command::RestartIce {
                request,
                peer,
                ufrag: text.to_owned(),
                pwd: text.to_owned(),
                candidates: vec![text.to_owned()],
            };
            let result = world.ask(0, command, request);
            assert!(result.is_err(), "{text:.20?} {known}: {result:?}");
        }
    }
    world.run(10 * S);
    world.check();
    let last = world.clients[viewer].viewer().video.decoded.last().unwrap();
    assert!(world.now - last.at < S, "the viewer sees on");
}
