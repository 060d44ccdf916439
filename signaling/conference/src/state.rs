//! The state of one conference, and its two verbs.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Instant, SystemTime};

use super::connection::{Connection, Stage};
use super::io::{Config, ConnectionId, FeedId, Input, Order, Output, SessionId};
use super::member::{Member, MemberKey};
use super::presence::Presence;
use super::protocol::{ErrorCode, Fault, LeaveReason, ServerMessage, Source, Space, close};

/// Seconds after which somebody who found no room tries again.
pub(super) const FULL_RETRY_AFTER: u64 = 10;

/// Connections beyond the participants: those who join, who come back, and who find no room.
const SPARE_CONNECTIONS: usize = 64;

/// The time, for programs and for people.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) now: Instant,
    pub(super) wall: SystemTime,
}

/// Everybody in one space.
///
/// Drain [`poll`](Self::poll) after each [`handle`](Self::handle), then wait until [`deadline`](Self::deadline) at most.
#[derive(Debug)]
pub struct Conference {
    pub(super) config: Config,
    pub(super) connections: BTreeMap<ConnectionId, Connection>,
    /// In the order of joining.
    pub(super) members: BTreeMap<MemberKey, Member>,
    pub(super) by_identity: BTreeMap<String, MemberKey>,
    pub(super) by_id: BTreeMap<String, MemberKey>,
    pub(super) sessions: BTreeMap<SessionId, MemberKey>,
    pub(super) feeds: BTreeMap<FeedId, (MemberKey, Source)>,
    pub(super) space: Space,
    /// As media told: who speaks, and who has the floor.
    pub(super) speakers: (Vec<(FeedId, u8)>, Option<FeedId>),
    pub(super) presence: Presence,
    /// Members whose slots changed and were not told yet.
    pub(super) stale_slots: Vec<MemberKey>,
    pub(super) are_speakers_stale: bool,
    /// What members want may have become possible.
    pub(super) are_wants_stale: bool,
    pub(super) is_stopping: bool,
    /// The last id that was given; members, sessions and feeds count together.
    last_id: u64,
    now: Option<Instant>,
    out: VecDeque<Output>,
}

impl Conference {
    /// An empty conference: not locked, everybody may publish whose role allows it.
    pub fn new(config: Config) -> Self {
        let space = Space {
            name: config.space.clone(),
            locked: false,
            stage_only: false,
        };
        Self {
            config,
            connections: BTreeMap::new(),
            members: BTreeMap::new(),
            by_identity: BTreeMap::new(),
            by_id: BTreeMap::new(),
            sessions: BTreeMap::new(),
            feeds: BTreeMap::new(),
            space,
            speakers: (Vec::new(), None),
            presence: Presence::default(),
            stale_slots: Vec::new(),
            are_speakers_stale: false,
            are_wants_stale: false,
            is_stopping: false,
            last_id: 0,
            now: None,
            out: VecDeque::new(),
        }
    }

    /// Takes one input. `now` never goes back; `wall` is the same moment on the calendar.
    pub fn handle(&mut self, now: Instant, wall: SystemTime, input: Input) {
        let at = Moment { now, wall };
        self.now = Some(now);
        match input {
            Input::Opened { connection, random } => self.opened(at, connection, random),
            Input::Text { connection, text } => self.text(at, connection, &text),
            Input::Closed { connection } => self.closed(at, connection),
            Input::Verified { connection, result } => self.verified(at, connection, result),
            Input::News(news) => self.news(at, news),
            Input::Timeout => {}
            Input::Stopping => self.stop(),
        }
        self.expire(at);
        self.tell(at);
    }

    /// What to do next; `None` until the next input.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When [`Input::Timeout`] is due if nothing else comes before.
    pub fn deadline(&self) -> Option<Instant> {
        let connections = self.connections.values().filter_map(Connection::deadline);
        let members = self.members.values().filter_map(Member::lost_at);
        let presence = self.now.and_then(|now| self.presence.due(now));
        connections.chain(members).chain(presence).min()
    }

    /// Whether nobody is here and nobody is about to be: the conference can be dropped.
    pub fn is_empty(&self) -> bool {
        self.connections.is_empty() && self.members.is_empty() && self.out.is_empty()
    }

    /// Participants, also those who are away for a moment.
    pub fn participants(&self) -> usize {
        self.members.len()
    }

    fn opened(&mut self, at: Moment, connection: ConnectionId, random: [u8; 32]) {
        if self.is_stopping {
            let fault = Fault::new(ErrorCode::Stopping, "the server stops; come back soon");
            self.send(connection, &fault.after(FULL_RETRY_AFTER).to_message());
            self.output_close(connection, close::STOPPING, "the server stops");
            return;
        }
        if self.connections.len() >= 2 * self.config.participants_max + SPARE_CONNECTIONS {
            let fault = Fault::new(
                ErrorCode::Full,
                "too many are coming in at once; try again in a moment",
            );
            self.send(connection, &fault.after(FULL_RETRY_AFTER).to_message());
            self.output_close(connection, close::FULL, "full");
            return;
        }
        self.connections
            .insert(connection, Connection::new(random, at.now));
    }

    fn closed(&mut self, at: Moment, connection: ConnectionId) {
        let Some(gone) = self.connections.remove(&connection) else {
            return;
        };
        let Some(key) = gone.member() else { return };
        self.change(key, |member| {
            member.connection = None;
            member.detached = at.now;
        });
    }

    /// Lets everybody go. Media says good-bye by itself, session by session.
    fn stop(&mut self) {
        self.is_stopping = true;
        for session in std::mem::take(&mut self.sessions).into_keys() {
            self.order(Order::Close { session });
        }
        for connection in std::mem::take(&mut self.connections).into_keys() {
            self.output_close(connection, close::STOPPING, "the server stops");
        }
        for member in std::mem::take(&mut self.members).into_values() {
            self.left(member.id, member.name);
        }
        self.by_identity.clear();
        self.by_id.clear();
        self.feeds.clear();
    }

    /// Closes what came to nothing and lets go who was away for too long.
    fn expire(&mut self, at: Moment) {
        let is_due = |deadline: Option<Instant>| deadline.is_some_and(|due| due <= at.now);
        let late: Vec<_> = (self.connections.iter())
            .filter(|(_, connection)| is_due(connection.deadline()))
            .map(|(id, connection)| (*id, matches!(connection.stage, Stage::Waiting { .. })))
            .collect();
        for (connection, is_silent) in late {
            let reason = if is_silent {
                "no join within 10 s"
            } else {
                "the token could not be checked in time"
            };
            self.close(connection, close::POLICY, reason);
        }
        let lost: Vec<_> = (self.members.iter())
            .filter(|(_, member)| is_due(member.lost_at()))
            .map(|(key, _)| *key)
            .collect();
        for key in lost {
            self.depart(key, LeaveReason::Lost, None);
        }
    }

    /// A new id.
    pub(super) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Changes a member and tells everybody if that can be seen.
    pub(super) fn change<R>(
        &mut self,
        key: MemberKey,
        change: impl FnOnce(&mut Member) -> R,
    ) -> Option<R> {
        let member = self.members.get_mut(&key)?;
        let (before, quality) = (member.to_message(), member.quality_word());
        let result = change(member);
        if member.quality_word() != quality {
            self.presence.media_changed();
        }
        if member.to_message() != before {
            self.presence.updated(key);
        }
        Some(result)
    }

    /// Tells who watches from outside that somebody is new.
    pub(super) fn joined(&mut self, id: String, key: MemberKey) {
        let name = self.members.get(&key).map(|member| member.name.clone());
        let name = name.unwrap_or_default();
        self.out.push_back(Output::Joined { id, name });
    }

    /// Tells who watches from outside that somebody is gone.
    pub(super) fn left(&mut self, id: String, name: String) {
        self.out.push_back(Output::Left { id, name });
    }

    pub(super) fn order(&mut self, order: Order) {
        self.out.push_back(Output::Order(order));
    }

    pub(super) fn verify(&mut self, connection: ConnectionId, token: Option<String>) {
        self.out.push_back(Output::Verify { connection, token });
    }

    pub(super) fn send(&mut self, connection: ConnectionId, message: &ServerMessage) {
        self.send_to(vec![connection], message);
    }

    pub(super) fn send_to(&mut self, to: Vec<ConnectionId>, message: &ServerMessage) {
        if !to.is_empty() {
            let text = message.to_text();
            self.out.push_back(Output::Send { to, text });
        }
    }

    /// To a member, if it has a WebSocket.
    pub(super) fn send_to_member(&mut self, key: MemberKey, message: &ServerMessage) {
        if let Some(connection) = self.members.get(&key).and_then(|member| member.connection) {
            self.send(connection, message);
        }
    }

    /// To every member that has a WebSocket.
    pub(super) fn broadcast(&mut self, message: &ServerMessage) {
        let to = (self.members.values())
            .filter_map(|member| member.connection)
            .collect();
        self.send_to(to, message);
    }

    /// Closes a WebSocket and forgets it. Its member, if it has one, must be told apart from it before.
    pub(super) fn close(&mut self, connection: ConnectionId, code: u16, reason: &'static str) {
        self.connections.remove(&connection);
        self.output_close(connection, code, reason);
    }

    fn output_close(&mut self, connection: ConnectionId, code: u16, reason: &'static str) {
        self.out.push_back(Output::Close {
            connection,
            code,
            reason,
        });
    }
}
