//! The life of a camera: connect, play, lose, wait, connect again.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sfu::Codec;

use super::play::{self, Ended};
use super::session::{self, ConnectError};
use super::timeline::Timeline;
use super::url::{RedactedUrl, Transport};
use crate::bridge::backoff::Backoff;
use crate::clock;
use crate::media::{Handle, Refused, Source, SourceClosed, StreamKey};

/// How often it looks whether a stream that somebody else took over is free again.
const RETRY: Duration = Duration::from_secs(3);
/// A camera that is away for longer than this ends its publication: the stage is shown as empty. A shorter outage is a
/// hiccup of the same publication.
const OUTAGE_MAX: Duration = Duration::from_secs(10);

/// One configured camera.
pub(crate) struct Camera {
    url: RedactedUrl,
    /// As the address says; otherwise TCP, until the camera refuses it.
    transport: Transport,
    backoff: Backoff,
    stage: Stage,
}

impl Camera {
    pub(crate) fn new(media: Handle, key: StreamKey, url: RedactedUrl) -> Self {
        let timeline = Timeline::new(clock::now());
        let transport = url.transport().unwrap_or(Transport::Tcp);
        Self {
            url,
            transport,
            backoff: Backoff::default(),
            stage: Stage {
                media,
                key,
                timeline,
                publication: None,
                lost_at: None,
            },
        }
    }

    /// Until the server stops.
    pub(crate) async fn run(mut self) {
        let (space, stream) = (
            Arc::clone(&self.stage.key.space),
            Arc::clone(&self.stage.key.stream),
        );
        loop {
            self.stage.wait_until_free().await;
            let mut playing_since = None;
            let ended = self.play(&mut playing_since).await;
            let lived = playing_since.map_or(Duration::ZERO, |since| clock::now() - since);
            match ended {
                Ended::Stopping => return,
                Ended::TakenOver => {
                    tracing::info!(%space, %stream, "somebody else publishes here; the camera waits");
                    self.stage.publication = None;
                    tokio::time::sleep(RETRY).await;
                }
                Ended::Lost(reason) => {
                    let wait = self.backoff.next(lived, random());
                    let (lived_s, retry_ms) = (lived.as_secs(), wait.as_millis() as u64);
                    tracing::warn!(%space, %stream, camera = %self.url, reason, lived_s, retry_ms, "camera lost");
                    self.stage.lost_at.get_or_insert(clock::now());
                    self.stage.hold(tokio::time::sleep(wait)).await;
                }
            }
        }
    }

    async fn play(&mut self, playing_since: &mut Option<Instant>) -> Ended {
        let url = &self.url;
        match self.stage.hold(session::connect(url, self.transport)).await {
            Ok(connected) => {
                *playing_since = Some(clock::now());
                play::play(connected, url, &mut self.stage).await
            }
            Err(error) => {
                if error == ConnectError::Transport && url.transport().is_none() {
                    self.transport = self.transport.other();
                }
                Ended::Lost(error.to_string())
            }
        }
    }
}

/// A number in 0..1; without a source of randomness, one half.
fn random() -> f64 {
    getrandom::u32().map_or(0.5, |bits| f64::from(bits) / f64::from(u32::MAX))
}

/// The camera's place in the venue, which outlives its sessions.
pub(super) struct Stage {
    media: Handle,
    pub(super) key: StreamKey,
    pub(super) timeline: Timeline,
    publication: Option<Publication>,
    /// When the camera was lost, until it is back.
    lost_at: Option<Instant>,
}

struct Publication {
    source: Source,
    tracks: Vec<Codec>,
}

impl Stage {
    /// Waits while somebody else publishes. Our own publication, held over an outage, does not count.
    async fn wait_until_free(&self) {
        while self.publication.is_none() && self.media.directory().is_live(&self.key) {
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Does `work`, and ends the publication when the outage grows too long meanwhile.
    async fn hold<T>(&mut self, work: impl Future<Output = T>) -> T {
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
        self.lost_at = None;
        match &self.publication {
            Some(publication) if publication.source.is_closed() => return Err(Ended::TakenOver),
            Some(publication) if publication.tracks == tracks => return Ok(()),
            _ => {}
        }
        // The old publication must end before a new one can begin.
        self.publication = None;
        match self
            .media
            .open_source(self.key.clone(), tracks.to_vec())
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
