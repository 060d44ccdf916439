//! Workers, clients and the paths between them on virtual time; and what the shell does for them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use fastrand::Rng;
use sfu::{
    Certificate, Command, Datagram, Event, Input, Output, PeerId, Refusal, Relay, Reply, RequestId,
    StreamId, TrackInfo, Transport, Worker, WorkerConfig, WorkerId,
};

use crate::client::{Client, Part};
use crate::trace::Trace;

/// Virtual time begins here in every world of a process, so that traces can be compared.
static BASE: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Wake-ups at one instant before the simulation calls it a busy loop.
const WAKES_MAX: u32 = 20_000;

/// Packets between two workers that may be under way; like the shell's rings.
const RELAY_MAX: usize = 1 << 15;

/// Datagrams kept for mutation.
const SAMPLES_MAX: usize = 400;

/// Streams that a client may write at one instant.
const WRITES_MAX: usize = 64;

/// Time that a message takes from one worker to another.
const RELAY_DELAY: Duration = Duration::from_micros(200);

#[derive(Debug)]
enum Delivery {
    ToWorker {
        worker: usize,
        transport: Transport,
        source: SocketAddr,
        bytes: Vec<u8>,
    },
    ToClient {
        client: usize,
        external: SocketAddr,
        source: SocketAddr,
        bytes: Vec<u8>,
    },
    Relay {
        from: usize,
        to: usize,
        message: Box<Relay>,
    },
}

struct Scheduled {
    at: Instant,
    order: u64,
    delivery: Delivery,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// One media thread.
pub struct Node {
    pub worker: Worker,
    pub address: SocketAddr,
    deadline: Instant,
    /// Packets on their way from here to each other worker.
    relaying: BTreeMap<usize, usize>,
}

/// What the shell knows of a stream.
#[derive(Debug, Clone, Default)]
pub struct Entry {
    pub origin: Option<usize>,
    pub publisher: Option<PeerId>,
    pub tracks: Vec<TrackInfo>,
}

/// Everything.
pub struct World {
    pub now: Instant,
    pub base: Instant,
    pub rng: Rng,
    pub nodes: Vec<Node>,
    pub clients: Vec<Client>,
    pub directory: BTreeMap<StreamId, Entry>,
    /// Every event of every worker, with its time.
    pub events: Vec<(Duration, usize, Event)>,
    /// Replies not taken yet.
    pub replies: BTreeMap<RequestId, Result<Reply, Refusal>>,
    pub trace: Trace,
    pub relay_max: usize,
    pub relay_dropped: u64,
    /// Keep some of the datagrams that arrive at workers, to be mutated.
    pub keeps_samples: bool,
    pub samples: Vec<Vec<u8>>,
    salt: u64,
    queue: BinaryHeap<Reverse<Scheduled>>,
    order: u64,
    next_id: u64,
    wakes: (Instant, u32),
}

impl World {
    /// A world with this many workers.
    pub fn new(seed: u64, workers: usize) -> Self {
        fastrand::seed(seed);
        let certificate = Certificate::generate();
        let nodes = (0..workers)
            .map(|at| {
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
                    worker: Worker::new(config, *BASE),
                    address,
                    deadline: *BASE,
                    relaying: BTreeMap::new(),
                }
            })
            .collect();
        Self {
            now: *BASE,
            base: *BASE,
            rng: Rng::with_seed(seed ^ 0x5eed),
            nodes,
            clients: Vec::new(),
            directory: BTreeMap::new(),
            events: Vec::new(),
            replies: BTreeMap::new(),
            trace: Trace::default(),
            relay_max: RELAY_MAX,
            relay_dropped: 0,
            keeps_samples: false,
            samples: Vec::new(),
            salt: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            queue: BinaryHeap::new(),
            order: 0,
            next_id: 1,
            wakes: (*BASE, 0),
        }
    }

    /// Virtual time since the start.
    pub fn elapsed(&self) -> Duration {
        self.now - self.base
    }

    pub fn next_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// A fresh client address.
    pub fn fresh_address(&mut self) -> SocketAddr {
        let id = self.next_id();
        let [.., high, low] = id.to_be_bytes();
        SocketAddr::from(([10, 1, high, low], 40_000))
    }

    /// Runs a command and returns its reply.
    pub fn ask(
        &mut self,
        worker: usize,
        command: Command,
        request: RequestId,
    ) -> Result<Reply, Refusal> {
        self.feed(worker, Input::Command(command));
        self.replies
            .remove(&request)
            .expect("every command with a request is answered at once")
    }

    /// Runs a command without a reply.
    pub fn tell(&mut self, worker: usize, command: Command) {
        self.feed(worker, Input::Command(command));
    }

    /// Adds a client that was accepted.
    pub fn add(&mut self, client: Client) -> usize {
        self.clients.push(client);
        let at = self.clients.len() - 1;
        self.drain_client(at);
        at
    }

    /// Hands one input to a worker and takes everything that comes of it.
    pub fn feed(&mut self, worker: usize, input: Input<'_>) {
        let now = self.now;
        let node = &mut self.nodes[worker];
        node.worker.handle(now, input);
        node.worker.handle(now, Input::Timeout);
        self.drain_worker(worker);
    }

    /// A datagram from anywhere, at once.
    pub fn inject(
        &mut self,
        worker: usize,
        transport: Transport,
        source: SocketAddr,
        payload: &[u8],
    ) {
        let destination = self.nodes[worker].address;
        self.feed(
            worker,
            Input::Datagram(Datagram {
                transport,
                source,
                destination,
                payload,
            }),
        );
    }

    /// Lets `duration` pass.
    pub fn run(&mut self, duration: Duration) {
        let until = self.now + duration;
        self.run_until(until);
    }

    pub fn run_until(&mut self, until: Instant) {
        while let Some(at) = self.next().filter(|at| *at <= until) {
            self.step(at.max(self.now));
        }
        self.now = until.max(self.now);
    }

    /// Lets time pass until `done`, at most for `limit`; returns how long it took.
    pub fn run_while(
        &mut self,
        limit: Duration,
        mut goes_on: impl FnMut(&Self) -> bool,
    ) -> Option<Duration> {
        let start = self.now;
        while goes_on(self) {
            if self.now - start > limit {
                return None;
            }
            let next = self.next()?;
            self.step(next.max(self.now));
        }
        Some(self.now - start)
    }

    fn next(&self) -> Option<Instant> {
        let queued = self.queue.peek().map(|Reverse(scheduled)| scheduled.at);
        let nodes = self.nodes.iter().map(|node| node.deadline);
        let clients = self.clients.iter().filter_map(Client::next);
        queued.into_iter().chain(nodes).chain(clients).min()
    }

    fn step(&mut self, at: Instant) {
        self.now = at;
        if self.wakes.0 == at {
            self.wakes.1 += 1;
            assert!(
                self.wakes.1 < WAKES_MAX,
                "busy loop at {:?}: queue {:?}, nodes {:?}, clients {:?}",
                self.elapsed(),
                self.queue
                    .peek()
                    .map(|Reverse(scheduled)| &scheduled.delivery),
                self.nodes
                    .iter()
                    .map(|node| node.deadline <= at)
                    .collect::<Vec<_>>(),
                self.clients
                    .iter()
                    .map(|client| client.next() <= Some(at))
                    .collect::<Vec<_>>(),
            );
        } else {
            self.wakes = (at, 0);
        }
        if self
            .queue
            .peek()
            .is_some_and(|Reverse(scheduled)| scheduled.at <= at)
        {
            let Reverse(scheduled) = self.queue.pop().expect("peeked");
            self.deliver(scheduled.delivery);
            return;
        }
        for worker in 0..self.nodes.len() {
            if self.nodes[worker].deadline <= at {
                self.nodes[worker].worker.handle(at, Input::Timeout);
                self.drain_worker(worker);
                return;
            }
        }
        for client in 0..self.clients.len() {
            if self.clients[client].next().is_some_and(|next| next <= at) {
                self.wake_client(client);
                return;
            }
        }
    }

    fn deliver(&mut self, delivery: Delivery) {
        match delivery {
            Delivery::ToWorker {
                worker,
                transport,
                source,
                bytes,
            } => {
                self.trace.note(self.now - self.base, "up", source, &bytes);
                if self.keeps_samples && self.samples.len() < SAMPLES_MAX {
                    self.samples.push(bytes.clone());
                }
                self.inject(worker, transport, source, &bytes);
            }
            Delivery::ToClient {
                client,
                external,
                source,
                bytes,
            } => {
                let now = self.now;
                let target = &mut self.clients[client];
                if target.external != external || target.is_dead {
                    return;
                }
                self.trace.note(now - self.base, "down", external, &bytes);
                target.handle(now, source, &bytes);
                self.drain_client(client);
            }
            Delivery::Relay { from, to, message } => {
                if matches!(*message, Relay::Packet { .. }) {
                    *self.nodes[from].relaying.entry(to).or_default() -= 1;
                }
                let from = WorkerId(u8::try_from(from).unwrap());
                self.feed(
                    to,
                    Input::Relay {
                        from,
                        message: *message,
                    },
                );
            }
        }
    }

    fn schedule(&mut self, at: Instant, delivery: Delivery) {
        self.order += 1;
        self.queue.push(Reverse(Scheduled {
            at,
            order: self.order,
            delivery,
        }));
    }

    fn drain_worker(&mut self, worker: usize) {
        loop {
            let now = self.now;
            match self.nodes[worker].worker.poll(now) {
                Output::Timeout(at) => {
                    self.nodes[worker].deadline = at;
                    return;
                }
                Output::Transmit(transmit) => {
                    assert_eq!(transmit.source, self.nodes[worker].address);
                    let target = self
                        .clients
                        .iter()
                        .position(|client| client.external == transmit.destination);
                    let Some(client) = target else { continue };
                    let salt = self.salt ^ (client as u64) << 1;
                    let (base, contents) = (self.base, &transmit.contents);
                    let target = &mut self.clients[client];
                    let at = if target.tcp {
                        Some(now + target.down.delay)
                    } else {
                        target.down.carry(now, base, salt, contents)
                    };
                    if let Some(at) = at {
                        let delivery = Delivery::ToClient {
                            client,
                            external: transmit.destination,
                            source: transmit.source,
                            bytes: transmit.contents,
                        };
                        self.schedule(at, delivery);
                    }
                }
                Output::Relay { to, message } => self.relay(worker, usize::from(to.0), message),
                Output::Reply { request, result } => {
                    let before = self.replies.insert(request, result);
                    assert!(before.is_none(), "{request} was answered twice");
                }
                Output::Event(event) => self.on_event(worker, event),
            }
        }
    }

    fn relay(&mut self, from: usize, to: usize, message: Relay) {
        assert_ne!(from, to, "a worker relays to itself: {message:?}");
        if matches!(message, Relay::Packet { .. }) {
            let under_way = self.nodes[from].relaying.entry(to).or_default();
            if *under_way >= self.relay_max {
                self.relay_dropped += 1;
                return;
            }
            *under_way += 1;
        }
        let message = Box::new(message);
        self.schedule(
            self.now + RELAY_DELAY,
            Delivery::Relay { from, to, message },
        );
    }

    fn on_event(&mut self, worker: usize, event: Event) {
        self.trace.note_event(self.now - self.base, worker, &event);
        match &event {
            Event::Live {
                stream,
                peer,
                tracks,
            } => {
                let entry = self.directory.entry(*stream).or_default();
                if entry.publisher == Some(*peer) {
                    entry.tracks.clone_from(tracks);
                }
            }
            Event::Ended { stream, peer } => {
                let entry = self.directory.entry(*stream).or_default();
                if entry.publisher == Some(*peer) {
                    *entry = Entry::default();
                    self.tell_origin(*stream, None, None);
                }
            }
            _ => {}
        }
        self.events.push((self.now - self.base, worker, event));
    }

    /// Tells every worker but `except` where a stream comes from.
    pub fn tell_origin(&mut self, stream: StreamId, origin: Option<usize>, except: Option<usize>) {
        let origin = origin.map(|at| WorkerId(u8::try_from(at).unwrap()));
        for worker in (0..self.nodes.len()).filter(|worker| Some(*worker) != except) {
            let now = self.now;
            let command = Command::SetOrigin { stream, origin };
            self.nodes[worker]
                .worker
                .handle(now, Input::Command(command));
            // Drained by its deadline, which is now.
            self.nodes[worker].deadline = now;
        }
    }

    fn wake_client(&mut self, at: usize) {
        let now = self.now;
        let client = &mut self.clients[at];
        let wants_keyframe = match &mut client.part {
            Part::Viewer(viewer) => viewer.look(now),
            Part::Publisher(_) => false,
        };
        if wants_keyframe {
            client.ask_keyframe();
        }
        client.handle_timeout(now);
        self.drain_client(at);
    }

    /// Sends what a client has to send.
    pub fn drain_client(&mut self, at: usize) {
        let (now, worker) = (self.now, self.clients[at].worker);
        let client = &mut self.clients[at];
        if client.is_dead {
            return;
        }
        let mut sent = Vec::new();
        let salt = self.salt ^ (at as u64) << 1 ^ 1;
        let base = self.base;
        for _ in 0..WRITES_MAX {
            let tcp = client.tcp;
            client.drain(now, |link, _, bytes| {
                let at = if tcp {
                    Some(now + link.delay)
                } else {
                    link.carry(now, base, salt, &bytes)
                };
                sent.extend(at.map(|at| (at, bytes)));
            });
            if !write_media(client, now) {
                break;
            }
        }
        let source = self.clients[at].external;
        let transport = if self.clients[at].tcp {
            Transport::Tcp
        } else {
            Transport::Udp
        };
        for (at, bytes) in sent {
            self.schedule(
                at,
                Delivery::ToWorker {
                    worker,
                    transport,
                    source,
                    bytes,
                },
            );
        }
    }

    /// Asserts that no viewer saw anything wrong.
    pub fn check(&self) {
        for client in &self.clients {
            if let Part::Viewer(viewer) = &client.part {
                let wrong: Vec<&String> = viewer.violations().take(5).collect();
                assert!(
                    wrong.is_empty(),
                    "viewer {} on worker {}: {} violations, first: {wrong:#?}",
                    client.peer,
                    client.worker,
                    viewer.violations().count()
                );
            }
        }
        for node in &self.nodes {
            assert_eq!(node.worker.stats().panics, 0);
        }
    }
}

/// Lets a connected publisher write; returns whether it did.
fn write_media(client: &mut Client, now: Instant) -> bool {
    let Part::Publisher(publisher) = &mut client.part else {
        return false;
    };
    if client.connected_at.is_none() || client.is_closed {
        return false;
    }
    if !publisher.is_started() {
        let (audio, video) = (client.audio_mid, client.video_mid);
        publisher.start(now, &mut client.rtc, audio, video, &client.rids);
    }
    if !publisher.write(now, &mut client.rtc) {
        return false;
    }
    client.handle_timeout(now);
    true
}
