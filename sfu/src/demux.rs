//! Whose datagram is this? By address in O(1) for media, by ICE user fragment for connectivity checks.

use std::collections::HashMap;
use std::net::SocketAddr;

use crate::api::{Datagram, Transport};
use crate::rtc::BindingRequest;

/// Addresses that one peer may be reached at; the oldest is forgotten first. A phone that roams uses a handful.
const ADDRESSES_MAX: usize = 16;

/// Where a datagram belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// To the peer in this slot.
    Peer(usize),
    /// A check for nobody here.
    UnknownUfrag,
    /// A check with a wrong password.
    NotAuthentic,
    /// Media or DTLS from nowhere.
    UnknownAddress,
    /// Neither STUN, DTLS, RTP nor RTCP (RFC 7983).
    Unknown,
}

/// What the demultiplexer knows of one peer.
#[derive(Debug, Default)]
struct Entry {
    ufrag: String,
    pwd: String,
    addresses: Vec<(Transport, SocketAddr)>,
}

/// Maps addresses and user fragments to slots. The maps are never iterated, so their order does not matter.
#[derive(Debug, Default)]
pub(crate) struct Demux {
    by_address: HashMap<(Transport, SocketAddr), usize>,
    by_ufrag: HashMap<String, usize>,
    entries: Vec<Entry>,
}

impl Demux {
    /// Peer `slot` listens to checks for `ufrag`; replaces its earlier credentials.
    pub(crate) fn insert(&mut self, slot: usize, ufrag: String, pwd: String) {
        if self.entries.len() <= slot {
            self.entries.resize_with(slot + 1, Entry::default);
        }
        let entry = &mut self.entries[slot];
        self.by_ufrag.remove(&entry.ufrag);
        self.by_ufrag.insert(ufrag.clone(), slot);
        entry.ufrag = ufrag;
        entry.pwd = pwd;
    }

    /// Forgets peer `slot`.
    pub(crate) fn remove(&mut self, slot: usize) {
        let Some(entry) = self.entries.get_mut(slot).map(std::mem::take) else {
            return;
        };
        self.by_ufrag.remove(&entry.ufrag);
        for address in entry.addresses {
            if self.by_address.get(&address) == Some(&slot) {
                self.by_address.remove(&address);
            }
        }
    }

    /// Finds the owner of a datagram. A check with the right password teaches its address.
    pub(crate) fn find(&mut self, datagram: &Datagram<'_>) -> Found {
        let address = (datagram.transport, datagram.source);
        match datagram.payload {
            [0..=1, ..] => self.find_by_check(address, datagram.payload),
            [20..=63 | 128..=191, ..] => match self.by_address.get(&address) {
                Some(&slot) => Found::Peer(slot),
                None => Found::UnknownAddress,
            },
            _ => Found::Unknown,
        }
    }

    fn find_by_check(&mut self, address: (Transport, SocketAddr), payload: &[u8]) -> Found {
        let Some(request) = BindingRequest::parse(payload) else {
            return Found::Unknown;
        };
        let slot = request
            .local_ufrag()
            .and_then(|ufrag| self.by_ufrag.get(ufrag));
        let Some(&slot) = slot else {
            return Found::UnknownUfrag;
        };
        if self.by_address.get(&address) == Some(&slot) {
            return Found::Peer(slot);
        }
        let entry = &mut self.entries[slot];
        if !request.is_authentic(&entry.pwd) {
            return Found::NotAuthentic;
        }
        if entry.addresses.len() >= ADDRESSES_MAX {
            let oldest = entry.addresses.remove(0);
            self.by_address.remove(&oldest);
        }
        entry.addresses.push(address);
        if let Some(previous) = self.by_address.insert(address, slot)
            && let Some(entry) = self.entries.get_mut(previous)
        {
            // The same socket now belongs to a newer session, after a page was reloaded for example.
            entry.addresses.retain(|known| *known != address);
        }
        Found::Peer(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtc::stun_check as check;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    fn find(demux: &mut Demux, port: u16, payload: &[u8]) -> Found {
        demux.find(&Datagram {
            transport: Transport::Udp,
            source: address(port),
            destination: address(1),
            payload,
        })
    }

    fn with_peers() -> Demux {
        let mut demux = Demux::default();
        demux.insert(0, "zero".into(), "password-of-zero-peer-0".into());
        demux.insert(1, "one1".into(), "password-of-one-peer-11".into());
        demux
    }

    const RTP: &[u8] = &[0x80, 96, 0, 1];

    #[test]
    fn only_an_authentic_check_teaches_an_address() {
        let mut demux = with_peers();
        assert_eq!(find(&mut demux, 5, RTP), Found::UnknownAddress);
        let wrong = check("zero", "them", "password-of-one-peer-11");
        assert_eq!(find(&mut demux, 5, &wrong), Found::NotAuthentic);
        let stranger = check("none", "them", "password-of-zero-peer-0");
        assert_eq!(find(&mut demux, 5, &stranger), Found::UnknownUfrag);
        assert_eq!(find(&mut demux, 5, RTP), Found::UnknownAddress);
        let right = check("zero", "them", "password-of-zero-peer-0");
        assert_eq!(find(&mut demux, 5, &right), Found::Peer(0));
        assert_eq!(find(&mut demux, 5, RTP), Found::Peer(0));
        assert_eq!(find(&mut demux, 5, &[22, 0xfe, 0xfd]), Found::Peer(0));
        assert_eq!(find(&mut demux, 6, RTP), Found::UnknownAddress);
    }

    #[test]
    fn what_is_no_protocol_of_ours_is_nobodys() {
        let mut demux = with_peers();
        find(
            &mut demux,
            5,
            &check("zero", "them", "password-of-zero-peer-0"),
        );
        for payload in [
            &[][..],
            &[0],
            &[1; 20],
            &[2; 30],
            &[19],
            &[64],
            &[127; 9],
            &[192],
            &[255; 3],
        ] {
            assert_eq!(find(&mut demux, 5, payload), Found::Unknown, "{payload:?}");
        }
    }

    #[test]
    fn a_socket_that_begins_a_new_session_leaves_the_old_one() {
        let mut demux = with_peers();
        find(
            &mut demux,
            5,
            &check("zero", "them", "password-of-zero-peer-0"),
        );
        let next = check("one1", "them", "password-of-one-peer-11");
        assert_eq!(find(&mut demux, 5, &next), Found::Peer(1));
        assert_eq!(find(&mut demux, 5, RTP), Found::Peer(1));
        demux.remove(0);
        assert_eq!(find(&mut demux, 5, RTP), Found::Peer(1));
        demux.remove(1);
        assert_eq!(find(&mut demux, 5, RTP), Found::UnknownAddress);
    }

    #[test]
    fn a_restart_changes_the_credentials_and_keeps_the_addresses() {
        let mut demux = with_peers();
        let old = check("zero", "them", "password-of-zero-peer-0");
        find(&mut demux, 5, &old);
        demux.insert(0, "again".into(), "another-password-zero-0".into());
        assert_eq!(find(&mut demux, 5, RTP), Found::Peer(0), "media flows on");
        assert_eq!(find(&mut demux, 5, &old), Found::UnknownUfrag);
        let new = check("again", "them", "another-password-zero-0");
        assert_eq!(find(&mut demux, 6, &new), Found::Peer(0));
    }

    #[test]
    fn the_oldest_of_too_many_addresses_is_forgotten() {
        let mut demux = with_peers();
        let request = check("zero", "them", "password-of-zero-peer-0");
        for port in 0..100 {
            assert_eq!(find(&mut demux, 1000 + port, &request), Found::Peer(0));
        }
        assert_eq!(demux.by_address.len(), ADDRESSES_MAX);
        assert_eq!(find(&mut demux, 1099, RTP), Found::Peer(0));
        assert_eq!(find(&mut demux, 1000, RTP), Found::UnknownAddress);
        demux.remove(0);
        assert!(demux.by_address.is_empty());
    }
}
