//! Starts packaging, and has it follow what is live.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use hls::DateRange;
use tokio::sync::broadcast::error::RecvError;

use super::cards::Cards;
use super::counters::BroadcastCounters;
use super::packaging::{Command, Packaging};
use super::production::Surroundings;
use super::published::Published;
use super::thumbnails::Thumbnails;
use crate::bus::Moments;
use crate::clock;
use crate::media::{self, StreamKey, TapWaker, Taps};
use crate::recording::{Entry, Recorder, Resumable};

/// Commands that wait for a thread: as many streams as there may be.
const COMMANDS_MAX: usize = 8192;

/// Between two looks at what is live, however much changes.
const PAUSE: Duration = Duration::from_millis(20);

/// A stream goes on if its last segment ended at most this long before this process began: as long as a performer is waited for.
const RESUME_AGE_MAX_MS: u64 = 60_000;

/// How streams are packaged.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whether they are at all.
    pub enabled: bool,
    /// The target duration of a part.
    pub part: Duration,
    /// How far back a viewer can go.
    pub dvr_window: Duration,
    /// Whether streams are recorded that `recorded` does not name.
    pub record: bool,
    /// Which streams are recorded, or are not, whatever `record` says.
    pub recorded: BTreeMap<StreamKey, bool>,
}

impl Settings {
    fn hls(&self) -> hls::Settings {
        hls::Settings {
            part_target: self.part,
            ..hls::Settings::default()
        }
    }
}

struct Shared {
    published: Arc<Published>,
    counters: Arc<BroadcastCounters>,
    recorder: Recorder,
    settings: Settings,
    /// None while HLS is switched off.
    shares: Vec<Share>,
}

/// A packaging thread, which has all streams whose names fall to it: what takes long delays no other thread's streams.
struct Share {
    commands: SyncSender<Command>,
    waker: TapWaker,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Which of so many threads has a stream, whenever it comes: two lives of one name must not be on two of them.
fn share(key: &StreamKey, count: usize) -> usize {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    (hasher.finish() % count as u64) as usize
}

impl Share {
    fn start(
        at: usize,
        media: &media::Handle,
        taps: Taps,
        published: &Arc<Published>,
        around: &Surroundings,
        lives: Vec<Resumable>,
    ) -> io::Result<Self> {
        let (commands, receiver) = sync_channel(COMMANDS_MAX);
        let waker = taps.waker();
        let (media, published, around) = (media.clone(), published.clone(), around.clone());
        let packaging = Packaging::new(media, taps, receiver, published, around);
        let builder = std::thread::Builder::new().name(format!("packaging-{at}"));
        let thread = builder.spawn(move || packaging.run(lives))?;
        Ok(Self {
            commands,
            waker,
            thread: Mutex::new(Some(thread)),
        })
    }

    fn tell(&self, command: Command) {
        if self.commands.try_send(command).is_err() {
            tracing::warn!(
                "a packaging thread takes no more commands; a stream has no HLS until the next change"
            );
        }
        self.waker.wake();
    }

    fn is_running(&self) -> bool {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }
}

/// Live streams as HLS. Cheap to clone.
#[derive(Clone)]
pub struct Broadcast(Arc<Shared>);

impl Broadcast {
    /// Starts the packaging threads, unless HLS is switched off.
    ///
    /// # Errors
    /// No thread can be made.
    pub fn start(
        media: &media::Handle,
        recorder: Recorder,
        settings: Settings,
    ) -> io::Result<Self> {
        let published = Arc::new(Published::default());
        let counters = Arc::new(BroadcastCounters::default());
        let mut shares = Vec::new();
        let all_taps = match settings.enabled {
            true => media.take_taps(),
            false => Vec::new(),
        };
        if !all_taps.is_empty() {
            let around = Surroundings {
                settings: settings.hls(),
                dvr_window: settings.dvr_window,
                on_change: {
                    let media = media.clone();
                    Arc::new(move |space| media.directory().has_changed(space))
                },
                thumbnails: Thumbnails::start(recorder.clone())?,
                cards: Cards::start()?,
                recorder: recorder.clone(),
                counters: counters.clone(),
            };
            let now_ms = clock::unix_micros() / 1000;
            let mut lives = recorder.archive().resumable(now_ms, RESUME_AGE_MAX_MS);
            let count = all_taps.len();
            for (at, taps) in all_taps.into_iter().enumerate() {
                let mine = |life: &mut Resumable| share(&life.key, count) == at;
                let lives = lives.extract_if(.., mine).collect();
                let started = Share::start(at, media, taps, &published, &around, lives)?;
                shares.push(started);
            }
        }
        Ok(Self(Arc::new(Shared {
            published,
            counters,
            recorder,
            settings,
            shares,
        })))
    }

    /// What is live as HLS.
    pub fn published(&self) -> &Published {
        &self.0.published
    }

    /// Where a space's picture is, for whoever must know at every message: a look into two small maps.
    #[must_use]
    pub fn moments(&self) -> Moments {
        let published = self.0.published.clone();
        Arc::new(move |space| published.moment(space))
    }

    /// Tells the players of all streams of a space of a moment, now and when it is replayed. Players of a live stream know with
    /// its next part.
    pub fn tell_players(&self, space: &str, range: &DateRange) {
        for show in self.0.published.shows(space) {
            show.add_daterange(range);
            self.0.recorder.try_send(Entry::DateRange {
                life: show.life().clone(),
                range: range.clone(),
            });
        }
    }

    /// What was counted.
    pub fn counters(&self) -> &Arc<BroadcastCounters> {
        &self.0.counters
    }

    /// What is on disk.
    pub fn recorder(&self) -> &Recorder {
        &self.0.recorder
    }

    /// What playlists are made with.
    pub fn settings(&self) -> hls::Settings {
        self.0.settings.hls()
    }

    /// How long a part is at most; what a viewer's latency is made of.
    pub fn part(&self) -> Duration {
        self.0.settings.part
    }

    /// Has every stream packaged that goes live, until the server stops. To be run once.
    pub async fn follow(self, media: media::Handle) {
        if self.0.shares.is_empty() {
            return;
        }
        let mut changes = media.directory().changes();
        loop {
            for (key, stream) in media.directory().live() {
                let record = self.0.settings.record;
                let keeps = self
                    .0
                    .settings
                    .recorded
                    .get(&key)
                    .copied()
                    .unwrap_or(record);
                let at = share(&key, self.0.shares.len());
                self.0.shares[at].tell(Command::Open { key, stream, keeps });
            }
            if matches!(changes.recv().await, Err(RecvError::Closed)) {
                return;
            }
            tokio::time::sleep(PAUSE).await;
            changes = changes.resubscribe();
        }
    }

    /// Closes what is open of all streams and completes their recordings. The next process may go on with them. Returns whether that was done within twice `limit`. Blocks: in async
    /// code only through `spawn_blocking`.
    pub fn finish(&self, limit: Duration) -> bool {
        self.stop(limit, true) & self.0.recorder.finish(limit)
    }

    /// Ends all streams for good; returns whether that was done within `limit`. Blocks, as [`Self::finish`].
    pub fn stop_streams(&self, limit: Duration) -> bool {
        self.stop(limit, false)
    }

    fn stop(&self, limit: Duration, is_pause: bool) -> bool {
        for share in &self.0.shares {
            share.tell(Command::Stop { is_pause });
        }
        let deadline = clock::now() + limit;
        let is_running = || self.0.shares.iter().any(Share::is_running);
        while is_running() && clock::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        !is_running()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_shared_out_by_their_names_and_a_name_stays_where_it_was() {
        let key = |number: usize| StreamKey {
            space: format!("space-{}", number / 4).into(),
            stream: ["main", "b", "c", "d"][number % 4].into(),
        };
        for count in 2..=4 {
            let mut shares = vec![0; count];
            for number in 0..400 {
                let at = share(&key(number), count);
                assert_eq!(at, share(&key(number), count));
                shares[at] += 1;
            }
            let least = 400 / count / 2;
            assert!(shares.iter().all(|streams| *streams > least), "{shares:?}");
        }
    }
}
