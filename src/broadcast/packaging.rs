//! A thread that packages streams: those of a share of all names.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use sfu::{StreamId, Tap, TapItem};

use super::line::{Line, Wishes};
use super::production::Surroundings;
use super::published::Published;
use crate::clock;
use crate::media::{self, ReaderId, StreamKey, Taps};
use crate::recording::Resumable;

/// Items that are taken from each media thread before parts are published.
const ITEMS_PER_TURN: usize = 1024;

/// Turns after which every item is taken that waited when the end came.
const TURNS_AT_END: usize = media::TAP_ITEMS_MAX.div_ceil(ITEMS_PER_TURN);

/// Between two looks at the taps while something is live: well below a picture.
const TICK: Duration = Duration::from_millis(5);

/// The same while nothing is; a command ends the wait.
const IDLE: Duration = Duration::from_millis(200);

/// Between two times at which the media threads are told what is tapped.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// What a thread is told.
pub(super) enum Command {
    /// A stream is live under this name. Said again when it has a new id.
    Open {
        key: StreamKey,
        stream: StreamId,
        keeps: bool,
    },
    /// Stop everything.
    Stop {
        /// Whether the streams go on in the next process; otherwise they are over.
        is_pause: bool,
    },
}

/// A thread's state.
pub(super) struct Packaging {
    media: media::Handle,
    taps: Taps,
    /// Which of those who read the taps this is.
    reader: ReaderId,
    commands: Receiver<Command>,
    published: Arc<Published>,
    around: Surroundings,
    lines: BTreeMap<StreamKey, Line>,
    keys: BTreeMap<StreamId, StreamKey>,
    /// When all taps were told last.
    told: Instant,
}

impl Packaging {
    pub(super) fn new(
        media: media::Handle,
        taps: Taps,
        commands: Receiver<Command>,
        published: Arc<Published>,
        around: Surroundings,
    ) -> Self {
        Self {
            media,
            reader: taps.id(),
            taps,
            commands,
            published,
            around,
            lines: BTreeMap::new(),
            keys: BTreeMap::new(),
            told: clock::now(),
        }
    }

    /// Goes on with what was live when the last process ended, and runs until it is told to stop or nobody can tell it anything.
    pub(super) fn run(mut self, lives: Vec<Resumable>) {
        self.resume(lives);
        loop {
            let now = clock::now();
            if let ControlFlow::Break(is_pause) = self.take_commands() {
                self.take_rest(now);
                break self.stop(is_pause);
            }
            let has_more = self.take_items(now);
            self.tick(now);
            if !has_more {
                self.taps
                    .wait(if self.lines.is_empty() { IDLE } else { TICK });
            }
        }
    }

    fn stop(&mut self, is_pause: bool) {
        for line in self.lines.values_mut() {
            if !is_pause || guarded(|| line.suspend()).is_none() {
                close(line);
            }
        }
    }

    fn resume(&mut self, lives: Vec<Resumable>) {
        let now_ms = clock::unix_micros() / 1000;
        for life in lives {
            let (around, published) = (self.around.clone(), self.published.clone());
            let line = guarded(|| Line::resume(clock::now(), now_ms, &life, around, published));
            if let Some(line) = line.flatten() {
                tracing::info!(key = %life.key, life = %life.life, "this stream goes on after the restart");
                self.around.counters.count_resumed();
                self.lines.insert(life.key.clone(), line);
            }
        }
    }

    /// What came before the end belongs to the recordings. Media threads that still send are not waited for.
    fn take_rest(&mut self, now: Instant) {
        for _ in 0..TURNS_AT_END {
            if !self.take_items(now) {
                return;
            }
        }
    }

    /// Breaks when it is to stop, and says whether that is a pause.
    fn take_commands(&mut self) -> ControlFlow<bool> {
        use std::sync::mpsc::TryRecvError;
        loop {
            match self.commands.try_recv() {
                Ok(Command::Open { key, stream, keeps }) => self.open(key, stream, keeps),
                Ok(Command::Stop { is_pause }) => return ControlFlow::Break(is_pause),
                Err(TryRecvError::Disconnected) => return ControlFlow::Break(false),
                Err(TryRecvError::Empty) => return ControlFlow::Continue(()),
            }
        }
    }

    fn open(&mut self, key: StreamKey, stream: StreamId, keeps: bool) {
        if let Some(line) = self.lines.get_mut(&key) {
            if line.stream == Some(stream) {
                return;
            }
            if let Some(before) = line.stream {
                self.media.tap(self.reader, before, None);
                self.keys.remove(&before);
            } else {
                line.keeps = keeps;
            }
            line.stream = Some(stream);
            line.told_watched = false;
        } else {
            let line = Line::new(
                key.clone(),
                stream,
                keeps,
                self.around.clone(),
                self.published.clone(),
            );
            self.lines.insert(key.clone(), line);
        }
        self.keys.insert(stream, key);
        self.media
            .tap(self.reader, stream, Some(Tap { is_watched: false }));
    }

    /// Returns whether more may wait.
    fn take_items(&mut self, now: Instant) -> bool {
        let Self {
            taps, keys, lines, ..
        } = self;
        let mut broken: Vec<StreamKey> = Vec::new();
        let more = taps.receive(ITEMS_PER_TURN, |stream, item| {
            let Some(line) = keys.get(&stream).and_then(|key| lines.get_mut(key)) else {
                return;
            };
            if guarded(|| take(line, now, item)).is_none() {
                broken.push(line.key.clone());
            }
        });
        for key in broken {
            self.break_off(&key);
        }
        more
    }

    fn tick(&mut self, now: Instant) {
        // A media thread with a full queue may have missed it; who knows it does nothing.
        let tells = now.saturating_duration_since(self.told) >= TELL_EVERY;
        if tells {
            self.told = now;
        }
        let mut over = Vec::new();
        let mut broken = Vec::new();
        for (key, line) in &mut self.lines {
            let Some(wishes) = guarded(|| line.tick(now)) else {
                broken.push(key.clone());
                continue;
            };
            let Wishes {
                keyframe,
                retap,
                is_over,
            } = wishes;
            if is_over {
                over.push(key.clone());
            }
            let Some(stream) = line.stream else {
                continue;
            };
            if retap {
                let is_watched = line.told_watched;
                self.media.tap(self.reader, stream, None);
                self.media
                    .tap(self.reader, stream, Some(Tap { is_watched }));
            }
            if keyframe {
                self.around.counters.count_keyframe_asked();
                self.media.ask_tapped_keyframe(stream);
            }
            let is_watched = line.is_watched();
            let has_changed = is_watched != line.told_watched;
            line.told_watched = is_watched;
            if has_changed || tells {
                self.media
                    .tap(self.reader, stream, Some(Tap { is_watched }));
            }
            if has_changed && is_watched {
                // Who comes first need not wait for the end of a long segment.
                self.media.ask_tapped_keyframe(stream);
            }
        }
        for key in broken {
            self.break_off(&key);
        }
        for key in over {
            let again = self.lines.get(&key).map(|line| (line.stream, line.keeps));
            self.remove(&key);
            // Somebody came back this very moment: that is announced once, and may have been taken for what was there.
            if let Some((Some(stream), keeps)) = again
                && self.media.directory().is_live(&key)
            {
                self.open(key, stream, keeps);
            }
        }
    }

    /// A defect lost a stream's packaging: the others go on.
    fn break_off(&mut self, key: &StreamKey) {
        self.around.counters.count_panic();
        tracing::error!(space = %key.space, stream = %key.stream, "packaging this stream failed by a defect; please report it");
        if let Some(line) = self.lines.get(key) {
            let stream = line.stream;
            self.remove(key);
            // It begins anew when it is next announced.
            if let Some(stream) = stream {
                self.media.tap(self.reader, stream, None);
            }
        }
    }

    fn remove(&mut self, key: &StreamKey) {
        let Some(mut line) = self.lines.remove(key) else {
            return;
        };
        if let Some(stream) = line.stream {
            self.keys.remove(&stream);
            self.media.tap(self.reader, stream, None);
        }
        close(&mut line);
    }
}

fn close(line: &mut Line) {
    if guarded(|| line.close()).is_none() {
        // What is open is lost, but nobody may wait for it.
        let _ = guarded(|| line.abandon());
        let StreamKey { space, stream } = &line.key;
        tracing::error!(%space, %stream, "a stream could not be closed; what was open of it is lost");
    }
}

fn take(line: &mut Line, now: Instant, item: TapItem) {
    line.on_item(now, item);
}

/// What `f` returns, or nothing when it panics.
fn guarded<R>(f: impl FnOnce() -> R) -> Option<R> {
    catch_unwind(AssertUnwindSafe(f)).ok()
}
