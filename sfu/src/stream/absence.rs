//! Whether nobody performs, for viewers who are shown a slate meanwhile.

use std::time::{Duration, Instant};

use super::{Publication, Stream};

/// After its publisher left, a stream stands still for this long: who is replaced at once needs no slate.
const GRACE: Duration = Duration::from_millis(500);

/// A publisher with sound from whom nothing comes for this long is missed, although it may still be connected: even silence is a
/// packet each 400 ms.
const SILENT_MAX: Duration = Duration::from_secs(2);

/// The same without sound: a screen may stand still, and some encoders then send nothing.
const STILL_MAX: Duration = Duration::from_secs(10);

/// What is remembered of a publisher that left, until a packet of the next one comes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Absence {
    has_left: bool,
    /// When that was noticed.
    since: Option<Instant>,
    /// Viewers are shown the slate.
    pub(crate) is_shown: bool,
}

impl Absence {
    /// A publication is over.
    pub(crate) fn on_left(&mut self) {
        self.has_left = true;
    }
}

impl Stream {
    /// Notes when its publisher left.
    pub(crate) fn look_for_absence(&mut self, now: Instant) {
        if self.absence.has_left {
            self.absence.since.get_or_insert(now);
        }
    }

    /// Whether nobody performs: its publisher left, or is there and sends nothing. Before the first one that is not missed.
    pub(crate) fn is_absent(&self, now: Instant) -> bool {
        let Absence {
            has_left,
            since,
            is_shown,
        } = self.absence;
        let is_over = since.is_some_and(|since| now.saturating_duration_since(since) >= GRACE);
        let publication = self.publication.as_ref();
        // Who was missed before it left is not expected back any sooner.
        is_over || (has_left && is_shown) || publication.is_some_and(|one| one.is_missed(now))
    }
}

impl Publication {
    fn is_missed(&self, now: Instant) -> bool {
        let has_sound = self.tracks.iter().any(|track| track.codec.kind.is_audio());
        let patience = if has_sound { SILENT_MAX } else { STILL_MAX };
        !self.tracks.is_empty() && now.saturating_duration_since(self.last_packet) >= patience
    }
}
