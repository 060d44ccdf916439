//! Opus and AAC.

use bytes::Bytes;
use mp4_atom::{Codec, Dops, Esds, Mp4a, Opus};
use payload::opus::frame_duration;

use super::Format;
use crate::{CodecKind, TrackConfig};

/// The samples of an AAC frame.
const AAC_SAMPLES: u32 = 1024;

/// The AudioSpecificConfig of AAC-LC at 48 kHz, but for its channels: object type 2, frequency index 3.
const AAC_LC_48K: u16 = 2 << 11 | 3 << 7;

/// Raw AAC-LC access units without any sound in them, for one channel and for two: all spectra empty.
const AAC_SILENCE_MONO: [u8; 6] = [0x00, 0xc8, 0x00, 0x80, 0x23, 0x80];
const AAC_SILENCE_STEREO: [u8; 9] = [0x21, 0x00, 0x49, 0x90, 0x02, 0x19, 0x00, 0x23, 0x80];

/// Opus, CELT in full band, 20 ms, without any sound in them.
const OPUS_SILENCE_MONO: [u8; 3] = [0xf8, 0xff, 0xfe];
const OPUS_SILENCE_STEREO: [u8; 3] = [0xfc, 0xff, 0xfe];

/// The format of a track of sound, which is known from the start.
pub(crate) struct Audio {
    format: Format,
    codec: CodecKind,
    channels: u8,
}

impl Audio {
    pub(crate) fn new(config: &TrackConfig) -> Self {
        let channels = config.channels.clamp(1, 2);
        let format = match config.codec {
            CodecKind::Aac => aac(config, channels),
            _ => opus(config, channels),
        };
        Self {
            format,
            codec: config.codec,
            channels,
        }
    }

    pub(crate) fn format(&self) -> &Format {
        &self.format
    }

    /// A packet that sounds like nothing, and its ticks. For Opus it is the table of contents of the packet `like`
    /// followed by an empty frame, which a decoder takes as one that was not sent (RFC 6716 section 3.2.1).
    pub(crate) fn silence(&self, like: &[u8]) -> Option<(Bytes, u32)> {
        match (self.codec, self.channels) {
            (CodecKind::Aac, 1) => Some((Bytes::from_static(&AAC_SILENCE_MONO), AAC_SAMPLES)),
            (CodecKind::Aac, _) => Some((Bytes::from_static(&AAC_SILENCE_STEREO), AAC_SAMPLES)),
            _ => {
                let contents = like.first()? & !3;
                let packet = Bytes::copy_from_slice(&[contents]);
                Some((packet, frame_duration(contents)))
            }
        }
    }
}

/// A packet of silence for a track that has none yet, and its ticks: 20 ms of Opus as any encoder makes it, or a frame of AAC.
/// Nothing for pictures.
pub fn silence(config: &TrackConfig) -> Option<(Bytes, u32)> {
    let is_mono = config.channels == 1;
    match config.codec {
        CodecKind::Opus if is_mono => Some((Bytes::from_static(&OPUS_SILENCE_MONO), 960)),
        CodecKind::Opus => Some((Bytes::from_static(&OPUS_SILENCE_STEREO), 960)),
        CodecKind::Aac => Audio::new(config).silence(&[]),
        _ => None,
    }
}

fn sound(channels: u8, sample_rate: u16) -> mp4_atom::Audio {
    mp4_atom::Audio {
        data_reference_index: 1,
        channel_count: channels.into(),
        sample_size: 16,
        sample_rate: sample_rate.into(),
    }
}

fn opus(config: &TrackConfig, channels: u8) -> Format {
    let pre_skip = match config.config.as_ref() {
        &[high, low, ..] => u16::from_be_bytes([high, low]),
        _ => 0,
    };
    Format {
        codec: String::from("opus"),
        width: 0,
        height: 0,
        entry: Codec::Opus(Opus {
            audio: sound(channels, 48_000),
            dops: Dops {
                output_channel_count: channels,
                pre_skip,
                input_sample_rate: 48_000,
                output_gain: 0,
                channel_mapping: None,
            },
            btrt: None,
        }),
    }
}

fn aac(config: &TrackConfig, channels: u8) -> Format {
    let specific = match config.config.as_ref() {
        [] => (AAC_LC_48K | u16::from(channels) << 3)
            .to_be_bytes()
            .to_vec(),
        given => given.to_vec(),
    };
    let object_type = specific[0] >> 3;
    Format {
        codec: format!("mp4a.40.{object_type}"),
        width: 0,
        height: 0,
        entry: Codec::Mp4a(Mp4a {
            audio: sound(channels, 48_000),
            esds: Esds {
                es_desc: mp4_atom::esds::EsDescriptor {
                    es_id: 2,
                    dec_config: mp4_atom::esds::DecoderConfig {
                        object_type_indication: 0x40,
                        stream_type: 5,
                        dec_specific: Some(mp4_atom::esds::DecoderSpecific {
                            raw: specific,
                            ..Default::default()
                        }),
                        ..Default::default()
                    },
                    ..Default::default()
                },
            },
            btrt: None,
            taic: None,
        }),
    }
}
