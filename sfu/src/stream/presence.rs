//! Whether a publisher is still there, judged by how its packets came until now.

use std::time::{Duration, Instant};

/// A publisher with sound is away after this long without a packet of any kind: even a silent microphone sends one each 400 ms.
const AWAY_MIN: Duration = Duration::from_millis(500);

/// The most that is waited for one with sound, however it sent before.
const AWAY_MAX: Duration = Duration::from_secs(2);

/// The same without sound: a screen may stand still, and encoders then send a picture a second, or none.
const STILL_MIN: Duration = Duration::from_secs(2);

/// The most without sound; as long as players are shown the last picture of such a publisher.
const STILL_MAX: Duration = Duration::from_secs(10);

/// Gaps that are usual are waited for twice, and a little longer: one packet of a silent microphone may be lost.
const MARGIN: Duration = Duration::from_millis(100);

/// What is usual is the longest gap of this time and of the same time before.
const WINDOW: Duration = Duration::from_secs(5);

/// When packets came, of one publisher.
#[derive(Debug, Clone)]
pub(crate) struct Presence {
    last: Instant,
    last_sound: Option<Instant>,
    /// The longest gap of this window, and of the one before.
    gaps: [Duration; 2],
    window: Instant,
}

impl Presence {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            last: now,
            last_sound: None,
            gaps: [Duration::ZERO; 2],
            window: now,
        }
    }

    /// A packet came.
    pub(crate) fn hear(&mut self, now: Instant, is_audio: bool) {
        if is_audio {
            self.last_sound = Some(now);
        }
        let gap = now.saturating_duration_since(self.last);
        // An absence is not what is usual. Without sound that cannot be told from a screen that stands still.
        let most = match self.has_sound() {
            true => self.patience(),
            false => STILL_MAX,
        };
        if gap <= most {
            self.gaps[0] = self.gaps[0].max(gap);
        }
        if now.saturating_duration_since(self.window) >= WINDOW {
            self.window = now;
            self.gaps = [Duration::ZERO, self.gaps[0]];
        }
        self.last = now;
    }

    /// For how long nothing came.
    pub(crate) fn quiet_for(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.last)
    }

    /// Whether nothing came for longer than can be explained.
    pub(crate) fn is_away(&self, now: Instant) -> bool {
        self.quiet_for(now) > self.patience()
    }

    fn patience(&self) -> Duration {
        let usual = self.gaps[0].max(self.gaps[1]) * 2 + MARGIN;
        match self.has_sound() {
            true => usual.clamp(AWAY_MIN, AWAY_MAX),
            false => usual.clamp(STILL_MIN, STILL_MAX),
        }
    }

    fn has_sound(&self) -> bool {
        self.last_sound
            .is_some_and(|at| self.last.saturating_duration_since(at) < WINDOW)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "an epoch for virtual time")]
mod tests {
    use super::*;

    /// After ten seconds of packets this far apart, how many ms of nothing are an absence.
    fn check(interval_ms: u64, has_sound: bool, expected_ms: u64) {
        let start = Instant::now();
        let mut presence = Presence::new(start);
        let mut at = start;
        while at < start + Duration::from_secs(10) {
            at += Duration::from_millis(interval_ms);
            presence.hear(at, has_sound);
        }
        let case = (interval_ms, has_sound);
        let still = at + Duration::from_millis(expected_ms);
        assert!(!presence.is_away(still), "{case:?}");
        assert!(
            presence.is_away(still + Duration::from_millis(1)),
            "{case:?}"
        );
    }

    #[test]
    fn an_absence_is_longer_than_what_is_usual() {
        check(20, true, 500);
        check(100, true, 500);
        // A silent microphone.
        check(400, true, 900);
        check(500, true, 1100);
        // Pictures alone, of a camera and of a screen that stands still.
        check(33, false, 2000);
        check(1000, false, 2100);
        check(2000, false, 4100);
        check(3000, false, 6100);
    }

    #[test]
    fn an_absence_does_not_become_usual() {
        let start = Instant::now();
        let mut presence = Presence::new(start);
        let mut at = start;
        for round in 0..50_u64 {
            at += Duration::from_millis(if round % 10 == 0 { 900 } else { 20 });
            presence.hear(at, true);
        }
        assert!(presence.is_away(at + Duration::from_millis(501)));
    }

    #[test]
    fn a_microphone_that_was_taken_away_is_not_waited_for() {
        let start = Instant::now();
        let mut presence = Presence::new(start);
        presence.hear(start, true);
        let mut at = start;
        for _ in 0..300 {
            at += Duration::from_millis(33);
            presence.hear(at, false);
        }
        assert!(!presence.is_away(at + Duration::from_secs(2)));
    }
}
