//! A camera's place in the venue, which outlives its sessions.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sfu::Codec;

use super::play::Ended;
use super::timeline::Timeline;
use crate::clock;
use crate::media::{Handle, Refused, Source, SourceClosed, StreamKey};

/// A camera that is away for longer than this ends its publication: the stage is shown as empty. A shorter outage is a
/// hiccup of the same publication.
const OUTAGE_MAX: Duration = Duration::from_secs(10);
/// Without a packet for so long a camera is lost: one that was switched off says nothing more. A camera that turns out to
/// have been there all the time, as one with a slow picture or a bad radio link, is given twice as long from then on.
const SILENCE_MIN: Duration = Duration::from_secs(2);
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// Where a camera publishes.
pub(super) struct Stage {
    media: Handle,
    pub(super) key: StreamKey,
    /// The stream that it stands by for, if it is a backup.
    backup_of: Option<StreamKey>,
    pub(super) timeline: Timeline,
    publication: Option<Publication>,
    /// When the camera was lost, until it is back.
    lost_at: Option<Instant>,
    silence_max: Duration,
}

struct Publication {
    source: Source,
    tracks: Vec<Codec>,
}

impl Stage {
    pub(super) fn new(media: Handle, key: StreamKey, backup_of: Option<StreamKey>) -> Self {
        Self {
            media,
            key,
            backup_of,
            timeline: Timeline::new(clock::now()),
            publication: None,
            lost_at: None,
            silence_max: SILENCE_MIN,
        }
    }

    /// Waits while somebody else publishes; a backup, while the stream has another one. Our own publication, held over an
    /// outage, does not count, and neither does whoever stands in for us.
    pub(super) async fn wait_until_free(&self, retry: Duration) {
        let (directory, is_backup) = (self.media.directory(), self.backup_of.is_some());
        while self.publication.is_none() && !directory.is_open_to(self.published(), is_backup) {
            tokio::time::sleep(retry).await;
        }
    }

    /// What it publishes.
    fn published(&self) -> &StreamKey {
        self.backup_of.as_ref().unwrap_or(&self.key)
    }

    /// How long a camera that has sent something may send nothing.
    pub(super) fn silence_max(&self) -> Duration {
        self.silence_max
    }

    /// The same before its first packet.
    pub(super) fn start_max(&self) -> Duration {
        SILENCE_MAX
    }

    /// It had been given up too early.
    pub(super) fn be_more_patient(&mut self) {
        self.silence_max = (self.silence_max * 2).min(SILENCE_MAX);
    }

    /// The camera is away from now on.
    pub(super) fn lose(&mut self) {
        self.lost_at.get_or_insert(clock::now());
    }

    /// Ends the publication.
    pub(super) fn leave(&mut self) {
        self.publication = None;
    }

    /// Tells whoever looks after the space what is wrong with the camera.
    pub(super) fn set_trouble(&self, reason: &str) {
        let directory = self.media.directory();
        directory.set_camera_trouble(&self.key, Some(reason.into()));
    }

    /// Does `work`, and ends the publication when the outage grows too long meanwhile.
    pub(super) async fn hold<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        if let (Some(lost_at), Some(_)) = (self.lost_at, &self.publication) {
            tokio::select! {
                done = &mut work => return done,
                () = tokio::time::sleep_until((lost_at + OUTAGE_MAX).into()) => {}
            }
            let (space, stream) = (&self.key.space, &self.key.stream);
            tracing::info!(%space, %stream, "the camera stays away: its stage is empty");
            self.publication = None;
        }
        work.await
    }

    /// Makes sure that exactly these tracks are published, with an interruption only if they were not.
    pub(super) async fn publish(&mut self, tracks: &[Codec]) -> Result<(), Ended> {
        if self.lost_at.take().is_some() || self.publication.is_none() {
            let directory = self.media.directory();
            directory.set_camera_trouble(&self.key, None);
        }
        match &self.publication {
            Some(publication) if publication.source.is_closed() => return Err(Ended::TakenOver),
            Some(publication) if publication.tracks == tracks => return Ok(()),
            _ => {}
        }
        // The old publication must end before a new one can begin.
        self.publication = None;
        match self
            .media
            .open_source(
                self.published().clone(),
                tracks.to_vec(),
                self.backup_of.is_some(),
            )
            .await
        {
            Ok(source) => {
                self.publication = Some(Publication {
                    source,
                    tracks: tracks.to_vec(),
                });
                Ok(())
            }
            Err(Refused::Stopping) => Err(Ended::Stopping),
            Err(Refused::Taken) => Err(Ended::TakenOver),
            Err(refused) => Err(Ended::Lost(refused.to_string())),
        }
    }

    /// Whether the tracks are published, so that [`Stage::send`] reaches somebody.
    pub(super) fn is_published(&self) -> bool {
        self.publication.is_some() && self.lost_at.is_none()
    }

    /// Sends a payload if the tracks are published.
    pub(super) fn send(
        &mut self,
        track: usize,
        timestamp: u32,
        marker: bool,
        payload: Arc<[u8]>,
    ) -> Result<(), Ended> {
        match &mut self.publication {
            Some(publication) => publication
                .source
                .send(track, timestamp, marker, payload)
                .map_err(|SourceClosed| Ended::TakenOver),
            None => Ok(()),
        }
    }
}
