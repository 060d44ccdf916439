//! What happens to media, and who is told.

use super::io::{FeedId, News, Order, Refusal, SessionId};
use super::member::MemberKey;
use super::protocol::{ErrorCode, Fault, LeaveReason, ServerMessage};
use super::session::{Session, Slots};
use super::state::{Conference, FULL_RETRY_AFTER, Moment};

/// Members up to whom each newcomer is shown to the others at once. In a join storm of 200 that would be 40,000 lists.
const PROMPT_MAX: usize = 16;

impl Conference {
    /// News of sessions and feeds that are not known any more is old.
    pub(super) fn news(&mut self, at: Moment, news: News) {
        match news {
            News::Answered {
                session,
                id: 0,
                result,
            } => self.opened_session(session, result),
            News::Answered {
                session,
                id,
                result,
            } => self.reoffer_answered(session, id, result),
            News::Offered { session, result } => self.offered(session, result),
            News::AnswerTaken { session, result } => self.answer_taken(session, result),
            News::Connected { session } => self.connected(session),
            News::Ended { session, .. } => self.ended(at, session),
            News::Reachable { session, reachable } => self.reachable(at, session, reachable),
            News::Slots { session, slots } => {
                if let Some((key, session)) = self.session(session) {
                    session.slots = slots;
                    self.stale_slots.push(key);
                }
            }
            News::SlotsWanted {
                session,
                audio,
                video,
            } => {
                if let Some((key, session)) = self.session(session) {
                    session.want(Slots { audio, video });
                    self.ask_slots(key);
                }
            }
            News::Speakers { active, dominant } => {
                self.speakers = (active, dominant);
                self.are_speakers_stale = true;
            }
            News::Layers { feed, watched } => self.layers(feed, watched),
            News::Quality { session, quality } => {
                if let Some(key) = self.sessions.get(&session).copied() {
                    self.change(key, |member| member.quality = quality);
                }
            }
            News::Named { feed, result } => self.named(feed, result),
        }
    }

    fn session(&mut self, session: SessionId) -> Option<(MemberKey, &mut Session)> {
        let key = self.sessions.get(&session).copied()?;
        let session = self.members.get_mut(&key)?.session.as_mut()?;
        Some((key, session))
    }

    /// The first offer of a session was taken, or not.
    fn opened_session(&mut self, session: SessionId, result: Result<String, Refusal>) {
        let Some((key, open)) = self.session(session) else {
            return;
        };
        let Some(pending) = open.answered(0) else {
            return;
        };
        let request = if pending.client == 0 { "join" } else { "offer" };
        match result {
            Ok(sdp) => {
                open.is_open = true;
                let id = pending.client;
                if self.connections.contains_key(&pending.connection) {
                    self.send(pending.connection, &ServerMessage::Answer { id, sdp });
                }
                self.order_feeds(key);
                self.order_early_candidates(key);
                self.order_wants(key);
                self.ask_slots(key);
                // Only now the others can want its feeds: a few at once, many together with what else changes.
                if self.members.len() <= PROMPT_MAX {
                    self.are_wants_stale = true;
                } else {
                    self.presence.media_changed();
                }
            }
            Err(refusal) => {
                self.forget_session(key);
                let is_full = matches!(refusal, Refusal::Full { .. });
                let mut fault = Fault::from(refusal).of(request).with_id(pending.client);
                if is_full {
                    fault.retry_after.get_or_insert(FULL_RETRY_AFTER);
                }
                self.send_to_member(key, &fault.to_message());
                if is_full {
                    self.depart(key, LeaveReason::Full, None);
                }
            }
        }
    }

    fn order_early_candidates(&mut self, key: MemberKey) {
        let Some(member) = self.members.get_mut(&key) else {
            return;
        };
        let Some(session) = &mut member.session else {
            return;
        };
        let early = (member.connection.as_ref())
            .and_then(|connection| self.connections.get_mut(connection))
            .map(|connection| std::mem::take(&mut connection.early));
        let Some(candidates) = early.filter(|early| !early.is_empty()) else {
            return;
        };
        session.candidates += candidates.len();
        let session = session.id;
        self.order(Order::Candidates {
            session,
            candidates,
        });
    }

    fn reoffer_answered(&mut self, session: SessionId, id: u64, result: Result<String, Refusal>) {
        let Some((key, open)) = self.session(session) else {
            return;
        };
        let Some(pending) = open.answered(id) else {
            return;
        };
        let message = match result {
            Ok(sdp) => ServerMessage::Answer {
                id: pending.client,
                sdp,
            },
            Err(refusal) => Fault::from(refusal)
                .of("offer")
                .with_id(pending.client)
                .to_message(),
        };
        // An answer to an offer of an earlier WebSocket is of no use to the later one.
        if self.connections.contains_key(&pending.connection) {
            self.send(pending.connection, &message);
        }
        self.ask_slots(key);
    }

    /// Asks for slots when somebody is there to be offered to and it is our turn.
    pub(super) fn ask_slots(&mut self, key: MemberKey) {
        let Some(member) = self.members.get_mut(&key) else {
            return;
        };
        if member.connection.is_none() {
            return;
        }
        let Some(session) = &mut member.session else {
            return;
        };
        if let Some(Slots { audio, video }) = session.ask() {
            let session = session.id;
            self.order(Order::AddSlots {
                session,
                audio,
                video,
            });
        }
    }

    fn offered(&mut self, session: SessionId, result: Result<Option<String>, Refusal>) {
        let Some((key, open)) = self.session(session) else {
            return;
        };
        // A refused wish is not repeated: media says again what it wants when that changes.
        if let Some((id, sdp)) = open.offered(result.unwrap_or_default()) {
            self.send_to_member(key, &ServerMessage::Offer { id, sdp });
        }
        self.ask_slots(key);
    }

    fn answer_taken(&mut self, session: SessionId, result: Result<(), Refusal>) {
        let Some((key, open)) = self.session(session) else {
            return;
        };
        let Some(id) = open.answer_taken() else {
            return;
        };
        if let Err(refusal) = result {
            let fault = Fault::from(refusal).of("answer").with_id(id);
            self.send_to_member(key, &fault.to_message());
        }
        self.ask_slots(key);
    }

    fn connected(&mut self, session: SessionId) {
        let Some(key) = self.sessions.get(&session).copied() else {
            return;
        };
        self.change(key, |member| {
            member.unreachable_since = None;
            if let Some(session) = &mut member.session {
                session.is_connected = true;
            }
        });
    }

    /// The PeerConnection is gone: whoever still listens makes a new one.
    fn ended(&mut self, at: Moment, session: SessionId) {
        let Some(key) = self.sessions.get(&session).copied() else {
            return;
        };
        let pending = (self.session(session)).and_then(|(_, session)| session.answered(0));
        self.forget_session(key);
        self.change(key, |member| {
            member.unreachable_since.get_or_insert(at.now);
        });
        if let Some(pending) = pending {
            let request = if pending.client == 0 { "join" } else { "offer" };
            let fault = Fault::from(Refusal::Gone)
                .of(request)
                .with_id(pending.client);
            self.send_to_member(key, &fault.to_message());
        }
        self.send_to_member(key, &ServerMessage::Restart);
    }

    fn reachable(&mut self, at: Moment, session: SessionId, reachable: bool) {
        let Some(key) = self.sessions.get(&session).copied() else {
            return;
        };
        self.change(key, |member| {
            if reachable {
                member.unreachable_since = None;
            } else {
                member.unreachable_since.get_or_insert(at.now);
            }
        });
    }

    /// A publisher hears which of its layers are worth sending.
    fn layers(&mut self, feed: FeedId, watched: Vec<bool>) {
        let Some((key, source)) = self.feeds.get(&feed).copied() else {
            return;
        };
        let feed = (self.members.get_mut(&key)).and_then(|member| member.feeds.get_mut(&source));
        let Some(feed) = feed.filter(|feed| feed.watched.as_ref() != Some(&watched)) else {
            return;
        };
        feed.watched = Some(watched.clone());
        let active = watched;
        self.send_to_member(key, &ServerMessage::Layers { source, active });
    }

    /// A feed became a stream of the space, is none any more, or could not be made one.
    fn named(&mut self, feed: FeedId, result: Result<Option<String>, Refusal>) {
        let Some((key, source)) = self.feeds.get(&feed).copied() else {
            return;
        };
        let asked_by = self.change(key, |member| {
            let feed = member.feeds.get_mut(&source)?;
            match &result {
                Ok(name) => {
                    feed.stream.clone_from(name);
                    match name {
                        Some(name) => member.streams.insert(source, name.clone()),
                        None => member.streams.remove(&source),
                    };
                }
                // The feed keeps the name that it had, if it had one.
                Err(_) => match &feed.stream {
                    Some(name) => {
                        member.streams.insert(source, name.clone());
                    }
                    None => {
                        member.streams.remove(&source);
                    }
                },
            }
            feed.naming.take()
        });
        let (Some(asked_by), Err(refusal)) = (asked_by.flatten(), result) else {
            return;
        };
        let fault = match refusal {
            Refusal::Taken => Fault::new(
                ErrorCode::Conflict,
                "somebody publishes a stream with this name; choose another one",
            ),
            other => Fault::from(other),
        };
        self.send_to_member(asked_by, &fault.of("moderate").to_message());
    }
}
