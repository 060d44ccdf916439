//! A load client: one publisher of synthetic packets and many viewers, in one process and one thread, for any server that
//! speaks WHIP and WHEP or Janus's HTTP interface; or a conference; or an audience of low-latency HLS; or a crowd on a message bus.
//! It prints one line of JSON. It judges nothing; the scripts in `tests/bench` do.

#![allow(clippy::print_stdout, reason = "its output is its purpose")]

mod bus;
mod conference;
mod fleet;
mod hls;
mod http;
mod janus;
mod peer;
mod process;
mod quantiles;
mod source;
mod whip;

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Parser, ValueEnum};
use serde_json::json;

use crate::fleet::Fleet;

/// How a server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Dialect {
    Whip,
    Janus,
    /// Everybody is a participant of one conference; `--viewers` of them, of whom `--publishers` send pictures.
    Conference,
    /// `--viewers` who wait for each next part of the multivariant playlist at `--url`.
    Hls,
    /// `--viewers` clients of the message bus at `--url`, as `--scene` says.
    Bus,
}

#[derive(Debug, Parser)]
struct Options {
    /// How the server is spoken to.
    #[arg(value_enum)]
    dialect: Dialect,
    /// `http://host:port` of Proscenium, or of Janus's HTTP transport; HLS: of the playlist.
    #[arg(long)]
    url: String,
    /// The server's process, whose CPU time and memory are read.
    #[arg(long)]
    pid: u32,
    /// The address that clients send from.
    #[arg(long)]
    bind: IpAddr,
    #[arg(long, default_value_t = 50)]
    viewers: usize,
    /// Packets per second from the publisher.
    #[arg(long, default_value_t = 250)]
    rate: u32,
    /// Packets per frame, sent back to back as encoders do.
    #[arg(long, default_value_t = 8)]
    burst: u32,
    /// Bytes of an RTP packet, header included.
    #[arg(long, default_value_t = 1100)]
    size: usize,
    /// Seconds that are measured, after the start-up.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// The publisher falls silent before the viewers come.
    #[arg(long)]
    idle: bool,
    /// Participants who send pictures; conference only.
    #[arg(long, default_value_t = 1)]
    publishers: usize,
    /// Participants who send sound; conference only.
    #[arg(long, default_value_t = 0)]
    speakers: usize,
    /// Seconds within which everybody joins; conference only.
    #[arg(long, default_value_t = 5.0)]
    within: f64,
    /// Milliseconds that the publisher has sent for when the first viewer comes.
    #[arg(long, default_value_t = 1000)]
    before: u64,
    /// Each viewer gets each new part; HLS only.
    #[arg(long)]
    parts: bool,
    /// Milliseconds, at most, between an answer and the next question; HLS only.
    #[arg(long, default_value_t = 50)]
    think: u64,
    #[command(flatten)]
    bus: bus::Flags,
}

/// Between the last join and the measurement.
const WARM_UP: Duration = Duration::from_secs(3);

/// All peers must be connected within this.
const CONNECT_MAX: Duration = Duration::from_secs(30);

fn main() -> Result<()> {
    let options = Options::parse();
    match options.dialect {
        Dialect::Conference => {
            println!("{}", conference::run(&options)?);
            return Ok(());
        }
        Dialect::Hls => {
            println!("{}", hls::run(&options)?);
            return Ok(());
        }
        Dialect::Bus => {
            println!("{}", bus::run(&options)?);
            return Ok(());
        }
        Dialect::Whip | Dialect::Janus => {}
    }
    let mut fleet = Fleet::new(options.bind)?;
    let mut signalling = Signalling::new(&options)?;

    let offer = fleet.add_publisher(source::Source::new(
        options.rate,
        options.burst,
        options.size,
    ))?;
    let answer = signalling.publish(&offer, &mut fleet)?;
    fleet.publisher_answered(&answer)?;
    fleet
        .run_until_connected(CONNECT_MAX)
        .context("the publisher")?;
    fleet.run_for(Duration::from_millis(options.before))?;
    if options.idle {
        fleet.silence();
        fleet.run_for(Duration::from_secs(1))?;
    }
    let before = process::usage(options.pid)?;
    for _ in 0..options.viewers {
        signalling.view(&mut fleet)?;
        fleet.run_for(Duration::ZERO)?;
    }
    fleet.run_until_connected(CONNECT_MAX).context("a viewer")?;
    fleet.run_for(WARM_UP)?;

    let start = process::usage(options.pid)?;
    let (sent, received) = fleet.counts();
    let client_start = process::usage(std::process::id())?;
    fleet.run_for(Duration::from_secs(options.seconds))?;
    let end = process::usage(options.pid)?;
    let (sent, received) = (fleet.counts().0 - sent, fleet.counts().1 - received);
    let client_us = process::usage(std::process::id())?.cpu_us - client_start.cpu_us;
    let cpu_us = end.cpu_us - start.cpu_us;
    let viewers = options.viewers.max(1);
    println!(
        "{}",
        json!({
            "sent": sent,
            "received": received,
            "delivered_percent": if sent == 0 { 100.0 } else { 100.0 * received as f64 / (sent * viewers as u64) as f64 },
            "cpu_us": cpu_us,
            "us_per_packet": if received == 0 { 0.0 } else { cpu_us as f64 / received as f64 },
            "cpu_percent": cpu_us as f64 / (options.seconds.max(1) as f64 * 10_000.0),
            "client_us_per_packet": if received == 0 { 0.0 } else { client_us as f64 / received as f64 },
            "rss_kb_per_viewer": (end.rss_kb.saturating_sub(before.rss_kb)) as f64 / viewers as f64,
            "threads": end.threads,
        })
    );
    signalling.end();
    Ok(())
}

/// Either way of asking a server to take a publisher or a viewer.
enum Signalling {
    Whip(whip::Whip),
    Janus(janus::Janus),
}

impl Signalling {
    fn new(options: &Options) -> Result<Self> {
        Ok(match options.dialect {
            Dialect::Whip => Self::Whip(whip::Whip::new(&options.url)?),
            Dialect::Janus => Self::Janus(janus::Janus::new(&options.url)?),
            Dialect::Conference | Dialect::Hls | Dialect::Bus => {
                bail!("nobody publishes and views by this")
            }
        })
    }

    fn publish(&mut self, offer: &str, fleet: &mut Fleet) -> Result<String> {
        match self {
            Self::Whip(whip) => whip.publish(offer, fleet),
            Self::Janus(janus) => janus.publish(offer),
        }
    }

    fn view(&mut self, fleet: &mut Fleet) -> Result<()> {
        match self {
            Self::Whip(whip) => {
                let offer = fleet.add_offering_viewer()?;
                let answer = whip.view(&offer, fleet)?;
                fleet.viewer_answered(&answer)
            }
            Self::Janus(janus) => {
                let (handle, offer) = janus.offer_for_viewer()?;
                let answer = fleet.add_answering_viewer(&offer)?;
                janus.answer(handle, &answer)
            }
        }
    }

    fn end(&mut self) {
        match self {
            Self::Whip(whip) => whip.end(),
            Self::Janus(janus) => janus.end(),
        }
    }
}

/// Splits `http://host:port`.
fn authority(url: &str) -> Result<&str> {
    match url.strip_prefix("http://") {
        Some(rest) => Ok(rest.trim_end_matches('/')),
        None => bail!("{url} is not an http:// address"),
    }
}
