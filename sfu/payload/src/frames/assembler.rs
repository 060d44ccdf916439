//! The one type that the bridge sees of all this.

use super::audio::Audio;
use super::g711::{G711, ToOpus};
use super::timeline::{Ahead, Anchor, Stamp};
use super::video::Video;
use super::window::{Item, Window};
use super::{Counters, Frame, Packet};
use crate::CodecKind;

/// Puts the frames of one layer of one track together. One per publication: another publisher's packets need another.
#[derive(Debug)]
pub struct Assembler {
    window: Window,
    track: Track,
    counters: Counters,
}

#[derive(Debug)]
enum Track {
    Video(Box<Video>),
    /// Whatever is to become Opus first.
    Audio(Audio, Option<Box<G711>>),
}

impl Assembler {
    /// Begins with nothing known; pictures begin with the first keyframe. G.711 gives nothing, see [`Self::through`]; VP8 and AAC
    /// are not put together, and count as damaged.
    pub fn new(kind: CodecKind) -> Self {
        Self::with(kind, None)
    }

    /// One whose packets, in order, become Opus on the way: for G.711.
    pub fn through(kind: CodecKind, to_opus: ToOpus) -> Self {
        Self::with(kind, Some(to_opus))
    }

    fn with(kind: CodecKind, to_opus: Option<ToOpus>) -> Self {
        let track = match kind {
            CodecKind::Pcma | CodecKind::Pcmu => {
                Track::Audio(Audio::new(), Some(Box::new(G711::new(to_opus))))
            }
            CodecKind::Opus | CodecKind::Aac => Track::Audio(Audio::new(), None),
            CodecKind::H264 | CodecKind::Vp8 | CodecKind::Vp9 | CodecKind::Av1 => {
                Track::Video(Box::new(Video::new(kind)))
            }
        };
        Self {
            window: Window::default(),
            track,
            counters: Counters::default(),
        }
    }

    /// Says which packet is the first and where its frame belongs.
    pub fn begin(&mut self, anchor: Anchor) {
        self.window.begin_at(anchor.sequence);
        match &mut self.track {
            Track::Video(video) => video.begin(anchor),
            Track::Audio(audio, None) => audio.begin(anchor),
            Track::Audio(audio, Some(_)) => audio.begin(G711::anchor(anchor)),
        }
    }

    /// By how much a packet that has just come is ahead of its capture time; `None` before the first frame.
    pub fn ahead(&self, packet: &Packet) -> Option<Ahead> {
        let stamp = Stamp {
            timestamp: packet.timestamp,
            arrival_us: packet.arrival_us,
            wallclock_us: packet.wallclock_us,
        };
        match &self.track {
            Track::Video(video) => video.ahead(stamp),
            Track::Audio(audio, None) => audio.ahead(stamp),
            Track::Audio(audio, Some(_)) => audio.ahead(G711::stamp(stamp)),
        }
    }

    /// Takes a packet and appends to `out` the frames that are complete now, in decoding order. The publication is `lead_us`
    /// ahead of its capture times.
    pub fn push(&mut self, packet: Packet, lead_us: i64, out: &mut Vec<Frame>) {
        let Self {
            window,
            track,
            counters,
        } = self;
        window.push(packet, &mut |item| track.take(item, lead_us, counters, out));
    }

    /// Gives what still waits: nothing more will come.
    pub fn finish(&mut self, lead_us: i64, out: &mut Vec<Frame>) {
        let Self {
            window,
            track,
            counters,
        } = self;
        window.expire(i64::MAX, &mut |item| {
            track.take(item, lead_us, counters, out);
        });
        if let Track::Video(video) = track {
            video.end(lead_us, counters, out);
        }
    }

    /// Gives up what was waited for long enough at `now_us`, and lets sound that is paused go on as silence. To be called
    /// every 20 to 100 ms, as long as the publication lasts.
    pub fn expire(&mut self, now_us: i64, lead_us: i64, out: &mut Vec<Frame>) {
        let Self {
            window,
            track,
            counters,
        } = self;
        window.expire(now_us, &mut |item| {
            track.take(item, lead_us, counters, out);
        });
        if let Track::Audio(audio, _) = track {
            audio.expire(now_us, counters, out);
        }
    }

    /// Whether a keyframe has become necessary since this was asked last. Says so again every 500 ms in which frames come
    /// that cannot be used.
    pub fn take_wants_keyframe(&mut self) -> bool {
        match &mut self.track {
            Track::Video(video) => video.take_wants_keyframe(),
            Track::Audio(..) => false,
        }
    }

    /// What happened until now.
    pub fn counters(&self) -> Counters {
        self.window.counters(self.counters)
    }
}

impl Track {
    fn take(&mut self, item: Item, lead_us: i64, counters: &mut Counters, out: &mut Vec<Frame>) {
        match (self, item) {
            (Self::Video(video), Item::Packet(packet)) => {
                video.push(packet, lead_us, counters, out);
            }
            (Self::Video(video), Item::Gap) => video.gap(),
            (Self::Audio(audio, None), Item::Packet(packet)) => {
                audio.push(&packet, lead_us, counters, out);
            }
            (Self::Audio(audio, Some(g711)), Item::Packet(packet)) => {
                g711.push(&packet, audio, lead_us, counters, out);
            }
            // The timestamp of the next packet says how much is missing.
            (Self::Audio(..), Item::Gap) => {}
        }
    }
}
