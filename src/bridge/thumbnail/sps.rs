//! What a sequence parameter set says about the pictures, ITU-T H.264 sections 7.3.2.1.1 and E.1.1.
//!
//! Ours, because it is there to refuse what a general parser accepts, before anything is allocated.

use super::ThumbnailError;
use super::ThumbnailError::{Malformed, Unsupported};
use super::scale::Colours;

/// Bytes that are looked at. Real ones have less than 100.
const LENGTH_MAX: usize = 1_024;
/// Macroblocks of 16 pixels in a row or column, far above the limits, so that no product overflows.
const MACROBLOCKS_MAX: u32 = 4_096;
/// Pixels. From this height on, pictures that do not say otherwise have the colours of BT.709, as players assume.
const HD_HEIGHT: usize = 720;

/// The pictures of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sps {
    /// Pixels that are shown.
    pub width: usize,
    pub height: usize,
    /// Pixels that are decoded, in both directions.
    pub coded: (usize, usize),
    /// Pictures that the decoder is told to keep, at most 16.
    pub references: usize,
    pub colours: Colours,
}

impl Sps {
    /// Reads a NAL unit, header included.
    ///
    /// # Errors
    ///
    /// `Unsupported` for what the decoder does not know: interlaced pictures, more than 8 bits, other than 4:2:0.
    pub(super) fn parse(nal: &[u8]) -> Result<Self, ThumbnailError> {
        let mut bits = Bits::new(nal);
        bits.fixed(8)?;
        let profile = bits.fixed(8)?;
        if !matches!(profile, 66 | 77 | 100) {
            return Err(Unsupported("H.264 other than Baseline, Main and High"));
        }
        // Constraints and level, then the set's number.
        bits.fixed(16)?;
        bits.unsigned(31)?;
        if profile == 100 {
            bits.chroma()?;
        }
        // The frame numbers' length.
        bits.unsigned(12)?;
        bits.picture_order()?;
        let references = bits.unsigned(16)? as usize;
        bits.flag()?;
        let columns = bits.unsigned(MACROBLOCKS_MAX - 1)? as usize + 1;
        let rows = bits.unsigned(MACROBLOCKS_MAX - 1)? as usize + 1;
        if !bits.flag()? {
            return Err(Unsupported("interlaced H.264"));
        }
        bits.flag()?;
        let coded = (16 * columns, 16 * rows);
        let (width, height) = if bits.flag()? {
            bits.crop(coded)?
        } else {
            coded
        };
        let (is_full_range, matrix) = if bits.flag()? {
            bits.signal()?
        } else {
            (false, None)
        };
        let is_bt709 = matrix.map_or(height >= HD_HEIGHT, |matrix| matrix == 1);
        Ok(Self {
            width,
            height,
            coded,
            references,
            colours: Colours {
                is_full_range,
                is_bt709,
            },
        })
    }
}

/// The bits of a NAL unit, without the bytes against start codes.
struct Bits {
    bytes: Vec<u8>,
    at: usize,
}

impl Bits {
    fn new(nal: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(nal.len().min(LENGTH_MAX));
        let mut zeros = 0;
        for byte in nal.iter().take(LENGTH_MAX).copied() {
            if byte != 3 || zeros < 2 {
                bytes.push(byte);
            }
            zeros = if byte == 0 { zeros + 1 } else { 0 };
        }
        Self { bytes, at: 0 }
    }

    fn flag(&mut self) -> Result<bool, ThumbnailError> {
        let byte = self.bytes.get(self.at / 8);
        let byte = byte.ok_or(Malformed("an SPS is cut short"))?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Ok(bit == 1)
    }

    /// At most 32 bits.
    fn fixed(&mut self, count: u32) -> Result<u32, ThumbnailError> {
        let mut value = 0;
        for _ in 0..count {
            value = value << 1 | u32::from(self.flag()?);
        }
        Ok(value)
    }

    /// An Exp-Golomb code of at most `max`, section 9.1.
    fn unsigned(&mut self, max: u32) -> Result<u32, ThumbnailError> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros == 32 {
                return Err(Malformed("an SPS holds too large a number"));
            }
        }
        let value = (1u64 << zeros) - 1 + u64::from(self.fixed(zeros)?);
        let value = u32::try_from(value).ok().filter(|value| *value <= max);
        value.ok_or(Malformed("an SPS holds too large a number"))
    }

    /// A signed Exp-Golomb code, section 9.1.1.
    fn signed(&mut self) -> Result<i64, ThumbnailError> {
        let code = i64::from(self.unsigned(u32::MAX)?);
        Ok(if code % 2 == 1 {
            (code + 1) / 2
        } else {
            -code / 2
        })
    }

    /// What only High has: the chroma format, the depths and the scaling matrices.
    fn chroma(&mut self) -> Result<(), ThumbnailError> {
        let format = (self.unsigned(3)?, self.unsigned(6)?, self.unsigned(6)?);
        if format != (1, 0, 0) {
            return Err(Unsupported("H.264 other than 4:2:0 with 8 bits"));
        }
        self.flag()?;
        if self.flag()? {
            for size in [16, 16, 16, 16, 16, 16, 64, 64] {
                self.scaling_list(size)?;
            }
        }
        Ok(())
    }

    /// Section 7.3.2.1.1.1.
    fn scaling_list(&mut self, size: usize) -> Result<(), ThumbnailError> {
        if !self.flag()? {
            return Ok(());
        }
        let mut last = 8;
        for _ in 0..size {
            last = (last + self.signed()?).rem_euclid(256);
            if last == 0 {
                break;
            }
        }
        Ok(())
    }

    fn picture_order(&mut self) -> Result<(), ThumbnailError> {
        match self.unsigned(2)? {
            0 => {
                self.unsigned(12)?;
            }
            1 => {
                self.flag()?;
                self.signed()?;
                self.signed()?;
                for _ in 0..self.unsigned(255)? {
                    self.signed()?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The size that is left when the margins are cut off, which are counted in two pixels.
    fn crop(&mut self, coded: (usize, usize)) -> Result<(usize, usize), ThumbnailError> {
        let mut left = |size: usize| -> Result<usize, ThumbnailError> {
            let margins =
                self.unsigned(MACROBLOCKS_MAX * 8)? + self.unsigned(MACROBLOCKS_MAX * 8)?;
            let left = size
                .checked_sub(2 * margins as usize)
                .filter(|left| *left > 0);
            left.ok_or(Malformed("an SPS leaves nothing of the picture"))
        };
        Ok((left(coded.0)?, left(coded.1)?))
    }

    /// Whether the range is full, and the matrix if it is known, of the usability information.
    fn signal(&mut self) -> Result<(bool, Option<u32>), ThumbnailError> {
        const EXTENDED_ASPECT: u32 = 255;
        const UNSPECIFIED: u32 = 2;
        if self.flag()? && self.fixed(8)? == EXTENDED_ASPECT {
            self.fixed(32)?;
        }
        // Overscan.
        if self.flag()? {
            self.flag()?;
        }
        if !self.flag()? {
            return Ok((false, None));
        }
        self.fixed(3)?;
        let is_full_range = self.flag()?;
        if !self.flag()? {
            return Ok((is_full_range, None));
        }
        // Primaries and transfer.
        self.fixed(16)?;
        let matrix = self.fixed(8)?;
        Ok((
            is_full_range,
            Some(matrix).filter(|matrix| *matrix != UNSPECIFIED),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bits as 0 and 1, everything else is ignored, behind a header.
    fn sps(profile: u8, bits: &str) -> Vec<u8> {
        let mut nal = vec![0x67, profile, 0, 40];
        let bits: Vec<u8> = bits.bytes().filter(|b| matches!(b, b'0' | b'1')).collect();
        nal.extend(bits.chunks(8).map(|chunk| {
            chunk
                .iter()
                .enumerate()
                .fold(0, |byte, (i, bit)| byte | (bit - b'0') << (7 - i))
        }));
        nal
    }

    /// Number 0, frame numbers of 4 bits, order type 2, 1 reference, 2 x 3 macroblocks, progressive.
    const SMALL: &str = "1 1 011 010 0 010 011 1 1";

    #[test]
    fn sizes_and_colours_are_read() {
        let parse =
            |profile, rest: &str| Sps::parse(&sps(profile, &[SMALL, rest].concat())).unwrap();
        let plain = parse(66, "0 0 1");
        assert_eq!((plain.width, plain.height, plain.references), (32, 48, 1));
        assert!(!plain.colours.is_full_range && !plain.colours.is_bt709);
        // Two pixels less at the left, four at the bottom.
        let cropped = parse(77, "1 010 1 1 011 0 1");
        assert_eq!((cropped.width, cropped.height), (30, 44));
        assert_eq!(cropped.coded, (32, 48));
        let aspect = "1 11111111 0000000000000001 0000000000000001";
        let signal = "1 101 1 1 00000001 00000001 00000001";
        let said = parse(66, &["0 1", aspect, "0", signal, "1"].concat());
        assert!(said.colours.is_full_range && said.colours.is_bt709);
    }

    #[test]
    fn high_is_taken_with_eight_bits_and_four_two_zero_alone() {
        let parse =
            |chroma: &str| Sps::parse(&sps(100, &["1", chroma, &SMALL[1..], "0 0 1"].concat()));
        assert_eq!(parse("010 1 1 0 0").unwrap().width, 32);
        // Matrices: one list that ends at once, seven that are not there.
        assert_eq!(parse("010 1 1 0 1 1 000010001 0000000").unwrap().width, 32);
        for chroma in ["1 1 1 0 0", "011 1 1 0 0", "010 010 1 0 0", "010 1 010 0 0"] {
            assert!(matches!(parse(chroma), Err(Unsupported(_))), "{chroma}");
        }
    }

    #[test]
    fn what_the_decoder_does_not_know_is_refused() {
        for profile in [44, 88, 110, 122, 244, 83] {
            let refused = Sps::parse(&sps(profile, &[SMALL, "0 0 1"].concat()));
            assert!(matches!(refused, Err(Unsupported(_))), "{profile}");
        }
        let interlaced = sps(77, "1 1 011 010 0 010 011 0 1 1 0 0 1");
        assert!(matches!(Sps::parse(&interlaced), Err(Unsupported(_))));
    }

    #[test]
    fn what_is_cut_short_or_out_of_range_is_malformed() {
        let whole = sps(66, &[SMALL, "0 0 1"].concat());
        for length in 0..6 {
            assert!(matches!(Sps::parse(&whole[..length]), Err(Malformed(_))));
        }
        for bits in [
            // 17 references; 4097 macroblocks; more margin than picture; a number without end.
            "1 1 011 000010010 0 010 011 1 1 0 0 1",
            "1 1 011 010 0 0000000000001000000000001 011 1 1 0 0 1",
            "1 1 011 010 0 010 011 1 1 1 000010001 1 1 1 0 1",
            "1 1 011 010 0 00000000000000000000000000000000000000000000000000000000000000001",
        ] {
            let parsed = Sps::parse(&sps(66, bits));
            assert!(matches!(parsed, Err(Malformed(_))), "{bits}: {parsed:?}");
        }
    }
}
