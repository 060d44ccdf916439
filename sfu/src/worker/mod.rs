//! The worker: everything that one media thread owns.

mod command;
mod data;
mod drain;
mod jam;
mod participant;
mod relay;
mod room;
mod route;
mod slate;
mod source;
mod stats;
mod takeover;
mod tap;
mod tick;
mod watch;
mod wish;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::net::SocketAddr;
use std::time::Instant;

pub use stats::WorkerStats;

use crate::api::{Event, Input, Output, Transport};
use crate::demux::{Demux, Found};
use crate::forward::Outgoing;
use crate::id::{PeerId, RoomId, StreamId, WorkerId};
use crate::peer::{LegRef, Peer};
use crate::rtc::{Certificate, PeerOutput};
use crate::stream::Stream;

/// How a worker is set up.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// Which worker this is.
    pub id: WorkerId,
    /// The local candidates, most likely first: UDP and TCP.
    pub candidates: Vec<(Transport, SocketAddr)>,
    /// The DTLS identity; the same for all workers of a process.
    pub certificate: Certificate,
    /// Peers that are accepted; more are refused with `Full`. An active viewer takes up to 400 kB.
    pub peers_max: usize,
    /// Streams that are known at a time.
    pub streams_max: usize,
}

/// Owns peers and streams; see the crate's documentation for the contract.
///
/// `handle` any number of inputs, the last of a batch being [`Input::Timeout`], then `poll` until
/// [`Output::Timeout`]. Nothing is sent to viewers before that `Timeout` input: a whole receive burst is written first
/// and each viewer drained once.
pub struct Worker {
    config: WorkerConfig,
    peers: Vec<Option<Peer>>,
    free: Vec<usize>,
    by_id: BTreeMap<PeerId, usize>,
    demux: Demux,
    streams: Vec<Option<Stream>>,
    by_stream: BTreeMap<StreamId, usize>,
    rooms: Vec<Option<room::Room>>,
    by_room: BTreeMap<RoomId, usize>,
    outputs: VecDeque<Output>,
    /// Slots with written, undrained packets.
    dirty: Vec<usize>,
    /// Legs whose replay goes on at the next tick.
    replaying: Vec<LegRef>,
    replay_at: Option<Instant>,
    /// Legs that are sent a slate.
    slated: Vec<LegRef>,
    slate_at: Option<Instant>,
    /// Deadlines of peers, possibly outdated; see `Peer::queued`.
    timers: BinaryHeap<Reverse<(Instant, usize)>>,
    next_tick: Instant,
    /// Reused by `drain`.
    scratch: VecDeque<PeerOutput>,
    /// Reused by `route`.
    outgoing: Vec<Outgoing>,
    stats: WorkerStats,
}

impl Worker {
    /// A worker without peers.
    pub fn new(config: WorkerConfig, now: Instant) -> Self {
        Self {
            config,
            peers: Vec::new(),
            free: Vec::new(),
            by_id: BTreeMap::new(),
            demux: Demux::default(),
            streams: Vec::new(),
            by_stream: BTreeMap::new(),
            rooms: Vec::new(),
            by_room: BTreeMap::new(),
            outputs: VecDeque::new(),
            dirty: Vec::new(),
            replaying: Vec::new(),
            replay_at: None,
            slated: Vec::new(),
            slate_at: None,
            timers: BinaryHeap::new(),
            next_tick: now + tick::TICK,
            scratch: VecDeque::new(),
            outgoing: Vec::new(),
            stats: WorkerStats::default(),
        }
    }

    /// Takes one input. Any bytes are fine; what cannot be used is counted in [`Self::stats`].
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Datagram(datagram) => {
                self.stats.datagrams_in += 1;
                self.stats.bytes_in += datagram.payload.len() as u64;
                match self.demux.find(&datagram) {
                    Found::Peer(slot) => self.on_datagram(now, slot, &datagram),
                    found => self.stats.count_lost(found),
                }
            }
            Input::Command(command) => self.on_command(now, command),
            Input::Packet { stream, packet } => self.on_source_packet(now, stream, packet),
            Input::Relay { from, message } => self.on_relay(now, from, message),
            Input::Timeout => self.on_timeout(now),
        }
    }

    /// The next output; [`Output::Timeout`] when there is nothing more to do before that instant.
    pub fn poll(&mut self, now: Instant) -> Output {
        if self.outputs.is_empty() && !self.dirty.is_empty() {
            self.flush(now);
        }
        match self.outputs.pop_front() {
            Some(output) => output,
            None => Output::Timeout(self.deadline()),
        }
    }

    /// What was counted since the start.
    pub fn stats(&self) -> &WorkerStats {
        &self.stats
    }

    fn deadline(&self) -> Instant {
        let timer = self.timers.peek().map(|Reverse((at, _))| *at);
        [timer, self.replay_at, self.slate_at]
            .into_iter()
            .flatten()
            .fold(self.next_tick, Instant::min)
    }

    fn emit(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn peer_mut(&mut self, slot: usize) -> Option<&mut Peer> {
        self.peers.get_mut(slot)?.as_mut()
    }

    fn slot_of(&self, peer: PeerId) -> Option<usize> {
        self.by_id.get(&peer).copied()
    }

    fn stream_slot(&self, stream: StreamId) -> Option<usize> {
        self.by_stream.get(&stream).copied()
    }

    fn stream_mut(&mut self, slot: usize) -> Option<&mut Stream> {
        self.streams.get_mut(slot)?.as_mut()
    }

    /// The slot of `stream`, made if need be; `None` at the limit.
    fn ensure_stream(&mut self, stream: StreamId) -> Option<usize> {
        if let Some(slot) = self.stream_slot(stream) {
            return Some(slot);
        }
        if self.by_stream.len() >= self.config.streams_max {
            return None;
        }
        let slot = match self.streams.iter().position(Option::is_none) {
            Some(slot) => slot,
            None => {
                self.streams.push(None);
                self.streams.len() - 1
            }
        };
        self.streams[slot] = Some(Stream::new(stream));
        self.by_stream.insert(stream, slot);
        Some(slot)
    }
}
