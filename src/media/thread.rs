//! One media thread: wait, handle, drain. It owns its worker and sockets; nobody else touches them.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token, Waker};
use sfu::{
    Command, DataEvent, Datagram, Event, Input, Output, PeerId, Refusal, Reply, RequestId,
    SourcePacket, StreamId, Transport, Worker, WorkerConfig,
};
use tokio::sync::oneshot;

use super::counters::Counters;
use super::data::{DataFeed, DataSender, Outgoing};
use super::mesh::{self, Mesh};
use super::net::{Addresses, Egress, TcpPort, UdpPort};
use super::tap::{ReaderId, TapOut};
use crate::clock;

/// Commands that wait for a thread: a join storm of a thousand and room for their candidates.
const COMMANDS_MAX: usize = 4096;

/// Packets of sources that wait for a thread: 0.5 s of twenty cameras of 400 packets/s.
const PACKETS_MAX: usize = 4096;

/// Messages that wait for a thread's participants: a hundred that each hear 80 at once.
const DATA_MAX: usize = 8192;

/// Events that wait for the directory: four per session of the largest worker that was ever full, and then some.
const EVENTS_MAX: usize = 1 << 16;

/// Receive batches of one turn, before timers and commands get theirs.
const BATCHES_PER_TURN: usize = 8;

/// Commands of one turn. Each may cost a handshake's worth of work, and media waits meanwhile.
const COMMANDS_PER_TURN: usize = 8;

/// Relayed messages, source packets and messages for data channels of one turn.
const MESSAGES_PER_TURN: usize = 1024;

/// The longest sleep: a missed wake-up costs no more than this.
const SLEEP_MAX: Duration = Duration::from_millis(100);

const WAKE: Token = Token(0);
const UDP: Token = Token(1);
const TCP_FIRST: Token = Token(16);

/// What is sent back for a command.
pub(super) type Answer = oneshot::Sender<Result<Reply, Refusal>>;

/// What the shell sends to a thread.
pub(super) enum Message {
    /// A command, and where its reply goes.
    Command(Command, Option<(RequestId, Answer)>),
    /// Where what a participant says goes; before the command that makes it.
    Attach(PeerId, DataFeed),
    /// Whether a stream is tapped, how, and who reads it.
    Tap(ReaderId, StreamId, Option<sfu::Tap>),
    /// End the thread after this.
    Stop,
}

/// A packet of a source without WebRTC.
pub(super) type Packet = (StreamId, SourcePacket);

/// The shell's end of a thread.
pub(super) struct Link {
    commands: SyncSender<Message>,
    packets: SyncSender<Packet>,
    data: SyncSender<Outgoing>,
    waker: Arc<Waker>,
    counters: Arc<Counters>,
    pub(super) thread: Option<std::thread::JoinHandle<()>>,
}

/// The thread's queue is full, or the thread is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Busy {
    Full,
    Gone,
}

impl<T> From<TrySendError<T>> for Busy {
    fn from(error: TrySendError<T>) -> Self {
        match error {
            TrySendError::Full(_) => Self::Full,
            TrySendError::Disconnected(_) => Self::Gone,
        }
    }
}

impl Link {
    /// A link into a queue of `commands_max` that a test reads.
    #[cfg(test)]
    pub(super) fn without_thread(commands_max: usize) -> (Self, Receiver<Message>) {
        let poll = Poll::new().expect("a test may poll");
        let waker = Waker::new(poll.registry(), WAKE).expect("a test may wake");
        let (commands, commands_in) = sync_channel(commands_max);
        let link = Self {
            commands,
            packets: sync_channel(1).0,
            data: sync_channel(1).0,
            waker: Arc::new(waker),
            counters: Arc::default(),
            thread: None,
        };
        (link, commands_in)
    }

    pub(super) fn counters(&self) -> Arc<Counters> {
        self.counters.clone()
    }

    pub(super) fn send(&self, message: Message) -> Result<(), Busy> {
        self.commands.try_send(message).map_err(Busy::from)?;
        self.wake()
    }

    /// A way for messages to the participants of this thread.
    pub(super) fn data(&self) -> DataSender {
        DataSender {
            outgoing: self.data.clone(),
            commands: self.commands.clone(),
            waker: self.waker.clone(),
        }
    }

    fn wake(&self) -> Result<(), Busy> {
        self.waker.wake().map_err(|_| Busy::Gone)
    }

    /// A sender for packets of one source.
    pub(super) fn packets(&self) -> PacketSender {
        PacketSender {
            packets: self.packets.clone(),
            waker: self.waker.clone(),
            counters: self.counters.clone(),
        }
    }
}

/// Puts packets into a thread's queue; never blocks.
pub(super) struct PacketSender {
    packets: SyncSender<Packet>,
    waker: Arc<Waker>,
    counters: Arc<Counters>,
}

impl PacketSender {
    /// Queues one packet; a full queue drops and counts it. `Err` when the thread is gone.
    pub(super) fn send(&self, packet: Packet) -> Result<(), Busy> {
        match self.packets.try_send(packet) {
            Ok(()) => self.waker.wake().map_err(|_| Busy::Gone),
            Err(TrySendError::Full(_)) => {
                self.counters.count_source_overflow();
                Ok(())
            }
            Err(TrySendError::Disconnected(_)) => Err(Busy::Gone),
        }
    }
}

/// What a thread is born with.
pub(super) struct Seat {
    pub(super) worker: WorkerConfig,
    pub(super) udp: UdpPort,
    pub(super) tcp: TcpPort,
    pub(super) addresses: Addresses,
}

/// Starts one thread per seat. The receiver gets the events of all of them.
pub(super) fn start(
    seats: Vec<Seat>,
    taps: Vec<TapOut>,
) -> io::Result<(Vec<Link>, Receiver<Event>)> {
    let (events_out, events) = sync_channel(EVENTS_MAX);
    let mut polls = Vec::with_capacity(seats.len());
    let mut wakers = Vec::with_capacity(seats.len());
    for _ in &seats {
        let poll = Poll::new()?;
        wakers.push(Arc::new(Waker::new(poll.registry(), WAKE)?));
        polls.push(poll);
    }
    let meshes = mesh::connect(&wakers);
    let mut links = Vec::with_capacity(seats.len());
    let ends = meshes.into_iter().zip(taps);
    for (((seat, poll), ends), waker) in seats.into_iter().zip(polls).zip(ends).zip(wakers) {
        links.push(start_one(seat, poll, ends, waker, events_out.clone())?);
    }
    Ok((links, events))
}

fn start_one(
    mut seat: Seat,
    poll: Poll,
    (mesh, tap): (Mesh, TapOut),
    waker: Arc<Waker>,
    events: SyncSender<Event>,
) -> io::Result<Link> {
    poll.registry()
        .register(&mut seat.udp, UDP, Interest::READABLE | Interest::WRITABLE)?;
    seat.tcp.register(poll.registry(), TCP_FIRST)?;
    let (commands, commands_in) = sync_channel(COMMANDS_MAX);
    let (packets, packets_in) = sync_channel(PACKETS_MAX);
    let (data, data_in) = sync_channel(DATA_MAX);
    let counters = Arc::new(Counters::default());
    let name = format!("media-{}", seat.worker.id.0);
    let now = clock::now();
    let port = seat.udp.local_port();
    let state = Thread {
        worker: Worker::new(seat.worker, now),
        poll,
        udp: seat.udp,
        tcp: seat.tcp,
        addresses: seat.addresses,
        port,
        egress: Egress::new(),
        mesh,
        tap,
        commands: commands_in,
        packets: packets_in,
        data: data_in,
        feeds: BTreeMap::new(),
        events,
        answers: BTreeMap::new(),
        counters: counters.clone(),
        is_readable: true,
        has_more: false,
    };
    let alive = counters.clone();
    let thread = std::thread::Builder::new().name(name.clone()).spawn(move || {
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || state.run()));
        alive.set_dead();
        match ended {
            Ok(Ok(())) => tracing::debug!(thread = name, "media thread ended"),
            Ok(Err(error)) => tracing::error!(thread = name, %error, "media thread failed; restart the server"),
            Err(_) => tracing::error!(thread = name, "media thread panicked; restart the server and report this"),
        }
    })?;
    Ok(Link {
        commands,
        packets,
        data,
        waker,
        counters,
        thread: Some(thread),
    })
}

struct Thread {
    worker: Worker,
    poll: Poll,
    udp: UdpPort,
    tcp: TcpPort,
    addresses: Addresses,
    port: u16,
    egress: Egress,
    mesh: Mesh,
    tap: TapOut,
    commands: Receiver<Message>,
    packets: Receiver<Packet>,
    data: Receiver<Outgoing>,
    /// Where what participants say goes.
    feeds: BTreeMap<PeerId, DataFeed>,
    events: SyncSender<Event>,
    answers: BTreeMap<RequestId, Answer>,
    counters: Arc<Counters>,
    /// Readiness is edge-triggered: the socket may hold more than the last turn took.
    is_readable: bool,
    /// A queue was left before it was empty.
    has_more: bool,
}

impl Thread {
    fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        let mut deadline = clock::now();
        loop {
            self.wait(&mut events, deadline)?;
            let now = clock::now();
            let forwarded = self.worker.stats().packets_forwarded;
            self.take_tcp(&events, now);
            self.take_udp(now);
            let stop = self.take_commands(now);
            self.take_messages(now);
            self.worker.handle(now, Input::Timeout);
            deadline = self.drain(now);
            self.egress.flush(&mut self.udp);
            self.tcp.flush();
            let waits = self.mesh.flush() | self.tap.flush();
            self.has_more |= waits;
            self.tcp.expire(now);
            self.account(now, forwarded);
            if stop {
                return Ok(());
            }
        }
    }

    fn wait(&mut self, events: &mut Events, deadline: Instant) -> io::Result<()> {
        let timeout = if self.is_readable || self.has_more {
            Duration::ZERO
        } else {
            deadline
                .saturating_duration_since(clock::now())
                .min(SLEEP_MAX)
        };
        self.has_more = false;
        match self.poll.poll(events, Some(timeout)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        for event in events.iter() {
            if event.token() == UDP && event.is_readable() {
                self.is_readable = true;
            }
        }
        Ok(())
    }

    fn take_udp(&mut self, now: Instant) {
        let Self {
            udp,
            worker,
            addresses,
            port,
            ..
        } = self;
        for _ in 0..BATCHES_PER_TURN {
            if !self.is_readable {
                return;
            }
            let received = udp.receive(|source, destination, payload| {
                worker.handle(
                    now,
                    Input::Datagram(Datagram {
                        transport: Transport::Udp,
                        source,
                        destination: SocketAddr::new(addresses.local_for(destination), *port),
                        payload,
                    }),
                );
            });
            match received {
                Ok(0) => self.is_readable = false,
                Ok(_) => {}
                // ICMP answers to what was sent to a port that is closed by now, a cable that was pulled: the socket lives on,
                // and says again when there is something to read.
                Err(error) => {
                    tracing::debug!(%error, "udp receive failed");
                    self.is_readable = false;
                }
            }
        }
    }

    fn take_tcp(&mut self, events: &Events, now: Instant) {
        let Self {
            tcp,
            worker,
            addresses,
            port,
            ..
        } = self;
        for event in events.iter().filter(|event| event.token().0 >= TCP_FIRST.0) {
            if !tcp.owns(event.token()) {
                continue;
            }
            tcp.ready(event, now, |source, destination, payload| {
                worker.handle(
                    now,
                    Input::Datagram(Datagram {
                        transport: Transport::Tcp,
                        source,
                        destination: SocketAddr::new(addresses.local_for(destination.ip()), *port),
                        payload,
                    }),
                );
            });
        }
    }

    /// Returns whether to stop.
    fn take_commands(&mut self, now: Instant) -> bool {
        for _ in 0..COMMANDS_PER_TURN {
            match self.commands.try_recv() {
                Ok(Message::Command(command, answer)) => {
                    if let Some((request, answer)) = answer {
                        self.answers.insert(request, answer);
                    }
                    self.worker.handle(now, Input::Command(command));
                }
                Ok(Message::Attach(peer, feed)) => {
                    // Of those that were refused nothing more is heard.
                    self.feeds.retain(|_, feed| !feed.is_abandoned());
                    self.feeds.insert(peer, feed);
                }
                Ok(Message::Tap(reader, stream, tap)) => {
                    self.tap.route(stream, tap.map(|_| reader));
                    let command = Command::Tap { stream, tap };
                    self.worker.handle(now, Input::Command(command));
                }
                Ok(Message::Stop) => return true,
                Err(_) => return false,
            }
        }
        self.has_more = true;
        false
    }

    fn take_messages(&mut self, now: Instant) {
        let worker = &mut self.worker;
        self.has_more |= self.mesh.receive(MESSAGES_PER_TURN, |from, message| {
            worker.handle(now, Input::Relay { from, message });
        });
        let mut left = MESSAGES_PER_TURN;
        while left > 0
            && let Ok((stream, packet)) = self.packets.try_recv()
        {
            worker.handle(now, Input::Packet { stream, packet });
            left -= 1;
        }
        self.has_more |= left == 0;
        let mut left = MESSAGES_PER_TURN;
        while left > 0
            && let Ok(outgoing) = self.data.try_recv()
        {
            let command = Command::SendData {
                peer: outgoing.peer,
                channel: outgoing.channel,
                is_binary: outgoing.is_binary,
                bytes: outgoing.bytes,
            };
            worker.handle(now, Input::Command(command));
            left -= 1;
        }
        self.has_more |= left == 0;
    }

    /// Carries all output away; returns the next deadline.
    fn drain(&mut self, now: Instant) -> Instant {
        loop {
            match self.worker.poll(now) {
                Output::Timeout(at) => return at,
                Output::Transmit(transmit) => match transmit.transport {
                    Transport::Udp => {
                        let source = self.addresses.source_for(transmit.source.ip());
                        if self
                            .egress
                            .push(source, transmit.destination, transmit.contents)
                        {
                            self.egress.flush(&mut self.udp);
                        }
                    }
                    Transport::Tcp => {
                        self.tcp.send(transmit.destination, &transmit.contents);
                    }
                },
                Output::Relay { to, message } => self.mesh.send(to, message),
                Output::Tap { stream, item } => self.tap.send(stream, item),
                Output::Data { peer, event } => self.on_data(now, peer, event),
                Output::Reply { request, result } => {
                    if let Some(answer) = self.answers.remove(&request) {
                        // Nobody waits any more when the HTTP client went away; its session ends by CONNECT_MAX.
                        let _ = answer.send(result);
                    }
                }
                Output::Event(event) => {
                    if let Event::Closed { peer, .. } = &event {
                        self.feeds.remove(peer);
                    }
                    if self.events.try_send(event).is_err() {
                        tracing::error!(
                            "the directory does not keep up; what is live may be shown wrongly"
                        );
                    }
                }
            }
        }
    }

    fn on_data(&mut self, now: Instant, peer: PeerId, event: DataEvent) {
        let channel = match &event {
            DataEvent::Message { channel, .. } => Some(*channel),
            _ => None,
        };
        let is_put = self.feeds.get(&peer).is_none_or(|feed| feed.put(event));
        if let (false, Some(channel)) = (is_put, channel) {
            tracing::debug!(%peer, "says more than is read; its data channel is closed");
            let command = Command::CloseData { peer, channel };
            self.worker.handle(now, Input::Command(command));
        }
    }

    fn account(&mut self, now: Instant, forwarded_before: u64) {
        let stats = self.worker.stats();
        let forwarded = stats.packets_forwarded - forwarded_before;
        if forwarded > 0 {
            self.counters
                .record_latency(forwarded, clock::now().saturating_duration_since(now));
        }
        self.counters.publish(
            stats,
            &self.egress.totals(),
            &self.tcp.counters(),
            self.tcp.len(),
            self.mesh.overflows(),
            self.tap.overflows(),
        );
    }
}
