//! The AV1 aggregation header and the headers of the units behind it, "RTP Payload Format for AV1" section 4.4 and the
//! bitstream specification, section 5.3.

use super::{Inspection, LayerIds};
use crate::av1::{Aggregation, HAS_EXTENSION};

/// Units looked at for one that names its layer. Before the first frame come a sequence header and metadata.
const UNITS_MAX: usize = 8;

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
    Aggregation::read(payload).is_some_and(|(header, rest)| {
        !rest.is_empty() && header.starts_sequence() && !header.continues()
    })
}

fn layer(payload: &[u8]) -> Option<LayerIds> {
    let (header, rest) = Aggregation::read(payload)?;
    for (at, unit) in header.elements(rest).take(UNITS_MAX).enumerate() {
        let continues = at == 0 && header.continues();
        if let [first, extension, ..] = unit?
            && first & HAS_EXTENSION != 0
            && !continues
        {
            return Some(LayerIds {
                spatial: extension >> 3 & 0x03,
                temporal: extension >> 5,
                is_sync: false,
            });
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
