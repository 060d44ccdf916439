//! The handles with which everybody else speaks to the bus.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bus::{
    self, ClientId, FrameKind, Input, MediaMoment, Moderation, Permissions, Position, Refusal,
    Subscription,
};
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::actor;
use super::batch::Form;
use super::counters::BusCounters;
use super::mail::Mail;
use super::outbox::{Outbox, QUEUE_BYTES_MAX, outbox};
use super::places::{NoPlace, Place, PlaceLimits, Places};
use crate::config::Config;
use crate::shutdown::Shutdown;
use crate::store::History;

/// What may wait for the hub, in units of [`UNIT_BYTES`] of which each message takes at least one: 64 MB of large messages, or so many
/// small ones. Whoever says more waits, and is not read meanwhile.
const MAILBOX_UNITS: usize = 16_384;

/// See [`MAILBOX_UNITS`].
const UNIT_BYTES: usize = 4096;

/// Clients that may be in the middle of a large message at a time: 128 MB. Others wait before they send on.
const LARGE_MAX: usize = 128;

/// How often the end of all clients is looked for while the server stops.
const DRAIN_STEP: Duration = Duration::from_millis(10);

/// Says where a space's live picture is.
pub type Moments = Arc<dyn Fn(&str) -> Option<MediaMoment> + Send + Sync>;

/// What the bus is made with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What the hub is made with.
    pub hub: bus::Settings,
    /// Clients in all, over WebSockets and data channels. Half of them may come from one address.
    pub clients_max: usize,
    /// Messages per second that all clients of one address together may say for long; beyond, they are read more slowly. A school
    /// behind one address: 250 people who move 20 times a second.
    pub address_rate: NonZeroU32,
    /// Messages that one address may say at once.
    pub address_burst: NonZeroU32,
    /// Reverse proxies, from whose addresses all the world comes: for them the limits of an address do not count, and neither for this
    /// machine's loopback.
    pub unlimited: Vec<IpAddr>,
    /// Bytes that wait for one client; [`QUEUE_BYTES_MAX`] for most.
    pub queue_bytes_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            hub: bus::Settings::default(),
            clients_max: 5000,
            address_rate: const { NonZeroU32::new(5000).expect("is not zero") },
            address_burst: const { NonZeroU32::new(10_000).expect("is not zero") },
            unlimited: Vec::new(),
            queue_bytes_max: QUEUE_BYTES_MAX,
        }
    }
}

impl Settings {
    /// As the operator wants it.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn new(config: &Config) -> Result<Self, getrandom::Error> {
        let messages = &config.messages;
        let private = config.spaces.iter().filter(|space| space.private);
        let named = config.spaces.iter();
        Ok(Self {
            hub: bus::Settings {
                position_hz: messages.position_hz,
                position_radius: messages.position_radius,
                client_rate: messages.rate,
                client_burst: messages.rate.saturating_mul(2),
                words: messages.words.clone(),
                private: private.map(|space| space.name.as_str().into()).collect(),
                named: named.map(|space| space.name.as_str().into()).collect(),
                seed: getrandom::u64()?,
                ..bus::Settings::default()
            },
            clients_max: messages.clients_max,
            unlimited: config.trusted_proxies.clone(),
            ..Self::default()
        })
    }
}

/// A client that wants to be connected.
#[derive(Debug, Clone)]
pub struct Opening {
    /// What it hears.
    pub subscription: Subscription,
    /// What it may.
    pub permissions: Permissions,
    /// Its household ([`household`](super::household)), which bans and limits count; empty for this server's own parts.
    pub address: Arc<str>,
}

/// Why a client is not connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// As many as there may be.
    #[error("there are as many clients of the message bus as there may be; try again later")]
    Full,
    /// As many as there may be from one address.
    #[error(
        "your address has half of all places of the message bus; if it is a reverse proxy, name it with --trusted-proxy"
    )]
    AddressFull,
    /// This address connects too often; it may again after this.
    #[error("your address connects too often; try again after Retry-After")]
    TooOften(Duration),
    /// The server stops.
    #[error("the server is stopping; try again in some seconds")]
    Stopping,
}

/// Why something was not published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BusError {
    /// The hub did not take it.
    #[error("the message is not relayed ({}): {}", .0.code(), .0.detail())]
    Refused(Refusal),
    /// The server stops.
    #[error("the server is stopping; try again in some seconds")]
    Stopping,
}

/// The message bus. A clone is the same one.
#[derive(Clone)]
pub struct Bus(Arc<Shared>);

pub(super) struct Shared {
    pub(super) counters: Arc<BusCounters>,
    pub(super) moments: Moments,
    pub(super) history: History,
    pub(super) settings: Settings,
    pub(super) shutdown: Shutdown,
    /// Room for what is said; the bus's task gives it back.
    pub(super) room: Arc<Semaphore>,
    pub(super) mailbox: mpsc::UnboundedSender<Mail>,
    large: Arc<Semaphore>,
    places: Arc<Places>,
    numbers: Mutex<Numbers>,
}

/// Which numbers of clients are in use.
#[derive(Debug, Default)]
struct Numbers {
    free: Vec<u32>,
    next: u32,
}

/// A client's way to the hub. Dropping it tells the hub that the client is gone.
pub struct Client {
    id: ClientId,
    form: Form,
    shared: Arc<Shared>,
    place: Arc<Place>,
}

/// Room for one large message.
#[derive(Debug)]
pub struct Large(#[expect(dead_code, reason = "only its drop is seen")] OwnedSemaphorePermit);

/// A message was not said because it has to wait.
#[derive(Debug)]
pub struct Behind(pub Bytes);

impl Bus {
    /// Starts the bus's task, which ends when the shutdown has begun and everybody was told. Call it inside a tokio runtime.
    #[must_use]
    pub fn start(
        settings: Settings,
        history: History,
        moments: Moments,
        shutdown: Shutdown,
    ) -> Self {
        let (mailbox, mail) = mpsc::unbounded_channel();
        let places = Places::new(PlaceLimits {
            clients_max: settings.clients_max,
            address_rate: settings.address_rate,
            address_burst: settings.address_burst,
            unlimited: settings.unlimited.clone(),
        });
        let shared = Arc::new(Shared {
            counters: Arc::default(),
            moments,
            history,
            settings,
            shutdown,
            room: Arc::new(Semaphore::new(MAILBOX_UNITS)),
            mailbox,
            large: Arc::new(Semaphore::new(LARGE_MAX)),
            places,
            numbers: Mutex::default(),
        });
        actor::spawn(shared.clone(), mail);
        Self(shared)
    }

    /// Connects a client; what it is told comes out of the outbox.
    ///
    /// # Errors
    /// At a limit, or when the server stops.
    pub fn connect(&self, opening: Opening) -> Result<(Client, Outbox), Refused> {
        let shared = &self.0;
        if shared.shutdown.has_begun() {
            return Err(Refused::Stopping);
        }
        let place = shared.places.admit(&opening.address).map_err(|no_place| {
            BusCounters::count(&shared.counters.refused, 1);
            match no_place {
                NoPlace::Full => Refused::Full,
                NoPlace::AddressFull => Refused::AddressFull,
                NoPlace::TooOften(wait) => Refused::TooOften(wait),
            }
        })?;
        let form = match &opening.subscription {
            Subscription::Everything => Form::Root,
            Subscription::Space { .. } => Form::Space,
        };
        let (sender, outbox) = outbox(form, shared.settings.queue_bytes_max);
        let id = shared.numbers().take();
        let opened = Mail::Opened {
            client: id,
            opening,
            sender,
        };
        // Each client has one of these: there are as many as places.
        if shared.mailbox.send(opened).is_err() {
            shared.numbers().give_back(id);
            return Err(Refused::Stopping);
        }
        BusCounters::count(shared.counters.clients(form), 1);
        let client = Client {
            id,
            form,
            shared: shared.clone(),
            place: Arc::new(place),
        };
        Ok((client, outbox))
    }

    /// Publishes an envelope for the server itself, a bridge or an operator; `except`: who does not hear it. Resolves with its number
    /// when it was handed to those who hear it; if it is kept, it is on disk then.
    ///
    /// # Errors
    /// [`BusError`]. Dropping the future does not take back what was said.
    pub async fn publish(&self, bytes: Bytes, except: Option<ClientId>) -> Result<u64, BusError> {
        let shared = &self.0;
        let units = units(bytes.len());
        let room = shared.room.acquire_many(units).await;
        room.map_err(|_| BusError::Stopping)?.forget();
        let (reply, answer) = oneshot::channel();
        let mail = Mail::Publish {
            bytes,
            except,
            reply,
            units,
        };
        shared.mailbox.send(mail).map_err(|_| BusError::Stopping)?;
        answer.await.map_err(|_| BusError::Stopping)?
    }

    /// Does what a moderator decided. It was checked and written down before.
    pub fn moderate(&self, moderation: Moderation) {
        // Without a task there is nobody to moderate.
        let _ = self
            .0
            .mailbox
            .send(Mail::Direct(Input::Moderate(moderation)));
    }

    /// Who sent one of the newest messages of a channel; `None` when that is not known (any more).
    pub async fn sender_of(&self, channel: &str, seq: u64) -> Option<bus::Sender> {
        let (reply, answer) = oneshot::channel();
        let mail = Mail::WhoSaid {
            channel: channel.into(),
            seq,
            reply,
        };
        self.0.mailbox.send(mail).ok()?;
        answer.await.ok()?
    }

    /// What is counted.
    #[must_use]
    pub fn counters(&self) -> Arc<BusCounters> {
        self.0.counters.clone()
    }

    /// Clients that are connected.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.0.places.clients()
    }

    /// Large messages that there is room for now; see [`Client::large`].
    #[must_use]
    pub fn large_free(&self) -> usize {
        self.0.large.available_permits()
    }

    /// Waits until every client is gone, at most for `limit`. Returns whether they are. To be called after the shutdown has begun.
    pub async fn drained(&self, limit: Duration) -> bool {
        let drained = async {
            while self.0.places.clients() > 0 || !self.0.mailbox.is_closed() {
                tokio::time::sleep(DRAIN_STEP).await;
            }
        };
        tokio::time::timeout(limit, drained).await.is_ok()
    }
}

impl Shared {
    fn numbers(&self) -> MutexGuard<'_, Numbers> {
        // Nothing in here is ever half changed.
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The hub has heard that a client is gone.
    pub(super) fn forget(&self, client: ClientId) {
        self.numbers().give_back(client);
    }
}

impl Numbers {
    /// Small numbers come again, so that a list of clients has no holes for long.
    fn take(&mut self) -> ClientId {
        ClientId(self.free.pop().unwrap_or_else(|| {
            self.next += 1;
            self.next - 1
        }))
    }

    fn give_back(&mut self, client: ClientId) {
        self.free.push(client.0);
    }
}

/// What a message takes of the mailbox's room.
fn units(length: usize) -> u32 {
    let units = (1 + length / UNIT_BYTES).min(MAILBOX_UNITS);
    u32::try_from(units).unwrap_or(u32::MAX)
}

impl Client {
    /// Its number, for `except` of [`Bus::publish`].
    #[must_use]
    pub fn id(&self) -> ClientId {
        self.id
    }

    /// Says a message; waits while the hub is behind or the client's address has said too much. `false` when the bus has ended.
    /// Cancel safe: what was not said is lost with the future.
    pub async fn say(&self, frame: FrameKind, bytes: Bytes) -> bool {
        match self.try_say(frame, bytes) {
            Ok(is_there) => is_there,
            Err(Behind(bytes)) => self.say_later(frame, bytes).await,
        }
    }

    /// Says a message now, or gives it back when it has to wait for [`say_later`](Self::say_later). `false` when the bus has ended.
    ///
    /// # Errors
    /// [`Behind`].
    pub fn try_say(&self, frame: FrameKind, bytes: Bytes) -> Result<bool, Behind> {
        if self.place.count().is_err() {
            return Err(Behind(bytes));
        }
        let units = units(bytes.len());
        let Ok(room) = self.shared.room.try_acquire_many(units) else {
            return Err(Behind(bytes));
        };
        room.forget();
        let said = Mail::Said {
            client: self.id,
            frame,
            bytes,
            units,
        };
        Ok(self.shared.mailbox.send(said).is_ok())
    }

    /// Says a message as soon as there is room and its address's allowance lets it; the future outlives the client's borrow.
    /// `false` when the bus has ended.
    pub fn say_later(
        &self,
        frame: FrameKind,
        bytes: Bytes,
    ) -> impl Future<Output = bool> + Send + 'static {
        let (client, shared, place) = (self.id, self.shared.clone(), self.place.clone());
        BusCounters::count(&shared.counters.held_back, 1);
        async move {
            while let Err(wait) = place.count() {
                tokio::time::sleep(wait).await;
            }
            let units = units(bytes.len());
            let Ok(room) = shared.room.acquire_many(units).await else {
                return false;
            };
            room.forget();
            let said = Mail::Said {
                client,
                frame,
                bytes,
                units,
            };
            shared.mailbox.send(said).is_ok()
        }
    }

    /// Room for a message that is so large that not everybody can be in the middle of one; waits for it. Drop it when the message is there.
    /// `None` when the bus has ended.
    pub fn large(&self) -> impl Future<Output = Option<Large>> + Send + 'static {
        let room = self.shared.large.clone();
        async move { room.acquire_owned().await.ok().map(Large) }
    }

    /// Moves somebody, as the data channel `positions` says. `false` when the bus has ended. Waits as [`say`](Self::say) does.
    pub async fn moved(&self, user: Arc<str>, position: Position) -> bool {
        while let Err(wait) = self.place.count() {
            tokio::time::sleep(wait).await;
        }
        let Ok(room) = self.shared.room.acquire().await else {
            return false;
        };
        room.forget();
        let moved = Mail::Moved {
            client: self.id,
            user,
            position,
        };
        self.shared.mailbox.send(moved).is_ok()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let gauge = self.shared.counters.clients(self.form);
        gauge.fetch_sub(1, Ordering::Relaxed);
        // Without a task nobody remembers it.
        let _ = self.shared.mailbox.send(Mail::Closed { client: self.id });
    }
}
