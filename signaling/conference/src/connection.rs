//! One WebSocket, before and after its client joined.

use std::time::{Duration, Instant};

use allowance::Allowance;

use super::member::MemberKey;
use super::protocol::Join;

/// How long a client may take for its `join`, and its token to be checked.
pub(super) const JOIN_MAX: Duration = Duration::from_secs(10);
/// Candidates that are kept until there is a session for them: a host with eight addresses has 16 to 32.
pub(super) const EARLY_CANDIDATES_MAX: usize = 64;
/// Faults after which a client is not worth an answer.
pub(super) const FAULTS_MAX: u32 = 32;
/// Dropped messages after which a client is closed: five times the burst.
pub(super) const DROPPED_MAX: u32 = 500;

/// Messages at once, and one more each: a page that joins sends 10 to 60, most of them candidates.
const TEXTS: (u32, Duration) = (100, Duration::from_millis(50));
/// Messages with SDP at once, and one more each: they cost the media threads milliseconds.
const OFFERS: (u32, Duration) = (10, Duration::from_secs(1));

/// How far a client has come.
#[derive(Debug)]
pub(super) enum Stage {
    /// Nothing of use was said.
    Waiting {
        /// Until when.
        deadline: Instant,
    },
    /// Its token is being checked.
    Verifying {
        /// Until when.
        deadline: Instant,
        /// What it said.
        join: Box<Join>,
    },
    /// It is the voice of a member.
    Joined(MemberKey),
}

/// One WebSocket.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) random: [u8; 32],
    pub(super) stage: Stage,
    /// All that can change presence up to this change is known to the client.
    pub(super) seen: u64,
    /// Trickled before there was a session.
    pub(super) early: Vec<String>,
    pub(super) texts: Allowance,
    pub(super) offers: Allowance,
    /// Texts that could not be read.
    pub(super) faults: u32,
    /// Texts that were too many.
    pub(super) dropped: u32,
    /// When it was last told so.
    pub(super) told_too_fast: Option<Instant>,
}

impl Connection {
    pub(super) fn new(random: [u8; 32], now: Instant) -> Self {
        Self {
            random,
            stage: Stage::Waiting {
                deadline: now + JOIN_MAX,
            },
            seen: 0,
            early: Vec::new(),
            texts: Allowance::new(TEXTS.0, TEXTS.1, now),
            offers: Allowance::new(OFFERS.0, OFFERS.1, now),
            faults: 0,
            dropped: 0,
            told_too_fast: None,
        }
    }

    /// Whose voice it is.
    pub(super) fn member(&self) -> Option<MemberKey> {
        match self.stage {
            Stage::Joined(member) => Some(member),
            Stage::Waiting { .. } | Stage::Verifying { .. } => None,
        }
    }

    /// When it is closed if nothing happens.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::Waiting { deadline } | Stage::Verifying { deadline, .. } => Some(deadline),
            Stage::Joined(_) => None,
        }
    }
}
