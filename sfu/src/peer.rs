//! A peer: its connection, what it is for, and for a viewer the two tracks on their way to it.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use crate::api::{CloseReason, Codec, Role, TrackInfo};
use crate::forward::{Forwarder, Outgoing, Selector};
use crate::id::PeerId;
use crate::rtc::{Mid, PayloadTypes, PeerOutput, RtcPeer};

/// One peer of a worker.
pub(crate) struct Peer {
    pub(crate) id: PeerId,
    /// Slot of the stream that it publishes or views.
    pub(crate) stream: usize,
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
    pub(crate) viewer: Viewer,
}

/// What a viewer gets. Empty for a publisher.
#[derive(Debug, Default)]
pub(crate) struct Viewer {
    pub(crate) audio: Option<Leg>,
    pub(crate) video: Option<Leg>,
    pub(crate) selector: Selector,
    /// From transport-wide congestion control, when it was negotiated.
    pub(crate) estimate_bps: Option<u64>,
    pub(crate) desired_bps: u64,
}

/// One m-section that we send in.
#[derive(Debug)]
pub(crate) struct Leg {
    mid: Mid,
    ssrc: u32,
    /// The publication's track that is sent here, and how.
    pub(crate) source: Option<Source>,
    pub(crate) forwarder: Forwarder,
}

/// A track bound to a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) track: usize,
    pub(crate) codec: Codec,
    types: PayloadTypes,
}

impl Leg {
    /// Whether this is the section that a keyframe request for `mid` means.
    pub(crate) fn is(&self, mid: Mid) -> bool {
        self.mid == mid
    }
}

impl Peer {
    pub(crate) fn new(id: PeerId, stream: usize, role: Role, rtc: RtcPeer, now: Instant) -> Self {
        Self {
            id,
            stream,
            role,
            rtc,
            created: now,
            is_connected: false,
            last_seen: now,
            deadline: now,
            queued: None,
            is_dirty: false,
            viewer: Viewer::default(),
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
    pub(crate) fn drain(&mut self, into: &mut VecDeque<PeerOutput>) -> Result<(), CloseReason> {
        self.is_dirty = false;
        self.deadline = self.guarded(|rtc| rtc.poll(into))?;
        Ok(())
    }

    /// Finds the sections that a viewer's tracks will be sent in. Returns whether there is any.
    pub(crate) fn make_legs(&mut self) -> bool {
        let mut legs = [None, None];
        let sections: Vec<_> = self
            .rtc
            .sections()
            .iter()
            .filter(|section| section.sends)
            .map(|section| (section.mid, section.is_audio))
            .collect();
        for (mid, is_audio) in sections {
            let slot = &mut legs[usize::from(!is_audio)];
            if slot.is_none()
                && let Some(ssrc) = self.rtc.sending_ssrc(mid)
            {
                *slot = Some(Leg {
                    mid,
                    ssrc,
                    source: None,
                    forwarder: Forwarder::new(if is_audio { 48_000 } else { 90_000 }),
                });
            }
        }
        [self.viewer.audio, self.viewer.video] = legs;
        self.viewer.audio.is_some() || self.viewer.video.is_some()
    }

    /// Whether any of `tracks` could be sent to this viewer.
    pub(crate) fn can_carry(&self, tracks: &[TrackInfo]) -> bool {
        let carries = |leg: &Option<Leg>, track: &TrackInfo| {
            leg.as_ref()
                .is_some_and(|leg| self.rtc.payload_types(leg.mid, track.codec).is_some())
        };
        let mut video = tracks
            .iter()
            .filter(|track| !track.codec.kind.is_audio())
            .peekable();
        if video.peek().is_some() && self.viewer.video.is_some() {
            // Sound without the picture that was asked for would be a surprise.
            return video.any(|track| carries(&self.viewer.video, track));
        }
        tracks
            .iter()
            .any(|track| match track.codec.kind.is_audio() {
                true => carries(&self.viewer.audio, track),
                false => carries(&self.viewer.video, track),
            })
    }

    /// Binds a leg to the first track of its kind that it can carry; restarts it if that is not what it had.
    pub(crate) fn bind(&mut self, tracks: &[TrackInfo], is_new_publication: bool) {
        for is_audio in [true, false] {
            let leg = if is_audio {
                self.viewer.audio.as_mut()
            } else {
                self.viewer.video.as_mut()
            };
            let Some(leg) = leg else { continue };
            let source = tracks.iter().enumerate().find_map(|(track, info)| {
                let codec = info.codec;
                (codec.kind.is_audio() == is_audio)
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
                    leg.forwarder.reset(source.codec.kind.clock_rate());
                }
            }
        }
    }

    /// Hands one packet to the connection; it leaves when the peer is drained.
    pub(crate) fn send(&mut self, is_audio: bool, outgoing: Outgoing) -> Result<(), CloseReason> {
        let leg = if is_audio {
            &self.viewer.audio
        } else {
            &self.viewer.video
        };
        let Some((ssrc, types)) = leg
            .as_ref()
            .and_then(|leg| leg.source.map(|source| (leg.ssrc, source.types)))
        else {
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
    use crate::rtc::Certificate;

    #[test]
    fn a_panic_in_a_connection_becomes_the_reason_of_its_end() {
        let now = Instant::now();
        let rtc = RtcPeer::new(now, &Certificate::generate(), &[], None);
        let mut peer = Peer::new(PeerId(1), 0, Role::Viewer, rtc, now);
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
