//! Participants: their connections, and what they publish.

use std::time::{Duration, Instant};

use super::Worker;
use super::command::ESTIMATE_START_BPS;
use crate::api::{Command, Event, Refusal, Reply, Role};
use crate::conference::{AUDIO_SLOTS_MAX, PUBLICATIONS_MAX, VIDEO_SLOTS_MAX};
use crate::forward::KeyframeRequests;
use crate::id::{PeerId, RoomId, StreamId};
use crate::peer::{Published, Sections};
use crate::rtc::{Mid, RtcPeer, Stats, count_sections};
use crate::seat::Seat;
use crate::stream::Feed;

/// Sections of a participant's offer: its own, every slot, and some that were stopped.
const SECTIONS_MAX: usize = AUDIO_SLOTS_MAX + VIDEO_SLOTS_MAX + 4 * PUBLICATIONS_MAX;

/// A connected participant without a datagram for this long is unreachable. Browsers check consent every 2.5 s or so.
const UNREACHABLE_AFTER: Duration = Duration::from_secs(6);

impl Worker {
    pub(super) fn on_conference_command(&mut self, now: Instant, command: Command) {
        match command {
            Command::Join {
                request,
                peer,
                room,
                offer,
            } => {
                let result = self.join(now, peer, room, &offer);
                self.reply(request, result.map(Reply::Sdp));
            }
            Command::Reoffer {
                request,
                peer,
                offer,
            } => {
                let result = self.reoffer(now, peer, &offer);
                self.reply(request, result.map(Reply::Sdp));
            }
            Command::AddSlots {
                request,
                peer,
                audio,
                video,
            } => {
                let result = self.add_slots(now, peer, audio, video);
                self.reply(request, result);
            }
            Command::Publish {
                peer,
                stream,
                audio,
                video,
            } => self.publish(now, peer, stream, audio.as_deref(), video.as_deref()),
            Command::Unpublish { peer, stream } => {
                if let (Some(slot), Some(stream)) = (self.slot_of(peer), self.stream_slot(stream)) {
                    self.unpublish(slot, stream);
                }
            }
            Command::Mute {
                peer,
                stream,
                audio,
                video,
            } => self.mute(now, peer, stream, (audio, video)),
            Command::SetRoom {
                room,
                streams,
                loudest_max,
                reports,
            } => self.set_room(now, room, streams, loudest_max, reports),
            Command::Watch { peer, wants } => {
                if let Some(slot) = self.slot_of(peer) {
                    self.watch(now, slot, wants);
                }
            }
            Command::Silence { peer, streams } => {
                if let Some(slot) = self.slot_of(peer)
                    && let Some(seat) = self.seat_mut(slot)
                {
                    seat.silenced = streams;
                    seat.silenced.truncate(SILENCED_MAX);
                    self.assign_audio(now, slot);
                    self.tell_slots(slot);
                }
            }
            other => self.on_data_command(other),
        }
    }

    pub(super) fn seat_mut(&mut self, slot: usize) -> Option<&mut Seat> {
        self.peer_mut(slot)?.seat.as_deref_mut()
    }

    fn check_participant_offer(sdp: &str) -> Result<(), Refusal> {
        match count_sections(sdp) {
            0 => Err(Refusal::Malformed("it has no m= line".into())),
            1..=SECTIONS_MAX => Self::check_payloads(sdp),
            many => Err(Refusal::NotAcceptable(format!(
                "it has {many} media sections; a participant has at most {SECTIONS_MAX}"
            ))),
        }
    }

    fn join(
        &mut self,
        now: Instant,
        id: PeerId,
        room: RoomId,
        offer: &str,
    ) -> Result<String, Refusal> {
        Self::check_participant_offer(offer)?;
        let slot = self.add_peer(now, id, Role::Participant, Some(ESTIMATE_START_BPS))?;
        let answer = self.negotiate(now, slot, |rtc| rtc.accept_offer(offer))?;
        if self.peer_mut(slot).is_none_or(|peer| peer.id != id) {
            return Err(Refusal::UnknownPeer);
        }
        let room = self.enter_room(room, slot);
        if let Some(peer) = self.peer_mut(slot) {
            peer.make_legs();
            peer.seat = Some(Box::new(Seat {
                room,
                ..Seat::default()
            }));
        }
        Ok(answer)
    }

    /// The slot of a participant, for its later commands.
    fn participant(&mut self, id: PeerId) -> Result<usize, Refusal> {
        let slot = self.slot_of(id).ok_or(Refusal::UnknownPeer)?;
        self.seat_mut(slot)
            .map(|_| slot)
            .ok_or(Refusal::UnknownPeer)
    }

    /// Runs a later negotiation. A refusal leaves the participant as it was; a panic ends it.
    fn renegotiate<R>(
        &mut self,
        now: Instant,
        slot: usize,
        f: impl FnOnce(&mut RtcPeer) -> Result<R, Refusal>,
    ) -> Result<R, Refusal> {
        let peer = self.peer_mut(slot).ok_or(Refusal::UnknownPeer)?;
        match peer.guarded(|rtc| Ok(f(rtc))) {
            Ok(result) => {
                self.drain(now, slot);
                result
            }
            Err(reason) => {
                self.remove_peer(slot, reason);
                Err(Refusal::UnknownPeer)
            }
        }
    }

    fn reoffer(&mut self, now: Instant, id: PeerId, offer: &str) -> Result<String, Refusal> {
        let slot = self.participant(id)?;
        Self::check_participant_offer(offer)?;
        let (answer, before, after) = self.renegotiate(now, slot, |rtc| {
            let before = rtc.credentials();
            let answer = rtc.accept_offer(offer)?;
            Ok((answer, before, rtc.credentials()))
        })?;
        if before != after {
            let (ufrag, pwd) = after;
            self.demux.insert(slot, ufrag, pwd);
        }
        self.on_new_slots(now, slot);
        Ok(answer)
    }

    fn add_slots(
        &mut self,
        now: Instant,
        id: PeerId,
        audio: usize,
        video: usize,
    ) -> Result<Reply, Refusal> {
        let slot = self.participant(id)?;
        let peer = self.peer_mut(slot).ok_or(Refusal::UnknownPeer)?;
        if peer.rtc.awaits_answer() {
            return Err(Refusal::NotAcceptable(
                "an earlier offer waits for its answer".into(),
            ));
        }
        let have = peer.count_legs();
        let audio = audio.min(AUDIO_SLOTS_MAX).saturating_sub(have.0);
        let video = video.min(VIDEO_SLOTS_MAX).saturating_sub(have.1);
        if audio + video == 0 {
            return Ok(Reply::Done);
        }
        self.renegotiate(now, slot, |rtc| rtc.make_offer(audio, video))
            .map(Reply::Sdp)
    }

    /// The answer to [`Self::add_slots`].
    pub(super) fn take_participant_answer(
        &mut self,
        now: Instant,
        slot: usize,
        answer: &str,
    ) -> Result<(), Refusal> {
        Self::check_participant_offer(answer)?;
        self.renegotiate(now, slot, |rtc| rtc.accept_answer(answer))?;
        self.on_new_slots(now, slot);
        Ok(())
    }

    fn on_new_slots(&mut self, now: Instant, slot: usize) {
        let Some(peer) = self.peer_mut(slot) else {
            return;
        };
        peer.make_legs();
        if let Some(seat) = peer.seat.as_mut() {
            seat.asked = (0, 0);
        }
        if peer.is_connected {
            self.start_participant(now, slot);
        }
    }

    /// A participant is connected, or has more slots: show it what it wants.
    pub(super) fn start_participant(&mut self, now: Instant, slot: usize) {
        self.assign_audio(now, slot);
        let wants = self
            .seat_mut(slot)
            .map(|seat| std::mem::take(&mut seat.wants));
        // Streams that nobody here needed meanwhile were forgotten.
        self.watch(now, slot, wants.unwrap_or_default());
    }

    fn publish(
        &mut self,
        now: Instant,
        id: PeerId,
        stream: StreamId,
        audio: Option<&str>,
        video: Option<&str>,
    ) {
        let Ok(slot) = self.participant(id) else {
            return;
        };
        let Some(stream_slot) = self.ensure_stream(stream) else {
            tracing::warn!(peer = %id, %stream, "no room for another stream");
            return;
        };
        let sections = Sections::Named {
            audio: audio.map(Mid::from),
            video: video.map(Mid::from),
        };
        let Some(peer) = self.peer_mut(slot) else {
            return;
        };
        let known = peer
            .publishes
            .iter()
            .find(|published| published.stream == stream_slot)
            .map(|published| published.sections);
        if known.is_some() {
            self.change_sections(slot, stream_slot, sections);
            return;
        }
        if peer.publishes.len() >= PUBLICATIONS_MAX || peer.overlaps(sections, None) {
            tracing::debug!(peer = %id, %stream, "too many streams, or a section of another one");
            return;
        }
        self.begin_publication(now, stream_slot, id, Feed::Peer(slot), &[], false);
        if let Some(peer) = self.peer_mut(slot) {
            peer.publishes.push(Published {
                stream: stream_slot,
                sections,
            });
        }
    }

    /// What a participant sends as a stream comes from other sections now: a camera is added, or turned off for good.
    fn change_sections(&mut self, slot: usize, stream_slot: usize, sections: Sections) {
        let Some(peer) = self.peer_mut(slot) else {
            return;
        };
        if peer.overlaps(sections, Some(stream_slot)) {
            return;
        }
        for published in &mut peer.publishes {
            if published.stream == stream_slot {
                published.sections = sections;
            }
        }
        let Some(publication) = self
            .stream_mut(stream_slot)
            .and_then(|stream| stream.publication.as_mut())
        else {
            return;
        };
        let before = publication.tracks.len();
        publication
            .tracks
            .retain(|track| track.mid.is_some_and(|mid| sections.contain(mid)));
        if publication.tracks.len() != before {
            self.announce(stream_slot);
        }
    }

    fn unpublish(&mut self, slot: usize, stream_slot: usize) {
        let Some(peer) = self.peer_mut(slot) else {
            return;
        };
        let before = peer.publishes.len();
        peer.publishes
            .retain(|published| published.stream != stream_slot);
        if peer.publishes.len() < before {
            self.end_publication(stream_slot, Feed::Peer(slot));
        }
    }

    fn mute(&mut self, now: Instant, id: PeerId, stream: StreamId, muted: (bool, bool)) {
        let (Some(slot), Some(stream_slot)) = (self.slot_of(id), self.stream_slot(stream)) else {
            return;
        };
        let Some(publication) = self
            .stream_mut(stream_slot)
            .and_then(|stream| stream.publication.as_mut())
            .filter(|publication| publication.feed == Feed::Peer(slot))
        else {
            return;
        };
        let before = std::mem::replace(&mut publication.muted, muted);
        if before.1 == muted.1 {
            return;
        }
        // What was kept is from before the mute, and not for those who come after it; and what was dropped meanwhile was a
        // reference of what comes. Here and on other workers everybody waits for a keyframe.
        if let Some(track) = publication.video_mut() {
            for layer in &mut track.layers {
                layer.forget();
                // Whoever was asked while muted answered in vain.
                layer.requests = KeyframeRequests::default();
                if !muted.1 {
                    layer.requests.want();
                }
            }
        }
        self.rebind_legs(stream_slot, true);
        self.renew_relays(stream_slot);
        self.want_keyframes_for_waiting(now, stream_slot);
    }

    /// What a tick does for a participant.
    pub(super) fn tick_participant(&mut self, now: Instant, slot: usize) {
        let Some(peer) = self.peer_mut(slot) else {
            return;
        };
        if !peer.is_connected {
            return;
        }
        let is_silent = now.saturating_duration_since(peer.last_seen) > UNREACHABLE_AFTER;
        let id = peer.id;
        if let Some(seat) = peer.seat.as_mut()
            && is_silent
            && !std::mem::replace(&mut seat.is_unreachable, true)
        {
            self.emit(Event::Reachable {
                peer: id,
                reachable: false,
            });
        }
        // What was too long for the room that SCTP had is not told to be wanted.
        self.pump_data(slot);
        self.end_holds(now, slot);
        self.allocate(now, slot);
        self.judge(now, slot);
        if self.seat_mut(slot).is_some_and(|seat| seat.is_stale) {
            self.tell_slots(slot);
        }
    }

    /// How a connection did lately.
    pub(super) fn on_stats(&mut self, slot: usize, stats: Stats) {
        if let Some(seat) = self.seat_mut(slot) {
            seat.note(stats);
        }
    }

    fn judge(&mut self, now: Instant, slot: usize) {
        let Some(peer) = self.peer_mut(slot) else {
            return;
        };
        let id = peer.id;
        let paused = peer.legs.iter();
        let paused = paused
            .filter(|leg| leg.is_paused && leg.stream.is_some())
            .count();
        let Some(seat) = peer.seat.as_mut() else {
            return;
        };
        let stats = seat.stats;
        let quality = seat.meter.update(
            now,
            stats.loss,
            stats.round_trip,
            seat.desired_bps,
            seat.budget_bps,
            paused,
        );
        if let Some(quality) = quality {
            self.emit(Event::Quality { peer: id, quality });
        }
    }
}

/// People whom one participant does not want to hear.
const SILENCED_MAX: usize = 256;
