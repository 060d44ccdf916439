//! The playlist of playlists.

use std::fmt::Write;

use crate::{CodecKind, RenditionInfo};

/// What [`multivariant`] lists: a rendition, and what people call it.
#[derive(Clone, Debug)]
pub struct Variant<'a> {
    /// The rendition, video or audio.
    pub info: &'a RenditionInfo,
    /// The name of an audio rendition in a player's menu, without quotes.
    pub label: &'a str,
}

/// The bit rate that is declared while none was measured.
const BANDWIDTH_GUESS: u64 = 128_000;

/// Writes the multivariant playlist: every picture with every audio group (one group per audio rendition, named `opus` or
/// `aac`), or the sound alone. `base` stands before each URI (`""`, or `"../hls/space/main/"`). Renditions whose codec is not
/// known yet are left out. Where the picture has a choice of sounds, the variants with Opus come first, from the least
/// bit rate to the highest. The playlists of keyframes come last. `CLOSED-CAPTIONS=NONE` is said where it is true, of all pictures: players
/// that are not told look into segments for captions first, and shaka-player into one that is not there yet.
pub fn multivariant(video: &[Variant<'_>], audio: &[Variant<'_>], base: &str) -> String {
    let mut text = String::from("#EXTM3U\n#EXT-X-VERSION:6\n");
    let is_known = |variant: &&Variant<'_>| !variant.info.codec.is_empty();
    let audio: Vec<&Variant<'_>> = audio.iter().filter(is_known).collect();
    let video: Vec<&Variant<'_>> = video.iter().filter(is_known).collect();
    if video.is_empty() {
        for sound in audio {
            put_variant(&mut text, None, Some(sound.info), "", base);
        }
        return text;
    }
    let captions = match video.iter().any(|one| one.info.may_have_captions) {
        true => "",
        false => ",CLOSED-CAPTIONS=NONE",
    };
    for sound in &audio {
        let name = &sound.info.name;
        let (group, label) = (group(sound.info), sound.label);
        let channels = sound.info.channels.max(1);
        writeln!(
            text,
            "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"{group}\",NAME=\"{label}\",LANGUAGE=\"und\",DEFAULT=YES,AUTOSELECT=YES,\
             CHANNELS=\"{channels}\",URI=\"{base}{name}.m3u8\""
        )
        .expect("text takes more text");
    }
    for picture in &video {
        if audio.is_empty() {
            put_variant(&mut text, Some(picture.info), None, captions, base);
        }
    }
    for sound in &audio {
        for picture in &video {
            put_variant(
                &mut text,
                Some(picture.info),
                Some(sound.info),
                captions,
                base,
            );
        }
    }
    for picture in video {
        put_keyframes(&mut text, picture.info, base);
    }
    text
}

fn group(info: &RenditionInfo) -> &'static str {
    match info.kind {
        CodecKind::Aac => "aac",
        _ => "opus",
    }
}

/// The playlist of a picture's keyframes, if they can be had alone: at the address of the picture's, with `?keyframes`.
fn put_keyframes(text: &mut String, info: &RenditionInfo, base: &str) {
    let RenditionInfo {
        name,
        codec,
        width,
        height,
        keyframe_peak: peak,
        ..
    } = info;
    if *peak == 0 {
        return;
    }
    let average = info.keyframe_average.min(*peak);
    writeln!(
        text,
        "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH={peak},AVERAGE-BANDWIDTH={average},CODECS=\"{codec}\",RESOLUTION={width}x{height},\
         URI=\"{base}{name}.m3u8?keyframes\""
    )
    .expect("text takes more text");
}

/// A variant of a picture, a sound, or both. `captions` is the attribute of pictures that says something of them.
fn put_variant(
    text: &mut String,
    picture: Option<&RenditionInfo>,
    sound: Option<&RenditionInfo>,
    captions: &str,
    base: &str,
) {
    let both = || picture.into_iter().chain(sound);
    let peak: u64 = both()
        .map(|info| match info.bandwidth_peak {
            0 => BANDWIDTH_GUESS,
            measured => measured,
        })
        .sum();
    let average: u64 = both().map(|info| info.bandwidth_average).sum();
    let codecs: Vec<&str> = both().map(|info| info.codec.as_str()).collect();
    let codecs = codecs.join(",");
    let mut line = format!("#EXT-X-STREAM-INF:BANDWIDTH={peak}");
    if average > 0 {
        line.push_str(&format!(",AVERAGE-BANDWIDTH={}", average.min(peak)));
    }
    line.push_str(&format!(",CODECS=\"{codecs}\""));
    if let Some(info) = picture {
        line.push_str(&format!(",RESOLUTION={}x{}", info.width, info.height));
        if info.frame_rate_milli > 0 {
            let (whole, rest) = (info.frame_rate_milli / 1000, info.frame_rate_milli % 1000);
            line.push_str(&format!(",FRAME-RATE={whole}.{rest:03}"));
        }
        if let Some(sound) = sound {
            line.push_str(&format!(",AUDIO=\"{}\"", group(sound)));
        }
        line.push_str(captions);
    }
    let name = both().next().map_or("", |info| info.name.as_str());
    text.push_str(&line);
    text.push_str(&format!("\n{base}{name}.m3u8\n"));
}
