//! When a publisher's packets were captured, on our clock.
//!
//! A sender report pairs a track's RTP time with the publisher's NTP clock, which all its tracks share. The offset of that
//! clock from ours, transit included, is the same for all of them, so sound and picture of one moment come out at one
//! moment whatever their encoders' latencies were. Nothing here knows the true one-way delay; nobody needs it.
//!
//! Some publishers send ahead of the times that they report (FFmpeg by half a second, for good). No capture is later than its
//! arrival, so the whole map is set back by as much: by one value for all tracks, because one for each would move them apart. When a
//! later report says that it was less, all tracks go back together.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::rtc::{Mid, Rid};
use crate::stream::{LAYERS_MAX, TRACKS_MAX};

/// Reports whose quickest counts as the offset: half a minute of two tracks at the usual five seconds, so that the map
/// follows a clock that drifts.
const OFFSETS_MAX: usize = 12;

/// The map changes by at most this much of the time that passes: 0.33 ms from picture to picture at 30 Hz.
const SLEW_DIVISOR: i64 = 100;

/// An error larger than this is a clock that was set, not one that drifts.
const STEP_US: i64 = 1_000_000;

/// What captures go back by at once when a report says so, if the map had been set back; what is less is drift.
const BACK_US: i64 = 20_000;

/// What the map is set back by in so long after a first report that came late is no news: what came before was ahead by as much.
const SETTLING_US: i64 = 300_000;

/// A capture longer ago than this is a report that makes no sense, not a slow encoder.
const AGE_MAX_US: i64 = 5_000_000;

/// A layer without reports borrows another's only if the result is this plausible.
const BORROWED_AGE_MAX_US: i64 = 2_000_000;

/// One publication's map.
#[derive(Debug)]
pub(crate) struct ClockMap {
    base: Instant,
    /// Our arrival time less the publisher's time of the last reports, in microseconds.
    offsets: VecDeque<i64>,
    /// By how much captures would have been later than their arrivals, at most.
    lead_us: i64,
    /// What of it packets were ahead by before there was any report, when they had been captured as they came.
    known_us: i64,
    /// Whether packets came before the first report; when that came.
    has_captured: bool,
    began_late_us: Option<i64>,
    references: Vec<Reference>,
}

/// The last report of one SSRC.
#[derive(Debug)]
struct Reference {
    mid: Mid,
    rid: Option<Rid>,
    ntp_us: i64,
    timestamp: u32,
    /// RTP time and result of the newest packet.
    newest: Option<(u32, i64)>,
}

impl ClockMap {
    /// An empty map: captures are arrivals.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            base: now,
            offsets: VecDeque::new(),
            lead_us: 0,
            known_us: 0,
            has_captured: false,
            began_late_us: None,
            references: Vec::new(),
        }
    }

    /// A sender report arrived: `timestamp` of this layer was captured at `ntp_us` (microseconds since 1970) on the
    /// publisher's clock. Zero is what senders without a clock write, and is ignored (RFC 3550 section 6.4.1).
    pub(crate) fn report(
        &mut self,
        now: Instant,
        mid: Mid,
        rid: Option<Rid>,
        ntp_us: u64,
        timestamp: u32,
    ) {
        let Some(ntp_us) = self.refer(mid, rid, ntp_us, timestamp) else {
            return;
        };
        let before = self.offset();
        self.offer(now, ntp_us);
        if let Some((before, after)) = before.zip(self.offset()) {
            let back_us = self.give_back(before - after);
            for reference in &mut self.references {
                reference.go_back(back_us);
            }
        }
    }

    /// A packet says itself when it was captured, on the same clock. What it took to encode it is no transit, so the offset is
    /// taken from it only while there is no report.
    pub(crate) fn tell(
        &mut self,
        arrival: Instant,
        mid: Mid,
        rid: Option<Rid>,
        ntp_us: u64,
        timestamp: u32,
    ) {
        if let Some(ntp_us) = self.refer(mid, rid, ntp_us, timestamp)
            && self.offsets.is_empty()
        {
            self.offer(arrival, ntp_us);
        }
    }

    /// Notes what a layer's RTP time means. `None` if it is not to be believed.
    fn refer(&mut self, mid: Mid, rid: Option<Rid>, ntp_us: u64, timestamp: u32) -> Option<i64> {
        let ntp_us = i64::try_from(ntp_us).ok().filter(|ntp_us| *ntp_us > 0)?;
        let known = self
            .references
            .iter()
            .position(|known| known.mid == mid && known.rid == rid);
        match known {
            Some(at) => {
                self.references[at].ntp_us = ntp_us;
                self.references[at].timestamp = timestamp;
            }
            None if self.references.len() < TRACKS_MAX * LAYERS_MAX => {
                self.references.push(Reference {
                    mid,
                    rid,
                    ntp_us,
                    timestamp,
                    newest: None,
                });
            }
            None => return None,
        }
        Some(ntp_us)
    }

    /// Takes the offset of what was said at `ntp_us` and arrived `now`.
    fn offer(&mut self, now: Instant, ntp_us: i64) {
        let offset = self.since_base(now) - ntp_us;
        if self.offsets.is_empty() && self.has_captured {
            self.began_late_us = Some(self.since_base(now));
        }
        let was_set = self
            .offsets
            .back()
            .is_some_and(|last| (offset - last).abs() > STEP_US);
        if was_set {
            self.offsets.clear();
            (self.lead_us, self.known_us) = (0, 0);
        }
        if self.offsets.len() >= OFFSETS_MAX {
            self.offsets.pop_front();
        }
        self.offsets.push_back(offset);
    }

    /// When the packet with `timestamp` in ticks of `clock_rate` Hz was captured, never later than its `arrival`; and by how much
    /// later than that it was according to the publisher, who sends ahead of its reports.
    pub(crate) fn capture(
        &mut self,
        arrival: Instant,
        mid: Mid,
        rid: Option<Rid>,
        timestamp: u32,
        clock_rate: u32,
    ) -> (Instant, Duration) {
        let arrived = self.since_base(arrival);
        let Some(offset) = self.offset() else {
            self.has_captured = true;
            return (arrival, Duration::ZERO);
        };
        let mut references = self.references.iter();
        let captured = match references.position(|known| known.mid == mid && known.rid == rid) {
            Some(own) => {
                let back_us = self.references[own].behind(offset, timestamp, clock_rate);
                let back_us = self.give_back(back_us);
                self.references[own].go_back(back_us);
                let captured = self.references[own].capture(offset, timestamp, clock_rate);
                self.set_back(captured - arrived - self.lead_us, arrived);
                captured - self.lead_us
            }
            // OBS reports on one layer only; all have one timeline.
            None => self
                .references
                .iter()
                .filter(|known| known.mid == mid)
                .map(|other| other.raw(offset, timestamp, clock_rate) - self.lead_us)
                .find(|captured| (0..BORROWED_AGE_MAX_US).contains(&(arrived - captured)))
                .unwrap_or(arrived),
        };
        let age = arrived - captured;
        let ahead = u64::try_from(self.lead_us - self.known_us).unwrap_or(0);
        let ahead = Duration::from_micros(ahead);
        let captured = match u64::try_from(age) {
            Ok(age_us) if age < AGE_MAX_US => arrival.checked_sub(Duration::from_micros(age_us)),
            _ => None,
        };
        // Who is not believed, or says nothing, sends ahead like the other tracks.
        (captured.unwrap_or(arrival), ahead)
    }

    /// Sets the map back by what a capture would be later than its arrival, `arrived`.
    fn set_back(&mut self, ahead_us: i64, arrived: i64) {
        if !(0..AGE_MAX_US).contains(&ahead_us) {
            return;
        }
        self.lead_us += ahead_us;
        if self
            .began_late_us
            .is_some_and(|since_us| arrived - since_us < SETTLING_US)
        {
            self.known_us += ahead_us;
        }
    }

    /// Captures are `back_us` earlier than they had been thought to be: what of it the map had been set back by is undone.
    fn give_back(&mut self, back_us: i64) -> i64 {
        let back_us = back_us.min(self.lead_us);
        if back_us < BACK_US {
            return 0;
        }
        self.lead_us -= back_us;
        self.known_us -= back_us.min(self.known_us);
        back_us
    }

    /// Our time less the publisher's, as the quickest of the last reports has it.
    fn offset(&self) -> Option<i64> {
        self.offsets.iter().min().copied()
    }

    fn since_base(&self, at: Instant) -> i64 {
        let since = at.saturating_duration_since(self.base);
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    }
}

impl Reference {
    /// What the last report says, as it stands.
    fn raw(&self, offset: i64, timestamp: u32, clock_rate: u32) -> i64 {
        self.ntp_us + offset + us(timestamp.wrapping_sub(self.timestamp), clock_rate)
    }

    /// By how much earlier that is than what the packets before let one expect.
    fn behind(&self, offset: i64, timestamp: u32, clock_rate: u32) -> i64 {
        let Some((last, result)) = self.newest else {
            return 0;
        };
        let elapsed = us(timestamp.wrapping_sub(last), clock_rate);
        let behind = result + elapsed - self.raw(offset, timestamp, clock_rate);
        if elapsed.abs() > STEP_US || behind > STEP_US {
            return 0;
        }
        behind
    }

    fn go_back(&mut self, back_us: i64) {
        if let Some((_, result)) = &mut self.newest {
            *result -= back_us;
        }
    }

    /// The same, without leaps from packet to packet.
    fn capture(&mut self, offset: i64, timestamp: u32, clock_rate: u32) -> i64 {
        let raw = self.raw(offset, timestamp, clock_rate);
        let Some((last, result)) = self.newest else {
            self.newest = Some((timestamp, raw));
            return raw;
        };
        let elapsed = us(timestamp.wrapping_sub(last), clock_rate);
        let expected = result + elapsed;
        let error = raw - expected;
        if elapsed.abs() > STEP_US || error.abs() > STEP_US {
            self.newest = Some((timestamp, raw));
            return raw;
        }
        let slew = elapsed.abs() / SLEW_DIVISOR;
        let captured = expected + error.clamp(-slew, slew);
        if elapsed > 0 {
            self.newest = Some((timestamp, captured));
        }
        captured
    }
}

/// A difference of RTP times, which may be negative, in microseconds.
fn us(ticks: u32, clock_rate: u32) -> i64 {
    i64::from(ticks.cast_signed()) * 1_000_000 / i64::from(clock_rate.max(1))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "an epoch for virtual time")]
mod tests {
    use super::*;

    impl ClockMap {
        fn captured(
            &mut self,
            arrival: Instant,
            mid: Mid,
            rid: Option<Rid>,
            timestamp: u32,
            clock_rate: u32,
        ) -> Instant {
            self.capture(arrival, mid, rid, timestamp, clock_rate).0
        }
    }

    const MS: Duration = Duration::from_millis(1);
    const NTP_US: u64 = 1_700_000_000_000_000;

    fn mids() -> (Mid, Mid) {
        (Mid::from("0"), Mid::from("1"))
    }

    #[test]
    fn without_reports_a_capture_is_an_arrival() {
        let start = Instant::now();
        let mut map = ClockMap::new(start);
        let (audio, _) = mids();
        assert_eq!(map.captured(start + MS, audio, None, 7, 48_000), start + MS);
        map.report(start, audio, None, 0, 7);
        assert_eq!(map.captured(start + MS, audio, None, 7, 48_000), start + MS);
    }

    #[test]
    fn sound_and_picture_of_one_moment_are_captured_at_one_moment() {
        let start = Instant::now();
        let mut map = ClockMap::new(start);
        let (audio, video) = mids();
        // Reports take 10 and 25 ms; the picture itself comes 80 ms after the sound.
        map.report(start + 10 * MS, audio, None, NTP_US, u32::MAX);
        map.report(start + 1025 * MS, video, None, NTP_US + 1_000_000, 90_000);
        let heard = map.captured(start + 2015 * MS, audio, None, 95_999, 48_000);
        let seen = map.captured(start + 2095 * MS, video, None, 180_000, 90_000);
        assert_eq!(heard, start + 2010 * MS);
        assert_eq!(seen, heard);
    }

    #[test]
    fn a_drifting_clock_is_followed_in_small_steps() {
        let start = Instant::now();
        let mut map = ClockMap::new(start);
        let (_, video) = mids();
        let mut last: Option<Instant> = None;
        for frame in 0..3000_u32 {
            let at = start + 33_333 * frame / 1000 * MS;
            let timestamp = frame * 3000;
            if frame % 150 == 0 {
                // Its RTP clock runs 0.1 percent fast against its NTP clock.
                let ntp_us = NTP_US + u64::from(frame) * 33_300;
                map.report(at, video, None, ntp_us, timestamp);
            }
            let captured = map.captured(at + 50 * MS, video, None, timestamp, 90_000);
            if let Some(last) = last {
                let step = (captured - last).as_micros();
                assert!((32_800..33_900).contains(&step), "frame {frame}: {step} us");
            }
            last = Some(captured);
        }
    }

    #[test]
    fn a_report_that_makes_no_sense_is_not_believed() {
        let start = Instant::now();
        let mut map = ClockMap::new(start);
        let (audio, _) = mids();
        map.report(start, audio, None, NTP_US, 0);
        let arrival = start + 10 * MS;
        assert_eq!(map.captured(arrival, audio, None, 1 << 30, 48_000), arrival);
        assert_eq!(map.captured(arrival, audio, None, 3 << 30, 48_000), arrival);
        map.report(start, audio, None, u64::MAX, 0);
    }

    #[test]
    fn who_sends_ahead_of_its_reports_is_set_back_with_all_its_tracks() {
        let start = Instant::now();
        let mut map = ClockMap::new(start);
        let (audio, video) = mids();
        // FFmpeg: both reports come first, then 600 ms of pictures at once, and the sound of the same time 30 ms later.
        map.report(start, audio, None, NTP_US, 0);
        map.report(start, video, None, NTP_US, 0);
        for frame in 0..=15 {
            let seen = map.captured(start + 10 * MS, video, None, frame * 3_600, 90_000);
            assert!(seen <= start + 10 * MS);
        }
        let heard = map.captured(start + 40 * MS, audio, None, 600 * 48, 48_000);
        assert_eq!(heard, start + 10 * MS);
        for frame in 16..100_u32 {
            let at = start + (40 * frame - 590) * MS;
            let seen = map.captured(at, video, None, frame * 3_600, 90_000);
            let heard = map.captured(at, audio, None, frame * 40 * 48, 48_000);
            assert_eq!(seen, heard, "frame {frame}");
        }
    }

    #[test]
    fn what_is_sent_ahead_is_as_even_as_its_timestamps() {
        let start = Instant::now();
        let mut map = ClockMap::new(start);
        let (audio, video) = mids();
        map.report(start, audio, None, NTP_US, 0);
        map.report(start, video, None, NTP_US, 0);
        // A file thirty times as fast as it plays; sound in packets of 20 ms, pictures of 40 ms.
        for index in 0..500_u32 {
            let at = start + 20 * index / 30 * MS;
            let due = start + 20 * index * MS;
            let (captured, ahead) = map.capture(at, audio, None, index * 960, 48_000);
            assert!(captured <= at && captured + ahead == due, "{index}");
            if index % 2 == 0 {
                let (captured, ahead) = map.capture(at, video, None, index * 1_800, 90_000);
                assert!(captured <= at && captured + ahead == due, "{index}");
            }
        }
    }

    /// A publisher with reports on its sound alone, who begins with 600 ms at once and stays ahead by as much: `reports` are when each
    /// came, what it says of the time and of the sound, in ms. Gives how much later than its media each packet is placed: when it came,
    /// of which track, and by how many ms.
    fn placed(reports: &[(u32, u64, u32)]) -> Vec<(u32, bool, i128)> {
        let start = Instant::now();
        let mut map = ClockMap::new(start);
        let (audio, video) = mids();
        let mut reports = reports.iter().peekable();
        let mut all = Vec::new();
        for media in (0..30_000_u32).step_by(20) {
            let arrival = (media / 20).max(media.saturating_sub(600));
            while let Some((at, ntp, sound)) = reports.next_if(|report| report.0 <= arrival) {
                let ntp_us = NTP_US + ntp * 1_000;
                map.report(start + *at * MS, audio, None, ntp_us, sound * 48);
            }
            for (mid, rate, is_sound) in [(audio, 48, true), (video, 90, false)] {
                let (captured, ahead) =
                    map.capture(start + arrival * MS, mid, None, media * rate, rate * 1_000);
                assert!(captured <= start + arrival * MS);
                let after = (captured + ahead)
                    .saturating_duration_since(start)
                    .as_millis();
                all.push((arrival, is_sound, after as i128 - i128::from(media)));
            }
        }
        all
    }

    #[test]
    fn reports_on_sound_alone_move_the_picture_as_well() {
        let steady = [(5_000, 5_000, 5_000), (10_000, 10_000, 10_000)];
        let with = |first: &[(u32, u64, u32)]| [first, &steady[..]].concat();
        let jumps: Vec<_> = [0, 5_000, 10_000]
            .map(|at| (at, u64::from(at), at + 600 * (at / 5_000).min(1)))
            .into();
        for (name, reports) in [
            ("from the beginning", with(&[(0, 0, 0)])),
            ("the first one was held back", with(&[(370, 0, 0)])),
            ("what comes first is not ahead of the later ones", jumps),
            ("the first one was lost", steady.into()),
        ] {
            for pair in placed(&reports).chunks(2).filter(|pair| pair[0].0 > 100) {
                let apart = pair[0].2 - pair[1].2;
                assert!(
                    apart.abs() <= 20,
                    "{name}: {apart} ms apart after {} ms",
                    pair[0].0
                );
            }
        }
    }

    #[test]
    fn a_first_report_that_comes_late_moves_nothing() {
        let placed = placed(&[(5_000, 5_000, 5_000), (10_000, 10_000, 10_000)]);
        let late = placed.iter().filter(|(arrival, ..)| *arrival > 100);
        assert!(
            late.clone().all(|one| (-620..=-580).contains(&one.2)),
            "{late:?}"
        );
    }

    #[test]
    fn what_a_packet_says_of_its_capture_is_believed_before_any_report() {
        let start = Instant::now();
        let mut map = ClockMap::new(start);
        let (audio, video) = mids();
        map.tell(start + 30 * MS, audio, None, NTP_US, 0);
        map.tell(start + 110 * MS, video, None, NTP_US + 20_000, 0);
        let heard = map.captured(start + 30 * MS, audio, None, 0, 48_000);
        let seen = map.captured(start + 110 * MS, video, None, 0, 90_000);
        assert_eq!(seen - heard, 20 * MS);
    }

    #[test]
    fn a_layer_without_reports_borrows_the_timeline_of_another() {
        let start = Instant::now();
        let mut map = ClockMap::new(start);
        let (_, video) = mids();
        map.report(start + 10 * MS, video, Some(Rid::from("2")), NTP_US, 0);
        let own = map.captured(start + 100 * MS, video, Some(Rid::from("2")), 3000, 90_000);
        let borrowed = map.captured(start + 100 * MS, video, Some(Rid::from("0")), 3000, 90_000);
        assert_eq!(own, borrowed);
        let arrival = start + 100 * MS;
        let foreign = map.captured(arrival, video, Some(Rid::from("0")), 1 << 29, 90_000);
        assert_eq!(foreign, arrival, "another timeline after all");
    }
}
