//! The AV1 aggregation header and the headers of the units behind it, "RTP Payload Format for AV1" section 4.4 and the
//! bitstream specification, section 5.3.

use super::{Inspection, LayerIds};

const CONTINUES: u8 = 0x80;
const NEW_SEQUENCE: u8 = 0x08;
const HAS_EXTENSION: u8 = 0x04;

/// Units looked at for one that names its layer. Before the first frame come a sequence header and metadata.
const UNITS_MAX: usize = 8;

/// Octets of a length (LEB128); a packet has no need for more.
const LENGTH_OCTETS_MAX: usize = 4;

/// Whether a coded video sequence starts here, and the layer of the first unit that names one.
pub(super) fn inspect(payload: &[u8]) -> Inspection {
    Inspection {
        keyframe: starts_keyframe(payload),
        layer: layer(payload),
        ..Inspection::default()
    }
}

/// The N bit, which may be set only on the first packet of a coded video sequence.
fn starts_keyframe(payload: &[u8]) -> bool {
    matches!(payload, [header, _, ..] if header & NEW_SEQUENCE != 0 && header & CONTINUES == 0)
}

fn layer(payload: &[u8]) -> Option<LayerIds> {
    let (&header, mut rest) = payload.split_first()?;
    let count = usize::from(header >> 4 & 0x03);
    for at in 0..UNITS_MAX {
        // With a count the last unit has no length: it goes to the end.
        let is_last = count != 0 && at + 1 == count;
        let unit;
        (unit, rest) = if is_last {
            (rest, &[][..])
        } else {
            let (length, after) = length(rest)?;
            after.split_at_checked(length)?
        };
        let continues = at == 0 && header & CONTINUES != 0;
        if let [first, extension, ..] = unit
            && first & HAS_EXTENSION != 0
            && !continues
        {
            return Some(LayerIds {
                spatial: extension >> 3 & 0x03,
                temporal: extension >> 5,
                is_sync: false,
            });
        }
        if rest.is_empty() {
            return None;
        }
    }
    None
}

fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0;
    for (at, &octet) in bytes.iter().enumerate().take(LENGTH_OCTETS_MAX) {
        value |= usize::from(octet & 0x7f) << (7 * at);
        if octet & 0x80 == 0 {
            return Some((value, &bytes[at + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn the_first_unit_with_an_extension_names_the_layer() {
        for (payload, expected) in [
            // One frame unit to the end: temporal 2, spatial 1.
            (&[0x10, 0x34, 0x48, 1, 2][..], Some((1, 2))),
            // A sequence header of three octets, then the frame.
            (&[0x28, 3, 0x08, 0, 0, 0x34, 0x20, 1], Some((0, 1))),
            // No count: every unit has its length.
            (&[0x00, 2, 0x08, 0, 3, 0x34, 0x60, 1], Some((0, 3))),
            // The rest of a unit, and then one that begins here.
            (&[0xa0, 2, 0x34, 0xff, 0x34, 0x20, 1], Some((0, 1))),
            // The rest of a unit alone.
            (&[0x90, 0x34, 0x48], None),
            // No extension.
            (&[0x10, 0x30, 0x48, 1], None),
            // Lengths that lie.
            (&[0x20, 9, 0x34, 0x48], None),
            (&[0x00, 0xff, 0xff, 0xff, 0xff, 0x7f], None),
            (&[0x00, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0x34, 0x48], None),
            (&[0x10, 0x34], None),
            (&[], None),
        ] {
            let expected = expected.map(|(spatial, temporal)| LayerIds {
                spatial,
                temporal,
                is_sync: false,
            });
            assert_eq!(layer(payload), expected, "{payload:02x?}");
        }
    }
}
