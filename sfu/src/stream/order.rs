//! Whether a sender's pictures come in the order in which they are shown.
//!
//! Browsers, and every receiver that does not expect B-frames, show a picture as soon as it is decoded and drop what should have
//! been shown before it: of an encoder with B-frames three to four pictures a second are left. RTP timestamps are times of showing (RFC 6184
//! section 5.1), sequence numbers have the order of decoding: B-frames are timestamps that step back.

use std::time::{Duration, Instant};

use crate::packet::MediaPacket;

/// So many steps back are no accident: at 25 pictures a second and one B-frame in three, they take 0.4 s.
const STEPS_MIN: u8 = 3;

/// Steps back are counted together within this time.
const STEPS_TIME: Duration = Duration::from_secs(2);

/// Without one for this long the pictures are in order again: a slow encoder has a group of B-frames in every second.
const ORDERLY_AFTER: Duration = Duration::from_secs(5);

/// A larger step back, in ticks of 90 kHz, is another clock and no B-frame: H.264 keeps at most 16 pictures.
const STEP_MAX: u32 = 2 * 90_000;

/// Follows one layer.
#[derive(Debug, Default)]
pub(crate) struct OrderWatch {
    /// The newest packet: sequence number and timestamp.
    newest: Option<(u64, u32)>,
    /// The latest time of showing so far.
    latest: u32,
    steps: u8,
    first_step: Option<Instant>,
    last_step: Option<Instant>,
    is_reordered: bool,
}

impl OrderWatch {
    /// Takes a packet of the layer, in any order and as often as it comes.
    pub(crate) fn take(&mut self, packet: &MediaPacket) {
        let (now, timestamp) = (packet.arrival, packet.timestamp);
        let Some((sequence, previous)) = self.newest else {
            self.newest = Some((packet.sequence, timestamp));
            self.latest = timestamp;
            return;
        };
        // What the network brought late says nothing about the sender.
        if packet.sequence <= sequence {
            return;
        }
        self.newest = Some((packet.sequence, timestamp));
        if timestamp == previous {
            return;
        }
        let behind = self.latest.wrapping_sub(timestamp);
        if behind == 0 || behind > STEP_MAX {
            // Later, or a clock that began anew.
            self.latest = timestamp;
            return;
        }
        let is_old = self
            .first_step
            .is_none_or(|first| now.saturating_duration_since(first) > STEPS_TIME);
        if is_old {
            self.first_step = Some(now);
            self.steps = 0;
        }
        self.steps = self.steps.saturating_add(1);
        self.last_step = Some(now);
        self.is_reordered |= self.steps >= STEPS_MIN;
    }

    /// Whether pictures come out of order now.
    pub(crate) fn is_reordered(&mut self, now: Instant) -> bool {
        let is_orderly = self
            .last_step
            .is_none_or(|last| now.saturating_duration_since(last) > ORDERLY_AFTER);
        self.is_reordered &= !is_orderly;
        self.is_reordered
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "an epoch for virtual time")]
mod tests {
    use payload::inspect::Inspection;

    use super::*;

    const FRAME: u32 = 3600;

    fn packet(start: Instant, at_ms: u64, sequence: u64, timestamp: u32) -> MediaPacket {
        let arrival = start + Duration::from_millis(at_ms);
        MediaPacket {
            sequence,
            timestamp,
            marker: true,
            arrival,
            wallclock: arrival,
            payload: vec![0x41].into(),
            red: false,
            audio_level: None,
            orientation: None,
            captured_us: None,
            dependency: None,
            ahead: std::time::Duration::ZERO,
            inspection: Inspection::default(),
        }
    }

    /// Feeds pictures of 25 a second with these times of showing, in pictures; says after how many it was noticed.
    fn noticed_after(shown: impl IntoIterator<Item = u32>, from: u32) -> Option<usize> {
        let start = Instant::now();
        let mut watch = OrderWatch::default();
        for (at, show) in shown.into_iter().enumerate() {
            let now_ms = at as u64 * 40;
            let timestamp = from.wrapping_add(show * FRAME);
            watch.take(&packet(start, now_ms, at as u64, timestamp));
            if watch.is_reordered(start + Duration::from_millis(now_ms)) {
                return Some(at + 1);
            }
        }
        None
    }

    #[test]
    fn b_frames_are_noticed_within_a_second() {
        let pyramid = (0..20).flat_map(|group| [4, 2, 1, 3].map(|at| group * 4 + at));
        assert!(noticed_after(pyramid, 0).is_some_and(|pictures| pictures <= 25));
        let single = || (0..20).flat_map(|group| [2, 1].map(|at| group * 2 + at));
        assert!(noticed_after(single(), 0).is_some_and(|pictures| pictures <= 25));
        // The clock runs over in the middle.
        assert!(noticed_after(single(), u32::MAX - 2 * FRAME).is_some());
    }

    #[test]
    fn pictures_in_order_are_no_b_frames() {
        assert_eq!(noticed_after(0..500, 0), None);
        assert_eq!(noticed_after(0..500, u32::MAX - 100 * FRAME), None);
        // A sender whose clock begins anew, again and again.
        let restarts = (0..20).flat_map(|turn| (0..10).map(move |at| 10_000 - turn * 500 + at));
        assert_eq!(noticed_after(restarts, 0), None);
    }

    #[test]
    fn what_the_network_reorders_or_repeats_is_no_b_frame() {
        let start = Instant::now();
        let mut watch = OrderWatch::default();
        for at in 0..200_u32 {
            // Every other pair is swapped on the way, and every tenth packet comes twice.
            let sent = if at % 4 == 0 {
                at + 1
            } else if at % 4 == 1 {
                at - 1
            } else {
                at
            };
            for _ in 0..=u32::from(at % 10 == 0) {
                watch.take(&packet(
                    start,
                    u64::from(at) * 40,
                    u64::from(sent),
                    sent * FRAME,
                ));
            }
        }
        assert!(!watch.is_reordered(start + Duration::from_secs(8)));
    }

    #[test]
    fn it_is_over_when_the_encoder_was_set_right() {
        let start = Instant::now();
        let mut watch = OrderWatch::default();
        let shown = [0, 3, 1, 2, 6, 4, 5, 9, 7, 8, 12, 10, 11];
        for (at, show) in (0..).zip(shown) {
            watch.take(&packet(start, at * 40, at, show * FRAME));
        }
        assert!(watch.is_reordered(start + Duration::from_secs(1)));
        assert!(!watch.is_reordered(start + Duration::from_secs(7)));
    }
}
