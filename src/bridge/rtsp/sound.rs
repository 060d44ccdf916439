//! What of a camera's sound can be used, from its session description.

use sdp_types::Session as Description;
use sfu::{Codec, CodecKind};

/// How a sound track becomes one that viewers can hear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SoundKind {
    /// G.711, passed through.
    G711(CodecKind),
    /// Passed through.
    Opus { stereo: bool },
    /// Transcoded; holds the `AudioSpecificConfig`.
    Aac { asc: Vec<u8> },
    /// Transcoded: 64 kbit/s, 16 kHz. Its timestamps have 8 kHz by an old mistake, RFC 3551 section 4.5.2.
    G722,
    /// Transcoded: samples of 16 bits, most significant byte first, RFC 3551 section 4.5.11.
    L16 { channels: usize },
}

/// What a media section says of a sound track.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Offered<'a> {
    /// In small letters.
    pub encoding: &'a str,
    /// Hz.
    pub clock_rate: u32,
    pub channels: Option<u16>,
    /// The value of `a=fmtp` without the payload type.
    pub parameters: &'a str,
}

impl SoundKind {
    /// `None` when no browser can hear it and we do not transcode it.
    pub(crate) fn of(offered: Offered<'_>) -> Option<Self> {
        let parameter = |name| parameter(offered.parameters, name);
        match (offered.encoding, offered.clock_rate) {
            ("pcmu", 8_000) if offered.channels.unwrap_or(1) == 1 => {
                Some(Self::G711(CodecKind::Pcmu))
            }
            ("pcma", 8_000) if offered.channels.unwrap_or(1) == 1 => {
                Some(Self::G711(CodecKind::Pcma))
            }
            ("g722", 8_000) if offered.channels.unwrap_or(1) == 1 => Some(Self::G722),
            ("l16", 8_000..=96_000) => match offered.channels.unwrap_or(1) {
                channels @ 1..=8 => Some(Self::L16 {
                    channels: channels.into(),
                }),
                _ => None,
            },
            // RFC 7587 section 6.1. Silence of the sender about it tells nothing; a stereo decoder plays mono as well.
            ("opus", 48_000) => Some(Self::Opus {
                stereo: parameter("sprop-stereo") != Some("0"),
            }),
            ("mpeg4-generic", _) => {
                let is_high_rate = parameter("sizelength").is_none_or(|bits| bits == "13")
                    && parameter("indexlength").is_none_or(|bits| bits == "3");
                let config = parameter("config").filter(|_| is_high_rate)?;
                let asc = data_encoding::HEXLOWER_PERMISSIVE
                    .decode(config.as_bytes())
                    .ok()?;
                Some(Self::Aac { asc })
            }
            _ => None,
        }
    }

    /// What viewers get; `stereo` is for transcoded sound.
    pub(crate) fn codec(&self, stereo: bool) -> Codec {
        let (kind, stereo) = match self {
            Self::G711(kind) => (*kind, false),
            Self::Opus { stereo } => (CodecKind::Opus, *stereo),
            Self::Aac { .. } | Self::G722 | Self::L16 { .. } => (CodecKind::Opus, stereo),
        };
        Codec {
            kind,
            h264_profile: None,
            stereo,
        }
    }
}

/// A value of `name1=value1; name2=value2`, RFC 8866 section 6.15 as codecs use it.
fn parameter<'a>(parameters: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = parameters
        .split(';')
        .filter_map(|pair| pair.split_once('='));
    pairs
        .find(|(key, _)| key.trim().eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

/// The value of `a=fmtp` for a payload type, in the first section of that kind which has it first; empty if there is none.
pub(crate) fn parameters_of(description: &[u8], media: &str, payload_type: u8) -> String {
    let Ok(description) = Description::parse(description) else {
        return String::new();
    };
    let payload_type = payload_type.to_string();
    let has_it = |fmt: &str| fmt.split_ascii_whitespace().next() == Some(&payload_type);
    let section = description
        .medias
        .iter()
        .find(|section| section.media == media && has_it(&section.fmt));
    let values = section
        .into_iter()
        .flat_map(|section| &section.attributes)
        .filter(|line| line.attribute == "fmtp");
    values
        .filter_map(|line| line.value.as_deref()?.split_once(' '))
        .find(|(of, _)| *of == payload_type)
        .map(|(_, parameters)| parameters.to_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        encoding: &str,
        clock_rate: u32,
        channels: Option<u16>,
        parameters: &str,
        expected: Option<SoundKind>,
    ) {
        let offered = Offered {
            encoding,
            clock_rate,
            channels,
            parameters,
        };
        assert_eq!(SoundKind::of(offered), expected, "{offered:?}");
    }

    #[test]
    fn sound_is_passed_through_transcoded_or_left_out() {
        check(
            "pcmu",
            8_000,
            None,
            "",
            Some(SoundKind::G711(CodecKind::Pcmu)),
        );
        check(
            "pcma",
            8_000,
            Some(1),
            "",
            Some(SoundKind::G711(CodecKind::Pcma)),
        );
        check("pcma", 16_000, Some(1), "", None);
        check("pcma", 8_000, Some(2), "", None);
        check(
            "opus",
            48_000,
            Some(2),
            "",
            Some(SoundKind::Opus { stereo: true }),
        );
        check(
            "opus",
            48_000,
            Some(2),
            "sprop-stereo=0;useinbandfec=1",
            Some(SoundKind::Opus { stereo: false }),
        );
        check("g726-32", 8_000, None, "", None);
        let aac = Some(SoundKind::Aac {
            asc: vec![0x11, 0x90],
        });
        check(
            "mpeg4-generic",
            48_000,
            Some(2),
            "streamtype=5; mode=AAC-hbr; config=1190; SizeLength=13; indexlength=3",
            aac.clone(),
        );
        check("mpeg4-generic", 48_000, Some(2), "config=1190", aac);
        check(
            "mpeg4-generic",
            48_000,
            Some(2),
            "mode=AAC-lbr;config=1190;sizelength=6;indexlength=2",
            None,
        );
        check(
            "mpeg4-generic",
            48_000,
            Some(2),
            "sizelength=13;config=119",
            None,
        );
        check("mpeg4-generic", 48_000, Some(2), "sizelength=13", None);
    }

    #[test]
    fn what_telephones_and_editors_speak_is_transcoded() {
        check("g722", 8_000, None, "", Some(SoundKind::G722));
        check("g722", 16_000, None, "", None);
        check(
            "l16",
            44_100,
            Some(2),
            "",
            Some(SoundKind::L16 { channels: 2 }),
        );
        check(
            "l16",
            16_000,
            None,
            "",
            Some(SoundKind::L16 { channels: 1 }),
        );
        check("l16", 16_000, Some(0), "", None);
        check("l16", 1_000, Some(1), "", None);
    }

    #[test]
    fn parameters_are_those_of_the_right_section_and_payload_type() {
        let description = b"v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=c\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=fmtp:96 packetization-mode=1\r\n\
            m=audio 0 RTP/AVP 96 97\r\na=rtpmap:96 mpeg4-generic/48000/2\r\na=fmtp:97 no\r\na=fmtp:96 mode=AAC-hbr;config=1190\r\n";
        assert_eq!(
            parameters_of(description, "audio", 96),
            "mode=AAC-hbr;config=1190"
        );
        assert_eq!(
            parameters_of(description, "video", 96),
            "packetization-mode=1"
        );
        assert_eq!(parameters_of(description, "audio", 97), "");
        assert_eq!(parameters_of(b"nonsense", "audio", 97), "");
    }
}
