//! H.264: its NAL units, how RTP carries them (RFC 6184) and what its parameter sets say.

pub mod camera;
mod packetise;
pub(crate) mod payload;
pub mod units;

pub use packetise::packetise;

/// The five bits of a NAL unit's header that say what it is, ITU-T H.264 table 7-1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NalType(u8);

impl NalType {
    /// A part of a picture.
    pub const SLICE: Self = Self(1);
    /// A part of a picture that needs no other.
    pub const IDR: Self = Self(5);
    /// Supplemental enhancement information.
    pub const SEI: Self = Self(6);
    /// A sequence parameter set.
    pub const SPS: Self = Self(7);
    /// A picture parameter set.
    pub const PPS: Self = Self(8);
    /// An access unit delimiter.
    pub const DELIMITER: Self = Self(9);
    /// Filler data.
    pub const FILLER: Self = Self(12);

    /// The five bits.
    pub fn number(self) -> u8 {
        self.0
    }

    /// The type of a NAL unit without start code; `None` for an empty one.
    #[inline]
    pub fn of(nal: &[u8]) -> Option<Self> {
        nal.first().map(|header| Self(header & 0x1f))
    }

    /// Whether it carries a part of a picture.
    pub fn is_picture(self) -> bool {
        (1..=5).contains(&self.0)
    }

    /// Whether it is a sequence or picture parameter set.
    pub fn is_parameter_set(self) -> bool {
        self == Self::SPS || self == Self::PPS
    }
}

/// `profile-level-id` as a number of 24 bits, RFC 6184 section 8.1, from a sequence parameter set.
pub fn profile_of(sps: &[u8]) -> Option<u32> {
    match sps {
        [header, profile, constraints, level, ..]
            if NalType::of(&[*header]) == Some(NalType::SPS) =>
        {
            Some(u32::from_be_bytes([0, *profile, *constraints, *level]))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_is_read_from_the_sequence_parameter_set_only() {
        assert_eq!(profile_of(&[0x67, 0x42, 0xc0, 0x1e, 1]), Some(0x42c01e));
        assert_eq!(profile_of(&[0x68, 0x42, 0xc0, 0x1e, 1]), None);
        assert_eq!(profile_of(&[0x67, 0x42]), None);
    }
}
