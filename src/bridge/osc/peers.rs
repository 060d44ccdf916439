//! Who may send, who is sent to, and how much of it.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crate::config::OscConfig;

/// Messages per second from one sender, and datagrams per second to one peer: a fader at 100 Hz on each of ten channels.
const RATE: f64 = 1000.0;

/// Messages at once: two full datagrams of bundles.
const BURST: f64 = 1024.0;

/// One bit for each peer of the configuration, of which there are at most 32.
pub(super) type PeerSet = u32;

/// Refills [`RATE`] tokens per second up to [`BURST`].
#[derive(Debug)]
struct Bucket {
    tokens: f64,
    at: Option<Instant>,
}

impl Default for Bucket {
    fn default() -> Self {
        Self {
            tokens: BURST,
            at: None,
        }
    }
}

impl Bucket {
    fn take(&mut self, now: Instant) -> bool {
        let age = self.at.map_or(Duration::ZERO, |at| now.duration_since(at));
        self.at = Some(now);
        self.tokens = (self.tokens + age.as_secs_f64() * RATE).min(BURST);
        let has_one = self.tokens >= 1.0;
        if has_one {
            self.tokens -= 1.0;
        }
        has_one
    }
}

/// Who sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    /// Which of the senders.
    sender: usize,
    /// `osc`, or `osc-2` for the second address of the configuration.
    pub(super) name: String,
    /// Who is not sent what comes from here.
    pub(super) echoes: PeerSet,
}

/// Whom OSC is exchanged with.
#[derive(Debug)]
pub(super) struct Peers {
    /// Addresses that may send; empty: this machine.
    addresses: Vec<IpAddr>,
    senders: Vec<Bucket>,
    receivers: Vec<Receiver>,
}

#[derive(Debug)]
struct Receiver {
    at: SocketAddr,
    bit: PeerSet,
    bucket: Bucket,
}

impl Peers {
    pub(super) fn new(config: &OscConfig) -> Self {
        let mut addresses: Vec<IpAddr> = Vec::new();
        let mut receivers = Vec::new();
        for (index, peer) in config.peers.iter().enumerate() {
            if !addresses.contains(&peer.address) {
                addresses.push(peer.address);
            }
            receivers.extend(peer.port.map(|port| Receiver {
                at: SocketAddr::new(peer.address, port),
                bit: 1 << (index % 32),
                bucket: Bucket::default(),
            }));
        }
        let senders = (0..addresses.len().max(1))
            .map(|_| Bucket::default())
            .collect();
        Self {
            addresses,
            senders,
            receivers,
        }
    }

    /// Who sends from there; `None` for a stranger.
    ///
    /// A program that sends from the port at which it listens is known by it. Any other is taken for all programs on its
    /// machine: to be sent one's own words again is worse than not to hear a neighbour's.
    pub(super) fn origin(&self, source: SocketAddr) -> Option<Origin> {
        let source = SocketAddr::new(source.ip().to_canonical(), source.port());
        let (sender, name) = if self.addresses.is_empty() {
            source.ip().is_loopback().then(|| (0, "osc".to_owned()))?
        } else {
            let known = |address: &IpAddr| *address == source.ip();
            let sender = self.addresses.iter().position(known)?;
            (sender, format!("osc-{}", sender + 1))
        };
        let bits = |is_meant: &dyn Fn(SocketAddr) -> bool| {
            let meant = self
                .receivers
                .iter()
                .filter(|receiver| is_meant(receiver.at));
            meant.fold(0, |bits, receiver| bits | receiver.bit)
        };
        let echoes = match bits(&|at| at == source) {
            0 => bits(&|at| at.ip() == source.ip()),
            one => one,
        };
        Some(Origin {
            sender,
            name,
            echoes,
        })
    }

    /// Whether one more message of this sender is taken now.
    pub(super) fn admit(&mut self, origin: &Origin, now: Instant) -> bool {
        let bucket = self.senders.get_mut(origin.sender);
        bucket.is_some_and(|bucket| bucket.take(now))
    }

    /// Where a datagram goes now, without those of `except`; and how many have had enough.
    pub(super) fn receivers(
        &mut self,
        except: PeerSet,
        now: Instant,
        mut send: impl FnMut(SocketAddr),
    ) -> u64 {
        let mut refused = 0;
        for receiver in &mut self.receivers {
            if receiver.bit & except != 0 {
                continue;
            }
            if receiver.bucket.take(now) {
                send(receiver.at);
            } else {
                refused += 1;
            }
        }
        refused
    }

    /// Whether anything is sent to anybody.
    pub(super) fn has_receivers(&self) -> bool {
        !self.receivers.is_empty()
    }
}
