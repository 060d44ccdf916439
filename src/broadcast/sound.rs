//! The sound for players that take no Opus: encoded all the time, because players do not take a rendition well that begins when it
//! is asked for.

use bytes::Bytes;
use hls::Frame;

use crate::bridge::OpusToAac;
use crate::media::StreamKey;

/// One stream's AAC: six thousandths of a core.
pub(super) struct AppleSound {
    encoder: OpusToAac,
    frames: Vec<Frame>,
    is_broken: bool,
}

impl AppleSound {
    /// `None` when the library refuses, which is said in the log.
    pub(super) fn new(channels: u8, key: &StreamKey) -> Option<Self> {
        match OpusToAac::new(channels) {
            Ok(encoder) => Some(Self {
                encoder,
                frames: Vec::new(),
                is_broken: false,
            }),
            Err(error) => {
                tracing::warn!(space = %key.space, stream = %key.stream, %error, "no sound for players that want AAC");
                None
            }
        }
    }

    /// The `AudioSpecificConfig`.
    pub(super) fn config(&self) -> Bytes {
        self.encoder.config()
    }

    /// What a frame of Opus becomes.
    pub(super) fn push(&mut self, frame: &Frame) -> std::vec::Drain<'_, Frame> {
        self.frames.clear();
        if !self.is_broken
            && let Err(error) = self.encoder.push(frame, &mut self.frames)
        {
            tracing::warn!(%error, "sound can no longer be encoded as AAC");
            self.is_broken = true;
        }
        self.frames.drain(..)
    }
}
