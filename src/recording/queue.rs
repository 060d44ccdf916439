//! The way to the recorder's thread: bounded, and nobody waits.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use super::archive::{Archive, Refusal, Shared};
use super::entry::{Entry, Settings};
use super::mend;
use super::writer::Writer;
use crate::clock;

/// Entries that may wait. 256 streams with five renditions end 640 segments a second at most: two seconds of that, and
/// with a few streams the bytes count first.
pub const QUEUE_MAX: usize = 2048;

/// Places in the queue that are not for media: begins, ends and commands come through when the disk is slow.
const CONTROL_RESERVE: usize = 256;

/// Bytes of media that may wait: 20 streams of 6 Mbit/s for 17 s. Most of them are in memory anyway, because the live
/// window of 40 s has the same segments. Beyond, the newest segment is dropped and counted.
pub const QUEUE_BYTES_MAX: u64 = 256 << 20;

/// How often the thread looks for what has become too old.
const TIDY_EVERY: Duration = Duration::from_secs(5);

pub(super) type Reply = SyncSender<Result<(), Refusal>>;

/// What waits in the queue.
#[derive(Debug)]
pub(super) enum Message {
    Entry(Entry),
    Delete {
        life: Arc<str>,
        reply: Reply,
    },
    Keep {
        life: Arc<str>,
        keep: bool,
        reply: Reply,
    },
    Stop {
        reply: SyncSender<()>,
    },
}

/// How much came and went, for metrics.
#[derive(Debug, Default)]
pub struct Counters {
    /// Segments that are on disk.
    pub segments: AtomicU64,
    /// Bytes of them.
    pub bytes: AtomicU64,
    /// Segments and thumbnails that did not fit into the queue.
    pub dropped: AtomicU64,
    /// Segments and thumbnails that did not fit onto the disk, or belong to no life.
    pub lost: AtomicU64,
    /// Cues that a recording had no room for, or had to give up for newer ones.
    pub cues_lost: AtomicU64,
    entries_waiting: AtomicUsize,
    bytes_waiting: AtomicU64,
}

#[derive(Debug, Clone)]
pub(super) struct Queue {
    sender: SyncSender<Message>,
    counters: Arc<Counters>,
}

impl Queue {
    pub(super) fn new() -> (Self, Receiver<Message>) {
        let (sender, receiver) = sync_channel(QUEUE_MAX);
        let counters = Arc::new(Counters::default());
        (Self { sender, counters }, receiver)
    }

    /// Returns whether there was room.
    pub(super) fn try_send(&self, message: Message) -> bool {
        let media_bytes = media_bytes(&message);
        if let Some(bytes) = media_bytes {
            let counters = &self.counters;
            let entries = counters.entries_waiting.fetch_add(1, Ordering::Relaxed);
            let waiting = counters.bytes_waiting.fetch_add(bytes, Ordering::Relaxed);
            let fits = entries < QUEUE_MAX - CONTROL_RESERVE && waiting + bytes <= QUEUE_BYTES_MAX;
            if !fits {
                counters.taken(bytes);
                counters.dropped.fetch_add(1, Ordering::Relaxed);
                return false;
            }
        }
        let is_cue = matches!(message, Message::Entry(Entry::DateRange { .. }));
        let sent = self.sender.try_send(message).is_ok();
        if !sent && is_cue {
            self.counters.cues_lost.fetch_add(1, Ordering::Relaxed);
        }
        if let (false, Some(bytes)) = (sent, media_bytes) {
            self.counters.taken(bytes);
            self.counters.dropped.fetch_add(1, Ordering::Relaxed);
        }
        sent
    }
}

fn media_bytes(message: &Message) -> Option<u64> {
    match message {
        Message::Entry(entry) => entry.media_bytes(),
        _ => None,
    }
}

impl Counters {
    fn taken(&self, bytes: u64) {
        self.entries_waiting.fetch_sub(1, Ordering::Relaxed);
        self.bytes_waiting.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// The recorder. A clone is the same one; its thread ends after [`Recorder::finish`], or with the last clone of it and
/// of its archive.
#[derive(Debug, Clone)]
pub struct Recorder {
    archive: Archive,
}

impl Recorder {
    /// Makes the directory, looks at what is there, finishes what was cut off, and starts the thread. Takes as long as
    /// reading a small file for each recording, and the index of each that was cut off.
    ///
    /// # Errors
    /// The directory cannot be made or read, or there is no thread. A damaged recording is no error: it is logged.
    pub fn start(settings: Settings) -> io::Result<Self> {
        std::fs::create_dir_all(&settings.directory)?;
        let now_ms = unix_ms();
        let shared = Arc::new(Shared::default());
        mend::survey(&settings, now_ms, &shared)?;
        let (queue, messages) = Queue::new();
        let counters = Arc::clone(&queue.counters);
        let writer = Writer::new(settings, Arc::clone(&shared), Arc::clone(&counters));
        std::thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(move || run(writer, messages, &counters))?;
        Ok(Self {
            archive: Archive { shared, queue },
        })
    }

    /// Tells the recorder; never waits. Returns whether there was room: a segment that was refused is counted, and the
    /// recording has a discontinuity there; other entries are refused only when the disk has been stuck for long.
    pub fn try_send(&self, entry: Entry) -> bool {
        self.archive.queue.try_send(Message::Entry(entry))
    }

    /// What exists.
    #[must_use]
    pub fn archive(&self) -> &Archive {
        &self.archive
    }

    /// How much came and went.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.archive.queue.counters
    }

    /// Writes what waits, ends all lives and the thread. Waits for that, at most for `limit`; returns whether it was
    /// done. What was not is mended at the next start. Blocks: in async code only through `spawn_blocking`.
    pub fn finish(&self, limit: Duration) -> bool {
        let deadline = clock::now() + limit;
        let (reply, answer) = sync_channel(1);
        // There is nearly always room at once; a disk that is stuck for good must not be waited for in `send`.
        while !self.archive.queue.try_send(Message::Stop {
            reply: reply.clone(),
        }) {
            if clock::now() >= deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        drop(reply);
        let left = deadline.saturating_duration_since(clock::now());
        answer.recv_timeout(left).is_ok()
    }
}

fn run(mut writer: Writer, messages: Receiver<Message>, counters: &Counters) {
    let mut tidy_at = clock::now() + TIDY_EVERY;
    loop {
        match messages.recv_timeout(left(tidy_at)) {
            Ok(Message::Stop { reply }) => {
                writer.close_all(unix_ms());
                // From here on whoever sends hears that nobody listens.
                drop(messages);
                // Whoever asked may have lost patience.
                let _ = reply.send(());
                return;
            }
            Ok(message) => {
                let bytes = media_bytes(&message);
                writer.handle(message, unix_ms());
                // Not before: what is being written is in memory, too.
                if let Some(bytes) = bytes {
                    counters.taken(bytes);
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                writer.close_all(unix_ms());
                return;
            }
        }
        // Also under load: then the queue is never empty.
        if left(tidy_at).is_zero() {
            writer.tidy(unix_ms());
            tidy_at = clock::now() + TIDY_EVERY;
        }
    }
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(clock::now())
}

/// Milliseconds since 1970.
fn unix_ms() -> u64 {
    clock::wall()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX))
}
