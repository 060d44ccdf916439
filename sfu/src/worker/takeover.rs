//! A new publisher for a stream that has one: it takes the stream over with its first picture, not with its offer.
//!
//! Until then it is a peer that publishes nothing, and nobody notices it: an offer whose media never come ends no show.

use std::time::{Duration, Instant};

use super::Worker;
use crate::api::{CloseReason, Codec, Event, TakesOver};
use crate::id::{PeerId, StreamId};
use crate::packet::MediaPacket;
use crate::peer::{Published, Sections, Waiting};
use crate::rtc::{Mid, Rid};
use crate::stream::{Feed, Publication};

/// Publishers that may wait for one stream; the oldest goes for a fifth. Whoever has the right to one place on a stage cannot take
/// more of the server than that, and a client that tries again and again leaves the others their time to connect.
const WAITING_MAX: usize = 4;

/// A publisher whose sound comes, and no picture, has none to send: its camera is off.
const PICTURE_MAX: Duration = Duration::from_secs(1);

/// A picture without keyframe is waited for so long: OBS and FFmpeg send one in 10 s at most, and may have lost the first.
const KEYFRAME_MAX: Duration = Duration::from_secs(12);

/// Between two requests for it.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// What becomes of a publisher that waits, with a packet.
enum Turn {
    Waits,
    Comes,
    /// Whoever has the stream is not to be replaced by it.
    Refused,
}

impl Worker {
    /// Whether a new publisher has to wait: somebody has the stream, or waits for it already.
    pub(super) fn has_publisher(&self, stream_slot: usize) -> bool {
        let current = self.feed(stream_slot);
        let id = self.streams[stream_slot].as_ref().map(|stream| stream.id);
        matches!(current, Some(Feed::Peer(_) | Feed::Source))
            || id.is_some_and(|id| !self.waiting_for(id).is_empty())
    }

    /// Lets a publisher wait for its media; the oldest of too many goes.
    pub(super) fn let_wait(
        &mut self,
        now: Instant,
        slot: usize,
        stream: StreamId,
        over: TakesOver,
    ) {
        let waiting = self.waiting_for(stream);
        if waiting.len() >= WAITING_MAX
            && let Some(&(_, oldest)) = waiting.first()
        {
            self.stats.waiting_dropped += 1;
            self.close_peer(now, oldest, CloseReason::TakenOver);
        }
        if let Some(peer) = self.peer_mut(slot) {
            peer.waiting = Some(Waiting {
                stream,
                over,
                first: None,
                has_picture: false,
                asked: None,
                is_over: None,
            });
        }
    }

    /// Who waits for a stream, with their slots, the oldest first.
    fn waiting_for(&self, stream: StreamId) -> Vec<(PeerId, usize)> {
        let peers = self.peers.iter().enumerate();
        let mut waiting: Vec<_> = peers
            .filter_map(|(slot, peer)| Some((peer.as_ref()?, slot)))
            .filter(|(peer, _)| {
                let waits =
                    |waiting: &Waiting| waiting.stream == stream && waiting.is_over.is_none();
                peer.waiting.as_ref().is_some_and(waits)
            })
            .map(|(peer, slot)| (peer.id, slot))
            .collect();
        waiting.sort_unstable();
        waiting
    }

    /// A packet of a publisher that waits. Returns whether its turn has come: then the packet is the first of its publication.
    pub(super) fn on_waiting_packet(
        &mut self,
        now: Instant,
        slot: usize,
        (mid, rid): (Mid, Option<Rid>),
        codec: Codec,
        packet: &MediaPacket,
    ) -> bool {
        let turn = self.turn(now, slot, codec, packet);
        match turn {
            Turn::Comes => return self.take_over(now, slot),
            Turn::Refused => {
                if let Some(waiting) = self.peer_mut(slot).and_then(|peer| peer.waiting.as_mut()) {
                    waiting.is_over = Some(CloseReason::TakenOver);
                }
            }
            Turn::Waits if !codec.kind.is_audio() => self.ask_waiting(now, slot, mid, rid),
            Turn::Waits => {}
        }
        self.stats.dropped_waiting += 1;
        false
    }

    fn turn(&mut self, now: Instant, slot: usize, codec: Codec, packet: &MediaPacket) -> Turn {
        let Some(peer) = self.peers.get_mut(slot).and_then(Option::as_mut) else {
            return Turn::Waits;
        };
        let mut sections = peer.rtc.sections().iter();
        let may_have_picture = sections.any(|section| !section.is_audio && section.receives);
        let Some(waiting) = peer
            .waiting
            .as_mut()
            .filter(|waiting| waiting.is_over.is_none())
        else {
            return Turn::Waits;
        };
        if packet.payload.is_empty() {
            // A probe for bandwidth is no media.
            return Turn::Waits;
        }
        let first = *waiting.first.get_or_insert(now);
        waiting.has_picture |= !codec.kind.is_audio();
        let (over, has_picture) = (waiting.over, waiting.has_picture);
        let current = self
            .by_stream
            .get(&waiting.stream)
            .and_then(|slot| self.streams[*slot].as_ref())
            .and_then(|stream| stream.publication.as_ref())
            .filter(|publication| !matches!(publication.feed, Feed::Relay(_)));
        let Some(current) = current else {
            return Turn::Comes;
        };
        if !may_replace(over, current) {
            return Turn::Refused;
        }
        let patience = match has_picture {
            true => KEYFRAME_MAX,
            false => PICTURE_MAX,
        };
        let is_keyframe = packet.inspection.keyframe || packet.inspection.parameters;
        let comes = is_keyframe
            || !may_have_picture
            || current.is_silent
            || now.saturating_duration_since(first) >= patience;
        match comes {
            true => Turn::Comes,
            false => Turn::Waits,
        }
    }

    fn ask_waiting(&mut self, now: Instant, slot: usize, mid: Mid, rid: Option<Rid>) {
        let Some(peer) = self.peer_mut(slot) else {
            return;
        };
        let Some(waiting) = peer.waiting.as_mut() else {
            return;
        };
        let is_recent = |at: Instant| now.saturating_duration_since(at) < ASK_EVERY;
        if waiting.asked.is_some_and(is_recent) {
            return;
        }
        waiting.asked = Some(now);
        peer.rtc.request_keyframe(mid, rid);
        self.stats.keyframes_requested += 1;
        self.mark_dirty(slot);
    }

    /// Gives the stream to peer `slot`. Those who asked for it earlier have been overtaken, too.
    fn take_over(&mut self, now: Instant, slot: usize) -> bool {
        let Some(peer) = self.peer_mut(slot) else {
            return false;
        };
        let id = peer.id;
        let Some(waiting) = peer.waiting.take() else {
            return false;
        };
        let Some(stream_slot) = self.ensure_stream(waiting.stream) else {
            return false;
        };
        self.stats.takeovers += 1;
        self.emit(Event::TookOver {
            stream: waiting.stream,
            peer: id,
        });
        self.begin_publication(now, stream_slot, id, Feed::Peer(slot), &[]);
        if let Some(peer) = self.peer_mut(slot) {
            peer.publishes.push(Published {
                stream: stream_slot,
                sections: Sections::All,
            });
        }
        for (earlier, slot) in self.waiting_for(waiting.stream) {
            if earlier < id
                && let Some(waiting) = self.peer_mut(slot).and_then(|peer| peer.waiting.as_mut())
            {
                waiting.is_over = Some(CloseReason::TakenOver);
            }
        }
        true
    }

    /// Closes a publisher that waits in vain. Returns whether it did.
    pub(super) fn tick_waiting(&mut self, now: Instant, slot: usize) -> bool {
        let Some(peer) = self.peers[slot].as_ref() else {
            return false;
        };
        let Some(waiting) = peer.waiting.as_ref() else {
            return false;
        };
        let is_late = now.saturating_duration_since(peer.created) > crate::CONNECT_MAX;
        let reason = match &waiting.is_over {
            Some(reason) => reason.clone(),
            None if waiting.first.is_none() && is_late => CloseReason::NeverConnected,
            None => return false,
        };
        self.close_peer(now, slot, reason);
        true
    }
}

fn may_replace(over: TakesOver, current: &Publication) -> bool {
    match over {
        TakesOver::Anybody => true,
        TakesOver::Only(peer) => current.publisher == peer || current.is_silent,
        TakesOver::Silent => current.is_silent,
    }
}
