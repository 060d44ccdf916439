//! What is under way, in the order of its arrival.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::time::Instant;

use sfu::{Relay, Transport};

use crate::conference::Signal;

#[derive(Debug)]
pub enum Delivery {
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
    /// Between a participant and the shell.
    Signal { client: usize, signal: Signal },
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

/// Deliveries; those of one instant in the order of their sending.
#[derive(Default)]
pub struct Queue {
    heap: BinaryHeap<Reverse<Scheduled>>,
    order: u64,
}

impl Queue {
    pub fn push(&mut self, at: Instant, delivery: Delivery) {
        self.order += 1;
        self.heap.push(Reverse(Scheduled {
            at,
            order: self.order,
            delivery,
        }));
    }

    pub fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse(scheduled)| scheduled.at)
    }

    pub fn peek(&self) -> Option<&Delivery> {
        self.heap
            .peek()
            .map(|Reverse(scheduled)| &scheduled.delivery)
    }

    /// The first that has arrived at `now`.
    pub fn pop(&mut self, now: Instant) -> Option<Delivery> {
        self.next().filter(|at| *at <= now)?;
        self.heap.pop().map(|Reverse(scheduled)| scheduled.delivery)
    }
}
