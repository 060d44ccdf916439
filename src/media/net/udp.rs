//! One UDP port: batches in (recvmmsg, GRO), segmented sends out (GSO).

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use mio::event::Source;
use mio::{Interest, Registry, Token};
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::{NetError, canonical, mapped};

/// Asked of the kernel for each direction of each socket: 30 ms of 1 Gbit/s. It may grant less (`net.core.rmem_max`).
pub const SOCKET_BUFFER_BYTES: usize = 4 << 20;

/// Below this a burst of a keyframe to some hundred viewers overflows the kernel's queue; the start-up says so.
const SOCKET_BUFFER_BYTES_MIN: usize = 1 << 20;

/// The longest that GRO makes of several datagrams, so that nothing is ever cut off.
const RECEIVE_BUFFER_BYTES: usize = 65_536;

/// Which destinations a socket can reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    V4,
    V6,
    /// IPv6 with IPv4 mapped into it.
    Dual,
}

struct Port {
    socket: mio::net::UdpSocket,
    state: UdpSocketState,
    family: Family,
    /// As found at the start. The library's own figure falls to 1 for good at the first EINVAL, which one bad peer can cause.
    gso_segments_max: usize,
}

/// The UDP port of one media thread.
///
/// Usually one dual-stack socket; one socket per family where the system has no dual stack or only loopback is wanted.
pub struct UdpPort {
    ports: Vec<Port>,
    port: u16,
    /// [`BATCH_SIZE`] buffers of [`RECEIVE_BUFFER_BYTES`]; only the touched pages cost memory.
    buffer: Box<[u8]>,
    metas: [RecvMeta; BATCH_SIZE],
}

impl UdpPort {
    /// Opens UDP port `port` (0: any) on all addresses, or on 127.0.0.1 and ::1 when `loopback_only`. IPv6 is used where the
    /// system has it.
    ///
    /// # Errors
    /// The port is taken or not permitted, or the system refuses for another reason.
    pub fn bind(port: u16, loopback_only: bool) -> Result<Self, NetError> {
        let bind = |family, port| open(family, port, loopback_only);
        let fail = |error| NetError::bind("udp", port, error);
        let ports = if loopback_only {
            let first = bind(Family::V4, port).map_err(fail)?;
            let number = local_port(&first.socket).map_err(fail)?;
            // ::1 is a bonus: where it cannot be had, 127.0.0.1 does.
            std::iter::once(first)
                .chain(bind(Family::V6, number).ok())
                .collect()
        } else {
            match bind(Family::Dual, port) {
                Ok(dual) => vec![dual],
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(fail(error)),
                Err(_) => vec![bind(Family::V4, port).map_err(fail)?],
            }
        };
        let port = local_port(&ports[0].socket).map_err(fail)?;
        Ok(Self {
            ports,
            port,
            buffer: vec![0; BATCH_SIZE * RECEIVE_BUFFER_BYTES].into_boxed_slice(),
            metas: [RecvMeta::default(); BATCH_SIZE],
        })
    }

    /// The port's number, also when 0 was asked for.
    pub fn local_port(&self) -> u16 {
        self.port
    }

    /// Whether IPv6 peers can be reached.
    pub fn has_ipv6(&self) -> bool {
        self.ports.iter().any(|port| port.family != Family::V4)
    }

    /// The most datagrams that one segmented send can carry; 1 where the system has no GSO.
    pub fn gso_segments_max(&self) -> usize {
        let segments = |port: &Port| port.gso_segments_max;
        self.ports.iter().map(segments).min().unwrap_or(1)
    }

    /// Receives one batch: up to [`BATCH_SIZE`] reads of each socket, each of them one or, with GRO, several datagrams.
    ///
    /// `each` gets the source, the IP address it was sent to, and the bytes. Returns how many datagrams there were; 0 means that
    /// nothing waits. Readiness is edge-triggered: call until 0, or keep in mind to call again. Empty datagrams are not reported.
    ///
    /// # Errors
    /// Whatever the system says, except "would block" and "interrupted".
    pub fn receive(
        &mut self,
        mut each: impl FnMut(SocketAddr, IpAddr, &[u8]),
    ) -> io::Result<usize> {
        let mut datagrams = 0;
        for index in 0..self.ports.len() {
            let Some(filled) = self.fill(index)? else {
                continue;
            };
            for (meta, buffer) in self.metas[..filled]
                .iter()
                .zip(self.buffer.chunks_exact(RECEIVE_BUFFER_BYTES))
            {
                let source = canonical(meta.addr);
                let destination = match meta.dst_ip {
                    Some(ip) => ip.to_canonical(),
                    None => unknown_destination(source),
                };
                // A batch of empty datagrams is still a batch: more may wait behind it.
                datagrams += usize::from(meta.len == 0);
                for datagram in buffer[..meta.len].chunks(meta.stride.max(1)) {
                    datagrams += 1;
                    each(source, destination, datagram);
                }
            }
        }
        Ok(datagrams)
    }

    /// One recvmmsg into the buffers; `None` when it would block.
    fn fill(&mut self, index: usize) -> io::Result<Option<usize>> {
        let Port { socket, state, .. } = &self.ports[index];
        let mut chunks = self.buffer.chunks_exact_mut(RECEIVE_BUFFER_BYTES);
        let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
            std::array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()));
        let received =
            socket.try_io(|| state.recv((&*socket).into(), &mut slices, &mut self.metas));
        match received {
            Ok(filled) => Ok(Some(filled)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sends `contents` to `destination`, cut into datagrams of `segment` bytes (the last may be shorter) when that is given.
    ///
    /// # Errors
    /// Whatever the system says, "would block" included.
    pub(super) fn send(
        &self,
        source_ip: Option<IpAddr>,
        destination: SocketAddr,
        contents: &[u8],
        segment: Option<usize>,
    ) -> io::Result<()> {
        let reaches = |port: &&Port| match port.family {
            Family::V4 => destination.is_ipv4(),
            Family::V6 => destination.is_ipv6(),
            Family::Dual => true,
        };
        let Some(port) = self.ports.iter().find(reaches) else {
            return Err(io::ErrorKind::NetworkUnreachable.into());
        };
        let transmit = Transmit {
            destination: match port.family {
                Family::Dual => mapped(destination),
                Family::V4 | Family::V6 => destination,
            },
            ecn: None,
            contents,
            segment_size: segment,
            src_ip: source_ip,
        };
        let Port { socket, state, .. } = port;
        socket.try_io(|| state.try_send(socket.into(), &transmit))
    }
}

impl Source for UdpPort {
    fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        let mut ports = self.ports.iter_mut();
        ports.try_for_each(|port| port.socket.register(registry, token, interest))
    }

    fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        let mut ports = self.ports.iter_mut();
        ports.try_for_each(|port| port.socket.reregister(registry, token, interest))
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        let mut ports = self.ports.iter_mut();
        ports.try_for_each(|port| port.socket.deregister(registry))
    }
}

fn local_port(socket: &mio::net::UdpSocket) -> io::Result<u16> {
    Ok(socket.local_addr()?.port())
}

/// What stands for the destination where the system does not tell it.
fn unknown_destination(source: SocketAddr) -> IpAddr {
    match source {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

fn open(family: Family, port: u16, loopback_only: bool) -> io::Result<Port> {
    let domain = match family {
        Family::V4 => Domain::IPV4,
        Family::V6 | Family::Dual => Domain::IPV6,
    };
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    if family != Family::V4 {
        socket.set_only_v6(family == Family::V6)?;
    }
    let ip: IpAddr = match (family, loopback_only) {
        (Family::V4, true) => Ipv4Addr::LOCALHOST.into(),
        (Family::V4, false) => Ipv4Addr::UNSPECIFIED.into(),
        (_, true) => Ipv6Addr::LOCALHOST.into(),
        (_, false) => Ipv6Addr::UNSPECIFIED.into(),
    };
    socket.bind(&SocketAddr::new(ip, port).into())?;
    socket.set_nonblocking(true)?;
    let (receive_bytes, send_bytes) = enlarge_buffers(&socket);
    let socket = std::net::UdpSocket::from(socket);
    let state = UdpSocketState::new((&socket).into())?;
    let address = socket.local_addr()?;
    tracing::info!(
        %address,
        receive_bytes,
        send_bytes,
        gso_segments = state.max_gso_segments(),
        gro = state.gro_segments() > 1,
        "udp socket open"
    );
    if receive_bytes.min(send_bytes) < SOCKET_BUFFER_BYTES_MIN {
        tracing::warn!(
            receive_bytes,
            send_bytes,
            wanted_bytes = SOCKET_BUFFER_BYTES,
            "small socket buffers lose packets in bursts; raise the sysctls net.core.rmem_max and net.core.wmem_max"
        );
    }
    Ok(Port {
        socket: mio::net::UdpSocket::from_std(socket),
        gso_segments_max: state.max_gso_segments(),
        state,
        family,
    })
}

/// Asks for large buffers and returns what was got, in bytes, receive first. A refusal leaves the system's default.
fn enlarge_buffers(socket: &Socket) -> (usize, usize) {
    let socket = SockRef::from(socket);
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER_BYTES);
    (
        socket.recv_buffer_size().unwrap_or(0),
        socket.send_buffer_size().unwrap_or(0),
    )
}
