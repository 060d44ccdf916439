//! A worker with a publisher, a viewer and a camera. The first byte says how far the two get before the rest begins:
//! their SDP, ICE, or a connection. The rest is a program of datagrams, packets, commands and time.
#![no_main]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use sfu::{
    Certificate, CloseReason, Codec, CodecKind, Command, Datagram, Event, Input, Output, PeerId, Reply, RequestId,
    Role, SourcePacket, StreamId, TakesOver, TrackInfo, Transport, Worker, WorkerConfig, WorkerId,
};
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::config::DtlsCert;
use str0m::media::{Direction, KeyframeRequestKind, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{RtpWrite, SeqNo};
use str0m::{Candidate, Rtc};

/// Outputs after one input that are no endless loop.
const OUTPUTS_MAX: usize = 20_000;
const LIVE: StreamId = StreamId(1);
const CAMERA: StreamId = StreamId(2);

thread_local! {
    static CERTIFICATE: Certificate = Certificate::generate();
    static THEIRS: DtlsCert = {
        let provider = str0m::crypto::from_feature_flags().dtls_provider;
        provider.generate_certificate().expect("the machine has randomness")
    };
}

fuzz_target!(|data: &[u8]| {
    let Some((&first, program)) = data.split_first() else {
        return;
    };
    let mut world = World::new();
    match first % 4 {
        0 => {}
        1 => world.connect(|datagram| !matches!(datagram.first(), Some(20..64))),
        _ => world.connect(|_| true),
    }
    let mut program = Program(program);
    while let Some(code) = program.0.split_off_first() {
        world.step(*code, &mut program);
        world.settle();
    }
});

/// Reads numbers and bytes; zeros after the end.
struct Program<'a>(&'a [u8]);

impl Program<'_> {
    fn number(&mut self) -> u8 {
        self.0.split_off_first().copied().unwrap_or(0)
    }

    /// Up to 2,040 bytes.
    fn bytes(&mut self) -> Vec<u8> {
        let len = match self.number() {
            short @ 0..200 => usize::from(short),
            long => (usize::from(long) - 160) * 20,
        };
        let len = len.min(self.0.len());
        self.0.split_off(..len).unwrap_or_default().to_vec()
    }

    fn text(&mut self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }
}

struct Client {
    rtc: Rtc,
    address: SocketAddr,
    peer: PeerId,
    pending: Option<SdpPendingOffer>,
    mids: [Mid; 2],
    sequences: [u64; 2],
    is_dead: bool,
}

struct World {
    now: Instant,
    worker: Worker,
    server: SocketAddr,
    clients: [Client; 2],
    /// To the server, from the client of that number.
    wire: VecDeque<(usize, Vec<u8>)>,
    camera_sequence: u64,
    requests: u64,
    answer: Option<String>,
}

impl World {
    fn new() -> Self {
        let now = Instant::now();
        let server = "192.0.2.9:7900".parse().unwrap();
        let worker = Worker::new(
            WorkerConfig {
                id: WorkerId(0),
                candidates: vec![(Transport::Udp, server), (Transport::Tcp, server)],
                certificate: CERTIFICATE.with(Clone::clone),
                peers_max: 8,
                streams_max: 8,
            },
            now,
        );
        let (publisher, offer) = client(now, PeerId(1), Direction::SendOnly);
        let (viewer, watch) = client(now, PeerId(2), Direction::RecvOnly);
        let mut world = Self {
            now,
            worker,
            server,
            clients: [publisher, viewer],
            wire: VecDeque::new(),
            camera_sequence: 0,
            requests: 0,
            answer: None,
        };
        for (number, role, offer) in [(0, Role::Publisher, offer), (1, Role::Viewer, watch)] {
            let request = world.request();
            world.command(Command::Accept {
                request,
                peer: world.clients[number].peer,
                stream: LIVE,
                role,
                offer,
                tracks: tracks(),
                origin: None,
                takes_over: TakesOver::Anybody,
            });
            let answer = world.answer.take().expect("the offer is good");
            let client = &mut world.clients[number];
            let answer = SdpAnswer::from_sdp_string(&answer).expect("our answer is SDP");
            let pending = client.pending.take().expect("one answer");
            client
                .rtc
                .sdp_api()
                .accept_answer(pending, answer)
                .expect("our answer fits");
        }
        world.command(Command::OpenSource {
            stream: CAMERA,
            peer: PeerId(3),
            tracks: tracks().into_iter().map(|track| track.codec).collect(),
            is_backup: false,
        });
        world
    }

    fn request(&mut self) -> RequestId {
        self.requests += 1;
        RequestId(self.requests)
    }

    /// Runs half a second in which only datagrams that `passes` arrive.
    fn connect(&mut self, passes: impl Fn(&[u8]) -> bool) {
        for _ in 0..25 {
            self.pass(20);
            for _ in 0..8 {
                self.wire.retain(|(_, datagram)| passes(datagram));
                if self.wire.is_empty() {
                    break;
                }
                while let Some((from, datagram)) = self.wire.pop_front() {
                    self.datagram(from, &datagram);
                }
                self.settle();
            }
            if self.clients.iter().all(|client| client.rtc.is_connected()) {
                return;
            }
        }
    }

    fn pass(&mut self, milliseconds: u64) {
        self.now += Duration::from_millis(milliseconds);
        for client in &mut self.clients {
            if !client.is_dead {
                client.is_dead |= client.rtc.handle_input(str0m::Input::Timeout(self.now)).is_err();
            }
        }
        self.settle();
    }

    fn datagram(&mut self, from: usize, payload: &[u8]) {
        let datagram = Datagram {
            transport: Transport::Udp,
            source: self.clients[from].address,
            destination: self.server,
            payload,
        };
        self.worker.handle(self.now, Input::Datagram(datagram));
    }

    fn command(&mut self, command: Command) {
        self.worker.handle(self.now, Input::Command(command));
        self.settle();
    }

    /// Drains the worker and both clients.
    fn settle(&mut self) {
        self.worker.handle(self.now, Input::Timeout);
        for outputs in 0.. {
            assert!(outputs < OUTPUTS_MAX, "outputs without end");
            match self.worker.poll(self.now) {
                Output::Timeout(_) => break,
                Output::Transmit(transmit) => self.deliver(transmit.destination, &transmit.contents),
                Output::Reply {
                    result: Ok(Reply::Sdp(sdp)),
                    ..
                } => self.answer = Some(sdp),
                Output::Event(Event::Closed {
                    reason: CloseReason::Panicked(text),
                    ..
                }) => panic!("{text}"),
                _ => {}
            }
        }
        for from in 0..2 {
            let client = &mut self.clients[from];
            for outputs in 0.. {
                if client.is_dead || outputs > OUTPUTS_MAX {
                    break;
                }
                match client.rtc.poll_output() {
                    Ok(str0m::Output::Transmit(transmit)) => self.wire.push_back((from, transmit.contents.to_vec())),
                    Ok(str0m::Output::Event(_)) => {}
                    Ok(str0m::Output::Timeout(_)) => break,
                    Err(_) => client.is_dead = true,
                }
            }
        }
        self.wire.truncate(200);
    }

    fn deliver(&mut self, to: SocketAddr, contents: &[u8]) {
        let Some(client) = self.clients.iter_mut().find(|client| client.address == to) else {
            return;
        };
        if let Ok(receive) = Receive::new(Protocol::Udp, self.server, client.address, contents)
            && !client.is_dead
        {
            let input = str0m::Input::Receive(self.now, receive);
            client.is_dead |= client.rtc.handle_input(input).is_err();
        }
    }

    fn step(&mut self, code: u8, program: &mut Program<'_>) {
        match code % 13 {
            0 => {
                let from = usize::from(program.number() % 2);
                let payload = program.bytes();
                self.datagram(from, &payload);
            }
            1 | 2 => {
                if let Some((from, mut payload)) = self.wire.pop_front() {
                    if code % 13 == 2 {
                        let (at, change) = (usize::from(program.number()), program.number());
                        if let Some(byte) = payload.get_mut(at) {
                            *byte ^= change;
                        }
                    }
                    self.datagram(from, &payload);
                }
            }
            3 | 4 => {
                let is_video = usize::from(code % 13 == 4);
                self.publish(is_video, program);
            }
            5 => self.pass(u64::from(program.number()) * 10),
            6 => {
                let viewer = &mut self.clients[1];
                let mid = viewer.mids[1];
                if let Some(stream) = viewer.rtc.direct_api().stream_rx_by_mid(mid, None) {
                    stream.request_keyframe(KeyframeRequestKind::Pli);
                }
            }
            7 => {
                self.camera_sequence += u64::from(program.number());
                let packet = SourcePacket {
                    peer: PeerId(3),
                    track: usize::from(program.number()),
                    sequence: self.camera_sequence,
                    timestamp: u32::from(program.number()) << 24 | u32::from(program.number()) << 8,
                    marker: program.number() % 2 == 0,
                    payload: program.bytes().into(),
                };
                self.worker.handle(self.now, Input::Packet { stream: CAMERA, packet });
            }
            _ => self.order(code, program),
        }
    }

    fn publish(&mut self, track: usize, program: &mut Program<'_>) {
        let now = self.now;
        let publisher = &mut self.clients[0];
        publisher.sequences[track] += u64::from(program.number() % 8);
        let sequence = SeqNo::from(publisher.sequences[track]);
        let timestamp = u32::from(program.number()) * 3000;
        let marker = program.number() % 2 == 0;
        let params = publisher.rtc.codec_config().params();
        let choice = usize::from(program.number());
        let params: Vec<_> = params
            .iter()
            .filter(|p| p.spec().codec.is_audio() == (track == 0))
            .collect();
        let pt = params[choice % params.len()].pt();
        let payload = program.bytes();
        // str0m's own limit; the worker's is tested with datagrams.
        if payload.len() > 1700 {
            return;
        }
        let mid = publisher.mids[track];
        if let Some(stream) = publisher.rtc.direct_api().stream_tx_by_mid(mid, None) {
            stream.write_rtp(RtpWrite::new(pt, sequence, timestamp, now, payload).marker(marker));
        }
        self.pass(0);
        while let Some((from, datagram)) = self.wire.pop_front() {
            self.datagram(from, &datagram);
        }
    }

    fn order(&mut self, code: u8, program: &mut Program<'_>) {
        let request = self.request();
        let peer = PeerId(u64::from(program.number() % 5));
        let stream = StreamId(u64::from(program.number() % 3));
        let origin = (program.number() % 2 == 0).then_some(WorkerId(program.number() % 3));
        let command = match code % 13 {
            8 => Command::AddCandidates {
                request,
                peer,
                candidates: vec![program.text(), program.text()],
            },
            9 => Command::RestartIce {
                request,
                peer,
                ufrag: program.text(),
                pwd: program.text(),
                candidates: vec![program.text()],
            },
            10 => Command::Offer {
                request,
                peer,
                stream,
                tracks: tracks(),
                origin,
            },
            11 => Command::Answer {
                request,
                peer,
                answer: program.text(),
            },
            _ => match program.number() % 4 {
                0 => Command::Close { peer },
                1 => Command::Forget { stream },
                2 => Command::SetOrigin { stream, origin },
                _ => Command::OpenSource {
                    stream,
                    peer,
                    tracks: tracks().into_iter().map(|t| t.codec).collect(),
                    is_backup: program.number().is_multiple_of(2),
                },
            },
        };
        self.command(command);
    }
}

fn client(now: Instant, peer: PeerId, direction: Direction) -> (Client, String) {
    let mut rtc = Rtc::builder()
        .set_rtp_mode(true)
        .set_dtls_cert(THEIRS.with(Clone::clone))
        .build(now);
    let address = SocketAddr::from(([192, 0, 2, 10], 5000 + u16::try_from(peer.0).unwrap()));
    rtc.add_local_candidate(Candidate::host(address, "udp").unwrap());
    let mut api = rtc.sdp_api();
    let mids = [MediaKind::Audio, MediaKind::Video].map(|kind| api.add_media(kind, direction, None, None, None));
    let (offer, pending) = api.apply().expect("there are changes");
    let client = Client {
        rtc,
        address,
        peer,
        pending: Some(pending),
        mids,
        sequences: [0; 2],
        is_dead: false,
    };
    (client, offer.to_sdp_string())
}

fn tracks() -> Vec<TrackInfo> {
    let track = |kind, h264_profile| TrackInfo {
        codec: Codec {
            kind,
            h264_profile,
            stereo: false,
        },
        layers: vec![String::new()],
    };
    vec![track(CodecKind::Opus, None), track(CodecKind::H264, Some(0x42_e0_1f))]
}
