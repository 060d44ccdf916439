//! Playlists, at once and held.

use std::time::{Duration, Instant};

use proscenium::bridge::run_demo;

use super::{Venue, attribute, hinted};
use crate::client::check_cors;

#[tokio::test(flavor = "multi_thread")]
async fn the_address_in_the_field_leads_to_a_picture_and_its_sound() {
    let venue = Venue::start().await;
    let master = venue.master("/live/demo.m3u8").await;
    assert!(!master.variants.is_empty());
    for variant in &master.variants {
        assert_eq!(variant.uri, "../hls/demo/main/video.m3u8");
        let codecs = variant.codecs.as_deref().unwrap();
        assert!(codecs.starts_with("avc1."), "{codecs}");
        assert!(variant.resolution.is_some() && variant.bandwidth > 50_000);
    }
    let beside = venue.master("/hls/demo/main/index.m3u8").await;
    assert!(
        beside
            .variants
            .iter()
            .all(|variant| variant.uri == "video.m3u8")
    );
    let named = venue.master("/live/demo/main.m3u8").await;
    assert!(
        named
            .variants
            .iter()
            .all(|variant| variant.uri == "../../hls/demo/main/video.m3u8")
    );
}

/// Chromium's own player dies at a change of codec, and hls.js takes two codecs for two qualities of the picture.
#[tokio::test(flavor = "multi_thread")]
async fn a_playlist_of_playlists_has_one_codec_of_sound_live_and_afterwards() {
    let venue = Venue::start().await;
    let check = async |path: &str, codec: &str, uri: &str| {
        let master = venue.master(path).await;
        assert!(!master.variants.is_empty(), "{path}");
        for variant in &master.variants {
            let codecs = variant.codecs.as_deref().unwrap();
            assert!(codecs.ends_with(&format!(",{codec}")), "{path}: {codecs}");
        }
        let sounds: Vec<_> = master
            .alternatives
            .iter()
            .map(|one| one.uri.as_deref())
            .collect();
        assert_eq!(sounds, [Some(uri)], "{path}");
    };
    let check_all = async || {
        check("/live/demo.m3u8", "mp4a.40.2", "../hls/demo/main/aac.m3u8").await;
        check(
            "/live/demo.m3u8?audio=opus",
            "opus",
            "../hls/demo/main/audio.m3u8",
        )
        .await;
        check("/hls/demo/main/index.m3u8", "mp4a.40.2", "aac.m3u8").await;
        check("/hls/demo/main/index.m3u8?audio=opus", "opus", "audio.m3u8").await;
    };
    check_all().await;
    check(
        "/live/demo/main.m3u8?dvr",
        "mp4a.40.2",
        "../../hls/demo/main/aac.m3u8?dvr",
    )
    .await;
    check(
        "/live/demo/main.m3u8?dvr&audio=opus",
        "opus",
        "../../hls/demo/main/audio.m3u8?dvr",
    )
    .await;
    let (_, text) = venue.media("/hls/demo/main/video.m3u8").await;
    let life = text
        .split_once("-video-")
        .unwrap()
        .0
        .rsplit(['"', '\n'])
        .next()
        .unwrap()
        .to_owned();
    let broadcast = venue.server.broadcast.clone();
    let finish = move || broadcast.finish(Duration::from_secs(3));
    assert!(tokio::task::spawn_blocking(finish).await.unwrap());
    check_all().await;
    let older = format!("/hls/demo/main/{life}/index.m3u8");
    check(&older, "mp4a.40.2", "aac.m3u8").await;
    check(&format!("{older}?audio=opus"), "opus", "audio.m3u8").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocking_reload_is_answered_when_its_part_exists_and_not_before() {
    let venue = Venue::start().await;
    let (_, text) = venue.media("/hls/demo/main/video.m3u8").await;
    let (mut msn, mut part) = hinted(&text);
    let began = Instant::now();
    for _ in 0..10 {
        let path = format!("/hls/demo/main/video.m3u8?_HLS_msn={msn}&_HLS_part={part}");
        let answer = venue.server.get(&path).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("cache-control"), "public, max-age=1");
        let next = hinted(&answer.body);
        assert!(next > (msn, part), "{next:?} after {msn}.{part}");
        (msn, part) = next;
    }
    // Ten parts of 0.2 s, some of them shorter at the end of a segment, and no answer without a new one.
    let taken = began.elapsed();
    assert!(
        taken > Duration::from_millis(1200),
        "ten parts in {taken:?}"
    );
}

/// hls.js without low latency asks for the last part that a segment of the target duration has room for, whatever that is.
#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_is_far_ahead_is_answered_three_seconds_on() {
    let venue = Venue::start().await;
    let (_, text) = venue.media("/hls/demo/main/video.m3u8").await;
    let (msn, part) = hinted(&text);
    let path = format!("/hls/demo/main/video.m3u8?_HLS_msn={msn}&_HLS_part=49");
    let (_, later) = venue.media(&path).await;
    let now = hinted(&later);
    assert!(
        now > (msn + 1, 0) && now <= (msn + 2, part + 1),
        "{now:?} after {msn}.{part}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_waited_for_is_refused() {
    let venue = Venue::start().await;
    let (_, text) = venue.media("/hls/demo/main/video.m3u8").await;
    let (msn, _) = hinted(&text);
    let refused = async |query: &str, status: u16, words: &str| {
        let answer = venue
            .server
            .get(&format!("/hls/demo/main/video.m3u8?{query}"))
            .await;
        answer.check_problem(status, words);
        check_cors(&answer);
    };
    refused(&format!("_HLS_msn={}", msn + 5), 400, "ahead").await;
    refused(
        "_HLS_msn=18446744073709551615&_HLS_part=4294967295",
        400,
        "ahead",
    )
    .await;
    refused("_HLS_part=0", 400, "_HLS_msn").await;
    refused("_HLS_msn=one", 400, "one").await;
    venue
        .server
        .get("/hls/demo/main/video7.m3u8")
        .await
        .check_problem(404, "video7");
    venue
        .server
        .get("/hls/demo/balcony/video.m3u8")
        .await
        .check_problem(404, "not live");
    venue
        .server
        .get("/live/nobody.m3u8")
        .await
        .check_problem(404, "not live");
    venue
        .server
        .get("/live/demo.mpd")
        .await
        .check_problem(404, ".m3u8");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_viewer_gets_the_same_bytes_plain_or_compressed() {
    let venue = Venue::start().await;
    let (_, text) = venue.media("/hls/demo/main/video.m3u8").await;
    let (msn, part) = hinted(&text);
    let path = format!("/hls/demo/main/video.m3u8?_HLS_msn={msn}&_HLS_part={part}");
    let ask = |encoding: &str| {
        venue
            .server
            .ask("GET", path.clone())
            .header("accept-encoding", encoding)
            .send()
    };
    let (one, other, packed) = tokio::join!(ask("identity"), ask("identity"), ask("gzip"));
    assert_eq!(one.body, other.body);
    assert_eq!(one.header("etag"), other.header("etag"));
    assert_eq!(packed.header("content-encoding"), "gzip");
    assert_eq!(packed.header("vary"), "Accept-Encoding");
    assert_ne!(one.header("etag"), packed.header("etag"));
    assert_eq!(one.header("content-type"), "application/vnd.apple.mpegurl");
    check_cors(&one);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_playlist_that_did_not_change_is_304() {
    let venue = Venue::start().await;
    let multivariant = venue.get("/live/demo.m3u8").await;
    let tag = multivariant.header("etag").to_owned();
    let again = venue
        .server
        .ask("GET", "/live/demo.m3u8")
        .header("if-none-match", &tag)
        .send()
        .await;
    // Measured bit rates may have changed it meanwhile; then it is sent.
    if again.status == 304 {
        assert!(again.body.is_empty());
        assert_eq!(again.header("etag"), tag);
    } else {
        assert_ne!(again.header("etag"), tag);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_constants_and_the_numbers_are_as_players_need_them() {
    let venue = Venue::start().await;
    let (playlist, text) = venue.media("/hls/demo/main/video.m3u8").await;
    assert!(playlist.media_sequence >= 1);
    assert_eq!(
        playlist.target_duration, 2,
        "the demo's keyframes are two seconds apart"
    );
    assert_eq!(
        attribute(&text, "#EXT-X-PART-INF", "PART-TARGET"),
        Some("0.20001")
    );
    assert_eq!(
        attribute(&text, "#EXT-X-SERVER-CONTROL", "CAN-BLOCK-RELOAD"),
        Some("YES")
    );
    let hold_back: f64 = attribute(&text, "#EXT-X-SERVER-CONTROL", "PART-HOLD-BACK")
        .unwrap()
        .parse()
        .unwrap();
    assert!((0.6..1.0).contains(&hold_back), "{hold_back}");
    assert!(text.contains("#EXT-X-PROGRAM-DATE-TIME:"));
    assert!(text.contains("#EXT-X-RENDITION-REPORT:URI=\"audio.m3u8\""));
    let master = venue.get("/live/demo.m3u8").await.body;
    assert!(master.contains(",CLOSED-CAPTIONS=NONE\n"), "{master}");
    let dvr = venue.get("/hls/demo/main/video.m3u8?dvr").await;
    assert!(
        !dvr.body.contains("#EXT-X-PLAYLIST-TYPE"),
        "its window slides"
    );
    assert!(
        dvr.body
            .contains("#EXT-X-RENDITION-REPORT:URI=\"audio.m3u8?dvr\"")
    );
    let master = venue.get("/hls/demo/main/index.m3u8?dvr").await;
    assert!(master.body.contains("video.m3u8?dvr"), "{}", master.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_costs_no_rendering() {
    let venue = Venue::start().await;
    let (_, text) = venue.media("/hls/demo/main/video.m3u8").await;
    let (msn, _) = hinted(&text);
    let rendered = || async {
        let metrics = venue.server.get("/metrics").await.body;
        let line = metrics
            .lines()
            .find(|line| line.starts_with("proscenium_hls_playlists_rendered_total "))
            .unwrap();
        line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()
    };
    let parts = || async {
        let metrics = venue.server.get("/metrics").await.body;
        let line = metrics
            .lines()
            .find(|line| line.starts_with("proscenium_hls_parts_total "))
            .unwrap();
        line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()
    };
    let (before, parts_before) = (rendered().await, parts().await);
    let path = format!("/hls/demo/main/video.m3u8?_HLS_msn={}", msn + 1);
    let waiting: Vec<_> = (0..100)
        .map(|_| venue.server.ask("GET", path.clone()).send())
        .collect();
    let answers = futures_util::future::join_all(waiting).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    let (made, parts_made) = (rendered().await - before, parts().await - parts_before);
    assert!(
        made <= parts_made + 20,
        "{made} renderings of {parts_made} parts for 100 viewers"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_is_sent_away_for_a_moment_when_the_server_stops() {
    let venue = Venue::start().await;
    let (_, text) = venue.media("/hls/demo/main/video.m3u8").await;
    let (msn, _) = hinted(&text);
    let path = format!("/hls/demo/main/video.m3u8?_HLS_msn={}", msn + 1);
    let waiting = venue.server.ask("GET", path).send();
    let broadcast = venue.server.broadcast.clone();
    let stop = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let stop = move || broadcast.finish(Duration::from_secs(3));
        tokio::task::spawn_blocking(stop).await.unwrap()
    };
    let (answer, is_done) = tokio::join!(waiting, stop);
    assert!(is_done);
    answer.check_problem(503, "restarted");
    assert_eq!(answer.header("retry-after"), "1");
    // Nobody is told of an end: the next process goes on.
    let after = venue.server.get("/hls/demo/main/video.m3u8").await;
    assert!(!after.body.contains("#EXT-X-ENDLIST"), "{after:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_stream_has_hls_whichever_thread_packages_it() {
    let venue = Venue::start().await;
    let spaces = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let performers = spaces.map(|space| {
        let media = venue.server.media.clone();
        tokio::spawn(async move { run_demo(media, space).await })
    });
    for space in spaces {
        let path = format!("/hls/{space}/main/video.m3u8");
        let (playlist, text) = venue.media(&path).await;
        assert!(!playlist.end_list, "{text}");
    }
    performers.iter().for_each(tokio::task::JoinHandle::abort);
    let broadcast = venue.server.broadcast.clone();
    let stopping =
        tokio::task::spawn_blocking(move || broadcast.stop_streams(Duration::from_secs(5)));
    assert!(stopping.await.unwrap(), "all threads end");
    for space in spaces {
        let answer = venue.get(&format!("/hls/{space}/main/video.m3u8")).await;
        assert!(answer.body.contains("#EXT-X-ENDLIST"), "{answer:?}");
    }
}
