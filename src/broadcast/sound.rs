//! The sound for players that take no Opus: encoded from the first request for it on.

use bytes::Bytes;
use hls::Frame;

use crate::bridge::OpusToAac;
use crate::media::StreamKey;

/// One stream's AAC. Half a percent of a core once it runs, nothing before.
pub(super) struct AppleSound {
    channels: u8,
    config: Bytes,
    encoder: Option<OpusToAac>,
    frames: Vec<Frame>,
    is_broken: bool,
}

impl AppleSound {
    /// `None` when the library refuses, which is said in the log.
    pub(super) fn new(channels: u8, key: &StreamKey) -> Option<Self> {
        match OpusToAac::new(channels) {
            Ok(encoder) => Some(Self {
                channels,
                config: encoder.config(),
                encoder: None,
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
        self.config.clone()
    }

    /// What a frame of Opus becomes.
    pub(super) fn push(&mut self, frame: &Frame, is_wanted: bool) -> std::vec::Drain<'_, Frame> {
        self.frames.clear();
        if is_wanted && !self.is_broken {
            self.encode(frame);
        }
        self.frames.drain(..)
    }

    fn encode(&mut self, frame: &Frame) {
        if self.encoder.is_none() {
            self.encoder = OpusToAac::new(self.channels).ok();
        }
        let Some(encoder) = &mut self.encoder else {
            return;
        };
        if let Err(error) = encoder.push(frame, &mut self.frames) {
            tracing::warn!(%error, "sound can no longer be encoded as AAC");
            self.is_broken = true;
        }
    }
}
