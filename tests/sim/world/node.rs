//! A media thread.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use sfu::{Certificate, Transport, Worker, WorkerConfig, WorkerId};

/// One media thread.
pub struct Node {
    pub worker: Worker,
    pub address: SocketAddr,
    pub deadline: Instant,
    /// Packets on their way from here to each other worker.
    pub relaying: BTreeMap<usize, usize>,
}

impl Node {
    pub fn new(at: usize, certificate: &Certificate, now: Instant) -> Self {
        let host = u8::try_from(at + 1).unwrap();
        let address = SocketAddr::from(([10, 0, 0, host], 7900));
        let config = WorkerConfig {
            id: WorkerId(u8::try_from(at).unwrap()),
            candidates: vec![(Transport::Udp, address), (Transport::Tcp, address)],
            certificate: certificate.clone(),
            peers_max: 4096,
            streams_max: 64,
        };
        Node {
            worker: Worker::new(config, now),
            address,
            deadline: now,
            relaying: BTreeMap::new(),
        }
    }
}
