//! When to send a flight again, RFC 6347 section 4.2.4, in the caller's time.

use std::time::{Duration, Instant};

/// The first wait. RFC 6347 suggests a second, for a world of modems; browsers use 50 ms, and a flight is small.
const RETRANSMIT_MIN: Duration = Duration::from_millis(50);
/// Waits double up to this.
const RETRANSMIT_MAX: Duration = Duration::from_secs(2);
/// From the first flight to giving up.
const HANDSHAKE_MAX: Duration = Duration::from_secs(30);

/// What is to be done now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    Retransmit,
    GiveUp,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Stopped,
    /// A flight went out. Datagrams come without a time, so the wait starts at the next `handle`.
    Sent,
    Waiting(Instant),
}

/// The timer of one handshake.
#[derive(Debug, Default)]
pub(super) struct FlightTimer {
    state: State,
    wait: Duration,
    give_up: Option<Instant>,
}

impl FlightTimer {
    /// A new flight went out.
    pub(super) fn flight_sent(&mut self) {
        self.state = State::Sent;
        self.wait = RETRANSMIT_MIN;
    }

    /// Nothing is waited for any more.
    pub(super) fn stop(&mut self) {
        self.state = State::Stopped;
    }

    /// When to call [`Self::handle`]; `now` for at once.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        match self.state {
            State::Stopped => None,
            State::Sent => Some(now),
            State::Waiting(at) => Some(at),
        }
    }

    /// The time is `now`. Starts or prolongs the wait.
    pub(super) fn handle(&mut self, now: Instant) -> Due {
        let due = match self.state {
            State::Stopped => return Due::Nothing,
            State::Waiting(at) if now < at => return Due::Nothing,
            State::Waiting(_) => {
                self.wait = (self.wait * 2).min(RETRANSMIT_MAX);
                Due::Retransmit
            }
            State::Sent => Due::Nothing,
        };
        let give_up = *self.give_up.get_or_insert(now + HANDSHAKE_MAX);
        if now >= give_up {
            self.stop();
            return Due::GiveUp;
        }
        self.state = State::Waiting((now + self.wait).min(give_up));
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_from_50_ms_to_2_s_and_end_after_30_s() {
        let start = super::super::tests::start();
        let mut timer = FlightTimer::default();
        assert_eq!(timer.deadline(start), None);
        timer.flight_sent();
        assert_eq!(timer.deadline(start), Some(start));
        assert_eq!(timer.handle(start), Due::Nothing);

        let mut waits = Vec::new();
        let mut now = start;
        loop {
            let next = timer.deadline(now).unwrap();
            assert_eq!(timer.handle(next - Duration::from_millis(1)), Due::Nothing);
            waits.push((next - now).as_millis());
            now = next;
            if timer.handle(now) == Due::GiveUp {
                break;
            }
        }
        assert_eq!(waits[..7], [50, 100, 200, 400, 800, 1600, 2000]);
        assert_eq!(now - start, HANDSHAKE_MAX);
        assert_eq!(timer.deadline(now), None);
    }

    #[test]
    fn a_new_flight_starts_with_a_short_wait_but_the_same_end() {
        let start = super::super::tests::start();
        let mut timer = FlightTimer::default();
        timer.flight_sent();
        timer.handle(start);
        let late = start + Duration::from_secs(29);
        assert_eq!(timer.handle(late), Due::Retransmit);
        timer.flight_sent();
        assert_eq!(timer.handle(late), Due::Nothing);
        assert_eq!(timer.deadline(late), Some(late + RETRANSMIT_MIN));
        assert_eq!(timer.handle(start + HANDSHAKE_MAX), Due::GiveUp);
    }
}
