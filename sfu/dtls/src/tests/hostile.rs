//! What the network may send. Nothing of it panics or fills the memory, and what cannot be told from line noise has no
//! effect at all.

use super::*;

/// A DTLS 1.2 record.
fn record(kind: u8, epoch: u16, sequence: u8, body: &[u8]) -> Vec<u8> {
    let mut record = vec![kind, 0xfe, 0xfd];
    record.extend(epoch.to_be_bytes());
    record.extend([0, 0, 0, 0, 0, sequence]);
    record.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    record.extend(body);
    record
}

/// The 12 bytes of a handshake message's header, RFC 6347 section 4.2.2, and a body.
fn message(kind: u8, len: u32, sequence: u8, offset: u32, body: &[u8]) -> Vec<u8> {
    let mut message = vec![kind];
    message.extend(&len.to_be_bytes()[1..]);
    message.extend([0, sequence]);
    message.extend(&offset.to_be_bytes()[1..]);
    message.extend(&u32::try_from(body.len()).unwrap().to_be_bytes()[1..]);
    message.extend(body);
    message
}

fn client_hello() -> Vec<u8> {
    let mut hello = End::ours(true).drain();
    assert_eq!(hello.len(), 1);
    hello.remove(0)
}

/// Noise is ignored and the handshake goes on as if nothing had been.
fn check_ignored(label: &str, noise: &[Vec<u8>]) {
    for at in 0..4 {
        let mut pair = Pair::ours();
        for _ in 0..at {
            pair.collect().unwrap();
            if let Some((_, to, datagram)) = pair.wire.pop_front() {
                pair.ends[to].dtls.handle_packet(&datagram).unwrap();
            }
        }
        for end in &mut pair.ends {
            for datagram in noise {
                let result = end.dtls.handle_packet(datagram);
                assert!(result.is_ok(), "{label}: {result:?} at {at}: {datagram:?}");
            }
        }
        pair.connect();
    }
}

#[test]
fn line_noise_is_ignored_at_any_time() {
    let mut rng = fastrand::Rng::with_seed(1);
    let random: Vec<Vec<u8>> = (0..200)
        .map(|len| {
            let mut noise: Vec<u8> = (0..len).map(|_| rng.u8(..)).collect();
            if let Some(first) = noise.first_mut() {
                *first = 20 + *first % 5;
            }
            noise
        })
        .collect();
    check_ignored("random", &random);
    check_ignored("zeros", &[vec![0; 1], vec![0; 13], vec![0; 2000]]);
    check_ignored("ones", &[vec![255; 1], vec![255; 13], vec![255; 2000]]);
    check_ignored(
        "a record longer than its datagram",
        &[record(22, 0, 9, &[1; 9])[..15].to_vec()],
    );
    check_ignored(
        "a short encrypted record",
        &[record(23, 1, 9, &[1; 5]), record(21, 1, 8, &[1; 24])],
    );
    let hidden = record(23, 1, 9, &[1; 5]);
    let mut hiding = record(23, 1, 8, &hidden);
    hiding[1] = 3;
    check_ignored("a short one hidden in one of a wrong version", &[hiding]);
    check_ignored("a far epoch", &[record(22, 7, 9, &[1; 99])]);
    check_ignored("SRTP", &[vec![0x80; 1200]]);
    check_ignored("a record of 64 kB", &[record(22, 0, 9, &[1; 65_000])]);
}

#[test]
fn a_client_hello_cut_anywhere_is_ignored() {
    let hello = client_hello();
    let cut: Vec<_> = (0..hello.len()).map(|len| hello[..len].to_vec()).collect();
    let mut pair = Pair::ours();
    for datagram in &cut {
        pair.server().dtls.handle_packet(datagram).unwrap();
    }
    assert!(pair.server().drain().is_empty());
    pair.connect();
}

#[test]
fn a_handshake_with_any_byte_changed_ends_in_a_connection_or_an_error() {
    let (mut connected, mut failed) = (0, 0);
    for datagram in 0..4 {
        for position in (0..1200).step_by(23) {
            let mut pair = Pair::ours();
            for number in 0..12 {
                if pair.collect().is_err() {
                    break;
                }
                let Some((_, to, mut bytes)) = pair.wire.pop_front() else {
                    break;
                };
                if number == datagram {
                    let position = position % bytes.len();
                    bytes[position] ^= 0x55;
                }
                if pair.ends[to].dtls.handle_packet(&bytes).is_err() {
                    failed += 1;
                    break;
                }
            }
            connected += u32::from(pair.is_connected());
        }
    }
    assert!(failed > 50, "{connected} connected, {failed} failed");
}

#[test]
fn a_failed_end_does_nothing_any_more() {
    let mut server = End::ours(false);
    // A ClientHello that ends in its middle, in a record that does not.
    let hello = record(22, 0, 0, &message(1, 40, 0, 0, &[1; 40]));
    server.dtls.handle_packet(&hello).unwrap_err();
    server.drain();
    server.dtls.handle_packet(&client_hello()).unwrap();
    server
        .dtls
        .handle_timeout(start() + Duration::from_secs(90))
        .unwrap();
    assert!(server.drain().is_empty());
    assert!(server.dtls.send_application_data(b"no").is_err());
    server.dtls.close().unwrap();
    assert!(server.dtls.is_closed());
}

#[test]
fn messages_of_impossible_length_are_refused_or_ignored() {
    for len in [40_000, 0xff_ffff] {
        for sequence in 0..20 {
            let mut server = End::ours(false);
            for offset in [0, 10, len - 100] {
                let fragment = message(11, len, sequence, offset, &[0; 100]);
                let _ = server
                    .dtls
                    .handle_packet(&record(22, 0, sequence, &fragment));
                assert!(server.drain().is_empty() || sequence == 0);
            }
        }
    }
}

#[test]
fn a_flood_of_early_records_does_not_hinder_the_handshake() {
    let flood: Vec<u8> = (0..100).flat_map(|n| record(22, 1, n, &[n; 40])).collect();
    let mut pair = Pair::ours();
    let hello = pair.client().drain();
    pair.server().dtls.handle_packet(&hello[0]).unwrap();
    for _ in 0..100 {
        pair.server().dtls.handle_packet(&flood).unwrap();
    }
    pair.connect();
}

#[test]
fn a_flood_on_a_connection_leaves_no_trace() {
    let mut pair = Pair::ours().connect();
    let mut rng = fastrand::Rng::with_seed(2);
    for n in 0..20_000_u32 {
        let body: Vec<u8> = (0..rng.usize(1..60)).map(|_| rng.u8(..)).collect();
        let kind = rng.u8(20..24);
        let flood = record(kind, rng.u16(..3), rng.u8(..), &body);
        pair.ends[n as usize % 2]
            .dtls
            .handle_packet(&flood)
            .unwrap();
    }
    for end in &mut pair.ends {
        assert!(end.drain().is_empty());
        assert_eq!(end.seen.len(), 3);
        end.dtls.send_application_data(b"still here").unwrap();
    }
    pair.settle();
    assert!(pair.ends.iter().all(|end| end.data() == [b"still here"]));
}

#[test]
fn a_repeated_datagram_is_delivered_once() {
    let mut pair = Pair::ours().connect();
    pair.client().dtls.send_application_data(b"once").unwrap();
    let datagram = pair.client().drain().remove(0);
    for _ in 0..3 {
        pair.server().dtls.handle_packet(&datagram).unwrap();
    }
    pair.server().drain();
    assert_eq!(pair.server().data(), [b"once"]);
}

#[test]
fn a_datagram_of_many_records_is_cut_at_the_limit() {
    let mut pair = Pair::ours().connect();
    let mut datagram = Vec::new();
    for n in 0..200 {
        pair.client().dtls.send_application_data(&[n]).unwrap();
        datagram.extend(pair.client().drain().remove(0));
    }
    pair.server().dtls.handle_packet(&datagram).unwrap();
    pair.server().drain();
    assert_eq!(pair.server().data().len(), 128);
}

#[test]
fn what_is_not_polled_is_not_accepted_without_end() {
    let mut pair = Pair::ours().connect();
    let client = pair.client();
    let accepted = (0..1000)
        .take_while(|_| client.dtls.send_application_data(&[0; 1000]).unwrap() > 0)
        .count();
    assert_eq!(accepted, 64);
    assert_eq!(client.drain().len(), 64);
    assert_eq!(client.dtls.send_application_data(&[0; 1000]).unwrap(), 1000);
    client.dtls.send_application_data(&[0; 20_000]).unwrap_err();
}
