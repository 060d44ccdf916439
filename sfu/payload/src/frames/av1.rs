//! AV1, "RTP Payload Format for AV1" version 1.0: OBU elements, whole or in fragments, to a temporal unit of OBUs with
//! sizes (bitstream specification, section 5.2), without temporal delimiters, tile lists and padding.
//!
//! All layers are kept: a decoder chooses the operating point, and by default the one with all layers.

use std::sync::Arc;

use bytes::{BufMut, BytesMut};

use super::video::Built;
use crate::av1::{
    self, Aggregation, FORBIDDEN, FRAME, FRAME_HEADER, HAS_EXTENSION, HAS_SIZE, PADDING,
    RTP_NUMBER_MAX, SEQUENCE_HEADER, TEMPORAL_DELIMITER, TILE_LIST, leb128, split_number,
};

/// One OBU, in pieces that lie side by side in a list.
struct Unit {
    from: usize,
    until: usize,
    length: usize,
}

/// Puts a temporal unit together.
pub(super) fn build(payloads: &[Arc<[u8]>], bytes: usize) -> Built {
    read_units(payloads)
        .and_then(|(pieces, units)| write(&pieces, &units, bytes))
        .unwrap_or(Built::Damaged)
}

/// Whether a coded video sequence, or at least a temporal unit, begins with `payload`.
pub(super) fn starts_frame(payload: &[u8]) -> bool {
    let Some((header, rest)) = Aggregation::read(payload) else {
        return false;
    };
    if header.continues() {
        return false;
    }
    let unit = if header.count() == 1 {
        rest.first()
    } else {
        split_number(rest).and_then(|(_, rest)| rest.first())
    };
    let starts = |unit: &u8| matches!(av1::kind(*unit), SEQUENCE_HEADER | TEMPORAL_DELIMITER);
    header.starts_sequence() || unit.is_some_and(starts)
}

/// The pieces of all OBUs, and which of them make one. Nothing is copied yet: an OBU's size is written before it.
fn read_units(payloads: &[Arc<[u8]>]) -> Option<(Vec<&[u8]>, Vec<Unit>)> {
    let mut pieces: Vec<&[u8]> = Vec::with_capacity(payloads.len() + 4);
    let mut units: Vec<Unit> = Vec::new();
    let mut is_open = false;
    for payload in payloads {
        let (header, rest) = Aggregation::read(payload)?;
        if header.continues() != is_open || rest.is_empty() {
            return None;
        }
        let mut count = 0;
        for element in header.elements(rest) {
            let element = element?;
            count += 1;
            let continues = std::mem::take(&mut is_open);
            match units.last_mut() {
                Some(unit) if continues => {
                    unit.until += 1;
                    unit.length += element.len();
                }
                _ => units.push(Unit {
                    from: pieces.len(),
                    until: pieces.len() + 1,
                    length: element.len(),
                }),
            }
            pieces.push(element);
        }
        if count < header.count() {
            return None;
        }
        is_open = header.is_continued();
    }
    (!is_open).then_some((pieces, units))
}

fn write(pieces: &[&[u8]], units: &[Unit], bytes: usize) -> Option<Built> {
    let mut out = BytesMut::with_capacity(bytes + 3 * units.len());
    let (mut has_sequence, mut is_key, mut has_picture) = (false, None, false);
    for unit in units {
        let pieces = &pieces[unit.from..unit.until];
        let mut octets = pieces.iter().copied().flatten().copied();
        let Some(header) = octets.next() else {
            // An empty element means nothing.
            continue;
        };
        let extension = (header & HAS_EXTENSION != 0).then(|| octets.next());
        let mut skip = match extension {
            Some(extension) => {
                extension?;
                2
            }
            None => 1,
        };
        if header & FORBIDDEN != 0 {
            return None;
        }
        let mut length = unit.length - skip;
        if header & HAS_SIZE != 0 {
            // Allowed though useless: the size must be what there is.
            let size = leb128(&mut octets, RTP_NUMBER_MAX).filter(|size| size.is_ended)?;
            skip += size.octets;
            length = length.checked_sub(size.octets)?;
            if size.value != length {
                return None;
            }
        }
        match av1::kind(header) {
            TEMPORAL_DELIMITER | TILE_LIST | PADDING => continue,
            SEQUENCE_HEADER => has_sequence = true,
            FRAME | FRAME_HEADER => {
                has_picture = true;
                // show_existing_frame 0, frame_type KEY_FRAME, show_frame 1.
                let first = octets.next()?;
                is_key.get_or_insert(first >> 4 == 0b0001);
            }
            _ => {}
        }
        out.put_u8(header | HAS_SIZE);
        if let Some(Some(extension)) = extension {
            out.put_u8(extension);
        }
        put_number(&mut out, length);
        for piece in pieces {
            let (_, rest) = piece.split_at(skip.min(piece.len()));
            skip -= piece.len() - rest.len();
            out.put_slice(rest);
        }
    }
    Some(if has_picture {
        Built::Frame {
            data: out.freeze(),
            is_key: has_sequence && is_key == Some(true),
        }
    } else {
        Built::Nothing
    })
}

fn put_number(out: &mut BytesMut, mut value: usize) {
    loop {
        let octet = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            out.put_u8(octet);
            return;
        }
        out.put_u8(octet | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(payloads: &[&[u8]]) -> Built {
        let payloads: Vec<Arc<[u8]>> = payloads.iter().map(|payload| (*payload).into()).collect();
        build(&payloads, 100)
    }

    fn check(payloads: &[&[u8]], expected: &[u8], key: bool) {
        let Built::Frame { data, is_key } = frame(payloads) else {
            panic!("no frame from {payloads:02x?}");
        };
        assert_eq!((&data[..], is_key), (expected, key), "{payloads:02x?}");
    }

    #[test]
    fn units_get_their_sizes_and_delimiters_go() {
        // A delimiter, a sequence header with a size, a key frame to the end.
        check(
            &[&[0x38, 2, 0x12, 0, 3, 0x0a, 1, 0x55, 0x30, 0x10, 7]],
            &[0x0a, 1, 0x55, 0x32, 2, 0x10, 7],
            true,
        );
        // No count; an extension; an inter frame.
        check(
            &[&[0x00, 4, 0x34, 0x20, 0x30, 8, 1, 0x78]],
            &[0x36, 0x20, 2, 0x30, 8],
            false,
        );
    }

    #[test]
    fn a_unit_may_be_cut_anywhere() {
        let unit: Vec<u8> = [0x34, 0x08, 0x30].into_iter().chain(0..200).collect();
        let mut expected = vec![0x36, 0x08, 0xc9, 0x01];
        expected.extend_from_slice(&unit[2..]);
        for cut in 1..unit.len() {
            let first: Vec<u8> = [&[0x50], &unit[..cut]].concat();
            let second: Vec<u8> = [&[0x90], &unit[cut..]].concat();
            check(&[&first, &second], &expected, false);
            let middle = cut.midpoint(unit.len());
            if middle > cut && middle < unit.len() {
                let second: Vec<u8> = [&[0xd0], &unit[cut..middle]].concat();
                let third: Vec<u8> = [&[0x90], &unit[middle..]].concat();
                check(&[&first, &second, &third], &expected, false);
            }
        }
    }

    #[test]
    fn a_key_frame_without_sequence_header_is_no_place_to_begin() {
        check(&[&[0x10, 0x30, 0x10]], &[0x32, 1, 0x10], false);
        // A key frame that is not shown yet.
        check(
            &[&[0x20, 2, 0x08, 1, 0x30, 0x00]],
            &[0x0a, 1, 1, 0x32, 1, 0x00],
            false,
        );
    }

    #[test]
    fn what_cannot_be_read_is_damaged() {
        for payloads in [
            &[&[][..]][..],
            &[&[0x10]],
            // A continuation of nothing, an end that does not come, a beginning where a continuation should be.
            &[&[0x90, 0x30, 1]],
            &[&[0x50, 0x30, 1]],
            &[&[0x50, 0x30, 1], &[0x10, 0x30, 1]],
            // Lengths that lie, fewer elements than announced, an extension that is missing.
            &[&[0x00, 9, 0x30, 1]],
            &[&[0x00, 0xff, 0xff, 0xff, 0xff, 0x01, 1]],
            &[&[0x20, 2, 0x30, 1]],
            &[&[0x10, 0x36]],
            &[&[0x10, 0x34]],
            &[&[0x10, 0x32, 9, 1]],
            &[&[0x10, 0xb0, 1]],
            &[&[0x10, 0x30]],
        ] {
            assert!(matches!(frame(payloads), Built::Damaged), "{payloads:02x?}");
        }
        assert!(matches!(frame(&[&[0x10, 0x12, 0]]), Built::Nothing));
    }

    #[test]
    fn a_sequence_header_or_the_bit_for_it_begins_a_frame() {
        assert!(starts_frame(&[0x18, 0x30, 1]));
        assert!(starts_frame(&[0x10, 0x08, 1]));
        assert!(starts_frame(&[0x20, 1, 0x10, 0x30]));
        for payload in [&[0x98, 0x08][..], &[0x10, 0x30, 1], &[0x20], &[0x10], &[]] {
            assert!(!starts_frame(payload), "{payload:02x?}");
        }
    }
}
