//! Workers, clients and the paths between them on virtual time; and what the shell does for them.

mod directory;
mod node;
mod paths;
mod queue;
mod time;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use fastrand::Rng;
use sfu::{
    Certificate, Command, DataEvent, Datagram, Event, Input, PeerId, Refusal, Reply, RequestId,
    RoomId, StreamId, TakesOver, TapItem, Transport,
};

use crate::client::{Client, Part};
use crate::conference::Room;
use crate::trace::Trace;

pub use directory::Entry;
pub use node::Node;
use queue::Queue;

/// Virtual time begins here in every world of a process, so that traces can be compared.
static BASE: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Packets between two workers that may be under way; like the shell's rings.
const RELAY_MAX: usize = 1 << 15;

/// Everything.
pub struct World {
    pub now: Instant,
    pub base: Instant,
    pub rng: Rng,
    pub nodes: Vec<Node>,
    pub clients: Vec<Client>,
    pub directory: BTreeMap<StreamId, Entry>,
    pub rooms: BTreeMap<RoomId, Room>,
    /// Every event of every worker, with its time.
    pub events: Vec<(Duration, usize, Event)>,
    /// Replies not taken yet.
    pub replies: BTreeMap<RequestId, Result<Reply, Refusal>>,
    /// What was tapped, with when.
    pub taps: Vec<(Instant, StreamId, TapItem)>,
    /// What participants' data channels brought, with when.
    pub data: Vec<(Instant, PeerId, DataEvent)>,
    pub trace: Trace,
    /// Whom the next publisher may replace.
    pub takes_over: TakesOver,
    pub relay_max: usize,
    pub relay_dropped: u64,
    /// Keep some of the datagrams that arrive at workers, to be mutated.
    pub keeps_samples: bool,
    pub samples: Vec<Vec<u8>>,
    salt: u64,
    queue: Queue,
    next_id: u64,
    wakes: (Instant, u32),
}

impl World {
    /// A world with this many workers.
    pub fn new(seed: u64, workers: usize) -> Self {
        fastrand::seed(seed);
        let certificate = Certificate::generate();
        let nodes = (0..workers)
            .map(|at| Node::new(at, &certificate, *BASE))
            .collect();
        Self {
            now: *BASE,
            base: *BASE,
            rng: Rng::with_seed(seed ^ 0x5eed),
            nodes,
            clients: Vec::new(),
            directory: BTreeMap::new(),
            rooms: BTreeMap::new(),
            events: Vec::new(),
            replies: BTreeMap::new(),
            taps: Vec::new(),
            data: Vec::new(),
            trace: Trace::default(),
            takes_over: TakesOver::Anybody,
            relay_max: RELAY_MAX,
            relay_dropped: 0,
            keeps_samples: false,
            samples: Vec::new(),
            salt: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            queue: Queue::default(),
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
