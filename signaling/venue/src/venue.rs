//! Who is live where, and which sessions exist. Far from the packet path: workers tell it by events.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use sfu::{Event, PeerId, Role, Slate, StreamId, TakesOver, TrackInfo, WorkerId};
use uuid::Uuid;

use crate::gone::Ends;
use crate::io::{Consequence, Output};
use crate::key::StreamKey;
use crate::moment::Moment;
use crate::rooms::Rooms;
use crate::standby::Backup;
use crate::trouble::Trouble;

/// How long viewers are kept after a publisher left, before they are told good-bye.
pub(crate) const LINGER: Duration = Duration::from_secs(60);

/// Early departures that are remembered: as many as can be under way at a time, and then some.
pub(crate) const DEPARTED_MAX: usize = 1024;

/// A session as its HTTP resource shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// What it publishes or views.
    pub key: StreamKey,
    /// Which of the two.
    pub role: Role,
    /// The entity tag of its ICE session, without quotes. Changes with every ICE restart.
    pub etag: String,
    /// Its connection.
    pub peer: PeerId,
    /// Where that is.
    pub worker: WorkerId,
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
pub(crate) struct Publication {
    pub(crate) peer: PeerId,
    pub(crate) worker: WorkerId,
    pub(crate) owner: Option<[u8; 32]>,
    pub(crate) since: Option<SystemTime>,
    pub(crate) tracks: Vec<TrackInfo>,
    pub(crate) is_silent: bool,
    pub(crate) is_reordered: bool,
    /// A participant's stream that was given a name.
    pub(crate) is_feed: bool,
    /// Its publisher stands in for whoever is away.
    pub(crate) is_backup: bool,
    /// Media come from a publisher without the stage that stays until its turn.
    pub(crate) stands_by: bool,
    /// When its publisher left a stage that somebody who stands by is about to have.
    pub(crate) left: Option<Instant>,
}

#[derive(Debug)]
pub(crate) struct StreamEntry {
    pub(crate) id: StreamId,
    pub(crate) publication: Option<Publication>,
    /// Publishers that get the stream when their media come, the oldest first.
    pub(crate) waiting: Vec<Publication>,
    pub(crate) viewers: usize,
    /// When the last publisher left; viewers wait.
    pub(crate) idle_since: Option<Instant>,
    /// What they are shown meanwhile.
    pub(crate) slate: Option<Arc<Slate>>,
}

/// What is live and who is there. Cheap to ask.
///
/// Whatever is told to it may have consequences: take them with [`poll`](Self::poll) until there are none.
#[derive(Debug)]
pub struct Venue {
    pub(crate) limits: Limits,
    pub(crate) streams: BTreeMap<StreamKey, StreamEntry>,
    pub(crate) keys: BTreeMap<StreamId, StreamKey>,
    pub(crate) sessions: BTreeMap<Uuid, SessionRecord>,
    pub(crate) resources: BTreeMap<PeerId, Uuid>,
    /// Peers that ended before their acceptance was entered: a take-over can be that quick.
    pub(crate) departed: VecDeque<PeerId>,
    pub(crate) ends: Ends,
    pub(crate) conferences: Rooms,
    /// Cameras of the configuration that do not play, and why: as many as there are in the configuration.
    pub(crate) cameras: BTreeMap<StreamKey, Arc<str>>,
    /// How often a publisher began to send pictures out of order.
    pub(crate) reordered: u64,
    next_id: u64,
    out: VecDeque<Output>,
}

/// How many of what the directory takes.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Streams that are known, live or waited for.
    pub streams_max: usize,
    /// Streams that somebody publishes.
    pub publishers_max: usize,
    /// Viewers, over all streams. Joins that are under way do not count: a storm can exceed it by as many as are
    /// being answered, and what each worker holds is bounded anyway.
    pub viewers_max: usize,
    /// Participants, over all conferences.
    pub participants_max: usize,
}

/// A reserved place for a new publisher.
pub struct Reserved {
    /// What it is called from now on.
    pub peer: PeerId,
    /// What its stream is called.
    pub stream: StreamId,
    /// Where it goes.
    pub worker: WorkerId,
    /// Whom it may replace when its media come.
    pub takes_over: TakesOver,
}

impl Venue {
    /// A venue where nobody is.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            streams: BTreeMap::new(),
            keys: BTreeMap::new(),
            sessions: BTreeMap::new(),
            resources: BTreeMap::new(),
            departed: VecDeque::new(),
            ends: Ends::default(),
            conferences: Rooms::default(),
            cameras: BTreeMap::new(),
            reordered: 0,
            next_id: 0,
            out: VecDeque::new(),
        }
    }

    /// The next thing to do, until there is nothing more.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// The session behind a resource, while it exists.
    pub fn session(&self, resource: Uuid) -> Option<SessionRecord> {
        self.sessions.get(&resource).cloned()
    }

    /// Every stream of a space that is live or has viewers, by name.
    pub fn space(&self, space: &str) -> Vec<StreamSummary> {
        let from = StreamKey {
            space: space.into(),
            stream: "".into(),
        };
        self.streams
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
        let live = self.streams.get(key).and_then(StreamEntry::live);
        live.map(Publication::troubles).unwrap_or_default()
    }

    /// What the publisher calls the layers of its picture, in its order; empty while there is none.
    pub fn layer_names(&self, key: &StreamKey) -> Vec<String> {
        let live = self.streams.get(key).and_then(StreamEntry::live);
        let mut tracks = live.into_iter().flat_map(|live| &live.tracks);
        let picture = tracks.find(|track| !track.codec.kind.is_audio());
        picture
            .map(|track| track.layers.clone())
            .unwrap_or_default()
    }

    /// Whether there is something to see or hear.
    pub fn is_live(&self, key: &StreamKey) -> bool {
        self.streams
            .get(key)
            .is_some_and(|entry| entry.live().is_some())
    }

    /// WHEP sessions now, over all streams.
    pub fn viewers(&self) -> usize {
        self.streams.values().map(|entry| entry.viewers).sum()
    }

    /// Has whoever follows a space look again. Called from outside when something changed that is not known here.
    pub fn has_changed(&mut self, space: &Arc<str>) {
        self.put(Output::Changed(space.clone()));
    }

    /// Every stream that is live.
    pub fn live(&self) -> Vec<(StreamKey, StreamId)> {
        let live = self
            .streams
            .iter()
            .filter(|(_, entry)| entry.live().is_some());
        live.map(|(key, entry)| (key.clone(), entry.id)).collect()
    }

    /// Streams that are live, and sessions, over all spaces.
    pub fn totals(&self) -> (usize, usize) {
        let live = self
            .streams
            .values()
            .filter(|entry| entry.live().is_some())
            .count();
        (live, self.sessions.len())
    }

    /// Publications that were found to send pictures out of order, since the start.
    pub fn reordered(&self) -> u64 {
        self.reordered
    }

    pub(crate) fn put(&mut self, output: Output) {
        self.out.push_back(output);
    }

    pub(crate) fn tell(&mut self, consequence: Consequence) {
        self.put(Output::Consequence(consequence));
    }

    /// Takes note of what a worker said.
    pub fn apply(&mut self, at: Moment, event: Event) {
        self.post(&event);
        match event {
            Event::Closed { peer, reason } => {
                tracing::debug!(%peer, ?reason, "session ended");
                if !self.unseat(at, peer) {
                    self.end_left_over(at, peer);
                    self.leave(at, peer, Some(&reason));
                }
            }
            Event::TookOver {
                stream,
                peer,
                stays,
            } => {
                self.on_took_over(at, stream, peer, stays);
            }
            Event::StandsBy { stream, peer } => self.on_stands_by(stream, peer),
            Event::Live {
                stream,
                peer,
                tracks,
            } => self.on_live(at, stream, peer, tracks),
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
            }
            Event::Reordered {
                stream,
                peer,
                reordered,
            } => {
                self.on_reordered(stream, peer, reordered);
            }
            // A participant's stream ends when its participant says so or goes; one that only changed its sections goes on.
            Event::Ended { stream, .. } if self.is_feed(stream) => {}
            Event::Ended { stream, peer } => self.on_ended(at, stream, peer),
            Event::Connected { .. }
            | Event::Slots { .. }
            | Event::SlotsWanted { .. }
            | Event::Speakers { .. }
            | Event::Layers { .. }
            | Event::Quality { .. }
            | Event::Reachable { .. } => {}
        }
    }
}

impl Venue {
    pub(crate) fn publishers(&self) -> usize {
        let published = |entry: &&StreamEntry| entry.is_taken();
        self.streams.values().filter(published).count()
    }

    pub(crate) fn fresh(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    pub(crate) fn stream_id(&mut self, key: &StreamKey) -> StreamId {
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
    pub(crate) fn collect(&mut self, key: &StreamKey) {
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
pub(crate) fn least_loaded(loads: &[usize], preferred: Option<WorkerId>) -> WorkerId {
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
