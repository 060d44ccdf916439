//! A conference with clients and media whose every move a test makes, and the rules that hold after each one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant, SystemTime};

use conference::protocol::ServerMessage;
use conference::{
    Conference, Config, ConnectionId, Denied, FeedId, Grant, IceServer, Input, News, Order, Output,
    ParticipantRole, SessionId,
};
use serde_json::{Value, json};

/// Whom a test means: a connection by its number.
pub(crate) type Client = u64;

/// What one client has seen.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) messages: Vec<ServerMessage>,
    pub(crate) closed: Option<u16>,
    /// Whom it knows by now; empty before its welcome.
    pub(crate) known: BTreeMap<String, String>,
}

pub(crate) struct House {
    pub(crate) conference: Conference,
    pub(crate) now: Instant,
    pub(crate) wall: SystemTime,
    pub(crate) clients: BTreeMap<Client, Seen>,
    /// Orders since they were last taken.
    pub(crate) orders: Vec<Order>,
    /// Orders, messages and closes in their order, in a few words each.
    pub(crate) log: Vec<String>,
    pub(crate) verifying: Vec<(Client, Option<String>)>,
    /// What a token gives; `None` leaves the checking to the test.
    pub(crate) grant: Option<Grant>,
    /// Answers offers at once.
    pub(crate) answers: bool,
    open: BTreeSet<SessionId>,
    over: BTreeSet<SessionId>,
    feeds: BTreeMap<FeedId, SessionId>,
    over_feeds: BTreeSet<FeedId>,
    /// Sessions in which an offer of the server is being made, waits for its answer, is being taken, or is made in vain.
    offering: BTreeMap<SessionId, &'static str>,
    gone: BTreeSet<Client>,
    /// Who is in, as whoever watches from outside is told.
    inside: BTreeMap<String, String>,
    next_client: Client,
}

pub(crate) fn grant(role: ParticipantRole) -> Grant {
    Grant {
        role,
        name: None,
        subject: None,
    }
}

pub(crate) fn identity(name: &str) -> String {
    format!("{name}-0123456789abcdef")
}

impl House {
    pub(crate) fn new() -> Self {
        Self::with_room_for(200)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "any moment will do to start with"
    )]
    pub(crate) fn with_room_for(participants_max: usize) -> Self {
        let config = Config {
            space: "residence".to_owned(),
            server: "proscenium 0.2.0".to_owned(),
            participants_max,
            loudest_max: 8,
            ice_servers: vec![IceServer {
                url: "stun:stun.example:3478".to_owned(),
                username: None,
                credential: None,
            }],
        };
        Self {
            conference: Conference::new(config),
            now: Instant::now(),
            wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_374_000),
            clients: BTreeMap::new(),
            orders: Vec::new(),
            log: Vec::new(),
            verifying: Vec::new(),
            grant: Some(grant(ParticipantRole::Participant)),
            answers: true,
            open: BTreeSet::new(),
            over: BTreeSet::new(),
            feeds: BTreeMap::new(),
            over_feeds: BTreeSet::new(),
            offering: BTreeMap::new(),
            gone: BTreeSet::new(),
            inside: BTreeMap::new(),
            next_client: 0,
        }
    }

    /// A new WebSocket.
    pub(crate) fn connect(&mut self) -> Client {
        self.next_client += 1;
        let client = self.next_client;
        self.clients.insert(client, Seen::default());
        let mut random = [0; 32];
        random[..8].copy_from_slice(&client.to_be_bytes());
        random[8..16].copy_from_slice(&(client * 7919).to_be_bytes());
        self.input(Input::Opened {
            connection: ConnectionId(client),
            random,
        });
        client
    }

    /// Joins under a name, with an offer whose camera is published.
    pub(crate) fn join(&mut self, name: &str) -> Client {
        let client = self.connect();
        self.say(client, join_message(name));
        client
    }

    /// Joins with this role.
    pub(crate) fn join_as(&mut self, name: &str, role: ParticipantRole) -> Client {
        let before = self.grant.replace(grant(role));
        let client = self.join(name);
        self.grant = before;
        client
    }

    pub(crate) fn say(&mut self, client: Client, message: Value) {
        self.say_text(client, &message.to_string());
    }

    pub(crate) fn say_text(&mut self, client: Client, text: &str) {
        self.input(Input::Text {
            connection: ConnectionId(client),
            text: text.to_owned(),
        });
    }

    pub(crate) fn hang_up(&mut self, client: Client) {
        self.gone.insert(client);
        self.input(Input::Closed {
            connection: ConnectionId(client),
        });
    }

    pub(crate) fn verified(&mut self, client: Client, result: Result<Grant, Denied>) {
        self.input(Input::Verified {
            connection: ConnectionId(client),
            result,
        });
    }

    pub(crate) fn news(&mut self, news: News) {
        match &news {
            News::Answered {
                session,
                id: 0,
                result,
            } => match result {
                Ok(_) => {
                    self.open.insert(*session);
                }
                Err(_) => self.end(*session),
            },
            News::Offered { session, result } => match self.offering.get_mut(session) {
                Some(state) if *state == "is made" && matches!(result, Ok(Some(_))) => {
                    *state = "waits";
                }
                _ => {
                    self.offering.remove(session);
                }
            },
            News::AnswerTaken { session, .. } => {
                self.offering.remove(session);
            }
            News::Ended { session, .. } => self.end(*session),
            _ => {}
        }
        self.input(Input::News(news));
    }

    /// Lets time pass, with every timer on the way.
    pub(crate) fn wait(&mut self, duration: Duration) {
        let end = self.now + duration;
        let mut timers = 0;
        while let Some(due) = self.conference.deadline().filter(|due| *due <= end) {
            self.go_to(due.max(self.now));
            self.input(Input::Timeout);
            timers += 1;
            assert!(timers < 10_000, "a timer does not go away");
        }
        self.go_to(end);
    }

    pub(crate) fn go_to(&mut self, instant: Instant) {
        self.wall += instant - self.now;
        self.now = instant;
    }

    pub(crate) fn input(&mut self, input: Input) {
        self.conference.handle(self.now, self.wall, input);
        let mut inputs = Vec::new();
        while let Some(output) = self.conference.poll() {
            inputs.extend(self.output(output));
        }
        for input in inputs {
            match input {
                Input::News(news) => self.news(news),
                other => self.input(other),
            }
        }
    }

    fn output(&mut self, output: Output) -> Option<Input> {
        match output {
            Output::Send { to, text } => {
                assert!(!to.is_empty(), "a text for nobody: {text}");
                for ConnectionId(client) in to {
                    let message: Value = serde_json::from_str(&text).unwrap();
                    let kind = message["type"].as_str().unwrap();
                    self.log.push(format!("tell {client} {kind}"));
                    self.clients.get_mut(&client).unwrap().see(&text);
                }
            }
            Output::Close {
                connection, code, ..
            } => {
                self.log.push(format!("close {} {code}", connection.0));
                let client = self.clients.get_mut(&connection.0).unwrap();
                assert_eq!(client.closed, None, "closed twice");
                client.closed = Some(code);
            }
            Output::Verify { connection, token } => {
                let Some(grant) = self.grant.clone() else {
                    self.verifying.push((connection.0, token));
                    return None;
                };
                return Some(Input::Verified {
                    connection,
                    result: Ok(grant),
                });
            }
            Output::Order(order) => {
                self.check(&order);
                let words = format!("{order:?}");
                let word = words.split([' ', '{']).next().unwrap();
                self.log.push(format!("order {word}"));
                let answer = self.answers.then(|| answer_to(&order)).flatten();
                self.orders.push(order);
                return answer.map(Input::News);
            }
            Output::Joined { id, name } => {
                assert_eq!(self.inside.insert(id, name), None, "joined twice");
            }
            Output::Left { id, name } => {
                assert!(
                    self.inside.remove(&id).is_some(),
                    "{name} left without joining"
                );
            }
        }
        None
    }

    /// What holds for every order.
    fn check(&mut self, order: &Order) {
        let session = session_of(order);
        if let Some(session) = session {
            assert!(
                !self.over.contains(&session),
                "an order to a session that is over: {order:?}"
            );
            let opens = matches!(order, Order::Open { .. } | Order::Close { .. });
            assert!(
                opens || self.open.contains(&session),
                "an order to a session that is not open: {order:?}"
            );
        }
        match order {
            Order::Publish { session, feed, .. } => {
                let owner = *self.feeds.entry(*feed).or_insert(*session);
                assert_eq!(owner, *session, "a feed belongs to one session");
                assert!(!self.over_feeds.contains(feed), "a feed's id is used again");
            }
            Order::Unpublish { feed, .. } => {
                assert!(self.feeds.remove(feed).is_some(), "{order:?}");
                self.over_feeds.insert(*feed);
            }
            Order::Mute { feed, .. } | Order::Name { feed, .. } => {
                assert!(self.feeds.contains_key(feed), "{order:?}");
            }
            Order::Watch { wants, .. } => {
                for want in wants {
                    let is_published = self.feeds.contains_key(&want.feed);
                    assert!(is_published, "nobody publishes that: {order:?}");
                }
            }
            Order::AddSlots { session, .. } => {
                let before = self.offering.insert(*session, "is made");
                assert_eq!(before, None, "two offers of the server: {order:?}");
            }
            Order::Reoffer { session, .. } => {
                // What is being taken is no longer an offer; the rest is withdrawn, also what is still being made.
                match self.offering.get_mut(session) {
                    Some(state) if *state == "is made" => *state = "withdrawn",
                    Some(state) if *state == "waits" => {
                        self.offering.remove(session);
                    }
                    _ => {}
                }
            }
            Order::Answer { session, .. } => {
                let before = self.offering.insert(*session, "is taken");
                assert_eq!(before, Some("waits"), "nothing to answer: {order:?}");
            }
            Order::Close { session } => self.end(*session),
            Order::Silence { feeds, .. } => {
                for feed in feeds {
                    let is_published = self.feeds.contains_key(feed);
                    assert!(is_published, "nobody publishes that: {order:?}");
                }
            }
            Order::Open { .. } | Order::Candidates { .. } => {}
        }
    }

    fn end(&mut self, session: SessionId) {
        self.over.insert(session);
        self.offering.remove(&session);
        let own: Vec<_> = (self.feeds.iter())
            .filter(|(_, owner)| **owner == session)
            .map(|(feed, _)| *feed)
            .collect();
        for feed in own {
            self.feeds.remove(&feed);
            self.over_feeds.insert(feed);
        }
    }

    /// Sessions for which an order may come.
    pub(crate) fn live_sessions(&self) -> Vec<SessionId> {
        (self.open.iter())
            .filter(|session| !self.over.contains(session))
            .copied()
            .collect()
    }

    pub(crate) fn live_feeds(&self) -> Vec<FeedId> {
        self.feeds.keys().copied().collect()
    }

    pub(crate) fn take_orders(&mut self) -> Vec<Order> {
        std::mem::take(&mut self.orders)
    }

    pub(crate) fn take(&mut self, client: Client) -> Vec<ServerMessage> {
        std::mem::take(&mut self.clients.get_mut(&client).unwrap().messages)
    }

    /// As JSON, which reads better in assertions.
    pub(crate) fn take_json(&mut self, client: Client) -> Vec<Value> {
        (self.take(client).iter())
            .map(|message| serde_json::to_value(message).unwrap())
            .collect()
    }

    /// The last message of a type, as JSON; earlier ones are forgotten.
    pub(crate) fn last(&mut self, client: Client, kind: &str) -> Value {
        let messages = self.take_json(client);
        (messages.iter().rev())
            .find(|message| message["type"] == kind)
            .unwrap_or_else(|| panic!("no {kind} among {messages:#?}"))
            .clone()
    }

    /// The codes of the errors that a client was told.
    pub(crate) fn errors(&mut self, client: Client) -> Vec<String> {
        (self.take_json(client).iter())
            .filter(|message| message["type"] == "error")
            .map(|message| message["code"].as_str().unwrap().to_owned())
            .collect()
    }

    pub(crate) fn closed(&self, client: Client) -> Option<u16> {
        self.clients[&client].closed
    }

    /// Whether it hung up itself.
    pub(crate) fn is_gone(&self, client: Client) -> bool {
        self.gone.contains(&client)
    }

    /// How a client knows whom, by name.
    pub(crate) fn names(&self, client: Client) -> Vec<&str> {
        let mut names: Vec<_> = (self.clients[&client].known.values())
            .map(String::as_str)
            .collect();
        names.sort_unstable();
        names
    }

    /// A participant's id, as `client` knows it.
    pub(crate) fn id(&self, client: Client, name: &str) -> String {
        (self.clients[&client].known.iter())
            .find(|(_, known)| *known == name)
            .unwrap_or_else(|| panic!("{name} is not known"))
            .0
            .clone()
    }

    /// The session that was opened last.
    pub(crate) fn last_session(&self) -> SessionId {
        *self.open.last().unwrap()
    }
}

impl Seen {
    fn see(&mut self, text: &str) {
        assert_eq!(self.closed, None, "a text after the end: {text}");
        let message: ServerMessage = serde_json::from_str(text).unwrap();
        assert_eq!(&*message.to_text(), text, "read and written again");
        match &message {
            ServerMessage::Welcome(welcome) => {
                assert!(self.known.is_empty(), "welcomed twice");
                self.known = (welcome.participants.iter())
                    .map(|participant| (participant.id.clone(), participant.name.clone()))
                    .collect();
                assert!(self.known.contains_key(&welcome.id), "not oneself");
            }
            ServerMessage::Joined { participant } => self.joined(participant),
            ServerMessage::Updated { participant } => self.updated(participant),
            ServerMessage::Left(departure) => self.left(&departure.id),
            ServerMessage::Participants {
                joined,
                updated,
                left,
            } => {
                joined.iter().for_each(|who| self.joined(who));
                updated.iter().for_each(|who| self.updated(who));
                left.iter().for_each(|who| self.left(&who.id));
            }
            ServerMessage::Slots { slots } => {
                slots.iter().for_each(|slot| self.knows(&slot.id));
            }
            ServerMessage::Speakers { dominant, active } => {
                dominant.iter().for_each(|id| self.knows(id));
                active.iter().for_each(|speaker| self.knows(&speaker.id));
            }
            ServerMessage::Quality { participants } => {
                participants.iter().for_each(|who| self.knows(&who.id));
            }
            _ => {}
        }
        self.messages.push(message);
    }

    fn joined(&mut self, participant: &conference::protocol::Participant) {
        let before = (self.known).insert(participant.id.clone(), participant.name.clone());
        assert_eq!(before, None, "joined twice: {participant:?}");
    }

    fn updated(&mut self, participant: &conference::protocol::Participant) {
        let before = (self.known).insert(participant.id.clone(), participant.name.clone());
        assert!(
            before.is_some(),
            "changed before it joined: {participant:?}"
        );
    }

    fn left(&mut self, id: &str) {
        assert!(
            self.known.remove(id).is_some(),
            "left without having joined: {id}"
        );
    }

    fn knows(&self, id: &str) {
        assert!(self.known.contains_key(id), "who is {id}?");
    }
}

/// A join with an offer and a camera of three layers.
pub(crate) fn join_message(name: &str) -> Value {
    json!({
        "type": "join", "version": 1, "name": name, "identity": identity(name), "sdp": "offer",
        "feeds": [camera()],
    })
}

pub(crate) fn camera() -> Value {
    json!({
        "type": "publish", "source": "camera", "audio": "0", "video": "1",
        "layers": [
            {"rid": "q", "width": 320, "height": 180},
            {"rid": "h", "width": 640, "height": 360},
            {"rid": "f", "width": 1280, "height": 720},
        ],
    })
}

pub(crate) fn screen() -> Value {
    json!({"type": "publish", "source": "screen", "audio": null, "video": "2", "layers": []})
}

/// What willing media answers.
pub(crate) fn answer_to(order: &Order) -> Option<News> {
    let sdp = "answer".to_owned();
    Some(match order {
        Order::Open { session, .. } => News::Answered {
            session: *session,
            id: 0,
            result: Ok(sdp),
        },
        Order::Reoffer { session, id, .. } => News::Answered {
            session: *session,
            id: *id,
            result: Ok(sdp),
        },
        Order::AddSlots { session, .. } => News::Offered {
            session: *session,
            result: Ok(Some("slots".to_owned())),
        },
        Order::Answer { session, .. } => News::AnswerTaken {
            session: *session,
            result: Ok(()),
        },
        Order::Name { feed, stream } => News::Named {
            feed: *feed,
            result: Ok(stream.clone()),
        },
        _ => return None,
    })
}

pub(crate) fn session_of(order: &Order) -> Option<SessionId> {
    match order {
        Order::Open { session, .. }
        | Order::Reoffer { session, .. }
        | Order::AddSlots { session, .. }
        | Order::Answer { session, .. }
        | Order::Candidates { session, .. }
        | Order::Publish { session, .. }
        | Order::Unpublish { session, .. }
        | Order::Mute { session, .. }
        | Order::Watch { session, .. }
        | Order::Silence { session, .. }
        | Order::Close { session } => Some(*session),
        Order::Name { .. } => None,
    }
}
