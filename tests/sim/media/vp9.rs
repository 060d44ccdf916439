//! RFC 9628, one spatial layer, 15-bit picture id.

use super::{PAYLOAD, Picture, Unit};

pub(super) fn packetize(picture: &Picture, coded: &[u8], picture_id: u16) -> Vec<Vec<u8>> {
    let chunks: Vec<&[u8]> = coded.chunks(PAYLOAD).collect();
    let last = chunks.len() - 1;
    let [high, low] = picture_id.to_be_bytes();
    let predicted = if picture.key { 0 } else { 0x40 };
    chunks
        .into_iter()
        .enumerate()
        .map(|(at, chunk)| {
            let begins = if at == 0 { 0x08 } else { 0 };
            let ends = if at == last { 0x04 } else { 0 };
            [&[0x80 | predicted | begins | ends, high | 0x80, low], chunk].concat()
        })
        .collect()
}

pub(super) fn assemble(payloads: &[Vec<u8>]) -> Result<Unit, String> {
    let mut unit = Unit::default();
    let last = payloads.len() - 1;
    for (at, payload) in payloads.iter().enumerate() {
        let [first, _, _, data @ ..] = payload.as_slice() else {
            return Err("a short descriptor".into());
        };
        if (first & 0x08 != 0) != (at == 0) || (first & 0x04 != 0) != (at == last) {
            return Err("frame start or end out of place".into());
        }
        unit.coded.extend_from_slice(data);
    }
    Ok(unit)
}
