//! A kept group of pictures on its way to one viewer: paced, and cut nowhere.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Forwarder, Outgoing, State};
use crate::forward::gop::GopCache;
use crate::packet::MediaPacket;

/// A replay is sent this many times faster than the stream itself.
const REPLAY_FACTOR: u64 = 4;

/// Slower than this a replay would not be worth its name; faster than that it would flood a home router.
const REPLAY_BPS: std::ops::RangeInclusive<u64> = 10_000_000..=50_000_000;

/// Bytes that a replay may send at once: 30 packets, what a pacer would let through in a few milliseconds.
const REPLAY_BURST: u64 = 36_000;

/// How often an unfinished replay goes on.
pub(crate) const REPLAY_TICK: Duration = Duration::from_millis(5);

/// Whoever has no picture asks for one this soon after it was sent one; browsers do so after a fifth of a second.
const FRESH_FOR: Duration = Duration::from_secs(2);

/// Between two replays that a lossy viewer asks for.
const REPLAY_INTERVAL: Duration = Duration::from_secs(1);

impl Forwarder {
    /// Starts from the kept group of pictures. `bps` is the layer's own rate.
    pub(crate) fn replay(&mut self, now: Instant, layer: usize, gop: &GopCache, bps: u64) {
        if !gop.is_intact() {
            return;
        }
        let (Some(first), Some(live)) = (gop.get(gop.first()), gop.live_edge()) else {
            return;
        };
        let rate_bps = (bps * REPLAY_FACTOR).clamp(*REPLAY_BPS.start(), *REPLAY_BPS.end());
        let span_out = Duration::from_micros(gop.bytes() as u64 * 8_000_000 / rate_bps);
        self.close_picture();
        self.layer = layer;
        self.next_layer = None;
        self.last_replay = Some(now);
        self.sequence.restart(gop.gop_sequence());
        self.layers.restart();
        self.timeline.restart_squeezed(
            gop.gop_timestamp(),
            live.timestamp,
            live.wallclock,
            span_out,
            gop.frames(),
        );
        if let Some(ids) = first.inspection.vp8 {
            self.vp8.restart(ids);
        }
        if let Some(dependency) = &first.dependency {
            self.dependency.restart(dependency.frame_number);
        }
        self.state = State::Replaying {
            cursor: gop.first(),
            rate_bps,
            credit: REPLAY_BURST,
            last: now,
        };
    }

    /// A viewer lost the picture that it was to begin with, and the publisher does not listen: show the group again from its
    /// start. Who was shown something later is not taken back to it, and waits for the next keyframe.
    pub(crate) fn replay_for_loss(&mut self, now: Instant, gop: &GopCache, bps: u64) -> bool {
        let since = self
            .last_replay
            .map(|last| now.saturating_duration_since(last));
        let too_soon = since.is_some_and(|since| since < REPLAY_INTERVAL);
        self.is_fresh &= since.is_none_or(|since| since < FRESH_FOR);
        if too_soon || !self.is_fresh || !matches!(self.state, State::Live) || !gop.is_intact() {
            return false;
        }
        self.replay(now, self.layer, gop, bps);
        true
    }

    /// Sends what the replay's pace allows; afterwards the forwarder may be live.
    pub(crate) fn advance(&mut self, now: Instant, gop: &GopCache, mut emit: impl FnMut(Outgoing)) {
        let State::Replaying {
            mut cursor,
            rate_bps,
            mut credit,
            last,
        } = self.state
        else {
            return;
        };
        self.farewell.drain(..).for_each(&mut emit);
        if cursor < gop.first() || !gop.is_intact() {
            // A newer group began, or the group outgrew its limits.
            if !gop.is_intact() {
                self.close_picture();
                self.farewell.drain(..).for_each(&mut emit);
            }
            self.state = State::Waiting;
            if gop.is_intact() {
                self.replay(now, self.layer, gop, rate_bps / REPLAY_FACTOR);
                self.advance(now, gop, emit);
            }
            return;
        }
        if cursor == gop.first()
            && let (Some(parameters), Some(first)) = (gop.missing_parameters(), gop.get(cursor))
        {
            let outgoing = self.inserted(parameters.clone(), first);
            emit(outgoing);
        }
        let elapsed =
            u64::try_from(now.saturating_duration_since(last).as_micros()).unwrap_or(u64::MAX);
        credit = credit.saturating_add(elapsed.saturating_mul(rate_bps) / 8_000_000);
        while let Some(packet) = gop.get(cursor) {
            let cost = packet.payload.len() as u64;
            if credit < cost {
                self.first.take().into_iter().flatten().for_each(emit);
                self.owe(gop, cursor);
                self.state = State::Replaying {
                    cursor,
                    rate_bps,
                    credit,
                    last: now,
                };
                return;
            }
            credit -= cost;
            cursor += 1;
            if let Some(outgoing) = self.rewrite(packet) {
                emit(outgoing);
            }
        }
        self.first.take().into_iter().flatten().for_each(emit);
        self.owed.clear();
        self.state = State::Live;
    }

    /// Keeps the rest of the picture that a pause interrupts.
    fn owe(&mut self, gop: &GopCache, cursor: u64) {
        self.owed.clear();
        let Some(open) = self.open else { return };
        // A picture's packets lie together but for late ones.
        self.owed.extend(
            (cursor..)
                .map_while(|index| gop.get(index))
                .take_while(|packet| packet.timestamp == open)
                .cloned(),
        );
    }

    fn inserted(&mut self, payload: Arc<[u8]>, before: &MediaPacket) -> Outgoing {
        let (timestamp, wallclock) = self.timeline.rewrite(before.timestamp, before.wallclock);
        let outgoing = Outgoing {
            sequence: self.sequence.insert(),
            timestamp,
            wallclock,
            marker: false,
            payload,
            vp8: None,
            red: false,
            audio_level: None,
            orientation: None,
            captured_us: None,
            dependency: None,
        };
        self.remember_first(&outgoing);
        outgoing
    }
}
