//! What a forwarder must know of a payload, read once per packet from the first bytes. No decoding.

mod av1;
pub mod dependency;
mod h264;
#[cfg(test)]
mod seeds;
mod vp8;
mod vp9;

pub use h264::ParameterSets;
pub use vp8::Vp8Ids;

use crate::CodecKind;

/// What was seen in one payload.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Inspection {
    /// The packet belongs to a picture that needs no other (IDR, key frame), as far as this packet tells. For H.264 an
    /// access unit is intra as soon as one of its packets says so; for the others the frame's first packet says so.
    pub keyframe: bool,
    /// H.264: the packet holds a sequence or picture parameter set.
    pub parameters: bool,
    /// VP8: the counters that must go on without a jump at a viewer.
    pub vp8: Option<Vp8Ids>,
    /// VP9, and AV1 with a dependency descriptor: what the frame depends on.
    pub frame: Option<FrameIds>,
    /// The layer that the packet belongs to; `None` when the sender names none, or not in this packet (AV1 names it
    /// in the first packet of a frame only, where there is no dependency descriptor).
    pub layer: Option<LayerIds>,
}

/// What a descriptor says of its frame: one spatial layer of one picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameIds {
    /// VP9: PictureID, 7 or 15 bits.
    pub picture_id: Option<u16>,
    /// Whether the PictureID has 15 bits.
    pub wide: bool,
    /// VP9's P: pictures before this one are needed. AV1: frames before this one are.
    pub is_inter_predicted: bool,
    /// The packet is the frame's last.
    pub ends_frame: bool,
    /// VP9's `P_DIFF`: how many pictures back the needed ones lie, in flexible mode; 0 for no more.
    pub references: [u8; 3],
}

impl FrameIds {
    /// The PictureID of the picture that lies `difference` before this one.
    #[inline]
    pub fn referenced(&self, difference: u8) -> Option<u16> {
        let mask = if self.wide { 0x7fff } else { 0x7f };
        Some(self.picture_id?.wrapping_sub(u16::from(difference)) & mask)
    }
}

/// Where in a scalable stream a packet belongs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LayerIds {
    /// Resolution: 0 is the lowest. VP9: 0-7, AV1: 0-3, VP8 has none.
    pub spatial: u8,
    /// Frame rate: 0 is the lowest. VP8: 0-3, VP9 and AV1: 0-7.
    pub temporal: u8,
    /// VP8: the Y bit of a picture above the lowest layer (RFC 7741 section 4.2: it depends on the lowest layer alone).
    /// VP9: the U bit (RFC 9628 section 4.2). AV1: its decode targets can begin here, as the descriptor says.
    pub is_sync: bool,
}

/// Looks at `payload`; truncated or nonsensical bytes are just "nothing special".
pub fn inspect(kind: CodecKind, payload: &[u8]) -> Inspection {
    match kind {
        CodecKind::H264 => h264::inspect(payload),
        CodecKind::Vp8 => vp8::inspect(payload),
        CodecKind::Vp9 => vp9::inspect(payload),
        CodecKind::Av1 => av1::inspect(payload),
        CodecKind::Opus | CodecKind::Pcmu | CodecKind::Pcma | CodecKind::Aac => {
            Inspection::default()
        }
    }
}

impl Inspection {
    /// Adds what the packet's dependency descriptor says.
    #[inline]
    pub fn describe(&mut self, frame: dependency::Frame) {
        self.layer = Some(LayerIds {
            spatial: frame.spatial,
            temporal: frame.temporal,
            is_sync: frame.is_switch,
        });
        self.frame = Some(FrameIds {
            picture_id: None,
            wide: false,
            is_inter_predicted: frame.needs_others,
            ends_frame: frame.is_end,
            references: [0; 3],
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_bytes_confuse_an_inspector(payload in prop::collection::vec(any::<u8>(), 0..64)) {
            for kind in [CodecKind::H264, CodecKind::Vp8, CodecKind::Vp9, CodecKind::Av1] {
                let whole = inspect(kind, &payload);
                if let Some(layer) = whole.layer {
                    prop_assert!(layer.spatial <= 7 && layer.temporal <= 7);
                }
                for end in 0..payload.len() {
                    inspect(kind, &payload[..end]);
                }
            }
        }
    }
}
