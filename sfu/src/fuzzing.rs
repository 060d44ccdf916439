//! Doors for the fuzz targets to what the crate keeps to itself. Not there in any other build.

use std::net::SocketAddr;

use payload::CodecKind;
use payload::inspect::{self, ParameterSets, dependency};
use payload::red;

use crate::api::{Datagram, Transport};
use crate::demux::Demux;

/// Reads `data` as a payload of every codec, as redundant audio and as a datagram from nowhere.
pub fn codecs(data: &[u8]) {
    let mut sets = ParameterSets::default();
    for kind in [
        CodecKind::H264,
        CodecKind::Vp8,
        CodecKind::Vp9,
        CodecKind::Av1,
        CodecKind::Opus,
    ] {
        inspect::inspect(kind, data);
    }
    if let Some(range) = red::primary(data) {
        let _ = &data[range];
    }
    // Sequence and picture parameter sets may come in different payloads.
    let (first, second) = data.split_at(data.len() / 2);
    let mut structure = None;
    dependency::read(first, &mut structure);
    dependency::read(second, &mut structure);
    sets.learn(first);
    sets.learn(second);
    let _ = sets.payload();

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
