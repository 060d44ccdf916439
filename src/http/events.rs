//! `/api/spaces/{space}/events`: the space at once and at every change, as server-sent events.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Sleep;

use super::AppState;
use super::api::SpaceReport;
use super::metrics::Held;
use super::place::Space;

/// At most two events per second, however much happens.
const INTERVAL_MIN: Duration = Duration::from_millis(500);
/// A comment line after this silence keeps proxies and phones from closing the connection.
const SILENCE_MAX: Duration = Duration::from_secs(15);

pub(crate) async fn events(State(state): State<AppState>, Space(space): Space) -> Response {
    let feed = Feed {
        // Subscribed before the first look, so that no change can fall between.
        changes: state.app.media.directory().changes(),
        space: space.into(),
        last: String::new(),
        pause: None,
        is_over: false,
        _held: state.metrics.hold_event_stream(),
        state,
    };
    let events = stream::unfold(feed, |mut feed| async move {
        let event = feed.next().await?;
        Some((Ok::<_, Infallible>(event), feed))
    });
    let keep_alive = KeepAlive::new().interval(SILENCE_MAX);
    // nginx would hold events back otherwise.
    let unbuffered = [(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    )];
    (unbuffered, Sse::new(events).keep_alive(keep_alive)).into_response()
}

/// One listener. Nothing is queued for it: it looks when it is ready, so that a slow one misses states but never the last one.
struct Feed {
    state: AppState,
    changes: Receiver<Arc<str>>,
    space: Arc<str>,
    last: String,
    pause: Option<Pin<Box<Sleep>>>,
    is_over: bool,
    _held: Held,
}

impl Feed {
    /// The next report that differs from the last one, or at last that the server stops: a browser takes a peer that said good-bye for connected
    /// until ICE finds out, half a minute later.
    async fn next(&mut self) -> Option<Event> {
        if self.is_over {
            return None;
        }
        let shutdown = self.state.app.shutdown.clone();
        let report = tokio::select! {
            () = shutdown.begun() => {
                self.is_over = true;
                return Some(Event::default().event("closing").data("{}"));
            }
            report = self.changed() => report,
        }?;
        self.last.clone_from(&report);
        self.pause = Some(Box::pin(tokio::time::sleep(INTERVAL_MIN)));
        Some(Event::default().event("space").data(report))
    }

    async fn changed(&mut self) -> Option<String> {
        loop {
            if let Some(pause) = &mut self.pause {
                wait_for_change(&mut self.changes, &self.space).await?;
                pause.as_mut().await;
                // Everything up to now is in the report that follows.
                self.changes = self.changes.resubscribe();
            }
            let report = SpaceReport::new(
                &self.space,
                self.state.app.media.directory(),
                &self.state.app.broadcast,
            );
            let report = serde_json::to_string(&report).ok()?;
            if report != self.last {
                return Some(report);
            }
        }
    }
}

/// Returns when something changed in `space`, or may have; `None` when nothing will any more.
async fn wait_for_change(changes: &mut Receiver<Arc<str>>, space: &str) -> Option<()> {
    loop {
        match changes.recv().await {
            Ok(changed) if *changed != *space => {}
            Ok(_) | Err(RecvError::Lagged(_)) => return Some(()),
            Err(RecvError::Closed) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::broadcast;

    #[tokio::test]
    async fn only_changes_of_the_own_space_wake_a_listener() {
        let (sender, mut changes) = broadcast::channel(4);
        sender.send("other".into()).unwrap();
        sender.send("own".into()).unwrap();
        sender.send("third".into()).unwrap();
        assert_eq!(wait_for_change(&mut changes, "own").await, Some(()));
        assert_eq!(changes.len(), 1);
    }

    #[tokio::test]
    async fn a_listener_that_missed_changes_looks_again() {
        let (sender, mut changes) = broadcast::channel(2);
        for _ in 0..5 {
            sender.send("other".into()).unwrap();
        }
        assert_eq!(wait_for_change(&mut changes, "own").await, Some(()));
        drop(sender);
        assert_eq!(wait_for_change(&mut changes, "own").await, None);
    }
}
