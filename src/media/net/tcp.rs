//! ICE-TCP (RFC 6544), passive side: a listener and its connections, framed by RFC 4571.

use std::collections::HashMap;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr};
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::framing::{FrameReader, FrameWriter};
use super::{NetError, canonical};

/// Connections of one media thread. Those beyond it are closed at once. Each may hold 256 KiB of unsent media.
pub const TCP_CONNECTIONS_MAX: usize = 1024;

/// Connections from one address: a class room behind one NAT fits, one program cannot take them all.
pub const TCP_PER_ADDRESS_MAX: usize = 64;

/// How many tokens a [`TcpPort`] uses, beginning with the one given to [`TcpPort::register`].
pub const TCP_TOKENS: usize = LISTENERS_MAX + TCP_CONNECTIONS_MAX;

/// IPv4 and IPv6 apart, where they cannot share a socket.
const LISTENERS_MAX: usize = 2;

/// A connection that has not sent a whole STUN message by then is closed.
const FIRST_FRAME_MAX: Duration = Duration::from_secs(10);

/// A connection that has not sent a whole frame for so long is closed: ICE checks its consent every 5 s (RFC 7675).
const IDLE_MAX: Duration = Duration::from_secs(60);

/// How often [`TcpPort::expire`] looks.
const EXPIRE_EVERY: Duration = Duration::from_secs(1);

/// Connections accepted, and reads of [`READ_BYTES`] made, per event before the others have their turn.
const ACCEPTS_PER_EVENT: usize = 64;
const READS_PER_EVENT: usize = 4;
const READ_BYTES: usize = 64 << 10;

/// Bytes that the kernel keeps beyond what is in flight: the rest waits here, where it can be dropped.
const NOT_SENT_BYTES: u32 = 64 << 10;

/// Connections that the kernel completes before they are accepted.
const BACKLOG: i32 = 256;

struct Connection {
    stream: TcpStream,
    source: SocketAddr,
    destination: SocketAddr,
    reader: FrameReader,
    writer: FrameWriter,
    /// Its first frame was a STUN message.
    is_ice: bool,
    /// Queued for the next [`TcpPort::flush`].
    is_dirty: bool,
    /// When it was accepted, or its last whole frame came.
    heard: Instant,
}

/// What happened on a [`TcpPort`] since it was opened.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct TcpCounters {
    /// Connections accepted.
    pub accepted: u64,
    /// Connections closed at once because of [`TCP_CONNECTIONS_MAX`] or [`TCP_PER_ADDRESS_MAX`].
    pub refused: u64,
    /// Connections closed because what they sent is no framed STUN, or a frame was too long.
    pub malformed: u64,
    /// Connections closed because nothing came in time.
    pub expired: u64,
    /// Frames received.
    pub received: u64,
    /// Frames queued to be sent.
    pub sent: u64,
    /// Frames dropped because the reader is too slow.
    pub overflowed: u64,
    /// Frames dropped because there is no connection from that address.
    pub unconnected: u64,
}

/// The TCP port of one media thread. Needs [`register`](Self::register) before anything else.
pub struct TcpPort {
    listeners: Vec<TcpListener>,
    port: u16,
    registry: Option<(Registry, Token)>,
    slots: Vec<Option<Connection>>,
    free: Vec<usize>,
    by_source: HashMap<SocketAddr, usize>,
    per_address: HashMap<IpAddr, usize>,
    dirty: Vec<usize>,
    buffer: Box<[u8]>,
    /// The system refused to accept (too many open files): tried again by [`expire`](Self::expire).
    accept_stalled: bool,
    expired_at: Option<Instant>,
    counters: TcpCounters,
}

impl TcpPort {
    /// Opens TCP port `port` (0: any) on all addresses, or on 127.0.0.1 and ::1 when `loopback_only`.
    ///
    /// # Errors
    /// The port is taken or not permitted, or the system refuses for another reason.
    pub fn bind(port: u16, loopback_only: bool) -> Result<Self, NetError> {
        let fail = |error| NetError::bind("tcp", port, error);
        let listeners = if loopback_only {
            let first = listen(Ipv4Addr::LOCALHOST.into(), port, true).map_err(fail)?;
            let number = first.local_addr().map_err(fail)?.port();
            // ::1 is a bonus: where it cannot be had, 127.0.0.1 does.
            let second = listen(Ipv6Addr::LOCALHOST.into(), number, true).ok();
            std::iter::once(first).chain(second).collect()
        } else {
            match listen(Ipv6Addr::UNSPECIFIED.into(), port, false) {
                Ok(dual) => vec![dual],
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(fail(error)),
                Err(_) => vec![listen(Ipv4Addr::UNSPECIFIED.into(), port, false).map_err(fail)?],
            }
        };
        let port = listeners[0].local_addr().map_err(fail)?.port();
        Ok(Self {
            listeners,
            port,
            registry: None,
            slots: Vec::new(),
            free: Vec::new(),
            by_source: HashMap::new(),
            per_address: HashMap::new(),
            dirty: Vec::new(),
            buffer: vec![0; READ_BYTES].into_boxed_slice(),
            accept_stalled: false,
            expired_at: None,
            counters: TcpCounters::default(),
        })
    }

    /// The port's number, also when 0 was asked for.
    pub fn local_port(&self) -> u16 {
        self.port
    }

    /// Starts to listen for events under `first` and the [`TCP_TOKENS`] - 1 tokens after it.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn register(&mut self, registry: &Registry, first: Token) -> io::Result<()> {
        for (index, listener) in self.listeners.iter_mut().enumerate() {
            registry.register(listener, Token(first.0 + index), Interest::READABLE)?;
        }
        self.registry = Some((registry.try_clone()?, first));
        Ok(())
    }

    /// Whether an event with `token` is for [`ready`](Self::ready).
    pub fn owns(&self, token: Token) -> bool {
        let first = self.registry.as_ref().map(|(_, first)| first.0);
        first.is_some_and(|first| (first..first + TCP_TOKENS).contains(&token.0))
    }

    /// Deals with one event: accepts, reads, writes. `each` gets the peer's address, the local address and the bytes of each
    /// whole frame. Events of connections that are gone do nothing. Work that is left over comes back as another event.
    pub fn ready(
        &mut self,
        event: &Event,
        now: Instant,
        each: impl FnMut(SocketAddr, SocketAddr, &[u8]),
    ) {
        let Some((_, first)) = &self.registry else {
            return;
        };
        match event.token().0.checked_sub(first.0) {
            Some(index) if index < LISTENERS_MAX => self.accept(index, now),
            Some(index) => {
                let slot = index - LISTENERS_MAX;
                if event.is_writable() {
                    self.write(slot);
                }
                // A closed or failed connection shows as readable or as an error: reading tells which.
                if event.is_readable() || event.is_error() || event.is_read_closed() {
                    self.read(slot, now, each);
                }
            }
            None => {}
        }
    }

    /// Queues one frame for the peer at `destination`; [`flush`](Self::flush) writes it. False when there is no connection from
    /// there, or its reader is too slow (see [`WRITE_QUEUE_MAX`](super::WRITE_QUEUE_MAX)): the frame is dropped and counted.
    pub fn send(&mut self, destination: SocketAddr, contents: &[u8]) -> bool {
        let slot = self.by_source.get(&canonical(destination)).copied();
        let Some((slot, connection)) = slot.and_then(|slot| Some((slot, self.connection(slot)?)))
        else {
            self.counters.unconnected += 1;
            return false;
        };
        let queued = connection.writer.push(contents);
        let newly_dirty = queued && !std::mem::replace(&mut connection.is_dirty, true);
        match queued {
            true => self.counters.sent += 1,
            false => self.counters.overflowed += 1,
        }
        if newly_dirty {
            self.dirty.push(slot);
        }
        queued
    }

    /// Writes what [`send`](Self::send) queued, as far as the connections take it; the rest goes when they are writable.
    pub fn flush(&mut self) {
        while let Some(slot) = self.dirty.pop() {
            self.write(slot);
        }
    }

    /// Closes the connection from `peer`, if there is one, after a last attempt to write what is queued.
    pub fn close(&mut self, peer: SocketAddr) {
        if let Some(slot) = self.by_source.get(&canonical(peer)).copied() {
            self.write(slot);
            self.remove(slot);
        }
    }

    /// Closes connections that sent nothing useful for too long. Cheap to call at every turn of the loop.
    pub fn expire(&mut self, now: Instant) {
        let is_early = |last| now.saturating_duration_since(last) < EXPIRE_EVERY;
        if self.expired_at.is_some_and(is_early) {
            return;
        }
        self.expired_at = Some(now);
        for slot in 0..self.slots.len() {
            let is_late = self.slots[slot].as_ref().is_some_and(|connection| {
                let limit = match connection.is_ice {
                    true => IDLE_MAX,
                    false => FIRST_FRAME_MAX,
                };
                now.saturating_duration_since(connection.heard) >= limit
            });
            if is_late {
                self.counters.expired += 1;
                self.remove(slot);
            }
        }
        if std::mem::take(&mut self.accept_stalled) {
            for index in 0..self.listeners.len() {
                self.accept(index, now);
            }
        }
    }

    /// When [`expire`](Self::expire) should be called at the latest; `None` when there is nothing to wait for.
    pub fn deadline(&self) -> Option<Instant> {
        let waits = !self.is_empty() || self.accept_stalled;
        self.expired_at
            .filter(|_| waits)
            .map(|last| last + EXPIRE_EVERY)
    }

    /// Connections that are open.
    pub fn len(&self) -> usize {
        self.by_source.len()
    }

    /// Whether no connection is open.
    pub fn is_empty(&self) -> bool {
        self.by_source.is_empty()
    }

    /// What happened since it was opened.
    pub fn counters(&self) -> TcpCounters {
        self.counters
    }

    fn connection(&mut self, slot: usize) -> Option<&mut Connection> {
        self.slots.get_mut(slot)?.as_mut()
    }

    fn accept(&mut self, index: usize, now: Instant) {
        for _ in 0..ACCEPTS_PER_EVENT {
            let Some(listener) = self.listeners.get(index) else {
                return;
            };
            match listener.accept() {
                Ok((stream, source)) => self.admit(stream, canonical(source), now),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return,
                    // The peer was gone before it was accepted; others may wait.
                    io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted => {}
                    _ => {
                        tracing::warn!(%error, connections = self.len(), "cannot accept ice-tcp connections; trying again");
                        self.accept_stalled = true;
                        return;
                    }
                },
            }
        }
        // The edge is used up although more may wait: ask for another one.
        if let Some((registry, first)) = &self.registry {
            let token = Token(first.0 + index);
            let listener = &mut self.listeners[index];
            if registry
                .reregister(listener, token, Interest::READABLE)
                .is_err()
            {
                self.accept_stalled = true;
            }
        }
    }

    fn admit(&mut self, mut stream: TcpStream, source: SocketAddr, now: Instant) {
        let from_there = self.per_address.get(&source.ip()).copied().unwrap_or(0);
        if self.len() >= TCP_CONNECTIONS_MAX || from_there >= TCP_PER_ADDRESS_MAX {
            self.counters.refused += 1;
            tracing::debug!(remote = %source, connections = self.len(), from_there, "ice-tcp connection refused: full");
            return;
        }
        let (Ok(destination), Some((registry, first))) = (stream.local_addr(), &self.registry)
        else {
            return;
        };
        let socket = SockRef::from(&stream);
        // Both only lower latency: a connection without them still works.
        let _ = socket.set_tcp_nodelay(true);
        #[cfg(target_os = "linux")]
        let _ = socket.set_tcp_notsent_lowat(NOT_SENT_BYTES);
        let slot = self.free.pop().unwrap_or(self.slots.len());
        let token = Token(first.0 + LISTENERS_MAX + slot);
        if slot == self.slots.len() {
            self.slots.push(None);
        }
        let both = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = registry.register(&mut stream, token, both) {
            tracing::warn!(%error, "cannot watch an ice-tcp connection");
            self.free.push(slot);
            return;
        }
        self.slots[slot] = Some(Connection {
            stream,
            source,
            destination: canonical(destination),
            reader: FrameReader::default(),
            writer: FrameWriter::default(),
            is_ice: false,
            is_dirty: false,
            heard: now,
        });
        self.by_source.insert(source, slot);
        *self.per_address.entry(source.ip()).or_default() += 1;
        self.counters.accepted += 1;
        self.expired_at.get_or_insert(now);
    }

    fn read(
        &mut self,
        slot: usize,
        now: Instant,
        mut each: impl FnMut(SocketAddr, SocketAddr, &[u8]),
    ) {
        for _ in 0..READS_PER_EVENT {
            let Some(connection) = self.slots.get_mut(slot).and_then(Option::as_mut) else {
                return;
            };
            match connection.stream.read(&mut self.buffer) {
                Ok(0) => return self.remove(slot),
                Ok(length) => {
                    let counters = &mut self.counters;
                    if !connection.take(&self.buffer[..length], now, counters, &mut each) {
                        self.counters.malformed += 1;
                        return self.remove(slot);
                    }
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return,
                    io::ErrorKind::Interrupted => {}
                    _ => return self.remove(slot),
                },
            }
        }
        // The edge is used up although more may wait: ask for another one.
        let watched = self.registry.as_ref().zip(self.slots[slot].as_mut());
        let Some(((registry, first), connection)) = watched else {
            return;
        };
        let token = Token(first.0 + LISTENERS_MAX + slot);
        let both = Interest::READABLE | Interest::WRITABLE;
        let again = registry.reregister(&mut connection.stream, token, both);
        if again.is_err() {
            self.remove(slot);
        }
    }

    fn write(&mut self, slot: usize) {
        let Some(connection) = self.connection(slot) else {
            return;
        };
        connection.is_dirty = false;
        let Connection { writer, stream, .. } = connection;
        if writer.write(stream).is_err() {
            self.remove(slot);
        }
    }

    fn remove(&mut self, slot: usize) {
        let Some(mut connection) = self.slots.get_mut(slot).and_then(Option::take) else {
            return;
        };
        if let Some((registry, _)) = &self.registry {
            // Closing the socket removes it from the poll in any case.
            let _ = registry.deregister(&mut connection.stream);
        }
        let _ = connection.stream.shutdown(Shutdown::Write);
        self.by_source.remove(&connection.source);
        self.dirty.retain(|dirty| *dirty != slot);
        self.free.push(slot);
        if let Some(count) = self.per_address.get_mut(&connection.source.ip()) {
            *count -= 1;
            if *count == 0 {
                self.per_address.remove(&connection.source.ip());
            }
        }
    }
}

impl Connection {
    /// Takes received bytes; false when they are not what an ICE peer sends.
    fn take(
        &mut self,
        bytes: &[u8],
        now: Instant,
        counters: &mut TcpCounters,
        each: &mut impl FnMut(SocketAddr, SocketAddr, &[u8]),
    ) -> bool {
        let (source, destination) = (self.source, self.destination);
        let (is_ice, heard) = (&mut self.is_ice, &mut self.heard);
        let mut is_garbage = false;
        let framed = self.reader.read(bytes, |frame| {
            *is_ice |= looks_like_stun(frame);
            is_garbage |= !*is_ice;
            if !is_garbage {
                *heard = now;
                counters.received += 1;
                each(source, destination, frame);
            }
        });
        if let Err(error) = &framed {
            tracing::debug!(remote = %source, %error, "ice-tcp connection closed");
        }
        framed.is_ok() && !is_garbage
    }
}

/// RFC 8489 section 5: two zero bits, and the magic cookie after type and length.
fn looks_like_stun(frame: &[u8]) -> bool {
    frame.len() >= 20 && frame[0] < 4 && frame[4..8] == [0x21, 0x12, 0xa4, 0x42]
}

fn listen(ip: IpAddr, port: u16, only_v6: bool) -> io::Result<TcpListener> {
    let address = SocketAddr::new(ip, port);
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if ip.is_ipv6() {
        socket.set_only_v6(only_v6)?;
    }
    // Connections of the last run that linger in TIME_WAIT must not keep the port. On Windows it would mean something else.
    #[cfg(not(windows))]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(TcpListener::from_std(socket.into()))
}
