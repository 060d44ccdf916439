//! The handle with which everybody asks the history.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bus::Message;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::moderation::Audit;
use super::rows::{self, Page, PageQuery, Totals};
use super::writer::{Job, Kept, Writer};
use crate::config::MessagesConfig;
use crate::store::{StoreError, connection};

/// Messages that may wait for the disk: eight seconds of a thousand per second. Beyond, the newest is refused.
pub const HISTORY_QUEUE_MAX: usize = 8192;

/// Their bytes: as many pictures of 60 kB as come in a second from a thousand people.
pub const HISTORY_QUEUE_BYTES_MAX: usize = 64 << 20;

/// Reads that may wait; who asks beyond waits for room.
const READS_MAX: usize = 256;

/// How much is kept. What is too old goes; when there is too much, the oldest of the channel that takes the most bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryLimits {
    /// Messages.
    pub messages: u64,
    /// Bytes of messages and what it takes to find them; the file is about as large.
    pub bytes: u64,
    /// How old a message may become; `None`: as old as it likes.
    pub age: Option<Duration>,
}

impl Default for HistoryLimits {
    /// Some hundred evenings with a hundred thousand messages each, on less disk than a minute of video from each.
    fn default() -> Self {
        Self {
            messages: 5_000_000,
            bytes: 1 << 30,
            age: None,
        }
    }
}

impl From<&MessagesConfig> for HistoryLimits {
    /// What the operator said; bytes are the only limit unless they are none.
    fn from(config: &MessagesConfig) -> Self {
        Self {
            messages: u64::MAX,
            bytes: config.kept_bytes_max.unwrap_or(u64::MAX),
            age: config.keep_max,
        }
    }
}

/// What has been counted since the start, and what is there now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HistoryFigures {
    /// Messages in the history.
    pub messages: u64,
    /// Their bytes, as [`HistoryLimits::bytes`] counts.
    pub bytes: u64,
    /// Messages that were written.
    pub kept: u64,
    /// Groups in which they were.
    pub groups: u64,
    /// Messages that were refused because too many waited.
    pub refused: u64,
    /// Messages that the disk did not take.
    pub failed: u64,
    /// Messages that were removed because there were too many.
    pub removed: u64,
    /// Messages that wait to be written.
    pub waiting: u64,
}

impl HistoryFigures {
    /// Each with its name, what it is, and whether it only grows.
    #[must_use]
    pub fn all(&self) -> [(&'static str, &'static str, bool, u64); 8] {
        let figure = |name, help, only_grows, value| (name, help, only_grows, value);
        [
            figure(
                "history_messages",
                "Messages that are kept.",
                false,
                self.messages,
            ),
            figure(
                "history_size_bytes",
                "Bytes of kept messages, as their limit counts.",
                false,
                self.bytes,
            ),
            figure(
                "history_waiting",
                "Messages that wait to be written.",
                false,
                self.waiting,
            ),
            figure(
                "history_written",
                "Messages that were written.",
                true,
                self.kept,
            ),
            figure(
                "history_groups",
                "Groups in which messages were written.",
                true,
                self.groups,
            ),
            figure(
                "history_refused",
                "Messages that were refused because too many waited.",
                true,
                self.refused,
            ),
            figure(
                "history_failed",
                "Messages that the disk did not take.",
                true,
                self.failed,
            ),
            figure(
                "history_removed",
                "Messages that were removed because there were too many, or too old.",
                true,
                self.removed,
            ),
        ]
    }
}

/// Counters, shared with the thread that writes.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) messages: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) newest: AtomicU64,
    pub(super) kept: AtomicU64,
    pub(super) groups: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) removed: AtomicU64,
    pub(super) waiting: AtomicUsize,
    pub(super) waiting_bytes: AtomicUsize,
}

type Read = Box<dyn FnOnce(&Connection) + Send>;

/// The open history. A clone is the same one; the database is closed with the last, after what waits is written.
#[derive(Debug, Clone)]
pub struct History {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// `None` only while dropping.
    writes: Option<SyncSender<Job>>,
    reads: Option<mpsc::Sender<Read>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    shared: Arc<Shared>,
    path: PathBuf,
}

impl History {
    /// Opens or makes the history in `data_dir`, which is made if missing.
    ///
    /// # Errors
    /// Every reason not to start on this directory; see [`StoreError`].
    pub fn open(data_dir: &Path, limits: HistoryLimits) -> Result<Self, StoreError> {
        Self::open_with(data_dir, limits, BTreeSet::new())
    }

    /// As [`History::open`]. Whatever others fill the history with, the `named` channels have a share of it.
    ///
    /// # Errors
    /// As [`History::open`].
    pub fn open_with(
        data_dir: &Path,
        limits: HistoryLimits,
        named: BTreeSet<Arc<str>>,
    ) -> Result<Self, StoreError> {
        let (writing, reading, path) = connection::open_history(data_dir)?;
        let mut totals = Totals::load(&writing)
            .map_err(|error| StoreError::from_sqlite(&path, error).of_history())?;
        totals.named = Arc::new(named);
        let shared = Arc::new(Shared::default());
        let (writes, jobs) = sync_channel(HISTORY_QUEUE_MAX);
        let (reads, mut wanted) = mpsc::channel::<Read>(READS_MAX);
        let writer = Writer::new(writing, limits, totals, Arc::clone(&shared));
        let spawn = |name: &str, run: Box<dyn FnOnce() + Send>| {
            let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
            thread.map_err(|error| StoreError::System(error.to_string()))
        };
        let writing = spawn("history", Box::new(move || writer.run(&jobs)))?;
        let reading = spawn(
            "history-read",
            Box::new(move || {
                while let Some(read) = wanted.blocking_recv() {
                    read(&reading);
                }
            }),
        )?;
        let inner = Inner {
            writes: Some(writes),
            reads: Some(reads),
            // The writer is joined last: it is who leaves the file tidy when it is the last to close it.
            threads: Mutex::new(vec![reading, writing]),
            shared,
            path,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The largest number that a kept message ever had; 0 when there was none. New ones must be larger.
    #[must_use]
    pub fn newest_seq(&self) -> u64 {
        self.inner.shared.newest.load(Ordering::Relaxed)
    }

    /// Writes a message, and says whether it is on disk: `done(true)` only when it outlives a crash and a power cut.
    /// Never waits. Messages are written in the order in which they come; `done` is called in that order on the
    /// history's own thread and must not wait, or on this one when the message is refused because too many wait.
    pub fn keep(&self, message: Arc<Message>, done: impl FnOnce(bool) + Send + 'static) {
        let shared = &self.inner.shared;
        let bytes = rows::weight(&message);
        let waiting = shared.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        shared.waiting.fetch_add(1, Ordering::Relaxed);
        let kept = Kept {
            message,
            bytes,
            done: Box::new(done),
        };
        let refused = match &self.inner.writes {
            Some(writes) if waiting + bytes <= HISTORY_QUEUE_BYTES_MAX => {
                match writes.try_send(Job::Keep(kept)) {
                    Ok(()) => return,
                    Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) => job,
                }
            }
            _ => Job::Keep(kept),
        };
        shared.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
        shared.waiting.fetch_sub(1, Ordering::Relaxed);
        shared.refused.fetch_add(1, Ordering::Relaxed);
        if let Job::Keep(kept) = refused {
            (kept.done)(false);
        }
    }

    /// The newest messages of a channel that are of these kinds, oldest first: at most `count` of them and at most
    /// `bytes` bytes of raw messages, but one in any case.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn latest(
        &self,
        channel: &str,
        kinds: &[&str],
        count: usize,
        bytes: usize,
    ) -> Result<Vec<Arc<Message>>, StoreError> {
        let query = PageQuery {
            channel: Some(channel.to_owned()),
            kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
            is_newest: true,
            count,
            bytes,
            ..PageQuery::default()
        };
        Ok(self.page(query).await?.messages)
    }

    /// A channel's messages with numbers in (after, before), oldest first, at most `count`; [`Page::next`] says whether
    /// there are more.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn between(
        &self,
        channel: &str,
        after: u64,
        before: u64,
        count: usize,
    ) -> Result<Page, StoreError> {
        self.page(PageQuery {
            channel: Some(channel.to_owned()),
            from: after.saturating_add(1),
            to: before,
            count,
            ..PageQuery::default()
        })
        .await
    }

    /// A page of what is kept.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn page(&self, query: PageQuery) -> Result<Page, StoreError> {
        self.read(move |connection| rows::page(connection, &query))
            .await
    }

    /// One message of a channel.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn message(
        &self,
        channel: &str,
        seq: u64,
    ) -> Result<Option<Arc<Message>>, StoreError> {
        let page = self.between(channel, seq.saturating_sub(1), seq.saturating_add(1), 1);
        Ok(page.await?.messages.pop())
    }

    /// Removes a message of a channel and notes who did it. The message, or `None` when there was none: then nothing is
    /// noted.
    ///
    /// # Errors
    /// [`StoreError::Busy`], or what the disk says.
    pub async fn delete(
        &self,
        channel: &str,
        seq: u64,
        audit: Audit,
    ) -> Result<Option<Arc<Message>>, StoreError> {
        let channel = channel.to_owned();
        self.change(move |transaction, totals| {
            let removed = rows::delete(transaction, totals, &channel, seq)?;
            if removed.is_some() {
                audit.write(transaction)?;
            }
            Ok(removed)
        })
        .await
    }

    /// Removes all messages; bans, slow mode and the audit trail stay.
    ///
    /// # Errors
    /// [`StoreError::Busy`], or what the disk says.
    pub async fn clear(&self, audit: Audit) -> Result<(), StoreError> {
        self.change(move |transaction, totals| {
            rows::clear(transaction, totals)?;
            audit.write(transaction)
        })
        .await
    }

    /// What was counted.
    #[must_use]
    pub fn figures(&self) -> HistoryFigures {
        let shared = &self.inner.shared;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        HistoryFigures {
            messages: read(&shared.messages),
            bytes: read(&shared.bytes),
            kept: read(&shared.kept),
            groups: read(&shared.groups),
            refused: read(&shared.refused),
            failed: read(&shared.failed),
            removed: read(&shared.removed),
            waiting: shared.waiting.load(Ordering::Relaxed) as u64,
        }
    }

    /// Reads on the thread that reads, in turn.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let read: Read = Box::new(move |connection| {
            // Who asked may be gone; then nobody wants the answer.
            if !reply.is_closed() {
                let _ = reply.send(read(connection));
            }
        });
        let reads = self.inner.reads.as_ref().ok_or(StoreError::Stopped)?;
        reads.send(read).await.map_err(|_| StoreError::Stopped)?;
        let answer = answer.await.map_err(|_| StoreError::Stopped)?;
        answer.map_err(|error| self.wrong(error))
    }

    /// Changes something in a transaction of its own, after all messages that came before.
    pub(super) async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Connection, &mut Totals) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let job = Job::Change(Box::new(move |writer| {
            let _ = reply.send(writer.change(change));
        }));
        let writes = self.inner.writes.as_ref().ok_or(StoreError::Stopped)?;
        writes.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Busy,
            TrySendError::Disconnected(_) => StoreError::Stopped,
        })?;
        let answer = answer.await.map_err(|_| StoreError::Stopped)?;
        answer.map_err(|error| self.wrong(error))
    }

    fn wrong(&self, error: rusqlite::Error) -> StoreError {
        StoreError::from_sqlite(&self.inner.path, error).of_history()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Without senders the threads finish what waits and close the database.
        drop(self.writes.take());
        drop(self.reads.take());
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        for thread in threads.drain(..) {
            // The last handle may be one that a write carried along, and end with it on the thread itself.
            if thread.thread().id() != std::thread::current().id() && thread.join().is_err() {
                tracing::error!("a thread of the history had panicked");
            }
        }
    }
}
