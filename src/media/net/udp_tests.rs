//! Real sockets on loopback: what goes into an [`Egress`] comes out of a [`UdpPort`].

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use mio::{Events, Interest, Poll, Token};

use super::{Egress, UdpPort};

/// Far more than any of these tests needs; a test that hangs ends here.
const PATIENCE: Duration = Duration::from_secs(10);

struct Receiver {
    port: UdpPort,
    poll: Poll,
}

type Received = Vec<(SocketAddr, IpAddr, Vec<u8>)>;

impl Receiver {
    fn new(loopback_only: bool) -> Self {
        let mut port = UdpPort::bind(0, loopback_only).unwrap();
        let poll = Poll::new().unwrap();
        let registry = poll.registry();
        registry
            .register(&mut port, Token(0), Interest::READABLE)
            .unwrap();
        Self { port, poll }
    }

    fn at(&self, ip: &str) -> SocketAddr {
        SocketAddr::new(ip.parse().unwrap(), self.port.local_port())
    }

    /// Waits for `count` datagrams.
    fn take(&mut self, count: usize) -> Received {
        let mut received = Vec::new();
        let mut events = Events::with_capacity(8);
        while received.len() < count {
            let some = self.port.receive(|source, destination, bytes| {
                received.push((source, destination, bytes.to_vec()));
            });
            if some.unwrap() == 0 {
                self.poll.poll(&mut events, Some(PATIENCE)).unwrap();
                assert!(
                    !events.is_empty(),
                    "only {} of {count} came",
                    received.len()
                );
            }
        }
        received
    }
}

fn has_ipv6() -> bool {
    std::net::UdpSocket::bind("[::1]:0").is_ok()
}

#[test]
fn ten_thousand_datagrams_arrive_whole_and_in_order() {
    let mut receiver = Receiver::new(true);
    let mut sender = UdpPort::bind(0, true).unwrap();
    let mut egress = Egress::new();
    let to = receiver.at("127.0.0.1");
    let contents = |number: u32| -> Vec<u8> {
        let mut contents = vec![number as u8; 1100];
        contents[..4].copy_from_slice(&number.to_be_bytes());
        contents
    };
    let mut received = Vec::new();
    for first in (0..10_000).step_by(100) {
        // No more than a small receive buffer holds.
        for number in first..first + 100 {
            egress.push(None, to, contents(number));
        }
        let report = egress.flush(&mut sender);
        assert_eq!((report.sent, report.dropped, report.waiting), (100, 0, 0));
        received.extend(receiver.take(100));
    }
    for (number, (source, destination, bytes)) in (0..).zip(&received) {
        assert_eq!(*bytes, contents(number));
        assert_eq!(source.port(), sender.local_port());
        assert_eq!(destination.to_string(), "127.0.0.1");
    }
    assert_eq!(received.len(), 10_000);
    let calls = egress.totals().calls;
    let expected = if sender.gso_segments_max() > 1 {
        200
    } else {
        10_000
    };
    assert_eq!(calls, expected, "100 datagrams of 1100 bytes are 59 and 41");
}

#[test]
fn mixed_sizes_and_destinations_arrive_in_order_each() {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut receivers = [
        Receiver::new(true),
        Receiver::new(true),
        Receiver::new(false),
    ];
    let mut sender = UdpPort::bind(0, true).unwrap();
    let mut egress = Egress::new();
    for _ in 0..20 {
        let mut expected: [Vec<Vec<u8>>; 3] = Default::default();
        for _ in 0..100 {
            let to = random.usize(..3);
            let length = *random.choice(&[1, 70, 1099, 1100, 1200]).unwrap();
            for _ in 0..random.usize(1..5) {
                let contents: Vec<u8> = std::iter::repeat_with(|| random.u8(..))
                    .take(length)
                    .collect();
                egress.push(None, receivers[to].at("127.0.0.1"), contents.clone());
                expected[to].push(contents);
            }
        }
        assert_eq!(egress.flush(&mut sender).dropped, 0);
        for (receiver, expected) in receivers.iter_mut().zip(expected) {
            let received = receiver.take(expected.len());
            let received: Vec<Vec<u8>> = received.into_iter().map(|(_, _, bytes)| bytes).collect();
            assert!(received == expected, "different bytes or order");
        }
    }
}

#[test]
fn addresses_are_those_of_the_peer_whatever_the_socket() {
    // A dual-stack socket and one per family, each as sender and receiver.
    for (sender_loopback, receiver_loopback) in
        [(true, true), (true, false), (false, true), (false, false)]
    {
        let mut receiver = Receiver::new(receiver_loopback);
        let mut sender = UdpPort::bind(0, sender_loopback).unwrap();
        let mut egress = Egress::new();
        let ips = if has_ipv6() {
            &["127.0.0.1", "::1"][..]
        } else {
            &["127.0.0.1"]
        };
        for ip in ips {
            let ip: IpAddr = ip.parse().unwrap();
            for source in [None, Some(ip)] {
                egress.push(
                    source,
                    SocketAddr::new(ip, receiver.port.local_port()),
                    vec![1; 20],
                );
                egress.push(
                    source,
                    SocketAddr::new(ip, receiver.port.local_port()),
                    vec![2; 20],
                );
                assert_eq!(egress.flush(&mut sender).sent, 2, "{ip} {source:?}");
                for (source, destination, _) in receiver.take(2) {
                    assert_eq!(source, SocketAddr::new(ip, sender.local_port()));
                    assert_eq!(destination, ip);
                }
            }
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_reply_leaves_from_the_address_that_was_asked() {
    // All of 127.0.0.0/8 is this machine.
    let mut receiver = Receiver::new(false);
    let mut sender = UdpPort::bind(0, false).unwrap();
    let mut egress = Egress::new();
    let asked: IpAddr = "127.0.0.9".parse().unwrap();
    egress.push(Some(asked), receiver.at("127.0.0.3"), vec![1; 20]);
    assert_eq!(egress.flush(&mut sender).sent, 1);
    let (source, destination, _) = receiver.take(1).remove(0);
    assert_eq!(source.ip(), asked);
    assert_eq!(destination.to_string(), "127.0.0.3");
}

#[test]
fn one_bad_destination_costs_nobody_else_anything() {
    let mut receiver = Receiver::new(true);
    let mut sender = UdpPort::bind(0, true).unwrap();
    let mut egress = Egress::new();
    let not_here = "203.0.113.77".parse().unwrap();
    let to = receiver.at("127.0.0.1");
    for _ in 0..40 {
        egress.push(Some(not_here), to, vec![0; 100]);
        egress.push(Some(not_here), to, vec![0; 100]);
        egress.push(None, to, vec![0; 66_000]);
        egress.push(None, SocketAddr::new(to.ip(), 0), vec![0; 10]);
        egress.push(None, to, vec![7; 100]);
        egress.push(None, to, vec![7; 100]);
    }
    let report = egress.flush(&mut sender);
    assert_eq!((report.sent, report.dropped, report.waiting), (80, 160, 0));
    if sender.gso_segments_max() > 1 {
        assert_eq!(report.gso_batches, 40, "offload goes on");
    }
    assert!(
        receiver
            .take(80)
            .iter()
            .all(|(_, _, bytes)| *bytes == [7; 100])
    );
}

#[test]
fn empty_datagrams_hide_nothing() {
    let mut receiver = Receiver::new(true);
    let plain = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = receiver.at("127.0.0.1");
    for _ in 0..100 {
        plain.send_to(&[], to).unwrap();
    }
    plain.send_to(&[9], to).unwrap();
    assert_eq!(receiver.take(1)[0].2, [9]);
}

#[test]
fn a_receiver_that_does_not_read_blocks_nobody() {
    let receiver = Receiver::new(true);
    let mut other = Receiver::new(true);
    let mut sender = UdpPort::bind(0, true).unwrap();
    let mut egress = Egress::new();
    // 50 MB fill any receive buffer.
    for _ in 0..50 {
        for _ in 0..1000 {
            egress.push(None, receiver.at("127.0.0.1"), vec![0; 1000]);
        }
        assert_eq!(egress.flush(&mut sender).waiting, 0);
    }
    egress.push(None, other.at("127.0.0.1"), vec![3]);
    egress.flush(&mut sender);
    assert_eq!(other.take(1)[0].2, [3]);
}
