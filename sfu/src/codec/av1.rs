//! The AV1 aggregation header, "RTP Payload Format for AV1" section 4.4.

const CONTINUES: u8 = 0x80;
const NEW_SEQUENCE: u8 = 0x08;

/// Whether a coded video sequence starts here: the N bit, which may be set only on its first packet.
pub(super) fn starts_keyframe(payload: &[u8]) -> bool {
    matches!(payload, [header, _, ..] if header & NEW_SEQUENCE != 0 && header & CONTINUES == 0)
}

#[cfg(test)]
mod tests {
    use super::starts_keyframe;

    #[test]
    fn the_n_bit_starts_a_sequence() {
        for (payload, expected) in [
            (&[0x18, 0x0a][..], true),
            (&[0x10, 0x0a], false),
            (&[0x98, 0x0a], false),
            (&[0x18], false),
            (&[], false),
        ] {
            assert_eq!(starts_keyframe(payload), expected, "{payload:02x?}");
        }
    }
}
