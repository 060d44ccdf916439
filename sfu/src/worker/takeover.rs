//! A new publisher for a stream that has one: it takes the stream over with its first picture, not with its offer. And a
//! backup: it stands by, has the stage while nobody else sends, and gives it back.
//!
//! Until then each is a publisher that publishes nothing, and nobody notices it: an offer whose media never come ends no show.

use std::time::{Duration, Instant};

use payload::Codec;

use super::Worker;
use crate::api::{CloseReason, Event, TakesOver};
use crate::id::{PeerId, StreamId};
use crate::packet::MediaPacket;
use crate::peer::{Published, Sections};
use crate::rtc::{Mid, Rid};
use crate::standby::{Held, Seen, Turn, Waiting, WaitingSource};
use crate::stream::{Feed, Publication};

/// Publishers that may wait for one stream; the oldest goes for a fifth. Whoever has the right to one place on a stage cannot take
/// more of the server than that, and a client that tries again and again leaves the others their time to connect.
const WAITING_MAX: usize = 4;

/// Backups of one stream: one that sends, and one that is about to take its place.
const BACKUPS_MAX: usize = 2;

impl Worker {
    /// Whether a new publisher has to wait: somebody has the stream, or waits for it already.
    pub(super) fn has_publisher(&self, stream_slot: usize) -> bool {
        let current = self.feed(stream_slot);
        let stream = self.streams[stream_slot].as_ref();
        let waits = |id| !self.waiting_for(id).is_empty();
        matches!(current, Some(Feed::Peer(_) | Feed::Source))
            || stream.is_some_and(|stream| waits(stream.id) || !stream.sources.is_empty())
    }

    /// Lets a publisher wait for its media; the oldest of too many goes.
    pub(super) fn let_wait(
        &mut self,
        now: Instant,
        slot: usize,
        stream: StreamId,
        over: TakesOver,
    ) {
        let is_backup = over == TakesOver::Absent;
        let rivals = self.waiting_for(stream).into_iter().filter(|&(_, slot)| {
            self.waiting(slot).is_some_and(|waiting| match is_backup {
                true => waiting.is_backup(),
                false => !waiting.stands_by(),
            })
        });
        let rivals: Vec<_> = rivals.collect();
        let most = if is_backup { BACKUPS_MAX } else { WAITING_MAX };
        if rivals.len() >= most {
            // A backup that sends is not to go for one that never will.
            let sends = |slot| self.waiting(slot).is_some_and(|one| one.first.is_some());
            let goes = rivals.iter().find(|(_, slot)| !is_backup || !sends(*slot));
            if let Some(&(_, oldest)) = goes.or(rivals.first()) {
                self.stats.waiting_dropped += 1;
                self.close_peer(now, oldest, CloseReason::TakenOver);
            }
        }
        if let Some(peer) = self.peer_mut(slot) {
            peer.waiting = Some(Waiting::new(now, stream, over));
        }
    }

    fn waiting(&self, slot: usize) -> Option<&Waiting> {
        self.peers.get(slot)?.as_ref()?.waiting.as_ref()
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

    /// A packet of a publisher that waits. When its turn has come the packet is the first of its publication, and what is returned
    /// follows it: packets that overtook it.
    pub(super) fn on_waiting_packet(
        &mut self,
        now: Instant,
        slot: usize,
        (mid, rid): (Mid, Option<Rid>),
        codec: Codec,
        packet: &MediaPacket,
    ) -> Option<Vec<Held>> {
        let turn = self.turn(now, slot, codec, packet);
        match turn {
            Turn::Comes => {
                let waiting = self.peer_mut(slot).and_then(|peer| peer.waiting.as_mut());
                let held = waiting.map(|one| one.take_held(mid, rid, packet.sequence));
                return self.take_over(now, slot).then(|| held.unwrap_or_default());
            }
            Turn::Refused => {
                if let Some(waiting) = self.peer_mut(slot).and_then(|peer| peer.waiting.as_mut()) {
                    waiting.is_over = Some(CloseReason::TakenOver);
                }
            }
            Turn::Waits { asks } if !codec.kind.is_audio() => {
                if asks {
                    self.ask_waiting(now, slot, mid, rid);
                }
                if let Some(waiting) = self.peer_mut(slot).and_then(|peer| peer.waiting.as_mut())
                    && waiting.is_due()
                {
                    let packet = packet.clone();
                    waiting.hold(Held {
                        mid,
                        rid,
                        codec,
                        packet,
                    });
                }
            }
            Turn::Waits { .. } => {}
        }
        match self.waiting(slot).is_some_and(Waiting::stands_by) {
            true => self.stats.dropped_standby += 1,
            false => self.stats.dropped_waiting += 1,
        }
        None
    }

    fn turn(&mut self, now: Instant, slot: usize, codec: Codec, packet: &MediaPacket) -> Turn {
        let waits = Turn::Waits { asks: false };
        let Some(peer) = self.peers.get_mut(slot).and_then(Option::as_mut) else {
            return waits;
        };
        let mut sections = peer.rtc.sections().iter();
        let may_have_picture = sections.any(|section| !section.is_audio && section.receives);
        let Some(waiting) = peer.waiting.as_mut() else {
            return waits;
        };
        if packet.payload.is_empty() {
            // A probe for bandwidth is no media.
            return waits;
        }
        let is_first = waiting.first.is_none();
        let stream = waiting.stream;
        let current = self
            .by_stream
            .get(&stream)
            .and_then(|slot| self.streams[*slot].as_ref())
            .and_then(|stream| stream.publication.as_ref())
            .filter(|publication| !matches!(publication.feed, Feed::Relay(_)));
        let seen = Seen {
            is_audio: codec.kind.is_audio(),
            is_keyframe: packet.inspection.keyframe || packet.inspection.parameters,
            may_have_picture,
        };
        let turn = waiting.turn(now, current, seen);
        let (id, is_new_backup) = (
            peer.id,
            is_first && waiting.first.is_some() && waiting.is_backup(),
        );
        if is_new_backup {
            self.begin_standby(stream, id);
        }
        turn
    }

    /// Media come from a new backup: it takes the place of the one before.
    fn begin_standby(&mut self, stream: StreamId, id: PeerId) {
        self.emit(Event::StandsBy { stream, peer: id });
        self.end_waiting(stream, |waiting, peer| waiting.is_backup() && peer < id);
    }

    /// Ends the wait of some publishers: another one has come in their place.
    pub(super) fn end_waiting(
        &mut self,
        stream: StreamId,
        ends: impl Fn(&Waiting, PeerId) -> bool,
    ) {
        for (id, slot) in self.waiting_for(stream) {
            if let Some(waiting) = self.peer_mut(slot).and_then(|peer| peer.waiting.as_mut())
                && ends(waiting, id)
            {
                waiting.is_over = Some(CloseReason::TakenOver);
            }
        }
        let Some(slot) = self.stream_slot(stream) else {
            return;
        };
        let mut ended = Vec::new();
        if let Some(stream) = self.stream_mut(slot) {
            stream.sources.retain(|source| {
                let is_over = ends(&source.waiting, source.peer);
                ended.extend(is_over.then_some(source.peer));
                !is_over
            });
        }
        for peer in ended {
            self.emit(Event::Ended { stream, peer });
        }
    }

    fn ask_waiting(&mut self, now: Instant, slot: usize, mid: Mid, rid: Option<Rid>) {
        let Some(peer) = self.peer_mut(slot) else {
            return;
        };
        let Some(waiting) = peer.waiting.as_mut() else {
            return;
        };
        waiting.on_asked(now);
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
        self.give_stage(now, stream_slot, id, Feed::Peer(slot), &[], &waiting);
        if let Some(peer) = self.peer_mut(slot) {
            peer.publishes.push(Published {
                stream: stream_slot,
                sections: Sections::All,
            });
        }
        true
    }

    /// Gives the stream to `id`; whoever has it stands by from now on, or goes.
    pub(super) fn give_stage(
        &mut self,
        now: Instant,
        stream_slot: usize,
        id: PeerId,
        feed: Feed,
        tracks: &[Codec],
        waiting: &Waiting,
    ) {
        let (stream, is_backup) = (waiting.stream, waiting.is_backup());
        let current = self
            .publication(stream_slot)
            .filter(|current| !matches!(current.feed, Feed::Relay(_)))
            .map(|current| (current.feed, current.is_backup));
        let stays = current.filter(|(_, was_backup)| *was_backup != is_backup);
        self.stats.takeovers += 1;
        self.stats.backups_on += u64::from(is_backup);
        self.stats.backups_off += u64::from(stays.is_some() && !is_backup);
        self.emit(Event::TookOver {
            stream,
            peer: id,
            stays: stays.is_some(),
        });
        if let Some((previous, _)) = stays {
            self.stand_down(now, stream_slot, previous);
        }
        self.begin_publication(now, stream_slot, id, feed, tracks, is_backup);
        if let Some(publication) = self
            .stream_mut(stream_slot)
            .and_then(|stream| stream.publication.as_mut())
        {
            publication.falls = waiting.falls();
        }
        self.end_waiting(stream, |other, peer| {
            other.is_backup() == is_backup && peer < id && !waiting.stands_by()
        });
    }

    /// Takes the stage from whoever has it, without an end: it stands by.
    fn stand_down(&mut self, now: Instant, stream_slot: usize, previous: Feed) {
        let Some((stream, left)) = self.withdraw(stream_slot, previous) else {
            return;
        };
        let waiting = Waiting::after(now, stream, &left);
        match previous {
            Feed::Peer(slot) => {
                if let Some(peer) = self.peer_mut(slot) {
                    peer.publishes
                        .retain(|published| published.stream != stream_slot);
                    peer.waiting = Some(waiting);
                }
            }
            Feed::Source => self.add_source(stream_slot, &left, waiting),
            Feed::Relay(_) => {}
        }
        if left.is_backup {
            self.keep_newest_backup(stream);
        }
    }

    /// One backup that sends is enough: a newer one may have come while the older was on stage.
    fn keep_newest_backup(&mut self, stream: StreamId) {
        let sends = |waiting: &Waiting| waiting.is_backup() && waiting.first.is_some();
        let waiting = self.waiting_for(stream).into_iter();
        let peers = waiting.filter(|&(_, slot)| self.waiting(slot).is_some_and(sends));
        let slot = self.stream_slot(stream);
        let known = slot.and_then(|slot| self.streams[slot].as_ref());
        let sources = known.iter().flat_map(|known| &known.sources);
        let sources = sources.filter(|source| sends(&source.waiting));
        let all = peers.map(|(id, _)| id);
        let newest = all.chain(sources.map(|source| source.peer)).max();
        if let Some(newest) = newest {
            self.end_waiting(stream, |waiting, id| waiting.is_backup() && id < newest);
        }
    }

    fn add_source(&mut self, stream_slot: usize, left: &Publication, waiting: Waiting) {
        let tracks = left.tracks.iter().map(|track| track.codec).collect();
        if let Some(stream) = self.stream_mut(stream_slot) {
            stream.sources.push(WaitingSource {
                peer: left.publisher,
                tracks,
                waiting,
            });
        }
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

    /// Counts who stands by, and tells who of them sends nothing, and who sends again: whoever relies on a backup has to know.
    pub(super) fn tick_standbys(&mut self, now: Instant, silent_after: Duration) {
        let (mut standing_by, mut news) = (0, Vec::new());
        let mut look = |waiting: &mut Waiting, peer| {
            standing_by += u64::from(waiting.stands_by());
            let silent = waiting.news(now, silent_after);
            news.extend(silent.map(|silent| (waiting.stream, peer, silent)));
        };
        for peer in self.peers.iter_mut().flatten() {
            if let Some(waiting) = peer.waiting.as_mut() {
                look(waiting, peer.id);
            }
        }
        for stream in self.streams.iter_mut().flatten() {
            for source in &mut stream.sources {
                look(&mut source.waiting, source.peer);
            }
        }
        self.stats.standing_by = standing_by;
        for (stream, peer, silent) in news {
            self.emit(Event::Silent {
                stream,
                peer,
                silent,
            });
        }
    }
}
