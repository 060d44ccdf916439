//! What forwarding a packet costs inside a worker: one publisher, N viewers, all in memory, no sockets.
//!
//! Times are printed for a first look only; `tests/bench/instructions` runs this under callgrind and counts instructions in
//! [`measured_forwarding`] and [`measured_upkeep`] alone, which is stable. What the clients do is outside of both.
//!
//! `cargo bench --bench forward -- VIEWERS [vp8|h264]`

#![expect(clippy::print_stdout, reason = "the figures are the purpose")]

mod client;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use sfu::{
    Certificate, Command, Datagram, Input, Output, PeerId, Reply, RequestId, Role, StreamId,
    TakesOver, TrackInfo, Transport, Worker, WorkerConfig, WorkerId,
};
use str0m::format::Codec;
use str0m::media::Direction;

use client::Client;

/// Bytes of an RTP payload.
const PAYLOAD: usize = 1100;

/// Shorter datagrams to a viewer are no media.
const MEDIA_MIN: usize = 1000;

/// Packets of one frame, received as one burst. 12 of 1100 bytes at 25 frames/s are 2.6 Mbit/s.
const PACKETS: usize = 12;

const FRAME: Duration = Duration::from_millis(40);

/// Frames until everybody is past the replay that a late joiner gets, and every viewer's cache of 1024 packets for
/// retransmission is full: from then on a packet costs the same as the one before.
const WARM_UP: usize = 100;

const FRAMES: usize = 25;

const STREAM: StreamId = StreamId(1);

struct World {
    worker: Worker,
    now: Instant,
    local: SocketAddr,
    publisher: Client,
    viewers: Vec<Client>,
    by_address: HashMap<SocketAddr, usize>,
    codec: Codec,
    frame: u32,
    tracks: Vec<TrackInfo>,
    replies: Vec<String>,
    /// Connecting and warming up is over.
    is_measured: bool,
}

fn main() -> Result<()> {
    // Cargo adds `--bench`.
    let mut arguments = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench");
    let viewers = match arguments.next() {
        Some(number) => vec![number.parse().context("the number of viewers")?],
        None => vec![1, 10, 50, 100],
    };
    let codec = match arguments.next().as_deref() {
        None | Some("vp8") => Codec::Vp8,
        Some("h264") => Codec::H264,
        Some(other) => bail!("{other}: choose vp8 or h264"),
    };
    for viewers in viewers {
        measure(viewers, codec)?;
    }
    Ok(())
}

fn measure(viewers: usize, codec: Codec) -> Result<()> {
    let mut world = World::new(codec)?;
    world.publish()?;
    for number in 0..viewers {
        world.view(number)?;
    }
    for _ in 0..WARM_UP {
        world.frame()?;
    }
    world.is_measured = true;
    let mut spent = Duration::ZERO;
    let mut forwarded = 0;
    for _ in 0..FRAMES {
        let (took, count) = world.frame()?;
        spent += took;
        forwarded += count;
    }
    let packets = FRAMES * PACKETS;
    ensure!(
        forwarded == packets * viewers,
        "{forwarded} packets forwarded instead of {packets} to each of {viewers} viewers"
    );
    for viewer in &world.viewers {
        ensure!(
            viewer.received >= packets as u64,
            "a viewer decrypted {} packets only",
            viewer.received
        );
    }
    // Read by tests/bench/instructions.
    println!(
        "viewers {viewers} packets {packets} forwarded {forwarded} ns_per_forwarded {}",
        spent.as_nanos() / forwarded.max(1) as u128
    );
    Ok(())
}

/// One receive burst through the worker: in, then drained. This is what a media thread does between two waits.
#[inline(never)]
fn measured_forwarding(
    worker: &mut Worker,
    now: Instant,
    burst: &[Datagram<'_>],
    outputs: &mut Vec<Output>,
) {
    // Something that the other function has not, or the compiler makes one of both.
    std::hint::black_box("forwarding");
    turn(worker, now, burst, outputs);
}

/// Everything else that a worker does for its peers meanwhile: reports from viewers, timers.
#[inline(never)]
fn measured_upkeep(
    worker: &mut Worker,
    now: Instant,
    burst: &[Datagram<'_>],
    outputs: &mut Vec<Output>,
) {
    turn(worker, now, burst, outputs);
}

#[inline(always)]
fn turn(worker: &mut Worker, now: Instant, burst: &[Datagram<'_>], outputs: &mut Vec<Output>) {
    for datagram in burst {
        worker.handle(now, Input::Datagram(*datagram));
    }
    worker.handle(now, Input::Timeout);
    loop {
        match worker.poll(now) {
            Output::Timeout(_) => return,
            output => outputs.push(output),
        }
    }
}

impl World {
    fn new(codec: Codec) -> Result<Self> {
        let now = Instant::now();
        let local = SocketAddr::from(([192, 0, 2, 1], 7900));
        let config = WorkerConfig {
            id: WorkerId(0),
            candidates: vec![(Transport::Udp, local)],
            certificate: Certificate::generate(),
            peers_max: 2000,
            streams_max: 10,
        };
        let (publisher, _) = Client::new(now, address(0), codec, Direction::SendOnly)?;
        Ok(Self {
            worker: Worker::new(config, now),
            now,
            local,
            publisher,
            viewers: Vec::new(),
            by_address: HashMap::new(),
            codec,
            frame: 0,
            tracks: Vec::new(),
            replies: Vec::new(),
            is_measured: false,
        })
    }

    fn accept(&mut self, client: &mut Client, offer: String, peer: u64, role: Role) -> Result<()> {
        let command = Command::Accept {
            request: RequestId(peer),
            peer: PeerId(peer),
            stream: STREAM,
            role,
            offer,
            tracks: self.tracks.clone(),
            origin: Some(WorkerId(0)),
            takes_over: TakesOver::Anybody,
        };
        self.worker.handle(self.now, Input::Command(command));
        self.work(&[])?;
        client.accept(&self.replies.pop().context("an answer")?)
    }

    fn publish(&mut self) -> Result<()> {
        let (mut client, offer) =
            Client::new(self.now, address(0), self.codec, Direction::SendOnly)?;
        self.accept(&mut client, offer, 1, Role::Publisher)?;
        self.publisher = client;
        self.until("the publisher is connected", |world| {
            world.publisher.connected
        })?;
        self.frame()?;
        ensure!(!self.tracks.is_empty(), "the stream is live");
        Ok(())
    }

    fn view(&mut self, number: usize) -> Result<()> {
        let address = address(number + 1);
        let (mut client, offer) = Client::new(self.now, address, self.codec, Direction::RecvOnly)?;
        self.accept(&mut client, offer, number as u64 + 2, Role::Viewer)?;
        self.by_address.insert(address, number);
        self.viewers.push(client);
        self.until("the viewer is connected", |world| {
            world.viewers[number].connected
        })
    }

    /// Lets a little time pass until `done`.
    fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) -> Result<()> {
        for _ in 0..500 {
            if done(self) {
                return Ok(());
            }
            self.now += Duration::from_millis(5);
            self.upkeep()?;
        }
        bail!("2.5 s have passed and it is not true that {what}")
    }

    /// One frame from the publisher to everybody; returns the time and the number of packets that forwarding took.
    fn frame(&mut self) -> Result<(Duration, usize)> {
        let timestamp = self.frame * 3600;
        for packet in 0..PACKETS {
            let payload = payload(self.codec, self.frame, packet);
            let marker = packet == PACKETS - 1;
            self.publisher
                .write(self.now, timestamp, marker, &payload)?;
        }
        self.frame += 1;
        let datagrams = self.publisher.advance(self.now)?;
        let burst = burst(&datagrams, self.publisher.address, self.local);
        let mut outputs = Vec::with_capacity(PACKETS * self.viewers.len() + 100);
        let start = Instant::now();
        match self.is_measured {
            true => measured_forwarding(&mut self.worker, self.now, &burst, &mut outputs),
            false => turn(&mut self.worker, self.now, &burst, &mut outputs),
        }
        let took = start.elapsed();
        let forwarded = outputs.iter().filter(|output| is_media(output)).count();
        self.settle(outputs)?;
        // The rest of the frame's time in steps in which replays and reports have their turns.
        for _ in 0..8 {
            self.now += FRAME / 8;
            self.upkeep()?;
        }
        Ok((took, forwarded))
    }

    /// Everybody acts on the time, and on one another, until all is quiet.
    fn upkeep(&mut self) -> Result<()> {
        loop {
            let mut moved = false;
            for number in 0..=self.viewers.len() {
                let client = match number.checked_sub(1) {
                    Some(viewer) => &mut self.viewers[viewer],
                    None => &mut self.publisher,
                };
                let datagrams = client.advance(self.now)?;
                if !datagrams.is_empty() {
                    moved = true;
                    let burst = burst(&datagrams, client.address, self.local);
                    self.work(&burst)?;
                }
            }
            moved |= self.work(&[])?;
            if !moved {
                return Ok(());
            }
        }
    }

    /// One turn of the worker that is not forwarding; returns whether anything came of it.
    fn work(&mut self, burst: &[Datagram<'_>]) -> Result<bool> {
        let mut outputs = Vec::new();
        match self.is_measured {
            true => measured_upkeep(&mut self.worker, self.now, burst, &mut outputs),
            false => turn(&mut self.worker, self.now, burst, &mut outputs),
        }
        let moved = !outputs.is_empty();
        self.settle(outputs)?;
        Ok(moved)
    }

    /// Hands the worker's outputs to whom they are for.
    fn settle(&mut self, outputs: Vec<Output>) -> Result<()> {
        for output in outputs {
            match output {
                Output::Transmit(transmit) => {
                    let client = match self.by_address.get(&transmit.destination) {
                        Some(viewer) => &mut self.viewers[*viewer],
                        None => &mut self.publisher,
                    };
                    client.receive(self.now, transmit.source, &transmit.contents)?;
                }
                Output::Reply { result, .. } => match result? {
                    Reply::Sdp(sdp) => self.replies.push(sdp),
                    other => bail!("{other:?} instead of an SDP"),
                },
                Output::Event(sfu::Event::Live { tracks, .. }) => self.tracks = tracks,
                Output::Event(sfu::Event::Closed { peer, reason }) => {
                    bail!("{peer} closed: {reason:?}")
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn is_media(output: &Output) -> bool {
    matches!(output, Output::Transmit(transmit) if transmit.contents.len() >= MEDIA_MIN)
}

fn burst(datagrams: &[Vec<u8>], source: SocketAddr, local: SocketAddr) -> Vec<Datagram<'_>> {
    let datagram = |payload| Datagram {
        transport: Transport::Udp,
        source,
        destination: local,
        payload,
    };
    datagrams.iter().map(|bytes| datagram(&bytes[..])).collect()
}

fn address(number: usize) -> SocketAddr {
    SocketAddr::from(([198, 51, 100, 1], 10_000 + number as u16))
}

/// SPS and PPS of a picture that nobody decodes, aggregated (STAP-A, RFC 6184 section 5.7.1).
const PARAMETER_SETS: &[u8] = &[
    0x78, 0, 4, 0x67, 0x42, 0xe0, 0x1f, 0, 4, 0x68, 0xce, 0x3c, 0x80,
];

/// One packet of a frame. The first frame is a keyframe, and no other.
fn payload(codec: Codec, frame: u32, packet: usize) -> Vec<u8> {
    let is_key = frame == 0;
    if codec == Codec::H264 && is_key && packet == 0 {
        return PARAMETER_SETS.to_vec();
    }
    let mut payload = match codec {
        Codec::H264 => {
            // FU-A of an IDR slice or another one, RFC 6184 section 5.8.
            let is_first = packet == usize::from(is_key);
            let is_last = packet == PACKETS - 1;
            let kind = if is_key { 5 } else { 1 };
            vec![
                0x7c,
                u8::from(is_first) << 7 | u8::from(is_last) << 6 | kind,
            ]
        }
        _ => {
            // A descriptor with a 15-bit PictureID and TL0PICIDX, RFC 7741 section 4.2.
            let [high, low] = ((frame & 0x7fff) as u16).to_be_bytes();
            let is_first = u8::from(packet == 0);
            let tag = u8::from(!is_key);
            vec![
                0x80 | is_first << 4,
                0xe0,
                0x80 | high,
                low,
                frame as u8,
                0x20,
                tag,
            ]
        }
    };
    payload.resize(PAYLOAD, packet as u8);
    payload
}
