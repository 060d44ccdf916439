//! WHEP's extensions: server-sent events and the choice of a layer.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{Answer, check_cors};
use crate::offers;
use crate::server::{Server, Session};

const JSON: &str = "application/json";

/// The links of the two extensions: the events', the layers'.
fn links(answer: &Answer) -> (String, String) {
    let of = |name: &str| {
        let rel = format!("rel=\"urn:ietf:params:whep:ext:core:{name}\"");
        let lines = answer.headers.get_all("link").iter();
        let line = lines
            .map(|line| line.to_str().unwrap())
            .find(|line| line.contains(&rel));
        let line = line.unwrap_or_else(|| panic!("no {rel} in {answer:?}"));
        let (address, rest) = line.strip_prefix('<').unwrap().split_once('>').unwrap();
        (address.to_owned(), rest.to_owned())
    };
    let (events, rest) = of("server-sent-events");
    assert!(
        rest.contains("events=\"active,inactive,layers,viewercount,reconnect\""),
        "{rest}"
    );
    (events, of("layer").0)
}

/// An open event stream.
struct Events(TcpStream, String);

impl Events {
    async fn open(server: &Server, path: &str) -> Self {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n");
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
        let in_time = tokio::time::timeout(Duration::from_secs(8), read).await;
        assert!(in_time.is_ok(), "no {words:?} in {}", self.1);
        &self.1
    }
}

async fn choose(server: &Server, session: &Session, body: &'static str) -> Answer {
    let path = format!("{}/layer", session.location);
    server.ask("POST", path).body(JSON, body).send().await
}

#[tokio::test(flavor = "multi_thread")]
async fn both_extensions_are_announced_with_the_session_and_found_there() {
    let server = Server::start().await;
    let _source = server.go_live("demo").await;
    let session = server.watch("demo").await;
    check_cors(&session.answer);
    let (events, layer) = links(&session.answer);
    let host = format!("//{}", server.address);
    assert_eq!(events, format!("{host}{}/sse", session.location));
    assert_eq!(layer, format!("{host}{}/layer", session.location));
    for path in [events, layer] {
        let path = path.strip_prefix(&host).unwrap();
        let options = server.ask("OPTIONS", path).send().await;
        assert_eq!(options.status, 200);
        assert_eq!(
            options.header("access-control-allow-methods"),
            "OPTIONS, GET, HEAD, POST"
        );
    }
    // A publisher has neither.
    let publisher = server.begin("/whip/other", offers::OBS).await;
    assert!(!format!("{:?}", publisher.answer.headers).contains("whep:ext"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_hears_that_its_stream_is_there_goes_and_comes_back() {
    let server = Server::start().await;
    let source = server.go_live("demo").await;
    let session = server.watch("demo").await;
    let mut events = Events::open(&server, &format!("{}/sse", session.location)).await;
    let all = events
        .until("event: viewercount\ndata: {\"viewercount\":1}\n")
        .await;
    assert!(
        all.starts_with("HTTP/1.1 200 ") && all.contains("content-type: text/event-stream"),
        "{all}"
    );
    assert!(all.contains("access-control-allow-origin: *"), "{all}");
    assert!(all.contains("event: active\ndata: {}\n"), "{all}");
    assert!(!all.contains("event: inactive"), "{all}");
    // The first section of Chromium's offer is the picture or the sound; its layers have the picture's index.
    let sections = session
        .answer
        .body
        .lines()
        .filter_map(|line| line.strip_prefix("m="));
    let line = sections
        .into_iter()
        .position(|section| section.starts_with("video"))
        .unwrap();
    let layers = events.until("event: layers\n").await;
    assert!(layers.contains("event: layers\n"), "{layers}");
    let told = events.until("encodingId").await;
    assert!(
        told.contains(&format!("data: {{\"{line}\":{{\"active\":")),
        "{told}"
    );
    events.1.clear();
    drop(source);
    events.until("event: inactive\ndata: {}\n").await;
    let _source = server.go_live("demo").await;
    events.until("event: active\ndata: {}\n").await;
    let _second = server.watch("demo").await;
    events.until("{\"viewercount\":2}").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_end_with_their_session() {
    let server = Server::start().await;
    let _source = server.go_live("demo").await;
    let session = server.watch("demo").await;
    let path = format!("{}/sse", session.location);
    let mut events = Events::open(&server, &path).await;
    events.until("event: active").await;
    let metrics = server.get("/metrics").await.body;
    assert!(
        metrics.contains("proscenium_http_event_streams 1\n"),
        "{metrics}"
    );
    assert_eq!(
        server.ask("DELETE", &session.location).send().await.status,
        200
    );
    events.until("0\r\n\r\n").await;
    assert!(!events.1.contains("event: reconnect"), "{}", events.1);
    server
        .get(&path)
        .await
        .check_problem(404, "there is no such session");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_tells_its_viewers_to_come_again() {
    let server = Server::start().await;
    let _source = server.go_live("demo").await;
    let session = server.watch("demo").await;
    let mut events = Events::open(&server, &format!("{}/sse", session.location)).await;
    events.until("event: active").await;
    server.shutdown.begin();
    events.until("event: reconnect\ndata: {}\n").await;
    events.until("0\r\n\r\n").await;
}

// On one thread, so that nobody looks before both have happened.
#[tokio::test]
async fn a_viewer_who_sees_the_end_of_its_session_first_is_told_to_come_again_too() {
    let server = Server::start().await;
    let _source = server.go_live("demo").await;
    let mut listeners = Vec::new();
    for _ in 0..4 {
        let session = server.watch("demo").await;
        for _ in 0..4 {
            let mut events = Events::open(&server, &format!("{}/sse", session.location)).await;
            events.until("event: active").await;
            listeners.push(events);
        }
    }
    // Everybody has looked at what they changed for one another, and may look again at once.
    tokio::time::sleep(Duration::from_millis(800)).await;
    server.shutdown.begin();
    let media = server.media.clone();
    let drained = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(media.drain(Duration::from_secs(5)));
    });
    drained.join().unwrap();
    assert_eq!(server.media.directory().totals().1, 0);
    for mut events in listeners {
        let all = events.until("0\r\n\r\n").await;
        assert!(all.contains("event: reconnect\ndata: {}\n"), "{all}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_stream_that_was_made_has_the_events_that_were_asked_for() {
    let server = Server::start().await;
    let _source = server.go_live("demo").await;
    let session = server.watch("demo").await;
    let path = format!("{}/sse", session.location);
    let made = server
        .ask("POST", &path)
        .body(JSON, r#"["viewercount","scte35"]"#)
        .send()
        .await;
    assert_eq!(made.status, 201, "{made:?}");
    let location = made.header("location").to_owned();
    assert!(location.starts_with(&format!("{path}/")), "{location}");
    let mut events = Events::open(&server, &location).await;
    let all = events.until("{\"viewercount\":1}").await;
    assert!(!all.contains("event: active"), "{all}");
    server
        .get(&location)
        .await
        .check_problem(429, "is being listened to");
    assert_eq!(server.ask("DELETE", &location).send().await.status, 200);
    events.until("0\r\n\r\n").await;
    server
        .get(&location)
        .await
        .check_problem(404, "no such event stream");
    server
        .ask("DELETE", &location)
        .send()
        .await
        .check_problem(404, "no such event stream");
    let bare = server.ask("POST", &path).send().await;
    assert_eq!(bare.status, 201, "without a list all are meant: {bare:?}");
    for body in ["{", "{\"a\":1}"] {
        let refused = server.ask("POST", &path).body(JSON, body).send().await;
        assert!([400, 422].contains(&refused.status.as_u16()), "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_has_four_event_streams_at_most_and_may_close_some() {
    let server = Server::start().await;
    let _source = server.go_live("demo").await;
    let session = server.watch("demo").await;
    let path = format!("{}/sse", session.location);
    let mut open = Vec::new();
    for _ in 0..4 {
        let mut events = Events::open(&server, &path).await;
        events.until("event: active").await;
        open.push(events);
    }
    let refused = server.get(&path).await;
    refused.check_problem(429, "this session has 4 event streams already");
    assert_eq!(refused.header("retry-after"), "10");
    server
        .ask("POST", &path)
        .send()
        .await
        .check_problem(429, "this session has 4");
    // Another session is not concerned.
    let other = server.watch("demo").await;
    Events::open(&server, &format!("{}/sse", other.location))
        .await
        .until("event: active")
        .await;
    open.clear();
    for _ in 0..200 {
        if server.ask("POST", &path).send().await.status == 201 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("what was closed still counts");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_viewers_session_has_no_extensions() {
    let server = Server::start().await;
    let _source = server.go_live("demo").await;
    let session = server.watch("demo").await;
    let id = session.location.rsplit('/').next().unwrap().to_owned();
    let publisher = server.begin("/whip/other", offers::OBS).await;
    let publisher = publisher.location.rsplit('/').next().unwrap().to_owned();
    for place in [
        "/whep/demo/main/00000000-0000-4000-8000-000000000000".to_owned(),
        "/whep/demo/main/x".to_owned(),
        format!("/whep/demo/second/{id}"),
        format!("/whep/other/main/{publisher}"),
    ] {
        server
            .get(&format!("{place}/sse"))
            .await
            .check_problem(404, "there is no such session");
        server
            .get(&format!("{place}/sse/{id}"))
            .await
            .check_problem(404, "there is no such session");
        server
            .get(&format!("{place}/layer"))
            .await
            .check_problem(404, "there is no such session");
        let chosen = server
            .ask("POST", format!("{place}/layer"))
            .body(JSON, "{}")
            .send()
            .await;
        chosen.check_problem(404, "there is no such session");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_is_chosen_and_what_there_is_not_is_422() {
    let server = Server::start().await;
    let _source = server.go_live("demo").await;
    let session = server.watch("demo").await;
    for body in [
        "{}",
        r#"{"encodingId":"0"}"#,
        r#"{"rid":"high"}"#,
        r#"{"encodingId":"auto"}"#,
        r#"{"maxTemporalLayerId":0}"#,
    ] {
        let chosen = choose(&server, &session, body).await;
        assert_eq!(chosen.status, 200, "{body}: {chosen:?}");
        check_cors(&chosen);
    }
    let looked = server.get(&format!("{}/layer", session.location)).await;
    let told: serde_json::Value = serde_json::from_str(&looked.body).unwrap();
    let line = told.as_object().unwrap().keys().next().unwrap().clone();
    assert_eq!(told[&line]["layers"].as_array().unwrap().len(), 1, "{told}");
    let mine = format!(r#"{{"mediaId":"{line}","encodingId":"0"}}"#);
    let path = format!("{}/layer", session.location);
    let chosen = server
        .ask("POST", path.clone())
        .body(JSON, mine)
        .send()
        .await;
    assert_eq!(chosen.status, 200, "{chosen:?}");
    for (body, status, words) in [
        (
            r#"{"encodingId":"hd"}"#,
            422,
            "there is no layer hd; this stream has one layer",
        ),
        (r#"{"encodingId":"1"}"#, 422, "there is no layer 1"),
        (
            r#"{"mediaId":"7","encodingId":"0"}"#,
            422,
            "mediaId is not the picture's",
        ),
        (r#"{"spatialLayerId":"x"}"#, 422, "the body cannot be used"),
        ("{", 400, "the body is no JSON"),
    ] {
        choose(&server, &session, body)
            .await
            .check_problem(status, words);
    }
    let bare = server.ask("POST", path).bare_body("{}").send().await;
    assert_eq!(
        (bare.status.as_u16(), bare.header("accept-post")),
        (415, JSON)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_can_be_wished_for_with_the_offer() {
    let server = Server::start().await;
    let _source = server.go_live("demo").await;
    for path in [
        "/whep/demo?layer=low",
        "/whep/demo?layer=",
        "/whep/demo/main?x=1&layer=0",
    ] {
        let session = server.begin(path, offers::CHROMIUM_RECEIVE).await;
        assert!(!session.location.contains('?'), "{}", session.location);
        server.ask("DELETE", &session.location).send().await;
    }
    let refused = server
        .post("/whep/demo?layer=h%0Ad", offers::CHROMIUM_RECEIVE)
        .await;
    refused.check_problem(422, "there is no layer h\\nd");
    // Nothing of it is left.
    server.expect_sessions(0).await;
}
