//! What players are given while the publisher is away: pictures and silence that cost next to nothing, in every rendition.
//!
//! A picture is one keyframe for each segment, made once, which the packager repeats by pictures of no content until the next
//! segment; a second of sound is some hundred bytes that are always the same.

use bytes::Bytes;
use hls::{CodecKind, Frame, Packager, TrackConfig};

/// How far it is behind, so that who comes back finds no time that is taken: as far as the packager waits for late frames.
const BEHIND_MS: i64 = 400;

/// Time is made in such steps when there is more of it to make.
const STEP_MS: i64 = 100;

/// More than this before now is a hole in time rather than a slate.
const REACH_BACK_MS: i64 = 5_000;

/// A picture to show.
#[derive(Debug, Clone)]
pub(super) struct Still {
    /// A keyframe, as in [`Frame::data`].
    pub(super) keyframe: Bytes,
    /// Whether the packager can surely show it again without its bytes.
    pub(super) is_repeatable: bool,
}

enum Content {
    Picture { keyframe: Bytes, every: i64 },
    Sound { packet: Bytes, duration: u32 },
}

/// One rendition's.
struct Lane {
    track: usize,
    /// The time of the next frame, and how often they come, in ticks.
    next: i64,
    timescale: i64,
    content: Content,
}

/// A publication that is made here.
pub(super) struct Slate {
    lanes: Vec<Lane>,
    /// Ms of the life for which everything was pushed.
    at_ms: i64,
}

impl Slate {
    /// Takes the place of the publication that `tracks` were. A picture without a still has never been seen, and has none now.
    pub(super) fn begin(
        packager: &mut Packager,
        tracks: &[TrackConfig],
        still: impl Fn(&TrackConfig) -> Option<Still>,
        now_ms: i64,
    ) -> Self {
        packager.pause();
        let at_ms = (packager.written_ms() + 1).max(now_ms - REACH_BACK_MS);
        packager.stand_in(tracks.to_vec());
        let settings = packager.settings();
        let segment_ms = i64::try_from(settings.segment_target.as_millis()).unwrap_or(2_000);
        let part_ms = i64::try_from(settings.part_target.as_millis()).unwrap_or(500);
        let content = |config: &TrackConfig| {
            if let Some((packet, duration)) = hls::silence(config) {
                return Some(Content::Sound { packet, duration });
            }
            let still = still(config)?;
            let every_ms = if still.is_repeatable {
                segment_ms
            } else {
                part_ms
            };
            Some(Content::Picture {
                keyframe: still.keyframe,
                every: every_ms * 90,
            })
        };
        let lanes = tracks.iter().enumerate().filter_map(|(track, config)| {
            let timescale = i64::from(config.codec.timescale());
            Some(Lane {
                track,
                next: at_ms * timescale / 1000,
                timescale,
                content: content(config)?,
            })
        });
        Self {
            lanes: lanes.collect(),
            at_ms,
        }
    }

    /// Goes on until `now_ms` ms of the life, but for what may still be somebody else's.
    pub(super) fn run(&mut self, packager: &mut Packager, now_ms: i64) {
        while self.at_ms < now_ms {
            self.at_ms = now_ms.min(self.at_ms + STEP_MS);
            self.push(packager, self.at_ms - BEHIND_MS);
            packager.advance(self.at_ms);
        }
    }

    /// Goes on until `until_ms` and is over.
    pub(super) fn finish(mut self, packager: &mut Packager, until_ms: i64) {
        self.run(packager, until_ms);
        self.push(packager, until_ms);
        packager.pause_at(until_ms);
    }

    fn push(&mut self, packager: &mut Packager, until_ms: i64) {
        for lane in &mut self.lanes {
            let until = until_ms.saturating_mul(lane.timescale) / 1000;
            while lane.next < until {
                let (data, duration, step) = match &lane.content {
                    Content::Picture { keyframe, every } => (keyframe.clone(), None, *every),
                    Content::Sound { packet, duration } => {
                        (packet.clone(), Some(*duration), i64::from(*duration))
                    }
                };
                let frame = Frame {
                    pts: lane.next,
                    keyframe: true,
                    data,
                    duration,
                };
                packager.push(lane.track, frame);
                lane.next += step;
            }
        }
    }
}

/// Whether the packager can show a keyframe of a publisher again and again: one of VP9 always; of H.264 it depends on the
/// encoder, and one of AV1 can only be sent again.
pub(super) fn is_repeatable(codec: CodecKind) -> bool {
    codec == CodecKind::Vp9
}
