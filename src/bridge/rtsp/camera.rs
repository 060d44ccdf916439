//! The life of a camera: connect, play, lose, wait, connect again.

use std::time::{Duration, Instant};

use super::play::{self, Ended};
use super::retry::{Fault, REFUSALS_MAX, Retry};
use super::session::{self, ConnectError};
use super::stage::Stage;
use super::url::{RedactedUrl, Transport};
use crate::clock;

/// How often it looks whether a stream that somebody else took over is free again.
const RETRY: Duration = Duration::from_secs(3);
/// How often the log repeats that a camera is still away for the same reason.
const REPEAT: Duration = Duration::from_secs(60);
/// A camera that is back so soon after it had been silent was not away.
const HICCUP: Duration = Duration::from_secs(4);

/// One configured camera.
pub(crate) struct Camera {
    url: RedactedUrl,
    /// As the address says; otherwise TCP, until the camera refuses it.
    transport: Transport,
    retry: Retry,
    /// Attempts that failed since it played last.
    failures: u32,
    /// What the log said last, and when.
    said: Option<(String, Instant)>,
    /// When it was lost because nothing came.
    silent_at: Option<Instant>,
    stage: Stage,
}

impl Camera {
    pub(super) fn new(stage: Stage, url: RedactedUrl) -> Self {
        let transport = url.transport().unwrap_or(Transport::Tcp);
        Self {
            url,
            transport,
            retry: Retry::default(),
            failures: 0,
            said: None,
            silent_at: None,
            stage,
        }
    }

    /// Until the server stops.
    pub(crate) async fn run(mut self) {
        loop {
            self.stage.wait_until_free(RETRY).await;
            match self.play().await {
                Ended::Stopping => return,
                Ended::TakenOver => {
                    let (space, stream) = (&self.stage.key.space, &self.stage.key.stream);
                    tracing::info!(%space, %stream, "somebody else publishes here; the camera waits");
                    self.stage.leave();
                    tokio::time::sleep(RETRY).await;
                }
                Ended::Silent(silence) => {
                    self.silent_at = Some(clock::now());
                    let reason = format!("no packet for {} ms", silence.as_millis());
                    self.rest(Fault::Away, reason).await;
                }
                Ended::Lost(reason) => self.rest(Fault::Away, reason).await,
                Ended::Unusable(error) => self.rest(error.fault(), error.to_string()).await,
            }
        }
    }

    async fn play(&mut self) -> Ended {
        let url = &self.url;
        let connecting = session::connect(url, self.transport, self.failures);
        match self.stage.hold(connecting).await {
            Ok(connected) => {
                let now = clock::now();
                if let Some(silent_at) = self.silent_at.take()
                    && now.saturating_duration_since(silent_at) < HICCUP
                {
                    self.stage.be_more_patient();
                }
                self.retry.plays();
                (self.failures, self.said) = (0, None);
                play::play(connected, url, &mut self.stage).await
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                if error == ConnectError::Transport && url.transport().is_none() {
                    self.transport = self.transport.other();
                }
                Ended::Unusable(error)
            }
        }
    }

    /// Says what is wrong, and waits until it is worth trying again.
    async fn rest(&mut self, fault: Fault, mut reason: String) {
        let wait = self.retry.next(fault, random());
        if fault == Fault::Refused && self.retry.gives_up() {
            let minutes = wait.as_secs() / 60;
            reason.push_str(&format!(
                "; after {REFUSALS_MAX} refusals it is not asked again for {minutes} minutes, so that it does not lock the account: restart the server when it is mended"
            ));
        }
        self.stage.set_trouble(&reason);
        let now = clock::now();
        let is_known = self.said.as_ref().is_some_and(|(said, at)| {
            *said == reason && now.saturating_duration_since(*at) < REPEAT
        });
        if !is_known {
            let (space, stream) = (&self.stage.key.space, &self.stage.key.stream);
            let retry_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(%space, %stream, camera = %self.url, reason, retry_ms, "camera lost");
            self.said = Some((reason, now));
        }
        self.stage.lose();
        self.stage.hold(tokio::time::sleep(wait)).await;
    }
}

/// A number in 0..1; without a source of randomness, one half.
fn random() -> f64 {
    getrandom::u32().map_or(0.5, |bits| f64::from(bits) / f64::from(u32::MAX))
}
