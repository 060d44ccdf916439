//! What a sent datagram costs: one call each, against segmented sends (GSO), on loopback, in one run.
//!
//! Times depend on the machine and on its other work; the ratio is what counts. The modes take turns, and the figure is the
//! median of all turns. Only the sends are timed, the receivers are emptied in between.
//!
//! `cargo bench --bench egress`

#![expect(clippy::print_stdout, reason = "the figures are the purpose")]

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use proscenium::media::net::{Egress, UdpPort};

/// Bytes of a full media packet.
const LENGTH: usize = 1100;

/// Peers that are sent to.
const PEERS: usize = 16;

/// Datagrams per peer and turn: what a video frame of 1.5 Mbit/s at 10 frames/s, or a keyframe's part, consists of.
const PER_PEER: usize = 16;

const TURNS: usize = 300;

/// One way to send `PEERS * PER_PEER` datagrams; returns how long it took.
type Mode = fn(&mut Bench) -> Duration;

struct Bench {
    plain: UdpSocket,
    port: UdpPort,
    egress: Egress,
    peers: Vec<UdpPort>,
}

impl Bench {
    fn new() -> anyhow::Result<Self> {
        let peers = (0..PEERS).map(|_| UdpPort::bind(0, true));
        Ok(Self {
            plain: UdpSocket::bind("127.0.0.1:0")?,
            port: UdpPort::bind(0, true)?,
            egress: Egress::new(),
            peers: peers.collect::<Result<_, _>>()?,
        })
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        let address = |peer: &UdpPort| SocketAddr::from(([127, 0, 0, 1], peer.local_port()));
        self.peers.iter().map(address).collect()
    }

    /// Empties the receivers; returns how many datagrams they got.
    fn drain(&mut self) -> anyhow::Result<usize> {
        let mut received = 0;
        for peer in &mut self.peers {
            loop {
                match peer.receive(|_, _, _| {})? {
                    0 => break,
                    some => received += some,
                }
            }
        }
        Ok(received)
    }

    fn sendto(&mut self) -> Duration {
        let (addresses, contents) = (self.addresses(), [7; LENGTH]);
        let start = Instant::now();
        for address in addresses {
            for _ in 0..PER_PEER {
                // A datagram that is not sent shows in the number of those received.
                let _ = self.plain.send_to(&contents, address);
            }
        }
        start.elapsed()
    }

    /// Runs of `run` datagrams for one peer, then the next peer.
    fn egress(&mut self, run: usize) -> Duration {
        let addresses = self.addresses();
        for _ in 0..PER_PEER / run {
            for address in &addresses {
                for _ in 0..run {
                    self.egress.push(None, *address, vec![7; LENGTH]);
                }
            }
        }
        let start = Instant::now();
        self.egress.flush(&mut self.port);
        start.elapsed()
    }
}

fn main() -> anyhow::Result<()> {
    let modes: [(&str, Mode); 5] = [
        ("sendto", Bench::sendto),
        ("egress, no neighbours", |bench| bench.egress(1)),
        ("egress, runs of 4", |bench| bench.egress(4)),
        ("egress, runs of 8", |bench| bench.egress(8)),
        ("egress, runs of 16", |bench| bench.egress(16)),
    ];
    let mut bench = Bench::new()?;
    let mut nanos = vec![Vec::with_capacity(TURNS); modes.len()];
    let (mut sent, mut received) = (0, 0);
    for _ in 0..TURNS {
        for ((_, mode), nanos) in modes.iter().zip(&mut nanos) {
            let took = mode(&mut bench);
            nanos.push(took.as_nanos() as usize / (PEERS * PER_PEER));
            sent += PEERS * PER_PEER;
            received += bench.drain()?;
        }
    }
    println!(
        "{PEERS} peers, {LENGTH} bytes, gso segments {}",
        bench.port.gso_segments_max()
    );
    println!("{:<24}{:>14}{:>12}", "", "ns/datagram", "of sendto");
    let medians: Vec<usize> = nanos.iter_mut().map(|values| median(values)).collect();
    for ((name, _), median) in modes.iter().zip(&medians) {
        let ratio = *median as f64 / medians[0] as f64;
        println!("{name:<24}{median:>14}{ratio:>12.2}");
    }
    println!("{received} of {sent} datagrams received");
    Ok(())
}

fn median(values: &mut [usize]) -> usize {
    values.sort_unstable();
    values[values.len() / 2]
}
