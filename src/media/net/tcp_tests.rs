//! Real connections on loopback to a [`TcpPort`], driven by a `mio::Poll` and a clock of the test's own.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use super::tcp::{TCP_PER_ADDRESS_MAX, TcpPort};
use super::{TCP_CONNECTIONS_MAX, WRITE_QUEUE_MAX};

/// Far more than any of these tests needs; a test that hangs ends here.
const PATIENCE: Duration = Duration::from_secs(10);

struct Server {
    port: TcpPort,
    poll: Poll,
    /// The test's clock.
    now: Instant,
    received: Vec<(SocketAddr, SocketAddr, Vec<u8>)>,
}

impl Server {
    fn new() -> Self {
        let poll = Poll::new().unwrap();
        let mut port = TcpPort::bind(0, true).unwrap();
        port.register(poll.registry(), Token(5)).unwrap();
        Self {
            port,
            poll,
            now: Instant::now(),
            received: Vec::new(),
        }
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port.local_port()))
    }

    fn connect(&mut self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let seen = |server: &Self| {
            let counters = server.port.counters();
            counters.accepted + counters.refused
        };
        let before = seen(self);
        self.until(|server| seen(server) > before);
        stream
    }

    /// A connection that has introduced itself.
    fn connect_ice(&mut self) -> TcpStream {
        let mut stream = self.connect();
        let before = self.received.len();
        stream.write_all(&framed(&stun())).unwrap();
        self.until(|server| server.received.len() > before);
        stream
    }

    /// Handles events until `done`.
    fn until(&mut self, done: impl Fn(&Self) -> bool) {
        let mut events = Events::with_capacity(64);
        while !done(self) {
            self.poll.poll(&mut events, Some(PATIENCE)).unwrap();
            assert!(!events.is_empty(), "nothing happens any more");
            for event in &events {
                assert!(self.port.owns(event.token()));
                self.port
                    .ready(event, self.now, |source, destination, bytes| {
                        self.received.push((source, destination, bytes.to_vec()));
                    });
            }
        }
    }

    fn frames(&self) -> Vec<&[u8]> {
        self.received
            .iter()
            .map(|(_, _, bytes)| &bytes[..])
            .collect()
    }
}

fn framed(contents: &[u8]) -> Vec<u8> {
    let mut bytes = (contents.len() as u16).to_be_bytes().to_vec();
    bytes.extend_from_slice(contents);
    bytes
}

/// A STUN binding request without attributes.
fn stun() -> Vec<u8> {
    let mut message = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    message.extend_from_slice(&[7; 12]);
    message
}

fn is_closed(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    // A reset is as closed as an end.
    stream
        .read_to_end(&mut rest)
        .map_or(true, |_| rest.is_empty())
}

#[test]
fn frames_go_both_ways() {
    let mut server = Server::new();
    let mut client = server.connect_ice();
    let (source, destination, bytes) = server.received[0].clone();
    assert_eq!(source, client.local_addr().unwrap());
    assert_eq!(destination, server.address());
    assert_eq!(bytes, stun());
    assert!(server.port.send(source, &[1, 2, 3]));
    assert!(server.port.send(source, &[4]));
    server.port.flush();
    let mut reply = [0; 8];
    client.read_exact(&mut reply).unwrap();
    assert_eq!(reply, [0, 3, 1, 2, 3, 0, 1, 4]);
}

#[test]
fn a_writer_of_single_bytes_is_understood() {
    let mut server = Server::new();
    let mut client = server.connect();
    client.set_nodelay(true).unwrap();
    let mut bytes = framed(&stun());
    bytes.extend(framed(&[5; 300]));
    for byte in bytes {
        client.write_all(&[byte]).unwrap();
    }
    server.until(|server| server.received.len() == 2);
    assert_eq!(server.frames(), [&stun()[..], &[5; 300]]);
}

#[test]
fn a_megabyte_at_once_is_read_to_its_end() {
    let mut server = Server::new();
    let mut client = server.connect_ice();
    let writer = std::thread::spawn(move || {
        for number in 0..1000_u32 {
            let mut frame = vec![0; 1100];
            frame[..4].copy_from_slice(&number.to_be_bytes());
            client.write_all(&framed(&frame)).unwrap();
        }
        client
    });
    server.until(|server| server.received.len() == 1001);
    for (number, frame) in (0_u32..).zip(&server.frames()[1..]) {
        assert_eq!(frame[..4], number.to_be_bytes());
    }
    drop(writer.join().unwrap());
    server.until(|server| server.port.is_empty());
}

#[test]
fn a_slow_reader_loses_whole_frames_and_never_its_step() {
    let mut server = Server::new();
    let mut client = server.connect_ice();
    let to = client.local_addr().unwrap();
    let mut accepted = Vec::new();
    for number in 0..20_000_u32 {
        let mut frame = vec![0; 1100];
        frame[..4].copy_from_slice(&number.to_be_bytes());
        if server.port.send(to, &frame) {
            accepted.push(number);
        }
        server.port.flush();
    }
    let counters = server.port.counters();
    assert_eq!(counters.sent, accepted.len() as u64);
    assert_eq!(counters.overflowed, 20_000 - counters.sent);
    assert!(counters.overflowed > 0, "the limit was reached");
    // Most of what was taken is in the kernel's buffers, at most this is ours.
    assert!(accepted.len() > WRITE_QUEUE_MAX / 1102);

    let count = accepted.len();
    let reader = std::thread::spawn(move || {
        let mut frame = [0; 1102];
        let mut numbers = Vec::new();
        while numbers.len() < count {
            client.read_exact(&mut frame).unwrap();
            assert_eq!(frame[..2], 1100_u16.to_be_bytes());
            numbers.push(u32::from_be_bytes(frame[2..6].try_into().unwrap()));
        }
        numbers
    });
    // The rest goes as the socket becomes writable; the end of the connection is the reader's.
    server.until(|server| server.port.is_empty());
    assert_eq!(reader.join().unwrap(), accepted);
}

#[test]
fn what_is_not_ice_is_closed_at_once() {
    let check = |bytes: &[u8]| {
        let mut server = Server::new();
        let mut client = server.connect();
        client.write_all(bytes).unwrap();
        server.until(|server| server.port.is_empty());
        assert!(is_closed(&mut client), "{bytes:?}");
        assert_eq!(server.port.counters().malformed, 1, "{bytes:?}");
        assert!(server.received.is_empty(), "{bytes:?}");
    };
    check(b"GET / HTTP/1.1\r\nHost: venue\r\n\r\n");
    check(&[0xff, 0xff]);
    check(&[0, 1, 0]);
    check(&framed(&[0; 20]));
    check(&framed(&[0x80; 200]));
    check(&framed(&stun()[..19]));
}

#[test]
fn a_frame_that_is_too_long_ends_the_connection_but_not_those_before_it() {
    let mut server = Server::new();
    let mut client = server.connect_ice();
    let mut bytes = framed(&[9; 50]);
    bytes.extend([0xff, 0xff, 1, 2, 3]);
    client.write_all(&bytes).unwrap();
    server.until(|server| server.port.is_empty());
    assert_eq!(server.frames(), [&stun()[..], &[9; 50]]);
    assert_eq!(server.port.counters().malformed, 1);
}

#[test]
fn a_silent_connection_is_closed_after_ten_seconds_and_an_idle_one_after_a_minute() {
    let mut server = Server::new();
    let mut silent = server.connect();
    let mut nulls = server.connect();
    nulls.write_all(&[0; 100]).unwrap();
    let mut idle = server.connect_ice();
    let start = server.now;
    let open_after = |server: &mut Server, seconds: u64| {
        server.port.expire(start + Duration::from_secs(seconds));
        server.port.len()
    };
    assert_eq!(open_after(&mut server, 9), 3);
    assert_eq!(open_after(&mut server, 10), 1);
    assert!(is_closed(&mut silent));
    assert!(is_closed(&mut nulls));
    server.now = start + Duration::from_secs(30);
    idle.write_all(&framed(&[1; 20])).unwrap();
    server.until(|server| server.received.len() == 2);
    assert_eq!(open_after(&mut server, 89), 1);
    assert!(server.port.deadline().is_some());
    assert_eq!(open_after(&mut server, 90), 0);
    assert_eq!(server.port.counters().expired, 3);
    assert!(is_closed(&mut idle));
    assert_eq!(server.port.deadline(), None);
}

#[test]
fn one_address_cannot_take_every_connection() {
    const { assert!(TCP_PER_ADDRESS_MAX < TCP_CONNECTIONS_MAX) };
    let mut server = Server::new();
    let mut clients: Vec<TcpStream> = (0..TCP_PER_ADDRESS_MAX).map(|_| server.connect()).collect();
    let mut refused = server.connect();
    assert!(is_closed(&mut refused));
    assert_eq!(server.port.counters().refused, 1);
    assert_eq!(server.port.len(), TCP_PER_ADDRESS_MAX);
    drop(clients.pop());
    server.until(|server| server.port.len() < TCP_PER_ADDRESS_MAX);
    clients.push(server.connect_ice());
    assert_eq!(server.port.len(), TCP_PER_ADDRESS_MAX, "room again");
}

#[test]
fn a_closed_peer_is_forgotten_after_its_last_words() {
    let mut server = Server::new();
    let mut client = server.connect_ice();
    let to = client.local_addr().unwrap();
    assert!(server.port.send(to, &[1, 2]));
    server.port.close(to);
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, [0, 2, 1, 2]);
    assert!(server.port.is_empty());
    assert!(!server.port.send(to, &[3]));
    assert_eq!(server.port.counters().unconnected, 1);
    server.port.close(to);
}
