//! What came of a publication before somebody tapped its stream.
//!
//! A stream is tapped when it is known to be live, tens of milliseconds after its first packet. FFmpeg sends half a second of
//! media in this time, and a file that is read as fast as can be several groups of pictures. The kept group of pictures would
//! be the last of them, and sound is kept nowhere else.

use std::collections::VecDeque;
use std::time::Duration;

use crate::packet::MediaPacket;

/// Two seconds at 16 Mbit/s; payloads are shared with the kept groups of pictures.
const BYTES_MAX: usize = 4 << 20;
/// The same in packets of 1,000 bytes.
const PACKETS_MAX: usize = 4_096;
/// A tap that comes later than this does not belong to the beginning.
const AGE_MAX: Duration = Duration::from_secs(2);
/// Of sound alone, when that is so: five seconds in packets of 20 ms.
const SOUND_MAX: usize = 256;

/// A packet with the places of its track and layer.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) track: usize,
    pub(crate) layer: usize,
    pub(crate) packet: MediaPacket,
    is_audio: bool,
}

/// Packets from the beginning on; when those are too many or too old, the last ones of the sound.
#[derive(Debug, Default)]
pub(crate) struct Early {
    packets: VecDeque<Placed>,
    bytes: usize,
    is_sound_only: bool,
}

impl Early {
    /// Keeps a packet.
    pub(crate) fn push(
        &mut self,
        is_audio: bool,
        track: usize,
        layer: usize,
        packet: &MediaPacket,
    ) {
        if !self.is_sound_only {
            self.bytes += packet.payload.len();
            let age = self.packets.front().map_or(Duration::ZERO, |first| {
                packet
                    .arrival
                    .saturating_duration_since(first.packet.arrival)
            });
            let is_much = self.bytes > BYTES_MAX || self.packets.len() >= PACKETS_MAX;
            if is_much || age > AGE_MAX {
                self.is_sound_only = true;
                self.packets.retain(|placed| placed.is_audio);
            }
        }
        if self.is_sound_only {
            if !is_audio {
                return;
            }
            while self.packets.len() >= SOUND_MAX {
                self.packets.pop_front();
            }
        }
        self.packets.push_back(Placed {
            track,
            layer,
            packet: packet.clone(),
            is_audio,
        });
    }

    /// Gives it away: in the order in which it came, and whether it is everything that came.
    pub(crate) fn take(&mut self) -> (VecDeque<Placed>, bool) {
        let early = std::mem::take(self);
        (early.packets, !early.is_sound_only)
    }
}
