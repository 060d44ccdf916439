//! What the packager must know of the codecs: where keyframes are, what stands in the sample entry, how the format is
//! named, and how a picture is shown once more.

mod audio;
mod av1;
mod h264;
#[cfg(test)]
mod seeds;
mod vp9;

use bytes::Bytes;

pub use self::audio::silence;
use crate::{CodecKind, Frame, TrackConfig};

/// A format as it stands in an initialisation segment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Format {
    /// The `CODECS` entry, RFC 6381.
    pub(crate) codec: String,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) entry: mp4_atom::Codec,
}

/// What a keyframe changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing that a decoder sees.
    Nothing,
    /// The parameter sets, but neither size nor profile: a new initialisation segment without a discontinuity.
    Init,
    /// The picture: a discontinuity.
    Picture,
}

/// A sample's bytes, in pieces of the frames that came.
pub(crate) type Payload = Vec<Bytes>;

/// How a picture is shown once more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Recipe {
    H264(h264::Slice),
    Vp9(u8),
    Av1([u8; 3]),
}

/// A frame that belongs into a file.
#[derive(Clone, Debug)]
pub(crate) struct Coded {
    pub(crate) payload: Payload,
    pub(crate) keyframe: bool,
    /// Of a keyframe, against the keyframe before.
    pub(crate) change: Change,
    /// Nothing if the picture cannot be repeated.
    pub(crate) recipe: Option<Recipe>,
}

/// A track's codec.
pub(crate) enum Parser {
    H264(Box<h264::H264>),
    Vp9(vp9::Vp9),
    Av1(av1::Av1),
    Audio(Box<audio::Audio>),
    /// No player takes it.
    Foreign,
}

impl Parser {
    pub(crate) fn new(config: &TrackConfig) -> Self {
        match config.codec {
            CodecKind::H264 => Self::H264(Box::default()),
            CodecKind::Vp9 => Self::Vp9(vp9::Vp9::default()),
            CodecKind::Av1 => Self::Av1(av1::Av1::default()),
            CodecKind::Vp8 | CodecKind::Pcma | CodecKind::Pcmu => Self::Foreign,
            CodecKind::Opus | CodecKind::Aac => Self::Audio(Box::new(audio::Audio::new(config))),
        }
    }

    /// Looks into a frame. Nothing comes of one that only carries parameters.
    pub(crate) fn take(&mut self, frame: Frame) -> Result<Option<Coded>, &'static str> {
        match self {
            Self::H264(parser) => parser.take(frame.data),
            Self::Vp9(parser) => parser.take(frame.data).map(Some),
            Self::Av1(parser) => parser.take(frame).map(Some),
            Self::Foreign => Err("a codec that no player takes"),
            Self::Audio(_) if frame.data.is_empty() => Err("an empty packet"),
            Self::Audio(_) => Ok(Some(Coded {
                payload: vec![frame.data],
                keyframe: true,
                change: Change::Nothing,
                recipe: None,
            })),
        }
    }

    /// The format since the last keyframe; of sound, always.
    pub(crate) fn format(&self) -> Option<&Format> {
        match self {
            Self::H264(parser) => parser.format(),
            Self::Vp9(parser) => parser.format(),
            Self::Av1(parser) => parser.format(),
            Self::Audio(parser) => Some(parser.format()),
            Self::Foreign => None,
        }
    }

    /// How many frames may stand between a picture's place in decoding and in showing, as far as the headers say.
    pub(crate) fn reorder_depth(&self) -> usize {
        match self {
            Self::H264(parser) => parser.reorder_depth(),
            _ => 0,
        }
    }

    /// Whether there were captions within a picture, or may have been. In AV1 nobody looks for them; VP9 has no place for any.
    pub(crate) fn may_have_captions(&self) -> bool {
        match self {
            Self::H264(parser) => parser.has_captions(),
            Self::Av1(_) => true,
            Self::Vp9(_) | Self::Audio(_) | Self::Foreign => false,
        }
    }

    /// Makes a picture follow the repeats that were put before it.
    pub(crate) fn follow(&mut self, coded: &mut Coded) {
        if let Self::H264(parser) = self {
            parser.follow(coded);
        }
    }

    /// The bytes that show the picture of `recipe` once more, and the recipe to do so again.
    pub(crate) fn repeat(&mut self, recipe: &Recipe) -> Option<(Payload, Option<Recipe>)> {
        match (self, recipe) {
            (Self::H264(parser), Recipe::H264(slice)) => parser
                .repeat(slice)
                .map(|(bytes, slice)| (vec![bytes], slice.map(Recipe::H264))),
            (Self::Vp9(_), Recipe::Vp9(header)) => {
                let bytes = Bytes::copy_from_slice(&[*header]);
                Some((vec![bytes], Some(recipe.clone())))
            }
            (Self::Av1(_), Recipe::Av1(unit)) => {
                let bytes = Bytes::copy_from_slice(unit);
                Some((vec![bytes], Some(recipe.clone())))
            }
            _ => None,
        }
    }
}

/// The parser of sound, for what only sound has.
impl Parser {
    /// A packet that lasts as long as `like` and sounds like nothing, with its length in ticks.
    pub(crate) fn silence(&self, like: &[u8]) -> Option<(Bytes, u32)> {
        match self {
            Self::Audio(parser) => parser.silence(like),
            _ => None,
        }
    }
}
