//! Which space has a task, and who is connected to it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use conference::ConnectionId;
use tokio::sync::{broadcast, mpsc};
use venue::SpaceName;

use super::actor::{self, Mail};
use super::counters::ConferenceCounters;
use super::outbox::{Outbox, outbox};
use crate::auth::Keys;
use crate::bus::Bus;
use crate::config::IceServer;
use crate::media::Handle;
use crate::shutdown::Shutdown;
use crate::tokens::Tokens;

/// Spaces with a conference at a time: as many as there can be participants by default, in the emptiest of worlds. Each costs a task and
/// some kilobytes.
pub const SPACES_MAX: usize = 1024;

/// What waits for one space's task: a storm of joins, and a few messages of each client behind it. Readers wait when it is full.
const MAILBOX_MAX: usize = 1024;

/// How many WebSockets there may be for each participant: those who reconnect have two for a moment.
pub const CONNECTIONS_PER_PARTICIPANT: usize = 2;

/// How often the end of all connections is looked for while the server stops.
const DRAIN_STEP: Duration = Duration::from_millis(10);

/// What conferences are made with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Participants in all conferences.
    pub participants_max: usize,
    /// Participants in one.
    pub space_participants_max: usize,
    /// How many of the loudest are heard at a time.
    pub loudest: usize,
    /// Bytes that wait for one client; [`QUEUE_BYTES_MAX`](super::QUEUE_BYTES_MAX) for most.
    pub queue_bytes_max: usize,
    /// Told to clients.
    pub ice_servers: Vec<IceServer>,
}

/// Movements that a slow listener may be behind: everybody of a full conference, and again.
const MOVEMENTS_MAX: usize = 1024;

/// Somebody came into a conference, or left it for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movement {
    /// Where.
    pub space: Arc<str>,
    /// The participant's id in the protocol.
    pub id: String,
    /// Its name, as it was last.
    pub name: String,
    /// Which of the two.
    pub has_joined: bool,
}

/// All conferences. A clone is the same ones.
#[derive(Clone)]
pub struct Conferences(Arc<Shared>);

pub(super) struct Shared {
    pub(super) media: Handle,
    pub(super) tokens: Tokens,
    pub(super) keys: Keys,
    pub(super) settings: Settings,
    pub(super) shutdown: Shutdown,
    pub(super) counters: Arc<ConferenceCounters>,
    pub(super) bus: OnceLock<Bus>,
    pub(super) movements: broadcast::Sender<Movement>,
    spaces: Mutex<HashMap<Arc<str>, Space>>,
    next_connection: AtomicU64,
}

struct Space {
    mailbox: mpsc::Sender<Mail>,
    /// Connections that were made and of whose end the task has not heard yet.
    connections: usize,
}

/// Why there is no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Too many connections or spaces.
    #[error("the venue is full: {0}")]
    Full(&'static str),
    /// The server stops.
    #[error("the venue is closing")]
    Stopping,
    /// The system gives no random bytes.
    #[error("the server has no random numbers; try again later")]
    NoRandom,
}

/// A client's way to its space's task. Dropping it tells the task that the client is gone.
pub struct Connection {
    id: ConnectionId,
    mailbox: mpsc::Sender<Mail>,
    counters: Arc<ConferenceCounters>,
}

impl Conferences {
    /// None yet. Tasks are made when somebody comes and end when everybody has left.
    #[must_use]
    pub fn new(
        media: Handle,
        tokens: Tokens,
        keys: Keys,
        settings: Settings,
        shutdown: Shutdown,
    ) -> Self {
        Self(Arc::new(Shared {
            media,
            tokens,
            keys,
            settings,
            shutdown,
            counters: Arc::default(),
            bus: OnceLock::new(),
            movements: broadcast::channel(MOVEMENTS_MAX).0,
            spaces: Mutex::default(),
            next_connection: AtomicU64::new(1),
        }))
    }

    /// Connects the data channels of participants to the message bus. Until then, they are closed as they open. The first bus counts.
    pub fn carry(&self, bus: Bus) {
        let _ = self.0.bus.set(bus);
    }

    /// What is counted.
    #[must_use]
    pub fn counters(&self) -> Arc<ConferenceCounters> {
        self.0.counters.clone()
    }

    /// Who comes and goes in all conferences, as it happens. A receiver that lags has missed some.
    #[must_use]
    pub fn movements(&self) -> broadcast::Receiver<Movement> {
        self.0.movements.subscribe()
    }

    fn check_room(&self) -> Result<(), Refused> {
        if self.0.shutdown.has_begun() {
            return Err(Refused::Stopping);
        }
        let connections_max = CONNECTIONS_PER_PARTICIPANT * self.0.settings.participants_max;
        if self.0.counters.connections() >= connections_max {
            ConferenceCounters::count(&self.0.counters.refused, 1);
            return Err(Refused::Full(
                "there are as many connections as there may be",
            ));
        }
        Ok(())
    }

    /// Connects a client to a space, whose task is started if it has none. Call it inside a tokio runtime. `address` is the client's
    /// household, as the message bus bans and limits by it.
    ///
    /// # Errors
    /// At a limit, or when the server stops.
    pub fn connect(
        &self,
        space: &SpaceName,
        address: Arc<str>,
    ) -> Result<(Connection, Outbox), Refused> {
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(|_| Refused::NoRandom)?;
        let shared = &self.0;
        let space: Arc<str> = space.clone().into();
        let id = ConnectionId(shared.next_connection.fetch_add(1, Ordering::Relaxed));
        let (sender, outbox) = outbox(shared.settings.queue_bytes_max);
        let opened = Mail::Opened {
            connection: id,
            random,
            sender,
            address,
        };
        let mut spaces = shared.lock();
        // Under the lock: of many who come at once none may slip past the limit.
        self.check_room()?;
        if !spaces.contains_key(&space) && spaces.len() >= SPACES_MAX {
            ConferenceCounters::count(&shared.counters.refused, 1);
            return Err(Refused::Full(
                "there are as many conferences as there may be",
            ));
        }
        let entry = spaces.entry(space.clone()).or_insert_with(|| {
            let (mailbox, mail) = mpsc::channel(MAILBOX_MAX);
            actor::spawn(shared.clone(), space, mail);
            Space {
                mailbox,
                connections: 0,
            }
        });
        if entry.mailbox.try_send(opened).is_err() {
            ConferenceCounters::count(&shared.counters.refused, 1);
            return Err(Refused::Full("too many join this space at once"));
        }
        entry.connections += 1;
        let connection = Connection {
            id,
            mailbox: entry.mailbox.clone(),
            counters: shared.counters.clone(),
        };
        shared
            .counters
            .spaces
            .store(spaces.len(), Ordering::Relaxed);
        shared.counters.connections.fetch_add(1, Ordering::Relaxed);
        Ok((connection, outbox))
    }

    /// Waits until every connection is closed and every task has ended, at most for `limit`. Returns whether they have. To be called after
    /// the shutdown has begun.
    pub async fn drained(&self, limit: Duration) -> bool {
        let drained = async {
            while self.0.counters.connections() > 0 || !self.0.lock().is_empty() {
                tokio::time::sleep(DRAIN_STEP).await;
            }
        };
        tokio::time::timeout(limit, drained).await.is_ok()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Space>> {
        // Nothing in here is ever half changed.
        self.spaces.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A task has heard of a connection's end.
    pub(super) fn disconnected(&self, space: &str) {
        if let Some(space) = self.lock().get_mut(space) {
            space.connections -= 1;
        }
    }

    /// Ends a space whose task has nobody left. Returns `false` when somebody has come meanwhile.
    pub(super) fn try_end(&self, space: &str) -> bool {
        let mut spaces = self.lock();
        if spaces.get(space).is_some_and(|space| space.connections > 0) {
            return false;
        }
        spaces.remove(space);
        self.counters.spaces.store(spaces.len(), Ordering::Relaxed);
        true
    }

    /// Ends a space whose task is lost, whoever is connected to it.
    pub(super) fn end(&self, space: &str) {
        let mut spaces = self.lock();
        spaces.remove(space);
        self.counters.spaces.store(spaces.len(), Ordering::Relaxed);
    }
}

impl Connection {
    /// Hands a message on; waits while the space's task is behind. `false` when that task is gone.
    pub async fn text(&self, text: String) -> bool {
        ConferenceCounters::count(&self.counters.texts_received, 1);
        let mail = Mail::Text {
            connection: self.id,
            text,
        };
        self.mailbox.send(mail).await.is_ok()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.counters.connections.fetch_sub(1, Ordering::Relaxed);
        let closed = Mail::Closed {
            connection: self.id,
        };
        // A task that is behind must hear of this end, too. As many wait as there are connections.
        if let Err(mpsc::error::TrySendError::Full(closed)) = self.mailbox.try_send(closed)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let mailbox = self.mailbox.clone();
            runtime.spawn(async move {
                let _ = mailbox.send(closed).await;
            });
        }
    }
}
