//! Opus packets in order to a track of sound without a hole.
//!
//! Each packet begins where the one before ended. What the clock says otherwise is corrected by one sample per packet of
//! 20 ms, which nobody hears and which follows a sound card that is wrong by 1,000 ppm; the correction is part of the
//! packet's duration, so that durations add up exactly. Where half a packet or more is missing (a loss, discontinuous
//! transmission, a muted microphone), packets come in between that decoders conceal; where as much is too much, a packet is
//! dropped.

use bytes::Bytes;

use super::opus::{self, FILLER_MIN};
use super::timeline::{Clock, Stamp};
use super::{Counters, Packet};

const RATE: u32 = 48_000;
/// Sound that is paused goes on as silence after this time, because players wait for a track that stops. Discontinuous
/// transmission sends a packet at least every 400 ms.
const PAUSE_US: i64 = 600_000;
/// The longest hole that is filled at once, 60 s; 3,000 packets of one byte. A longer one is left as it is.
const FILL_MAX: i64 = 60 * RATE as i64;

/// One layer of sound.
#[derive(Debug)]
pub(super) struct Audio {
    clock: Clock,
    /// Where the next packet begins, and the table-of-contents octet of the last one.
    next: Option<(i64, u8)>,
}

impl Audio {
    pub(super) fn new() -> Self {
        Self {
            clock: Clock::new(RATE),
            next: None,
        }
    }

    /// Takes the next packet; gives it, and before it whatever replaces missing ones.
    pub(super) fn push(
        &mut self,
        packet: &Packet,
        counters: &mut Counters,
        out: &mut Vec<hls::Frame>,
    ) {
        if packet.payload.is_empty() {
            return;
        }
        let mut blocks = if packet.red {
            opus::blocks(&packet.payload)
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
        let place = self.clock.place(stamp, |_| slew_max * 256);
        counters.steps += u64::from(place.has_stepped);
        let mut next = self.next.map_or(place.ticks, |(next, _)| next);
        let half = i64::from(duration / 2);
        if place.ticks - next >= half.max(FILLER_MIN.into()) {
            for block in blocks {
                let data = &packet.payload[block.range];
                let begin = place.ticks - i64::from(block.before);
                let Some(length) = opus::duration(data) else {
                    continue;
                };
                // What has been heard already, or would reach into the packet itself, is of no use.
                if begin + i64::from(length / 2) <= next || begin >= place.ticks {
                    continue;
                }
                next = fill(next, begin, data[0], counters, out);
                counters.recovered += 1;
                next = give(next, length, data, counters, out);
            }
            next = fill(next, place.ticks, primary[0], counters, out);
        }
        if place.ticks - next < -half {
            counters.dropped += 1;
            self.next = Some((next, primary[0]));
            return;
        }
        let slew = (place.ticks - next).clamp(-slew_max, slew_max);
        let length = u32::try_from(i64::from(duration) + slew)
            .expect("a packet has at least 120 samples, and its correction is one in a thousand");
        next = give(next, length, primary, counters, out);
        self.next = Some((next, primary[0]));
    }

    /// Goes on in silence while nothing comes.
    pub(super) fn expire(
        &mut self,
        now_us: i64,
        counters: &mut Counters,
        out: &mut Vec<hls::Frame>,
    ) {
        let (Some((next, toc)), Some((now, quiet_us))) = (self.next, self.clock.at(now_us)) else {
            return;
        };
        if quiet_us <= PAUSE_US {
            return;
        }
        // Whole packets of 20 ms: the shorter ones are for the seam.
        let room = now - PAUSE_US * i64::from(RATE) / 1_000_000 - next;
        let until = next + room.max(0) / 960 * 960;
        self.next = Some((fill(next, until, toc, counters, out), toc));
    }
}

/// One sample for each 20 ms, and at least one.
fn slew_max(duration: u32) -> i64 {
    i64::from(duration / 960).max(1)
}

/// Fills from `next` up to `until` and says how far that went: to less than 2.5 ms before it.
fn fill(
    mut next: i64,
    until: i64,
    like: u8,
    counters: &mut Counters,
    out: &mut Vec<hls::Frame>,
) -> i64 {
    if until - next > FILL_MAX {
        return until;
    }
    while let Some((toc, duration)) = opus::filler(like, until - next) {
        counters.concealed += 1;
        next = give(next, duration, &[toc], counters, out);
    }
    next
}

fn give(
    next: i64,
    duration: u32,
    data: &[u8],
    counters: &mut Counters,
    out: &mut Vec<hls::Frame>,
) -> i64 {
    counters.frames += 1;
    out.push(hls::Frame {
        pts: next,
        keyframe: true,
        data: Bytes::copy_from_slice(data),
        duration: Some(duration),
    });
    next + i64::from(duration)
}
