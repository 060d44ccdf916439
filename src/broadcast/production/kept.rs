//! The sound of what is recorded to stay.

use std::sync::Arc;

use hls::CodecKind;
use transcode::{lacks_sound, opus_packets, with_sound};

use super::Production;
use crate::broadcast::OPUS;

impl Production {
    /// Whether what comes is recorded to stay.
    pub(super) fn is_kept(&self) -> bool {
        let archive = self.around.recorder.archive();
        archive.is_keeping(self.show.life())
    }

    /// A recording began within this segment: what is kept has its sound.
    pub(super) fn complete(&self, segment: Arc<hls::Segment>) -> Arc<hls::Segment> {
        let is_aac = self.packager.renditions()[segment.rendition].kind == CodecKind::Aac;
        let (true, Some(apple)) = (is_aac && self.is_kept(), &self.apple) else {
            return segment;
        };
        if !lacks_sound(&segment.bytes) {
            return segment;
        }
        // What was published, and then what came after it, which has not been.
        let mut packets = Vec::new();
        if let Some(opus) = self.show.rendition(OPUS) {
            let before = (!segment.discontinuity).then(|| opus.media(segment.msn - 1));
            let around = [before.flatten(), opus.media(segment.msn)];
            for media in around.into_iter().flatten() {
                packets.extend(opus_packets(&media.bytes));
            }
        }
        packets.extend(apple.passed().cloned());
        match with_sound(&segment.bytes, &packets) {
            Some(bytes) => Arc::new(hls::Segment {
                bytes,
                ..hls::Segment::clone(&segment)
            }),
            None => segment,
        }
    }
}
