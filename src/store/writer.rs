//! The one thread that owns the database, and the handle with which everybody else asks it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::watch;
use venue::SpaceName;

use super::keys::{self, KEYS_MAX, KeyRecord, NotAdded};
use super::secrets::{self, Secret};
use super::{StoreError, connection};
use crate::auth::{HashedKey, KEYS_PER_SPACE_MAX, KeyTable, fresh_salt};
use crate::clock;
use crate::tokens::Secrets;

/// Requests that may wait for the thread. One takes some 5 ms (a commit to disk), so that the last of them waits for
/// a second or so; beyond, the newest is refused ([`StoreError::Busy`]) and counted.
pub const QUEUE_MAX: usize = 256;

/// How often the thread looks whether another process has changed the file.
const LOOK_EVERY: Duration = Duration::from_millis(500);

pub(super) type Reply<T> = SyncSender<Result<T, StoreError>>;

pub(super) enum Request {
    AddKey {
        space: String,
        key: HashedKey,
        reply: Reply<()>,
    },
    RemoveKeys {
        space: String,
        reply: Reply<usize>,
    },
    ListKeys {
        reply: Reply<Vec<KeyRecord>>,
    },
    Secret {
        secret: Secret,
        fresh: Vec<u8>,
        reply: Reply<(Vec<u8>, bool)>,
    },
    RenewSecrets {
        fresh: Vec<(Secret, Vec<u8>)>,
        reply: Reply<()>,
    },
    FollowSecrets {
        reply: Reply<Option<watch::Receiver<Arc<Secrets>>>>,
    },
}

/// The open store. A clone is the same one; the database is closed with the last.
///
/// Its methods wait for the disk: not for use on a media thread, and in async code only through `spawn_blocking`.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// `None` only while dropping.
    requests: Option<SyncSender<Request>>,
    path: PathBuf,
    thread: Mutex<Option<JoinHandle<()>>>,
    keys: watch::Receiver<Arc<KeyTable>>,
    refused: AtomicU64,
}

impl Store {
    /// Opens or makes the database in `data_dir`, which is made if missing.
    ///
    /// # Errors
    /// Every reason not to start on this directory; see [`StoreError`].
    pub fn open(data_dir: &Path) -> Result<Self, StoreError> {
        let (connection, path) = connection::open(data_dir)?;
        let wrong = |error| StoreError::from_sqlite(&path, error);
        let seen = keys::data_version(&connection).map_err(wrong)?;
        let table = keys::load(&connection).map_err(wrong)?;
        let (publish, keys) = watch::channel(Arc::new(table));
        let (requests, queue) = sync_channel(QUEUE_MAX);
        let writer = Writer {
            connection,
            path: path.clone(),
            publish,
            secrets: None,
            seen,
        };
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || writer.run(&queue))
            .map_err(|error| StoreError::System(error.to_string()))?;
        let inner = Inner {
            requests: Some(requests),
            path,
            thread: Mutex::new(Some(thread)),
            keys,
            refused: AtomicU64::new(0),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The stored keys, now and after each change by whatever process.
    #[must_use]
    pub fn keys(&self) -> watch::Receiver<Arc<KeyTable>> {
        self.inner.keys.clone()
    }

    /// Gives `space` one more key; only a salted hash of it is kept.
    ///
    /// # Errors
    /// [`StoreError::TooManyKeys`], [`StoreError::Busy`], or what the disk says.
    pub fn add_key(&self, space: &SpaceName, key: &str) -> Result<(), StoreError> {
        let salt = fresh_salt().map_err(|error| StoreError::System(error.to_string()))?;
        let (space, key) = (space.as_str().to_owned(), HashedKey::new(salt, key));
        self.ask(|reply| Request::AddKey { space, key, reply })
    }

    /// Removes every key of `space`, and says how many there were.
    ///
    /// # Errors
    /// [`StoreError::Busy`], or what the disk says.
    pub fn remove_keys(&self, space: &SpaceName) -> Result<usize, StoreError> {
        let space = space.as_str().to_owned();
        self.ask(|reply| Request::RemoveKeys { space, reply })
    }

    /// All keys, by space and age.
    ///
    /// # Errors
    /// [`StoreError::Busy`], or what the disk says.
    pub fn list_keys(&self) -> Result<Vec<KeyRecord>, StoreError> {
        self.ask(|reply| Request::ListKeys { reply })
    }

    /// How many requests were refused because [`QUEUE_MAX`] were waiting.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.inner.refused.load(Ordering::Relaxed)
    }

    pub(super) fn path(&self) -> &Path {
        &self.inner.path
    }

    pub(super) fn ask<T>(
        &self,
        request: impl FnOnce(Reply<T>) -> Request,
    ) -> Result<T, StoreError> {
        let (reply, answer) = sync_channel(1);
        let requests = self.inner.requests.as_ref().ok_or(StoreError::Stopped)?;
        requests
            .try_send(request(reply))
            .map_err(|error| match error {
                TrySendError::Full(_) => {
                    self.inner.refused.fetch_add(1, Ordering::Relaxed);
                    StoreError::Busy
                }
                TrySendError::Disconnected(_) => StoreError::Stopped,
            })?;
        answer.recv().map_err(|_| StoreError::Stopped)?
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Without senders the thread finishes what waits and closes the database.
        drop(self.requests.take());
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the store's thread had panicked");
        }
    }
}

struct Writer {
    connection: Connection,
    path: PathBuf,
    publish: watch::Sender<Arc<KeyTable>>,
    /// `None` until somebody follows them.
    secrets: Option<watch::Sender<Arc<Secrets>>>,
    seen: i64,
}

impl Writer {
    fn run(mut self, queue: &Receiver<Request>) {
        let mut look_at = clock::now() + LOOK_EVERY;
        loop {
            match queue.recv_timeout(look_at.saturating_duration_since(clock::now())) {
                Ok(request) => self.handle(request),
                Err(RecvTimeoutError::Timeout) => {
                    look_at = clock::now() + LOOK_EVERY;
                    self.look();
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn handle(&mut self, request: Request) {
        // Who asked may be gone; then nobody wants the answer.
        match request {
            Request::AddKey { space, key, reply } => {
                let added = self.add(&space, &key);
                let _ = reply.send(added);
            }
            Request::RemoveKeys { space, reply } => {
                let removed =
                    keys::remove(&self.connection, &space).map_err(|error| self.wrong(error));
                self.reload();
                let _ = reply.send(removed);
            }
            Request::ListKeys { reply } => {
                let _ = reply.send(keys::list(&self.connection).map_err(|error| self.wrong(error)));
            }
            Request::Secret {
                secret,
                fresh,
                reply,
            } => {
                let now = clock::unix_seconds();
                let kept = secrets::kept_or(&mut self.connection, secret, &fresh, now);
                let _ = reply.send(kept.map_err(|error| self.wrong(error)));
            }
            Request::RenewSecrets { fresh, reply } => {
                let now = clock::unix_seconds();
                let renewed = secrets::renew(&mut self.connection, &fresh, now);
                self.reload();
                let _ = reply.send(renewed.map_err(|error| self.wrong(error)));
            }
            Request::FollowSecrets { reply } => {
                let followed = self.follow().map_err(|error| self.wrong(error));
                let _ = reply.send(followed);
            }
        }
    }

    fn add(&mut self, space: &str, key: &HashedKey) -> Result<(), StoreError> {
        match keys::add(&mut self.connection, space, key, clock::unix_seconds()) {
            Ok(()) => {
                self.reload();
                Ok(())
            }
            Err(NotAdded::TooManyOfSpace) => Err(StoreError::TooManyKeys {
                what: format!("space `{space}`"),
                most: KEYS_PER_SPACE_MAX,
            }),
            Err(NotAdded::TooMany) => Err(StoreError::TooManyKeys {
                what: "this server".to_owned(),
                most: KEYS_MAX,
            }),
            Err(NotAdded::Sqlite(error)) => Err(self.wrong(error)),
        }
    }

    /// Reads the keys again if another process has written.
    fn look(&mut self) {
        match keys::data_version(&self.connection) {
            Ok(version) if version == self.seen => {}
            Ok(version) => {
                self.seen = version;
                self.reload();
                tracing::info!(spaces = self.publish.borrow().len(), "keys have changed");
            }
            Err(error) => {
                tracing::error!(%error, "the database cannot be read; keys stay as they were")
            }
        }
    }

    fn reload(&self) {
        let stays = "the database cannot be read; keys stay as they were";
        match keys::load(&self.connection) {
            Ok(table) => drop(self.publish.send_replace(Arc::new(table))),
            Err(error) => tracing::error!(%error, "{stays}"),
        }
        if let Some(publish) = &self.secrets {
            match secrets::load(&self.connection) {
                Ok(Some(secrets)) => drop(publish.send_replace(Arc::new(secrets))),
                Ok(None) => tracing::error!("the key of tokens is gone; the old one counts on"),
                Err(error) => tracing::error!(%error, "{stays}"),
            }
        }
    }

    /// The secrets from now on; `None` when there is no usable key.
    fn follow(&mut self) -> rusqlite::Result<Option<watch::Receiver<Arc<Secrets>>>> {
        if self.secrets.is_none() {
            let kept = secrets::load(&self.connection)?;
            self.secrets = kept.map(|kept| watch::channel(Arc::new(kept)).0);
        }
        Ok(self.secrets.as_ref().map(watch::Sender::subscribe))
    }

    fn wrong(&self, error: rusqlite::Error) -> StoreError {
        StoreError::from_sqlite(&self.path, error)
    }
}
