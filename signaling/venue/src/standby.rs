//! Publishers that stand by: backups, and whoever fell silent while its backup has the stage.

use std::time::Duration;

use sfu::{PeerId, StreamId, TakesOver};

use crate::io::Consequence;
use crate::key::StreamKey;
use crate::moment::Moment;
use crate::outcome::{Refused, TakeOver};
use crate::streams::Claim;
use crate::venue::{Publication, StreamEntry, Venue};

/// For how long a stage counts as taken that was left while somebody stands by: a keyframe that was asked for comes in a
/// fraction of it.
const LEFT_MAX: Duration = Duration::from_secs(2);

/// What the backup of a stream does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backup {
    /// It sends, and somebody else is to be seen.
    StandsBy,
    /// It is to be seen.
    OnAir,
}

impl Venue {
    /// Media come from a publisher without the stage.
    pub(crate) fn on_stands_by(&mut self, stream: StreamId, peer: PeerId) {
        let Some(key) = self.keys.get(&stream).cloned() else {
            return;
        };
        let waiting = self.streams.get_mut(&key).and_then(|entry| {
            let mut waiting = entry.waiting.iter_mut();
            waiting.find(|waiting| waiting.peer == peer)
        });
        let Some(waiting) = waiting else { return };
        waiting.stands_by = true;
        tracing::info!(space = %key.space, stream = %key.stream, %peer, "a backup stands by");
        self.has_changed(&key.space);
    }

    /// Nothing comes from a publisher that stands by, or something does again.
    pub(crate) fn standby_is_silent(&mut self, stream: StreamId, peer: PeerId, silent: bool) {
        let Some(key) = self.keys.get(&stream).cloned() else {
            return;
        };
        let entry = self.streams.get_mut(&key);
        let mut waiting = entry.into_iter().flat_map(|entry| &mut entry.waiting);
        let Some(waiting) = waiting.find(|waiting| waiting.peer == peer) else {
            return;
        };
        waiting.is_silent = silent;
        if !waiting.is_backup {
            return;
        }
        if silent {
            tracing::warn!(space = %key.space, stream = %key.stream, %peer, "the backup sends nothing; look after its encoder");
        } else {
            tracing::info!(space = %key.space, stream = %key.stream, %peer, "the backup sends again");
        }
        self.has_changed(&key.space);
    }

    /// Whether a source may ask for a stream: nobody publishes it, or fell silent on it, but a backup; or it has no backup.
    pub fn is_open_to(&self, key: &StreamKey, is_backup: bool) -> bool {
        let Some(entry) = self.streams.get(key) else {
            return true;
        };
        match is_backup {
            true => !entry.has_backup(),
            false => !entry.has_fallen() && entry.live().is_none_or(|live| live.is_backup),
        }
    }

    /// Whether `peer` publishes this stream, waits for it or stands by.
    pub fn has_place(&self, key: &StreamKey, peer: PeerId) -> bool {
        self.streams.get(key).is_some_and(|entry| {
            let stage = entry.on_stage().into_iter();
            let mut all = stage.chain(&entry.waiting);
            all.any(|publication| publication.peer == peer)
        })
    }

    /// Ends the publications whose publisher left and whose backup did not come.
    pub(crate) fn expire_left(&mut self, at: Moment) {
        let now = at.now;
        let mut ended = Vec::new();
        for (key, entry) in &mut self.streams {
            let left = entry.publication.as_ref().and_then(|one| one.left);
            if left.is_some_and(|left| now.saturating_duration_since(left) > LEFT_MAX) {
                entry.publication = None;
                entry.idle_since = Some(now);
                ended.push((key.clone(), entry.id));
            }
        }
        for (key, stream) in ended {
            self.collect(&key);
            tracing::info!(space = %key.space, stream = %key.stream, "ended: no backup came");
            self.has_changed(&key.space);
            self.tell(Consequence::Origin(stream, None));
        }
    }
}

impl StreamEntry {
    /// What its backup does.
    pub(crate) fn backup(&self) -> Option<Backup> {
        if self
            .on_stage()
            .is_some_and(|one| one.is_backup && one.since.is_some())
        {
            return Some(Backup::OnAir);
        }
        let mut waiting = self.waiting.iter();
        waiting
            .any(|one| one.is_backup && one.stands_by && !one.is_silent)
            .then_some(Backup::StandsBy)
    }

    fn has_backup(&self) -> bool {
        let mut all = self.publication.iter().chain(&self.waiting);
        all.any(|one| one.is_backup && one.left.is_none())
    }

    /// Whoever publishes it, or is about to. Not who has left.
    pub(crate) fn on_stage(&self) -> Option<&Publication> {
        self.publication.as_ref().filter(|one| one.left.is_none())
    }

    /// Whether a performer fell silent, who has the stage back when it sends again.
    fn has_fallen(&self) -> bool {
        let mut waiting = self.waiting.iter();
        waiting.any(|one| one.stands_by && !one.is_backup)
    }

    /// Whether somebody is about to come on stage when it is empty.
    pub(crate) fn has_standby(&self) -> bool {
        self.waiting.iter().any(|one| one.stands_by)
    }

    /// Whether a claim to the stream can be heard at all.
    ///
    /// # Errors
    /// `Taken`.
    pub(crate) fn check(&self, claim: &Claim<'_>) -> Result<(), Refused> {
        let current = self.on_stage();
        if claim.is_backup {
            if current.is_some_and(|current| current.is_feed) {
                return Err(Refused::Taken);
            }
            // A newer backup of a publisher may replace the older; a camera is one of its own.
            return match !claim.may_wait && self.has_backup() {
                true => Err(Refused::Taken),
                false => Ok(()),
            };
        }
        let is_camera = !claim.may_wait;
        // A camera of the configuration has its place back from whoever stands in for it, but not from a performer who fell silent.
        let is_given_back = is_camera && current.is_some_and(|current| current.is_backup);
        let is_free = current.is_none_or(|current| current.may_be_taken(claim.right));
        match (is_camera && self.has_fallen()) || !(is_given_back || is_free) {
            true => Err(Refused::Taken),
            false => Ok(()),
        }
    }

    /// Whom a new publisher may replace when its media come.
    pub(crate) fn takes_over(&self, claim: &Claim<'_>) -> TakesOver {
        if claim.is_backup {
            return TakesOver::Absent;
        }
        // One that stands by may be on stage before the first packet comes.
        let mut waiting = self.waiting.iter();
        let standby = || waiting.find(|one| one.is_backup && one.stands_by);
        let current = self.on_stage().or_else(standby);
        let owner = match claim.right {
            TakeOver::Always => return TakesOver::Anybody,
            TakeOver::SameOwner(owner) => Some(owner),
            TakeOver::OnlyIfSilent => None,
        };
        let has_right = |current: &&Publication| {
            current.is_nobodys() || owner.is_some() && current.owner.as_ref() == owner
        };
        current
            .filter(has_right)
            .map_or(TakesOver::Silent, |current| TakesOver::Only(current.peer))
    }
}

impl Publication {
    /// A camera that stands in for whoever is away.
    pub(crate) fn is_nobodys(&self) -> bool {
        self.is_backup && self.owner.is_none()
    }
}
