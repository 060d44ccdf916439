//! NAL units and their bits.

use std::ops::Range;

/// A part of a picture.
pub const UNIT_SLICE: u8 = 1;
/// A part of a picture that needs no other.
pub const UNIT_IDR: u8 = 5;
/// Supplemental enhancement information.
pub const UNIT_SEI: u8 = 6;
/// A sequence parameter set.
pub const UNIT_SPS: u8 = 7;
/// A picture parameter set.
pub const UNIT_PPS: u8 = 8;
/// An access unit delimiter.
pub const UNIT_AUD: u8 = 9;
/// Filler data.
pub const UNIT_FILLER: u8 = 12;

/// A unit in a buffer.
pub struct NalUnit {
    /// Its type.
    pub kind: u8,
    /// With its length.
    pub whole: Range<usize>,
    /// Without.
    pub body: Range<usize>,
}

/// Walks over units with 4-byte lengths.
pub struct NalUnits<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> NalUnits<'a> {
    /// Begins with the first one.
    pub fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0 }
    }
}

impl Iterator for NalUnits<'_> {
    type Item = Result<NalUnit, &'static str>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = &self.data[self.at..];
        if rest.is_empty() {
            return None;
        }
        let begin = self.at;
        self.at = self.data.len();
        let Some((length, rest)) = rest.split_first_chunk::<4>() else {
            return Some(Err("a NAL unit's length is cut off"));
        };
        let length = u32::from_be_bytes(*length) as usize;
        if length == 0 || length > rest.len() {
            return Some(Err("a NAL unit's length is wrong"));
        }
        self.at = begin + 4 + length;
        Some(Ok(NalUnit {
            kind: rest[0] & 31,
            whole: begin..self.at,
            body: begin + 4..self.at,
        }))
    }
}

/// Removes the emulation prevention bytes.
pub fn unescape(unit: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(unit.len());
    let mut zeros = 0;
    for &byte in unit {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        plain.push(byte);
    }
    plain
}

/// Puts emulation prevention bytes in, behind what is in `unit` already.
pub fn escape(plain: &[u8], unit: &mut Vec<u8>) {
    let mut zeros = 0;
    for &byte in plain {
        if zeros >= 2 && byte <= 3 {
            unit.push(3);
            zeros = 0;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        unit.push(byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_escaped_comes_back() {
        let plain = [0, 0, 0, 0, 0, 1, 0, 0, 2, 0, 0, 3, 0, 0, 4, 0, 0];
        let mut unit = Vec::new();
        escape(&plain, &mut unit);
        assert!(
            !unit
                .windows(3)
                .any(|bytes| bytes[..2] == [0, 0] && bytes[2] < 3)
        );
        assert_eq!(unescape(&unit), plain);
    }

    #[test]
    fn a_length_past_the_end_is_an_error() {
        let units: Vec<_> = NalUnits::new(&[0, 0, 0, 9, 0x65, 1]).collect();
        assert!(matches!(units[..], [Err(_)]));
    }
}
