//! Two DTLS ends, a wire and a clock, all of them virtual.

mod close;
mod handshake;
mod hostile;
mod loss;
mod peers;
mod rtc;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use str0m::config::CryptoProvider;
use str0m_proto::crypto::DtlsVersion;
use str0m_proto::crypto::dtls::{DtlsCert, DtlsImplError, DtlsInstance, DtlsOutput, SrtpProfile};

use super::context::generate_certificate;
use super::crypto_provider;

pub(super) const MTU: usize = 1150;
/// One way.
const DELAY: Duration = Duration::from_millis(10);

/// An instant to count from; no test depends on which.
#[expect(
    clippy::disallowed_methods,
    reason = "there is no other way to get one"
)]
pub(super) fn start() -> Instant {
    Instant::now()
}

#[derive(Debug, PartialEq)]
pub(super) enum Seen {
    Certificate(Vec<u8>),
    Connected,
    Keys(Vec<u8>, SrtpProfile),
    Data(Vec<u8>),
    CloseNotify,
}

/// One DTLS instance with all that came out of it.
pub(super) struct End {
    pub(super) dtls: Box<dyn DtlsInstance>,
    pub(super) certificate: Vec<u8>,
    pub(super) seen: Vec<Seen>,
    pub(super) deadline: Instant,
}

impl End {
    /// An end with a new certificate that has been told the time, as str0m does it.
    pub(super) fn new(provider: &CryptoProvider, is_client: bool, now: Instant) -> Self {
        let cert = provider.dtls_provider.generate_certificate().unwrap();
        Self::with(provider, &cert, is_client, now)
    }

    pub(super) fn with(
        provider: &CryptoProvider,
        cert: &DtlsCert,
        is_client: bool,
        now: Instant,
    ) -> Self {
        let mut dtls = provider
            .dtls_provider
            .new_dtls(cert, now, DtlsVersion::Dtls12, Some(MTU))
            .unwrap();
        dtls.set_active(is_client);
        dtls.handle_timeout(now).unwrap();
        if is_client {
            dtls.handle_packet(&[]).unwrap();
        }
        Self {
            dtls,
            certificate: cert.certificate.clone(),
            seen: Vec::new(),
            deadline: now,
        }
    }

    pub(super) fn ours(is_client: bool) -> Self {
        Self::new(&crypto_provider(), is_client, start())
    }

    /// Polls until the timeout; returns the datagrams.
    pub(super) fn drain(&mut self) -> Vec<Vec<u8>> {
        let mut datagrams = Vec::new();
        let mut buf = [0; 2000];
        loop {
            match self.dtls.poll_output(&mut buf) {
                DtlsOutput::Packet(datagram) => {
                    assert!(datagram.len() <= MTU, "{} bytes", datagram.len());
                    datagrams.push(datagram.to_vec());
                }
                DtlsOutput::PeerCert(der) => self.seen.push(Seen::Certificate(der.to_vec())),
                DtlsOutput::Connected => self.seen.push(Seen::Connected),
                DtlsOutput::KeyingMaterial(key, profile) => {
                    self.seen.push(Seen::Keys(key.to_vec(), profile));
                }
                DtlsOutput::ApplicationData(data) => self.seen.push(Seen::Data(data.to_vec())),
                DtlsOutput::CloseNotify => self.seen.push(Seen::CloseNotify),
                DtlsOutput::Timeout(at) => {
                    self.deadline = at;
                    return datagrams;
                }
                other => panic!("{other:?}"),
            }
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        self.seen.contains(&Seen::Connected)
    }

    pub(super) fn keys(&self) -> &Seen {
        self.seen
            .iter()
            .find(|seen| matches!(seen, Seen::Keys(..)))
            .unwrap()
    }

    pub(super) fn data(&self) -> Vec<&[u8]> {
        let data = self.seen.iter().filter_map(|seen| match seen {
            Seen::Data(data) => Some(data.as_slice()),
            _ => None,
        });
        data.collect()
    }
}

type IsLost = Box<dyn FnMut(u64, &[u8]) -> bool>;

/// Client and server; the wire delays every datagram by [`DELAY`] and loses those that `is_lost` says.
pub(super) struct Pair {
    pub(super) ends: [End; 2],
    pub(super) start: Instant,
    pub(super) now: Instant,
    wire: VecDeque<(Instant, usize, Vec<u8>)>,
    pub(super) sent: u64,
    is_lost: IsLost,
}

impl Pair {
    /// `providers` of the client and of the server.
    pub(super) fn new(providers: [&CryptoProvider; 2]) -> Self {
        let now = start();
        Self {
            ends: [
                End::new(providers[0], true, now),
                End::new(providers[1], false, now),
            ],
            start: now,
            now,
            wire: VecDeque::new(),
            sent: 0,
            is_lost: Box::new(|_, _| false),
        }
    }

    pub(super) fn ours() -> Self {
        Self::new([&crypto_provider(), &crypto_provider()])
    }

    /// Loses the datagrams of which `is_lost`, given their number from zero and their bytes, is true.
    pub(super) fn losing(mut self, is_lost: impl FnMut(u64, &[u8]) -> bool + 'static) -> Self {
        self.is_lost = Box::new(is_lost);
        self
    }

    pub(super) fn client(&mut self) -> &mut End {
        &mut self.ends[0]
    }

    pub(super) fn server(&mut self) -> &mut End {
        &mut self.ends[1]
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    pub(super) fn is_connected(&self) -> bool {
        self.ends.iter().all(End::is_connected)
    }

    /// Puts what both ends want to send on the wire, honouring deadlines that have come.
    fn collect(&mut self) -> Result<(), DtlsImplError> {
        for from in 0..2 {
            // An end may ask for the time once or twice more, not for ever.
            for _ in 0..10 {
                for datagram in self.ends[from].drain() {
                    let number = self.sent;
                    self.sent += 1;
                    if !(self.is_lost)(number, &datagram) {
                        self.wire.push_back((self.now + DELAY, 1 - from, datagram));
                    }
                }
                if self.ends[from].deadline > self.now {
                    break;
                }
                self.ends[from].dtls.handle_timeout(self.now)?;
            }
            assert!(self.ends[from].deadline > self.now, "end {from} spins");
        }
        Ok(())
    }

    /// Runs until `is_done` or until nothing happens for an hour.
    pub(super) fn run(&mut self, is_done: impl Fn(&Self) -> bool) -> Result<(), DtlsImplError> {
        for _ in 0..10_000 {
            self.collect()?;
            if is_done(self) {
                return Ok(());
            }
            let arrival = self.wire.front().map(|(at, ..)| *at);
            let deadline = self.ends[0].deadline.min(self.ends[1].deadline);
            let next = arrival.map_or(deadline, |at| at.min(deadline));
            if next > self.now + Duration::from_secs(3600) {
                return Ok(());
            }
            self.now = next;
            if arrival == Some(next) {
                let (_, to, datagram) = self.wire.pop_front().unwrap();
                self.ends[to].dtls.handle_packet(&datagram)?;
            } else {
                for end in &mut self.ends {
                    if end.deadline <= self.now {
                        end.dtls.handle_timeout(self.now)?;
                    }
                }
            }
        }
        panic!("no end after {} datagrams", self.sent);
    }

    pub(super) fn connect(mut self) -> Self {
        self.run(Self::is_connected).unwrap();
        assert!(
            self.is_connected(),
            "not connected after {:?}",
            self.elapsed()
        );
        assert_eq!(self.ends[0].keys(), self.ends[1].keys());
        self
    }

    /// Everything that is on its way arrives.
    pub(super) fn settle(&mut self) {
        self.run(|pair| pair.wire.is_empty()).unwrap();
    }
}
