//! The task of one space.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use conference::{Conference, Config, ConnectionId, Grant, IceServer, Input, Order, Output};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;

use super::counters::ConferenceCounters;
use super::media::{Later, Outcome, RoomMedia};
use super::outbox::{Close, Sender};
use super::registry::{Movement, Shared};
use crate::{clock, tokens};

/// Mails of one turn, before media and timers get theirs.
const MAILS_PER_TURN: usize = 64;

/// How often media threads are told who is heard: each time the whole list. The first change goes at once, a storm of joins in some
/// batches; also when a media thread that took no more commands is asked again.
const SETTLE_EVERY: Duration = Duration::from_millis(20);

/// What a space's task is told.
pub(super) enum Mail {
    /// Somebody is connected.
    Opened {
        connection: ConnectionId,
        random: [u8; 32],
        sender: Sender,
        /// Its household.
        address: Arc<str>,
    },
    /// A message came.
    Text {
        connection: ConnectionId,
        text: String,
    },
    /// The connection is gone. Once for each that was opened.
    Closed { connection: ConnectionId },
}

/// Starts the task of a space; it ends when nobody is left.
pub(super) fn spawn(shared: Arc<Shared>, space: Arc<str>, mail: mpsc::Receiver<Mail>) {
    let loudest = shared.settings.loudest;
    let ice_servers = (shared.settings.ice_servers.iter())
        .map(|server| IceServer {
            url: server.url.clone(),
            username: server.username.clone(),
            credential: server.credential.clone(),
        })
        .collect();
    let config = Config {
        space: space.to_string(),
        server: concat!("proscenium ", env!("CARGO_PKG_VERSION")).to_owned(),
        participants_max: shared.settings.space_participants_max,
        loudest_max: loudest,
        ice_servers,
    };
    let actor = Actor {
        media: RoomMedia::new(&shared, space.clone()),
        conference: Conference::new(config),
        clients: BTreeMap::new(),
        addresses: BTreeMap::new(),
        inputs: VecDeque::new(),
        answers: FuturesUnordered::new(),
        settle_from: clock::now(),
        events_replaced: 0,
        ending: Ending {
            shared,
            space,
            is_told: false,
        },
    };
    tokio::spawn(actor.run(mail));
}

/// Takes the space out of the registry however the task ends.
struct Ending {
    shared: Arc<Shared>,
    space: Arc<str>,
    is_told: bool,
}

impl Drop for Ending {
    fn drop(&mut self) {
        if self.is_told {
            return;
        }
        self.shared.end(&self.space);
        // A server that stops ends what has not ended in time.
        if !self.shared.shutdown.has_begun() {
            tracing::error!(space = %self.space, "the task of a conference is lost; everybody connects again. please report this");
        }
    }
}

struct Actor {
    /// Ends the room before the registry forgets the space.
    media: RoomMedia,
    conference: Conference,
    clients: BTreeMap<ConnectionId, Sender>,
    /// The household of each connection.
    addresses: BTreeMap<ConnectionId, Arc<str>>,
    /// What the conference is still to be told of its own orders.
    inputs: VecDeque<Input>,
    answers: FuturesUnordered<Later>,
    /// When media threads may next be told who is heard.
    settle_from: Instant,
    events_replaced: u64,
    ending: Ending,
}

impl Actor {
    async fn run(mut self, mut mail: mpsc::Receiver<Mail>) {
        let shutdown = self.ending.shared.shutdown.clone();
        let stopping = shutdown.begun();
        tokio::pin!(stopping);
        let mut is_stopping = false;
        let mailbox = self.media.mailbox();
        loop {
            let deadline = self.conference.deadline();
            let settle_at = self.media.is_unsettled().then_some(self.settle_from);
            let wake = [deadline, settle_at].into_iter().flatten().min();
            tokio::select! {
                // What media threads say comes before what clients ask: of the former there is only so much.
                biased;
                () = &mut stopping, if !is_stopping => {
                    is_stopping = true;
                    self.handle(Input::Stopping);
                }
                Some(news) = self.answers.next() => {
                    self.media.take_note(&news);
                    self.handle(Input::News(news));
                }
                events = mailbox.take() => {
                    for event in events {
                        if let Some(news) = self.media.news(event) {
                            self.handle(Input::News(news));
                        }
                    }
                }
                () = sleep_until(wake) => self.handle(Input::Timeout),
                Some(first) = mail.recv() => {
                    self.take_mail(first);
                    for _ in 1..MAILS_PER_TURN {
                        let Ok(next) = mail.try_recv() else { break };
                        self.take_mail(next);
                    }
                }
            }
            self.settle();
            self.account(mailbox.replaced());
            let is_idle = self.conference.is_empty() && self.answers.is_empty();
            if is_idle && self.ending.shared.try_end(&self.ending.space) {
                self.ending.is_told = true;
                tracing::debug!(space = %self.ending.space, "a conference is over");
                return;
            }
        }
    }

    fn take_mail(&mut self, mail: Mail) {
        match mail {
            Mail::Opened {
                connection,
                random,
                sender,
                address,
            } => {
                self.clients.insert(connection, sender);
                self.addresses.insert(connection, address);
                self.handle(Input::Opened { connection, random });
            }
            Mail::Text { connection, text } => {
                // What a client had still to say when it was closed does not count.
                if self.clients.contains_key(&connection) {
                    self.handle(Input::Text { connection, text });
                }
            }
            Mail::Closed { connection } => {
                if self.clients.remove(&connection).is_some() {
                    self.handle(Input::Closed { connection });
                }
                self.addresses.remove(&connection);
                self.ending.shared.disconnected(&self.ending.space);
            }
        }
    }

    /// One input, and all that follows from it at once.
    fn handle(&mut self, input: Input) {
        let mut next = Some(input);
        while let Some(input) = next {
            self.conference.handle(clock::now(), clock::wall(), input);
            while let Some(output) = self.conference.poll() {
                self.carry_out(output);
            }
            next = self.inputs.pop_front();
        }
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Send { to, text } => self.send(&to, &text),
            Output::Close {
                connection,
                code,
                reason,
            } => {
                if let Some(client) = self.clients.remove(&connection) {
                    client.close(Close { code, reason });
                }
            }
            Output::Verify { connection, token } => {
                let result = self.verify(token.as_deref());
                self.inputs
                    .push_back(Input::Verified { connection, result });
            }
            Output::Order(order) => self.order(order),
            Output::Joined { id, name } => self.moved(id, name, true),
            Output::Left { id, name } => self.moved(id, name, false),
        }
    }

    fn verify(&self, token: Option<&str>) -> Result<Grant, conference::Denied> {
        let Ending { shared, space, .. } = &self.ending;
        tokens::grant(&shared.tokens, &shared.keys, space, token)
    }

    fn moved(&self, id: String, name: String, has_joined: bool) {
        let Ending { shared, space, .. } = &self.ending;
        // Nobody listens: fine.
        let _ = shared.movements.send(Movement {
            space: space.clone(),
            id,
            name,
            has_joined,
        });
    }

    fn order(&mut self, order: Order) {
        match self.media.order(order, &self.addresses) {
            Outcome::Done => {}
            Outcome::Now(news) => self.inputs.push_back(Input::News(news)),
            Outcome::Later(answer) => self.answers.push(answer),
        }
    }

    fn send(&mut self, to: &[ConnectionId], text: &Arc<str>) {
        let counters = &self.ending.shared.counters;
        ConferenceCounters::count(&counters.texts_sent, to.len() as u64);
        for connection in to {
            let Some(client) = self.clients.get(connection) else {
                continue;
            };
            if client.send(text.clone()).is_err() {
                ConferenceCounters::count(&counters.slow, 1);
                tracing::info!(space = %self.ending.space, "a client does not read; its connection is closed");
                self.clients.remove(connection);
                self.inputs.push_back(Input::Closed {
                    connection: *connection,
                });
            }
        }
    }

    fn settle(&mut self) {
        let now = clock::now();
        if now >= self.settle_from && self.media.is_unsettled() {
            self.settle_from = now + SETTLE_EVERY;
            for news in self.media.settle() {
                self.handle(Input::News(news));
            }
        }
    }

    fn account(&mut self, replaced: u64) {
        let fresh = replaced - self.events_replaced;
        self.events_replaced = replaced;
        ConferenceCounters::count(&self.ending.shared.counters.events_replaced, fresh);
    }
}

/// Never, without an instant.
pub(super) async fn sleep_until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant.into()).await,
        None => std::future::pending().await,
    }
}
