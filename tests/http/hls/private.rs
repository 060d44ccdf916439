//! Spaces that not everybody may watch.

use std::time::Duration;

use proscenium::config::SpaceConfig;
use proscenium::tokens::{Claims, Scope};
use signaling::conference::ParticipantRole;

use super::Venue;
use crate::client::Answer;
use crate::offers;
use crate::server::{SDP, Server};

async fn private_venue() -> Venue {
    let server = Server::start_with(|config| {
        config.hls.part = Duration::from_millis(200);
        config.spaces.push(SpaceConfig {
            name: "demo".into(),
            key: None,
            private: true,
            streams: Vec::new(),
        });
    });
    Venue::with(server.await)
}

fn token(venue: &Venue, space: &str) -> String {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let scope: Scope = space.parse().unwrap();
    let claims = Claims::new(
        scope,
        ParticipantRole::Viewer,
        Duration::from_secs(600),
        now,
    );
    venue.server.tokens.mint(&claims)
}

async fn get_with(venue: &Venue, path: &str, name: &str, value: &str) -> Answer {
    for _ in 0..400 {
        let answer = venue
            .server
            .ask("GET", path)
            .header(name, value)
            .send()
            .await;
        if ![404, 503].contains(&answer.status.as_u16()) {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{path} does not come");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_watches_a_private_space_without_a_token_for_it() {
    let venue = private_venue().await;
    let other = format!("Bearer {}", token(&venue, "other"));
    for path in [
        "/live/demo.m3u8",
        "/hls/demo/main/index.m3u8",
        "/hls/demo/main/video.m3u8",
        "/api/spaces/demo/recordings",
    ] {
        let answer = venue.server.get(path).await;
        answer.check_problem(401, "private");
        assert!(answer.header("www-authenticate").starts_with("Bearer"));
        let answer = venue
            .server
            .ask("GET", path)
            .header("authorization", &other)
            .send()
            .await;
        answer.check_problem(401, "private");
    }
    let answer = venue
        .server
        .post("/whep/demo", offers::CHROMIUM_RECEIVE)
        .await;
    answer.check_problem(401, "private");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_it_in_a_header_a_cookie_and_the_path_and_stands_in_no_playlist() {
    let venue = private_venue().await;
    let bearer = format!("Bearer {}", token(&venue, "demo"));
    let answer = get_with(&venue, "/live/demo.m3u8", "authorization", &bearer).await;
    assert_eq!(answer.status, 200);
    assert!(!answer.header("cache-control").contains("public"));
    let playback = venue
        .server
        .ask("POST", "/api/spaces/demo/playback")
        .header("authorization", &bearer)
        .send()
        .await;
    assert_eq!(playback.status, 200, "{playback:?}");
    let said: serde_json::Value = serde_json::from_str(&playback.body).unwrap();
    let url = said["url"].as_str().unwrap();
    let signed = url
        .strip_prefix("/hls/~/")
        .unwrap()
        .split('/')
        .next()
        .unwrap()
        .to_owned();
    let master = venue.get(url).await;
    assert_eq!(master.status, 200);
    let media = venue.get(&url.replace("index", "video")).await;
    for text in [&master.body, &media.body] {
        assert!(!text.contains(&signed), "a token in a playlist");
    }
    let map = super::attribute(&media.body, "#EXT-X-MAP", "URI").unwrap();
    let init = venue.get(&url.replace("index.m3u8", map)).await;
    assert_eq!(
        (init.status.as_u16(), init.header("cache-control")),
        (200, "private, max-age=3600, immutable")
    );
    let cookie = format!("a=b; proscenium_view={signed}");
    let by_cookie = get_with(&venue, "/hls/demo/main/video.m3u8", "cookie", &cookie).await;
    assert_eq!(by_cookie.status, 200);
    let wrong = url.replace(&signed, "x.y.z");
    venue.server.get(&wrong).await.check_problem(401, "private");
    let session = venue
        .server
        .ask("POST", "/whep/demo")
        .header("authorization", &bearer)
        .body(SDP, offers::CHROMIUM_RECEIVE);
    assert_eq!(session.send().await.status, 201);
}
