//! Cameras that are pulled by RTSP and appear as performers: H.264 with Opus or G.711 passed through, with AAC, G.722 or
//! linear samples (L16) made into Opus, or without sound.
//!
//! `retina` speaks RTSP and gives RTP packets; [`h264`] makes whole frames of them, [`timeline`] carries the camera's
//! timestamps over reconnections, [`worker`] has the thread on which [`super::transcode`] makes Opus. What is deliberately not here: RTSPS
//! ([ADR 0023](../../../docs/adr/0023-rtsps-is-left-to-a-tunnel.md)), ONVIF
//! control, B-frames (WebRTC has none: switch them off in the camera), and waking a camera up for a keyframe.

mod aac;
mod camera;
mod play;
mod retry;
mod session;
mod sound;
mod stage;
mod timeline;
mod url;
mod worker;

use crate::media::{Handle, StreamKey};

/// Pulls the camera at `url` (`rtsp://user:password@host:port/path`, with `transport=udp` in the query for RTP over UDP)
/// and publishes it as `key`, for ever: a camera that is away is looked for each second, one that refuses user and password is
/// asked three times and then once an hour, and a stream that somebody else took over is taken back when it is free. Returns when the server stops; drop the future to end it earlier. The address is
/// logged without user, password, path and query. One that is the backup of a stream publishes as `backup_of` and stands by.
pub async fn run_camera(media: Handle, key: StreamKey, backup_of: Option<StreamKey>, url: String) {
    match url::RedactedUrl::parse(&url) {
        Ok(url) => {
            let stage = stage::Stage::new(media, key, backup_of);
            camera::Camera::new(stage, url).run().await;
        }
        Err(error) => {
            tracing::error!(space = %key.space, stream = %key.stream, %error, "a camera cannot be used")
        }
    }
}
