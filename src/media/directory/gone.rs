//! Sessions that ended without their client's `DELETE`: it still has their address, and asks.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use sfu::CloseReason;
use uuid::Uuid;

use super::{Directory, SessionRecord};
use crate::clock;

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
pub(super) struct Ends {
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
    pub(super) fn remember(&mut self, resource: Uuid, record: SessionRecord, reason: &CloseReason) {
        let gone = match reason {
            CloseReason::TakenOver => Gone::Replaced,
            _ => Gone::Over,
        };
        let at = clock::now();
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

    pub(super) fn expire(&mut self, now: Instant) {
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

impl Directory {
    /// How the session behind a resource ended, if that is some minutes ago at most, and what it was.
    pub fn gone(&self, resource: Uuid) -> Option<(SessionRecord, Gone)> {
        let inner = self.lock();
        let end = inner.ends.get(resource, clock::now())?;
        Some((end.record.clone(), end.gone))
    }

    /// Forgets how a session ended.
    pub fn forget_gone(&self, resource: Uuid) {
        // Its place in the order goes when its time comes.
        self.lock().ends.known.remove(&resource);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sfu::{PeerId, Role, WorkerId};

    use super::*;
    use crate::media::directory::StreamKey;

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

    #[test]
    fn an_end_is_known_for_a_minute_and_a_replacement_for_ten() {
        let mut ends = Ends::default();
        let (over, replaced) = (Uuid::new_v4(), Uuid::new_v4());
        ends.remember(over, record(), &CloseReason::Remote);
        ends.remember(replaced, record(), &CloseReason::TakenOver);
        let now = clock::now();
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
        let first = Uuid::new_v4();
        ends.remember(first, record(), &CloseReason::Lost);
        for _ in 0..GONE_MAX {
            ends.remember(Uuid::new_v4(), record(), &CloseReason::Lost);
        }
        assert_eq!((ends.known.len(), ends.order.len()), (GONE_MAX, GONE_MAX));
        assert!(ends.get(first, clock::now()).is_none());
    }
}
