//! One participant as the server knows it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use super::io::{ConnectionId, FeedId, Grant, ParticipantRole, Quality};
use super::permissions::permissions;
use super::protocol::{
    Feed as FeedMessage, Layer, Muted, Participant, Permissions, QualityWord, Source, WatchTrack,
};
use super::session::Session;

/// How long somebody of whom nothing is heard is still there.
pub(super) const ABSENCE_MAX: Duration = Duration::from_secs(30);
/// However long media was gone before, a client whose WebSocket breaks has this long to come back.
const RETURN_MIN: Duration = Duration::from_secs(5);

/// Names a member inside the conference; rises in the order of joining.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct MemberKey(pub(super) u64);

/// One of a member's feeds.
#[derive(Debug, Clone)]
pub(super) struct Feed {
    pub(super) id: FeedId,
    pub(super) audio: Option<String>,
    pub(super) video: Option<String>,
    pub(super) layers: Vec<Layer>,
    pub(super) muted: Muted,
    pub(super) is_music: bool,
    /// The stream of the space that it is.
    pub(super) stream: Option<String>,
    /// Who asked for a name and is told when it cannot be.
    pub(super) naming: Option<MemberKey>,
    /// Which layers are watched, when media said so.
    pub(super) watched: Option<Vec<bool>>,
}

/// One participant.
#[derive(Debug)]
pub(super) struct Member {
    /// As others know it.
    pub(super) id: String,
    pub(super) identity: String,
    pub(super) resume: String,
    pub(super) grant: Grant,
    /// The grant's, until a moderator gives another one.
    pub(super) role: ParticipantRole,
    pub(super) stage: bool,
    pub(super) name: String,
    pub(super) data: Option<String>,
    pub(super) hand: Option<SystemTime>,
    pub(super) joined: SystemTime,
    pub(super) connection: Option<ConnectionId>,
    pub(super) session: Option<Session>,
    pub(super) feeds: BTreeMap<Source, Feed>,
    /// Names of streams that outlive a feed: they come back when it does.
    pub(super) streams: BTreeMap<Source, String>,
    /// What a moderator muted and its owner has not unmuted since: it outlives a reload as well as a second `publish`.
    pub(super) held: BTreeMap<Source, Muted>,
    /// `None`: everybody, in the order of joining.
    pub(super) watch: Option<Vec<WatchTrack>>,
    pub(super) silence: Vec<String>,
    pub(super) role_told: ParticipantRole,
    pub(super) permissions_told: Permissions,
    pub(super) quality: Quality,
    pub(super) quality_told: QualityWord,
    /// Since when media is not heard, if it was ever there.
    pub(super) unreachable_since: Option<Instant>,
    /// When the client last said something.
    pub(super) heard: Instant,
    /// When the last WebSocket was lost.
    pub(super) detached: Instant,
}

impl Member {
    /// Whether its feeds are known to media.
    pub(super) fn is_open(&self) -> bool {
        (self.session.as_ref()).is_some_and(|session| session.is_open)
    }

    /// Whether packets or messages come.
    pub(super) fn is_reachable(&self) -> bool {
        match &self.session {
            Some(session) if session.is_connected => self.unreachable_since.is_none(),
            // Nothing is known of media yet, or there is none.
            _ => self.connection.is_some(),
        }
    }

    /// When it has been away for too long; `None` while it is not away.
    pub(super) fn lost_at(&self) -> Option<Instant> {
        if self.connection.is_some() {
            return None;
        }
        let connected = (self.session.as_ref()).is_some_and(|session| session.is_connected);
        let silent_since = match self.unreachable_since {
            Some(since) => since.max(self.heard),
            None if connected => return None,
            None => self.detached,
        };
        // A dead network is seen by media after two seconds, by the WebSocket after half a minute: the earlier one counts.
        Some((silent_since + ABSENCE_MAX).max(self.detached + RETURN_MIN))
    }

    /// What it may do.
    pub(super) fn permissions(&self, stage_only: bool) -> Permissions {
        permissions(self.role, self.stage, stage_only)
    }

    /// How good its connection is, in a word.
    pub(super) fn quality_word(&self) -> QualityWord {
        if !self.is_reachable() {
            return QualityWord::Lost;
        }
        match self.quality {
            Quality::Good => QualityWord::Good,
            Quality::Fair => QualityWord::Fair,
            Quality::Poor => QualityWord::Poor,
        }
    }

    /// As others see it.
    pub(super) fn to_message(&self) -> Participant {
        let feeds = self.feeds.iter().map(|(source, feed)| FeedMessage {
            source: *source,
            audio: feed.audio.is_some(),
            video: feed.video.is_some(),
            muted: feed.muted,
            music: feed.is_music,
            stream: feed.stream.clone(),
            layers: feed.layers.clone(),
        });
        Participant {
            id: self.id.clone(),
            name: self.name.clone(),
            role: self.role,
            stage: self.stage,
            hand: self.hand.map(timestamp),
            joined: timestamp(self.joined),
            reachable: self.is_reachable(),
            data: self.data.clone(),
            feeds: feeds.collect(),
        }
    }
}

/// RFC 3339 in UTC with milliseconds; the epoch for a clock that is set beyond the year 9999.
fn timestamp(moment: SystemTime) -> String {
    let moment = jiff::Timestamp::try_from(moment).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{moment:.3}")
}
