//! Small pictures of a stream, one each ten seconds, decoded on a thread of their own.

use std::collections::BTreeMap;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use hls::Segment;
use transcode::Thumbnailer;

use super::picture::first_picture;
use super::stream::Show;
use crate::recording::{Entry, Recorder};

/// Pictures that wait for the thread; each is a segment's bytes. A decoder takes some ms for one.
const WAITING_MAX: usize = 16;

/// Seconds between two pictures of a stream.
const EVERY_S: u64 = 10;

struct Job {
    life: Arc<str>,
    at_s: u64,
    init: Bytes,
    segment: Bytes,
}

/// The way to the thread. A picture that finds no room is left out.
#[derive(Clone)]
pub(super) struct Thumbnails {
    jobs: SyncSender<Job>,
    /// The place of each life's last picture, in units of [`EVERY_S`].
    last: Arc<Mutex<BTreeMap<Arc<str>, u64>>>,
}

impl Thumbnails {
    /// Starts the thread. It ends when the last sender is gone.
    pub(super) fn start(recorder: Recorder) -> io::Result<Self> {
        let (jobs, jobs_in) = sync_channel(WAITING_MAX);
        std::thread::Builder::new()
            .name("thumbnails".into())
            .spawn(move || work(&jobs_in, &recorder))?;
        Ok(Self {
            jobs,
            last: Arc::default(),
        })
    }

    /// Takes a picture of a segment if one is due. Never waits.
    pub(super) fn offer(&self, show: &Show, init: Option<Bytes>, segment: &Segment) {
        let Some(init) = init.filter(|_| segment.independent) else {
            return;
        };
        let Ok(start) = u64::try_from(segment.start) else {
            return;
        };
        let place = start / u64::from(segment.timescale.max(1)) / EVERY_S;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.get(show.life()).is_some_and(|last| *last >= place) {
            return;
        }
        let job = Job {
            life: show.life().clone(),
            at_s: place * EVERY_S,
            init,
            segment: segment.bytes.clone(),
        };
        if self.jobs.try_send(job).is_ok() {
            last.insert(show.life().clone(), place);
        }
    }

    /// The stream is over.
    pub(super) fn forget(&self, show: &Show) {
        self.last
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(show.life());
    }
}

fn work(jobs: &Receiver<Job>, recorder: &Recorder) {
    let mut thumbnailer = match Thumbnailer::new() {
        Ok(thumbnailer) => thumbnailer,
        Err(error) => {
            tracing::warn!(%error, "there will be no thumbnails");
            return;
        }
    };
    for job in jobs {
        let picture = first_picture(&job.init, &job.segment)
            .and_then(|picture| thumbnailer.jpeg(&picture).ok());
        if let Some(jpeg) = picture {
            recorder.try_send(Entry::Thumbnail {
                life: job.life,
                at_s: job.at_s,
                jpeg,
            });
        }
    }
}
