//! Sessions that ended without their client's `DELETE`: it still has their address, and asks.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use sfu::CloseReason;
use uuid::Uuid;

use crate::venue::{SessionRecord, Venue};

/// How long the end of a session is remembered: OBS closes its connection first and then sends its `DELETE`.
const OVER_KEPT: Duration = Duration::from_secs(60);

/// How long a publisher that was replaced can learn it: a page that was asleep must not take the stage back.
const REPLACED_KEPT: Duration = Duration::from_secs(600);

/// Ends that are remembered: as many as a venue has sessions, at some 200 bytes each. The oldest is forgotten first.
const GONE_MAX: usize = 16_384;

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// Its connection ended.
    Over,
    /// Another publisher has the stream.
    Replaced,
}

#[derive(Debug, Default)]
pub(crate) struct Ends {
    known: BTreeMap<Uuid, End>,
    /// In the order of their ends.
    order: VecDeque<Uuid>,
}

#[derive(Debug)]
struct End {
    record: SessionRecord,
    gone: Gone,
    at: Instant,
}

impl Ends {
    pub(crate) fn remember(
        &mut self,
        resource: Uuid,
        record: SessionRecord,
        reason: &CloseReason,
        at: Instant,
    ) {
        let gone = match reason {
            CloseReason::TakenOver => Gone::Replaced,
            _ => Gone::Over,
        };
        while self.order.len() >= GONE_MAX {
            self.forget_oldest();
        }
        self.known.insert(resource, End { record, gone, at });
        self.order.push_back(resource);
    }

    fn get(&self, resource: Uuid, now: Instant) -> Option<&End> {
        self.known.get(&resource).filter(|end| {
            let kept = match end.gone {
                Gone::Over => OVER_KEPT,
                Gone::Replaced => REPLACED_KEPT,
            };
            now.saturating_duration_since(end.at) < kept
        })
    }

    pub(crate) fn expire(&mut self, now: Instant) {
        while let Some(oldest) = self.order.front() {
            let is_young = |end: &End| now.saturating_duration_since(end.at) < REPLACED_KEPT;
            if self.known.get(oldest).is_some_and(is_young) {
                return;
            }
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.order.pop_front() {
            self.known.remove(&oldest);
        }
    }
}

impl Venue {
    /// How the session behind a resource ended, if that is some minutes ago at most, and what it was.
    pub fn gone(&self, resource: Uuid, now: Instant) -> Option<(SessionRecord, Gone)> {
        let end = self.ends.get(resource, now)?;
        Some((end.record.clone(), end.gone))
    }

    /// Forgets how a session ended.
    pub fn forget_gone(&mut self, resource: Uuid) {
        // Its place in the order goes when its time comes.
        self.ends.known.remove(&resource);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sfu::{PeerId, Role, WorkerId};

    use super::*;
    use crate::key::StreamKey;

    fn record() -> SessionRecord {
        SessionRecord {
            key: StreamKey {
                space: Arc::from("demo"),
                stream: Arc::from("main"),
            },
            role: Role::Publisher,
            etag: String::new(),
            peer: PeerId(1),
            worker: WorkerId(0),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "a test has to begin somewhere")]
    fn base() -> Instant {
        Instant::now()
    }

    #[test]
    fn an_end_is_known_for_a_minute_and_a_replacement_for_ten() {
        let mut ends = Ends::default();
        let (over, replaced) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let now = base();
        ends.remember(over, record(), &CloseReason::Remote, now);
        ends.remember(replaced, record(), &CloseReason::TakenOver, now);
        let gone = |ends: &Ends, resource, at| ends.get(resource, at).map(|end| end.gone);
        assert_eq!(gone(&ends, over, now), Some(Gone::Over));
        assert_eq!(gone(&ends, replaced, now), Some(Gone::Replaced));
        assert_eq!(gone(&ends, over, now + OVER_KEPT), None);
        assert_eq!(gone(&ends, replaced, now + OVER_KEPT), Some(Gone::Replaced));
        ends.expire(now + REPLACED_KEPT);
        assert!(ends.known.is_empty() && ends.order.is_empty());
    }

    #[test]
    fn the_oldest_of_too_many_is_forgotten() {
        let mut ends = Ends::default();
        let (first, now) = (Uuid::from_u128(0), base());
        ends.remember(first, record(), &CloseReason::Lost, now);
        for at in 0..GONE_MAX {
            ends.remember(
                Uuid::from_u128(1 + at as u128),
                record(),
                &CloseReason::Lost,
                now,
            );
        }
        assert_eq!((ends.known.len(), ends.order.len()), (GONE_MAX, GONE_MAX));
        assert!(ends.get(first, now).is_none());
    }
}
