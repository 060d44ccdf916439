//! What a sequence parameter set says about the pictures, ITU-T H.264 sections 7.3.2.1.1 and E.1.1.
//!
//! `h264-reader` reads it; here is refused what it accepts and the decoder does not know, before anything is allocated.

use h264_reader::nal::sps::{
    ChromaFormat, FrameCropping, FrameMbsFlags, SeqParameterSet, VuiParameters,
};
use h264_reader::nal::{Nal, RefNal};

use super::ThumbnailError;
use super::ThumbnailError::{Malformed, Unsupported};
use super::scale::Colours;

/// Bytes. Real ones have less than 100.
const LENGTH_MAX: usize = 1_024;
/// Macroblocks of 16 pixels in a row or column, far above the limits, so that no product overflows.
const MACROBLOCKS_MAX: u32 = 4_096;
/// Pictures that the decoder may be told to keep, table A-1.
const REFERENCES_MAX: u32 = 16;
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
        let &[_, profile, ..] = nal else {
            return Err(Malformed("an SPS is cut short"));
        };
        if !matches!(profile, 66 | 77 | 100) {
            return Err(Unsupported("H.264 other than Baseline, Main and High"));
        }
        if nal.len() > LENGTH_MAX {
            return Err(Malformed("an SPS is too long"));
        }
        let sps = SeqParameterSet::from_bits(RefNal::new(nal, &[], true).rbsp_bits())
            .map_err(|_| Malformed("an SPS is cut short or holds what makes no sense"))?;
        let chroma = &sps.chroma_info;
        let depths = (chroma.bit_depth_luma_minus8, chroma.bit_depth_chroma_minus8);
        if chroma.chroma_format != ChromaFormat::YUV420 || depths != (0, 0) {
            return Err(Unsupported("H.264 other than 4:2:0 with 8 bits"));
        }
        if sps.frame_mbs_flags != FrameMbsFlags::Frames {
            return Err(Unsupported("interlaced H.264"));
        }
        let coded = (
            side(sps.pic_width_in_mbs_minus1)?,
            side(sps.pic_height_in_map_units_minus1)?,
        );
        let (width, height) = match &sps.frame_cropping {
            Some(margins) => crop(coded, margins)?,
            None => coded,
        };
        let (is_full_range, matrix) = signal(sps.vui_parameters.as_ref());
        let is_bt709 = matrix.map_or(height >= HD_HEIGHT, |matrix| matrix == 1);
        Ok(Self {
            width,
            height,
            coded,
            references: small(sps.max_num_ref_frames, REFERENCES_MAX)?,
            colours: Colours {
                is_full_range,
                is_bt709,
            },
        })
    }
}

/// The pixels of a row or a column of macroblocks, which are counted from 0.
fn side(macroblocks: u32) -> Result<usize, ThumbnailError> {
    Ok(16 * (small(macroblocks, MACROBLOCKS_MAX - 1)? + 1))
}

/// A number of at most `max`.
fn small(value: u32, max: u32) -> Result<usize, ThumbnailError> {
    let value = Some(value).filter(|value| *value <= max);
    let value = value.ok_or(Malformed("an SPS holds too large a number"))?;
    Ok(value as usize)
}

/// The size that is left when the margins are cut off, which are counted in two pixels.
fn crop(coded: (usize, usize), margins: &FrameCropping) -> Result<(usize, usize), ThumbnailError> {
    let left = |size: usize, margins: [u32; 2]| -> Result<usize, ThumbnailError> {
        let [one, other] = margins.map(|margin| small(margin, MACROBLOCKS_MAX * 8));
        let left = size.checked_sub(2 * (one? + other?));
        let left = left.filter(|left| *left > 0);
        left.ok_or(Malformed("an SPS leaves nothing of the picture"))
    };
    Ok((
        left(coded.0, [margins.left_offset, margins.right_offset])?,
        left(coded.1, [margins.top_offset, margins.bottom_offset])?,
    ))
}

/// Whether the range is full, and the matrix if it is known, of the usability information.
fn signal(usability: Option<&VuiParameters>) -> (bool, Option<u8>) {
    const UNSPECIFIED: u8 = 2;
    let Some(signal) = usability.and_then(|vui| vui.video_signal_type.as_ref()) else {
        return (false, None);
    };
    let matrix = signal
        .colour_description
        .as_ref()
        .map(|colours| colours.matrix_coefficients)
        .filter(|matrix| *matrix != UNSPECIFIED);
    (signal.video_full_range_flag, matrix)
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
        // Nothing else is said of usability.
        let said = parse(66, &["0 1", aspect, "0", signal, "000000 1"].concat());
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
