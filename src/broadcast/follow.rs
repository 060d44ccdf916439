//! Starts packaging, and has it follow what is live.

use std::collections::BTreeMap;
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
use crate::media::{self, StreamKey, TapWaker};
use crate::recording::{Entry, Recorder};

/// Commands that wait for the thread: as many streams as there may be.
const COMMANDS_MAX: usize = 8192;

/// Between two looks at what is live, however much changes.
const PAUSE: Duration = Duration::from_millis(20);

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
    commands: Option<(SyncSender<Command>, TapWaker)>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Live streams as HLS. Cheap to clone.
#[derive(Clone)]
pub struct Broadcast(Arc<Shared>);

impl Broadcast {
    /// Starts the packaging thread, unless HLS is switched off.
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
        let (mut commands, mut thread) = (None, None);
        if settings.enabled
            && let Some(taps) = media.take_taps()
        {
            let (sender, receiver) = sync_channel(COMMANDS_MAX);
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
            commands = Some((sender, taps.waker()));
            let packaging =
                Packaging::new(media.clone(), taps, receiver, published.clone(), around);
            let builder = std::thread::Builder::new().name("packaging".into());
            thread = Some(builder.spawn(move || packaging.run())?);
        }
        Ok(Self(Arc::new(Shared {
            published,
            counters,
            recorder,
            settings,
            commands,
            thread: Mutex::new(thread),
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
        if self.0.commands.is_none() {
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
                self.tell(Command::Open { key, stream, keeps });
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
        self.tell(Command::Stop { is_pause });
        let thread = self
            .0
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let deadline = clock::now() + limit;
        let is_running = || thread.as_ref().is_some_and(|thread| !thread.is_finished());
        while is_running() && clock::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        !is_running()
    }

    fn tell(&self, command: Command) {
        if let Some((commands, waker)) = &self.0.commands {
            if commands.try_send(command).is_err() {
                tracing::warn!(
                    "the packaging thread takes no more commands; a stream has no HLS until the next change"
                );
            }
            waker.wake();
        }
    }
}
