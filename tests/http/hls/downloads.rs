//! Downloads that are refused: of a household that has as many as it may have, and of what is no one MP4 file.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mp4_atom::{Encode as _, Moof, Tfdt, Tfhd, Traf, Trun, TrunSamples};
use proscenium::media::StreamKey;
use proscenium::recording::Entry;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use super::recordings::finished;
use super::{Venue, attribute};
use crate::client::{Answer, check_cors};
use crate::server::Server;

/// What one household may download at a time.
const DOWNLOADS_MAX: usize = 8;

async fn download(venue: &Venue, path: &str, client: &str) -> Answer {
    let ask = venue.server.ask("GET", path);
    ask.header("x-forwarded-for", client).send().await
}

/// A download of somebody who takes next to nothing of it.
async fn begin_slowly(venue: &Venue, path: &str, client: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(venue.server.address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {client}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut status = [0; 13];
    stream.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 200 ");
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn a_household_that_downloads_eight_recordings_waits_for_one_to_be_complete() {
    let socket = TcpSocket::new_v4().unwrap();
    // What the system holds back for a client is not with the server any more.
    socket.set_send_buffer_size(4096).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let server = Server::start_on(socket.listen(64).unwrap(), |config| {
        config.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
        config.recordings.record = true;
    });
    let venue = Venue::with(server);
    venue.media("/hls/demo/main/video.m3u8").await;
    let playlist = finished(&venue).await;
    let life = playlist.split_once("-video-").unwrap().0;
    let life = life.rsplit(['"', '\n']).next().unwrap();
    let path = format!("/hls/demo/main/{life}.mp4");
    let whole = download(&venue, &path, "2001:db8:7::1").await;
    assert_eq!(whole.status, 200);
    assert!(whole.octets.len() > 100_000, "{} bytes", whole.octets.len());

    let mut slow = Vec::new();
    for number in 0..DOWNLOADS_MAX {
        let client = format!("2001:db8:7::{number}");
        slow.push(begin_slowly(&venue, &path, &client).await);
    }
    let refused = download(&venue, &path, "2001:db8:7::99").await;
    refused.check_problem(429, "your address downloads 8 recordings already");
    assert_eq!(refused.header("retry-after"), "10");
    check_cors(&refused);
    let other = download(&venue, &path, "2001:db8:8::1").await;
    assert_eq!(other.status, 200, "another household is not concerned");
    slow.pop();
    for _ in 0..400 {
        if download(&venue, &path, "2001:db8:7::99").await.status == 200 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("a download that was given up still counts");
}

/// A fragment of so many samples of nothing, one tick each.
fn fragment(time: u64, samples: u32) -> Vec<u8> {
    let moof = |data_offset: usize| {
        let run = Trun {
            data_offset: Some(i32::try_from(data_offset).unwrap()),
            samples: TrunSamples::Inherited {
                count: samples,
                first_flags: None,
            },
        };
        let track = Traf {
            tfhd: Tfhd {
                track_id: 1,
                default_sample_duration: Some(1),
                default_sample_size: Some(0),
                default_sample_flags: Some(0),
                default_base_is_moof: true,
                ..Tfhd::default()
            },
            tfdt: Some(Tfdt {
                base_media_decode_time: time,
            }),
            trun: vec![run],
            ..Traf::default()
        };
        let mut bytes = Vec::new();
        let moof = Moof {
            traf: vec![track],
            ..Moof::default()
        };
        moof.encode(&mut bytes).unwrap();
        bytes
    };
    let mut bytes = moof(moof(0).len() + 8);
    bytes.extend(b"\0\0\0\x08mdat");
    bytes
}

fn picture() -> hls::RenditionInfo {
    hls::RenditionInfo {
        name: "video".to_owned(),
        kind: hls::CodecKind::H264,
        codec: "avc1.64001f".to_owned(),
        width: 1280,
        height: 720,
        frame_rate_milli: 30_000,
        bandwidth_peak: 0,
        bandwidth_average: 0,
        keyframe_peak: 0,
        keyframe_average: 0,
        channels: 0,
        may_have_captions: true,
        init: None,
        active: true,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_with_too_many_samples_for_one_file_is_422_and_its_playlist_is_named() {
    const LIFE: &str = "0badcafe";
    const SAMPLES: u32 = 1 << 20;
    let venue = Venue::start().await;
    let (_, playlist) = venue.media("/hls/demo/main/video.m3u8").await;
    let init = attribute(&playlist, "#EXT-X-MAP", "URI").unwrap();
    let init = venue.get(&format!("/hls/demo/main/{init}")).await.octets;
    let recorder = venue.server.broadcast.recorder();
    let send = |entry| assert!(recorder.try_send(entry));
    let life: Arc<str> = LIFE.into();
    send(Entry::Begin {
        key: StreamKey {
            space: "demo".into(),
            stream: "long".into(),
        },
        life: life.clone(),
        origin_ms: 1_700_000_000_000,
        keep: true,
    });
    send(Entry::Init {
        life: life.clone(),
        info: picture(),
        number: 0,
        bytes: init,
    });
    for place in 0..9 {
        let start = place * i64::from(SAMPLES);
        let segment = hls::Segment {
            rendition: 0,
            msn: place.unsigned_abs() + 1,
            start,
            duration: u64::from(SAMPLES),
            timescale: 90_000,
            init: 0,
            discontinuity: false,
            discontinuity_sequence: 0,
            independent: true,
            date_ms: 1_700_000_000_000 + start.unsigned_abs() / 90,
            bytes: Bytes::from(fragment(start.unsigned_abs(), SAMPLES)),
            parts: 1,
            keyframe_bytes: 0,
            is_last: place == 8,
        };
        send(Entry::Segment {
            life: life.clone(),
            rendition: "video".into(),
            segment: Arc::new(segment),
        });
    }
    send(Entry::End { life });
    let answer = venue.get(&format!("/hls/demo/long/{LIFE}.mp4")).await;
    let words = "recording 0badcafe has more than 8388608 samples, too many for one MP4 file; play or copy its playlist, 0badcafe/index.m3u8";
    answer.check_problem(422, words);
    let playlist = venue
        .get(&format!("/hls/demo/long/{LIFE}/video.m3u8"))
        .await;
    assert_eq!(playlist.body.matches("#EXTINF").count(), 9, "{playlist:?}");
}
