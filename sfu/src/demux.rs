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
