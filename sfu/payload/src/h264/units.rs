//! NAL units and their bits.

use std::ops::Range;

use super::NalType;

/// A unit in a buffer.
pub struct NalUnit {
    /// Its type.
    pub kind: NalType,
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
        if rest.len() < 4 {
            return Some(Err("a NAL unit's length is cut off"));
        }
        let unit = split_unit(rest).and_then(|(unit, _)| Some((NalType::of(unit)?, unit.len())));
        let Some((kind, length)) = unit else {
            return Some(Err("a NAL unit's length is wrong"));
        };
        self.at = begin + 4 + length;
        Some(Ok(NalUnit {
            kind,
            whole: begin..self.at,
            body: begin + 4..self.at,
        }))
    }
}

/// The first unit of `data`, which has 4 bytes of length in front of it, and what follows it.
fn split_unit(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, after) = data.split_first_chunk()?;
    after.split_at_checked(u32::from_be_bytes(*length) as usize)
}

/// The units themselves, empty ones included; `None` for one that is cut short, which is the last.
pub fn nals(access_unit: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    split_all(access_unit, split_unit)
}

/// What `split` takes off the front of `rest`, again and again; `None` where it takes nothing, which is the last.
#[inline]
pub(crate) fn split_all(
    mut rest: &[u8],
    split: impl Fn(&[u8]) -> Option<(&[u8], &[u8])>,
) -> impl Iterator<Item = Option<&[u8]>> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (unit, after) = match split(rest) {
            Some((unit, after)) => (Some(unit), after),
            None => (None, &[][..]),
        };
        rest = after;
        Some(unit)
    })
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
