//! The sockets of a media thread: batched UDP, ICE-TCP with its framing, and the addresses that candidates carry.
//!
//! No async, no locks, no clock: one thread owns all of it, registers it with its `mio::Poll` and passes `now` in. Nothing here
//! knows STUN (but for one look at a TCP connection's first frame), DTLS or RTP.
//!
//! One turn of the loop: [`UdpPort::receive`] until 0, [`TcpPort::ready`] for its events, then the worker's output into
//! [`Egress::push`] and [`TcpPort::send`], then [`Egress::flush`] and [`TcpPort::flush`]. A socket that would block keeps the
//! rest and goes on when it is writable.
//!
//! Budget: the kernel's UDP send is 65-85 % of the cost of a forwarded packet, and only segmentation offload (GSO) changes its
//! order of magnitude; `benches/egress.rs` prints both in one run.

mod addresses;
mod egress;
mod framing;
mod tcp;
#[cfg(test)]
mod tcp_tests;
mod udp;
#[cfg(test)]
mod udp_tests;

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};

pub use addresses::{Addresses, CANDIDATES_MAX, candidate_addresses};
pub use egress::{EGRESS_MAX, Egress, FLUSH_AT, FlushReport};
pub use framing::{FRAME_MAX, FrameError, FrameReader, FrameWriter, WRITE_QUEUE_MAX};
pub use tcp::{TCP_CONNECTIONS_MAX, TCP_PER_ADDRESS_MAX, TCP_TOKENS, TcpCounters, TcpPort};
pub use udp::{SOCKET_BUFFER_BYTES, UdpPort};

/// Why the sockets of a media thread could not be had.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// Somebody else has the port.
    #[error("{protocol} port {port} is in use by another program; choose another with --rtc-port")]
    PortInUse {
        /// `udp` or `tcp`.
        protocol: &'static str,
        /// The port asked for.
        port: u16,
    },
    /// A privileged port, or a sandbox.
    #[error("no permission to open {protocol} port {port}; choose one above 1023 with --rtc-port")]
    NotPermitted {
        /// `udp` or `tcp`.
        protocol: &'static str,
        /// The port asked for.
        port: u16,
    },
    /// Anything else that the system said about the port.
    #[error("cannot open {protocol} port {port}: {source}; try another with --rtc-port")]
    Bind {
        /// `udp` or `tcp`.
        protocol: &'static str,
        /// The port asked for.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
}

impl NetError {
    fn bind(protocol: &'static str, port: u16, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::PortInUse { protocol, port },
            io::ErrorKind::PermissionDenied => Self::NotPermitted { protocol, port },
            _ => Self::Bind {
                protocol,
                port,
                source,
            },
        }
    }
}

/// Ports tried by [`bind`] when any will do, before it gives up.
const ANY_PORT_ATTEMPTS_MAX: usize = 16;

/// Opens the UDP port and the TCP port of the same number that one media thread owns.
///
/// `port` 0 takes any number that is free for both. `loopback_only` makes them unreachable from other machines.
///
/// # Errors
/// The port is taken, not permitted, or the system refuses for another reason; the text names the port and the way out.
pub fn bind(port: u16, loopback_only: bool) -> Result<(UdpPort, TcpPort), NetError> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let udp = UdpPort::bind(port, loopback_only)?;
        match TcpPort::bind(udp.local_port(), loopback_only) {
            Ok(tcp) => return Ok((udp, tcp)),
            // The number was free for UDP but not for TCP: another one may be free for both.
            Err(NetError::PortInUse { .. }) if port == 0 && attempt < ANY_PORT_ATTEMPTS_MAX => {}
            Err(error) => return Err(error),
        }
    }
}

/// IPv4 for an IPv4 peer of a dual-stack socket, and no flow label: one peer has one name.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(_) => address,
        SocketAddr::V6(v6) => match v6.ip().to_ipv4_mapped() {
            Some(v4) => SocketAddr::V4(SocketAddrV4::new(v4, v6.port())),
            None => SocketAddr::V6(SocketAddrV6::new(*v6.ip(), v6.port(), 0, v6.scope_id())),
        },
    }
}

/// The way back from [`canonical`] for a dual-stack socket.
fn mapped(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) => {
            SocketAddr::V6(SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0))
        }
        SocketAddr::V6(_) => address,
    }
}

/// Whether a packet can leave for `destination` from `source_ip` at all. The kernel answers the rest with EINVAL, which would be
/// mistaken for a refusal of segmentation offload; and a spoofed packet can come from port 0.
fn is_sendable(source_ip: Option<IpAddr>, destination: SocketAddr) -> bool {
    destination.port() != 0
        && !destination.ip().is_unspecified()
        && !destination.ip().is_multicast()
        && source_ip.is_none_or(|ip| ip.is_ipv4() == destination.is_ipv4() && !ip.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_says_what_to_do() {
        let (udp, _tcp) = bind(0, true).unwrap();
        let port = udp.local_port();
        let error = bind(port, true).err().unwrap().to_string();
        assert_eq!(
            error,
            format!("udp port {port} is in use by another program; choose another with --rtc-port")
        );
    }

    #[test]
    fn a_port_that_only_tcp_has_taken_says_so() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = bind(port, true).err().unwrap().to_string();
        assert!(
            error.starts_with(&format!("tcp port {port} is in use")),
            "{error}"
        );
    }

    #[test]
    fn udp_and_tcp_share_one_number() {
        for loopback_only in [true, false] {
            let (udp, tcp) = bind(0, loopback_only).unwrap();
            assert_eq!(udp.local_port(), tcp.local_port());
        }
    }

    #[test]
    fn an_address_has_one_name() {
        let check = |from: &str, to: &str| {
            let from: SocketAddr = from.parse().unwrap();
            assert_eq!(canonical(from), to.parse().unwrap(), "{from}");
            assert_eq!(canonical(mapped(from)), canonical(from), "{from}");
        };
        check("192.0.2.1:5", "192.0.2.1:5");
        check("[::ffff:192.0.2.1]:5", "192.0.2.1:5");
        check("[2001:db8::1]:5", "[2001:db8::1]:5");
    }

    #[test]
    fn nothing_is_sent_to_where_nothing_can_arrive() {
        let check = |source: Option<&str>, destination: &str, expected: bool| {
            let source = source.map(|ip| ip.parse().unwrap());
            let destination = destination.parse().unwrap();
            assert_eq!(
                is_sendable(source, destination),
                expected,
                "{source:?} -> {destination}"
            );
        };
        check(None, "192.0.2.1:9", true);
        check(Some("192.0.2.7"), "192.0.2.1:9", true);
        check(None, "192.0.2.1:0", false);
        check(None, "0.0.0.0:9", false);
        check(None, "224.0.0.1:9", false);
        check(Some("::1"), "192.0.2.1:9", false);
        check(Some("192.0.2.7"), "[::1]:9", false);
        check(Some("0.0.0.0"), "192.0.2.1:9", false);
    }
}
