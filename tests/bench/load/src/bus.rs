//! A crowd of clients of a message bus over WebSocket: how many messages a server delivers, how late, and what it costs it.
//!
//! Any server will do that sends what one client says to all of them. All clients live in one thread that reads many messages with
//! one system call and looks at a few bytes of each: on a small machine it must leave the processors to the server.

mod crowd;
mod envelope;
mod herd;
mod histogram;
mod idle;
mod maximum;
mod positions;
mod socket;

use std::time::Duration;

use anyhow::Result;
use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::{Options, process};

/// What the crowd does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scene {
    /// Says ever more, until the server falls behind; then half of what it could do.
    Maximum,
    /// Listens, after a few words.
    Idle,
    /// Everybody moves at `--rate` positions a second, in the space of the URL `/ws/{space}`, or on `/` in the elektron form.
    Positions,
    /// Joins, prints `ready`, waits until the server is gone, and comes back, all at once.
    Herd,
}

/// What only a crowd has.
#[derive(Debug, Clone, Args)]
pub(crate) struct Flags {
    /// What the crowd does; bus only.
    #[arg(long, value_enum, default_value = "maximum")]
    scene: Scene,
    /// Another process that is part of the server, such as its data base; bus only.
    #[arg(long)]
    also_pid: Vec<u32>,
    /// Messages a second that the search begins with; bus only.
    #[arg(long, default_value_t = 50)]
    rate_from: u32,
    /// They grow by this factor until the server falls behind; bus only.
    #[arg(long, default_value_t = 1.5)]
    growth: f64,
    /// And are never more than this; bus only.
    #[arg(long, default_value_t = 1e6)]
    rate_to: f64,
}

/// Everything that `tests/bench` and the end-to-end tests ask about.
pub(crate) fn run(options: &Options) -> Result<Value> {
    match options.bus.scene {
        Scene::Maximum => maximum::run(options),
        Scene::Idle => idle::run(options),
        Scene::Positions => positions::run(options),
        Scene::Herd => herd::run(options),
    }
}

/// What the server and the crowd have used so far.
struct Usage {
    server_us: u64,
    server_kb: u64,
    own_us: u64,
}

impl Usage {
    fn now(options: &Options) -> Result<Self> {
        let mut usage = Self {
            server_us: 0,
            server_kb: 0,
            own_us: process::usage(std::process::id())?.cpu_us,
        };
        for pid in std::iter::once(options.pid).chain(options.bus.also_pid.iter().copied()) {
            let one = process::usage(pid)?;
            usage.server_us += one.cpu_us;
            usage.server_kb += one.rss_kb;
        }
        Ok(usage)
    }
}

/// Everybody must be connected within this.
const CONNECT_MAX: Duration = Duration::from_secs(30);
