//! RFC 7741 with 15-bit PictureID and TL0PICIDX.

use super::{PAYLOAD, Picture, Unit};

#[derive(Debug, Clone)]
pub(super) struct Counters {
    picture_id: u16,
    tl0: u8,
}

impl Counters {
    pub(super) fn new(start: u16) -> Self {
        Self {
            picture_id: start & 0x7fff,
            tl0: start.to_be_bytes()[1],
        }
    }

    pub(super) fn packetize(&mut self, picture: &Picture, coded: &[u8]) -> Vec<Vec<u8>> {
        self.picture_id = (self.picture_id + 1) & 0x7fff;
        self.tl0 = self.tl0.wrapping_add(1);
        // The frame tag: its lowest bit is 0 for a key frame.
        let tagged = [&[u8::from(!picture.key)], coded].concat();
        tagged
            .chunks(PAYLOAD)
            .enumerate()
            .map(|(at, chunk)| {
                let [high, low] = self.picture_id.to_be_bytes();
                let start = if at == 0 { 0x90 } else { 0x80 };
                [&[start, 0xe0, high | 0x80, low, self.tl0, 0x20], chunk].concat()
            })
            .collect()
    }
}

pub(super) fn assemble(payloads: &[Vec<u8>]) -> Result<Unit, String> {
    let mut unit = Unit::default();
    for (at, payload) in payloads.iter().enumerate() {
        let [first, 0xe0, high, low, tl0, 0x20, data @ ..] = payload.as_slice() else {
            return Err("not the descriptor that was sent".into());
        };
        if (first & 0x10 != 0) != (at == 0) {
            return Err("a partition start out of place".into());
        }
        let ids = (u16::from_be_bytes([high & 0x7f, *low]), *tl0);
        if unit.vp8.is_some_and(|known| known != ids) {
            return Err(format!(
                "counters change within a picture: {:?} and {ids:?}",
                unit.vp8
            ));
        }
        unit.vp8 = Some(ids);
        unit.coded
            .extend_from_slice(if at == 0 { &data[1..] } else { data });
    }
    Ok(unit)
}
