//! Packets back into order, and the decision when a missing one is lost.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::{Counters, Packet};

/// How long a missing packet is waited for, counted from the packet that showed that it is missing. A retransmission takes
/// one round trip, and a request is repeated once or twice in this time.
pub(super) const WAIT_MAX_US: i64 = 250_000;
/// For so long the first packets wait when nobody knows which is the first, so that the first keyframe is not lost to two packets that changed places.
const BEGIN_US: i64 = 50_000;
/// Packets that wait for a missing one: 250 ms of 100 Mbit/s are 2,600. More: the missing one is given up.
pub(super) const HELD_PACKETS_MAX: usize = 4_096;
/// Their bytes: 250 ms of 100 Mbit/s are 3.1 MB.
pub(super) const HELD_BYTES_MAX: usize = 8 << 20;
/// A packet that lies this far ahead is not waited for: nobody repairs as many.
const AHEAD_MAX: u64 = HELD_PACKETS_MAX as u64;
/// So many late packets in sequence, without one that is not late, are a sender that has begun to count anew.
const LATE_RUN: u32 = 16;

/// What comes out, in order.
#[derive(Debug)]
pub(super) enum Item {
    Packet(Packet),
    /// At least one packet is missing here for good.
    Gap,
}

/// The packets of one layer that are waiting for earlier ones.
#[derive(Debug, Default)]
pub(super) struct Window {
    next: Option<u64>,
    held: BTreeMap<u64, Packet>,
    bytes: usize,
    /// When the packet came that showed the first gap. Meaningful while something is held.
    since_us: i64,
    /// The last late packet and how many came in sequence up to it.
    late_run: (u64, u32),
    lost: u64,
    late: u64,
    restarts: u64,
}

impl Window {
    /// The first packet is known: nothing waits for it to be. What comes fast would be given a second of one track at a time.
    pub(super) fn begin_at(&mut self, sequence: u64) {
        self.next = Some(sequence);
    }

    /// Takes a packet and gives whatever is in order now.
    pub(super) fn push(&mut self, packet: Packet, give: &mut impl FnMut(Item)) {
        self.expire(packet.arrival_us, give);
        let sequence = packet.sequence;
        let Some(next) = self.next else {
            self.hold(packet, give);
            return;
        };
        if sequence < next {
            self.late += 1;
            if !self.begins_anew(sequence) {
                return;
            }
            self.restart(sequence, give);
        } else if sequence - next > AHEAD_MAX {
            self.restart(sequence, give);
        }
        self.late_run = (0, 0);
        if self.next == Some(sequence) {
            self.next = Some(sequence.wrapping_add(1));
            give(Item::Packet(packet));
            self.advance(give);
            return;
        }
        self.hold(packet, give);
    }

    /// Gives up what was waited for long enough at `now_us`.
    pub(super) fn expire(&mut self, now_us: i64, give: &mut impl FnMut(Item)) {
        let waited_us = now_us.saturating_sub(self.since_us);
        if self.next.is_none() && waited_us >= BEGIN_US {
            self.begin(give);
        }
        while !self.held.is_empty() && now_us.saturating_sub(self.since_us) >= WAIT_MAX_US {
            self.skip(give);
        }
    }

    /// Adds what it has counted.
    pub(super) fn counters(&self, others: Counters) -> Counters {
        Counters {
            lost: self.lost,
            late: self.late,
            restarts: self.restarts,
            ..others
        }
    }

    /// Packets and bytes that wait.
    #[cfg(test)]
    pub(super) fn held(&self) -> (usize, usize) {
        (self.held.len(), self.bytes)
    }

    /// Keeps a packet until those before it are there.
    fn hold(&mut self, packet: Packet, give: &mut impl FnMut(Item)) {
        if self.held.is_empty() {
            self.since_us = packet.arrival_us;
        }
        match self.held.entry(packet.sequence) {
            Entry::Vacant(place) => {
                self.bytes += packet.payload.len();
                place.insert(packet);
            }
            Entry::Occupied(_) => self.late += 1,
        }
        while self.held.len() > HELD_PACKETS_MAX || self.bytes > HELD_BYTES_MAX {
            self.restarts += 1;
            self.skip(give);
        }
    }

    /// Begins with the first packet that is there.
    fn begin(&mut self, give: &mut impl FnMut(Item)) {
        self.next = self.held.first_key_value().map(|(sequence, _)| *sequence);
        self.advance(give);
    }

    /// Whether a late packet is the last of a run that only a new numbering explains.
    fn begins_anew(&mut self, sequence: u64) -> bool {
        let (last, count) = self.late_run;
        let count = if sequence == last.wrapping_add(1) {
            count + 1
        } else {
            1
        };
        self.late_run = (sequence, count);
        count >= LATE_RUN
    }

    /// Goes on with `sequence`, whatever is missing.
    fn restart(&mut self, sequence: u64, give: &mut impl FnMut(Item)) {
        while !self.held.is_empty() {
            self.skip(give);
        }
        self.restarts += 1;
        let missing = sequence.saturating_sub(self.next.unwrap_or(sequence));
        self.lost = self.lost.saturating_add(missing);
        self.next = Some(sequence);
        give(Item::Gap);
    }

    /// Gives up the first gap.
    fn skip(&mut self, give: &mut impl FnMut(Item)) {
        let Some(first) = self.held.first_key_value().map(|(sequence, _)| *sequence) else {
            return;
        };
        let missing = first.saturating_sub(self.next.unwrap_or(first));
        self.lost = self.lost.saturating_add(missing);
        self.next = Some(first);
        give(Item::Gap);
        self.advance(give);
    }

    /// Gives what follows without a gap.
    fn advance(&mut self, give: &mut impl FnMut(Item)) {
        if self.held.is_empty() {
            return;
        }
        while let Some(packet) = self.next.and_then(|next| self.held.remove(&next)) {
            self.next = Some(packet.sequence.wrapping_add(1));
            self.bytes -= packet.payload.len();
            give(Item::Packet(packet));
        }
        // The earliest of those that are left showed the gap before them.
        self.since_us = self
            .held
            .values()
            .map(|packet| packet.arrival_us)
            .min()
            .unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(sequence: u64, arrival_ms: i64) -> Packet {
        Packet {
            sequence,
            timestamp: 0,
            marker: false,
            arrival_us: arrival_ms * 1_000,
            wallclock_us: 0,
            payload: vec![0; 100].into(),
            red: false,
        }
    }

    /// A gap is written as `None`.
    #[derive(Default)]
    struct Bench {
        window: Window,
        given: Vec<Option<u64>>,
    }

    impl Bench {
        fn push(&mut self, sequence: u64, arrival_ms: i64) -> &mut Self {
            let given = &mut self.given;
            let mut give = |item| {
                given.push(match item {
                    Item::Packet(packet) => Some(packet.sequence),
                    Item::Gap => None,
                })
            };
            self.window.push(packet(sequence, arrival_ms), &mut give);
            self
        }

        fn expire(&mut self, now_ms: i64) -> &mut Self {
            let given = &mut self.given;
            let mut give = |item| {
                given.push(match item {
                    Item::Packet(packet) => Some(packet.sequence),
                    Item::Gap => None,
                })
            };
            self.window.expire(now_ms * 1_000, &mut give);
            self
        }

        /// After the 50 ms in which nothing is given.
        fn begun(sequence: u64) -> Self {
            let mut bench = Self::default();
            let given = bench.push(sequence, -50).expire(0).take();
            assert_eq!(given, [Some(sequence)]);
            bench
        }

        fn take(&mut self) -> Vec<Option<u64>> {
            std::mem::take(&mut self.given)
        }
    }

    #[test]
    fn what_is_in_order_is_given_at_once_and_what_is_not_waits() {
        let mut bench = Bench::begun(6);
        assert_eq!(bench.push(7, 0).push(8, 0).take(), [Some(7), Some(8)]);
        assert_eq!(bench.push(10, 1).push(11, 2).take(), []);
        assert_eq!(bench.push(9, 3).take(), [Some(9), Some(10), Some(11)]);
        assert_eq!(
            bench.window.counters(Counters::default()),
            Counters::default()
        );
    }

    #[test]
    fn the_first_packets_may_change_places() {
        let mut bench = Bench::default();
        assert_eq!(bench.push(8, 0).push(9, 30).push(7, 49).take(), []);
        assert_eq!(
            bench.push(10, 50).take(),
            [Some(7), Some(8), Some(9), Some(10)]
        );
        assert_eq!(bench.push(6, 51).take(), []);
    }

    #[test]
    fn a_missing_packet_is_lost_after_250_ms() {
        let mut bench = Bench::begun(0);
        bench.push(1, 0).push(3, 10).push(5, 100).take();
        assert_eq!(bench.expire(259).take(), []);
        assert_eq!(bench.expire(260).take(), [None, Some(3)]);
        // The second gap showed 90 ms later.
        assert_eq!(bench.expire(349).take(), []);
        assert_eq!(bench.push(6, 350).take(), [None, Some(5), Some(6)]);
        assert_eq!(bench.window.lost, 2);
        assert_eq!(bench.push(4, 351).take(), []);
        assert_eq!(bench.window.late, 1);
    }

    #[test]
    fn twins_are_given_once() {
        let mut bench = Bench::begun(0);
        bench.push(1, 0).push(1, 0).push(3, 0).push(3, 0).push(2, 1);
        assert_eq!(bench.take(), [Some(1), Some(2), Some(3)]);
        assert_eq!(bench.window.late, 2);
        assert_eq!(bench.window.held(), (0, 0));
    }

    #[test]
    fn a_leap_ahead_is_followed_at_once() {
        let mut bench = Bench::begun(0);
        bench
            .push(1, 0)
            .push(3, 0)
            .push(1 << 20, 1)
            .push((1 << 20) + 1, 1);
        let far = 1 << 20;
        assert_eq!(
            bench.take(),
            [Some(1), None, Some(3), None, Some(far), Some(far + 1)]
        );
    }

    #[test]
    fn a_sender_that_counts_anew_is_followed_after_sixteen_packets() {
        let mut bench = Bench::begun(1 << 20);
        for sequence in 100..115 {
            assert_eq!(bench.push(sequence, 1).take(), []);
        }
        assert_eq!(bench.push(115, 1).take(), [None, Some(115)]);
        assert_eq!(bench.push(116, 1).take(), [Some(116)]);
    }

    #[test]
    fn late_repairs_between_others_are_no_new_numbering() {
        let mut bench = Bench::begun(1_000);
        for index in 0..100 {
            bench.push(index, 1).push(1_001 + index, 1);
        }
        assert_eq!(bench.take().len(), 100);
        assert_eq!(bench.window.restarts, 0);
    }

    #[test]
    fn no_more_than_the_limit_waits() {
        let mut bench = Bench::default();
        bench.push(0, 0);
        for sequence in 0..3 * HELD_PACKETS_MAX as u64 {
            bench.push(2 * sequence, 0);
            let (packets, bytes) = bench.window.held();
            assert!(packets <= HELD_PACKETS_MAX && bytes <= HELD_BYTES_MAX);
        }
        assert!(bench.window.restarts > 0);
        assert_eq!(bench.expire(300).window.held(), (0, 0));
    }

    #[test]
    fn the_ends_of_the_numbering_are_no_trap() {
        let mut bench = Bench::default();
        bench.push(u64::MAX, 0).push(u64::MAX, 0).push(0, 0);
        bench
            .push(u64::MAX, i64::MAX / 1_000)
            .expire(i64::MIN / 1_000);
    }
}
