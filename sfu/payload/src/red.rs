//! Redundant audio, RFC 2198.

use std::ops::Range;

/// More blocks than any sender uses; str0m and libwebrtc stop at nine.
const BLOCKS_MAX: usize = 9;
/// The same for who wants the primary block alone.
const HEADERS_MAX: usize = 16;

/// One block: how many samples before the packet's timestamp it begins, and where it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) before: u32,
    pub(crate) range: Range<usize>,
}

/// Where the primary (newest, last) block lies in `payload`, or `None` when the structure is broken: for a viewer who did not
/// negotiate redundancy.
pub fn primary(payload: &[u8]) -> Option<Range<usize>> {
    let mut redundant = 0;
    let at = read_headers(payload, HEADERS_MAX, |_, length| redundant += length)?;
    let start = at + redundant;
    (start <= payload.len()).then_some(start..payload.len())
}

/// The blocks of a payload, the newest (primary) one last; nothing when its structure is broken.
pub(crate) fn blocks(payload: &[u8]) -> Vec<Block> {
    read_blocks(payload).unwrap_or_default()
}

fn read_blocks(payload: &[u8]) -> Option<Vec<Block>> {
    let mut headers = Vec::with_capacity(3);
    let mut at = read_headers(payload, BLOCKS_MAX, |before, length| {
        headers.push((before, length));
    })?;
    let mut blocks = Vec::with_capacity(headers.len() + 1);
    for (before, length) in headers {
        payload.get(at..at + length)?;
        blocks.push(Block {
            before,
            range: at..at + length,
        });
        at += length;
    }
    blocks.push(Block {
        before: 0,
        range: at..payload.len(),
    });
    Some(blocks)
}

/// Gives the offset and length of each redundant block to `each`, and says where the first block begins; `None` when the headers are cut
/// short, or of more than `blocks_max` blocks.
#[inline]
fn read_headers(
    payload: &[u8],
    blocks_max: usize,
    mut each: impl FnMut(u32, usize),
) -> Option<usize> {
    let (mut at, mut count) = (0, 1);
    while *payload.get(at)? & 0x80 != 0 {
        if count >= blocks_max {
            return None;
        }
        let bits = payload.get(at + 1..at + 4)?;
        let bits = u32::from_be_bytes([0, bits[0], bits[1], bits[2]]);
        each(bits >> 10, (bits & 0x3ff) as usize);
        at += 4;
        count += 1;
    }
    Some(at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_primary_block_is_found() {
        for (payload, expected) in [
            (&[0x6f, 1, 2, 3][..], Some(1..4)),
            (&[0xef, 0x0f, 0x00, 0x02, 0x6f, 9, 9, 1, 2], Some(7..9)),
            (&[0xef, 0x0f, 0x00, 0x02, 0x6f, 9], None),
            (&[0xef, 0x0f, 0x00], None),
            (&[], None),
            (&[0x80; 100], None),
        ] {
            assert_eq!(primary(payload), expected, "{payload:02x?}");
        }
    }

    #[test]
    fn blocks_are_found_with_their_offsets() {
        let block = |before, range| Block { before, range };
        for (payload, expected) in [
            (&[0x6f, 1, 2, 3][..], vec![block(0, 1..4)]),
            (
                &[0xef, 0x0f, 0x00, 0x02, 0x6f, 9, 9, 1, 2],
                vec![block(960, 5..7), block(0, 7..9)],
            ),
            (&[0xef, 0x0f, 0x00, 0x02, 0x6f, 9], vec![]),
            (&[0xef, 0x0f, 0x00], vec![]),
            (&[], vec![]),
            (&[0x80; 100], vec![]),
        ] {
            assert_eq!(blocks(payload), expected, "{payload:02x?}");
        }
    }
}
