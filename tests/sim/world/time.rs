//! Virtual time.

use std::time::{Duration, Instant};

use sfu::Input;

use super::World;
use crate::client::Client;

/// Wake-ups at one instant before the simulation calls it a busy loop.
const WAKES_MAX: u32 = 20_000;

impl World {
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
        let queued = self.queue.next();
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
                self.queue.peek(),
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
        if let Some(delivery) = self.queue.pop(at) {
            self.deliver(delivery);
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
}
