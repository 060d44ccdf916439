//! The thread that writes messages, in groups.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use bus::Message;
use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use super::handle::{HistoryLimits, Shared};
use super::rows::{self, Bounds, Totals};
use crate::clock;

/// The most messages of one group: what a commit takes stays below some 50 ms.
const GROUP_MAX: usize = 2048;

/// The most bytes of one group.
const GROUP_BYTES_MAX: usize = 8 << 20;

/// How many of the oldest may go with a group, beside as many as came: a limit that was lowered is reached soon without
/// anybody waiting for it.
const REMOVED_EXTRA_MAX: usize = 512;

/// How often it is looked for what has become too old while nothing comes.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// A message that waits to be written.
pub(super) struct Kept {
    pub(super) message: Arc<Message>,
    pub(super) bytes: usize,
    pub(super) done: Box<dyn FnOnce(bool) + Send>,
}

/// What the thread is asked.
pub(super) enum Job {
    Keep(Kept),
    /// Runs in its turn; it answers whoever asked.
    Change(Box<dyn FnOnce(&mut Writer) + Send>),
}

pub(super) struct Writer {
    connection: Connection,
    limits: HistoryLimits,
    totals: Totals,
    shared: Arc<Shared>,
    /// The last group could not be written; that is said once.
    is_failing: bool,
}

impl Writer {
    pub(super) fn new(
        connection: Connection,
        limits: HistoryLimits,
        totals: Totals,
        shared: Arc<Shared>,
    ) -> Self {
        let writer = Self {
            connection,
            limits,
            totals,
            shared,
            is_failing: false,
        };
        writer.publish();
        writer
    }

    pub(super) fn run(mut self, jobs: &Receiver<Job>) {
        let mut next = None;
        loop {
            let job = match next.take() {
                Some(job) => Ok(job),
                None => jobs.recv_timeout(LOOK_EVERY),
            };
            match job {
                Ok(Job::Keep(first)) => {
                    let group;
                    (group, next) = collect(first, jobs);
                    self.keep(group);
                }
                Ok(Job::Change(change)) => change(&mut self),
                Err(RecvTimeoutError::Timeout) => self.look(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// What has become too old goes although nothing comes.
    fn look(&mut self) {
        if self.limits.age.is_some()
            && let Err(error) = self.change(|_, _| Ok(()))
        {
            tracing::warn!(%error, "old messages cannot be removed; it is tried again");
        }
    }

    fn keep(&mut self, group: Vec<Kept>) {
        let bytes = group.iter().map(|kept| kept.bytes).sum();
        self.shared
            .waiting
            .fetch_sub(group.len(), Ordering::Relaxed);
        self.shared
            .waiting_bytes
            .fetch_sub(bytes, Ordering::Relaxed);
        let written = self.change(|connection, totals| write(connection, totals, &group));
        let written = match written {
            Ok(written) => {
                if self.is_failing {
                    self.is_failing = false;
                    tracing::info!("messages are kept again");
                }
                written
            }
            Err(error) => {
                if !self.is_failing {
                    self.is_failing = true;
                    let next = match error.sqlite_error_code() {
                        Some(ErrorCode::DiskFull) => "make room on the disk of the data directory",
                        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                            "another program holds messages.db; close it"
                        }
                        _ => "look after the disk of the data directory",
                    };
                    tracing::error!(%error, next, "messages cannot be kept, and are refused");
                }
                vec![false; group.len()]
            }
        };
        let kept = written.iter().filter(|is_written| **is_written).count();
        let failed = (group.len() - kept) as u64;
        self.shared.kept.fetch_add(kept as u64, Ordering::Relaxed);
        self.shared.failed.fetch_add(failed, Ordering::Relaxed);
        self.shared.groups.fetch_add(1, Ordering::Relaxed);
        for (kept, is_written) in group.into_iter().zip(written) {
            (kept.done)(is_written);
        }
    }

    /// Carries out a change in a transaction, and keeps to the limits in the same one.
    pub(super) fn change<T>(
        &mut self,
        change: impl FnOnce(&Connection, &mut Totals) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let before = &self.totals;
        // What it copies beside three numbers are some hundred channels, next to a write that waits for the disk.
        let mut totals = before.clone();
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let result = change(&transaction, &mut totals)?;
        let added = usize::try_from(totals.messages.saturating_sub(before.messages));
        let age = self
            .limits
            .age
            .map(|age| clock::unix_micros().saturating_sub(micros(age)));
        let bounds = Bounds {
            messages: self.limits.messages,
            bytes: self.limits.bytes,
            oldest: age.unwrap_or(0),
        };
        let most = added.unwrap_or(0) + REMOVED_EXTRA_MAX;
        let before_these = before.newest.saturating_add(1);
        let removed = rows::remove(&transaction, &mut totals, bounds, before_these, most)?;
        if totals != *before {
            totals.write(&transaction)?;
        }
        transaction.commit()?;
        self.totals = totals;
        self.shared.removed.fetch_add(removed, Ordering::Relaxed);
        self.publish();
        Ok(result)
    }

    fn publish(&self) {
        let Totals {
            messages,
            bytes,
            newest,
            ..
        } = self.totals;
        self.shared.messages.store(messages, Ordering::Relaxed);
        self.shared.bytes.store(bytes, Ordering::Relaxed);
        self.shared.newest.store(newest, Ordering::Relaxed);
    }
}

/// All that waits, up to a limit, and what came after it.
fn collect(first: Kept, jobs: &Receiver<Job>) -> (Vec<Kept>, Option<Job>) {
    let mut bytes = first.bytes;
    let mut group = vec![first];
    while group.len() < GROUP_MAX && bytes < GROUP_BYTES_MAX {
        match jobs.try_recv() {
            Ok(Job::Keep(kept)) => {
                bytes += kept.bytes;
                group.push(kept);
            }
            Ok(other) => return (group, Some(other)),
            Err(_) => break,
        }
    }
    (group, None)
}

fn micros(age: Duration) -> u64 {
    u64::try_from(age.as_micros()).unwrap_or(u64::MAX)
}

/// Writes a group; says of each whether it is in. A number that is taken concerns that message alone.
fn write(
    connection: &Connection,
    totals: &mut Totals,
    group: &[Kept],
) -> rusqlite::Result<Vec<bool>> {
    let mut written = Vec::with_capacity(group.len());
    let mut inserting = rows::inserting(connection)?;
    for kept in group {
        match rows::insert(&mut inserting, &kept.message, kept.bytes) {
            Ok(()) => {
                totals.add(&kept.message.channel, kept.bytes as u64);
                totals.newest = totals.newest.max(kept.message.seq);
                written.push(true);
            }
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                tracing::error!(seq = kept.message.seq, %error, "a message cannot be kept");
                written.push(false);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(written)
}
