//! Which addresses the candidates carry, and which of them a datagram was meant for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

/// The most addresses that candidates carry: each costs every client a connectivity check per address of its own.
pub const CANDIDATES_MAX: usize = 8;

/// Where the kernel would route a packet for the internet: an address for documentation (RFC 5737). Nothing is sent there.
const FAR_AWAY: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 0, 2, 1), 9);

/// The local addresses of a server: those that it announces and those that it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    candidates: Vec<IpAddr>,
    interfaces: Vec<IpAddr>,
}

impl Addresses {
    /// Looks at the interfaces once. `public_ip` and `loopback_only` as in [`candidate_addresses`]; `ipv6` is
    /// [`UdpPort::has_ipv6`](super::UdpPort::has_ipv6).
    pub fn new(public_ip: &[IpAddr], loopback_only: bool, ipv6: bool) -> Self {
        let mut candidates = candidate_addresses(public_ip, loopback_only);
        if public_ip.is_empty() {
            candidates.retain(|ip| ipv6 || ip.is_ipv4());
        }
        Self {
            candidates,
            interfaces: interfaces().into_iter().map(|found| found.ip).collect(),
        }
    }

    /// What candidates carry, the most useful first. Never empty.
    pub fn candidates(&self) -> &[IpAddr] {
        &self.candidates
    }

    /// The candidate that a datagram was meant for which arrived at `destination`. Behind NAT or a container's bridge that is
    /// none of the candidates; then it stands for the first of the same family.
    pub fn local_for(&self, destination: IpAddr) -> IpAddr {
        let destination = destination.to_canonical();
        let same_family = |ip: &&IpAddr| ip.is_ipv4() == destination.is_ipv4();
        match self.candidates.contains(&destination) {
            true => destination,
            false => *self
                .candidates
                .iter()
                .find(same_family)
                .unwrap_or(&destination),
        }
    }

    /// The address to send from for `candidate`: itself when an interface has it, otherwise the system's choice.
    pub fn source_for(&self, candidate: IpAddr) -> Option<IpAddr> {
        self.interfaces.contains(&candidate).then_some(candidate)
    }
}

/// The addresses that candidates carry, the most useful first (FFmpeg looks at no other), at most [`CANDIDATES_MAX`].
///
/// `public_ip` when any is given (`--public-ip`), exactly. 127.0.0.1 and, where there is one, ::1 when `loopback_only`.
/// Otherwise the interfaces': the default route's IPv4 address, other global IPv4, private IPv4, IPv6 (one per network, none
/// link-local or temporary), and at the end 127.0.0.1 so that a client on the same machine always gets through.
pub fn candidate_addresses(public_ip: &[IpAddr], loopback_only: bool) -> Vec<IpAddr> {
    if !public_ip.is_empty() {
        let mut given: Vec<IpAddr> = Vec::new();
        for ip in public_ip.iter().map(IpAddr::to_canonical) {
            if !given.contains(&ip) && given.len() < CANDIDATES_MAX {
                given.push(ip);
            }
        }
        return given;
    }
    let found = interfaces();
    if loopback_only {
        let has_v6 = found.iter().any(|found| found.ip == Ipv6Addr::LOCALHOST);
        let v6 = has_v6.then_some(IpAddr::V6(Ipv6Addr::LOCALHOST));
        return std::iter::once(Ipv4Addr::LOCALHOST.into())
            .chain(v6)
            .collect();
    }
    choose(&found, default_route())
}

/// One address of an interface.
#[derive(Debug, Clone)]
struct Found {
    ip: IpAddr,
    interface: String,
    /// No cable, no peer: packets for it go nowhere.
    down: bool,
    /// RFC 8981: replaced every day, and another address of the same network is stable.
    temporary: bool,
}

fn interfaces() -> Vec<Found> {
    let listed = match if_addrs::get_if_addrs() {
        Ok(listed) => listed,
        Err(error) => {
            tracing::warn!(%error, "cannot list the network interfaces; candidates carry 127.0.0.1 only, or name one with --public-ip");
            return Vec::new();
        }
    };
    let temporary = temporary_addresses();
    listed
        .into_iter()
        .map(|interface| Found {
            ip: interface.ip(),
            down: interface.oper_status != if_addrs::IfOperStatus::Up,
            temporary: temporary.iter().any(|ip| *ip == interface.ip()),
            interface: interface.name,
        })
        .collect()
}

/// The address that packets for the internet leave from, if there is a way there.
fn default_route() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect(FAR_AWAY).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

fn choose(found: &[Found], default_route: Option<IpAddr>) -> Vec<IpAddr> {
    let mut useful: Vec<&Found> = found.iter().filter(|found| is_useful(found)).collect();
    useful.sort_by_key(|found| rank(found.ip, default_route));
    let mut chosen: Vec<&Found> = Vec::new();
    for found in useful {
        let again = chosen.iter().any(|other| stands_for(other, found));
        if !again && chosen.len() < CANDIDATES_MAX - 1 {
            chosen.push(found);
        }
    }
    let last = IpAddr::V4(Ipv4Addr::LOCALHOST);
    chosen.iter().map(|found| found.ip).chain([last]).collect()
}

fn is_useful(found: &Found) -> bool {
    let usable = match found.ip {
        IpAddr::V4(ip) => !ip.is_loopback() && !ip.is_link_local() && !ip.is_unspecified(),
        IpAddr::V6(ip) => !ip.is_loopback() && !ip.is_unicast_link_local() && !ip.is_unspecified(),
    };
    usable && !found.down && !found.temporary
}

/// Whether `other` makes `found` superfluous: the same address, or another IPv6 address of the same network.
fn stands_for(other: &Found, found: &Found) -> bool {
    match (other.ip, found.ip) {
        (IpAddr::V6(a), IpAddr::V6(b)) => {
            other.interface == found.interface && a.segments()[..4] == b.segments()[..4]
        }
        (a, b) => a == b,
    }
}

/// Lower comes first.
fn rank(ip: IpAddr, default_route: Option<IpAddr>) -> u8 {
    match ip {
        ip if Some(ip) == default_route => 0,
        IpAddr::V4(ip) if !is_shared(ip) => 1,
        IpAddr::V4(_) => 2,
        IpAddr::V6(ip) if !ip.is_unique_local() => 3,
        IpAddr::V6(_) => 4,
    }
}

/// Private (RFC 1918) or a carrier's (RFC 6598).
fn is_shared(ip: Ipv4Addr) -> bool {
    let [first, second, ..] = ip.octets();
    ip.is_private() || (first == 100 && second & 0xc0 == 64)
}

/// The temporary addresses that Linux lists; none elsewhere.
fn temporary_addresses() -> Vec<IpAddr> {
    let listing = std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    listing.lines().filter_map(temporary_address).collect()
}

/// One line: address, interface index, prefix length, scope, flags, name; all numbers hexadecimal without a prefix.
fn temporary_address(line: &str) -> Option<IpAddr> {
    const TEMPORARY: u32 = 0x01;
    const DEPRECATED: u32 = 0x20;
    let mut fields = line.split_ascii_whitespace();
    let address = u128::from_str_radix(fields.next()?, 16).ok()?;
    let flags = u32::from_str_radix(fields.nth(3)?, 16).ok()?;
    (flags & (TEMPORARY | DEPRECATED) != 0).then_some(IpAddr::V6(address.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn found(text: &str, interface: &str) -> Found {
        Found {
            ip: ip(text),
            interface: interface.to_owned(),
            down: false,
            temporary: false,
        }
    }

    fn chosen(found: &[Found], default_route: Option<&str>) -> Vec<String> {
        let chosen = choose(found, default_route.map(ip));
        chosen.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_most_useful_address_comes_first_and_loopback_last() {
        let interfaces = [
            found("127.0.0.1", "lo"),
            found("::1", "lo"),
            found("172.17.0.1", "docker0"),
            found("fd00::2", "eth0"),
            found("fe80::1", "eth0"),
            found("169.254.3.4", "eth0"),
            found("2001:db8::2", "eth0"),
            found("192.168.1.5", "eth0"),
            found("203.0.113.9", "eth1"),
        ];
        assert_eq!(
            chosen(&interfaces, None),
            [
                "203.0.113.9",
                "172.17.0.1",
                "192.168.1.5",
                "2001:db8::2",
                "fd00::2",
                "127.0.0.1"
            ]
        );
        assert_eq!(chosen(&interfaces, Some("192.168.1.5"))[0], "192.168.1.5");
        assert_eq!(chosen(&[], None), ["127.0.0.1"]);
    }

    #[test]
    fn one_ipv6_address_per_network_and_none_that_will_be_gone_tomorrow() {
        let mut temporary = found("2001:db8::aaaa", "eth0");
        temporary.temporary = true;
        let mut down = found("2001:db8:9::1", "eth9");
        down.down = true;
        let interfaces = [
            temporary,
            down,
            found("2001:db8::2", "eth0"),
            found("2001:db8::3", "eth0"),
            found("2001:db8:0:1::2", "eth0"),
        ];
        assert_eq!(
            chosen(&interfaces, None),
            ["2001:db8::2", "2001:db8:0:1::2", "127.0.0.1"]
        );
    }

    #[test]
    fn no_more_than_the_limit_and_loopback_is_kept() {
        let interfaces: Vec<Found> = (1..=20)
            .map(|last| found(&format!("10.0.0.{last}"), "eth0"))
            .collect();
        let chosen = chosen(&interfaces, None);
        assert_eq!(chosen.len(), CANDIDATES_MAX);
        assert_eq!(chosen.last().unwrap(), "127.0.0.1");
    }

    #[test]
    fn temporary_and_deprecated_addresses_are_recognised() {
        let check = |line: &str, expected: Option<&str>| {
            assert_eq!(temporary_address(line), expected.map(ip), "{line}");
        };
        let line =
            |flags: &str| format!("20010db800000000000000000000aaaa 04 40 00 {flags}     eth0");
        check(&line("01"), Some("2001:db8::aaaa"));
        check(&line("21"), Some("2001:db8::aaaa"));
        check(&line("20"), Some("2001:db8::aaaa"));
        check(&line("80"), None);
        check(&line("00"), None);
        check("", None);
        check("zz 04 40 00 01 eth0", None);
    }

    #[test]
    fn given_addresses_are_taken_as_they_are() {
        let given = [
            ip("198.51.100.7"),
            ip("::ffff:198.51.100.7"),
            ip("2001:db8::7"),
        ];
        assert_eq!(
            candidate_addresses(&given, false),
            [ip("198.51.100.7"), ip("2001:db8::7")]
        );
        assert_eq!(candidate_addresses(&given[..1], true), [ip("198.51.100.7")]);
    }

    #[test]
    fn loopback_only_announces_nothing_else() {
        let addresses = candidate_addresses(&[], true);
        assert_eq!(addresses[0], ip("127.0.0.1"));
        assert!(addresses.iter().all(IpAddr::is_loopback));
    }

    #[test]
    fn this_machine_can_be_reached_by_itself() {
        let addresses = candidate_addresses(&[], false);
        assert_eq!(addresses.last(), Some(&ip("127.0.0.1")));
        assert!(addresses.len() <= CANDIDATES_MAX);
    }

    #[test]
    fn a_datagram_stands_for_the_candidate_that_it_was_sent_to() {
        let addresses = Addresses {
            candidates: vec![ip("198.51.100.7"), ip("198.51.100.8"), ip("2001:db8::7")],
            interfaces: vec![ip("198.51.100.8"), ip("10.0.0.2")],
        };
        let check = |destination: &str, expected: &str| {
            assert_eq!(
                addresses.local_for(ip(destination)),
                ip(expected),
                "{destination}"
            );
        };
        check("198.51.100.7", "198.51.100.7");
        check("198.51.100.8", "198.51.100.8");
        check("::ffff:198.51.100.8", "198.51.100.8");
        check("10.0.0.2", "198.51.100.7");
        check("fd00::2", "2001:db8::7");
        assert_eq!(addresses.source_for(ip("198.51.100.7")), None, "behind NAT");
        assert_eq!(
            addresses.source_for(ip("198.51.100.8")),
            Some(ip("198.51.100.8"))
        );
    }
}
