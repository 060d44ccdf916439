//! The playlist of playlists: which sound it offers, and to whom.
//!
//! It never names two codecs of sound. A player that is free to choose may change between them in the middle of a performance:
//! Chromium's own stops for good there, and hls.js takes them for two qualities of the picture.

use hls::{CodecKind, RenditionInfo, Variant};

/// What the encoder of AAC makes of one channel and of two, and the most in a segment, with the boxes around it.
const AAC_BPS: [(u64, u64); 2] = [(77_000, 90_000), (134_000, 150_000)];

/// The codec of the sound that a playlist of playlists offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sound {
    /// What every player takes.
    #[default]
    Aac,
    /// As it was published, for players that say they take it.
    Opus,
}

impl Sound {
    /// What is put behind the address of a playlist for this sound.
    #[must_use]
    pub fn of(query: Option<&str>) -> Self {
        let pairs = query.unwrap_or_default().split('&');
        match pairs.filter_map(|pair| pair.strip_prefix("audio=")).next() {
            Some("opus") => Self::Opus,
            _ => Self::Aac,
        }
    }

    fn is(self, kind: CodecKind) -> bool {
        match self {
            Self::Aac => kind == CodecKind::Aac,
            Self::Opus => kind == CodecKind::Opus,
        }
    }
}

/// The playlist of these renditions with one codec of sound: the one that is wanted, or else the one that there is.
pub fn multivariant<'a>(
    renditions: impl IntoIterator<Item = &'a RenditionInfo>,
    sound: Sound,
    base: &str,
) -> String {
    let renditions: Vec<RenditionInfo> = renditions.into_iter().map(declared).collect();
    let variants = renditions.iter().map(|info| Variant {
        info,
        label: "Sound",
    });
    let (video, mut audio): (Vec<_>, Vec<_>) =
        variants.partition(|variant| variant.info.kind.is_video());
    if audio.iter().any(|one| sound.is(one.info.kind)) {
        audio.retain(|one| sound.is(one.info.kind));
    }
    hls::multivariant(&video, &audio, base)
}

/// AAC has its bit rate also while nobody wants it and its units are empty.
fn declared(info: &RenditionInfo) -> RenditionInfo {
    let mut info = info.clone();
    if info.kind == CodecKind::Aac {
        let (average, peak) = AAC_BPS[usize::from(info.channels != 1)];
        info.bandwidth_peak = info.bandwidth_peak.max(peak);
        info.bandwidth_average = info.bandwidth_average.max(average);
    }
    info
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_ask_for_opus_gets_what_every_player_takes() {
        let check = |query, expected| assert_eq!(Sound::of(query), expected, "{query:?}");
        check(None, Sound::Aac);
        check(Some("dvr"), Sound::Aac);
        check(Some("audio=opus"), Sound::Opus);
        check(Some("dvr&audio=opus"), Sound::Opus);
        check(Some("audio=aac"), Sound::Aac);
        check(Some("audio=vorbis"), Sound::Aac);
        check(Some("x=audio=opus"), Sound::Aac);
    }
}
