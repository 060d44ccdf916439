//! How the server stops: one broadcast that says so, and a count of those who still have to finish.
//!
//! Order: the first SIGTERM or SIGINT makes [`Shutdown::begun`] true (`/readyz` says 503, new sessions are refused, the
//! listener closes, event streams end), then peers get their good-byes, then [`Shutdown::finished`] waits for all
//! [`Guard`]s within a bounded time. A second signal ends the process at once.

use std::time::Duration;

use tokio::sync::{mpsc, watch};

/// Tells everybody that the server stops. A clone is the same one.
#[derive(Debug, Clone)]
pub struct Shutdown {
    begun: watch::Sender<bool>,
}

/// Counts those who still have something to finish.
#[derive(Debug)]
pub struct Completion {
    guard: mpsc::Sender<()>,
    all_gone: mpsc::Receiver<()>,
}

/// Held by a task that must finish before the process ends; dropping it says that it has.
#[derive(Debug, Clone)]
pub struct Guard(#[expect(dead_code, reason = "only its drop is seen")] mpsc::Sender<()>);

impl Default for Shutdown {
    fn default() -> Self {
        Self {
            begun: watch::Sender::new(false),
        }
    }
}

impl Shutdown {
    /// Starts to stop. Doing it twice changes nothing.
    pub fn begin(&self) {
        self.begun.send_replace(true);
    }

    /// Whether the server is stopping.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        *self.begun.borrow()
    }

    /// Returns when the server stops, at once if it does so already. Cancel safe.
    pub async fn begun(&self) {
        let mut receiver = self.begun.subscribe();
        // The sender lives in `self`, so that an error cannot come.
        let _ = receiver.wait_for(|begun| *begun).await;
    }
}

impl Default for Completion {
    fn default() -> Self {
        let (guard, all_gone) = mpsc::channel(1);
        Self { guard, all_gone }
    }
}

impl Completion {
    /// One more who has to finish.
    #[must_use]
    pub fn guard(&self) -> Guard {
        Guard(self.guard.clone())
    }

    /// Waits until every guard is dropped, at most for `limit`. Returns whether they were.
    pub async fn finished(self, limit: Duration) -> bool {
        let Self {
            guard,
            mut all_gone,
        } = self;
        drop(guard);
        tokio::time::timeout(limit, all_gone.recv()).await.is_ok()
    }
}

/// Waits for SIGTERM or SIGINT, then begins the shutdown and watches for a second signal, which ends the process at
/// once with status 130.
///
/// # Errors
/// When the operating system refuses the signal handlers.
#[cfg(unix)]
pub fn listen_for_signals(shutdown: Shutdown) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        for time in 0.. {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            if time > 0 {
                tracing::warn!(signal = name, "a second signal: stopping at once");
                std::process::exit(130);
            }
            tracing::info!(
                signal = name,
                "stopping: saying good-bye to everybody; a second signal stops at once"
            );
            shutdown.begin();
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everybody_who_asks_before_or_after_hears_that_the_server_stops() {
        let shutdown = Shutdown::default();
        assert!(!shutdown.has_begun());
        let early = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { shutdown.begun().await }
        });
        tokio::task::yield_now().await;
        shutdown.begin();
        early.await.unwrap();
        shutdown.begun().await;
        assert!(shutdown.has_begun());
    }

    #[tokio::test]
    async fn completion_waits_for_the_last_guard_but_not_for_ever() {
        let completion = Completion::default();
        let guard = completion.guard();
        let other = guard.clone();
        tokio::spawn(async move {
            tokio::task::yield_now().await;
            drop((guard, other));
        });
        assert!(completion.finished(Duration::from_secs(60)).await);

        let stuck = Completion::default();
        let _guard = stuck.guard();
        assert!(!stuck.finished(Duration::from_millis(1)).await);
    }
}
