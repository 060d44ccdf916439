//! Doors for the fuzz targets to what the crate keeps to itself. Not there in any other build.

use std::net::SocketAddr;

use crate::api::{Datagram, Transport};
use crate::demux::Demux;

/// Reads `data` as a datagram from nowhere.
pub fn demux(data: &[u8]) {
    let mut demux = Demux::default();
    demux.insert(0, "ufrag".into(), "password".into());
    let address = SocketAddr::from(([192, 0, 2, 1], 9));
    let _ = demux.find(&Datagram {
        transport: Transport::Udp,
        source: address,
        destination: address,
        payload: data,
    });
}
