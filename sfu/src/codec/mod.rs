//! What a forwarder must know of a payload, read once per packet from the first bytes. No decoding.

mod av1;
mod h264;
mod red;
mod vp8;
mod vp9;

pub(crate) use h264::ParameterSets;
pub(crate) use red::primary as red_primary;
pub(crate) use vp8::Vp8Ids;

use crate::api::CodecKind;

/// What was seen in one payload.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Inspection {
    /// The packet belongs to a picture that needs no other (IDR, key frame), as far as this packet tells. For H.264 an
    /// access unit is intra as soon as one of its packets says so; for the others the frame's first packet says so.
    pub(crate) keyframe: bool,
    /// H.264: the packet holds a sequence or picture parameter set.
    pub(crate) parameters: bool,
    /// VP8: the counters that must go on without a jump at a viewer.
    pub(crate) vp8: Option<Vp8Ids>,
}

/// Looks at `payload`; truncated or nonsensical bytes are just "nothing special".
pub(crate) fn inspect(kind: CodecKind, payload: &[u8]) -> Inspection {
    match kind {
        CodecKind::H264 => h264::inspect(payload),
        CodecKind::Vp8 => vp8::inspect(payload),
        CodecKind::Vp9 => Inspection {
            keyframe: vp9::starts_keyframe(payload),
            ..Inspection::default()
        },
        CodecKind::Av1 => Inspection {
            keyframe: av1::starts_keyframe(payload),
            ..Inspection::default()
        },
        CodecKind::Opus | CodecKind::Pcmu | CodecKind::Pcma => Inspection::default(),
    }
}
