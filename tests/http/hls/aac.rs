//! AAC that nobody wanted when it was packaged.

use std::time::Duration;

use super::Venue;

/// Every segment of AAC that is listed, and every part, the oldest first.
async fn addresses(venue: &Venue) -> (Vec<String>, Vec<String>) {
    let (_, text) = venue.media("/hls/demo/main/aac.m3u8").await;
    let addresses = |line: fn(&str) -> Option<&str>| {
        let names = text.lines().filter_map(line);
        names.map(|name| format!("/hls/demo/main/{name}")).collect()
    };
    let segments = addresses(|line| (!line.starts_with('#')).then_some(line));
    let parts = addresses(|line| {
        let rest = line.strip_prefix("#EXT-X-PART:")?;
        rest.split("URI=\"").nth(1)?.split('"').next()
    });
    (segments, parts)
}

async fn made(venue: &Venue) -> u64 {
    let metrics = venue.server.get("/metrics").await.body;
    let mut lines = metrics.lines();
    let line = lines.find_map(|line| line.strip_prefix("proscenium_hls_aac_made_total "));
    line.unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_aac_first_hears_what_was_there_before_and_everybody_the_same() {
    let venue = Venue::start().await;
    venue.media("/hls/demo/main/audio.m3u8").await;
    assert_eq!(made(&venue).await, 0);
    let (segments, parts) = addresses(&venue).await;
    let names = [segments, parts].concat();
    assert!(names.len() > 5, "{names:?}");
    for name in &names {
        // Several at once, as a crowd asks.
        let ask = || async { venue.get(name).await };
        let (one, other, third) = tokio::join!(ask(), ask(), ask());
        // With a hundred bytes and more for each unit of 21 ms; what only holds their places has 23.
        let samples = hls::sound_samples(&one.octets).unwrap();
        let bytes = one.octets.len() / samples.len();
        assert!(bytes > 100, "{name}: {bytes} bytes for each unit");
        assert_eq!(one.octets, other.octets, "{name}");
        assert_eq!(one.octets, third.octets, "{name}");
        assert_eq!(one.header("content-length"), one.octets.len().to_string());
    }
    let first = made(&venue).await;
    assert!(first > 0 && first <= names.len() as u64, "{first}");
    // Once for all.
    for name in &names {
        venue.get(name).await;
    }
    assert_eq!(made(&venue).await, first);
    // By now it is encoded.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let newest = loop {
        let newest = addresses(&venue).await.1.pop().unwrap();
        if !names.contains(&newest) {
            break newest;
        }
    };
    assert_eq!(venue.get(&newest).await.status, 200);
    assert_eq!(made(&venue).await, first, "{newest}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_asked_for_is_heard_when_all_is_over() {
    let venue = Venue::start().await;
    venue.media("/hls/demo/main/video.m3u8").await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let broadcast = venue.server.broadcast.clone();
    let finish = move || broadcast.finish(Duration::from_secs(3));
    assert!(tokio::task::spawn_blocking(finish).await.unwrap());
    let (names, _) = addresses(&venue).await;
    assert!(names.len() > 2, "{names:?}");
    let mut end = None;
    for name in names {
        let octets = venue.get(&name).await.octets;
        assert_eq!(venue.get(&name).await.octets, octets);
        let samples = hls::sound_samples(&octets).unwrap();
        let last = samples.last().unwrap();
        assert!(end.is_none_or(|end| end == samples[0].start), "{name}");
        end = Some(last.start + i64::from(last.duration));
        let soft = samples.iter().filter(|one| one.data.len() < 100).count();
        assert!(soft <= 1, "{name}: {soft} units without sound");
    }
    assert!(made(&venue).await > 2);
}
