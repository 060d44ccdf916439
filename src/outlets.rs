//! Other programs that take part: OSC peers, and receivers of webhooks. Prepared before HTTP starts, so that what cannot work
//! is said at once; nothing here decides anything.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::bridge::osc::{OscBridge, OscCounters, OscError};
use crate::bus::Bus;
use crate::config::Config;
use crate::notify::{self, Notifier, NotifyCounters, Sources};
use crate::shutdown::{Completion, Shutdown};

/// Why they cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum OutletError {
    /// OSC's address.
    #[error(transparent)]
    Osc(#[from] OscError),
    /// No threads.
    #[error("webhooks have no thread: {0}; the machine may be out of them (ulimit -u)")]
    Threads(std::io::Error),
}

/// What was configured of them.
pub struct Outlets {
    osc: Option<OscBridge>,
    notifier: Notifier,
}

/// What they count.
#[derive(Debug, Clone, Default)]
pub struct OutletCounters {
    /// Of OSC, if it is on.
    pub osc: Option<Arc<OscCounters>>,
    /// Of webhooks.
    pub webhooks: Arc<NotifyCounters>,
}

impl Outlets {
    /// Binds OSC's socket and starts the threads of webhooks. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// [`OutletError`].
    pub async fn prepare(config: &Config, bus: &Bus) -> Result<Self, OutletError> {
        let osc = match &config.osc {
            Some(osc) => Some(OscBridge::bind(osc, &config.spaces, bus.clone()).await?),
            None => None,
        };
        let notifier = Notifier::start(&config.webhooks).map_err(OutletError::Threads)?;
        Ok(Self { osc, notifier })
    }

    /// What they count.
    #[must_use]
    pub fn counters(&self) -> OutletCounters {
        OutletCounters {
            osc: self.osc.as_ref().map(OscBridge::counters),
            webhooks: self.notifier.counters(),
        }
    }

    /// Begins to exchange OSC, until the shutdown begins, and to tell receivers, until [`Telling::finish`].
    #[must_use]
    pub fn start(self, sources: Sources, shutdown: &Shutdown, completion: &Completion) -> Telling {
        if let Some(osc) = self.osc {
            let (shutdown, guard) = (shutdown.clone(), completion.guard());
            tokio::spawn(async move {
                tokio::select! {
                    () = osc.run() => {}
                    () = shutdown.begun() => {}
                }
                drop(guard);
            });
        }
        let (notifier, stop) = (self.notifier, Shutdown::default());
        let watching = (!notifier.is_empty())
            .then(|| tokio::spawn(notify::watch(sources, notifier.clone(), stop.clone())));
        Telling {
            notifier,
            stop,
            watching,
        }
    }
}

/// Receivers that are being told. Streams end and people leave while the server stops: that is told, too.
pub struct Telling {
    notifier: Notifier,
    stop: Shutdown,
    watching: Option<JoinHandle<()>>,
}

impl Telling {
    /// Tells receivers what they have not been told yet, at most for `limit` each. The last thing before the end.
    pub async fn finish(self, limit: Duration) {
        self.stop.begin();
        if let Some(watching) = self.watching
            && watching.await.is_err()
        {
            tracing::error!("the task that watches for webhooks had panicked");
        }
        let notifier = self.notifier;
        let told = tokio::task::spawn_blocking(move || notifier.finish(limit)).await;
        if !told.unwrap_or(false) {
            tracing::info!("some webhooks were not told of everything before the end");
        }
    }
}
