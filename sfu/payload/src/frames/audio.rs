//! Opus packets in order to a track of sound without a hole.
//!
//! Each packet begins where the one before ended. What the clock says otherwise is corrected by one sample per packet of
//! 20 ms, which nobody hears and which follows a sound card that is wrong by 1,000 ppm; the correction is part of the
//! packet's duration, so that durations add up exactly. Where half a packet or more is missing (a loss, discontinuous
//! transmission, a muted microphone), packets come in between that decoders conceal; where as much is too much, a packet is
//! dropped.

use bytes::Bytes;

use super::timeline::{Ahead, Anchor, Clock, Stamp};
use super::{Counters, Frame, Packet};
use crate::opus::{self, FILLER_MIN, Filler};
use crate::red::{self, Block};

const RATE: u32 = 48_000;
/// Sound that is paused goes on as silence after this time, because players wait for a track that stops. Discontinuous
/// transmission sends a packet at least every 400 ms.
const PAUSE_US: i64 = 600_000;
/// What is missing for so long is concealed, and what is missing for longer is silence: 500 ms, so that the comfort noise
/// of discontinuous transmission is not cut.
const CONCEAL_MAX: i64 = RATE as i64 / 2;
/// The longest hole that is filled at once, 60 s; 3,000 packets of one byte. A longer one is left as it is.
const FILL_MAX: i64 = 60 * RATE as i64;

/// A packet that says that silence begins has a table of contents and at most this.
const QUIET_BYTES_MAX: usize = 2;

/// One layer of sound.
#[derive(Debug)]
pub(super) struct Audio {
    clock: Clock,
    line: Option<Line>,
}

/// What was given.
#[derive(Debug, Clone, Copy)]
struct Line {
    /// Where it ends, and the next packet begins.
    end: i64,
    /// Samples that were replaced since the last packet.
    filled: i64,
    /// The first octet of the last packet.
    toc: u8,
    /// Whether the last packet that came says that silence begins, or the microphone was paused since.
    is_quiet: bool,
}

impl Audio {
    pub(super) fn new() -> Self {
        Self {
            clock: Clock::new(RATE),
            line: None,
        }
    }

    pub(super) fn begin(&mut self, anchor: Anchor) {
        self.clock.begin(anchor);
    }

    pub(super) fn ahead(&self, stamp: Stamp) -> Option<Ahead> {
        self.clock.ahead(stamp)
    }

    /// Takes the next packet; gives it, and before it whatever replaces missing ones.
    pub(super) fn push(
        &mut self,
        packet: &Packet,
        lead_us: i64,
        counters: &mut Counters,
        out: &mut Vec<Frame>,
    ) {
        if packet.payload.is_empty() {
            return;
        }
        let mut blocks = if packet.red {
            red::blocks(&packet.payload)
        } else {
            Vec::new()
        };
        let primary = match blocks.pop() {
            Some(primary) => &packet.payload[primary.range],
            None if packet.red => &[],
            None => &packet.payload[..],
        };
        let Some(duration) = opus::duration(primary) else {
            counters.damaged += 1;
            return;
        };
        let stamp = Stamp {
            timestamp: packet.timestamp,
            arrival_us: packet.arrival_us,
            wallclock_us: packet.wallclock_us,
        };
        let slew_max = slew_max(duration);
        let place = self.clock.place(stamp, lead_us, |_| slew_max * 256);
        counters.steps += u64::from(place.has_stepped);
        let begin = place.ticks;
        let line = self.line.get_or_insert(Line {
            end: begin,
            filled: 0,
            toc: primary[0],
            is_quiet: false,
        });
        let half = i64::from(duration / 2);
        if begin - line.end >= half.max(FILLER_MIN.into()) {
            line.recover(&packet.payload, &blocks, begin, counters, out);
            let missing = begin - line.end;
            line.fill(begin, counters, out);
            // Who leaves packets out in silence says so with a packet that is next to empty.
            if !line.is_quiet {
                counters.missing_ticks += missing.max(0).unsigned_abs();
            }
        }
        counters.sound_ticks += u64::from(duration);
        if begin - line.end < -half {
            counters.dropped += 1;
            counters.late_ticks += u64::from(duration);
            return;
        }
        line.is_quiet = primary.len() <= QUIET_BYTES_MAX;
        let slew = (begin - line.end).clamp(-slew_max, slew_max);
        let length = u32::try_from(i64::from(duration) + slew)
            .expect("a packet has at least 120 samples, and its correction is one in a thousand");
        line.give(primary, length, counters, out);
    }

    /// Goes on in silence while nothing comes.
    pub(super) fn expire(&mut self, now_us: i64, counters: &mut Counters, out: &mut Vec<Frame>) {
        let (Some(line), Some((now, quiet_us))) = (&mut self.line, self.clock.at(now_us)) else {
            return;
        };
        if quiet_us > PAUSE_US {
            // Whole packets of 20 ms: the shorter ones are for the seam.
            line.is_quiet = true;
            let room = now - PAUSE_US * i64::from(RATE) / 1_000_000 - line.end;
            line.fill(line.end + room.max(0) / 960 * 960, counters, out);
        }
    }
}

impl Line {
    /// Gives what `blocks` of `payload`, whose packet begins at `until`, hold of what is missing.
    fn recover(
        &mut self,
        payload: &[u8],
        blocks: &[Block],
        until: i64,
        counters: &mut Counters,
        out: &mut Vec<Frame>,
    ) {
        for block in blocks {
            let data = &payload[block.range.clone()];
            let begin = until - i64::from(block.before);
            let Some(duration) = opus::duration(data) else {
                continue;
            };
            // What was given already, in whatever form, is not given again.
            if begin >= until || begin + i64::from(duration / 2) <= self.end {
                continue;
            }
            self.fill(begin, counters, out);
            self.give(data, duration, counters, out);
            counters.recovered += 1;
        }
    }

    /// Fills up to less than 2.5 ms before `until`.
    fn fill(&mut self, until: i64, counters: &mut Counters, out: &mut Vec<Frame>) {
        if until - self.end > FILL_MAX {
            self.end = until;
        }
        let (toc, mut filled) = (self.toc, self.filled);
        while let Some(filler) = Filler::new(toc, until - self.end, filled >= CONCEAL_MAX) {
            self.give(filler.octets(), filler.duration, counters, out);
            counters.concealed += 1;
            filled += i64::from(filler.duration);
        }
        (self.toc, self.filled) = (toc, filled);
    }

    fn give(&mut self, data: &[u8], duration: u32, counters: &mut Counters, out: &mut Vec<Frame>) {
        counters.frames += 1;
        out.push(Frame {
            pts: self.end,
            keyframe: true,
            data: Bytes::copy_from_slice(data),
            duration: Some(duration),
        });
        self.end += i64::from(duration);
        self.toc = data[0];
        self.filled = 0;
    }
}

/// One sample for each 20 ms, and at least one.
fn slew_max(duration: u32) -> i64 {
    i64::from(duration / 960).max(1)
}
