//! Playlists of keyframes, for players that show pictures while somebody looks for a place.

use m3u8_rs::MediaPlaylist;

use super::recordings::finished;
use super::{Venue, attribute};

const ADDRESS: &str = "video.m3u8?keyframes";

fn named(master: &str) -> Option<&str> {
    attribute(master, "#EXT-X-I-FRAME-STREAM-INF", "URI")
}

/// Each entry of the playlist is a fragment that a segment begins with, and the next one begins where it ends.
async fn check_ranges(venue: &Venue, playlist: &MediaPlaylist) {
    assert!(playlist.i_frames_only && !playlist.segments.is_empty());
    for segment in &playlist.segments {
        let name = segment.uri.trim_start_matches("../");
        let range = segment.byte_range.as_ref().unwrap();
        assert_eq!(range.offset, Some(0));
        let ask = |begin: u64, end: u64| {
            let ask = venue
                .server
                .ask("GET", format!("/hls/demo/main/{name}"))
                .header("range", &format!("bytes={begin}-{end}"));
            ask.send()
        };
        let answer = ask(0, range.length - 1).await;
        assert_eq!(answer.status, 206, "{answer:?}");
        assert_eq!(answer.header("content-length"), range.length.to_string());
        for begin in [0, range.length] {
            assert_eq!(ask(begin + 4, begin + 7).await.body, "moof");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keyframes_of_a_picture_can_be_had_alone_live_and_afterwards() {
    let venue = Venue::start().await;
    let master = venue.get("/live/demo.m3u8").await.body;
    assert_eq!(
        named(&master),
        Some("../hls/demo/main/video.m3u8?keyframes")
    );
    let read = |name: &str| {
        attribute(&master, "#EXT-X-I-FRAME-STREAM-INF", name)
            .and_then(|value| value.parse::<u64>().ok())
            .unwrap()
    };
    let peak = read("BANDWIDTH");
    let picture = attribute(&master, "#EXT-X-STREAM-INF", "BANDWIDTH");
    assert!(peak > 0 && peak < picture.unwrap().parse().unwrap());
    assert!(read("AVERAGE-BANDWIDTH") <= peak);
    let (keyframes, text) = venue.media("/hls/demo/main/video.m3u8?keyframes").await;
    assert_eq!(keyframes.target_duration, 2);
    assert!(!text.contains("#EXT-X-PART") && !text.contains("#EXT-X-PRELOAD"));
    check_ranges(&venue, &keyframes).await;

    let everything = venue.get("/hls/demo/main/index.m3u8?dvr").await.body;
    assert_eq!(named(&everything), Some("video.m3u8?keyframes&dvr"));
    let (keyframes, _) = venue.media("/hls/demo/main/video.m3u8?keyframes&dvr").await;
    check_ranges(&venue, &keyframes).await;

    let ended = finished(&venue).await;
    let life = ended.split_once("-video-").unwrap().0;
    let life = life.rsplit(['"', '\n']).next().unwrap();
    let base = format!("/hls/demo/main/{life}/");
    let master = venue.server.get(&format!("{base}index.m3u8")).await.body;
    assert_eq!(named(&master), Some(ADDRESS), "{master}");
    let (keyframes, text) = venue.media(&format!("{base}{ADDRESS}")).await;
    assert!(keyframes.end_list && text.contains("#EXT-X-PLAYLIST-TYPE:VOD"));
    check_ranges(&venue, &keyframes).await;
    let sound = venue.server.get(&format!("{base}aac.m3u8?keyframes")).await;
    sound.check_problem(404, "no such file");
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_has_no_keyframes() {
    let venue = Venue::start().await;
    venue.media("/hls/demo/main/aac.m3u8").await;
    let answer = venue.server.get("/hls/demo/main/aac.m3u8?keyframes").await;
    answer.check_problem(404, "sound has none");
}
