//! Redundant audio, RFC 2198: finding the primary block for a viewer who did not negotiate redundancy.

use std::ops::Range;

/// More blocks than any sender uses; str0m and libwebrtc stop at nine.
const BLOCKS_MAX: usize = 16;

/// Where the primary (newest, last) block lies in `payload`, or `None` when the structure is broken.
pub fn primary(payload: &[u8]) -> Option<Range<usize>> {
    let mut at = 0;
    let mut redundant = 0;
    for _ in 0..BLOCKS_MAX {
        let header = *payload.get(at)?;
        if header & 0x80 == 0 {
            let start = at + 1 + redundant;
            return (start <= payload.len()).then_some(start..payload.len());
        }
        let low = *payload.get(at + 3)?;
        redundant += usize::from(payload[at + 2] & 0x03) << 8 | usize::from(low);
        at += 4;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::primary;

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
}
