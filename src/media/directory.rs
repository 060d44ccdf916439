//! Who is live where, and which sessions exist. Far from the packet path: threads tell it by events.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use sfu::{Event, PeerId, Role, StreamId, TrackInfo, WorkerId};
use tokio::sync::broadcast;
use uuid::Uuid;

use super::handle::{Refused, TakeOver};
use crate::clock;

/// How long viewers are kept after a publisher left, before they are told good-bye.
pub(super) const LINGER: Duration = Duration::from_secs(60);

/// Early departures that are remembered: as many as can be under way at a time, and then some.
const DEPARTED_MAX: usize = 1024;

/// Changes that a slow listener may be behind; then it looks at everything anew.
const CHANGES_MAX: usize = 256;

/// A stream of a space. Both names are valid (`signaling::names`) before they come here.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamKey {
    /// The space.
    pub space: Arc<str>,
    /// The stream in it.
    pub stream: Arc<str>,
}

impl fmt::Display for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.space, self.stream)
    }
}

/// A session as its HTTP resource shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// What it publishes or views.
    pub key: StreamKey,
    /// Which of the two.
    pub role: Role,
    /// The entity tag of its ICE session, without quotes. Changes with every ICE restart.
    pub etag: String,
    pub(super) peer: PeerId,
    pub(super) worker: WorkerId,
}

/// A stream as pages show it.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamSummary {
    /// Its name.
    pub stream: Arc<str>,
    /// Whether its publisher sends.
    pub live: bool,
    /// Since when.
    pub since: Option<SystemTime>,
    /// What it consists of.
    pub tracks: Vec<TrackInfo>,
    /// WHEP sessions now.
    pub viewers: usize,
}

/// One publisher's turn.
#[derive(Debug, Clone)]
pub(super) struct Publication {
    pub(super) peer: PeerId,
    pub(super) worker: WorkerId,
    owner: Option<[u8; 32]>,
    since: Option<SystemTime>,
    tracks: Vec<TrackInfo>,
    is_silent: bool,
}

#[derive(Debug)]
struct StreamEntry {
    id: StreamId,
    publication: Option<Publication>,
    /// Who had the stream before a publisher that is not accepted yet, and will have it again if it is refused.
    displaced: Option<Publication>,
    viewers: usize,
    /// When the last publisher left; viewers wait.
    idle_since: Option<Instant>,
}

#[derive(Debug, Default)]
struct Inner {
    streams: BTreeMap<StreamKey, StreamEntry>,
    keys: BTreeMap<StreamId, StreamKey>,
    sessions: BTreeMap<Uuid, SessionRecord>,
    resources: BTreeMap<PeerId, Uuid>,
    /// Peers that ended before their acceptance was entered: a take-over can be that quick.
    departed: VecDeque<PeerId>,
    next_id: u64,
}

/// What is live and who is there. Cheap to ask; safe from any thread but a media thread.
#[derive(Debug)]
pub struct Directory {
    inner: Mutex<Inner>,
    changes: broadcast::Sender<Arc<str>>,
    limits: Limits,
}

/// How many of what the directory takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Streams that are known, live or waited for.
    pub(super) streams_max: usize,
    /// Streams that somebody publishes.
    pub(super) publishers_max: usize,
    /// Viewers, over all streams. Joins that are under way do not count: a storm can exceed it by as many as are
    /// being answered, and what each worker holds is bounded anyway.
    pub(super) viewers_max: usize,
}

/// What must be told to the workers after an event.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Consequence {
    Origin(StreamId, Option<WorkerId>),
    Forget(StreamId),
}

/// A reserved place for a new publisher.
pub(super) struct Reserved {
    pub(super) peer: PeerId,
    pub(super) stream: StreamId,
    pub(super) worker: WorkerId,
}

impl Directory {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            inner: Mutex::default(),
            changes: broadcast::channel(CHANGES_MAX).0,
            limits,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change is made in one go: a panic elsewhere leaves nothing half-done.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session behind a resource, while it exists.
    pub fn session(&self, resource: Uuid) -> Option<SessionRecord> {
        self.lock().sessions.get(&resource).cloned()
    }

    /// Every stream of a space that is live or has viewers, by name.
    pub fn space(&self, space: &str) -> Vec<StreamSummary> {
        let inner = self.lock();
        let from = StreamKey {
            space: space.into(),
            stream: "".into(),
        };
        inner
            .streams
            .range(from..)
            .take_while(|(key, _)| &*key.space == space)
            .filter(|(_, entry)| entry.viewers > 0 || entry.live().is_some())
            .map(|(key, entry)| StreamSummary {
                stream: key.stream.clone(),
                live: entry.live().is_some(),
                since: entry.live().and_then(|live| live.since),
                tracks: entry
                    .live()
                    .map(|live| live.tracks.clone())
                    .unwrap_or_default(),
                viewers: entry.viewers,
            })
            .collect()
    }

    /// Whether there is something to see or hear.
    pub fn is_live(&self, key: &StreamKey) -> bool {
        self.lock()
            .streams
            .get(key)
            .is_some_and(|entry| entry.live().is_some())
    }

    /// Names of spaces in which something changed, as it happens. A receiver that lags must look at everything anew.
    pub fn changes(&self) -> broadcast::Receiver<Arc<str>> {
        self.changes.subscribe()
    }

    /// Streams that are live, and sessions, over all spaces.
    pub fn totals(&self) -> (usize, usize) {
        let inner = self.lock();
        let live = inner
            .streams
            .values()
            .filter(|entry| entry.live().is_some())
            .count();
        (live, inner.sessions.len())
    }

    fn changed(&self, space: &Arc<str>) {
        // Nobody listens: fine.
        let _ = self.changes.send(space.clone());
    }

    /// Takes the stream for a new publisher, if `right` allows.
    pub(super) fn reserve(
        &self,
        key: &StreamKey,
        right: &TakeOver,
        loads: &[usize],
    ) -> Result<Reserved, Refused> {
        let mut inner = self.lock();
        if !inner.streams.contains_key(key) && inner.streams.len() >= self.limits.streams_max {
            return Err(Refused::Full("there are as many streams as there may be"));
        }
        // A take-over needs no further place.
        let is_new = inner
            .streams
            .get(key)
            .is_none_or(|entry| entry.publication.is_none());
        if is_new && inner.publishers() >= self.limits.publishers_max {
            return Err(Refused::Full(
                "there are as many publishers as there may be",
            ));
        }
        let peer = PeerId(inner.fresh());
        let stream = inner.stream_id(key);
        let entry = inner.streams.get_mut(key).expect("made by stream_id");
        let worker = match &entry.publication {
            Some(current) if !current.may_be_taken(right) => return Err(Refused::Taken),
            Some(current) => current.worker,
            None => least_loaded(loads, None),
        };
        let owner = match right {
            TakeOver::SameOwner(owner) => Some(*owner),
            TakeOver::Always | TakeOver::OnlyIfSilent => None,
        };
        entry.displaced = entry.publication.replace(Publication {
            peer,
            worker,
            owner,
            since: None,
            tracks: Vec::new(),
            is_silent: false,
        });
        Ok(Reserved {
            peer,
            stream,
            worker,
        })
    }

    /// Gives a reserved stream back: its publisher was refused. Whoever had it, and is still there, has it again.
    pub(super) fn give_back(&self, key: &StreamKey, peer: PeerId) {
        let mut inner = self.lock();
        if let Some(entry) = inner.streams.get_mut(key)
            && entry
                .publication
                .as_ref()
                .is_some_and(|current| current.peer == peer)
        {
            entry.publication = entry.displaced.take();
        }
        inner.collect(key);
    }

    /// Where a viewer of `key` goes: peer, stream, worker, the stream's origin and tracks.
    pub(super) fn seat_viewer(
        &self,
        key: &StreamKey,
        loads: &[usize],
    ) -> Result<(PeerId, StreamId, WorkerId, WorkerId, Vec<TrackInfo>), Refused> {
        let mut inner = self.lock();
        let peer = PeerId(inner.fresh());
        let entry = inner.streams.get(key).ok_or(Refused::NothingLive)?;
        let live = entry.live().ok_or(Refused::NothingLive)?;
        if inner.viewers() >= self.limits.viewers_max {
            return Err(Refused::Full("there are as many viewers as there may be"));
        }
        let worker = least_loaded(loads, Some(live.worker));
        Ok((peer, entry.id, worker, live.worker, live.tracks.clone()))
    }

    /// Enters an accepted session.
    pub(super) fn enter(
        &self,
        key: &StreamKey,
        role: Role,
        peer: PeerId,
        worker: WorkerId,
    ) -> (Uuid, String) {
        let resource = Uuid::new_v4();
        let etag = fresh_etag();
        let mut inner = self.lock();
        if let Some(at) = inner.departed.iter().position(|gone| *gone == peer) {
            inner.departed.remove(at);
            return (resource, etag);
        }
        inner.sessions.insert(
            resource,
            SessionRecord {
                key: key.clone(),
                role,
                etag: etag.clone(),
                peer,
                worker,
            },
        );
        inner.resources.insert(peer, resource);
        if role == Role::Viewer {
            inner.stream_id(key);
            if let Some(entry) = inner.streams.get_mut(key) {
                entry.viewers += 1;
            }
        }
        drop(inner);
        self.changed(&key.space);
        (resource, etag)
    }

    /// A new entity tag after an ICE restart.
    pub(super) fn renew_etag(&self, resource: Uuid) -> Option<String> {
        let mut inner = self.lock();
        let session = inner.sessions.get_mut(&resource)?;
        session.etag = fresh_etag();
        Some(session.etag.clone())
    }

    /// Whether `peer` is still the publisher of its stream.
    pub(super) fn is_publisher(&self, key: &StreamKey, peer: PeerId) -> bool {
        self.lock()
            .streams
            .get(key)
            .and_then(|entry| entry.publication.as_ref())
            .is_some_and(|publication| publication.peer == peer)
    }

    /// The stream that `peer` publishes under `key`, while it does.
    pub(super) fn published_by(&self, key: &StreamKey, peer: PeerId) -> Option<StreamId> {
        let inner = self.lock();
        let entry = inner.streams.get(key)?;
        let publication = entry.publication.as_ref()?;
        (publication.peer == peer).then_some(entry.id)
    }

    /// Every session: its peer and worker.
    pub(super) fn sessions(&self) -> Vec<(PeerId, WorkerId)> {
        let inner = self.lock();
        inner
            .sessions
            .values()
            .map(|session| (session.peer, session.worker))
            .collect()
    }

    /// Takes note of what a worker said.
    pub(super) fn apply(&self, event: Event) -> Option<Consequence> {
        match event {
            Event::Connected { .. } => None,
            Event::Closed { peer, reason } => {
                tracing::debug!(%peer, ?reason, "session ended");
                self.leave(peer);
                None
            }
            Event::Live {
                stream,
                peer,
                tracks,
            } => self.on_live(stream, peer, tracks),
            Event::Silent {
                stream,
                peer,
                silent,
            } => {
                self.with_publication(stream, peer, |publication| publication.is_silent = silent);
                None
            }
            Event::Ended { stream, peer } => self.on_ended(stream, peer),
            Event::Slots { .. }
            | Event::SlotsWanted { .. }
            | Event::Speakers { .. }
            | Event::Layers { .. }
            | Event::Quality { .. }
            | Event::Reachable { .. } => None,
        }
    }

    fn with_publication<R>(
        &self,
        stream: StreamId,
        peer: PeerId,
        f: impl FnOnce(&mut Publication) -> R,
    ) -> Option<(StreamKey, R)> {
        let mut inner = self.lock();
        let key = inner.keys.get(&stream)?.clone();
        let entry = inner.streams.get_mut(&key)?;
        let publication = entry
            .publication
            .as_mut()
            .filter(|publication| publication.peer == peer)?;
        let result = f(publication);
        entry.idle_since = None;
        Some((key, result))
    }

    fn on_live(
        &self,
        stream: StreamId,
        peer: PeerId,
        tracks: Vec<TrackInfo>,
    ) -> Option<Consequence> {
        let (key, (worker, is_first)) = self.with_publication(stream, peer, |publication| {
            publication.tracks = tracks;
            let is_first = publication.since.is_none();
            publication.since.get_or_insert_with(clock::wall);
            (publication.worker, is_first)
        })?;
        if is_first {
            tracing::info!(space = %key.space, stream = %key.stream, %peer, "live");
        }
        self.changed(&key.space);
        Some(Consequence::Origin(stream, Some(worker)))
    }

    fn on_ended(&self, stream: StreamId, peer: PeerId) -> Option<Consequence> {
        let mut inner = self.lock();
        let key = inner.keys.get(&stream)?.clone();
        let entry = inner.streams.get_mut(&key)?;
        entry.displaced.take_if(|displaced| displaced.peer == peer);
        entry
            .publication
            .as_ref()
            .filter(|publication| publication.peer == peer)?;
        entry.publication = None;
        entry.idle_since = Some(clock::now());
        inner.collect(&key);
        drop(inner);
        tracing::info!(space = %key.space, stream = %key.stream, %peer, "ended");
        self.changed(&key.space);
        Some(Consequence::Origin(stream, None))
    }

    fn leave(&self, peer: PeerId) {
        let mut inner = self.lock();
        let Some(session) = inner
            .resources
            .remove(&peer)
            .and_then(|resource| inner.sessions.remove(&resource))
        else {
            if inner.departed.len() >= DEPARTED_MAX {
                inner.departed.pop_front();
            }
            inner.departed.push_back(peer);
            return;
        };
        if session.role == Role::Viewer
            && let Some(entry) = inner.streams.get_mut(&session.key)
        {
            entry.viewers = entry.viewers.saturating_sub(1);
        }
        inner.collect(&session.key);
        drop(inner);
        self.changed(&session.key.space);
    }

    /// Streams whose viewers waited long enough.
    pub(super) fn expire(&self, now: Instant) -> Vec<Consequence> {
        let mut inner = self.lock();
        let mut forgotten = Vec::new();
        for entry in inner.streams.values_mut() {
            let is_over = entry
                .idle_since
                .is_some_and(|since| now.saturating_duration_since(since) > LINGER);
            if entry.publication.is_none() && is_over {
                entry.idle_since = Some(now);
                forgotten.push(Consequence::Forget(entry.id));
            }
        }
        forgotten
    }
}

impl Publication {
    fn may_be_taken(&self, right: &TakeOver) -> bool {
        match right {
            TakeOver::Always => true,
            TakeOver::SameOwner(owner) => self.owner.as_ref() == Some(owner) || self.is_silent,
            TakeOver::OnlyIfSilent => self.is_silent,
        }
    }
}

impl StreamEntry {
    fn live(&self) -> Option<&Publication> {
        self.publication
            .as_ref()
            .filter(|publication| publication.since.is_some())
    }
}

impl Inner {
    fn publishers(&self) -> usize {
        let published = |entry: &&StreamEntry| entry.publication.is_some();
        self.streams.values().filter(published).count()
    }

    fn viewers(&self) -> usize {
        self.streams.values().map(|entry| entry.viewers).sum()
    }

    fn fresh(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn stream_id(&mut self, key: &StreamKey) -> StreamId {
        if let Some(entry) = self.streams.get(key) {
            return entry.id;
        }
        let id = StreamId(self.fresh());
        self.keys.insert(id, key.clone());
        self.streams.insert(
            key.clone(),
            StreamEntry {
                id,
                publication: None,
                displaced: None,
                viewers: 0,
                idle_since: None,
            },
        );
        id
    }

    /// Forgets a stream that nobody publishes or views.
    fn collect(&mut self, key: &StreamKey) {
        let is_unused = self
            .streams
            .get(key)
            .is_some_and(|entry| entry.publication.is_none() && entry.viewers == 0);
        if is_unused && let Some(entry) = self.streams.remove(key) {
            self.keys.remove(&entry.id);
        }
    }
}

/// The worker with the fewest sessions; `preferred` wins a tie, and wins while it has no more than a tenth above the least: a
/// relay costs a little, too.
fn least_loaded(loads: &[usize], preferred: Option<WorkerId>) -> WorkerId {
    let least = loads.iter().copied().min().unwrap_or(0);
    if let Some(preferred) = preferred
        && loads
            .get(usize::from(preferred.0))
            .is_some_and(|load| *load <= least + least / 10)
    {
        return preferred;
    }
    let at = loads.iter().position(|load| *load == least).unwrap_or(0);
    WorkerId(u8::try_from(at).unwrap_or(0))
}

fn fresh_etag() -> String {
    Uuid::new_v4().simple().to_string()
}
