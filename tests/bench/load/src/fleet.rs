//! All peers, driven by one loop.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use mio::{Events, Interest, Poll, Token};
use str0m::media::Direction;

use crate::peer::Peer;
use crate::source::Source;

/// Peers are looked after at least this often, and not more often for their own timers: they are a load, not a subject.
const TICK: Duration = Duration::from_millis(5);
const DATAGRAM_BYTES_MAX: usize = 2000;

pub(crate) struct Fleet {
    bind: IpAddr,
    poll: Poll,
    events: Events,
    /// The first is the publisher.
    peers: Vec<Peer>,
    source: Option<Source>,
    sent: u64,
    last_tick: Instant,
}

impl Fleet {
    pub(crate) fn new(bind: IpAddr) -> Result<Self> {
        Ok(Self {
            bind,
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            peers: Vec::new(),
            source: None,
            sent: 0,
            last_tick: Instant::now(),
        })
    }

    pub(crate) fn add_publisher(&mut self, source: Source) -> Result<String> {
        self.source = Some(source);
        self.add()?.offer(Direction::SendOnly)
    }

    pub(crate) fn publisher_answered(&mut self, answer: &str) -> Result<()> {
        self.peers
            .first_mut()
            .context("no publisher")?
            .answered(answer)
    }

    pub(crate) fn add_offering_viewer(&mut self) -> Result<String> {
        self.add()?.offer(Direction::RecvOnly)
    }

    pub(crate) fn viewer_answered(&mut self, answer: &str) -> Result<()> {
        self.peers.last_mut().context("no viewer")?.answered(answer)
    }

    pub(crate) fn add_answering_viewer(&mut self, offer: &str) -> Result<String> {
        self.add()?.answer(offer)
    }

    /// The publisher sends no more.
    pub(crate) fn silence(&mut self) {
        self.source = None;
    }

    /// Packets sent by the publisher and received by all viewers.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let received = self.peers.iter().skip(1).map(|peer| peer.received).sum();
        (self.sent, received)
    }

    fn add(&mut self) -> Result<&mut Peer> {
        let mut peer = Peer::new(self.bind, Instant::now())?;
        let token = Token(self.peers.len());
        self.poll
            .registry()
            .register(&mut peer.socket, token, Interest::READABLE)?;
        self.peers.push(peer);
        self.peers.last_mut().context("just added")
    }

    pub(crate) fn run_until_connected(&mut self, patience: Duration) -> Result<()> {
        let deadline = Instant::now() + patience;
        while !self.peers.iter().all(|peer| peer.connected) {
            if Instant::now() > deadline {
                let missing = self.peers.iter().filter(|peer| !peer.connected).count();
                bail!("{missing} of {} not connected", self.peers.len());
            }
            self.run_for(TICK)?;
        }
        Ok(())
    }

    /// Keeps everybody going. Zero means one round.
    pub(crate) fn run_for(&mut self, duration: Duration) -> Result<()> {
        let end = Instant::now() + duration;
        let mut buffer = [0; DATAGRAM_BYTES_MAX];
        loop {
            let now = Instant::now();
            self.publish(now)?;
            let frame = self.source.as_ref().and_then(Source::deadline);
            let wake = frame.unwrap_or(end).min(self.last_tick + TICK).min(end);
            self.poll
                .poll(&mut self.events, Some(wake.saturating_duration_since(now)))?;
            for event in &self.events {
                self.peers[event.token().0].receive(&mut buffer)?;
            }
            let now = Instant::now();
            if now >= self.last_tick + TICK {
                self.last_tick = now;
                for peer in self.peers.iter_mut().filter(|peer| peer.deadline <= now) {
                    peer.tick(now)?;
                }
            }
            if now >= end {
                return Ok(());
            }
        }
    }

    fn publish(&mut self, now: Instant) -> Result<()> {
        let (Some(source), Some(publisher)) = (&mut self.source, self.peers.first_mut()) else {
            return Ok(());
        };
        if !publisher.connected {
            return Ok(());
        }
        if std::mem::take(&mut publisher.key_wanted) {
            source.want_key_frame();
        }
        let frame = source.frame(now);
        if !frame.is_empty() {
            self.sent += publisher.send(frame, now)?;
        }
        Ok(())
    }
}
