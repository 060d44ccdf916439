//! PeerConnections that begin and end, and members who go.

use super::io::{ConnectionId, Order, Quality, SessionId};
use super::member::MemberKey;
use super::protocol::{Departure, LeaveReason, ServerMessage, close};
use super::session::Session;
use super::state::Conference;

impl Conference {
    /// Opens a PeerConnection for a member that has none.
    pub(super) fn open_session(
        &mut self,
        key: MemberKey,
        connection: ConnectionId,
        client: u64,
        offer: String,
    ) {
        let session = SessionId(self.next_id());
        let Some(member) = self.members.get_mut(&key) else {
            return;
        };
        member.session = Some(Session::new(session, client, connection));
        member.unreachable_since = None;
        member.quality = Quality::Good;
        let order = Order::Open {
            session,
            offer,
            participant: member.id.clone(),
            role: member.role,
            connection,
        };
        self.sessions.insert(session, key);
        self.order(order);
    }

    /// Ends a member's PeerConnection, if it has one, with all its feeds.
    pub(super) fn close_session(&mut self, key: MemberKey) {
        let session =
            (self.members.get_mut(&key)).and_then(|member| member.session.as_ref().map(|s| s.id));
        self.forget_session(key);
        if let Some(session) = session {
            self.order(Order::Close { session });
        }
    }

    /// Forgets a PeerConnection that is gone, and its feeds.
    pub(super) fn forget_session(&mut self, key: MemberKey) {
        let ended = self.change(key, |member| {
            let feeds = std::mem::take(&mut member.feeds);
            (member.session.take(), feeds)
        });
        let Some((session, feeds)) = ended else {
            return;
        };
        if let Some(session) = session {
            self.sessions.remove(&session.id);
        }
        for feed in feeds.values() {
            self.feeds.remove(&feed.id);
        }
    }

    /// A member is gone for good. Its WebSocket, if there is one, is closed with the code that fits.
    pub(super) fn depart(&mut self, key: MemberKey, reason: LeaveReason, message: Option<String>) {
        self.close_session(key);
        let Some(member) = self.members.remove(&key) else {
            return;
        };
        self.by_identity.remove(&member.identity);
        self.by_id.remove(&member.id);
        if let Some(connection) = member.connection {
            let departure = Departure {
                id: member.id.clone(),
                reason,
                message,
            };
            let (code, words) = match reason {
                LeaveReason::Left => (close::LEFT, "left"),
                LeaveReason::Lost => (close::POLICY, "lost"),
                LeaveReason::Full => (close::FULL, "full"),
                LeaveReason::Removed => {
                    self.send(connection, &ServerMessage::Left(departure));
                    (close::REMOVED, "removed by a moderator")
                }
            };
            self.close(connection, code, words);
        }
        self.left(member.id.clone(), member.name);
        self.presence.left(
            key,
            Departure {
                id: member.id,
                reason,
                message: None,
            },
        );
    }
}
