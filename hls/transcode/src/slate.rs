//! The picture that is shown while a performer is away: the space's name and "back in a moment", as one keyframe of H.264 by the
//! encoder of `openh264`.
//!
//! Blocks: to be called on a thread of its own, once for each size of picture of a space. A picture of 1920 x 1080 pixels is 10 to 20 kB.

mod letters;

use bytes::{BufMut as _, Bytes, BytesMut};
use openh264::OpenH264API;
use openh264::encoder::{Encoder, EncoderConfig, FrameRate, QpRange, RateControlMode};
use openh264::formats::YUVBuffer;

use payload::h264::NalType;

/// Pixels on either side; the encoder's own limits are 3840 and 2160.
const SIDE_MIN: u32 = 16;
const LONG_SIDE_MAX: u32 = 3_840;
const SHORT_SIDE_MAX: u32 = 2_160;

/// What is said below the name.
const WORDS: &str = "back in a moment";

/// Luma and chroma of the ground, and luma of the letters.
const GROUND: (u8, u8, u8) = (30, 132, 125);
const BRIGHT: u8 = 215;
const DIM: u8 = 140;

/// Fine enough for letters, and a still picture pays once for a whole segment.
const QUANTISER: QpRange = QpRange::new(22, 28);

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum SlateError {
    /// What the encoder cannot do.
    #[error("no slate of {width} x {height} pixels; sides must be even, and 3840 x 2160 at most")]
    Size {
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
    },
    /// What the encoder says.
    #[error("the slate cannot be encoded: {0}")]
    Encoder(#[from] openh264::Error),
    /// It gave something else.
    #[error("the encoder gave no keyframe")]
    NoKeyframe,
}

/// A keyframe of exactly this size with its parameter sets, NAL units with four bytes of length in front of each, as in
/// [`hls::Frame::data`].
///
/// # Errors
/// `Size` for what the encoder cannot do, and what the encoder says.
pub fn slate_keyframe(name: &str, width: u32, height: u32) -> Result<Bytes, SlateError> {
    let [keyframe] = slate_keyframes(name, width, height)?;
    Ok(keyframe)
}

/// The same picture several times, each with an `idr_pic_id` of its own: they may follow one another.
///
/// # Errors
/// As [`slate_keyframe`].
pub fn slate_keyframes<const COUNT: usize>(
    name: &str,
    width: u32,
    height: u32,
) -> Result<[Bytes; COUNT], SlateError> {
    let (long, short) = (width.max(height), width.min(height));
    let is_odd = !(width.is_multiple_of(2) && height.is_multiple_of(2));
    if is_odd || short < SIDE_MIN || long > LONG_SIDE_MAX || short > SHORT_SIDE_MAX {
        return Err(SlateError::Size { width, height });
    }
    let config = EncoderConfig::new()
        .rate_control_mode(RateControlMode::Off)
        .qp(QUANTISER)
        .max_frame_rate(FrameRate::from_hz(30.0))
        .skip_frames(false)
        .scene_change_detect(false)
        .num_threads(1);
    let mut encoder = Encoder::with_api_config(OpenH264API::from_source(), config)?;
    let (width, height) = (width as usize, height as usize);
    let picture = YUVBuffer::from_vec(draw(name, width, height), width, height);
    let mut keyframes = [const { Bytes::new() }; COUNT];
    for keyframe in &mut keyframes {
        encoder.force_intra_frame();
        let stream = encoder.encode(&picture)?.to_vec();
        *keyframe = with_lengths(&stream).ok_or(SlateError::NoKeyframe)?;
    }
    Ok(keyframes)
}

/// Planes of 4:2:0, one after the other.
fn draw(name: &str, width: usize, height: usize) -> Vec<u8> {
    let pixels = width * height;
    let mut planes = vec![GROUND.0; pixels];
    planes.resize(pixels + pixels / 4, GROUND.1);
    planes.resize(pixels + pixels / 2, GROUND.2);
    let luma = &mut planes[..pixels];
    let canvas = (width, height);
    // The name in at most two thirds of the width, what is said in at most a half.
    let title = letters::scale(name, width * 2 / 3, height / 8);
    let words = letters::scale(WORDS, width / 2, height / 16).min(title.max(1));
    letters::write(luma, canvas, name, height * 2 / 5, title, BRIGHT);
    letters::write(luma, canvas, WORDS, height * 3 / 5, words, DIM);
    planes
}

/// From Annex B; nothing when there is no keyframe with its parameter sets in it.
fn with_lengths(stream: &[u8]) -> Option<Bytes> {
    let mut out = BytesMut::with_capacity(stream.len() + 16);
    let mut kinds = Vec::new();
    let mut rest = stream;
    while let Some(begin) = start_code(rest) {
        let nal = &rest[begin.end..];
        let end = start_code(nal).map_or(nal.len(), |next| next.start);
        let (nal, after) = nal.split_at(end);
        kinds.extend(NalType::of(nal));
        out.put_u32(u32::try_from(nal.len()).ok()?);
        out.put_slice(nal);
        rest = after;
    }
    let wanted = [NalType::SPS, NalType::PPS, NalType::IDR];
    let is_whole = wanted.iter().all(|kind| kinds.contains(kind));
    is_whole.then(|| out.freeze())
}

/// The next start code, with the zero that may belong to it.
fn start_code(bytes: &[u8]) -> Option<std::ops::Range<usize>> {
    let at = bytes.windows(3).position(|three| three == [0, 0, 1])?;
    let start = if at > 0 && bytes[at - 1] == 0 {
        at - 1
    } else {
        at
    };
    Some(start..at + 3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Thumbnailer;

    #[test]
    fn a_slate_of_any_usual_size_can_be_decoded_and_is_small() {
        for (width, height) in [
            (320, 180),
            (640, 360),
            (854, 480),
            (1280, 720),
            (1920, 1080),
            (720, 1280),
        ] {
            let keyframe = slate_keyframe("residence-2026", width, height).unwrap();
            assert!(
                keyframe.len() < 40_000,
                "{width} x {height}: {}",
                keyframe.len()
            );
            let jpeg = Thumbnailer::new().unwrap().jpeg(&keyframe).unwrap();
            assert!(jpeg.len() > 1000, "there is something to see");
        }
    }

    #[test]
    fn sizes_that_cannot_be_are_refused() {
        for (width, height) in [(0, 0), (321, 180), (8, 8), (4096, 2160), (3840, 3840)] {
            let refused = slate_keyframe("stage", width, height);
            assert!(
                matches!(refused, Err(SlateError::Size { .. })),
                "{width} x {height}"
            );
        }
    }

    #[test]
    fn the_longest_name_stays_inside_the_picture() {
        let name = "w".repeat(64);
        for (width, height) in [(640, 360), (1280, 720)] {
            let planes = draw(&name, width, height);
            let luma = &planes[..width * height];
            let is_lit = |place: &(usize, &u8)| *place.1 != GROUND.0;
            let lit: Vec<usize> = luma
                .iter()
                .enumerate()
                .filter(is_lit)
                .map(|one| one.0 % width)
                .collect();
            let (first, last) = (lit.iter().min().unwrap(), lit.iter().max().unwrap());
            assert!(*first > 0 && *last < width - 1);
        }
    }
}
