//! Commands of the shell.

use std::time::Instant;

use payload::Codec;

use super::Worker;
use crate::api::{CloseReason, Command, Output, Refusal, Reply, Role, TakesOver};
use crate::id::{PeerId, RequestId, StreamId, WorkerId};
use crate::peer::{Peer, Published, Sections};
use crate::rtc::{RtcPeer, Use, count_sections, payload_conflict};
use crate::stream::{Feed, Publication, TRACKS_MAX, Track};
use crate::track::TrackInfo;

/// Sections of an offer that are looked at; a browser's conference of thirty people would have sixty, a stream has two.
const SECTIONS_MAX: usize = 8;

/// Where a viewer's bandwidth estimate starts: enough for a 720p layer, little enough for most links.
pub(super) const ESTIMATE_START_BPS: u64 = 2_500_000;

impl Worker {
    pub(super) fn on_command(&mut self, now: Instant, command: Command) {
        match command {
            Command::Accept {
                request,
                peer,
                stream,
                role,
                offer,
                tracks,
                origin,
                takes_over,
            } => {
                let result = match role {
                    Role::Publisher => self.accept_publisher(now, peer, stream, &offer, takes_over),
                    Role::Viewer => self.accept_viewer(now, peer, stream, &offer, &tracks, origin),
                    Role::Participant => Err(not_a_stream()),
                };
                self.reply(request, result.map(Reply::Sdp));
            }
            Command::Offer {
                request,
                peer,
                stream,
                tracks,
                origin,
            } => {
                let result = self.offer_viewer(now, peer, stream, &tracks, origin);
                self.reply(request, result.map(Reply::Sdp));
            }
            Command::Answer {
                request,
                peer,
                answer,
            } => {
                let result = self.take_answer(now, peer, &answer);
                self.reply(request, result.map(|()| Reply::Done));
            }
            Command::AddCandidates {
                request,
                peer,
                candidates,
            } => {
                let result = self.add_candidates(now, peer, &candidates);
                self.reply(request, result.map(|()| Reply::Done));
            }
            Command::RestartIce {
                request,
                peer,
                ufrag,
                pwd,
                candidates,
            } => {
                let result = self.restart_ice(now, peer, &ufrag, &pwd, &candidates);
                self.reply(request, result);
            }
            Command::Close { peer } => self.close(now, peer),
            Command::OpenSource {
                stream,
                peer,
                tracks,
                is_backup,
            } => self.open_source(now, stream, peer, &tracks, is_backup),
            Command::SetOrigin { stream, origin } => self.set_origin(stream, origin),
            Command::Forget { stream } => self.forget(now, stream),
            other => self.on_layer_command(now, other),
        }
    }

    fn set_origin(&mut self, stream: StreamId, origin: Option<WorkerId>) {
        if let Some(slot) = self.stream_slot(stream)
            && let Some(stream) = self.stream_mut(slot)
        {
            stream.origin = origin;
            self.follow_origin(slot);
        }
    }

    pub(super) fn reply(&mut self, request: RequestId, result: Result<Reply, Refusal>) {
        self.outputs.push_back(Output::Reply { request, result });
    }

    /// A slot for a new peer, with its connection in it but nothing else.
    pub(super) fn add_peer(
        &mut self,
        now: Instant,
        id: PeerId,
        role: Role,
        estimate_bps: Option<u64>,
    ) -> Result<usize, Refusal> {
        if self.by_id.len() >= self.config.peers_max {
            return Err(Refusal::Full("it has as many sessions as it may have"));
        }
        let mut rtc = RtcPeer::new(
            now,
            &self.config.certificate,
            &self.config.candidates,
            estimate_bps,
            match role {
                Role::Publisher => Use::Publisher,
                Role::Viewer => Use::Viewer,
                Role::Participant => Use::Participant,
            },
        );
        let (ufrag, pwd) = rtc.credentials();
        let mut peer = Peer::new(id, role, rtc, now);
        peer.estimate_bps = estimate_bps;
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.peers.push(None);
                self.peers.len() - 1
            }
        };
        self.peers[slot] = Some(peer);
        self.by_id.insert(id, slot);
        self.demux.insert(slot, ufrag, pwd);
        match role {
            Role::Publisher => self.stats.publishers += 1,
            Role::Viewer => self.stats.viewers += 1,
            Role::Participant => self.stats.participants += 1,
        }
        Ok(slot)
    }

    /// Undoes [`Self::add_peer`] for a peer that was never accepted.
    pub(super) fn discard_peer(&mut self, slot: usize) {
        let Some(peer) = self.peers.get_mut(slot).and_then(Option::take) else {
            return;
        };
        self.demux.remove(slot);
        self.by_id.remove(&peer.id);
        self.free.push(slot);
        match peer.role {
            Role::Publisher => self.stats.publishers -= 1,
            Role::Viewer => self.stats.viewers -= 1,
            Role::Participant => self.stats.participants -= 1,
        }
    }

    /// Runs the negotiation of a fresh peer and lets go of it when that fails.
    pub(super) fn negotiate(
        &mut self,
        now: Instant,
        slot: usize,
        f: impl FnOnce(&mut RtcPeer) -> Result<String, Refusal>,
    ) -> Result<String, Refusal> {
        let result = match self.peer_mut(slot) {
            Some(peer) => peer
                .guarded(|rtc| Ok(f(rtc)))
                .unwrap_or_else(|reason| Err(Refusal::NotAcceptable(format!("{reason:?}")))),
            None => Err(Refusal::UnknownPeer),
        };
        match result {
            Ok(sdp) => {
                self.drain(now, slot);
                Ok(sdp)
            }
            Err(refusal) => {
                self.discard_peer(slot);
                Err(refusal)
            }
        }
    }

    fn check_offer(offer: &str) -> Result<(), Refusal> {
        match count_sections(offer) {
            0 => Err(Refusal::Malformed("it has no m= line".into())),
            1..=SECTIONS_MAX => Self::check_payloads(offer),
            many => Err(Refusal::NotAcceptable(format!(
                "it has {many} media sections; offer at most {SECTIONS_MAX}"
            ))),
        }
    }

    pub(super) fn check_payloads(description: &str) -> Result<(), Refusal> {
        payload_conflict(description).map_or(Ok(()), |number| {
            Err(Refusal::NotAcceptable(format!(
                "payload type {number} means one codec in one place and another one elsewhere; give each codec a number of its own (RFC 9143 section 9.2)"
            )))
        })
    }

    fn accept_publisher(
        &mut self,
        now: Instant,
        id: PeerId,
        stream: StreamId,
        offer: &str,
        takes_over: TakesOver,
    ) -> Result<String, Refusal> {
        Self::check_offer(offer)?;
        let stream_slot = self
            .ensure_stream(stream)
            .ok_or(Refusal::Full("it has as many streams as it may have"))?;
        let slot = self.add_peer(now, id, Role::Publisher, None)?;
        let answer = self.negotiate(now, slot, |rtc| rtc.accept_offer(offer))?;
        let usable = self
            .peer_mut(slot)
            .is_some_and(|peer| peer.rtc.sections().iter().any(|section| section.receives));
        if !usable {
            self.discard_peer(slot);
            return Err(Refusal::NotAcceptable(
                "offer audio or video to send, as Opus, G.711, H.264, VP8, VP9 or AV1".into(),
            ));
        }
        if self.has_publisher(stream_slot) {
            self.let_wait(now, slot, stream, takes_over);
            return Ok(answer);
        }
        let is_backup = takes_over == TakesOver::Absent;
        self.begin_publication(now, stream_slot, id, Feed::Peer(slot), &[], is_backup);
        if let Some(peer) = self.peer_mut(slot) {
            peer.publishes.push(Published {
                stream: stream_slot,
                sections: Sections::All,
            });
        }
        Ok(answer)
    }

    /// Replaces whoever published before.
    pub(super) fn begin_publication(
        &mut self,
        now: Instant,
        stream_slot: usize,
        id: PeerId,
        feed: Feed,
        tracks: &[Codec],
        is_backup: bool,
    ) {
        match self.feed(stream_slot) {
            Some(Feed::Peer(previous)) => self.displace(now, stream_slot, previous),
            Some(previous @ Feed::Source) => self.end_publication(stream_slot, previous),
            Some(Feed::Relay(_)) | None => {}
        }
        let own = self.config.id;
        let Some(stream) = self.stream_mut(stream_slot) else {
            return;
        };
        stream.origin = Some(own);
        self.follow_origin(stream_slot);
        if let Some(stream) = self.stream_mut(stream_slot) {
            let mut publication = Publication::new(id, feed, now);
            publication.is_backup = is_backup;
            publication.tracks = tracks
                .iter()
                .take(TRACKS_MAX)
                .map(|codec| Track::new(None, *codec, &[]))
                .collect();
            stream.publication = Some(publication);
        }
        self.rebind_legs(stream_slot, true);
    }

    /// Ends the publication of a peer whose stream another one takes: a publisher is nothing without it.
    fn displace(&mut self, now: Instant, stream_slot: usize, previous: usize) {
        match self.peer_mut(previous) {
            Some(peer) if peer.role == Role::Participant => {
                peer.publishes
                    .retain(|published| published.stream != stream_slot);
                self.end_publication(stream_slot, Feed::Peer(previous));
            }
            _ => self.close_peer(now, previous, CloseReason::TakenOver),
        }
    }

    fn accept_viewer(
        &mut self,
        now: Instant,
        id: PeerId,
        stream: StreamId,
        offer: &str,
        tracks: &[TrackInfo],
        origin: Option<WorkerId>,
    ) -> Result<String, Refusal> {
        Self::check_offer(offer)?;
        let slot = self.add_viewer(now, id, stream, tracks)?;
        let answer = self.negotiate(now, slot, |rtc| rtc.accept_offer(offer))?;
        self.settle_viewer(slot, tracks)?;
        self.seat_viewer(slot, stream, origin);
        Ok(answer)
    }

    fn add_viewer(
        &mut self,
        now: Instant,
        id: PeerId,
        stream: StreamId,
        tracks: &[TrackInfo],
    ) -> Result<usize, Refusal> {
        self.ensure_stream(stream)
            .ok_or(Refusal::Full("it has as many streams as it may have"))?;
        // A single layer is sent as it comes; there is nothing to choose by an estimate, and a pacer would only delay.
        let has_layers = tracks.iter().any(|track| track.layers.len() > 1);
        self.add_peer(
            now,
            id,
            Role::Viewer,
            has_layers.then_some(ESTIMATE_START_BPS),
        )
    }

    /// Checks that a negotiated viewer can be sent something.
    fn settle_viewer(&mut self, slot: usize, tracks: &[TrackInfo]) -> Result<(), Refusal> {
        let Some(peer) = self.peer_mut(slot) else {
            return Err(Refusal::UnknownPeer);
        };
        if peer.make_legs() && peer.can_carry(tracks) {
            return Ok(());
        }
        let live: Vec<&str> = tracks.iter().map(|track| track.codec.kind.name()).collect();
        self.discard_peer(slot);
        Err(Refusal::NotAcceptable(format!(
            "this stream is {}; offer to receive that",
            live.join(" + ")
        )))
    }

    fn seat_viewer(&mut self, slot: usize, stream: StreamId, origin: Option<WorkerId>) {
        let Some(stream_slot) = self.stream_slot(stream) else {
            return;
        };
        if let Some(peer) = self.peer_mut(slot) {
            peer.views = Some(stream_slot);
        }
        if let Some(stream) = self.stream_mut(stream_slot) {
            stream.viewers.push(slot);
            if origin.is_some() {
                stream.origin = origin;
            }
        }
        self.follow_origin(stream_slot);
    }

    fn offer_viewer(
        &mut self,
        now: Instant,
        id: PeerId,
        stream: StreamId,
        tracks: &[TrackInfo],
        origin: Option<WorkerId>,
    ) -> Result<String, Refusal> {
        let slot = self.add_viewer(now, id, stream, tracks)?;
        let offer = self.negotiate(now, slot, |rtc| rtc.make_offer(1, 1))?;
        self.seat_viewer(slot, stream, origin);
        Ok(offer)
    }

    fn take_answer(&mut self, now: Instant, id: PeerId, answer: &str) -> Result<(), Refusal> {
        let slot = self.slot_of(id).ok_or(Refusal::UnknownPeer)?;
        if self.seat_mut(slot).is_some() {
            return self.take_participant_answer(now, slot, answer);
        }
        Self::check_offer(answer)?;
        let Some(peer) = self.peer_mut(slot) else {
            return Err(Refusal::UnknownPeer);
        };
        if !peer.rtc.awaits_answer() {
            return Err(Refusal::NotAcceptable(
                "this session waits for no answer".into(),
            ));
        }
        let taken = peer
            .guarded(|rtc| Ok(rtc.accept_answer(answer)))
            .unwrap_or_else(|reason| Err(Refusal::NotAcceptable(format!("{reason:?}"))));
        let viewed = peer.views;
        let infos = viewed
            .and_then(|stream| self.streams[stream].as_ref())
            .map(|stream| stream.infos())
            .unwrap_or_default();
        let result = taken.and_then(|()| {
            let peer = self.peer_mut(slot).ok_or(Refusal::UnknownPeer)?;
            if peer.make_legs() && (infos.is_empty() || peer.can_carry(&infos)) {
                Ok(())
            } else {
                Err(Refusal::NotAcceptable(
                    "the answer takes nothing of what was offered".into(),
                ))
            }
        });
        match &result {
            Ok(()) => self.drain(now, slot),
            Err(refusal) => self.remove_peer(slot, CloseReason::Failed(refusal.to_string())),
        }
        result
    }

    fn add_candidates(
        &mut self,
        now: Instant,
        id: PeerId,
        candidates: &[String],
    ) -> Result<(), Refusal> {
        let slot = self.slot_of(id).ok_or(Refusal::UnknownPeer)?;
        let Some(peer) = self.peer_mut(slot) else {
            return Err(Refusal::UnknownPeer);
        };
        match peer.guarded(|rtc| Ok(rtc.add_candidates(candidates))) {
            Ok(used) => {
                self.stats.candidates_ignored += (candidates.len() - used) as u64;
                self.drain(now, slot);
                Ok(())
            }
            Err(reason) => {
                self.remove_peer(slot, reason);
                Err(Refusal::UnknownPeer)
            }
        }
    }

    fn restart_ice(
        &mut self,
        now: Instant,
        id: PeerId,
        ufrag: &str,
        pwd: &str,
        candidates: &[String],
    ) -> Result<Reply, Refusal> {
        let slot = self.slot_of(id).ok_or(Refusal::UnknownPeer)?;
        let Some(peer) = self.peer_mut(slot) else {
            return Err(Refusal::UnknownPeer);
        };
        let (ufrag, pwd, candidates) = peer
            .guarded(|rtc| Ok(rtc.restart_ice(ufrag, pwd, candidates)))
            .unwrap_or_else(|reason| Err(Refusal::NotAcceptable(format!("{reason:?}"))))?;
        self.demux.insert(slot, ufrag.clone(), pwd.clone());
        self.drain(now, slot);
        Ok(Reply::Restarted {
            ufrag,
            pwd,
            candidates,
        })
    }

    fn close(&mut self, now: Instant, id: PeerId) {
        if let Some(slot) = self.slot_of(id) {
            self.close_peer(now, slot, CloseReason::Asked);
            return;
        }
        let source = self.streams.iter().position(|stream| {
            stream
                .as_ref()
                .and_then(|stream| stream.publication.as_ref())
                .is_some_and(|publication| {
                    publication.publisher == id && publication.feed == Feed::Source
                })
        });
        match source {
            Some(slot) => self.end_publication(slot, Feed::Source),
            None => self.close_waiting_source(id),
        }
    }

    fn forget(&mut self, now: Instant, stream: StreamId) {
        let Some(slot) = self.stream_slot(stream) else {
            return;
        };
        let viewers = self.streams[slot]
            .as_ref()
            .map(|stream| stream.viewers.clone())
            .unwrap_or_default();
        for viewer in viewers {
            self.close_peer(now, viewer, CloseReason::Asked);
        }
        match self.feed(slot) {
            Some(Feed::Peer(publisher)) => self.close_peer(now, publisher, CloseReason::Asked),
            Some(feed) => self.end_publication(slot, feed),
            None => {}
        }
    }
}

fn not_a_stream() -> Refusal {
    Refusal::NotAcceptable("a participant joins a conference, not a stream".into())
}
