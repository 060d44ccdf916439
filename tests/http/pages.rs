//! Pages, their files, and what pages ask for.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::offers;
use crate::server::Server;

#[tokio::test(flavor = "multi_thread")]
async fn home_space_stage_door_and_meeting_room_are_pages_with_a_policy() {
    let server = Server::start().await;
    for (path, marker) in [
        ("/", "/web/pages/home.js"),
        ("/residence", "/web/pages/space.js"),
        ("/residence/perform", "/web/pages/perform.js"),
        ("/residence/meet", "/web/pages/meet.js"),
    ] {
        let answer = server.get(path).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
        assert!(answer.body.contains(marker), "{path}");
        let policy = answer.header("content-security-policy");
        assert!(
            policy.contains("script-src 'self' 'unsafe-eval'") && policy.contains("connect-src *"),
            "{policy}"
        );
        assert_eq!(
            policy.contains("sha256-"),
            answer.body.contains("importmap"),
            "{path}: {policy}"
        );
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert!(!answer.header("etag").is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_library_may_be_imported_from_anywhere() {
    let server = Server::start().await;
    for path in ["/web/lib/conference.js", "/web/compat/openvidu.js"] {
        let answer = server.get(path).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("access-control-allow-origin"), "*");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_come_once_compressed_and_then_as_304() {
    let server = Server::start().await;
    let path = "/web/vendor/vue.esm-browser.prod.js";
    let plain = server.get(path).await;
    assert_eq!(
        plain.header("content-type"),
        "text/javascript; charset=utf-8"
    );
    assert_eq!(plain.header("cache-control"), "no-cache");
    assert!(plain.body.contains("Vue") || plain.body.len() > 50_000);
    let small = server
        .ask("GET", path)
        .header("accept-encoding", "gzip, br")
        .send()
        .await;
    assert_eq!(
        (small.header("content-encoding"), small.header("vary")),
        ("gzip", "Accept-Encoding")
    );
    let again = server
        .ask("GET", path)
        .header("accept-encoding", "gzip")
        .header("if-none-match", small.header("etag"))
        .send()
        .await;
    assert_eq!((again.status.as_u16(), again.body.as_str()), (304, ""));
    assert_eq!(again.header("etag"), small.header("etag"));
    let head = server.ask("HEAD", path).send().await;
    assert_eq!((head.status.as_u16(), head.body.as_str()), (200, ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_page_is_refused_in_words_to_people_and_as_a_document_to_programs() {
    let server = Server::start().await;
    for (path, status, words) in [
        ("/a%20b", 400, "the character ' ' at place 2"),
        ("/%3Cscript%3E", 400, "the character '<' at place 1"),
        ("/%ff", 400, "not UTF-8"),
        ("/ws", 404, "belongs to the server"),
        ("/favicon.ico", 404, "belongs to the server"),
        ("/HLS/perform", 404, "belongs to the server"),
        ("/demo/unknown", 404, "there is nothing at /demo/unknown"),
        ("/web/none.js", 404, "no such file"),
        ("/web/..%2fCargo.toml", 404, "no such file"),
        ("/web/%2e%2e/Cargo.toml", 404, "no such file"),
    ] {
        server.get(path).await.check_problem(status, words);
        let page = server
            .ask("GET", path)
            .header("accept", "text/html,*/*;q=0.8")
            .send()
            .await;
        assert_eq!(page.status, status, "{path}");
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        assert!(
            page.header("content-security-policy")
                .starts_with("default-src 'none'")
        );
        assert!(
            page.body.contains("To the entrance") && !page.body.contains("<script"),
            "{}",
            page.body
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_slash_too_many_is_a_307_that_stays_here() {
    let server = Server::start().await;
    for (path, location) in [
        ("/demo/", "/demo"),
        ("/whip/demo/", "/whip/demo"),
        ("/demo/perform/?x=1", "/demo/perform?x=1"),
    ] {
        let answer = server.get(path).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("location")),
            (307, location)
        );
    }
    for path in ["//example.org/", "/demo//"] {
        assert_eq!(server.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_word_is_a_space_without_streams() {
    let server = Server::start().await;
    let answer = server.get("/api/spaces/unheard-of").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert_eq!(answer.body, r#"{"space":"unheard-of","streams":[]}"#);
    server
        .get("/api/spaces/a%20b")
        .await
        .check_problem(400, "place 2");
    assert_eq!(
        server
            .ask("OPTIONS", "/api/spaces/demo")
            .send()
            .await
            .status,
        200
    );
    assert_eq!(
        server.ask("POST", "/api/spaces/demo").send().await.status,
        405
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_space_lists_its_streams_tracks_and_viewers() {
    let server = Server::start().await;
    let _source = server.go_live("demo").await;
    server.watch("demo").await;
    let answer = server.get("/api/spaces/demo").await;
    let report: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    let stream = &report["streams"][0];
    assert_eq!(
        (&stream["name"], &stream["live"], &stream["viewers"]),
        (&"main".into(), &true.into(), &1.into())
    );
    let since = stream["since"].as_str().unwrap();
    assert!(
        since.len() == 20 && since.starts_with("20") && since.ends_with('Z'),
        "{since}"
    );
    let tracks = stream["tracks"].as_array().unwrap();
    let codec = |kind: &str| {
        tracks
            .iter()
            .find(|track| track["kind"] == kind)
            .map(|track| track["codec"].clone())
    };
    assert_eq!(
        (codec("video"), codec("audio")),
        (Some("H264".into()), Some("opus".into())),
        "{tracks:?}"
    );
}

/// An open event stream.
struct Events(TcpStream, String);

impl Events {
    async fn open(server: &Server, space: &str) -> Self {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let request = format!(
            "GET /api/spaces/{space}/events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        Self(stream, String::new())
    }

    /// Reads on until `words` have come; returns everything so far.
    async fn until(&mut self, words: &str) -> &str {
        let read = async {
            let mut buffer = [0; 4096];
            while !self.1.contains(words) {
                let length = self.0.read(&mut buffer).await.unwrap();
                assert_ne!(length, 0, "closed before {words:?}: {}", self.1);
                self.1.push_str(&String::from_utf8_lossy(&buffer[..length]));
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(5), read)
            .await
            .is_ok();
        assert!(in_time, "no {words:?} in {}", self.1);
        &self.1
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_hears_at_once_and_at_every_change() {
    let server = Server::start().await;
    let mut events = Events::open(&server, "demo").await;
    let first = events.until(r#"data: {"space":"demo","streams":[]}"#).await;
    assert!(
        first.starts_with("HTTP/1.1 200 ") && first.contains("content-type: text/event-stream"),
        "{first}"
    );
    assert!(first.contains("event: space\n"), "{first}");
    let source = server.go_live("demo").await;
    events.until(r#""live":true"#).await;
    events.1.clear();
    drop(source);
    events.until(r#""streams":[]"#).await;
    let _elsewhere = server.go_live("elsewhere").await;
    assert!(!events.1.contains("elsewhere"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_changes_is_told_at_most_twice_a_second() {
    let server = Server::start().await;
    let _source = server.go_live("demo").await;
    let mut events = Events::open(&server, "demo").await;
    events.until(r#""viewers":0"#).await;
    let begun = std::time::Instant::now();
    for _ in 0..20 {
        server.begin("/whep/demo", offers::CHROMIUM_RECEIVE).await;
    }
    let all = events.until(r#""viewers":20"#).await;
    let told = all.matches("event: space").count();
    let most = 3 + (begun.elapsed().as_secs_f32() * 2.0) as usize;
    assert!(
        (2..=most).contains(&told),
        "{told} events, not {most}: {all}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn event_streams_end_when_the_server_stops() {
    let server = Server::start().await;
    let mut events = Events::open(&server, "demo").await;
    events.until("streams").await;
    let gauge = server.get("/metrics").await.body;
    assert!(
        gauge.contains("proscenium_http_event_streams 1\n"),
        "{gauge}"
    );
    server.shutdown.begin();
    events.until("event: closing\ndata: {}\n").await;
    events.until("0\r\n\r\n").await;
}
