//! The socket and the tasks: one that receives, and one for each space that is sent from.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bus::{Message, Permissions, PositionForm, Subscription};
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use jiff::Timestamp;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;

use super::counters::OscCounters;
use super::echoes::Echoes;
use super::inbound::{Inbound, Said, Spaces, count};
use super::outbound::{self, Outgoing};
use super::peers::{PeerSet, Peers};
use crate::bus::{Bus, BusError, Item, Opening, Outbox};
use crate::clock;
use crate::config::{OscConfig, SpaceConfig};

/// The largest datagram there is.
const DATAGRAM_MAX: usize = 65_536;

/// Messages that the bus has not confirmed yet. One that is kept takes some milliseconds, so that this is more than what
/// all senders may send meanwhile.
const PUBLISHING_MAX: usize = 4096;

/// Letters of a message's id, as all clients have it.
const ID_LETTERS: usize = 16;

/// How long a space that the bus gave up waits before it is connected again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// After an error of the socket: it must not keep a core busy.
const PAUSE: Duration = Duration::from_millis(50);

/// Why there is no bridge.
#[derive(Debug, thiserror::Error)]
pub enum OscError {
    /// The address cannot be used.
    #[error(
        "osc cannot be received at {address} over udp: {source}; another program may use the port: choose one with --osc"
    )]
    Bind {
        /// As configured.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
}

/// A bridge that has its socket and does not run yet.
pub struct OscBridge {
    shared: Arc<Shared>,
    inbound: Inbound,
    out: Vec<Arc<str>>,
    address: SocketAddr,
}

struct Shared {
    bus: Bus,
    socket: UdpSocket,
    is_ipv6: bool,
    counters: Arc<OscCounters>,
    state: Mutex<State>,
}

struct State {
    peers: Peers,
    echoes: Echoes,
}

impl OscBridge {
    /// Binds the socket. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// [`OscError::Bind`].
    pub async fn bind(
        config: &OscConfig,
        spaces: &[SpaceConfig],
        bus: Bus,
    ) -> Result<Self, OscError> {
        let refused = |source| OscError::Bind {
            address: config.listen,
            source,
        };
        let socket = UdpSocket::bind(config.listen).await.map_err(refused)?;
        let address = socket.local_addr().map_err(refused)?;
        let counters = Arc::<OscCounters>::default();
        let names = |is_private: bool| {
            let spaces = spaces
                .iter()
                .filter(move |space| space.private == is_private);
            spaces.map(|space| space.name.clone()).collect()
        };
        let bridged = Spaces {
            listed: config.spaces.iter().cloned().collect(),
            private: names(true),
            named: names(false),
        };
        let peers = Peers::new(config);
        let out = match peers.has_receivers() {
            true => bridged
                .listed
                .iter()
                .map(|name| name.as_str().into())
                .collect(),
            false => Vec::new(),
        };
        Ok(Self {
            inbound: Inbound::new(bridged, counters.clone()),
            shared: Arc::new(Shared {
                bus,
                is_ipv6: address.is_ipv6(),
                socket,
                counters,
                state: Mutex::new(State {
                    peers,
                    echoes: Echoes::default(),
                }),
            }),
            out,
            address,
        })
    }

    /// Where it receives.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it counts.
    #[must_use]
    pub fn counters(&self) -> Arc<OscCounters> {
        self.shared.counters.clone()
    }

    /// Exchanges messages for ever. Drop the future to end it: its clients of the bus go with it.
    pub async fn run(self) {
        tracing::info!(address = %self.address, spaces_out = self.out.len(), "osc is bridged");
        // Aborts its tasks when it is dropped.
        let mut senders = JoinSet::new();
        for space in self.out {
            senders.spawn(send_space(self.shared.clone(), space));
        }
        receive(self.shared, self.inbound).await;
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is made in one go.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends to all peers but those. Never waits: what the system does not take at once is lost, as on any network.
    fn send(&self, peers: &mut Peers, except: PeerSet, datagram: &[u8], now: Instant) {
        let mut lost = 0;
        let refused = peers.receivers(except, now, |at| {
            let sent = self
                .socket
                .try_send_to(datagram, reachable(at, self.is_ipv6));
            match sent {
                Ok(_) => count(&self.counters.sent),
                Err(error) => {
                    lost += 1;
                    tracing::debug!(%error, "an OSC datagram was not sent");
                }
            }
        });
        self.counters
            .unsent
            .fetch_add(lost + refused, Ordering::Relaxed);
    }

    /// A space's message goes out.
    fn relay(&self, space: &Arc<str>, message: &Message, now: Instant) {
        match outbound::message(space, message) {
            Outgoing::Datagram(datagram) => {
                let mut state = self.state();
                let except = state.echoes.of(message.id.as_deref());
                self.send(&mut state.peers, except, &datagram, now);
            }
            Outgoing::TooLarge => count(&self.counters.left_out),
            Outgoing::NotForOsc => {}
        }
    }
}

/// IPv4 as a socket of IPv6 says it.
fn reachable(at: SocketAddr, is_ipv6: bool) -> SocketAddr {
    match at.ip() {
        IpAddr::V4(ip) if is_ipv6 => SocketAddr::new(mapped(ip), at.port()),
        _ => at,
    }
}

fn mapped(ip: Ipv4Addr) -> IpAddr {
    ip.to_ipv6_mapped().into()
}

async fn receive(shared: Arc<Shared>, mut inbound: Inbound) {
    let mut buffer = vec![0; DATAGRAM_MAX];
    let mut publishing: FuturesUnordered<BoxFuture<'static, Result<u64, BusError>>> =
        FuturesUnordered::new();
    let mut said = Vec::new();
    loop {
        let due = inbound.deadline();
        tokio::select! {
            biased;
            Some(result) = publishing.next() => confirm(&shared, result),
            () = wait_until(due) => inbound.take_due(clock::now(), &mut said),
            received = shared.socket.recv_from(&mut buffer) => match received {
                Ok((length, source)) => inbound.handle(
                    &mut shared.state().peers,
                    (clock::now(), clock::wall()),
                    (source, &buffer[..length]),
                    &mut said,
                ),
                Err(error) => {
                    tracing::debug!(%error, "OSC was not received");
                    tokio::time::sleep(PAUSE).await;
                }
            },
        }
        for said in said.drain(..) {
            if publishing.len() == PUBLISHING_MAX {
                count(&shared.counters.refused);
                continue;
            }
            if let Some(publish) = publish(&shared, &said) {
                publishing.push(publish);
            }
        }
        // They reach the bus now, and in this order.
        while let Some(Some(result)) = publishing.next().now_or_never() {
            confirm(&shared, result);
        }
    }
}

async fn wait_until(due: Option<Instant>) {
    match due {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

fn confirm(shared: &Shared, result: Result<u64, BusError>) {
    if let Err(error) = result {
        count(&shared.counters.refused);
        tracing::debug!(%error, "a message from OSC was not published");
    }
}

fn publish(shared: &Arc<Shared>, said: &Said) -> Option<BoxFuture<'static, Result<u64, BusError>>> {
    let id = fresh_id()?;
    let time = Timestamp::try_from(clock::wall()).unwrap_or_default();
    let envelope = said.envelope(&id, &format!("{time:.3}"))?;
    {
        let mut state = shared.state();
        match said.moved() {
            Some((user, to)) => state.echoes.moved(&said.space, user, said.echoes, to),
            None => state.echoes.remember(&id, said.echoes),
        }
    }
    let bus = shared.bus.clone();
    Some(async move { bus.publish(Bytes::from(envelope), None).await }.boxed())
}

/// Sixteen random lower-case letters.
fn fresh_id() -> Option<String> {
    let mut random = [0; ID_LETTERS];
    getrandom::fill(&mut random).ok()?;
    let letter = |byte: &u8| char::from(b'a' + byte % 26);
    Some(random.iter().map(letter).collect())
}

/// Sends what is said in a space, for ever.
async fn send_space(shared: Arc<Shared>, space: Arc<str>) {
    loop {
        let opening = Opening {
            subscription: Subscription::Space {
                space: space.clone(),
                types: Vec::new(),
                since: None,
                positions: PositionForm::Json,
            },
            permissions: Permissions::default(),
            address: "".into(),
        };
        match shared.bus.connect(opening) {
            // The client is held as long as there is something to hear.
            Ok((_client, outbox)) => send_all(&shared, &space, outbox).await,
            Err(error) => tracing::warn!(%space, %error, "OSC cannot hear this space"),
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

/// Returns when the bus closes the subscription.
async fn send_all(shared: &Shared, space: &Arc<str>, mut outbox: Outbox) {
    loop {
        let item = outbox.next().await;
        let now = clock::now();
        match item {
            Item::Batch(batch) => {
                for message in batch.messages().iter() {
                    shared.relay(space, message, now);
                }
            }
            Item::One(message) => shared.relay(space, &message, now),
            Item::Positions { bytes, .. } => {
                let mut state = shared.state();
                for (except, datagram) in outbound::positions(space, &bytes, &mut state.echoes) {
                    shared.send(&mut state.peers, except, &datagram, now);
                }
            }
            Item::Close { code, reason } => {
                tracing::debug!(%space, code, reason, "the bus closed what OSC heard");
                return;
            }
        }
    }
}
