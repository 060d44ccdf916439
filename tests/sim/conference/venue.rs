//! Conferences as they happen: drawn links, people who speak in turns, links that change.

use std::time::{Duration, Instant};

use fastrand::Rng;
use sfu::{RoomId, StreamId};

use super::microphone::Turn;
use super::participant::Source;
use super::room::Plan;
use crate::link::Link;
use crate::shell::Seeded;
use crate::world::World;

pub const MS: Duration = Duration::from_millis(1);
pub const S: Duration = Duration::from_secs(1);

/// A participant's connection.
#[derive(Debug, Clone, Copy)]
pub struct Path {
    pub bps: u64,
    /// 0 to 1, each way.
    pub loss: f64,
    pub round_trip: Duration,
}

impl Path {
    /// Nothing wrong with it.
    pub const GOOD: Self = Self {
        bps: 20_000_000,
        loss: 0.0,
        round_trip: Duration::from_millis(20),
    };

    /// From a phone at the edge of its cell to a fibre.
    pub fn draw(rng: &mut Rng) -> Self {
        Self {
            bps: draw_bps(rng),
            loss: rng.f64() * 0.08,
            round_trip: MS * rng.u32(20..300),
        }
    }

    pub fn link(self) -> Link {
        Link {
            loss: self.loss,
            delay: self.round_trip / 2,
            jitter: self.round_trip / 20,
            bandwidth_bps: Some(self.bps),
            keeps_losses: true,
            ..Link::default()
        }
    }
}

/// 300 kbit/s to 20 Mbit/s, as many below 2.4 Mbit/s as above.
pub fn draw_bps(rng: &mut Rng) -> u64 {
    (300_000.0 * (20_000_000.0 / 300_000.0_f64).powf(rng.f64())) as u64
}

/// A change of somebody's bandwidth.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    pub at: Instant,
    pub client: usize,
    pub before: u64,
    pub after: u64,
}

/// A conference that runs, and what was done to it.
pub struct Venue {
    pub world: World,
    pub room: RoomId,
    pub people: Vec<usize>,
    pub streams: Vec<StreamId>,
    pub steps: Vec<Step>,
    _seeded: Seeded,
}

impl Venue {
    pub fn new(seed: u64, workers: usize, loudest_max: usize) -> Self {
        let mut world = World::new(seed, workers);
        let room = world.open_room(loudest_max);
        Self {
            world,
            room,
            people: Vec::new(),
            streams: Vec::new(),
            steps: Vec::new(),
            _seeded: Seeded(seed),
        }
    }

    /// This many on good links, cameras on.
    pub fn of(seed: u64, workers: usize, people: usize) -> Self {
        let mut venue = Self::new(seed, workers, 8);
        for _ in 0..people {
            venue.enter(Path::GOOD);
        }
        venue
    }

    /// The next one comes in, on the next worker, and turns the camera on.
    pub fn enter(&mut self, path: Path) -> usize {
        let worker = self.people.len() % self.world.nodes.len();
        let client = self.world.join_with(self.room, worker, |client| {
            client.up = path.link();
            client.down = path.link();
            let camera = client.participant().camera(Source::Camera);
            camera.uplink_bps = Some(path.bps);
        });
        self.people.push(client);
        let stream = self.world.publish_camera(client);
        self.streams.push(stream);
        client
    }

    /// Somebody's bandwidth changes, both ways; its encoder knows at once.
    pub fn set_bps(&mut self, client: usize, bps: u64) {
        let target = &mut self.world.clients[client];
        let before = target.down.bandwidth_bps.replace(bps).unwrap_or(bps);
        target.up.bandwidth_bps = Some(bps);
        target.participant().camera(Source::Camera).uplink_bps = Some(bps);
        self.steps.push(Step {
            at: self.world.now,
            client,
            before,
            after: bps,
        });
    }

    /// What somebody's link carried at a time.
    pub fn bps_at(&self, client: usize, at: Instant) -> u64 {
        let mut steps = self.steps.iter().filter(|step| step.client == client);
        let now = self.world.clients[client].down.bandwidth_bps;
        let next = steps.find(|step| step.at > at);
        next.map(|step| step.before).or(now).unwrap_or(u64::MAX)
    }

    pub fn plan_all(&mut self, plan: &Plan) {
        for client in self.people.clone() {
            self.world.plan(client, plan.clone());
        }
    }

    /// Gives everybody turns to speak between two times, at most `at_once` people at a time.
    pub fn converse(&mut self, rng: &mut Rng, from: Duration, until: Duration, at_once: usize) {
        let mut turns = vec![Vec::<Turn>::new(); self.people.len()];
        let mut free: Vec<Duration> = (0..at_once).map(|_| from).collect();
        while let Some(lane) = (0..at_once).min_by_key(|lane| free[*lane]) {
            let begins = free[lane] + MS * rng.u32(200..1500);
            let ends = begins + MS * rng.u32(500..8000);
            free[lane] = ends;
            if ends >= until {
                break;
            }
            let who = rng.usize(..self.people.len());
            let is_free = turns[who]
                .last()
                .is_none_or(|last| last.until + 500 * MS < begins);
            if is_free {
                turns[who].push(Turn::new(begins, ends));
            }
        }
        for (client, turns) in self.people.clone().into_iter().zip(turns) {
            self.world.script(client, turns);
        }
    }

    /// Runs until this time since the start.
    pub fn run_until(&mut self, since: Duration) {
        self.world.run_until(self.world.base + since);
    }

    /// Asserts that nobody saw or heard anything wrong.
    pub fn check(&self) {
        for at in &self.people {
            let client = &self.world.clients[*at];
            let wrong: Vec<&String> = client.in_conference().unwrap().violations().collect();
            assert!(
                wrong.is_empty(),
                "{} on worker {}: {} violations, first: {:#?}",
                client.peer,
                client.worker,
                wrong.len(),
                &wrong[..wrong.len().min(5)]
            );
        }
        self.world.check();
    }
}
