//! Two ends and a network that does what the fuzzer says. Not there in any other build.

use std::cell::OnceCell;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use str0m_proto::crypto::dtls::{DtlsCert, DtlsInstance, DtlsOutput};

use super::context::generate_certificate;
use super::instance::Instance;

thread_local! {
    static CERTIFICATE: OnceCell<DtlsCert> = const { OnceCell::new() };
}

struct Network {
    ends: [Instance; 2],
    wire: VecDeque<(usize, Vec<u8>)>,
}

/// Runs the program `data` on a client and a server that are new.
pub fn run(mut now: Instant, data: &[u8]) {
    let cert = CERTIFICATE.with(|cell| {
        let make = || generate_certificate().expect("the machine has randomness");
        cell.get_or_init(make).clone()
    });
    let mut network = Network {
        ends: [true, false].map(|is_client| {
            let mut end = Instance::new(&cert, now, 1150).expect("the certificate is good");
            end.set_active(is_client);
            end
        }),
        wire: VecDeque::new(),
    };
    network.tick(now);

    let mut data = data.iter().copied();
    while let Some(code) = data.next() {
        let mut number = || data.next().unwrap_or(0);
        match code % 10 {
            0 => network.deliver(|_| {}),
            1 => {
                let (high, low, change) = (number(), number(), number());
                network.deliver(|datagram| {
                    let at = usize::from(high) << 8 | usize::from(low);
                    if let Some(byte) = datagram.get_mut(at % 2000) {
                        *byte ^= change;
                    }
                });
            }
            2 => {
                let len = usize::from(number()) * 5;
                network.deliver(|datagram| datagram.truncate(len));
            }
            3 => {
                if let Some(datagram) = network.wire.front().cloned() {
                    network.wire.push_back(datagram);
                }
            }
            4 => network
                .wire
                .rotate_left(usize::from(!network.wire.is_empty())),
            5 => {
                network.wire.pop_front();
            }
            6 => {
                let (to, len) = (number(), number());
                let invented: Vec<u8> = data.by_ref().take(len.into()).collect();
                network.wire.push_front((usize::from(to % 2), invented));
                network.deliver(|_| {});
            }
            7 => {
                now += Duration::from_millis(u64::from(number()) * 20);
                network.tick(now);
            }
            8 => {
                let end = &mut network.ends[usize::from(number() % 2)];
                let _ = end.send_application_data(&[code; 300]);
            }
            _ => {
                let _ = network.ends[usize::from(number() % 2)].close();
            }
        }
        network.drain();
    }
}

impl Network {
    /// Errors are fine; what follows one is what matters.
    fn deliver(&mut self, change: impl FnOnce(&mut Vec<u8>)) {
        if let Some((to, mut datagram)) = self.wire.pop_front() {
            change(&mut datagram);
            let _ = self.ends[to].handle_packet(&datagram);
        }
    }

    fn tick(&mut self, now: Instant) {
        for end in &mut self.ends {
            let _ = end.handle_timeout(now);
        }
        self.drain();
    }

    fn drain(&mut self) {
        let mut buf = [0; 2000];
        for from in 0..2 {
            // As many as can be queued, and some.
            for outputs in 0.. {
                assert!(outputs < 400, "outputs without end");
                match self.ends[from].poll_output(&mut buf) {
                    DtlsOutput::Packet(datagram) => {
                        assert!(datagram.len() <= 1150, "{} bytes", datagram.len());
                        self.wire.push_back((1 - from, datagram.to_vec()));
                    }
                    DtlsOutput::Timeout(_) => break,
                    // A record too long for str0m: it closes such a peer.
                    DtlsOutput::BufferTooSmall { .. } => break,
                    _ => {}
                }
            }
        }
        self.wire.truncate(100);
    }
}
