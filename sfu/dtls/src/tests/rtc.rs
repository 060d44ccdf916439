//! Two whole str0m peers over this provider.

use std::net::SocketAddr;
use std::sync::Arc;

use str0m::channel::{ChannelConfig, ChannelId};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, Rtc};

use super::*;

struct Peer {
    rtc: Rtc,
    address: SocketAddr,
    deadline: Instant,
    events: Vec<Event>,
    error: Option<String>,
}

impl Peer {
    fn new(provider: CryptoProvider, address: &str, now: Instant) -> Self {
        let mut rtc = Rtc::builder()
            .set_crypto_provider(Arc::new(provider))
            .build(now);
        let address = address.parse().unwrap();
        rtc.add_local_candidate(Candidate::host(address, "udp").unwrap());
        Self {
            rtc,
            address,
            deadline: now,
            events: Vec::new(),
            error: None,
        }
    }

    fn drain(&mut self) -> Vec<Vec<u8>> {
        let mut datagrams = Vec::new();
        loop {
            match self.rtc.poll_output() {
                Ok(Output::Transmit(transmit)) => datagrams.push(transmit.contents.to_vec()),
                Ok(Output::Event(event)) => self.events.push(event),
                Ok(Output::Timeout(at)) => {
                    self.deadline = at;
                    return datagrams;
                }
                Err(error) => {
                    self.error = Some(error.to_string());
                    return datagrams;
                }
            }
        }
    }

    fn received(&self) -> Vec<&[u8]> {
        let data = self.events.iter().filter_map(|event| match event {
            Event::ChannelData(data) => Some(data.data.as_slice()),
            _ => None,
        });
        data.collect()
    }
}

struct Call {
    peers: [Peer; 2],
    now: Instant,
    wire: VecDeque<(Instant, usize, Vec<u8>)>,
    channel: ChannelId,
    loss: Box<dyn FnMut() -> bool>,
}

impl Call {
    /// The first peer is the DTLS client.
    fn new(providers: [CryptoProvider; 2], loss: impl FnMut() -> bool + 'static) -> Self {
        let now = start();
        let [first, second] = providers;
        let mut left = Peer::new(first, "192.0.2.1:1000", now);
        let mut right = Peer::new(second, "192.0.2.2:2000", now);
        introduce(&mut left, &right.address, &mut right.rtc, true);
        let address = left.address;
        introduce(&mut right, &address, &mut left.rtc, false);
        let config = ChannelConfig {
            negotiated: Some(1),
            label: "messages".into(),
            ..Default::default()
        };
        right.rtc.direct_api().create_data_channel(config.clone());
        let channel = left.rtc.direct_api().create_data_channel(config);
        Self {
            peers: [left, right],
            now,
            wire: VecDeque::new(),
            channel,
            loss: Box::new(loss),
        }
    }

    fn run(&mut self, label: &str, is_done: impl Fn(&Self) -> bool) {
        for _ in 0..20_000 {
            for from in 0..2 {
                for datagram in self.peers[from].drain() {
                    if !(self.loss)() {
                        self.wire.push_back((self.now + DELAY, 1 - from, datagram));
                    }
                }
            }
            if is_done(self) {
                return;
            }
            let arrival = self.wire.front().map(|(at, ..)| *at);
            let deadline = self.peers[0].deadline.min(self.peers[1].deadline);
            self.now = self
                .now
                .max(arrival.map_or(deadline, |at| at.min(deadline)));
            if arrival == Some(self.now) {
                let (_, to, datagram) = self.wire.pop_front().unwrap();
                let receive = Receive {
                    proto: Protocol::Udp,
                    source: self.peers[1 - to].address,
                    destination: self.peers[to].address,
                    contents: datagram.as_slice().try_into().unwrap(),
                };
                let input = Input::Receive(self.now, receive);
                self.peers[to].rtc.handle_input(input).unwrap();
            }
            for peer in &mut self.peers {
                peer.rtc.handle_input(Input::Timeout(self.now)).unwrap();
            }
        }
        panic!("{label}: not done");
    }
}

/// Tells `peer` of the other one as their SDPs would.
fn introduce(peer: &mut Peer, address: &SocketAddr, other: &mut Rtc, is_client: bool) {
    let other = other.direct_api();
    let fingerprint = other.local_dtls_fingerprint().clone();
    let credentials = other.local_ice_credentials();
    let candidate = Candidate::host(*address, "udp").unwrap();
    peer.rtc.add_remote_candidate(candidate);
    let mut api = peer.rtc.direct_api();
    api.set_remote_fingerprint(fingerprint);
    api.set_remote_ice_credentials(credentials);
    api.set_ice_controlling(is_client);
    api.start_dtls(is_client).unwrap();
    api.start_sctp(is_client);
}

/// Connects, sends a message each way, closes from the left.
fn check(label: &str, providers: [CryptoProvider; 2], loss: impl FnMut() -> bool + 'static) {
    let mut call = Call::new(providers, loss);
    let start = call.now;
    call.run(label, |call| {
        call.peers.iter().all(|p| p.rtc.is_connected())
    });
    assert!(call.now - start < Duration::from_secs(10), "{label}");

    let is_open = |peer: &Peer| {
        let mut events = peer.events.iter();
        events.any(|event| matches!(event, Event::ChannelOpen(..)))
    };
    call.run(label, |call| call.peers.iter().all(is_open));
    let channel = call.channel;
    for peer in &mut call.peers {
        let mut channel = peer.rtc.channel(channel).unwrap();
        assert!(
            channel
                .write(false, &[b"hello", [7; 9000].as_slice()].concat())
                .unwrap()
        );
    }
    call.run(label, |call| {
        call.peers.iter().all(|p| !p.received().is_empty())
    });
    for peer in &call.peers {
        assert_eq!(peer.received()[0].len(), 9005);
    }

    call.loss = Box::new(|| false);
    call.peers[0].rtc.close().unwrap();
    call.run(label, |call| call.peers.iter().all(|p| !p.rtc.is_alive()));
    let last = call.peers[1].events.last();
    assert!(matches!(last, Some(Event::Closed)), "{label}: {last:?}");
}

fn stock() -> CryptoProvider {
    str0m::crypto::from_feature_flags()
}

#[test]
fn str0m_peers_connect_exchange_messages_and_part() {
    check("ours", [crypto_provider(), crypto_provider()], || false);
    check("dimpl is client", [stock(), crypto_provider()], || false);
    check("dimpl is server", [crypto_provider(), stock()], || false);
}

#[test]
fn str0m_peers_do_so_over_a_network_that_loses_every_fifth_datagram() {
    for seed in 0..5 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let loss = move || rng.u8(..5) == 0;
        check(
            &format!("seed {seed}"),
            [crypto_provider(), crypto_provider()],
            loss,
        );
    }
}

#[test]
fn a_certificate_that_is_not_the_one_of_the_sdp_is_refused() {
    let mut call = Call::new([crypto_provider(), crypto_provider()], || false);
    let mut wrong = call.peers[1]
        .rtc
        .direct_api()
        .local_dtls_fingerprint()
        .clone();
    wrong.bytes[0] ^= 1;
    call.peers[0].rtc.direct_api().set_remote_fingerprint(wrong);
    call.run("wrong fingerprint", |call| call.peers[0].error.is_some());
    let error = call.peers[0].error.as_deref().unwrap_or_default();
    assert!(error.contains("fingerprint"), "{error}");
    assert!(!call.peers[0].rtc.is_connected());
}
