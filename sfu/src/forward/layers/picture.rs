//! What was decided about one picture.

/// A layer above all: the viewer lacks none.
pub(super) const NOTHING: u8 = u8::MAX;

/// One picture of the source, of all its spatial layers.
#[derive(Debug, Clone)]
pub(super) struct Picture {
    pub(super) timestamp: u32,
    /// The lowest source sequence number seen of it.
    pub(super) sequence: u64,
    /// Its PictureID, where references name it (VP9).
    pub(super) id: Option<u16>,
    pub(super) temporal: u8,
    pub(super) is_key: bool,
    /// Whether it is sent, up to `spatial_max`.
    pub(super) passes: bool,
    pub(super) spatial_max: u8,
    /// Its end was sent, or a part of it was held back: too late to send more of it.
    pub(super) is_cut: bool,
    /// The sender's own marker was on a packet that was sent.
    pub(super) has_marker: bool,
    /// How many pictures before it were left out, modulo 2^16.
    pub(super) left_out: u16,
    /// Whether it is itself one of those that later pictures close up over.
    pub(super) is_counted: bool,
    /// The lowest and highest sequence number of it that were held back.
    pub(super) held: Option<(u64, u64)>,
    /// The lowest layers that the viewer lacks after this picture; at least 1, because the lowest is always sent.
    pub(super) lacks_spatial: u8,
    pub(super) lacks_temporal: u8,
}

impl Picture {
    /// The lowest spatial layer that the viewer lacks for the next picture. Without the sender's marker one that was
    /// held back may still be on its way here.
    pub(super) fn lacks_spatial_after(&self) -> u8 {
        if self.passes && !self.has_marker && self.spatial_max < NOTHING - 1 {
            self.lacks_spatial.min(self.spatial_max + 1)
        } else {
            self.lacks_spatial
        }
    }

    /// How many pictures were left out up to the end of this one.
    pub(super) fn left_out_after(&self) -> u16 {
        self.left_out.wrapping_add(u16::from(self.is_counted))
    }
}
