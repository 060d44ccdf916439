//! Media, and how it is served.

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use super::{Venue, attribute, hinted};
use crate::client::check_cors;
use crate::offers;
use crate::server::Server;

/// Every address that a playlist names but the hint.
fn addresses(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in text.lines() {
        if line.starts_with("#EXT-X-PART:") || line.starts_with("#EXT-X-MAP:") {
            found.push(attribute(line, "#", "URI").unwrap().to_owned());
        } else if !line.starts_with('#') && !line.is_empty() {
            found.push(line.to_owned());
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_a_playlist_names_is_there_and_never_changes() {
    let venue = Venue::start().await;
    for rendition in ["video", "audio", "aac"] {
        let (_, text) = venue
            .media(&format!("/hls/demo/main/{rendition}.m3u8"))
            .await;
        let names = addresses(&text);
        assert!(names.len() > 3, "{text}");
        for name in names {
            let answer = venue.server.get(&format!("/hls/demo/main/{name}")).await;
            assert_eq!(answer.status, 200, "{name}: {answer:?}");
            let kind = if rendition == "video" {
                "video"
            } else {
                "audio"
            };
            assert_eq!(answer.header("content-type"), format!("{kind}/mp4"));
            assert_eq!(
                answer.header("cache-control"),
                "public, max-age=3600, immutable"
            );
            check_cors(&answer);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_part_of_the_preload_hint_can_be_asked_for_before_it_exists() {
    let venue = Venue::start().await;
    let (_, text) = venue.media("/hls/demo/main/video.m3u8").await;
    let mut hint = attribute(&text, "#EXT-X-PRELOAD-HINT", "URI")
        .unwrap()
        .to_owned();
    // A hint at the end of a segment may never come true: the next one does.
    for _ in 0..5 {
        let answer = venue.server.get(&format!("/hls/demo/main/{hint}")).await;
        if answer.status == 200 {
            return;
        }
        let now = venue.server.get("/hls/demo/main/video.m3u8").await;
        hint = attribute(&now.body, "#EXT-X-PRELOAD-HINT", "URI")
            .unwrap()
            .to_owned();
    }
    panic!("no hint came true");
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_of_a_segment_are_served() {
    let venue = Venue::start().await;
    let (playlist, _) = venue.media("/hls/demo/main/audio.m3u8").await;
    let path = format!("/hls/demo/main/{}", playlist.segments[0].uri);
    let answer = venue
        .server
        .ask("GET", path.clone())
        .header("range", "bytes=4-7")
        .send()
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.body.as_str()),
        (206, "moof")
    );
    assert!(answer.header("content-range").starts_with("bytes 4-7/"));
    let answer = venue
        .server
        .ask("GET", path)
        .header("range", "bytes=99999999-")
        .send()
        .await;
    assert_eq!(answer.status, 416);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_never_named_is_404() {
    let venue = Venue::start().await;
    let (_, text) = venue.media("/hls/demo/main/video.m3u8").await;
    let life = attribute(&text, "#EXT-X-MAP", "URI")
        .unwrap()
        .split('-')
        .next()
        .unwrap()
        .to_owned();
    let (msn, _) = hinted(&text);
    for name in [
        "00000000-video-1.m4s".to_owned(),
        format!("{life}-video-{}.m4s", msn + 9),
        format!("{life}-video-{}.999.i0.m4s", msn),
        format!("{life}-video-{}.0.i7.m4s", msn - 1),
        format!("{life}-video9-1.m4s"),
        format!("{life}-video-i9.mp4"),
        format!("{life}-7.jpg"),
        format!("{life}.mp4"),
        "..%2f..%2fproscenium.db".to_owned(),
        "x".to_owned(),
    ] {
        let answer = venue.server.get(&format!("/hls/demo/main/{name}")).await;
        assert_eq!(answer.status, 404, "{name}: {answer:?}");
    }
    // Media of one stream is not to be had under the name of another.
    let (playlist, _) = venue.media("/hls/demo/main/video.m3u8").await;
    let foreign = format!("/hls/other/main/{}", playlist.segments[0].uri);
    assert_eq!(venue.server.get(&foreign).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn http_2_is_spoken_with_prior_knowledge() {
    let venue = Venue::start().await;
    venue.media("/hls/demo/main/video.m3u8").await;
    let stream = TcpStream::connect(venue.server.address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    let request = |path: &str| {
        let uri = format!("http://{}{path}", venue.server.address);
        hyper::Request::builder()
            .uri(uri)
            .body(Empty::<Bytes>::new())
            .unwrap()
    };
    let (one, other) = (
        sender.send_request(request("/live/demo.m3u8")),
        sender
            .clone()
            .send_request(request("/hls/demo/main/audio.m3u8")),
    );
    for answer in [one.await.unwrap(), other.await.unwrap()] {
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.version(), hyper::Version::HTTP_2);
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert!(body.starts_with(b"#EXTM3U"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_space_tells_where_its_hls_is() {
    let venue = Venue::start().await;
    venue.get("/hls/demo/main/index.m3u8").await;
    let space: serde_json::Value =
        serde_json::from_str(&venue.server.get("/api/spaces/demo").await.body).unwrap();
    assert_eq!(
        space["streams"][0]["hls"]["url"],
        "/hls/demo/main/index.m3u8"
    );
    assert_eq!(space["streams"][0]["hls"]["recording"], false);
    let seats: serde_json::Value =
        serde_json::from_str(&venue.server.get("/api/seats").await.body).unwrap();
    assert!(seats["free"].as_u64().unwrap() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_all_seats_are_taken_webrtc_is_refused_and_hls_is_not() {
    let server = Server::start_with(|config| config.hls.webrtc_seats = 1);
    let venue = Venue::with(server.await);
    venue.get("/hls/demo/main/index.m3u8").await;
    let free = async || {
        let seats = venue.server.get("/api/seats").await;
        serde_json::from_str::<serde_json::Value>(&seats.body).unwrap()["free"].clone()
    };
    assert_eq!(free().await, 1);
    let _viewer = venue.server.watch("demo").await;
    assert_eq!(free().await, 0);
    let refused = venue
        .server
        .post("/whep/demo", offers::CHROMIUM_RECEIVE)
        .await;
    refused.check_problem(503, "seats");
    assert!(!refused.header("retry-after").is_empty());
    assert_eq!(
        venue.server.get("/hls/demo/main/index.m3u8").await.status,
        200
    );
}
