//! How long to wait before a camera is tried again.

use std::time::Duration;

/// For one that is away: it is to be back within two seconds of its return. A question costs it one packet.
const AWAY: Duration = Duration::from_secs(1);
/// For one that answers, but not as it should: this, doubled each time.
const UNFIT_MAX: Duration = Duration::from_secs(30);
/// After a refused password. Cameras lock an account after three to ten wrong ones, most for half an hour.
const REFUSED: [Duration; REFUSALS_MAX - 1] = [Duration::from_secs(2), Duration::from_secs(5)];
/// Refusals in a row after which the password counts as wrong.
pub(super) const REFUSALS_MAX: usize = 3;
/// For a password that counts as wrong.
const WRONG: Duration = Duration::from_secs(3600);
/// The same when the camera took it before: some refuse everybody while they start.
const FORGETFUL: Duration = Duration::from_secs(300);

/// What is wrong with a camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It does not answer, or stopped sending.
    Away,
    /// It answers, but has nothing that can be shown.
    Unfit,
    /// It refuses user and password.
    Refused,
}

/// One camera's failures.
#[derive(Debug, Default)]
pub(super) struct Retry {
    unfit: u32,
    refusals: usize,
    /// It took the password since the server started.
    has_played: bool,
}

impl Retry {
    /// It plays: whatever was wrong is over.
    pub(super) fn plays(&mut self) {
        *self = Self {
            has_played: true,
            ..Self::default()
        };
    }

    /// Whether user and password were refused so often that they are tried no more for a long time.
    pub(super) fn gives_up(&self) -> bool {
        self.refusals >= REFUSALS_MAX
    }

    /// The wait after a failure. `random` in 0..1 takes off up to a quarter, so that cameras behind one switch do not all
    /// come back in the same instant.
    pub(super) fn next(&mut self, fault: Fault, random: f64) -> Duration {
        let wait = match fault {
            Fault::Away => AWAY,
            Fault::Unfit => {
                self.unfit = self.unfit.saturating_add(1);
                AWAY.saturating_mul(1 << (self.unfit - 1).min(16))
                    .min(UNFIT_MAX)
            }
            Fault::Refused => {
                self.refusals = self.refusals.saturating_add(1);
                let last = if self.has_played { FORGETFUL } else { WRONG };
                REFUSED.get(self.refusals - 1).copied().unwrap_or(last)
            }
        };
        wait.mul_f64(1.0 - 0.25 * random.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(retry: &mut Retry, fault: Fault, times: usize) -> Vec<u64> {
        let mut next = || retry.next(fault, 0.0).as_secs();
        (0..times).map(|_| next()).collect()
    }

    #[test]
    fn a_camera_that_is_away_is_looked_for_each_second_however_long_it_is_away() {
        let mut retry = Retry::default();
        assert_eq!(waits(&mut retry, Fault::Away, 1000), [1; 1000]);
        assert_eq!(retry.next(Fault::Away, 1.0), Duration::from_millis(750));
    }

    #[test]
    fn a_camera_that_cannot_be_used_is_asked_less_and_less_until_it_plays() {
        let mut retry = Retry::default();
        assert_eq!(waits(&mut retry, Fault::Unfit, 7), [1, 2, 4, 8, 16, 30, 30]);
        waits(&mut retry, Fault::Unfit, 1000);
        retry.plays();
        assert_eq!(waits(&mut retry, Fault::Unfit, 1), [1]);
    }

    #[test]
    fn a_refused_password_is_tried_three_times_in_an_hour() {
        let mut retry = Retry::default();
        assert_eq!(waits(&mut retry, Fault::Refused, 2), [2, 5]);
        assert!(!retry.gives_up());
        // That it is out of reach in between forgives nothing.
        waits(&mut retry, Fault::Away, 3);
        assert_eq!(waits(&mut retry, Fault::Refused, 3), [3600; 3]);
        assert!(retry.gives_up());
    }

    #[test]
    fn a_password_that_was_taken_before_is_tried_again_sooner_but_not_at_once() {
        let mut retry = Retry::default();
        retry.plays();
        assert_eq!(waits(&mut retry, Fault::Refused, 4), [2, 5, 300, 300]);
    }
}
