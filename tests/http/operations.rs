//! Health, readiness and metrics.

use std::time::Duration;

use crate::offers;
use crate::server::Server;

#[tokio::test(flavor = "multi_thread")]
async fn the_process_is_healthy_even_while_it_is_not_ready() {
    let server = Server::start().await;
    assert_eq!(server.get("/healthz").await.status, 200);
    let ready = server.get("/readyz").await;
    assert_eq!(
        (ready.status.as_u16(), ready.body.as_str()),
        (200, r#"{"ready":true}"#)
    );
    server.shutdown.begin();
    let stopping = server.get("/readyz").await;
    assert_eq!(
        (stopping.status.as_u16(), stopping.body.as_str()),
        (503, r#"{"ready":false,"reason":"stopping"}"#)
    );
    assert_eq!(server.get("/healthz").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_media_threads_is_not_ready() {
    let server = Server::start().await;
    assert!(server.readiness.is_started());
    server.media.drain(Duration::from_secs(2)).await;
    let answer = server.get("/readyz").await;
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("media thread"), "{answer:?}");
    let refused = server.post("/whip/demo", offers::OBS).await;
    refused.check_problem(503, "stopping");
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_open_metrics_text_of_media_and_http() {
    let server = Server::start().await;
    let _source = server.go_live("demo").await;
    server.watch("demo").await;
    server.expect_sessions(1).await;
    server.get("/no/such/path").await;
    let answer = server.get("/metrics").await;
    assert_eq!(
        answer.header("content-type"),
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    for line in [
        "# TYPE proscenium_peers gauge",
        "proscenium_peers{role=\"viewer\"} 1",
        "proscenium_peers{role=\"publisher\"} 0",
        "# TYPE proscenium_dropped counter",
        "proscenium_dropped_total{reason=\"malformed\"} 0",
        "# TYPE proscenium_forwarding_latency_seconds histogram",
        "proscenium_forwarding_latency_seconds_bucket{le=\"0.00005\"}",
        "proscenium_forwarding_latency_seconds_bucket{le=\"+Inf\"}",
        "proscenium_media_threads 2",
        "proscenium_live_streams 1",
        "proscenium_sessions 1",
        "proscenium_http_answers_total{route=\"/whep/{space}\",method=\"POST\",status=\"201\"} 1",
        "proscenium_http_answers_total{route=\"other\",method=\"GET\",status=\"404\"} 1",
    ] {
        assert!(
            answer.body.contains(line),
            "{line} is not in {}",
            answer.body
        );
    }
    assert!(answer.body.ends_with("# EOF\n"));
    for kind in ["# TYPE proscenium_dropped ", "# TYPE proscenium_peers "] {
        assert_eq!(answer.body.matches(kind).count(), 1, "{kind}");
    }
}
