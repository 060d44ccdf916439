//! What is shown while nobody performs, and how whoever comes back takes over from it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use hls::{CodecKind, Frame, TrackConfig};

use super::Production;
use crate::broadcast::slate::{Slate, Still, is_repeatable};
use crate::recording::Entry;

/// After its publisher said that it leaves, a stream stands still for this long: who is replaced at once needs no slate. Less than
/// any player has in hand.
pub(in crate::broadcast) const GRACE: Duration = Duration::from_millis(500);

/// A publisher with sound from whom nothing comes for this long is away, although it may still be connected. Even silence is a
/// packet each 400 ms. Meanwhile its last picture stands. As long as the media threads wait.
const SILENT_MAX: Duration = Duration::from_secs(2);

/// The same without sound: a screen may stand still, and some encoders then send nothing.
const STILL_MAX: Duration = Duration::from_secs(10);

/// How long whoever comes back may take until the first keyframe before its sound is heard without.
const ENTRANCE_MAX: Duration = Duration::from_secs(12);

/// Between two requests for that keyframe.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// Sound that waits for the picture that it belongs to: two seconds and more.
const HELD_MAX: usize = 256;

/// A publication before its first picture. Until then what was before goes on.
pub(super) struct Entrance {
    since: Instant,
    asked: Instant,
    held: VecDeque<(usize, Frame)>,
}

impl Entrance {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            since: now,
            asked: now,
            held: VecDeque::new(),
        }
    }

    pub(super) fn hold(&mut self, at: usize, frame: Frame) {
        if self.held.len() == HELD_MAX {
            self.held.pop_front();
        }
        self.held.push_back((at, frame));
    }

    /// What was held.
    pub(super) fn into_held(self) -> VecDeque<(usize, Frame)> {
        self.held
    }
}

impl Production {
    /// Puts a slate where nobody is, and goes on with the one that is there. `away` says how long nobody has published, if so.
    pub(in crate::broadcast) fn fill_absence(&mut self, now: Instant, away: Option<Duration>) {
        let is_away = match (away, &self.entrance) {
            (Some(away), _) => away >= GRACE,
            (None, Some(entrance)) => now.saturating_duration_since(entrance.since) >= GRACE,
            (None, None) => self.is_silent(now),
        };
        if is_away {
            self.show_slate(now);
        }
        self.ask_for_entrance(now);
        let now_ms = self.since_origin(now) / 1000;
        if let Some(slate) = &mut self.slate {
            slate.run(&mut self.packager, now_ms);
            self.note_time(now_ms - super::STILL_MS);
        }
    }

    /// Has the picture made that is shown when the publisher of this rendition is away.
    pub(super) fn order_card(&mut self, at: usize) {
        let info = &self.packager.renditions()[at];
        let size = (info.width, info.height);
        let known = self.cards.get(&info.name).map(|card| card.0);
        if info.kind == CodecKind::H264 && self.slate.is_none() && known != Some(size) {
            let space = &self.show.key().space;
            let card = self.around.cards.order(space, size.0, size.1);
            self.cards.insert(info.name.clone(), (size, card));
        }
    }

    fn is_silent(&self, now: Instant) -> bool {
        let has_sound = self
            .plan
            .renditions
            .iter()
            .any(|one| one.name == super::OPUS);
        let patience = if has_sound { SILENT_MAX } else { STILL_MAX };
        !self.plan.renditions.is_empty() && now.saturating_duration_since(self.heard) >= patience
    }

    fn show_slate(&mut self, now: Instant) {
        if self.slate.is_some() || self.on_air.is_empty() {
            return;
        }
        self.packager.pause_level();
        self.publish(now);
        self.tell_recorder(true);
        let now_ms = self.since_origin(now) / 1000;
        let (cards, stills) = (&self.cards, &self.stills);
        let still = |config: &TrackConfig| {
            let card = cards.get(&config.rendition);
            if let Some(keyframe) = card.and_then(|(_, card)| card.get())
                && config.codec == CodecKind::H264
            {
                return Some(Still {
                    keyframe: keyframe.clone(),
                    is_repeatable: true,
                });
            }
            Some(Still {
                keyframe: stills.get(&config.rendition)?.clone(),
                is_repeatable: is_repeatable(config.codec),
            })
        };
        let slate = Slate::begin(&mut self.packager, &self.on_air, still, now_ms);
        self.slate = Some(slate);
        self.show.set_performed(false);
        self.around.counters.count_slate();
        let key = self.show.key();
        tracing::info!(space = %key.space, stream = %key.stream, "nothing comes from the publisher; players have a slate");
        if !self.plan.renditions.is_empty() && self.entrance.is_none() {
            // Connected and silent: whatever comes next begins anew.
            self.expect(now);
        }
    }

    /// Who is back but has sent no keyframe is asked for one.
    fn ask_for_entrance(&mut self, now: Instant) {
        if let Some(entrance) = &mut self.entrance
            && now.saturating_duration_since(entrance.asked) >= ASK_EVERY
            && now.saturating_duration_since(self.heard) < ASK_EVERY
        {
            entrance.asked = now;
            self.wants_keyframe = true;
        }
    }

    /// Whether a publication begins to be seen with this frame.
    pub(super) fn opens(&self, at: usize, frame: &Frame) -> bool {
        let is_picture = self.plan.renditions[at].name != super::OPUS;
        let waited = self.entrance.as_ref().map_or(Duration::ZERO, |entrance| {
            self.heard.saturating_duration_since(entrance.since)
        });
        !self.has_picture || is_picture && frame.keyframe || waited >= ENTRANCE_MAX
    }

    /// What is not the performance is not kept of it.
    fn tell_recorder(&mut self, aside: bool) {
        self.is_aside = aside;
        self.around.recorder.try_send(Entry::Aside {
            life: self.show.life().clone(),
            aside,
        });
    }

    /// The publication takes over from what was before, `at_ms` ms into the life.
    pub(super) fn enter(&mut self, now: Instant, at_ms: i64) {
        if let Some(slate) = self.slate.take() {
            slate.finish(&mut self.packager, at_ms);
            self.publish(now);
            self.tell_recorder(false);
        } else {
            self.packager.pause_at(at_ms);
        }
        self.on_air.clone_from(&self.configs);
        self.packager.begin(self.configs.clone());
        self.show.set_performed(true);
    }
}
