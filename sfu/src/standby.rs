//! A publisher without the stage: it waits to take it over, or stands by for whoever has it.
//!
//! Whose turn it is, is decided with each of its packets. Nothing of them is kept while somebody else is to be seen; what came of a
//! keyframe whose first packet is still to be repaired is.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use payload::Codec;

use crate::api::{CloseReason, TakesOver};
use crate::id::{PeerId, StreamId};
use crate::packet::MediaPacket;
use crate::rtc::{Mid, Rid};
use crate::stream::{Presence, Publication};

/// A publisher whose sound comes, and no picture, has none to send: its camera is off.
const PICTURE_MAX: Duration = Duration::from_secs(1);

/// A picture without keyframe is waited for so long: OBS and FFmpeg send one in 10 s at most, and may have lost the first.
const KEYFRAME_MAX: Duration = Duration::from_secs(12);

/// Between two requests for it, while somebody else is to be seen.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// The same while nobody is: a request may be lost, and the second is short.
const ASK_URGENTLY_EVERY: Duration = Duration::from_millis(250);

/// A publisher that fell silent has its stage back after so long without another absence.
const STEADY_MIN: Duration = Duration::from_secs(2);

/// Each time that it falls again soon doubles that, so many times: 32 s.
const DOUBLINGS_MAX: u32 = 4;

/// Who had the stage for so long does not fall *again*.
const HELD_MIN: Duration = Duration::from_secs(60);

/// Packets of pictures that are held of one whose turn has come: a large keyframe's, 300 kB.
const HELD_MAX: usize = 256;

/// What becomes of a publisher without the stage, with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    Waits {
        /// It is to be asked for a keyframe, if the packet is one of a picture.
        asks: bool,
    },
    Comes,
    /// Whoever has the stream is not to be replaced by it.
    Refused,
}

/// A packet, as far as it decides anything.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) is_audio: bool,
    /// It begins a picture that stands for itself.
    pub(crate) is_keyframe: bool,
    /// Whether its publisher could send a picture.
    pub(crate) may_have_picture: bool,
}

/// A packet that came before the first one of its picture.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) mid: Mid,
    pub(crate) rid: Option<Rid>,
    pub(crate) codec: Codec,
    pub(crate) packet: MediaPacket,
}

/// A publisher that takes a stream over when its turn comes.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) stream: StreamId,
    pub(crate) over: TakesOver,
    /// When its first packet came.
    pub(crate) first: Option<Instant>,
    /// Why it waits in vain.
    pub(crate) is_over: Option<CloseReason>,
    /// How often it fell silent lately, if it had the stage and lost it so.
    falls: Option<u32>,
    /// Whether a packet of a picture came.
    has_picture: bool,
    /// When it was last asked for a keyframe.
    asked: Option<Instant>,
    /// Since when its turn has come but for a keyframe.
    due: Option<Instant>,
    /// What came of pictures since then.
    held: VecDeque<Held>,
    presence: Presence,
    /// Since when it has not been away; `None` before its first packet.
    steady: Option<Instant>,
    /// What was told last.
    is_silent: bool,
}

/// A publisher without WebRTC that waits or stands by.
#[derive(Debug)]
pub(crate) struct WaitingSource {
    pub(crate) peer: PeerId,
    pub(crate) tracks: Vec<Codec>,
    pub(crate) waiting: Waiting,
}

impl Waiting {
    pub(crate) fn new(now: Instant, stream: StreamId, over: TakesOver) -> Self {
        Self {
            stream,
            over,
            first: None,
            is_over: None,
            falls: None,
            has_picture: false,
            asked: None,
            due: None,
            held: VecDeque::new(),
            presence: Presence::new(now),
            steady: None,
            is_silent: false,
        }
    }

    /// Whoever had the stage until now, and stands by from now on.
    pub(crate) fn after(now: Instant, stream: StreamId, left: &Publication) -> Self {
        let over = match left.is_backup {
            true => TakesOver::Absent,
            false => TakesOver::Anybody,
        };
        let held = now.saturating_duration_since(left.since);
        let falls = if held >= HELD_MIN { 0 } else { left.falls };
        Self {
            first: (!left.tracks.is_empty()).then_some(left.since),
            // Who never sent is new: it has the stage with its first picture.
            falls: (!left.is_backup && !left.tracks.is_empty()).then_some(falls),
            has_picture: left.video_layers() > 0,
            ..Self::new(now, stream, over)
        }
    }

    pub(crate) fn is_backup(&self) -> bool {
        self.over == TakesOver::Absent
    }

    /// Whether it stays for as long as it is connected: a backup, or whoever fell silent.
    pub(crate) fn stands_by(&self) -> bool {
        self.is_backup() || self.falls.is_some()
    }

    /// Whether it fell silent or sends again since this was asked last, if it has sent and stands by.
    pub(crate) fn news(&mut self, now: Instant, silent_after: Duration) -> Option<bool> {
        let is_silent = self.presence.quiet_for(now) > silent_after;
        let is_news = self.first.is_some() && self.stands_by() && is_silent != self.is_silent;
        self.is_silent = is_silent;
        is_news.then_some(is_silent)
    }

    /// How often it has fallen when it is back on stage.
    pub(crate) fn falls(&self) -> u32 {
        self.falls.map_or(0, |falls| falls + 1)
    }

    /// What becomes of it with a packet, while `current` has the stage.
    pub(crate) fn turn(&mut self, now: Instant, current: Option<&Publication>, seen: Seen) -> Turn {
        if self.is_over.is_some() {
            return Turn::Waits { asks: false };
        }
        let steady = match self.steady {
            Some(steady) if !self.presence.is_away(now) => steady,
            _ => {
                // What was before says nothing about what is usual now.
                self.presence = Presence::new(now);
                *self.steady.insert(now)
            }
        };
        self.presence.hear(now, seen.is_audio);
        let first = *self.first.get_or_insert(now);
        self.has_picture |= !seen.is_audio;
        let is_below = self.is_backup() && current.is_none_or(|current| !current.is_backup);
        if is_below || self.falls.is_some() {
            return self.turn_of_standby(now, steady, current, seen);
        }
        let Some(current) = current else {
            return Turn::Comes;
        };
        if !may_replace(self.over, current) {
            return Turn::Refused;
        }
        self.due.get_or_insert(now);
        let comes = current.is_silent || self.has_waited(now, first, seen);
        self.comes_or_asks(now, comes, ASK_EVERY)
    }

    fn turn_of_standby(
        &mut self,
        now: Instant,
        steady: Instant,
        current: Option<&Publication>,
        seen: Seen,
    ) -> Turn {
        if self.falls.is_some() && current.is_some_and(|current| !current.is_backup) {
            // Another one has its place by right.
            return Turn::Refused;
        }
        let is_empty = current.is_none_or(|current| current.presence.is_away(now));
        let is_due = is_empty
            || self
                .falls
                .is_some_and(|falls| now.saturating_duration_since(steady) >= steady_min(falls));
        if !is_due {
            self.due = None;
            self.held.clear();
            return Turn::Waits { asks: false };
        }
        let due = *self.due.get_or_insert(now);
        let comes = self.has_waited(now, due, seen);
        let every = match is_empty {
            true => ASK_URGENTLY_EVERY,
            false => ASK_EVERY,
        };
        self.comes_or_asks(now, comes, every)
    }

    /// Whether a publisher whose turn it is since `since` begins with this packet.
    fn has_waited(&self, now: Instant, since: Instant, seen: Seen) -> bool {
        let patience = match self.has_picture {
            true => KEYFRAME_MAX,
            false => PICTURE_MAX,
        };
        seen.is_keyframe
            || !seen.may_have_picture
            || now.saturating_duration_since(since) >= patience
    }

    fn comes_or_asks(&self, now: Instant, comes: bool, every: Duration) -> Turn {
        if comes {
            return Turn::Comes;
        }
        let is_recent = |at: Instant| now.saturating_duration_since(at) < every;
        Turn::Waits {
            asks: !self.asked.is_some_and(is_recent),
        }
    }

    /// Whether all that is waited for is the begin of a picture.
    pub(crate) fn is_due(&self) -> bool {
        self.due.is_some()
    }

    /// Keeps a packet of a picture whose begin is waited for.
    pub(crate) fn hold(&mut self, held: Held) {
        if self.held.len() == HELD_MAX {
            self.held.pop_front();
        }
        self.held.push_back(held);
    }

    /// What follows the packet with this number in its layer, in order.
    pub(crate) fn take_held(&mut self, mid: Mid, rid: Option<Rid>, sequence: u64) -> Vec<Held> {
        let follows =
            |held: &Held| held.mid == mid && held.rid == rid && held.packet.sequence > sequence;
        let mut held: Vec<_> = self.held.drain(..).filter(follows).collect();
        held.sort_by_key(|held| held.packet.sequence);
        held
    }

    /// It was asked for a keyframe.
    pub(crate) fn on_asked(&mut self, now: Instant) {
        self.asked = Some(now);
    }
}

fn steady_min(falls: u32) -> Duration {
    STEADY_MIN * 2_u32.pow(falls.min(DOUBLINGS_MAX))
}

fn may_replace(over: TakesOver, current: &Publication) -> bool {
    match over {
        TakesOver::Anybody | TakesOver::Absent => true,
        // A backup has the same right as whom it stands in for.
        TakesOver::Only(peer) => {
            current.publisher == peer || current.is_silent || current.is_backup
        }
        TakesOver::Silent => current.is_silent,
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "an epoch for virtual time")]
mod tests;
