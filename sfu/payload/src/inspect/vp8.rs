//! The VP8 payload descriptor, RFC 7741 section 4.2.

use super::{Inspection, LayerIds};

/// The counters of a VP8 payload descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vp8Ids {
    /// PictureID, 7 or 15 bits.
    pub picture_id: u16,
    /// Whether the PictureID has 15 bits.
    pub wide: bool,
    /// TL0PICIDX, when the sender uses temporal layers.
    pub tl0_pic_idx: Option<u8>,
}

/// Finds the counters and whether a key frame starts here.
pub(super) fn inspect(payload: &[u8]) -> Inspection {
    read(payload).unwrap_or_default()
}

fn read(payload: &[u8]) -> Option<Inspection> {
    let required = *payload.first()?;
    let mut at = 1;
    let (mut vp8, mut layer) = (None, None);
    if required & 0x80 != 0 {
        let extension = *payload.get(at)?;
        at += 1;
        let mut picture_id = None;
        if extension & 0x80 != 0 {
            let high = *payload.get(at)?;
            at += 1;
            if high & 0x80 != 0 {
                let low = *payload.get(at)?;
                at += 1;
                picture_id = Some((u16::from_be_bytes([high & 0x7f, low]), true));
            } else {
                picture_id = Some((u16::from(high), false));
            }
        }
        let mut tl0_pic_idx = None;
        if extension & 0x40 != 0 {
            tl0_pic_idx = Some(*payload.get(at)?);
            at += 1;
        }
        if extension & 0x30 != 0 {
            let octet = *payload.get(at)?;
            at += 1;
            layer = (extension & 0x20 != 0).then(|| temporal_layer(octet));
        }
        vp8 = picture_id.map(|(picture_id, wide)| Vp8Ids {
            picture_id,
            wide,
            tl0_pic_idx,
        });
    }
    // The first partition's first packet begins with the frame tag; its lowest bit is 0 for a key frame (RFC 6386 9.1).
    let frame_starts = required & 0x10 != 0 && required & 0x07 == 0;
    let keyframe = frame_starts && payload.get(at).is_some_and(|tag| tag & 1 == 0);
    Some(Inspection {
        keyframe,
        vp8,
        layer,
        ..Inspection::default()
    })
}

/// TID and Y. At the lowest layer Y means nothing.
fn temporal_layer(octet: u8) -> LayerIds {
    let temporal = octet >> 6;
    LayerIds {
        spatial: 0,
        temporal,
        is_sync: temporal > 0 && octet & 0x20 != 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(payload: &[u8], keyframe: bool, vp8: Option<Vp8Ids>) {
        let seen = inspect(payload);
        assert_eq!((seen.keyframe, seen.vp8), (keyframe, vp8), "{payload:02x?}");
    }

    #[test]
    fn descriptors_are_read() {
        let wide = |picture_id, tl0_pic_idx| {
            Some(Vp8Ids {
                picture_id,
                wide: true,
                tl0_pic_idx,
            })
        };
        check(&[0x10, 0x00], true, None);
        check(&[0x10, 0x01], false, None);
        check(&[0x00, 0x00], false, None);
        check(&[0x11, 0x00], false, None);
        check(&[0x90, 0x80, 0x81, 0x02, 0x00], true, wide(0x102, None));
        check(
            &[0x90, 0xe0, 0x81, 0x02, 0x07, 0x20, 0x01],
            false,
            wide(0x102, Some(7)),
        );
        check(
            &[0x90, 0x80, 0x05, 0x00],
            true,
            Some(Vp8Ids {
                picture_id: 5,
                wide: false,
                tl0_pic_idx: None,
            }),
        );
    }

    /// As Chrome sends L1T3: X, then I, L, T and K, a wide PictureID, TL0PICIDX, and TID, Y and KEYIDX in one octet.
    #[test]
    fn the_temporal_layer_and_its_sync_bit_are_read() {
        let check = |octet: u8, temporal, is_sync| {
            let seen = inspect(&[0x90, 0xf0, 0x92, 0x34, 0x07, octet, 0x01]);
            let layer = LayerIds {
                spatial: 0,
                temporal,
                is_sync,
            };
            assert_eq!(seen.layer, Some(layer), "{octet:02x}");
        };
        check(0x03, 0, false);
        check(0x23, 0, false);
        check(0xa3, 2, true);
        check(0x63, 1, true);
        check(0x83, 2, false);
        check(0xc0, 3, false);
        let only_key_index = inspect(&[0x90, 0x90, 0x92, 0x34, 0xa3, 0x01]);
        assert_eq!(only_key_index.layer, None, "without T its bits say nothing");
        assert_eq!(inspect(&[0x90, 0x80, 0x92, 0x34, 0x01]).layer, None);
    }

    #[test]
    fn truncated_descriptors_are_nothing_special() {
        for payload in [
            &[][..],
            &[0x90],
            &[0x90, 0x80],
            &[0x90, 0x80, 0x81],
            &[0x90, 0xc0, 0x05],
            &[0x90, 0xf0, 0x92, 0x34, 0x07],
        ] {
            check(payload, false, None);
        }
        check(
            &[0x90, 0x80, 0x81, 0x02],
            false,
            Some(Vp8Ids {
                picture_id: 0x102,
                wide: true,
                tl0_pic_idx: None,
            }),
        );
    }
}
