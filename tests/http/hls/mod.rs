//! HLS as players ask for it, of the built-in performer.

mod aac;
mod downloads;
mod keyframes;
mod playlists;
mod private;
mod recordings;
mod resources;

use std::time::Duration;

use m3u8_rs::{MasterPlaylist, MediaPlaylist};
use proscenium::bridge::run_demo;
use tokio::task::JoinHandle;

use crate::client::Answer;
use crate::server::Server;

/// A server with the built-in performer in the space `demo`, and short parts.
pub(crate) struct Venue {
    pub(crate) server: Server,
    performer: JoinHandle<()>,
}

impl Venue {
    pub(crate) async fn start() -> Self {
        Self::with(Server::start_with(|config| config.hls.part = Duration::from_millis(200)).await)
    }

    pub(crate) fn with(server: Server) -> Self {
        let media = server.media.clone();
        let performer = tokio::spawn(async move { run_demo(media, "demo").await });
        Self { server, performer }
    }

    /// The performer leaves.
    pub(crate) fn stop(&self) {
        self.performer.abort();
    }

    /// Asks until the answer is no 404 or 503, as players do when a stream begins.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        for _ in 0..400 {
            let answer = self.server.get(path).await;
            if ![404, 503].contains(&answer.status.as_u16()) {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("{path} does not come: {:?}", self.server.get(path).await);
    }

    /// A playlist of playlists, without those of keyframes.
    pub(crate) async fn master(&self, path: &str) -> MasterPlaylist {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let mut master = m3u8_rs::parse_master_playlist_res(answer.body.as_bytes()).unwrap();
        master.variants.retain(|variant| !variant.is_i_frame);
        master
    }

    /// A media playlist with at least one finished segment, and its text.
    pub(crate) async fn media(&self, path: &str) -> (MediaPlaylist, String) {
        for _ in 0..400 {
            let answer = self.get(path).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            let playlist = m3u8_rs::parse_media_playlist_res(answer.body.as_bytes()).unwrap();
            if playlist
                .segments
                .iter()
                .any(|segment| !segment.uri.is_empty())
            {
                return (playlist, answer.body);
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("{path} has no segment");
    }
}

impl Drop for Venue {
    fn drop(&mut self) {
        self.performer.abort();
    }
}

/// The value of an attribute of the first line that begins with `tag`.
pub(crate) fn attribute<'a>(playlist: &'a str, tag: &str, name: &str) -> Option<&'a str> {
    let line = playlist.lines().find(|line| line.starts_with(tag))?;
    let rest = &line[line.find(&format!("{name}="))? + name.len() + 1..];
    Some(match rest.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next()?,
        None => rest.split(',').next()?,
    })
}

/// What the preload hint names: media sequence number and part.
pub(crate) fn hinted(playlist: &str) -> (u64, u64) {
    let uri = attribute(playlist, "#EXT-X-PRELOAD-HINT", "URI").unwrap();
    let place = uri
        .strip_suffix(".m4s")
        .unwrap()
        .rsplit('-')
        .next()
        .unwrap();
    let (msn, rest) = place.split_once('.').unwrap();
    let (part, _) = rest.split_once('.').unwrap();
    (msn.parse().unwrap(), part.parse().unwrap())
}
