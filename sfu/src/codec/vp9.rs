//! The VP9 payload descriptor, RFC 9628 section 4.2.

const PICTURE_ID: u8 = 0x80;
const INTER_PREDICTED: u8 = 0x40;
const LAYERS: u8 = 0x20;
const FLEXIBLE: u8 = 0x10;
const BEGINS_FRAME: u8 = 0x08;

/// Whether the first packet of a key picture is here: its lowest spatial layer, predicted from nothing.
pub(super) fn starts_keyframe(payload: &[u8]) -> bool {
    read(payload).unwrap_or(false)
}

fn read(payload: &[u8]) -> Option<bool> {
    let first = *payload.first()?;
    if first & BEGINS_FRAME == 0 || first & INTER_PREDICTED != 0 {
        return Some(false);
    }
    let mut at = 1;
    if first & PICTURE_ID != 0 {
        at += if *payload.get(at)? & 0x80 != 0 { 2 } else { 1 };
    }
    if first & LAYERS == 0 {
        return Some(payload.len() > at);
    }
    let layers = *payload.get(at)?;
    let spatial = (layers >> 1) & 0x07;
    let depends_on_lower = layers & 0x01 != 0;
    if first & FLEXIBLE == 0 {
        payload.get(at + 1)?;
    }
    Some(spatial == 0 && !depends_on_lower)
}

#[cfg(test)]
mod tests {
    use super::starts_keyframe;

    fn check(payload: &[u8], expected: bool) {
        assert_eq!(starts_keyframe(payload), expected, "{payload:02x?}");
    }

    #[test]
    fn only_the_base_layer_of_a_key_picture_starts_one() {
        check(&[0x08, 0x82], true);
        check(&[0x88, 0x81, 0x02, 0x82], true);
        check(&[0x88, 0x01, 0x82], true);
        check(&[0x48, 0x82], false);
        check(&[0x00, 0x82], false);
        check(&[0xa8, 0x81, 0x02, 0x00, 0x00, 0x82], true);
        check(&[0xa8, 0x81, 0x02, 0x03, 0x00, 0x82], false);
        check(&[0xb8, 0x81, 0x02, 0x00, 0x82], true);
    }

    #[test]
    fn truncated_descriptors_start_nothing() {
        check(&[], false);
        check(&[0x08], false);
        check(&[0x88, 0x81], false);
        check(&[0xa8, 0x01], false);
        check(&[0xa8, 0x01, 0x00], false);
    }
}
