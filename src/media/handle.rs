//! The shell's way to the media threads.

mod conference;
mod sessions;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sfu::{Codec, Command, Event, PeerId, Refusal, Reply, RequestId, StreamId, WorkerId};
use tokio::sync::oneshot;
use venue::{Claim, Consequence, Limits, Moment, Refused, Reserved, StreamKey, TakeOver, Venue};

pub use conference::{Feed, Wish};

use super::counters::{Counters, METRICS};
use super::directory::Directory;
use super::source::Source;
use super::tap::{ReaderId, Taps};
use super::thread::{Busy, Link, Message};
use crate::clock;

/// How long a media thread may take to answer. It does within milliseconds; in a storm of joins, within a second.
const ANSWER_MAX: Duration = Duration::from_secs(8);

/// How often the directory looks for streams whose viewers waited long enough, and repeats good-byes that found no room.
const EXPIRE_EVERY: Duration = Duration::from_secs(1);

/// Good-byes that are repeated: one for every session that a venue can have. More are dropped, with a warning.
const GOODBYES_MAX: usize = 16_384;

struct Shared {
    links: Vec<Link>,
    directory: Directory,
    counters: Vec<Arc<Counters>>,
    candidates: Vec<SocketAddr>,
    next_request: AtomicU64,
    is_stopping: AtomicBool,
    /// Peers whose worker had no room for the command that closes them: who was removed must not listen on.
    goodbyes: Mutex<Vec<(WorkerId, PeerId)>>,
    /// Sessions per worker that were asked for and not answered yet: a storm of joins must spread, too.
    under_way: Vec<AtomicUsize>,
    threads: Mutex<Vec<std::thread::JoinHandle<()>>>,
    /// Until the one who consumes them takes them.
    taps: Mutex<Vec<Taps>>,
}

/// A cheap, cloneable way to all media threads.
#[derive(Clone)]
pub struct Handle(Arc<Shared>);

impl Handle {
    pub(super) fn start(
        mut links: Vec<Link>,
        events: Receiver<Event>,
        candidates: Vec<SocketAddr>,
        limits: Limits,
        taps: Vec<Taps>,
    ) -> std::io::Result<Self> {
        let mut threads: Vec<_> = links
            .iter_mut()
            .filter_map(|link| link.thread.take())
            .collect();
        let handle = Self(Arc::new(Shared {
            counters: links.iter().map(Link::counters).collect(),
            under_way: links.iter().map(|_| AtomicUsize::new(0)).collect(),
            links,
            directory: Directory::new(limits),
            candidates,
            next_request: AtomicU64::new(1),
            is_stopping: AtomicBool::new(false),
            goodbyes: Mutex::default(),
            threads: Mutex::default(),
            taps: Mutex::new(taps),
        }));
        let shared = handle.clone();
        threads.push(
            std::thread::Builder::new()
                .name("directory".into())
                .spawn(move || shared.keep_directory(&events))?,
        );
        *handle
            .0
            .threads
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = threads;
        Ok(handle)
    }

    /// Who is live and which sessions exist.
    pub fn directory(&self) -> &Directory {
        &self.0.directory
    }

    /// One set of numbers per media thread.
    pub fn counters(&self) -> Vec<Arc<Counters>> {
        self.0.counters.clone()
    }

    /// The UDP addresses that candidates carry.
    pub fn candidates(&self) -> &[SocketAddr] {
        &self.0.candidates
    }

    /// Whether every media thread runs and none is told to stop.
    pub fn is_healthy(&self) -> bool {
        !self.is_stopping() && self.0.counters.iter().all(|counters| counters.is_alive())
    }

    fn is_stopping(&self) -> bool {
        self.0.is_stopping.load(Ordering::Relaxed)
    }

    /// Takes a free stream for a source without WebRTC; `is_backup` to stand in for whoever publishes it when that one is away.
    ///
    /// # Errors
    /// `Taken`, `Full` or `Stopping`.
    #[expect(
        clippy::unused_async,
        reason = "one of a family, and free to wait some day"
    )]
    pub async fn open_source(
        &self,
        key: StreamKey,
        tracks: Vec<Codec>,
        is_backup: bool,
    ) -> Result<Source, Refused> {
        let claim = Claim {
            right: &TakeOver::OnlyIfSilent,
            is_backup,
            may_wait: false,
        };
        let reserved = self.reserve(&key, &claim)?;
        let (peer, stream, worker) = (reserved.peer, reserved.stream, reserved.worker);
        let count = tracks.len();
        self.tell(
            worker,
            Command::OpenSource {
                stream,
                peer,
                tracks,
                is_backup,
            },
        );
        let packets = self.0.links[usize::from(worker.0)].packets();
        Ok(Source::new(self.clone(), key, stream, peer, packets, count))
    }

    pub(super) fn end_source(&self, stream: StreamId, peer: PeerId) {
        for at in 0..self.0.links.len() {
            self.tell(worker_id(at), Command::Close { peer });
        }
        self.change(|venue, at| venue.apply(at, Event::Ended { stream, peer }));
    }

    /// What all media threads tap, for each of the threads that consume it: once, then nothing.
    pub fn take_taps(&self) -> Vec<Taps> {
        let mut taps = self.0.taps.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *taps)
    }

    /// Has a stream's viewers shown this while nobody performs, from now on.
    pub fn set_slate(&self, key: &StreamKey, slate: Arc<sfu::Slate>) {
        let Some(stream) = self.change(|venue, _| venue.set_slate(key, slate.clone())) else {
            return;
        };
        for at in 0..self.0.links.len() {
            let slate = Some(slate.clone());
            self.tell(worker_id(at), Command::SetSlate { stream, slate });
        }
    }

    /// Gives what a stream brings to this reader of the taps from now on; `None` ends it. The whole state, whenever it changes. A
    /// stream has one reader.
    pub fn tap(&self, reader: ReaderId, stream: StreamId, tap: Option<sfu::Tap>) {
        for at in 0..self.0.links.len() {
            let worker = worker_id(at);
            if self
                .send(worker, Message::Tap(reader, stream, tap))
                .is_err()
            {
                tracing::warn!(%worker, "a media thread takes no more commands");
            }
        }
    }

    /// Asks a tapped stream's publisher for a keyframe of every layer.
    pub fn ask_tapped_keyframe(&self, stream: StreamId) {
        for at in 0..self.0.links.len() {
            self.tell(worker_id(at), Command::TapKeyframe { stream });
        }
    }

    /// Says good-bye to every session, waits for at most `deadline` until it was said, and stops the threads.
    pub async fn drain(&self, deadline: Duration) {
        self.0.is_stopping.store(true, Ordering::Relaxed);
        for (peer, worker) in self.0.directory.ask(Venue::sessions) {
            self.tell(worker, Command::Close { peer });
        }
        for (peer, _) in self.0.directory.ask(Venue::participants) {
            self.close_peer(peer);
        }
        let waited = tokio::time::timeout(deadline, async {
            let directory = &self.0.directory;
            while directory
                .ask(|venue| !venue.sessions().is_empty() || !venue.participants().is_empty())
            {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        if waited.await.is_err() {
            tracing::warn!("some sessions did not end in time");
        }
        for link in &self.0.links {
            let _ = link.send(Message::Stop);
        }
        let threads = std::mem::take(
            &mut *self
                .0
                .threads
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        let joined = tokio::task::spawn_blocking(move || {
            for thread in threads {
                let _ = thread.join();
            }
        });
        if tokio::time::timeout(deadline, joined).await.is_err() {
            tracing::warn!("a media thread did not end in time");
        }
    }

    fn reserve(&self, key: &StreamKey, claim: &Claim<'_>) -> Result<Reserved, Refused> {
        if self.is_stopping() {
            return Err(Refused::Stopping);
        }
        let loads = self.loads();
        self.change(|venue, _| venue.reserve(key, claim, &loads))
    }

    /// Tells the venue something and does what it says is to be done.
    fn change<R>(&self, change: impl FnOnce(&mut Venue, Moment) -> R) -> R {
        let carry_out = |consequence| self.carry_out(&consequence);
        self.0.directory.change(change, carry_out)
    }

    /// Sessions per worker.
    fn loads(&self) -> Vec<usize> {
        let roles = ["publisher", "viewer", "participant"].map(|role| index_of("peers", role));
        self.0
            .counters
            .iter()
            .zip(&self.0.under_way)
            .map(|(counters, under_way)| {
                let values = counters.values();
                let sessions = usize::try_from(roles.iter().map(|at| values[*at]).sum::<u64>());
                sessions
                    .unwrap_or(usize::MAX)
                    .saturating_add(under_way.load(Ordering::Relaxed))
            })
            .collect()
    }

    async fn ask(
        &self,
        worker: WorkerId,
        command: impl FnOnce(RequestId) -> Command,
    ) -> Result<Reply, Refused> {
        self.begin(worker, command)?.reply().await
    }

    /// Puts a question into a worker's queue.
    fn begin(
        &self,
        worker: WorkerId,
        command: impl FnOnce(RequestId) -> Command,
    ) -> Result<Waiting, Refused> {
        let request = RequestId(self.0.next_request.fetch_add(1, Ordering::Relaxed));
        let (answer, answered) = oneshot::channel();
        let under_way = UnderWay::enter(self, worker);
        let message = Message::Command(command(request), Some((request, answer)));
        self.send(worker, message)?;
        Ok(Waiting {
            answered,
            _under_way: under_way,
        })
    }

    fn send(&self, worker: WorkerId, message: Message) -> Result<(), Refused> {
        let sent = self.0.links[usize::from(worker.0)].send(message);
        sent.map_err(|busy| match busy {
            Busy::Full => Refused::Full("its media thread has too much to do"),
            Busy::Gone => Refused::Stopping,
        })
    }

    fn tell(&self, worker: WorkerId, command: Command) {
        let closes = match command {
            Command::Close { peer } => Some(peer),
            _ => None,
        };
        let Err(refused) = self.send(worker, Message::Command(command, None)) else {
            return;
        };
        tracing::warn!(%worker, "a media thread takes no more commands");
        if let (Some(peer), Refused::Full(_)) = (closes, refused) {
            let mut goodbyes = self.goodbyes();
            if goodbyes.len() < GOODBYES_MAX {
                goodbyes.push((worker, peer));
            }
        }
    }

    fn goodbyes(&self) -> MutexGuard<'_, Vec<(WorkerId, PeerId)>> {
        // Nothing in here is ever half changed.
        self.0
            .goodbyes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Says again what found no room; what still finds none waits for the next time.
    fn repeat_goodbyes(&self) {
        // Not under the lock, which `tell` takes.
        let goodbyes = std::mem::take(&mut *self.goodbyes());
        for (worker, peer) in goodbyes {
            self.tell(worker, Command::Close { peer });
        }
    }

    fn carry_out(&self, consequence: &Consequence) {
        if let Consequence::Close(peer, worker) = *consequence {
            return self.tell(worker, Command::Close { peer });
        }
        for at in 0..self.0.links.len() {
            let command = match *consequence {
                Consequence::Origin(stream, origin) => Command::SetOrigin { stream, origin },
                Consequence::Forget(stream) => Command::Forget { stream },
                Consequence::Close(..) => return,
            };
            self.tell(worker_id(at), command);
        }
    }

    fn keep_directory(&self, events: &Receiver<Event>) {
        attend(events, EXPIRE_EVERY, |event| match event {
            Some(event) => self.change(|venue, at| venue.apply(at, event)),
            None => {
                self.repeat_goodbyes();
                self.change(Venue::expire);
            }
        });
    }
}

/// Calls `act` with each event, and with `None` after each `every`, however many events come. Returns when no more can.
fn attend(events: &Receiver<Event>, every: Duration, mut act: impl FnMut(Option<Event>)) {
    let mut due = clock::now() + every;
    loop {
        match events.recv_timeout(due.saturating_duration_since(clock::now())) {
            Ok(event) => act(Some(event)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let now = clock::now();
        if now >= due {
            act(None);
            due = now + every;
        }
    }
}

/// A question that is on its way to a worker.
struct Waiting {
    answered: oneshot::Receiver<Result<Reply, Refusal>>,
    _under_way: UnderWay,
}

impl Waiting {
    async fn reply(self) -> Result<Reply, Refused> {
        match tokio::time::timeout(ANSWER_MAX, self.answered).await {
            Ok(Ok(result)) => result.map_err(Refused::from),
            Ok(Err(_)) => Err(Refused::Stopping),
            Err(_) => Err(Refused::Full("its media thread did not answer in time")),
        }
    }
}

/// Counts a question to a worker while it is open, also when the asking task is dropped.
struct UnderWay(Handle, WorkerId);

impl UnderWay {
    fn enter(handle: &Handle, worker: WorkerId) -> Self {
        handle.0.under_way[usize::from(worker.0)].fetch_add(1, Ordering::Relaxed);
        Self(handle.clone(), worker)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.0.under_way[usize::from(self.1.0)].fetch_sub(1, Ordering::Relaxed);
    }
}

fn worker_id(at: usize) -> WorkerId {
    WorkerId(u8::try_from(at).expect("at most THREADS_MAX workers"))
}

fn index_of(name: &str, label: &str) -> usize {
    METRICS
        .iter()
        .position(|metric| {
            metric.name == name && metric.label.is_some_and(|(_, value)| value == label)
        })
        .expect("a metric of the table")
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    #[test]
    fn what_is_done_every_so_often_is_done_however_many_events_come() {
        let (sender, events) = sync_channel(16);
        let talker = std::thread::spawn(move || {
            for _ in 0..100 {
                let peer = PeerId(1);
                sender.send(Event::Connected { peer }).unwrap();
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        let (mut heard, mut looked) = (0, 0);
        attend(&events, Duration::from_millis(20), |event| match event {
            Some(_) => heard += 1,
            None => looked += 1,
        });
        talker.join().unwrap();
        assert_eq!(heard, 100);
        assert!(looked >= 3, "{looked} times in 200 ms");
    }

    #[test]
    fn a_good_bye_that_found_no_room_is_said_again() {
        let (link, commands) = Link::without_thread(1);
        let (_events, events) = sync_channel(1);
        let limits = Limits {
            streams_max: 1,
            publishers_max: 1,
            viewers_max: 1,
            participants_max: 1,
        };
        let handle = Handle::start(vec![link], events, Vec::new(), limits, Vec::new()).unwrap();
        let closed = || match commands.try_recv() {
            Ok(Message::Command(Command::Close { peer }, None)) => Some(peer),
            _ => None,
        };
        for peer in [PeerId(1), PeerId(2), PeerId(3)] {
            handle.tell(WorkerId(0), Command::Close { peer });
        }
        assert_eq!((closed(), closed()), (Some(PeerId(1)), None));
        handle.repeat_goodbyes();
        assert_eq!((closed(), closed()), (Some(PeerId(2)), None));
        handle.repeat_goodbyes();
        assert_eq!((closed(), closed()), (Some(PeerId(3)), None));
    }
}
