//! Who is live where, and which sessions exist. Far from the packet path: threads tell it by events.

mod cameras;
mod gone;
mod rooms;
mod sessions;
mod slates;
mod standby;
mod streams;
mod takeover;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use sfu::{Event, PeerId, Role, StreamId, TakesOver, TrackInfo, WorkerId};
use tokio::sync::broadcast;
use uuid::Uuid;

use super::trouble::Trouble;

pub use gone::Gone;
pub(super) use rooms::FeedShape;
pub use standby::Backup;
pub(super) use streams::Claim;

/// How long viewers are kept after a publisher left, before they are told good-bye.
pub(super) const LINGER: Duration = Duration::from_secs(60);

/// Early departures that are remembered: as many as can be under way at a time, and then some.
const DEPARTED_MAX: usize = 1024;

/// Changes that a slow listener may be behind; then it looks at everything anew.
const CHANGES_MAX: usize = 256;

/// A stream of a space. Both names are valid (`venue::names`) before they come here.
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
    /// What is wrong with what its publisher sends.
    pub troubles: Vec<Trouble>,
    /// What its backup does, if it has one.
    pub backup: Option<Backup>,
    /// Nobody performs, and its viewers are shown a slate.
    pub slate: bool,
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
    is_reordered: bool,
    /// A participant's stream that was given a name.
    is_feed: bool,
    /// Its publisher stands in for whoever is away.
    is_backup: bool,
    /// Media come from a publisher without the stage that stays until its turn.
    stands_by: bool,
    /// When its publisher left a stage that somebody who stands by is about to have.
    left: Option<Instant>,
}

#[derive(Debug)]
struct StreamEntry {
    id: StreamId,
    publication: Option<Publication>,
    /// Publishers that get the stream when their media come, the oldest first.
    waiting: Vec<Publication>,
    viewers: usize,
    /// When the last publisher left; viewers wait.
    idle_since: Option<Instant>,
    /// What they are shown meanwhile.
    slate: Option<Arc<sfu::Slate>>,
}

#[derive(Debug, Default)]
struct Inner {
    streams: BTreeMap<StreamKey, StreamEntry>,
    keys: BTreeMap<StreamId, StreamKey>,
    sessions: BTreeMap<Uuid, SessionRecord>,
    resources: BTreeMap<PeerId, Uuid>,
    /// Peers that ended before their acceptance was entered: a take-over can be that quick.
    departed: VecDeque<PeerId>,
    ends: gone::Ends,
    conferences: rooms::Rooms,
    next_id: u64,
}

/// What is live and who is there. Cheap to ask; safe from any thread but a media thread.
#[derive(Debug)]
pub struct Directory {
    inner: Mutex<Inner>,
    changes: broadcast::Sender<Arc<str>>,
    /// How often a publisher began to send pictures out of order.
    reordered: AtomicU64,
    cameras: cameras::Cameras,
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
    /// Participants, over all conferences.
    pub(super) participants_max: usize,
}

/// What must be told to the workers after an event.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Consequence {
    Origin(StreamId, Option<WorkerId>),
    Forget(StreamId),
    Close(PeerId, WorkerId),
}

/// A reserved place for a new publisher.
pub(super) struct Reserved {
    pub(super) peer: PeerId,
    pub(super) stream: StreamId,
    pub(super) worker: WorkerId,
    pub(super) takes_over: TakesOver,
}

impl Directory {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            inner: Mutex::default(),
            changes: broadcast::channel(CHANGES_MAX).0,
            reordered: AtomicU64::new(0),
            cameras: cameras::Cameras::default(),
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
            .filter(|(_, entry)| {
                entry.viewers > 0 || entry.live().is_some() || entry.backup().is_some()
            })
            .map(|(key, entry)| StreamSummary {
                stream: key.stream.clone(),
                live: entry.live().is_some(),
                since: entry.live().and_then(|live| live.since),
                tracks: entry
                    .live()
                    .map(|live| live.tracks.clone())
                    .unwrap_or_default(),
                viewers: entry.viewers,
                troubles: entry.live().map(Publication::troubles).unwrap_or_default(),
                backup: entry.backup(),
                slate: entry.is_slated(),
            })
            .collect()
    }

    /// What is wrong with what is published now.
    pub fn troubles(&self, key: &StreamKey) -> Vec<Trouble> {
        let inner = self.lock();
        let live = inner.streams.get(key).and_then(StreamEntry::live);
        live.map(Publication::troubles).unwrap_or_default()
    }

    /// What the publisher calls the layers of its picture, in its order; empty while there is none.
    pub fn layer_names(&self, key: &StreamKey) -> Vec<String> {
        let inner = self.lock();
        let live = inner.streams.get(key).and_then(StreamEntry::live);
        let mut tracks = live.into_iter().flat_map(|live| &live.tracks);
        let picture = tracks.find(|track| !track.codec.kind.is_audio());
        picture
            .map(|track| track.layers.clone())
            .unwrap_or_default()
    }

    /// Whether there is something to see or hear.
    pub fn is_live(&self, key: &StreamKey) -> bool {
        self.lock()
            .streams
            .get(key)
            .is_some_and(|entry| entry.live().is_some())
    }

    /// WHEP sessions now, over all streams.
    pub fn viewers(&self) -> usize {
        self.lock().viewers()
    }

    /// Has whoever follows a space look again: something that is not known here changed.
    pub fn has_changed(&self, space: &Arc<str>) {
        self.changed(space);
    }

    /// Every stream that is live.
    pub fn live(&self) -> Vec<(StreamKey, StreamId)> {
        let inner = self.lock();
        let live = inner
            .streams
            .iter()
            .filter(|(_, entry)| entry.live().is_some());
        live.map(|(key, entry)| (key.clone(), entry.id)).collect()
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

    /// Publications that were found to send pictures out of order, since the start.
    pub fn reordered(&self) -> u64 {
        self.reordered.load(Ordering::Relaxed)
    }

    fn changed(&self, space: &Arc<str>) {
        // Nobody listens: fine.
        let _ = self.changes.send(space.clone());
    }

    /// Takes note of what a worker said.
    pub(super) fn apply(&self, event: Event) -> Vec<Consequence> {
        self.post(&event);
        match event {
            Event::Closed { peer, reason } => {
                tracing::debug!(%peer, ?reason, "session ended");
                self.unseat(peer).unwrap_or_else(|| {
                    let ended = self.end_left_over(peer);
                    self.leave(peer, Some(&reason));
                    Vec::from_iter(ended)
                })
            }
            Event::TookOver {
                stream,
                peer,
                stays,
            } => {
                self.on_took_over(stream, peer, stays);
                Vec::new()
            }
            Event::StandsBy { stream, peer } => {
                self.on_stands_by(stream, peer);
                Vec::new()
            }
            Event::Live {
                stream,
                peer,
                tracks,
            } => Vec::from_iter(self.on_live(stream, peer, tracks)),
            Event::Silent {
                stream,
                peer,
                silent,
            } => {
                self.feed_is_silent(stream, silent);
                if self
                    .with_publication(stream, peer, |publication| publication.is_silent = silent)
                    .is_none()
                {
                    self.standby_is_silent(stream, peer, silent);
                }
                Vec::new()
            }
            Event::Reordered {
                stream,
                peer,
                reordered,
            } => {
                self.on_reordered(stream, peer, reordered);
                Vec::new()
            }
            // A participant's stream ends when its participant says so or goes; one that only changed its sections goes on.
            Event::Ended { stream, .. } if self.is_feed(stream) => Vec::new(),
            Event::Ended { stream, peer } => Vec::from_iter(self.on_ended(stream, peer)),
            Event::Connected { .. }
            | Event::Slots { .. }
            | Event::SlotsWanted { .. }
            | Event::Speakers { .. }
            | Event::Layers { .. }
            | Event::Quality { .. }
            | Event::Reachable { .. } => Vec::new(),
        }
    }
}

impl Inner {
    fn publishers(&self) -> usize {
        let published = |entry: &&StreamEntry| entry.is_taken();
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
                waiting: Vec::new(),
                viewers: 0,
                idle_since: None,
                slate: None,
            },
        );
        id
    }

    /// Forgets a stream that nobody publishes or views.
    fn collect(&mut self, key: &StreamKey) {
        let is_unused = self
            .streams
            .get(key)
            .is_some_and(|entry| !entry.is_taken() && entry.viewers == 0);
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
