//! JPEG thumbnails of H.264 keyframes, by libraries: `openh264` decodes, `jpeg-encoder` encodes.
//!
//! Called on a thread of its own, never on one that carries media: a keyframe of 1920 x 1080 pixels and 670 kB takes
//! 190 ms of one core with the profile of the tests. VP9 and AV1 have no thumbnails: there is no decoder for them that
//! is small enough.
//!
//! `openh264` is C++ and is given what strangers sent. It does its own checks, but a mistake in it is a mistake in this
//! process, and nothing here can catch it. So little reaches it: parameter sets and slices of IDR pictures only, of a
//! picture that is progressive, 4:2:0 with 8 bits, in a profile that it knows, and small enough, as is found
//! first; and each keyframe meets a decoder that has seen nothing before.

mod scale;
mod sps;

use bytes::Bytes;
use jpeg_encoder::{ChromaSubsamplingMethod, ColorType, Encoder, EncodingError};
use openh264::OpenH264API;
use openh264::decoder::{Decoder, DecoderConfig};
use openh264::formats::YUVSource;
use payload::h264::NalType;
use payload::h264::units::nals;

use self::scale::{Picture, Planes};
use self::sps::Sps;

/// Pixels. Portrait pictures have the same limits the other way round.
const LONG_SIDE_MAX: usize = 4_096;
const SHORT_SIDE_MAX: usize = 2_304;
/// Pixels in all the pictures that the decoder allocates, of 1.5 bytes and about as much again for motion: 200 MB.
const POOL_MAX: usize = 7 * LONG_SIDE_MAX * SHORT_SIDE_MAX;
/// Bytes. Encoders' keyframes of the largest picture have less than half of it.
const ACCESS_UNIT_MAX: usize = 8 << 20;
/// NAL units in a keyframe; real ones have one slice for each thread of the encoder, or for each packet.
const NALS_MAX: usize = 8_192;
/// Pixels.
const WIDTH_MAX: usize = 320;
/// Of JPEG, tried in order until the result is small enough.
const QUALITIES: [u8; 3] = [75, 50, 25];
/// Bytes.
const JPEG_MAX: usize = 25_000;

/// Why there is no thumbnail.
#[derive(Debug, thiserror::Error)]
pub enum ThumbnailError {
    /// A profile, chroma format or depth that the decoder does not know.
    #[error("no thumbnails of {0}")]
    Unsupported(&'static str),
    /// What was given is not one whole keyframe.
    #[error("not a keyframe: {0}")]
    Malformed(&'static str),
    /// The decoder would need more memory than it is given.
    #[error(
        "a picture of {width} x {height} pixels with {references} references is too large for a thumbnail"
    )]
    TooLarge {
        /// Pixels.
        width: usize,
        /// Pixels.
        height: usize,
        /// Pictures that the stream may refer to.
        references: usize,
    },
    /// The decoder gave up.
    #[error("the keyframe cannot be decoded: {0}")]
    Decoder(#[from] openh264::Error),
    /// Slices are missing.
    #[error("the keyframe holds no whole picture")]
    NoPicture,
    /// The encoder failed.
    #[error("no JPEG: {0}")]
    Encoder(#[from] EncodingError),
}

/// Makes thumbnails, one after the other, of any streams. Keeps no pictures between two of them.
pub struct Thumbnailer {
    /// The access unit in work as Annex B.
    stream: Vec<u8>,
}

impl Thumbnailer {
    /// # Errors
    ///
    /// If no decoder can be made, which then is no keyframe's fault.
    pub fn new() -> Result<Self, ThumbnailError> {
        decoder()?;
        Ok(Self { stream: Vec::new() })
    }

    /// A baseline JPEG at most 320 pixels wide, of 5 to 25 kB as a rule, from one keyframe: NAL units with 4 bytes of
    /// length in front of each, as in [`hls::Frame::data`], with the SPS and the PPS that apply among them. Blocks.
    ///
    /// # Errors
    ///
    /// `Malformed`, `Unsupported` and `TooLarge` before anything is decoded; `Decoder` and `NoPicture` for slices that
    /// are broken or incomplete.
    pub fn jpeg(&mut self, access_unit: &[u8]) -> Result<Bytes, ThumbnailError> {
        encode(&self.picture(access_unit)?)
    }

    /// The keyframe's picture in the thumbnail's size and colours.
    fn picture(&mut self, access_unit: &[u8]) -> Result<Picture, ThumbnailError> {
        let sps = self.validate(access_unit)?;
        let mut decoder = decoder()?;
        let decoded = decoder
            .decode(&self.stream)?
            .ok_or(ThumbnailError::NoPicture)?;
        let (width, height) = decoded.dimensions();
        if (width, height) != (sps.width, sps.height) {
            return Err(ThumbnailError::NoPicture);
        }
        let planes = Planes {
            width,
            height,
            strides: decoded.strides(),
            y: decoded.y(),
            cb: decoded.u(),
            cr: decoded.v(),
        };
        scale::shrink(&planes, sps.colours, WIDTH_MAX).ok_or(ThumbnailError::NoPicture)
    }

    /// Copies what the decoder may see to [`Self::stream`], and says what it will find there.
    fn validate(&mut self, access_unit: &[u8]) -> Result<Sps, ThumbnailError> {
        use ThumbnailError::Malformed;
        if access_unit.len() > ACCESS_UNIT_MAX {
            return Err(Malformed("too long"));
        }
        self.stream.clear();
        let mut sps = None;
        let (mut has_pps, mut has_picture) = (false, false);
        for (count, nal) in nals(access_unit).enumerate() {
            let nal = nal.ok_or(Malformed("a NAL unit is cut short"))?;
            if count >= NALS_MAX {
                return Err(Malformed("too many NAL units"));
            }
            match NalType::of(nal) {
                Some(NalType::SPS) => {
                    let parsed = Sps::parse(nal)?;
                    check_size(&parsed)?;
                    // A second one may repeat the first, but nothing else: which one applies is not looked up.
                    if sps.is_some_and(|other| other != parsed) {
                        return Err(Malformed("its SPS contradict one another"));
                    }
                    sps = Some(parsed);
                }
                Some(NalType::PPS) => has_pps = true,
                Some(NalType::IDR) => has_picture = true,
                _ => continue,
            }
            // A start code inside would let other units pass unseen; ITU-T H.264 section 7.4.1 forbids it.
            if nal.windows(3).any(|w| w[0] == 0 && w[1] == 0 && w[2] <= 2) {
                return Err(Malformed("a start code inside a NAL unit"));
            }
            self.stream.extend_from_slice(&[0, 0, 0, 1]);
            self.stream.extend_from_slice(nal);
        }
        match sps {
            _ if !has_picture => Err(Malformed("no IDR picture")),
            _ if !has_pps => Err(Malformed("no PPS")),
            sps => sps.ok_or(Malformed("no SPS")),
        }
    }
}

/// A decoder that gives up on the first mistake instead of concealing it.
fn decoder() -> Result<Decoder, ThumbnailError> {
    let api = OpenH264API::from_source();
    Ok(Decoder::with_api_config(api, DecoderConfig::new())?)
}

fn check_size(sps: &Sps) -> Result<(), ThumbnailError> {
    let (long, short) = (sps.coded.0.max(sps.coded.1), sps.coded.0.min(sps.coded.1));
    // The decoder holds two pictures more than it is told to refer to.
    let pool = sps.coded.0 * sps.coded.1 * (sps.references + 2);
    if long <= LONG_SIDE_MAX && short <= SHORT_SIDE_MAX && pool <= POOL_MAX {
        return Ok(());
    }
    Err(ThumbnailError::TooLarge {
        width: sps.width,
        height: sps.height,
        references: sps.references,
    })
}

fn encode(picture: &Picture) -> Result<Bytes, ThumbnailError> {
    let mut jpeg = Vec::with_capacity(JPEG_MAX);
    for quality in QUALITIES {
        jpeg.clear();
        let mut encoder = Encoder::new(&mut jpeg, quality);
        encoder.set_chroma_subsampling_method(ChromaSubsamplingMethod::Average);
        encoder.encode(
            &picture.pixels,
            picture.width,
            picture.height,
            ColorType::Ycbcr,
        )?;
        if jpeg.len() <= JPEG_MAX {
            break;
        }
    }
    Ok(jpeg.into())
}

#[cfg(test)]
mod tests;
