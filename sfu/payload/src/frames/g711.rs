//! G.711 in order to Opus in order: large audiences' players take nothing else of what WebRTC's sound is made of.
//!
//! Whoever makes Opus of it is given by the caller: this crate decodes nothing. Each packet of Opus has the RTP time of its first
//! sample, so that losses and the publisher's clock are [`Audio`]'s, as with Opus that was published.

use std::fmt;
use std::sync::Arc;

use super::audio::Audio;
use super::timeline::{Anchor, Stamp};
use super::{Counters, Frame, Packet};

/// Hz of G.711, and how many samples of Opus one of its is.
const RATE: u32 = 8_000;
const RATIO: u32 = 6;

/// A packet of Opus that was made of G.711.
#[derive(Debug, Clone)]
pub struct Opus {
    /// Ticks of 48 kHz from the first packet that came to this one's first sample.
    pub elapsed: i64,
    /// As RTP carries it.
    pub payload: Arc<[u8]>,
}

/// Makes Opus of the next packet of G.711: is given the ticks of 8 kHz since the first one and the samples, and gives whatever is
/// complete now, or nothing for what it cannot read.
pub type ToOpus = Box<dyn FnMut(i64, &[u8]) -> Option<Vec<Opus>> + Send>;

/// A track of G.711.
pub(super) struct G711 {
    /// Nothing where nobody can make Opus: a track without sound.
    to_opus: Option<ToOpus>,
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
    pub(super) fn new(to_opus: Option<ToOpus>) -> Self {
        Self {
            to_opus,
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
        out: &mut Vec<Frame>,
    ) {
        let Some(to_opus) = self.to_opus.as_mut().filter(|_| !packet.payload.is_empty()) else {
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
        let Some(made) = to_opus(elapsed, &packet.payload) else {
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
