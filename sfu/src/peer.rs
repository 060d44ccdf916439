//! A peer: its connection, what it is for, and the tracks on their way to it.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use payload::{Codec, CodecKind};

use crate::api::{CloseReason, Role};
use crate::conference::{AUDIO_SLOTS_MAX, VIDEO_SLOTS_MAX, Want};
use crate::data::Data;
use crate::forward::{Forwarder, Outgoing, Selector};
use crate::id::PeerId;
use crate::layer_wish::LayerWish;
use crate::rtc::{Mid, PayloadTypes, PeerOutput, RtcPeer};
use crate::seat::Seat;
use crate::slate::Shown;
use crate::standby::Waiting;
use crate::track::TrackInfo;

/// Packets that a pacer lets go in one turn: a large keyframe's. The rest has a turn of its own.
const PACED_MAX: usize = 64;

/// Legs of one peer: every slot, and some whose sections the other side stopped.
const LEGS_MAX: usize = AUDIO_SLOTS_MAX + VIDEO_SLOTS_MAX + 16;

/// One peer of a worker.
pub(crate) struct Peer {
    pub(crate) id: PeerId,
    pub(crate) role: Role,
    pub(crate) rtc: RtcPeer,
    pub(crate) created: Instant,
    pub(crate) is_connected: bool,
    /// When its last datagram came.
    pub(crate) last_seen: Instant,
    /// When str0m wants to be woken.
    pub(crate) deadline: Instant,
    /// The earliest entry for this peer in the worker's heap.
    pub(crate) queued: Option<Instant>,
    /// Packets were written that have not been drained.
    pub(crate) is_dirty: bool,
    /// What it publishes: one stream of a publisher, several of a participant.
    pub(crate) publishes: Vec<Published>,
    /// A publisher whose stream is another one's now.
    pub(crate) waiting: Option<Waiting>,
    /// Slot of the stream that a viewer views.
    pub(crate) views: Option<usize>,
    /// Sections that we send in.
    pub(crate) legs: Vec<Leg>,
    /// From transport-wide congestion control, when it was negotiated.
    pub(crate) estimate_bps: Option<u64>,
    pub(crate) desired_bps: u64,
    /// A participant's place in its conference.
    pub(crate) seat: Option<Box<Seat>>,
    /// A participant's data channels.
    pub(crate) data: Option<Box<Data>>,
}

/// A stream of a peer, and which of its sections it comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Published {
    /// Slot of the stream.
    pub(crate) stream: usize,
    pub(crate) sections: Sections,
}

/// The sections of one published stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sections {
    /// All that the peer has.
    All,
    /// At most one of each kind.
    Named {
        audio: Option<Mid>,
        video: Option<Mid>,
    },
}

impl Sections {
    pub(crate) fn contain(self, mid: Mid) -> bool {
        match self {
            Self::All => true,
            Self::Named { audio, video } => audio == Some(mid) || video == Some(mid),
        }
    }
}

/// One m-section that we send in.
#[derive(Debug)]
pub(crate) struct Leg {
    pub(crate) mid: Mid,
    pub(crate) is_audio: bool,
    ssrc: u32,
    /// Slot of the stream that is sent here.
    pub(crate) stream: Option<usize>,
    /// The publication's track that is sent here, and how.
    pub(crate) source: Option<Source>,
    pub(crate) forwarder: Forwarder,
    /// A viewer's choice of layers.
    pub(crate) selector: Selector,
    /// What a viewer wants of the layers.
    pub(crate) wish: LayerWish,
    /// Why a participant's slot carries its stream.
    pub(crate) want: Option<Want>,
    /// The bandwidth does not carry it.
    pub(crate) is_paused: bool,
    /// A slot that changes hands is silent until then: the participant is told first.
    pub(crate) hold_until: Option<Instant>,
    /// It is sent a slate, until its forwarder has something of its source.
    pub(crate) slate: Option<Shown>,
    /// When the slot was last left; `None` for one that was never used.
    pub(crate) left: Option<Instant>,
}

/// A track bound to a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) track: usize,
    pub(crate) codec: Codec,
    types: PayloadTypes,
}

/// Names a leg of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LegRef {
    /// Slot of the peer.
    pub(crate) peer: usize,
    /// Place in its legs; they are never removed.
    pub(crate) leg: usize,
}

impl Leg {
    fn new(mid: Mid, is_audio: bool, ssrc: u32) -> Self {
        Self {
            mid,
            is_audio,
            ssrc,
            stream: None,
            source: None,
            forwarder: Forwarder::new(if is_audio { 48_000 } else { 90_000 }),
            selector: Selector::default(),
            wish: LayerWish::default(),
            want: None,
            is_paused: false,
            hold_until: None,
            slate: None,
            left: None,
        }
    }

    /// The track that is sent here, unless packets must not leave now.
    pub(crate) fn track(&self) -> Option<usize> {
        self.source
            .filter(|_| !self.is_paused)
            .map(|source| source.track)
    }
}

impl Peer {
    pub(crate) fn new(id: PeerId, role: Role, rtc: RtcPeer, now: Instant) -> Self {
        Self {
            id,
            role,
            rtc,
            created: now,
            is_connected: false,
            last_seen: now,
            deadline: now,
            queued: None,
            is_dirty: false,
            publishes: Vec::new(),
            waiting: None,
            views: None,
            legs: Vec::new(),
            estimate_bps: None,
            desired_bps: 0,
            seat: None,
            data: (role == Role::Participant).then(|| Box::new(Data::new(now))),
        }
    }

    /// Runs `f` on the connection so that a panic in it ends this peer alone.
    pub(crate) fn guarded<R>(
        &mut self,
        f: impl FnOnce(&mut RtcPeer) -> Result<R, String>,
    ) -> Result<R, CloseReason> {
        match catch_unwind(AssertUnwindSafe(|| f(&mut self.rtc))) {
            Ok(result) => result.map_err(CloseReason::Failed),
            Err(panic) => Err(CloseReason::Panicked(panic_message(panic.as_ref()))),
        }
    }

    /// Drains the connection and notes its next deadline.
    pub(crate) fn drain(
        &mut self,
        now: Instant,
        into: &mut VecDeque<PeerOutput>,
    ) -> Result<(), CloseReason> {
        self.is_dirty = false;
        self.deadline = self.guarded(|rtc| rtc.poll(into))?;
        if self.estimate_bps.is_none() {
            return Ok(());
        }
        // A pacer lets one packet go and asks to be woken at once for the next: what it lets go now leaves in one send.
        for _ in 0..PACED_MAX {
            if self.deadline > now {
                break;
            }
            self.guarded(|rtc| rtc.handle_timeout(now))?;
            self.deadline = self.guarded(|rtc| rtc.poll(into))?;
        }
        Ok(())
    }

    /// The stream that section `mid` brings.
    pub(crate) fn stream_of(&self, mid: Mid) -> Option<usize> {
        self.publishes
            .iter()
            .find(|published| published.sections.contain(mid))
            .map(|published| published.stream)
    }

    /// Makes a leg of every section that we may send in and that has none yet. Returns whether there is any.
    pub(crate) fn make_legs(&mut self) -> bool {
        let fresh: Vec<_> = self
            .rtc
            .sections()
            .iter()
            .filter(|section| section.sends)
            .filter(|section| !self.legs.iter().any(|leg| leg.mid == section.mid))
            .map(|section| (section.mid, section.is_audio))
            .collect();
        for (mid, is_audio) in fresh {
            if self.legs.len() >= LEGS_MAX {
                break;
            }
            if let Some(ssrc) = self.rtc.sending_ssrc(mid) {
                self.legs.push(Leg::new(mid, is_audio, ssrc));
            }
        }
        !self.legs.is_empty()
    }

    /// How many legs there are: for sound, for pictures.
    pub(crate) fn count_legs(&self) -> (usize, usize) {
        let sections = self.rtc.sections();
        let alive = |leg: &&Leg| {
            sections
                .iter()
                .any(|section| section.mid == leg.mid && section.sends)
        };
        let alive: Vec<_> = self.legs.iter().filter(alive).collect();
        let audio = alive.iter().filter(|leg| leg.is_audio).count();
        (audio, alive.len() - audio)
    }

    /// The least that the estimator may be told to look for. Its probes send twice that, and what they find is believed, also
    /// downwards: less would make a wide link narrow.
    pub(crate) fn desired_least(&self) -> u64 {
        self.estimate_bps.unwrap_or(0) * 55 / 100
    }

    /// Whether one of `sections` belongs to something that is published already, `but` for one stream.
    pub(crate) fn overlaps(&self, sections: Sections, but: Option<usize>) -> bool {
        let Sections::Named { audio, video } = sections else {
            return !self.publishes.is_empty();
        };
        [audio, video].into_iter().flatten().any(|mid| {
            self.stream_of(mid)
                .is_some_and(|stream| Some(stream) != but)
        })
    }

    /// A viewer's leg for one kind: the first section of that kind.
    pub(crate) fn leg_of_kind(&self, is_audio: bool) -> Option<usize> {
        self.legs.iter().position(|leg| leg.is_audio == is_audio)
    }

    /// Whether any of `tracks` could be sent to this viewer.
    pub(crate) fn can_carry(&self, tracks: &[TrackInfo]) -> bool {
        let carries = |track: &TrackInfo| {
            self.leg_of_kind(track.codec.kind.is_audio())
                .is_some_and(|leg| {
                    self.rtc
                        .payload_types(self.legs[leg].mid, track.codec)
                        .is_some()
                })
        };
        let mut video = tracks
            .iter()
            .filter(|track| !track.codec.kind.is_audio())
            .peekable();
        if video.peek().is_some() && self.leg_of_kind(false).is_some() {
            // Sound without the picture that was asked for would be a surprise.
            return video.any(carries);
        }
        tracks.iter().any(carries)
    }

    /// Binds a leg to the first track of its kind that it can carry; restarts it if that is not what it had.
    pub(crate) fn bind(&mut self, leg: usize, tracks: &[TrackInfo], is_new_publication: bool) {
        let leg = &mut self.legs[leg];
        let source = tracks.iter().enumerate().find_map(|(track, info)| {
            let codec = info.codec;
            (codec.kind.is_audio() == leg.is_audio)
                .then(|| self.rtc.payload_types(leg.mid, codec))
                .flatten()
                .map(|types| Source {
                    track,
                    codec,
                    types,
                })
        });
        if is_new_publication || leg.source != source {
            leg.source = source;
            if let Some(source) = source {
                let is_av1 = source.codec.kind == CodecKind::Av1;
                let can_follow = !is_av1 || self.rtc.has_dependencies(leg.mid);
                leg.forwarder.follow_av1_layers(can_follow);
                leg.forwarder.reset(source.codec.kind.clock_rate());
            }
        }
    }

    /// Hands one packet to the connection; it leaves when the peer is drained.
    pub(crate) fn send(&mut self, leg: usize, outgoing: Outgoing) -> Result<(), CloseReason> {
        match self.legs.get(leg).and_then(|leg| leg.source) {
            Some(source) => self.send_as(leg, source.types, outgoing),
            None => Ok(()),
        }
    }

    /// The same under other payload types than those of the leg's source.
    pub(crate) fn send_as(
        &mut self,
        leg: usize,
        types: PayloadTypes,
        outgoing: Outgoing,
    ) -> Result<(), CloseReason> {
        let Some((ssrc, is_audio)) = self.legs.get(leg).map(|leg| (leg.ssrc, leg.is_audio)) else {
            return Ok(());
        };
        self.is_dirty = true;
        self.guarded(|rtc| {
            rtc.write(ssrc, types, !is_audio, outgoing);
            Ok(())
        })
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".into())
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "an epoch for virtual time")]
mod tests {
    use super::*;
    use crate::rtc::{Certificate, Use};

    #[test]
    fn a_panic_in_a_connection_becomes_the_reason_of_its_end() {
        let now = Instant::now();
        let rtc = RtcPeer::new(now, &Certificate::generate(), &[], None, Use::Viewer);
        let mut peer = Peer::new(PeerId(1), Role::Viewer, rtc, now);
        let ended = peer.guarded::<()>(|_| panic!("a broken invariant of track {}", 7));
        assert_eq!(
            ended,
            Err(CloseReason::Panicked(
                "a broken invariant of track 7".into()
            ))
        );
        let failed = peer.guarded::<()>(|_| Err("no more keys".into()));
        assert_eq!(failed, Err(CloseReason::Failed("no more keys".into())));
        assert_eq!(peer.guarded(|_| Ok(1)), Ok(1));
    }
}
