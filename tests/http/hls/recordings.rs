//! A moderator's word about recordings.

use std::time::Duration;

use conference::ParticipantRole;
use proscenium::tokens::{Claims, Scope};
use serde_json::Value;

use super::Venue;
use crate::client::{Answer, raw};
use crate::server::OPERATOR_SECRET;

const RECORDING: &str = "/api/spaces/demo/streams/main/recording";
const PATIENCE: Duration = Duration::from_secs(20);
const LIST: &str = "/api/spaces/demo/recordings";

fn bearer(venue: &Venue, role: ParticipantRole) -> String {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let scope: Scope = "demo".parse().unwrap();
    let claims = Claims::new(scope, role, Duration::from_secs(600), now);
    format!("Bearer {}", venue.server.tokens.mint(&claims))
}

async fn record(venue: &Venue, bearer: &str, path: &str, on: bool) -> Answer {
    let body = format!("{{\"recording\":{on}}}");
    let ask = venue
        .server
        .ask("POST", path)
        .body("application/json", body);
    ask.header("authorization", bearer).send().await
}

async fn list(venue: &Venue) -> Vec<Value> {
    let answer = venue.server.get(LIST).await;
    let list: Value = serde_json::from_str(&answer.body).unwrap();
    list["recordings"].as_array().unwrap().clone()
}

/// Ends the server's streams; the picture's playlist when it says so.
pub(super) async fn finished(venue: &Venue) -> String {
    let broadcast = venue.server.broadcast.clone();
    venue.stop();
    let done = tokio::task::spawn_blocking(move || broadcast.stop_streams(Duration::from_secs(5)))
        .await
        .unwrap();
    assert!(done);
    loop {
        let answer = venue.server.get("/hls/demo/main/video.m3u8").await;
        if answer.body.contains("#EXT-X-ENDLIST") {
            return answer.body;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_moderator_or_an_operator_decides() {
    let venue = Venue::start().await;
    venue.media("/hls/demo/main/video.m3u8").await;
    let without = venue
        .server
        .ask("POST", RECORDING)
        .body("application/json", "{\"recording\":true}");
    without.send().await.check_problem(401, "moderator");
    let performer = bearer(&venue, ParticipantRole::Performer);
    record(&venue, &performer, RECORDING, true)
        .await
        .check_problem(403, "moderator");
    let moderator = bearer(&venue, ParticipantRole::Moderator);
    let nobody = "/api/spaces/demo/streams/balcony/recording";
    record(&venue, &moderator, nobody, true)
        .await
        .check_problem(409, "not live");
    assert!(list(&venue).await.is_empty());
    assert_eq!(
        record(&venue, &moderator, RECORDING, true).await.status,
        200
    );
    let operator = format!("Bearer {OPERATOR_SECRET}");
    assert_eq!(record(&venue, &operator, RECORDING, true).await.status, 200);
    let recordings = list(&venue).await;
    assert_eq!(recordings.len(), 1);
    assert_eq!(recordings[0]["state"], "recording");
    let id = recordings[0]["id"].as_str().unwrap();
    let delete = |bearer: &str| {
        venue
            .server
            .ask("DELETE", format!("{LIST}/{id}"))
            .header("authorization", bearer)
            .send()
    };
    delete(&performer).await.check_problem(403, "moderator");
    delete(&moderator).await.check_problem(409, "live");
    let other = venue
        .server
        .ask("DELETE", format!("/api/spaces/other/recordings/{id}"))
        .header("authorization", &operator);
    other.send().await.check_problem(404, "no such recording");
}

/// The file at `path` is progressive, and what is said of its length is true of any range.
async fn check_file(venue: &Venue, path: &str, length: u64) {
    let ask = format!("GET {path} HTTP/1.1\r\nhost: venue\r\nconnection: close\r\n\r\n");
    let whole = raw(venue.server.address, ask.as_bytes(), PATIENCE).await;
    let place = |name: &str| whole.find(name).unwrap_or_else(|| panic!("no {name}"));
    let order = [
        "ftyp", "moov", "stsd", "stts", "stsc", "stsz", "stco", "mdat",
    ]
    .map(place);
    assert!(order.is_sorted(), "{order:?}");
    assert!(!whole.contains("moof"), "a fragment");
    let head = venue.server.ask("HEAD", path).send().await;
    assert_eq!(head.header("content-length"), length.to_string());
    let range = async |range: String, expected: (u64, u64)| {
        let ask = venue.server.ask("GET", path);
        let part = ask.header("range", &range).send().await;
        let (from, to) = expected;
        assert_eq!(part.status, 206, "{range}");
        assert_eq!(
            part.header("content-range"),
            format!("bytes {from}-{to}/{length}")
        );
        assert_eq!(part.header("content-length"), (to - from + 1).to_string());
        match part.body.strip_prefix('(') {
            Some(text) => assert_eq!(text, format!("{} bytes)", to - from + 1)),
            None => assert_eq!(part.body.len() as u64, to - from + 1),
        }
        part.body
    };
    assert_eq!(range("bytes=4-7".to_owned(), (4, 7)).await, "ftyp");
    let last = length - 1;
    range("bytes=-70000".to_owned(), (length - 70_000, last)).await;
    range(format!("bytes={}-", length / 2), (length / 2, last)).await;
    let beyond = venue.server.ask("GET", path);
    let beyond = beyond.header("range", &format!("bytes={length}-"));
    assert_eq!(beyond.send().await.status, 416);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_left_the_memory_is_read_from_disk_and_a_recording_can_be_downloaded_and_deleted() {
    let venue = Venue::start().await;
    venue.media("/hls/demo/main/video.m3u8").await;
    let operator = format!("Bearer {OPERATOR_SECRET}");
    assert_eq!(record(&venue, &operator, RECORDING, true).await.status, 200);
    // Two more segments, and the end of the server's streams: the recording is complete.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let recordings = list(&venue).await;
    let id = recordings[0]["id"].as_str().unwrap().to_owned();
    let playlist = finished(&venue).await;
    let parsed = m3u8_rs::parse_media_playlist_res(playlist.as_bytes()).unwrap();
    assert!(parsed.end_list && parsed.segments.len() >= 2, "{playlist}");
    for segment in &parsed.segments {
        let answer = venue
            .server
            .get(&format!("/hls/demo/main/{}", segment.uri))
            .await;
        assert_eq!(answer.status, 200, "{}: {answer:?}", segment.uri);
    }
    let by_id = venue
        .server
        .get(&format!("/hls/demo/main/{id}/video.m3u8"))
        .await;
    assert!(
        by_id.body.contains(&format!("../{id}-video-")),
        "{}",
        by_id.body
    );
    let file = venue.server.get(&format!("/hls/demo/main/{id}.mp4")).await;
    assert_eq!(file.status, 200);
    let disposition = file.header("content-disposition");
    assert!(
        disposition.starts_with("attachment; filename=\"demo-main-"),
        "{disposition}"
    );
    let length: u64 = file.header("content-length").parse().unwrap();
    assert!(length > 100_000, "{length} bytes");
    check_file(&venue, &format!("/hls/demo/main/{id}.mp4"), length).await;
    let thumbnails = list(&venue).await[0]["thumbnails"]
        .as_array()
        .unwrap()
        .clone();
    if let Some(picture) = thumbnails.first() {
        let answer = venue.server.get(picture["url"].as_str().unwrap()).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("content-type")),
            (200, "image/jpeg")
        );
    }
    let delete = venue
        .server
        .ask("DELETE", format!("{LIST}/{id}"))
        .header("authorization", &operator);
    assert_eq!(delete.send().await.status, 204);
    assert!(list(&venue).await.is_empty());
    venue
        .server
        .get(&format!("/hls/demo/main/{id}.mp4"))
        .await
        .check_problem(404, "no such file");
}
