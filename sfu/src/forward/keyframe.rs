//! Keyframe requests to a publisher: merged, throttled, and given up where nobody listens.

use std::time::{Duration, Instant};

/// At most one request per layer in this time; a burst of joins costs one keyframe.
const INTERVAL: Duration = Duration::from_millis(500);

/// A keyframe within this time of a request counts as its answer. Encoders answer with the next frame; the rest is
/// round trip.
const ANSWER_WITHIN: Duration = Duration::from_millis(700);

/// So many answers in a row are no coincidence. With a keyframe every ten seconds one alone is, seven times in a hundred.
const ANSWERS_MIN: u32 = 2;

/// Encoders that answer do so within a frame and a round trip.
const OVERDUE_AFTER: Duration = Duration::from_millis(300);

/// After so many requests in vain the sender is one that never answers (OBS, FFmpeg).
const UNANSWERED_MAX: u32 = 3;

/// A sender that never answers is still asked this often: it may have been a bad network.
const DEAF_INTERVAL: Duration = Duration::from_secs(10);

/// The requests for one layer.
#[derive(Debug, Default)]
pub(crate) struct KeyframeRequests {
    wanted: bool,
    last_sent: Option<Instant>,
    /// A request was sent, and no keyframe came since.
    is_open: bool,
    unanswered: u32,
    /// When a packet of the layer came last.
    heard: Option<Instant>,
    /// Requests in a row after which nothing of the layer came: not even the request may have arrived.
    unheard: u32,
    /// Requests in a row that were answered.
    answers: u32,
}

impl KeyframeRequests {
    /// Somebody needs a keyframe. Follow with [`Self::poll`].
    pub(crate) fn want(&mut self) {
        self.wanted = true;
    }

    /// Whether a request must go out now; it counts as sent.
    pub(crate) fn poll(&mut self, now: Instant) -> bool {
        if !self.wanted || self.due().is_some_and(|due| now < due) {
            return false;
        }
        if self.is_open && self.heard > self.last_sent {
            self.unanswered += 1;
            self.answers = 0;
        } else if self.is_open {
            self.unheard += 1;
        }
        self.is_open = true;
        self.last_sent = Some(now);
        // Stays wanted until the keyframe comes: requests and keyframes get lost.
        true
    }

    /// When [`Self::poll`] may next say yes; `None` for at once or never.
    pub(crate) fn due(&self) -> Option<Instant> {
        if !self.wanted {
            return None;
        }
        let interval = if self.is_deaf() || self.unheard >= UNANSWERED_MAX {
            DEAF_INTERVAL
        } else {
            INTERVAL
        };
        self.last_sent.map(|last| last + interval)
    }

    /// A packet of the layer came.
    pub(crate) fn on_packet(&mut self, now: Instant) {
        self.heard = Some(now);
        if self.unheard > 0 {
            // What was asked of a sender that sent nothing is asked again at once.
            self.forget();
        }
    }

    /// The layer comes again after a cut, with pictures missing. Nothing that was asked meanwhile says anything about its
    /// sender, and what it was known for before holds no longer.
    pub(crate) fn on_return(&mut self) {
        self.forget();
        self.unanswered = 0;
        self.wanted = true;
    }

    fn forget(&mut self) {
        self.unheard = 0;
        self.is_open = false;
        self.last_sent = None;
    }

    /// A keyframe began.
    pub(crate) fn on_keyframe(&mut self, now: Instant) {
        if self.wanted
            && self
                .last_sent
                .is_some_and(|sent| now.saturating_duration_since(sent) < ANSWER_WITHIN)
        {
            self.answers = self.answers.saturating_add(1);
        }
        self.is_open = false;
        self.wanted = false;
        self.unanswered = 0;
    }

    /// Whether a keyframe was asked for long enough ago that one can do without.
    pub(crate) fn is_overdue(&self, now: Instant) -> bool {
        let waited = self
            .last_sent
            .is_some_and(|last| now.saturating_duration_since(last) >= OVERDUE_AFTER);
        self.is_deaf() || (self.is_open && (self.unanswered > 0 || waited))
    }

    /// Whether this sender seems to ignore requests.
    pub(crate) fn is_deaf(&self) -> bool {
        self.unanswered >= UNANSWERED_MAX
    }

    /// Whether this sender was seen to answer.
    pub(crate) fn answers(&self) -> bool {
        self.answers >= ANSWERS_MIN && !self.is_deaf()
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "an epoch for virtual time")]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_hundred_wishes_in_a_burst_are_one_request() {
        let start = Instant::now();
        let mut requests = KeyframeRequests::default();
        let mut sent = 0;
        for i in 0..100 {
            requests.want();
            sent += u32::from(requests.poll(start + MS * i));
        }
        assert_eq!(sent, 1);
        requests.on_keyframe(start + 120 * MS);
        assert!(!requests.poll(start + 1000 * MS));
    }

    #[test]
    fn one_answer_may_be_a_coincidence() {
        let start = Instant::now();
        let mut requests = KeyframeRequests::default();
        for round in 0..2 {
            assert!(!requests.answers());
            let at = start + 5000 * MS * round;
            requests.want();
            assert!(requests.poll(at));
            requests.on_keyframe(at + 200 * MS);
        }
        assert!(requests.answers());
        requests.want();
        assert!(requests.poll(start + 20_000 * MS));
        requests.on_packet(start + 20_100 * MS);
        assert!(requests.poll(start + 20_500 * MS));
        assert!(!requests.answers(), "the first request in vain is enough");
    }

    #[test]
    fn a_lost_request_is_repeated_and_a_deaf_sender_is_left_in_peace() {
        let start = Instant::now();
        let mut requests = KeyframeRequests::default();
        requests.want();
        let mut sent = Vec::new();
        for i in 0..20_000 {
            requests.on_packet(start + MS * i);
            if requests.poll(start + MS * i) {
                sent.push(i);
            }
        }
        assert_eq!(sent, [0, 500, 1000, 1500, 11_500]);
        assert!(requests.is_deaf());
        requests.on_keyframe(start + 20_000 * MS);
        assert!(!requests.is_deaf());
    }
    #[test]
    fn requests_into_a_dead_link_make_nobody_deaf_and_are_repeated_when_it_lives_again() {
        let start = Instant::now();
        let mut requests = KeyframeRequests::default();
        requests.on_packet(start);
        requests.want();
        let mut sent = Vec::new();
        for i in 1..20_000 {
            if requests.poll(start + MS * i) {
                sent.push(i);
            }
        }
        assert_eq!(sent, [1, 501, 1001, 1501, 11_501], "no flood either");
        assert!(!requests.is_deaf());
        let back = start + 20_000 * MS;
        requests.on_packet(back);
        assert!(requests.poll(back), "at once");
        requests.on_packet(back + 100 * MS);
        assert!(!requests.poll(back + 100 * MS));
        requests.on_keyframe(back + 120 * MS);
        assert!(!requests.poll(back + 10_000 * MS));
    }

    #[test]
    fn a_deaf_sender_is_asked_anew_after_a_cut() {
        let start = Instant::now();
        let mut requests = KeyframeRequests::default();
        requests.want();
        for i in 0..3000 {
            requests.on_packet(start + MS * i);
            requests.poll(start + MS * i);
        }
        assert!(requests.is_deaf());
        requests.on_return();
        assert!(!requests.is_deaf() && requests.poll(start + 8000 * MS));
    }
}
