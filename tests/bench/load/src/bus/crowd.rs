//! Many clients, one thread.

use std::net::{SocketAddr, ToSocketAddrs};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use mio::{Events, Interest, Poll, Token};

use super::CONNECT_MAX;
use super::socket::{Heard, Socket};

/// Sockets that are read before the caller has its turn again, so that what is due is said in time.
const EVENTS: usize = 64;
/// Connections that are opened at once where no storm is wanted.
const CONNECTS_MAX: usize = 64;

pub(super) struct Crowd {
    poll: Poll,
    events: Events,
    sockets: Vec<Socket>,
    buffer: Vec<u8>,
    address: SocketAddr,
    path: String,
    epoch: Instant,
}

impl Crowd {
    /// `url` is `ws://host:port/path`.
    pub(super) fn new(url: &str) -> Result<Self> {
        let rest = url
            .strip_prefix("ws://")
            .with_context(|| format!("{url} is not a ws:// address"))?;
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let mut addresses = host.to_socket_addrs()?;
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS),
            sockets: Vec::new(),
            buffer: Vec::new(),
            address: addresses.next().context("no address")?,
            path: format!("/{path}"),
            epoch: Instant::now(),
        })
    }

    /// A crowd of which everybody is connected.
    pub(super) fn connected(url: &str, clients: usize) -> Result<Self> {
        let mut crowd = Self::new(url)?;
        while crowd.sockets.len() < clients {
            let more = CONNECTS_MAX.min(clients - crowd.sockets.len());
            for _ in 0..more {
                crowd.add()?;
            }
            crowd.wait_until_open()?;
        }
        Ok(crowd)
    }

    fn wait_until_open(&mut self) -> Result<()> {
        let deadline = Instant::now() + CONNECT_MAX;
        while !self.sockets.iter().all(Socket::is_open) {
            ensure!(Instant::now() < deadline, "not everybody is connected");
            let mut is_refused = false;
            self.turn(Duration::from_millis(50), |_, heard| {
                is_refused |= matches!(heard, Heard::Closed(_));
            })?;
            ensure!(!is_refused, "the server closed a connection at once");
        }
        Ok(())
    }

    /// Begins to connect one more client, and returns its number.
    pub(super) fn add(&mut self) -> Result<usize> {
        let index = self.sockets.len();
        let socket = self.begin(index)?;
        self.sockets.push(socket);
        Ok(index)
    }

    /// Begins to connect a client that was there before.
    pub(super) fn again(&mut self, index: usize) -> Result<()> {
        self.sockets[index] = self.begin(index)?;
        Ok(())
    }

    /// Has all come back who were closed, and returns how many these were.
    pub(super) fn mend(&mut self) -> Result<usize> {
        let closed = self.sockets.iter().enumerate();
        let closed: Vec<usize> = closed
            .filter(|(_, socket)| socket.is_closed())
            .map(|(index, _)| index)
            .collect();
        for some in closed.chunks(CONNECTS_MAX) {
            for &index in some {
                self.again(index)?;
            }
            let deadline = Instant::now() + CONNECT_MAX;
            while !some.iter().all(|&index| self.sockets[index].is_open()) {
                ensure!(Instant::now() < deadline, "not everybody came back");
                self.turn(Duration::from_millis(50), |_, _| {})?;
            }
        }
        Ok(closed.len())
    }

    fn begin(&self, index: usize) -> Result<Socket> {
        let mut socket = Socket::open(self.address, &self.path)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll
            .registry()
            .register(&mut socket.stream, Token(index), interest)?;
        Ok(socket)
    }

    pub(super) fn len(&self) -> usize {
        self.sockets.len()
    }

    pub(super) fn open_count(&self) -> usize {
        let open = self.sockets.iter().filter(|socket| socket.is_open());
        open.count()
    }

    /// Microseconds since the crowd began.
    pub(super) fn now_us(&self) -> u64 {
        self.epoch.elapsed().as_micros() as u64
    }

    pub(super) fn say(&mut self, index: usize, payload: &[u8]) {
        self.sockets[index].say(payload);
    }

    /// Waits for at most `timeout`, and tells what some of the clients heard.
    pub(super) fn turn(
        &mut self,
        timeout: Duration,
        mut hear: impl FnMut(usize, Heard),
    ) -> Result<()> {
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => return Ok(()),
            other => other?,
        }
        for event in &self.events {
            let index = event.token().0;
            let socket = &mut self.sockets[index];
            // An event of a connection that was replaced since.
            if socket.is_closed() {
                continue;
            }
            if event.is_writable() {
                socket.flush();
            }
            if event.is_readable() || event.is_error() || event.is_read_closed() {
                let is_closing = event.is_error() || event.is_read_closed();
                socket.read(&mut self.buffer, is_closing, &mut |heard| {
                    hear(index, heard)
                });
            }
        }
        Ok(())
    }

    /// Listens for `time`, whatever comes.
    pub(super) fn listen(
        &mut self,
        time: Duration,
        mut hear: impl FnMut(usize, Heard),
    ) -> Result<()> {
        let end = Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            self.turn(left, &mut hear)?;
        }
    }
}
