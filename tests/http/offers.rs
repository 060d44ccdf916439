//! Offers in the shape of real clients, and one that a WebRTC library makes on the spot.

pub(crate) const AIORTC_RECEIVE: &str = include_str!("offers/aiortc-receive.sdp");
pub(crate) const CHROMIUM_RECEIVE: &str = include_str!("offers/chromium-receive.sdp");
pub(crate) const CHROMIUM_SEND: &str = include_str!("offers/chromium-send.sdp");
pub(crate) const CHROMIUM_SIMULCAST: &str = include_str!("offers/chromium-simulcast.sdp");
pub(crate) const FFMPEG: &str = include_str!("offers/ffmpeg.sdp");
pub(crate) const FFMPEG_HIGH_ACTIVE: &str = include_str!("offers/ffmpeg-high-active.sdp");
pub(crate) const GSTREAMER: &str = include_str!("offers/gstreamer.sdp");
pub(crate) const OBS: &str = include_str!("offers/obs.sdp");
pub(crate) const OBS_SIMULCAST: &str = include_str!("offers/obs-simulcast.sdp");

/// A viewer that knows no codec that is forwarded.
pub(crate) fn of_unknown_codecs() -> String {
    let codec_lines = ["a=rtpmap", "a=fmtp", "a=rtcp-fb"];
    let mut sdp = String::new();
    let mut codec = "";
    for line in CHROMIUM_RECEIVE.lines() {
        let line = match line {
            line if line.starts_with("m=audio") => {
                codec = "a=rtpmap:9 G722/8000";
                "m=audio 9 UDP/TLS/RTP/SAVPF 9"
            }
            line if line.starts_with("m=video") => {
                codec = "a=rtpmap:50 H265/90000";
                "m=video 9 UDP/TLS/RTP/SAVPF 50"
            }
            line if codec_lines.iter().any(|start| line.starts_with(start)) => continue,
            line => line,
        };
        sdp.push_str(line);
        sdp.push_str("\r\n");
        if line == "a=rtcp-rsize" {
            sdp.push_str(codec);
            sdp.push_str("\r\n");
        }
    }
    sdp
}

/// Replaces the first line that begins with `start`.
pub(crate) fn replace_line(sdp: &str, start: &str, new: &str) -> String {
    let mut done = false;
    let lines = sdp.lines().map(|line| {
        if !done && line.starts_with(start) {
            done = true;
            new
        } else {
            line
        }
    });
    lines.map(|line| format!("{line}\r\n")).collect()
}

/// Without all lines that contain `word`.
pub(crate) fn without(sdp: &str, word: &str) -> String {
    sdp.lines()
        .filter(|line| !line.contains(word))
        .map(|line| format!("{line}\r\n"))
        .collect()
}
