//! `core:server-sent-events`: what happens to a viewer's stream.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Extension;
use axum::body::Body;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use uuid::Uuid;

use super::super::AppState;
use super::super::errors::Problem;
use super::super::metrics::Held;
use super::super::place::Session;
use super::super::{json, limits};
use super::streams::Open;
use super::{find, layers};
use crate::clock;
use crate::media::StreamKey;

/// What is told. `scte35` of the draft is left out: nothing here carries such messages.
pub(super) const EVENTS: [&str; 5] = ["active", "inactive", "layers", "viewercount", "reconnect"];

const ACTIVE: usize = 0;
const INACTIVE: usize = 1;
const LAYERS: usize = 2;
const VIEWERCOUNT: usize = 3;
const RECONNECT: usize = 4;

/// How often a listener looks at the layers' rates, and at anything at most.
const LOOK_EVERY: Duration = Duration::from_millis(2000);
const INTERVAL_MIN: Duration = Duration::from_millis(250);

/// Rates alone are told this often; layers that come or go at once.
const RATES_EVERY: Duration = Duration::from_secs(10);

/// A comment line after this silence keeps proxies and phones from closing the connection.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// Some of [`EVENTS`], a bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EventSet(u8);

impl EventSet {
    pub(super) const ALL: Self = Self((1 << EVENTS.len()) - 1);

    /// Names that are not known are ignored: the draft may know more.
    fn of(names: &[String]) -> Self {
        let known = EVENTS.iter().enumerate();
        let asked = known.filter(|(_, event)| names.iter().any(|name| name == *event));
        Self(asked.fold(0, |set, (at, _)| set | 1 << at))
    }

    fn contains(self, event: usize) -> bool {
        self.0 & (1 << event) != 0
    }
}

type Peer = Option<Extension<ConnectInfo<SocketAddr>>>;

fn address(state: &AppState, peer: Peer, headers: &HeaderMap) -> IpAddr {
    let peer = peer.map_or(
        IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        |Extension(ConnectInfo(peer))| peer.ip(),
    );
    limits::client_address(peer, headers, &state.app.trusted_proxies)
}

/// All events, at once.
pub(super) async fn listen(
    state: State<AppState>,
    session: Session,
    peer: Peer,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    find(&state, &session)?;
    let address = address(&state, peer, &headers);
    let directory = state.app.media.directory();
    let streams = &state.event_streams;
    let id = streams.make(session.resource, address, EventSet::ALL, directory)?;
    let open = streams.open(session.resource, id, false)?;
    Ok(answer(&state, session, open))
}

/// An event stream with the events that are listed; all of them without a list.
pub(super) async fn subscribe(
    state: State<AppState>,
    session: Session,
    peer: Peer,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    find(&state, &session)?;
    let events = match headers.contains_key(header::CONTENT_TYPE) {
        true => EventSet::of(&json::read::<Vec<String>>(&headers, body).await?),
        false => EventSet::ALL,
    };
    let address = address(&state, peer, &headers);
    let directory = state.app.media.directory();
    let id = state
        .event_streams
        .make(session.resource, address, events, directory)?;
    let StreamKey { space, stream } = &session.key;
    let location = format!("/whep/{space}/{stream}/{}/sse/{id}", session.resource);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)]).into_response())
}

/// The events of a stream that was made.
pub(super) async fn listen_to(
    state: State<AppState>,
    session: Session,
    events: EventsId,
) -> Result<Response, Problem> {
    find(&state, &session)?;
    let open = state
        .event_streams
        .open(session.resource, events.id()?, true)?;
    Ok(answer(&state, session, open))
}

/// Ends a stream that was made, and whoever listens to it.
pub(super) async fn unsubscribe(
    state: State<AppState>,
    session: Session,
    events: EventsId,
) -> Result<StatusCode, Problem> {
    find(&state, &session)?;
    state.event_streams.end(session.resource, events.id()?)?;
    Ok(StatusCode::OK)
}

/// The last part of the path.
pub(super) type EventsId = Path<Vec<(String, String)>>;

trait Identified {
    fn id(&self) -> Result<Uuid, Problem>;
}

impl Identified for EventsId {
    fn id(&self) -> Result<Uuid, Problem> {
        let found = self.iter().find(|(name, _)| name == "events");
        found
            .and_then(|(_, text)| Uuid::try_parse(text).ok())
            .ok_or_else(Problem::no_session)
    }
}

fn answer(State(state): &State<AppState>, session: Session, open: Open) -> Response {
    let feed = Feed {
        // Subscribed before the first look, so that no change can fall between.
        changes: state.app.media.directory().changes(),
        key: session.key,
        resource: session.resource,
        open,
        waiting: VecDeque::new(),
        told: Told::default(),
        is_over: false,
        _held: state.metrics.hold_event_stream(),
        state: state.clone(),
    };
    let events = stream::unfold(feed, |mut feed| async move {
        let (event, data) = feed.next().await?;
        let event = Event::default().event(EVENTS[event]).data(data);
        Some((Ok::<_, Infallible>(event), feed))
    });
    // nginx would hold events back otherwise.
    let unbuffered = [(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    )];
    let keep_alive = KeepAlive::new().interval(SILENCE_MAX);
    (unbuffered, Sse::new(events).keep_alive(keep_alive)).into_response()
}

/// One listener. It looks when it is ready: a slow one misses states but never the last one.
struct Feed {
    state: AppState,
    changes: Receiver<Arc<str>>,
    key: StreamKey,
    resource: Uuid,
    open: Open,
    /// What the last look found, to be told.
    waiting: VecDeque<(usize, String)>,
    told: Told,
    is_over: bool,
    _held: Held,
}

/// What the listener knows.
#[derive(Default)]
struct Told {
    is_active: Option<bool>,
    viewers: Option<usize>,
    layers: Vec<(String, bool, usize)>,
    layers_at: Option<Instant>,
    looked_at: Option<Instant>,
}

impl Feed {
    /// The next event; `None` when the session or the server ends.
    async fn next(&mut self) -> Option<(usize, String)> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            if self.is_over {
                return None;
            }
            let shutdown = self.state.app.shutdown.clone();
            let mut ended = self.open.ended.clone();
            let is_stopping = tokio::select! {
                () = shutdown.begun() => true,
                () = self.wait() => false,
                _ = ended.changed() => return None,
            };
            if is_stopping {
                self.is_over = true;
                self.tell(RECONNECT, "{}".into());
            } else {
                self.look().await;
            }
        }
    }

    fn tell(&mut self, event: usize, data: String) {
        if self.open.events.contains(event) {
            self.waiting.push_back((event, data));
        }
    }

    /// Returns when it is time to look: at once, and then when something changed or may have.
    async fn wait(&mut self) {
        let Some(looked_at) = self.told.looked_at else {
            return;
        };
        let due = looked_at + LOOK_EVERY;
        let space = self.key.space.clone();
        let changed = async {
            loop {
                match self.changes.recv().await {
                    Ok(changed) if changed != space => {}
                    Ok(_) | Err(RecvError::Lagged(_)) => return,
                    Err(RecvError::Closed) => std::future::pending().await,
                }
            }
        };
        tokio::select! {
            () = changed => tokio::time::sleep_until((looked_at + INTERVAL_MIN).into()).await,
            () = tokio::time::sleep_until(due.into()) => {}
        }
    }

    async fn look(&mut self) {
        let now = clock::now();
        self.told.looked_at = Some(now);
        let directory = self.state.app.media.directory();
        if directory.session(self.resource).is_none() {
            self.is_over = true;
            // A server that stops ends its sessions, and the end may be seen before its reason.
            if self.state.app.shutdown.has_begun() {
                self.tell(RECONNECT, "{}".into());
            }
            return;
        }
        let is_active = directory.is_live(&self.key);
        let summaries = directory.space(&self.key.space);
        let own = summaries
            .iter()
            .find(|summary| summary.stream == self.key.stream);
        let viewers = own.map_or(0, |summary| summary.viewers);
        if self.told.is_active != Some(is_active) {
            // Nobody is told at the beginning that nothing is there.
            match (is_active, self.told.is_active) {
                (true, _) => self.tell(ACTIVE, "{}".into()),
                (false, Some(_)) => self.tell(INACTIVE, "{}".into()),
                (false, None) => {}
            }
            self.told.is_active = Some(is_active);
        }
        if self.told.viewers != Some(viewers) {
            self.told.viewers = Some(viewers);
            self.tell(VIEWERCOUNT, format!("{{\"viewercount\":{viewers}}}"));
        }
        if is_active && self.open.events.contains(LAYERS) {
            self.look_at_layers(now).await;
        }
    }

    async fn look_at_layers(&mut self, now: Instant) {
        // A session without a picture has no layers, and a thread that is busy is asked again.
        let Ok(known) = self.state.app.media.layers(self.resource).await else {
            return;
        };
        let shape = layers::shape(&known);
        let is_due = self
            .told
            .layers_at
            .is_none_or(|at| now.saturating_duration_since(at) >= RATES_EVERY);
        if known.is_empty() || (shape == self.told.layers && !is_due) {
            return;
        }
        self.told.layers = shape;
        self.told.layers_at = Some(now);
        let line = self.state.sessions.facts(self.resource).video_line;
        let sizes = self.state.app.broadcast.published().sizes(&self.key);
        let described = layers::described(line.unwrap_or(0), &known, &sizes);
        self.tell(LAYERS, described.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_events_is_a_set_and_what_nobody_knows_is_left_out() {
        let of = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            EventSet::of(&names)
        };
        let some = of(&["layers", "scte35", "layers"]);
        assert!(some.contains(LAYERS));
        assert!(!some.contains(ACTIVE) && !some.contains(RECONNECT));
        assert_eq!(of(&EVENTS), EventSet::ALL);
        assert_eq!(of(&[]), EventSet(0));
    }
}
