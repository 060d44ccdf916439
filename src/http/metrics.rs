//! `/metrics`, and what is counted of HTTP itself.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::{App, AppState};
use crate::metrics::{
    BroadcastCollector, BusCollector, ConferenceCollector, HistoryCollector, MediaCollector,
    OutletCollector,
};

/// Each label has few values: route patterns, not paths; known methods; our own statuses.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answer {
    route: Arc<str>,
    method: &'static str,
    status: u16,
}

/// Counters of the HTTP side and the registry that prints everything.
pub(crate) struct Metrics {
    registry: Registry,
    answers: Family<Answer, Counter>,
    event_streams: Gauge<i64, AtomicI64>,
}

/// One open event stream; counted until it is dropped.
pub(crate) struct Held(Gauge<i64, AtomicI64>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    pub(crate) fn new(app: &App) -> Self {
        let mut registry = Registry::with_prefix("proscenium");
        let answers = Family::<Answer, Counter>::default();
        registry.register(
            "http_answers",
            "HTTP answers by route, method and status",
            answers.clone(),
        );
        let event_streams = Gauge::default();
        registry.register(
            "http_event_streams",
            "Open event streams of pages",
            event_streams.clone(),
        );
        registry.register_collector(Box::new(MediaCollector::new(app.media.clone())));
        let conferences = ConferenceCollector::new(app.conferences.counters());
        registry.register_collector(Box::new(conferences));
        let broadcast = BroadcastCollector::new(app.broadcast.clone());
        registry.register_collector(Box::new(broadcast));
        registry.register_collector(Box::new(BusCollector::new(app.bus.counters())));
        let history = HistoryCollector::new(app.history.clone());
        registry.register_collector(Box::new(history));
        let outlets = OutletCollector::new(app.outlets.clone());
        registry.register_collector(Box::new(outlets));
        Self {
            registry,
            answers,
            event_streams,
        }
    }

    pub(crate) fn hold_event_stream(&self) -> Held {
        self.event_streams.inc();
        Held(self.event_streams.clone())
    }
}

/// Middleware: counts every answer.
pub(crate) async fn count(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>();
    let route = path.map_or("other", MatchedPath::as_str).into();
    let method = known_method(request.method());
    let response = next.run(request).await;
    let status = response.status().as_u16();
    state
        .metrics
        .answers
        .get_or_create(&Answer {
            route,
            method,
            status,
        })
        .inc();
    response
}

fn known_method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::PUT => "PUT",
        _ => "other",
    }
}

/// The OpenMetrics text format, which Prometheus reads.
pub(crate) async fn scrape(State(state): State<AppState>) -> Response {
    let mut body = String::new();
    if text::encode(&mut body, &state.metrics.registry).is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let kind =
        HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], body).into_response()
}
