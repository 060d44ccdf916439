//! `/healthz`: the process answers. `/readyz`: it can take a session.

use std::sync::atomic::{AtomicBool, Ordering};

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::{App, AppState};

/// Whether start-up is over. Stopping and the media threads' health are asked where they are known.
#[derive(Debug, Default)]
pub struct Readiness {
    started: AtomicBool,
}

/// Why the server takes no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unready {
    /// Not everything runs yet.
    #[error("starting")]
    Starting,
    /// It has been told to stop.
    #[error("stopping")]
    Stopping,
    /// A media thread has ended although nobody asked it to.
    #[error("a media thread is dead; restart the server and report its log")]
    MediaThreadDead,
}

impl Readiness {
    /// Start-up is over: sockets are bound, the store is open, cameras are being called.
    pub fn set_started(&self) {
        self.started.store(true, Ordering::Release);
    }

    /// Whether [`Readiness::set_started`] has been called.
    #[must_use]
    pub fn is_started(&self) -> bool {
        self.started.load(Ordering::Acquire)
    }
}

impl App {
    /// Whether a session could begin now.
    ///
    /// # Errors
    /// Why not.
    pub fn check_ready(&self) -> Result<(), Unready> {
        if self.shutdown.has_begun() {
            return Err(Unready::Stopping);
        }
        if !self.readiness.is_started() {
            return Err(Unready::Starting);
        }
        if self
            .media
            .counters()
            .iter()
            .any(|counters| !counters.is_alive())
        {
            return Err(Unready::MediaThreadDead);
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct Report {
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

pub(crate) async fn healthz() -> Response {
    let headers = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    (headers, "alive\n").into_response()
}

pub(crate) async fn readyz(State(state): State<AppState>) -> Response {
    let reason = state
        .app
        .check_ready()
        .err()
        .map(|unready| unready.to_string());
    let status = match reason {
        None => StatusCode::OK,
        Some(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    let headers = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    let ready = reason.is_none();
    (status, headers, Json(Report { ready, reason })).into_response()
}
