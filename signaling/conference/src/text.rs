//! What a client says, and who is heard.

use std::time::Duration;

use super::connection::{DROPPED_MAX, EARLY_CANDIDATES_MAX, FAULTS_MAX, Stage};
use super::io::{ConnectionId, Order};
use super::member::MemberKey;
use super::protocol::{
    Answer, Candidate, ClientMessage, ErrorCode, Fault, Hand, LeaveReason, Offer, Rename,
    checked_name, close, read,
};
use super::session::CANDIDATES_MAX;
use super::state::{Conference, Moment};

/// A client that is too fast is told so no more often.
const TOLD_EVERY: Duration = Duration::from_secs(1);

impl Conference {
    /// One text message. What cannot be done is answered with an error.
    pub(super) fn text(&mut self, at: Moment, connection: ConnectionId, text: &str) {
        let Some(speaker) = self.connections.get_mut(&connection) else {
            return;
        };
        if !speaker.texts.take(at.now) {
            return self.too_fast(at, connection, None);
        }
        let message = match read(text) {
            Ok(message) => message,
            Err(fault) => {
                let is_harmless = fault.code == ErrorCode::UnknownType;
                speaker.faults += u32::from(!is_harmless);
                let is_enough = speaker.faults > FAULTS_MAX;
                self.send(connection, &fault.to_message());
                if is_enough {
                    self.drop_connection(
                        at,
                        connection,
                        "too many messages that could not be read",
                    );
                }
                return;
            }
        };
        let (request, id) = label(&message);
        let is_costly = matches!(request, "join" | "offer" | "answer");
        if is_costly && !speaker.offers.take(at.now) {
            return self.too_fast(at, connection, Some((request, id)));
        }
        if let Err(fault) = self.heard(at, connection, message) {
            let fault = fault.of(request);
            let fault = match (fault.id, id) {
                (None, Some(id)) => fault.with_id(id),
                _ => fault,
            };
            self.send(connection, &fault.to_message());
        }
    }

    fn heard(
        &mut self,
        at: Moment,
        connection: ConnectionId,
        message: ClientMessage,
    ) -> Result<(), Fault> {
        let Some(speaker) = self.connections.get_mut(&connection) else {
            return Ok(());
        };
        match (&speaker.stage, message) {
            (Stage::Waiting { .. }, ClientMessage::Join(join)) => self.join(at, connection, join),
            (Stage::Joined(_) | Stage::Verifying { .. }, ClientMessage::Join(_)) => {
                Err(conflict("this WebSocket has joined already"))
            }
            (Stage::Waiting { .. } | Stage::Verifying { .. }, ClientMessage::Leave) => {
                self.close(connection, close::LEFT, "left");
                Ok(())
            }
            (Stage::Verifying { .. }, ClientMessage::Candidate(candidate)) => {
                // A browser trickles as soon as it has offered; the token is still being looked at.
                let early = checked_candidate(candidate)?;
                if speaker.early.len() < EARLY_CANDIDATES_MAX {
                    speaker.early.extend(early);
                }
                Ok(())
            }
            (Stage::Waiting { .. } | Stage::Verifying { .. }, _) => Err(Fault::new(
                ErrorCode::NotJoined,
                "join first, and wait for the welcome",
            )),
            (&Stage::Joined(key), message) => {
                if let Some(member) = self.members.get_mut(&key) {
                    member.heard = at.now;
                }
                self.said(at, connection, key, message)
            }
        }
    }

    /// A participant says something.
    fn said(
        &mut self,
        at: Moment,
        connection: ConnectionId,
        key: MemberKey,
        message: ClientMessage,
    ) -> Result<(), Fault> {
        match message {
            ClientMessage::Join(_) => Err(conflict("this WebSocket has joined already")),
            ClientMessage::Offer(offer) => self.offer(key, connection, offer),
            ClientMessage::Answer(answer) => self.answer(key, answer),
            ClientMessage::Candidate(candidate) => self.candidate(key, connection, candidate),
            ClientMessage::Publish(publish) => {
                self.publish(key, publish)?;
                self.tell_held(key);
                Ok(())
            }
            ClientMessage::Unpublish(unpublish) => self.unpublish(key, unpublish.source),
            ClientMessage::Mute(mute) => self.mute(key, mute),
            ClientMessage::Music(music) => self.music(key, music.on),
            ClientMessage::Watch(watch) => {
                self.watch(key, watch);
                Ok(())
            }
            ClientMessage::Silence(silence) => {
                self.silence(key, silence);
                Ok(())
            }
            ClientMessage::Hand(Hand { raised }) => {
                self.change(key, |member| {
                    member.hand = if raised {
                        member.hand.or(Some(at.wall))
                    } else {
                        None
                    };
                });
                Ok(())
            }
            ClientMessage::Rename(rename) => self.rename(key, &rename),
            ClientMessage::Leave => {
                self.depart(key, LeaveReason::Left, None);
                Ok(())
            }
            ClientMessage::Moderate(moderate) => self.moderate(key, moderate),
        }
    }

    /// A client's later offer. One without a PeerConnection here opens it.
    fn offer(
        &mut self,
        key: MemberKey,
        connection: ConnectionId,
        offer: Offer,
    ) -> Result<(), Fault> {
        if offer.fresh {
            self.close_session(key);
        }
        let Some(member) = self.members.get_mut(&key) else {
            return Ok(());
        };
        let Some(session) = &mut member.session else {
            self.open_session(key, connection, offer.id, offer.sdp);
            return Ok(());
        };
        let id = session.offer(offer.id, connection)?;
        let session = session.id;
        self.order(Order::Reoffer {
            session,
            id,
            offer: offer.sdp,
        });
        Ok(())
    }

    /// The answer to our offer.
    fn answer(&mut self, key: MemberKey, answer: Answer) -> Result<(), Fault> {
        let session = (self.members.get_mut(&key)).and_then(|member| member.session.as_mut());
        let Some(session) = session else {
            return Err(conflict(
                "there is no PeerConnection that could be answered; send an offer",
            ));
        };
        session.answer(answer.id)?;
        let session = session.id;
        self.order(Order::Answer {
            session,
            answer: answer.sdp,
        });
        Ok(())
    }

    /// A candidate. Without a PeerConnection it waits for one.
    fn candidate(
        &mut self,
        key: MemberKey,
        connection: ConnectionId,
        candidate: Candidate,
    ) -> Result<(), Fault> {
        let Some(candidate) = checked_candidate(candidate)? else {
            return Ok(());
        };
        let session = (self.members.get_mut(&key)).and_then(|member| member.session.as_mut());
        match session {
            Some(session) if session.is_open => {
                session.candidates += 1;
                if session.candidates <= CANDIDATES_MAX {
                    let session = session.id;
                    let candidates = vec![candidate];
                    self.order(Order::Candidates {
                        session,
                        candidates,
                    });
                }
            }
            _ => {
                if let Some(speaker) = self.connections.get_mut(&connection)
                    && speaker.early.len() < EARLY_CANDIDATES_MAX
                {
                    speaker.early.push(candidate);
                }
            }
        }
        Ok(())
    }

    fn rename(&mut self, key: MemberKey, rename: &Rename) -> Result<(), Fault> {
        let name = checked_name(&rename.name)?;
        let is_given = (self.members.get(&key)).is_some_and(|member| member.grant.name.is_some());
        if is_given {
            return Err(Fault::new(
                ErrorCode::Forbidden,
                "the token says who you are; ask for one with another name",
            ));
        }
        self.change(key, |member| member.name = name);
        Ok(())
    }

    /// Too many messages: this one is dropped, and who goes on is closed.
    fn too_fast(
        &mut self,
        at: Moment,
        connection: ConnectionId,
        request: Option<(&'static str, Option<u64>)>,
    ) {
        let Some(speaker) = self.connections.get_mut(&connection) else {
            return;
        };
        speaker.dropped += 1;
        let is_enough = speaker.dropped > DROPPED_MAX;
        // Whoever waits for an answer must hear of it each time; the rest once a second.
        let is_told = (speaker.told_too_fast).is_some_and(|told| at.now < told + TOLD_EVERY);
        if request.is_some() || !is_told {
            speaker.told_too_fast = Some(at.now);
            let mut fault = Fault::new(
                ErrorCode::TooFast,
                "too many messages; some were ignored, wait a second and say again what matters",
            )
            .after(1);
            if let Some((request, id)) = request {
                fault = fault.of(request);
                fault.id = id;
            }
            self.send(connection, &fault.to_message());
        }
        if is_enough {
            self.drop_connection(at, connection, "too many messages");
        }
    }

    /// Closes the WebSocket of a client that misbehaves; its participant is treated as if it had been lost.
    fn drop_connection(&mut self, at: Moment, connection: ConnectionId, reason: &'static str) {
        let member = (self.connections.get(&connection)).and_then(|speaker| speaker.member());
        if let Some(key) = member {
            self.change(key, |member| {
                member.connection = None;
                member.detached = at.now;
            });
        }
        self.close(connection, close::POLICY, reason);
    }
}

/// The type of a message, and its id if it has one that counts.
fn label(message: &ClientMessage) -> (&'static str, Option<u64>) {
    match message {
        ClientMessage::Join(_) => ("join", None),
        ClientMessage::Offer(offer) => ("offer", Some(offer.id)),
        ClientMessage::Answer(answer) => ("answer", Some(answer.id)),
        ClientMessage::Candidate(_) => ("candidate", None),
        ClientMessage::Publish(_) => ("publish", None),
        ClientMessage::Unpublish(_) => ("unpublish", None),
        ClientMessage::Mute(_) => ("mute", None),
        ClientMessage::Music(_) => ("music", None),
        ClientMessage::Watch(_) => ("watch", None),
        ClientMessage::Silence(_) => ("silence", None),
        ClientMessage::Hand(_) => ("hand", None),
        ClientMessage::Rename(_) => ("rename", None),
        ClientMessage::Leave => ("leave", None),
        ClientMessage::Moderate(_) => ("moderate", None),
    }
}

/// `None` after the last one.
fn checked_candidate(candidate: Candidate) -> Result<Option<String>, Fault> {
    let candidate = candidate.candidate.unwrap_or_default();
    let value = candidate.strip_prefix("a=").unwrap_or(&candidate).trim();
    if value.is_empty() {
        return Ok(None);
    }
    if !value.starts_with("candidate:") || value.contains(['\r', '\n']) {
        return Err(Fault::new(
            ErrorCode::Malformed,
            "a candidate is one line that begins with `candidate:`, as RTCIceCandidate has it",
        ));
    }
    Ok(Some(value.to_owned()))
}

fn conflict(why: &str) -> Fault {
    Fault::new(ErrorCode::Conflict, why)
}
