//! What a forwarder needs of the VP9 payload descriptor, RFC 9628 section 4.2.

use super::{FrameIds, Inspection, LayerIds};
use crate::vp9::Descriptor;

/// Finds layer and dependencies, and whether a key picture starts here: its lowest spatial layer, predicted from nothing.
pub(super) fn inspect(payload: &[u8]) -> Inspection {
    let Some(read) = Descriptor::read(payload) else {
        return Inspection::default();
    };
    let is_base = read
        .layer
        .is_none_or(|layer| layer.spatial == 0 && !layer.depends_on_lower);
    let begins_key = read.begins_frame && !read.is_inter_predicted && is_base;
    Inspection {
        keyframe: begins_key && payload.len() > read.length,
        frame: Some(FrameIds {
            picture_id: read.picture_id,
            wide: read.wide,
            is_inter_predicted: read.is_inter_predicted,
            ends_frame: read.ends_frame,
            references: read.references,
        }),
        layer: read.layer.map(|layer| LayerIds {
            spatial: layer.spatial,
            temporal: layer.temporal,
            is_sync: layer.is_switch,
        }),
        ..Inspection::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(payload: &[u8], expected: bool) {
        assert_eq!(inspect(payload).keyframe, expected, "{payload:02x?}");
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
        check(&[0xb8, 0x81, 0x02, 0x00], false);
    }

    fn layer(spatial: u8, temporal: u8, is_sync: bool) -> Option<LayerIds> {
        Some(LayerIds {
            spatial,
            temporal,
            is_sync,
        })
    }

    /// Shapes as Chrome sends them, one field changed at a time.
    #[test]
    fn layers_and_dependencies_are_read() {
        let check = |payload: &[u8], expected, predicted, ends, references| {
            let seen = inspect(payload);
            let ids = seen.frame.unwrap();
            assert_eq!(seen.layer, expected, "{payload:02x?}");
            assert_eq!(
                (ids.is_inter_predicted, ids.ends_frame, ids.references),
                (predicted, ends, references),
                "{payload:02x?}"
            );
            assert_eq!((ids.picture_id, ids.wide), (Some(0x1234), true));
        };
        // Non-flexible: I P L B Z, TID 2, U; TL0PICIDX.
        check(
            &[0xe9, 0x92, 0x34, 0x50, 0x07, 0x82],
            layer(0, 2, true),
            true,
            false,
            [0; 3],
        );
        // Flexible: I P L F B E, TID 1, U, SID 2, D; one reference two pictures back.
        check(
            &[0xfc, 0x92, 0x34, 0x35, 0x04, 0x82],
            layer(2, 1, true),
            true,
            true,
            [2, 0, 0],
        );
        // Flexible, two references: 1 and 3 back.
        check(
            &[0xf0, 0x92, 0x34, 0x40, 0x03, 0x06, 0x82],
            layer(0, 2, false),
            true,
            false,
            [1, 3, 0],
        );
        // Flexible, upper spatial layer of a key picture: P is 0, D is 1, no references.
        check(
            &[0xbc, 0x92, 0x34, 0x03, 0x82],
            layer(1, 0, false),
            false,
            true,
            [0; 3],
        );
        let plain = inspect(&[0xcc, 0x92, 0x34, 0x82]);
        assert_eq!(plain.layer, None);
        assert!(plain.frame.unwrap().ends_frame);
    }

    #[test]
    fn references_are_found_across_the_turn_of_the_picture_id() {
        let ids = |picture_id, wide| FrameIds {
            picture_id,
            wide,
            is_inter_predicted: true,
            ends_frame: false,
            references: [1, 0, 0],
        };
        assert_eq!(ids(Some(0), true).referenced(1), Some(0x7fff));
        assert_eq!(ids(Some(1), false).referenced(3), Some(0x7e));
        assert_eq!(ids(None, false).referenced(3), None);
    }
}
