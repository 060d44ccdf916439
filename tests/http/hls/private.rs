//! Spaces that not everybody may watch.

use futures_util::future::join_all;
use std::time::Duration;

use conference::ParticipantRole;
use proscenium::config::SpaceConfig;
use proscenium::tokens::{Claims, Scope};

use super::Venue;
use crate::client::Answer;
use crate::offers;
use crate::server::{OPERATOR_SECRET, SDP, Server};

async fn private_venue() -> Venue {
    let server = Server::start_with(|config| {
        config.hls.part = Duration::from_millis(200);
        config.spaces.push(SpaceConfig {
            name: "demo".into(),
            key: None,
            private: true,
            whep_slate: false,
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
    assert_eq!(answer.header("cache-control"), "private, no-cache");
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

/// What `/api/spaces/{space}/playback` says to a client with this header.
async fn playback(server: &Server, space: &str, name: &str, value: &str) -> Answer {
    let ask = server.ask("POST", format!("/api/spaces/{space}/playback"));
    ask.header(name, value).send().await
}

/// The token in a playback address.
fn signed(answer: &Answer) -> Option<String> {
    let said: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    let rest = said["url"].as_str().unwrap().strip_prefix("/hls/~/")?;
    Some(rest.split_once('/').unwrap().0.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_lives_no_longer_than_what_it_was_given_for_also_when_that_was_a_cookie() {
    let venue = private_venue().await;
    let token = token(&venue, "demo");
    let end = venue.server.tokens.verify("demo", &token).unwrap().expires;
    let bearer = format!("Bearer {token}");
    let cookie = format!("proscenium_view={token}");
    for (name, value) in [("authorization", &bearer), ("cookie", &cookie)] {
        let answer = playback(&venue.server, "demo", name, value).await;
        let made = signed(&answer).unwrap();
        let claims = venue.server.tokens.verify("demo", &made).unwrap();
        assert!(claims.expires <= end, "by {name}: {claims:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_anybody_gets_opens_nothing_private() {
    let venue = private_venue().await;
    let body = serde_json::json!({ "session": "demo" }).to_string();
    let ask = venue.server.ask("POST", "/api/tokens");
    let made = ask.body("application/json", body).send().await;
    let made: serde_json::Value = serde_json::from_str(&made.body).unwrap();
    let bearer = format!("Bearer {}", made["token"].as_str().unwrap());
    for path in ["/hls/demo/main/index.m3u8", "/api/spaces/demo/recordings"] {
        let ask = venue.server.ask("GET", path);
        let answer = ask.header("authorization", &bearer).send().await;
        answer.check_problem(401, "private");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_private_gives_nobody_a_token() {
    let server = Server::start().await;
    for space in ["locked", "stage"] {
        let answer = playback(&server, space, "x-nothing", "").await;
        assert_eq!(answer.status, 200);
        assert_eq!(signed(&answer), None, "a key to the conference");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_the_secret_has_a_limit_and_viewers_with_a_token_have_none() {
    let venue = private_venue().await;
    let path = "/api/spaces/demo/recordings";
    let ask = async |path: &str, bearer: &str| {
        let ask = venue.server.ask("GET", path);
        let ask = ask.header("authorization", &format!("Bearer {bearer}"));
        ask.send().await.status.as_u16()
    };
    let token = token(&venue, "demo");
    for _ in 0..700 {
        assert_eq!(ask(path, &token).await, 200);
    }
    // Many at once: the allowance fills up again meanwhile.
    let is_limited = async |path: &str, bearer: &str| {
        for _ in 0..100 {
            let asked = (0..64).map(|_| ask(path, bearer));
            if join_all(asked).await.contains(&429) {
                return true;
            }
        }
        false
    };
    assert!(is_limited(path, "guess").await);
    assert!(is_limited("/hls/demo/main/index.m3u8", "guess").await);
    assert!(is_limited(path, OPERATOR_SECRET).await);
    // Of the same address, with a token in the header, in the path and in a cookie.
    assert_eq!(ask(path, &token).await, 200);
    let in_path = format!("/hls/~/{token}/demo/main/index.m3u8");
    assert_ne!(venue.server.get(&in_path).await.status, 429);
    let cookie = format!("proscenium_view={token}");
    let ask = venue.server.ask("GET", "/hls/demo/main/index.m3u8");
    let answer = ask.header("cookie", &cookie).send().await;
    assert_ne!(answer.status, 429);
}
