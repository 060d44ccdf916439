//! Bits in and out, most significant first.

/// Reads bits; past the end there is nothing.
pub struct Reader<'a> {
    bytes: &'a [u8],
    /// The place of the next bit.
    pub at: usize,
}

impl<'a> Reader<'a> {
    /// Begins with bit `at`.
    pub fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// Up to 32 bits.
    #[inline]
    pub fn bits(&mut self, count: usize) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            let byte = self.bytes.get(self.at / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(value)
    }

    /// One bit.
    #[inline]
    pub fn flag(&mut self) -> Option<bool> {
        Some(self.bits(1)? == 1)
    }

    /// Up to eight bits.
    #[inline]
    pub fn few(&mut self, count: usize) -> Option<u8> {
        self.bits(count).map(|value| value as u8)
    }

    /// Leaves bits out, which must be there.
    pub fn skip(&mut self, count: usize) -> Option<()> {
        self.at = self.at.checked_add(count)?;
        (self.at <= self.bytes.len() * 8).then_some(())
    }

    /// AV1's `ns(n)` (section 4.10.7): a number below `limit`.
    pub fn non_symmetric(&mut self, limit: u8) -> Option<u8> {
        let width = u8::BITS - limit.leading_zeros();
        let short = (1_u16 << width) - u16::from(limit);
        let value = u16::from(self.few(width.checked_sub(1)? as usize)?);
        if value < short {
            return u8::try_from(value).ok();
        }
        let extra = u16::from(self.flag()?);
        u8::try_from((value << 1) - short + extra).ok()
    }

    /// H.264's `ue(v)`, which is AV1's `uvlc()` as well; more than 31 leading zeros make no sense in either.
    pub fn exp_golomb(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.bits(1)? == 0 {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        Some((1 << zeros) - 1 + self.bits(zeros)?)
    }
}

/// The first `ue(v)` of a bit string up to 2^16 - 2, as if zeros followed it: parameter sets are told apart by it that were cut short.
pub(crate) fn first_exp_golomb(bytes: &[u8]) -> Option<u32> {
    let mut word = [0; 4];
    for (place, byte) in word.iter_mut().zip(bytes) {
        *place = *byte;
    }
    Reader::new(&word, 0).exp_golomb()
}

/// Overwrites `count` bits from bit `at`, which are there.
pub fn overwrite(bytes: &mut [u8], at: usize, count: usize, value: u32) {
    for place in 0..count {
        let bit = (value >> (count - 1 - place) & 1) as u8;
        let (byte, shift) = ((at + place) / 8, 7 - (at + place) % 8);
        bytes[byte] = bytes[byte] & !(1 << shift) | bit << shift;
    }
}

/// Writes bits.
#[derive(Default)]
pub struct Writer {
    /// What was written; the last byte is filled up with zeros.
    pub bytes: Vec<u8>,
    free: usize,
}

impl Writer {
    /// The lowest `count` bits of `value`.
    pub fn bits(&mut self, value: u32, count: usize) {
        for place in (0..count).rev() {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            self.free -= 1;
            if let Some(last) = self.bytes.last_mut() {
                *last |= ((value >> place & 1) as u8) << self.free;
            }
        }
    }

    /// `ue(v)`.
    pub fn exp_golomb(&mut self, value: u32) {
        let bits = 32 - (value + 1).leading_zeros() as usize;
        self.bits(0, bits - 1);
        self.bits(value + 1, bits);
    }

    /// `se(v)`.
    pub fn signed_exp_golomb(&mut self, value: i32) {
        let doubled = value.unsigned_abs() * 2;
        self.exp_golomb(if value > 0 { doubled - 1 } else { doubled });
    }

    /// Whether whole bytes were written.
    pub fn is_aligned(&self) -> bool {
        self.free == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_golomb_codes_come_back() {
        let mut writer = Writer::default();
        let values = [0, 1, 2, 5, 8159, 70_000];
        values.iter().for_each(|value| writer.exp_golomb(*value));
        let mut reader = Reader::new(&writer.bytes, 0);
        for value in values {
            assert_eq!(reader.exp_golomb(), Some(value));
        }
    }

    #[test]
    fn the_first_code_is_read_as_if_zeros_followed() {
        for (bytes, expected) in [
            (&[0x80][..], Some(0)),
            (&[0x40], Some(1)),
            (&[0x60], Some(2)),
            (&[0x20], Some(3)),
            (&[0x01], Some(127)),
            (&[0x01, 0x01], Some(127)),
            (&[0, 1], Some(32_767)),
            (&[0, 1, 0xff, 0xfe], Some(65_534)),
            (&[0, 0, 0x80, 0, 0xff], None),
            (&[0, 0, 1], None),
            (&[], None),
        ] {
            assert_eq!(first_exp_golomb(bytes), expected, "{bytes:02x?}");
        }
    }

    #[test]
    fn only_the_named_bits_are_overwritten() {
        let mut bytes = [0xff, 0xff, 0xff];
        overwrite(&mut bytes, 6, 5, 0b01010);
        assert_eq!(bytes, [0b1111_1101, 0b0101_1111, 0xff]);
    }
}
