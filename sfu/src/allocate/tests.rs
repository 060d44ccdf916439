//! Subscribers whose bandwidth goes up, down and to and fro.

mod properties;
mod tables;
mod traces;

use std::time::{Duration, Instant};

use super::{Allocator, LayerRate, Request, Rung, cut, ladder};
use crate::conference::Priority;
use crate::id::StreamId;

/// Between two allocations.
const STEP: Duration = Duration::from_millis(100);

/// A camera with three simulcast layers.
const SIMULCAST: &[u64] = &[150, 500, 1500];

/// A picture that a subscriber wants, with its own ladder.
#[derive(Debug, Clone)]
struct Picture {
    key: usize,
    rungs: Vec<Rung>,
    priority: Priority,
    is_detail: bool,
}

impl Picture {
    /// Layers of so many kbit/s.
    fn new(key: usize, kbps: &[u64], priority: Priority) -> Picture {
        let rungs = (0..).zip(kbps).map(|(layer, kbps)| Rung {
            layer,
            spatial: 0,
            temporal: 0,
            bps: kbps * 1000,
        });
        Picture {
            key,
            rungs: rungs.collect(),
            priority,
            is_detail: false,
        }
    }

    /// Three layers of three temporal layers each.
    fn temporal(key: usize, priority: Priority) -> Picture {
        let mut picture =
            Picture::new(key, &[60, 90, 150, 200, 300, 500, 600, 900, 1500], priority);
        for (at, rung) in (0..).zip(&mut picture.rungs) {
            (rung.layer, rung.temporal) = (at / 3, at % 3);
        }
        picture
    }

    /// A screen of two resolutions with three temporal layers each.
    fn screen(key: usize) -> Picture {
        let mut picture = Picture::new(key, &[100, 150, 200, 400, 800, 1600], Priority::Pinned);
        for (at, rung) in (0..).zip(&mut picture.rungs) {
            (rung.layer, rung.temporal) = (at / 3, at % 3);
        }
        picture.is_detail = true;
        picture
    }

    fn request(&self) -> Request<'_> {
        Request {
            key: self.key,
            stream: StreamId(self.key as u64),
            rungs: &self.rungs,
            priority: self.priority,
            is_detail: self.is_detail,
        }
    }
}

/// `count` cameras with the same layers and priority.
fn cameras(count: usize, kbps: &[u64]) -> Vec<Picture> {
    let camera = |key| Picture::new(key, kbps, Priority::Normal);
    (0..count).map(camera).collect()
}

/// A subscriber on virtual time.
struct Subscriber {
    allocator: Allocator,
    pictures: Vec<Picture>,
    start: Instant,
    now: Instant,
    rungs: Vec<Option<usize>>,
    desired_bps: u64,
    /// When which stream's rung changed.
    changes: Vec<(Duration, usize)>,
}

impl Subscriber {
    #[expect(clippy::disallowed_methods, reason = "an epoch for virtual time")]
    fn new(pictures: Vec<Picture>) -> Subscriber {
        let start = Instant::now();
        Subscriber {
            allocator: Allocator::default(),
            rungs: vec![None; pictures.len()],
            pictures,
            start,
            now: start,
            desired_bps: 0,
            changes: Vec::new(),
        }
    }

    /// One allocation over `kbps`, 100 ms after the last.
    fn step(&mut self, kbps: u64) -> &[Option<usize>] {
        let requests: Vec<Request<'_>> = self.pictures.iter().map(Picture::request).collect();
        let mut into = Vec::new();
        self.desired_bps = self
            .allocator
            .allocate(self.now, kbps * 1000, &requests, &mut into);
        for (at, picture) in self.pictures.iter().enumerate() {
            if self.rungs.get(at) != into.get(at) {
                self.changes.push((self.now - self.start, picture.key));
            }
        }
        self.rungs = into;
        self.now += STEP;
        &self.rungs
    }

    fn stay(&mut self, ms: u64, kbps: u64) -> &[Option<usize>] {
        for _ in 0..ms / 100 {
            self.step(kbps);
        }
        &self.rungs
    }

    /// What everything together takes.
    fn sum_kbps(&self) -> u64 {
        let costs = self.pictures.iter().zip(&self.rungs);
        costs
            .filter_map(|(picture, rung)| rung.map(|at| picture.rungs[at].bps / 1000))
            .sum()
    }

    /// The most changes of one stream in any time of that length, after `from`.
    fn most_changes(&self, from: Duration, window: Duration) -> usize {
        let streams = self.pictures.iter().map(|picture| picture.key);
        let most = streams.map(|key| {
            let times: Vec<Duration> = self
                .changes
                .iter()
                .filter(|(at, stream)| *stream == key && *at >= from)
                .map(|(at, _)| *at)
                .collect();
            let within = |first: &Duration| {
                let is_within = |at: &&Duration| *at >= first && **at < *first + window;
                times.iter().filter(is_within).count()
            };
            times.iter().map(within).max().unwrap_or(0)
        });
        most.max().unwrap_or(0)
    }
}
