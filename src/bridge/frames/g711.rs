//! G.711 in order to Opus in order: large audiences' players take nothing else of what WebRTC's sound is made of.
//!
//! A packet's samples are decoded, resampled and encoded anew; each packet of Opus has the RTP time of its first sample, so that
//! losses and the publisher's clock are [`Audio`]'s, as with Opus that was published. It comes out some 80 ms later than it went
//! in, because the resampler takes 64 ms at once. One percent of a core at most.

use std::fmt;

use bytes::Bytes;

use super::audio::Audio;
use super::timeline::{Anchor, Stamp};
use super::{Counters, FrameKind, Packet};
use crate::bridge::transcode::{Input, Transcoder, Unit};

/// Hz of G.711, and how many samples of Opus one of its is.
const RATE: u32 = 8_000;
const RATIO: u32 = 6;

/// A track of G.711.
pub(super) struct G711 {
    /// Nothing when the libraries refuse: a track without sound.
    transcoder: Option<Transcoder>,
    last: Option<Last>,
}

/// The packet before.
#[derive(Debug, Clone, Copy)]
struct Last {
    timestamp: u32,
    /// Ticks of 8 kHz since the first packet.
    elapsed: i64,
}

impl fmt::Debug for G711 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = formatter.debug_struct("G711");
        text.field("last", &self.last).finish_non_exhaustive()
    }
}

impl G711 {
    /// Of one of the two laws.
    pub(super) fn new(kind: FrameKind) -> Self {
        let input = match kind {
            FrameKind::Pcma => Input::Pcma,
            _ => Input::Pcmu,
        };
        let transcoder = Transcoder::new(input, RATE)
            .inspect_err(|error| tracing::error!(%error, "G.711 stays without sound in HLS"));
        Self {
            transcoder: transcoder.ok(),
            last: None,
        }
    }

    /// The same place in the timestamps of the Opus that it becomes.
    pub(super) fn anchor(anchor: Anchor) -> Anchor {
        Anchor {
            timestamp: anchor.timestamp.wrapping_mul(RATIO),
            ..anchor
        }
    }

    /// As [`Self::anchor`].
    pub(super) fn stamp(stamp: Stamp) -> Stamp {
        Stamp {
            timestamp: stamp.timestamp.wrapping_mul(RATIO),
            ..stamp
        }
    }

    /// Takes the next packet; gives what of Opus is complete to `audio`.
    pub(super) fn push(
        &mut self,
        packet: &Packet,
        audio: &mut Audio,
        lead_us: i64,
        counters: &mut Counters,
        out: &mut Vec<hls::Frame>,
    ) {
        let Some(transcoder) = self
            .transcoder
            .as_mut()
            .filter(|_| !packet.payload.is_empty())
        else {
            return;
        };
        let elapsed = self.last.map_or(0, |last| {
            let step = packet.timestamp.wrapping_sub(last.timestamp).cast_signed();
            last.elapsed + i64::from(step)
        });
        self.last = Some(Last {
            timestamp: packet.timestamp,
            elapsed,
        });
        let unit = Unit {
            elapsed: Some(elapsed),
            data: Bytes::copy_from_slice(&packet.payload),
        };
        let Ok(made) = transcoder.push(&unit) else {
            counters.damaged += 1;
            return;
        };
        for opus in made {
            // It began before the packet that completed it.
            let behind = elapsed * i64::from(RATIO) - opus.elapsed;
            let behind_us = behind * 1_000_000 / i64::from(RATE * RATIO);
            let here = packet.timestamp.wrapping_mul(RATIO);
            let opus = Packet {
                timestamp: here.wrapping_sub(behind as u32),
                arrival_us: packet.arrival_us - behind_us,
                wallclock_us: packet.wallclock_us - behind_us,
                payload: opus.payload,
                red: false,
                ..*packet
            };
            audio.push(&opus, lead_us, counters, out);
        }
    }
}
