//! The sound for players that take no Opus. It is encoded while somebody asks for it or it is recorded; at all other times its units
//! hold their places without sound, which costs nothing and leaves every number, time and cut as it would be. Whoever asks for such
//! a part or segment later has its sound made of the Opus beside it: [`transcode::with_sound`].

use bytes::Bytes;
use hls::Frame;
use transcode::OpusToAac;

use crate::media::StreamKey;

/// One stream's AAC: while it is encoded, more than all else that a stream costs here.
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

    /// The packets that were last pushed while nobody wanted them, a second and more.
    pub(super) fn passed(&self) -> impl Iterator<Item = &Frame> {
        self.encoder.passed()
    }

    /// What a frame of Opus becomes; without sound in it when nobody wants it.
    pub(super) fn push(&mut self, frame: &Frame, is_wanted: bool) -> std::vec::Drain<'_, Frame> {
        self.frames.clear();
        if !is_wanted {
            self.encoder.pass(frame, &mut self.frames);
        } else if !self.is_broken
            && let Err(error) = self.encoder.push(frame, &mut self.frames)
        {
            tracing::warn!(%error, "sound can no longer be encoded as AAC");
            self.is_broken = true;
        }
        self.frames.drain(..)
    }
}
