//! Playlists: at once, or held until what the player asks for exists.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::recorded;
use crate::broadcast::{AAC, Held, Rendered, Show, Skip, Sound};
use crate::http::AppState;
use crate::http::errors::{Problem, short};
use crate::http::variants::Text;
use crate::media::StreamKey;

const TYPE: &str = "application/vnd.apple.mpegurl";

/// For a playlist that is asked for as it is now: ask again each time, and mostly hear 304.
const NOW: &str = "no-cache";

/// For one that was waited for: its address names what it contains, and for about a part nothing newer exists.
const AWAITED: &str = "public, max-age=1";

/// For one of a life that is over, at its own address: it will not change any more.
pub(super) const FINISHED: &str = "public, max-age=60";

/// For the same at the stream's address, where the next life may begin at any moment.
const OVER: &str = "public, max-age=2";

/// The longest wait: three of the longest target durations (RFC 8216bis section 6.2.5.2). A player whose performer is away for
/// a moment rather waits than hears of an error.
const HOLD_MAX: Duration = Duration::from_secs(30);

/// How long the first request waits for a stream that has just begun.
const START_MAX: Duration = Duration::from_secs(8);

/// What a player asks of a media playlist, RFC 8216bis section 6.2.5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Ask {
    msn: Option<u64>,
    part: Option<u32>,
    skip: Skip,
    is_dvr: bool,
    pub(super) is_keyframes: bool,
}

impl Ask {
    /// # Errors
    /// 400 for a number that is none, and for a part without a segment. What is unknown is ignored.
    pub(super) fn parse(query: Option<&str>) -> Result<Self, Problem> {
        let mut ask = Self::default();
        for pair in query.unwrap_or_default().split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "_HLS_msn" => ask.msn = Some(number(name, value)?),
                "_HLS_part" => {
                    let part = number(name, value)?;
                    ask.part = Some(u32::try_from(part).map_err(|_| not_a_number(name, value))?);
                }
                "_HLS_skip" => {
                    ask.skip = match value {
                        "YES" => Skip::Segments,
                        "v2" => Skip::DateRanges,
                        _ => Skip::Nothing,
                    }
                }
                "dvr" => ask.is_dvr = true,
                "keyframes" => ask.is_keyframes = true,
                _ => {}
            }
        }
        if ask.part.is_some() && ask.msn.is_none() {
            let detail = "_HLS_part was given without _HLS_msn; say which segment it belongs to";
            return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
        }
        Ok(ask)
    }
}

fn number(name: &str, value: &str) -> Result<u64, Problem> {
    let is_plain = value.bytes().all(|byte| byte.is_ascii_digit());
    let number = value.parse().ok().filter(|_| is_plain);
    number.ok_or_else(|| not_a_number(name, value))
}

fn not_a_number(name: &str, value: &str) -> Problem {
    let detail = format!(
        "{name} is \"{}\", which is no number that a playlist could have",
        short(value)
    );
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

pub(super) fn answer(
    text: &Rendered,
    cache_control: &'static str,
    headers: &HeaderMap,
) -> Response {
    Text {
        plain: text.plain(),
        gzip: || Some(text.gzip()),
        etag: text.etag(),
        content_type: TYPE,
        cache_control,
    }
    .respond(headers)
}

/// The playlist of playlists; its entries lie under `base`.
pub(super) async fn multivariant(
    state: &AppState,
    key: &StreamKey,
    base: &str,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let (is_dvr, sound) = (Ask::parse(query)?.is_dvr, Sound::of(query));
    let Some(show) = state.app.broadcast.published().show(key) else {
        let life = recorded::latest(state, key)?;
        let to = (base.to_owned(), sound);
        return recorded::multivariant(state, key, &life, to, OVER, headers).await;
    };
    show.touch();
    if sound == Sound::Aac {
        show.touch_aac();
    }
    let text = match show.multivariant(sound) {
        Some(text) => text,
        None => tokio::time::timeout(START_MAX, show.wait_for_multivariant(sound))
            .await
            .ok()
            .flatten()
            .ok_or_else(begins)?,
    };
    if base.is_empty() && !is_dvr {
        return Ok(answer(&text, NOW, headers));
    }
    let moved = moved(&text, base, if is_dvr { "?dvr" } else { "" });
    Ok(answer(&moved, NOW, headers))
}

/// The same playlist from elsewhere: `base` goes before, `suffix` (`?...` or nothing) behind every URI.
fn moved(text: &Rendered, base: &str, suffix: &str) -> Rendered {
    let plain = String::from_utf8_lossy(text.plain());
    let mut out = String::with_capacity(plain.len() + 256);
    for line in plain.lines() {
        if line.starts_with('#') {
            match line
                .split_once("URI=\"")
                .and_then(|(head, rest)| Some((head, rest.split_once('"')?)))
            {
                Some((head, (uri, tail))) => {
                    let (mark, suffix) = match suffix.strip_prefix('?') {
                        Some(query) if uri.contains('?') => ("&", query),
                        _ => ("", suffix),
                    };
                    out.extend([head, "URI=\"", base, uri, mark, suffix, "\"", tail])
                }
                None => out.push_str(line),
            }
        } else if !line.is_empty() {
            out.extend([base, line, suffix]);
        }
        out.push('\n');
    }
    Rendered::new(out)
}

fn begins() -> Problem {
    let detail = "the stream has just begun and nothing is packaged yet; try again in a second";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(1)
}

/// A media playlist.
pub(super) async fn media(
    state: &AppState,
    key: &StreamKey,
    name: &str,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let ask = Ask::parse(query)?;
    let Some(show) = state.app.broadcast.published().show(key) else {
        let life = recorded::latest(state, key)?;
        let to = ("", OVER, ask.is_keyframes);
        return recorded::media(state, key, &life, name, to, headers).await;
    };
    // A stream that has just ended is still served from its live window: a player must not see numbers go back.
    live_media(state, &show, name, ask, headers).await
}

async fn live_media(
    state: &AppState,
    show: &Arc<Show>,
    name: &str,
    ask: Ask,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let broadcast = &state.app.broadcast;
    let counters = broadcast.counters();
    let rendition = show
        .rendition(name)
        .ok_or_else(|| no_rendition(show, name))?;
    show.touch();
    if name == AAC {
        show.touch_aac();
    }
    let now = match ask.msn {
        Some(msn) => {
            let held =
                tokio::time::timeout(HOLD_MAX, rendition.wait(msn, ask.part, counters)).await;
            match held {
                Ok(Held::Ready(now)) => now,
                Ok(Held::TooFar) => return Err(too_far(msn, ask.part)),
                Ok(Held::Suspended) => return Err(restarts()),
                Ok(Held::Full) => return Err(too_many()),
                Err(_) => return Err(held_too_long()),
            }
        }
        None => match rendition.now() {
            Some(now) => now,
            // The first request for a rendition that is made on demand, or a stream that begins.
            None => match tokio::time::timeout(START_MAX, rendition.first()).await {
                Ok(now) => now,
                Err(_) => return Err(begins()),
            },
        },
    };
    // Not of what was asked for too far ahead: its address names something else.
    let is_awaited = ask.msn.is_some_and(|msn| now.has(msn, ask.part));
    let cache_control = match (now.ended, is_awaited) {
        (true, _) => OVER,
        (false, true) => AWAITED,
        (false, false) => NOW,
    };
    if ask.is_keyframes {
        let text = rendition.keyframes(ask.is_dvr, counters);
        let text = text.ok_or_else(|| no_keyframes(show, name))?;
        return Ok(answer(&text, cache_control, headers));
    }
    if ask.is_dvr {
        let text = show.dvr(&rendition, ask.skip, counters);
        return Ok(answer(&text, cache_control, headers));
    }
    Ok(answer(now.with(ask.skip), cache_control, headers))
}

fn no_rendition(show: &Show, name: &str) -> Problem {
    let names: Vec<String> = show
        .renditions()
        .iter()
        .map(|one| one.name().to_string())
        .collect();
    let detail = format!(
        "{} has no rendition {}; it has {}",
        show.key(),
        short(name),
        names.join(", ")
    );
    Problem::new(StatusCode::NOT_FOUND, detail)
}

fn no_keyframes(show: &Show, name: &str) -> Problem {
    let detail = format!(
        "{} has no playlist of keyframes of {}: sound has none, and a picture's begins with its first segment; index.m3u8 names those that there are",
        show.key(),
        short(name)
    );
    Problem::new(StatusCode::NOT_FOUND, detail)
}

fn too_far(msn: u64, part: Option<u32>) -> Problem {
    let part = part.map(|part| format!(" part {part}")).unwrap_or_default();
    let detail = format!(
        "segment {msn}{part} is more than one segment ahead of what exists; load the playlist without _HLS_msn first"
    );
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

fn too_many() -> Problem {
    let detail = "too many requests wait for this playlist; try again in a second";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(1)
}

fn restarts() -> Problem {
    let detail =
        "the server is being restarted; the stream goes on at this address in some seconds";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(1)
}

fn held_too_long() -> Problem {
    let detail =
        "nothing new came within three target durations; the performer may have stopped, try again";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_player_asks_for_is_read_or_refused() {
        let ask = |query| Ask::parse(Some(query)).map_err(|problem| problem.status().as_u16());
        let some = |msn, part, skip, is_dvr| {
            Ok(Ask {
                msn,
                part,
                skip,
                is_dvr,
                is_keyframes: false,
            })
        };
        assert_eq!(ask(""), some(None, None, Skip::Nothing, false));
        assert_eq!(ask("_HLS_msn=7"), some(Some(7), None, Skip::Nothing, false));
        assert_eq!(
            ask("_HLS_msn=7&_HLS_part=2&_HLS_skip=YES"),
            some(Some(7), Some(2), Skip::Segments, false)
        );
        assert_eq!(
            ask("dvr&_HLS_skip=v2&unknown=1"),
            some(None, None, Skip::DateRanges, true)
        );
        let both = ask("keyframes&dvr").map(|ask| (ask.is_keyframes, ask.is_dvr));
        assert_eq!(both, Ok((true, true)));
        assert_eq!(ask("dvr="), some(None, None, Skip::Nothing, true));
        for wrong in [
            "_HLS_part=1",
            "_HLS_msn=",
            "_HLS_msn=-1",
            "_HLS_msn=+1",
            "_HLS_msn=1&_HLS_part=99999999999",
            "_HLS_msn=x",
        ] {
            assert_eq!(ask(wrong), Err(400), "{wrong}");
        }
    }

    #[test]
    fn a_playlist_can_be_moved() {
        let text = Rendered::new("#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,URI=\"audio.m3u8\",NAME=\"x\"\n#EXT-X-STREAM-INF:A=1\nvideo.m3u8\n#EXT-X-I-FRAME-STREAM-INF:URI=\"video.m3u8?keyframes\"\n".into());
        let moved = moved(&text, "../hls/a/b/", "?dvr");
        let expected = "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,URI=\"../hls/a/b/audio.m3u8?dvr\",NAME=\"x\"\n#EXT-X-STREAM-INF:A=1\n../hls/a/b/video.m3u8?dvr\n#EXT-X-I-FRAME-STREAM-INF:URI=\"../hls/a/b/video.m3u8?keyframes&dvr\"\n";
        assert_eq!(moved.plain(), expected.as_bytes());
    }
}
