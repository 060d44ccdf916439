//! How fast the lanes of a publication come.
//!
//! A lane is late when it is behind what has come of the others, and that is told by media time alone only where media comes
//! as fast as it plays. Where it comes faster, a lane that is a tenth of a second behind may lack seconds of it.

use super::shared::LATE_MAX;

/// One lane, in common time.
#[derive(Clone, Copy)]
struct Known {
    /// When its last frame came.
    came: i64,
    /// By how much its quickest frame came before its time.
    ahead: i64,
}

/// What is known of the lanes of one publication.
#[derive(Default)]
pub(crate) struct Pace {
    now: i64,
    lanes: Vec<Option<Known>>,
}

impl Pace {
    /// A frame of the time `at` came at `arrival`, both in common time.
    pub(crate) fn note(&mut self, lane: usize, at: i64, arrival: i64) {
        self.now = self.now.max(arrival);
        if self.lanes.len() <= lane {
            self.lanes.resize(lane + 1, None);
        }
        let ahead = at - arrival;
        let known = self.lanes[lane].get_or_insert(Known {
            came: arrival,
            ahead,
        });
        known.came = known.came.max(arrival);
        known.ahead = known.ahead.max(ahead);
    }

    /// The time up to which the slowest of the lanes that go on would have come by now. One that nothing has come of for 400 ms does not:
    /// nobody waits longer than that for a microphone that is muted.
    pub(crate) fn limit(&self) -> Option<i64> {
        let known = self.lanes.iter().flatten();
        let goes_on = known.filter(|known| self.now - known.came < LATE_MAX);
        goes_on.map(|known| self.now + known.ahead).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_that_goes_on_counts() {
        let mut pace = Pace::default();
        assert_eq!(pace.limit(), None);
        pace.note(0, 1_000, 0);
        assert_eq!(pace.limit(), Some(1_000));
        pace.note(2, 600, 100);
        assert_eq!(pace.limit(), Some(600));
        // Its quickest frame says how late it is; one that was held back does not.
        pace.note(2, 900, 200);
        pace.note(2, 910, 300);
        assert_eq!(pace.limit(), Some(1_000));
        // What came before is no later time.
        pace.note(0, 1_001, 1);
        assert_eq!(pace.limit(), Some(1_000));
        let later = 300 + LATE_MAX;
        pace.note(0, 1_000 + later, later);
        assert_eq!(pace.limit(), Some(1_000 + later), "the other has stopped");
    }
}
