//! One PeerConnection of a member, and whose turn it is to offer.
//!
//! At most one offer of the client and one of ours are under way. Where they cross the client's wins: ours is withdrawn, and made anew
//! when the client has its answer. Wishes for slots that come meanwhile are merged.

use super::io::{ConnectionId, FeedId, SessionId, SlotNews, Want};
use super::protocol::{ErrorCode, Fault};

/// Slots for sound that one participant can have: the eight loudest and as much music.
pub(super) const AUDIO_SLOTS_MAX: usize = 16;
/// Slots for pictures that one participant can have: a grid of seven by seven.
pub(super) const VIDEO_SLOTS_MAX: usize = 49;
/// Candidates that one session takes: 32 for each of eight network changes.
pub(super) const CANDIDATES_MAX: usize = 256;

/// An offer of the client that waits for its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pending {
    /// The order's id; 0 opened the session.
    pub(super) order: u64,
    /// The client's id; 0 for the one in `join`.
    pub(super) client: u64,
    /// Who waits for the answer.
    pub(super) connection: ConnectionId,
}

/// How many slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slots {
    pub(super) audio: usize,
    pub(super) video: usize,
}

impl Slots {
    fn merge(self, other: Option<Self>) -> Self {
        let other = other.unwrap_or(self);
        Self {
            audio: self.audio.max(other.audio),
            video: self.video.max(other.video),
        }
    }
}

/// Our offer, if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Ours {
    Idle,
    /// Media makes it.
    Asked(Slots),
    /// The client has it, or will have it when it is back.
    Sent {
        id: u64,
        sdp: String,
        slots: Slots,
    },
    /// Media has the client's answer.
    Answered {
        id: u64,
    },
}

/// One PeerConnection.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: SessionId,
    /// The first offer was taken.
    pub(super) is_open: bool,
    /// ICE and DTLS were up once.
    pub(super) is_connected: bool,
    /// As told to media.
    pub(super) wants: Vec<Want>,
    /// As told to media.
    pub(super) silenced: Vec<FeedId>,
    /// As media told.
    pub(super) slots: Vec<SlotNews>,
    pub(super) candidates: usize,
    client: Option<Pending>,
    ours: Ours,
    wanted: Option<Slots>,
    /// Offers of ours that media still makes although they were withdrawn.
    withdrawn: usize,
    orders: u64,
    offers: u64,
}

impl Session {
    /// A session whose first offer is under way.
    pub(super) fn new(id: SessionId, client: u64, connection: ConnectionId) -> Self {
        Self {
            id,
            is_open: false,
            is_connected: false,
            wants: Vec::new(),
            silenced: Vec::new(),
            slots: Vec::new(),
            candidates: 0,
            client: Some(Pending {
                order: 0,
                client,
                connection,
            }),
            ours: Ours::Idle,
            wanted: None,
            withdrawn: 0,
            orders: 0,
            offers: 0,
        }
    }

    /// A later offer of the client; gives the order's id.
    ///
    /// # Errors
    /// `conflict` while an earlier one on the same connection waits for its answer.
    pub(super) fn offer(&mut self, client: u64, connection: ConnectionId) -> Result<u64, Fault> {
        // After a lost WebSocket the answer to the earlier offer reaches nobody; only the new one counts.
        if let Some(pending) = self.client
            && (!self.is_open || pending.connection == connection)
        {
            return Err(Fault::new(
                ErrorCode::Conflict,
                format!(
                    "offer {} waits for its answer; wait for it, then offer again",
                    pending.client
                ),
            ));
        }
        match std::mem::replace(&mut self.ours, Ours::Idle) {
            Ours::Asked(slots) => {
                self.withdrawn += 1;
                self.want(slots);
            }
            Ours::Sent { slots, .. } => self.want(slots),
            state @ (Ours::Idle | Ours::Answered { .. }) => self.ours = state,
        }
        self.orders += 1;
        self.client = Some(Pending {
            order: self.orders,
            client,
            connection,
        });
        Ok(self.orders)
    }

    /// Media answered an offer of the client; `None` when nobody waits for it any more.
    pub(super) fn answered(&mut self, order: u64) -> Option<Pending> {
        self.client.take_if(|pending| pending.order == order)
    }

    /// More slots are wanted.
    pub(super) fn want(&mut self, slots: Slots) {
        let bounded = Slots {
            audio: slots.audio.min(AUDIO_SLOTS_MAX),
            video: slots.video.min(VIDEO_SLOTS_MAX),
        };
        self.wanted = Some(bounded.merge(self.wanted));
    }

    /// The slots to ask for now; `None` when there is nothing to do or it is not our turn.
    pub(super) fn ask(&mut self) -> Option<Slots> {
        let is_free =
            self.is_open && self.client.is_none() && self.ours == Ours::Idle && self.withdrawn == 0;
        if !is_free {
            return None;
        }
        let slots = self.wanted.take()?;
        self.ours = Ours::Asked(slots);
        Some(slots)
    }

    /// Media made our offer, or found it needless; gives what to send, with its id.
    pub(super) fn offered(&mut self, offer: Option<String>) -> Option<(u64, String)> {
        if self.withdrawn > 0 {
            self.withdrawn -= 1;
            return None;
        }
        let Ours::Asked(slots) = self.ours else {
            return None;
        };
        self.ours = Ours::Idle;
        let sdp = offer?;
        self.offers += 1;
        self.ours = Ours::Sent {
            id: self.offers,
            sdp: sdp.clone(),
            slots,
        };
        Some((self.offers, sdp))
    }

    /// The client answers our offer.
    ///
    /// # Errors
    /// `conflict` when that offer is not under way.
    pub(super) fn answer(&mut self, id: u64) -> Result<(), Fault> {
        if matches!(self.ours, Ours::Sent { id: sent, .. } if sent == id) {
            self.ours = Ours::Answered { id };
            return Ok(());
        }
        Err(Fault::new(
            ErrorCode::Conflict,
            format!(
                "offer {id} waits for no answer: it was answered or withdrawn; wait for the next one"
            ),
        ))
    }

    /// Media took the answer or refused it; gives the offer's id.
    pub(super) fn answer_taken(&mut self) -> Option<u64> {
        let Ours::Answered { id } = self.ours else {
            return None;
        };
        self.ours = Ours::Idle;
        Some(id)
    }

    /// Our offer that waits for the client's answer.
    pub(super) fn outstanding(&self) -> Option<(u64, &str)> {
        match &self.ours {
            Ours::Sent { id, sdp, .. } => Some((*id, sdp)),
            Ours::Idle | Ours::Asked(_) | Ours::Answered { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONNECTION: ConnectionId = ConnectionId(1);

    fn slots(audio: usize, video: usize) -> Slots {
        Slots { audio, video }
    }

    fn open() -> Session {
        let mut session = Session::new(SessionId(1), 0, CONNECTION);
        assert!(session.answered(0).is_some());
        session.is_open = true;
        session
    }

    #[test]
    fn wishes_are_merged_and_asked_one_after_the_other() {
        let mut session = open();
        session.want(slots(3, 4));
        session.want(slots(4, 2));
        assert_eq!(session.ask(), Some(slots(4, 4)));
        session.want(slots(4, 9));
        session.want(slots(99, 99));
        assert_eq!(session.ask(), None, "one at a time");
        assert_eq!(
            session.offered(Some("sdp".into())),
            Some((1, "sdp".to_owned()))
        );
        assert_eq!(session.ask(), None, "the client has not answered");
        assert!(session.answer(2).is_err());
        assert!(session.answer(1).is_ok());
        assert!(session.answer(1).is_err());
        assert_eq!(session.ask(), None, "media has not taken the answer");
        assert_eq!(session.answer_taken(), Some(1));
        assert_eq!(session.ask(), Some(slots(AUDIO_SLOTS_MAX, VIDEO_SLOTS_MAX)));
    }

    #[test]
    fn nothing_is_asked_before_the_first_answer() {
        let mut session = Session::new(SessionId(1), 0, CONNECTION);
        session.want(slots(3, 4));
        assert_eq!(session.ask(), None);
        assert!(session.offer(1, CONNECTION).is_err());
        assert!(session.answered(0).is_some());
        session.is_open = true;
        assert_eq!(session.ask(), Some(slots(3, 4)));
    }

    #[test]
    fn a_clients_offer_withdraws_ours_wherever_it_is() {
        // While media makes it.
        let mut session = open();
        session.want(slots(3, 4));
        assert!(session.ask().is_some());
        let order = session.offer(1, CONNECTION).unwrap();
        assert_eq!(session.offered(Some("late".into())), None);
        assert_eq!(session.ask(), None, "the client's comes first");
        assert!(session.answered(order).is_some());
        assert_eq!(session.ask(), Some(slots(3, 4)));

        // While the client has it.
        assert!(session.offered(Some("again".into())).is_some());
        let order = session.offer(2, CONNECTION).unwrap();
        assert!(session.answer(1).is_err(), "withdrawn");
        assert!(session.answered(order).is_some());
        assert_eq!(session.ask(), Some(slots(3, 4)));

        // After the client answered: it stays.
        assert_eq!(
            session.offered(Some("third".into())),
            Some((2, "third".to_owned()))
        );
        assert!(session.answer(2).is_ok());
        let order = session.offer(3, CONNECTION).unwrap();
        assert_eq!(session.answer_taken(), Some(2));
        assert!(session.answered(order).is_some());
        assert_eq!(session.ask(), None);
    }

    #[test]
    fn an_answer_that_media_is_late_with_answers_nothing() {
        let mut session = open();
        let old = session.offer(1, CONNECTION).unwrap();
        assert!(session.offer(2, CONNECTION).is_err(), "one at a time");
        let new = session.offer(1, ConnectionId(2)).unwrap();
        assert_eq!(session.answered(old), None);
        let pending = session.answered(new).unwrap();
        assert_eq!(pending.connection, ConnectionId(2));
    }

    #[test]
    fn a_needless_or_refused_offer_leaves_the_way_free() {
        let mut session = open();
        session.want(slots(1, 1));
        assert!(session.ask().is_some());
        assert_eq!(session.offered(None), None);
        session.want(slots(2, 2));
        assert_eq!(session.ask(), Some(slots(2, 2)));
    }
}
