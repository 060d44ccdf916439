//! The AV1 RTP payload format: one OBU, fragmented, `W` = 1.

use super::{PAYLOAD, Picture, Unit};

/// OBU_FRAME without a size field.
const OBU_FRAME: u8 = 6 << 3;

pub(super) fn packetize(picture: &Picture, coded: &[u8]) -> Vec<Vec<u8>> {
    let obu = [&[OBU_FRAME], coded].concat();
    let chunks: Vec<&[u8]> = obu.chunks(PAYLOAD).collect();
    let last = chunks.len() - 1;
    chunks
        .into_iter()
        .enumerate()
        .map(|(at, chunk)| {
            let continues = if at == 0 { 0 } else { 0x80 };
            let goes_on = if at == last { 0 } else { 0x40 };
            let sequence_starts = if picture.key && at == 0 { 0x08 } else { 0 };
            [&[continues | goes_on | 0x10 | sequence_starts], chunk].concat()
        })
        .collect()
}

pub(super) fn assemble(payloads: &[Vec<u8>]) -> Result<Unit, String> {
    let mut unit = Unit::default();
    let last = payloads.len() - 1;
    for (at, payload) in payloads.iter().enumerate() {
        let [header, data @ ..] = payload.as_slice() else {
            return Err("empty payload".into());
        };
        if (header & 0x80 != 0) != (at != 0) || (header & 0x40 != 0) != (at != last) {
            return Err("a fragment out of place".into());
        }
        unit.coded
            .extend_from_slice(if at == 0 { &data[1..] } else { data });
    }
    Ok(unit)
}
