//! Opus packets, RFC 6716 section 3.

use crate::red;

/// 120 ms in samples of 48 kHz: the longest packet.
pub(crate) const PACKET_MAX: u32 = 5_760;
/// The longest frame inside a packet, in bytes, section 3.2.1.
const FRAME_BYTES_MAX: usize = 1_275;
/// The durations that a [`Filler`] can have, in samples of 48 kHz.
const FILLERS: [u32; 4] = [960, 480, 240, 120];
/// The shortest of them.
pub(crate) const FILLER_MIN: u32 = 120;

/// How long a packet sounds, in samples of 48 kHz; `None` when it breaks one of the rules R1 to R7 of section 3.4, because
/// players give up a whole stream for such a packet.
pub fn duration(packet: &[u8]) -> Option<u32> {
    let (&toc, rest) = packet.split_first()?;
    let frame = frame_duration(toc);
    let frames = match toc & 0x03 {
        0 => (rest.len() <= FRAME_BYTES_MAX).then_some(1)?,
        1 => (rest.len().is_multiple_of(2) && rest.len() / 2 <= FRAME_BYTES_MAX).then_some(2)?,
        2 => {
            let (first, rest) = frame_length(rest)?;
            let second = rest.len().checked_sub(first)?;
            (second <= FRAME_BYTES_MAX).then_some(2)?
        }
        _ => frames_of_code_3(rest)?,
    };
    let duration = frame * frames;
    (duration <= PACKET_MAX).then_some(duration)
}

/// Whether the packet says that it has two channels, RFC 6716 section 3.1; `red` around it or not.
pub fn is_stereo(payload: &[u8], red: bool) -> bool {
    let primary = if red {
        let range = red::blocks(payload).pop().map(|primary| primary.range);
        range.and_then(|range| payload.get(range)).unwrap_or(&[])
    } else {
        payload
    };
    primary.first().is_some_and(|toc| toc & 0x04 != 0)
}

/// The samples of 48 kHz of one frame, table 2.
pub fn frame_duration(toc: u8) -> u32 {
    let config = toc >> 3;
    match (config, config & 0x03) {
        (0..12, 0) => 480,
        (0..12, 1) => 960,
        (0..12, 2) => 1_920,
        (0..12, _) => 2_880,
        (12..16, length) => 480 << (length & 1),
        (_, length) => 120 << length,
    }
}

/// Any number of frames, section 3.2.5.
fn frames_of_code_3(rest: &[u8]) -> Option<u32> {
    let (&flags, mut rest) = rest.split_first()?;
    let frames = u32::from(flags & 0x3f);
    if frames == 0 {
        return None;
    }
    if flags & 0x40 != 0 {
        let mut padding = 0;
        loop {
            let (&octet, after) = rest.split_first()?;
            rest = after;
            padding += usize::from(octet.min(254));
            if octet < 255 {
                break;
            }
        }
        rest = &rest[..rest.len().checked_sub(padding)?];
    }
    if flags & 0x80 == 0 {
        let length = rest.len() / frames as usize;
        let is_even = rest.len().is_multiple_of(frames as usize);
        return (is_even && length <= FRAME_BYTES_MAX).then_some(frames);
    }
    let mut sum = 0;
    for _ in 1..frames {
        let length;
        (length, rest) = frame_length(rest)?;
        sum += length;
    }
    (rest.len().checked_sub(sum)? <= FRAME_BYTES_MAX).then_some(frames)
}

/// A frame's length of one or two octets, section 3.2.1, and what follows it.
fn frame_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    if first < 252 {
        return Some((usize::from(first), rest));
    }
    let (&second, rest) = rest.split_first()?;
    Some((usize::from(second) * 4 + usize::from(first), rest))
}

/// A packet that stands for missing sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Filler {
    octets: [u8; 3],
    is_silence: bool,
    /// Samples of 48 kHz.
    pub(crate) duration: u32,
}

impl Filler {
    /// The longest one of at most `room` samples of 48 kHz; `None` for less than [`FILLER_MIN`]. `like` is the first octet
    /// of a packet of the stream and says whether it is stereo.
    ///
    /// What is missing for a moment is a first octet alone: a frame of no bytes, which section 3.2.1 defines as
    /// discontinuous transmission or a lost packet. libopus, which browsers have, conceals it, but would hum or hiss for
    /// ever; therefore a pause becomes frames that say that they are silence, as libopus itself writes them. FFmpeg plays
    /// both as silence, because the configuration is always one of full-band CELT.
    pub(crate) fn new(like: u8, room: i64, is_silence: bool) -> Option<Self> {
        let index = FILLERS
            .iter()
            .position(|length| i64::from(*length) <= room)?;
        // 28 to 31 are full-band CELT of 2.5, 5, 10 and 20 ms.
        let config = 31 - u8::try_from(index).expect("there are four");
        Some(Self {
            octets: [config << 3 | like & 0x04, 0xff, 0xfe],
            is_silence,
            duration: FILLERS[index],
        })
    }

    /// The packet.
    pub(crate) fn octets(&self) -> &[u8] {
        &self.octets[..if self.is_silence { 3 } else { 1 }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_says_how_many_channels_it_has() {
        assert!(is_stereo(&[0xfc, 1, 2], false) && !is_stereo(&[0xf8, 1, 2], false));
        let red = |toc: u8| [0x80 | 111, 0x0f, 0x00, 1, 111, 0xf8, toc];
        assert!(is_stereo(&red(0xfc), true) && !is_stereo(&red(0xf8), true));
        assert!(!is_stereo(&[], false) && !is_stereo(&[], true));
    }

    #[test]
    fn durations_are_those_of_the_table() {
        for (toc, expected) in [
            (0 << 3, 480),
            (1 << 3, 960),
            (6 << 3, 1_920),
            (11 << 3, 2_880),
            (12 << 3, 480),
            (13 << 3, 960),
            (14 << 3, 480),
            (15 << 3, 960),
            (16 << 3, 120),
            (21 << 3, 240),
            (26 << 3, 480),
            (31 << 3, 960),
        ] {
            assert_eq!(duration(&[toc, 1, 2]), Some(expected), "{toc:#04x}");
            assert_eq!(duration(&[toc | 1, 1, 2]), Some(2 * expected));
            assert_eq!(duration(&[toc | 2, 1, 2]), Some(2 * expected));
        }
    }

    #[test]
    fn packets_that_break_the_rules_have_no_duration() {
        for packet in [
            &[][..],
            // Uneven halves; a first frame longer than the packet; a length that is cut.
            &[0xf9, 1],
            &[0xfa, 3, 1],
            &[0xfa],
            &[0xfa, 252],
            // No frame count; no frames; seven of 20 ms; padding longer than the packet; uneven frames; a sum that lies.
            &[0xfb],
            &[0xfb, 0],
            &[0xfb, 7],
            &[0xfb, 0x41, 9, 1],
            &[0xfb, 0x41, 255],
            &[0xfb, 2, 1, 2, 3],
            &[0xfb, 0x82, 9, 1],
            // A frame of 1,276 bytes.
            &[0xf8; 1_277],
        ] {
            assert_eq!(
                duration(packet),
                None,
                "{:02x?}",
                &packet[..packet.len().min(8)]
            );
        }
        assert_eq!(duration(&[0xf8; 1_276]), Some(960));
        assert_eq!(duration(&[0xfb, 6]), Some(5_760));
        assert_eq!(duration(&[0xfb, 0x43, 2, 1, 2, 3, 0, 0]), Some(2_880));
        assert_eq!(duration(&[0xfb, 0x83, 1, 2, 1, 2, 2, 9]), Some(2_880));
    }

    #[test]
    fn fillers_are_packets_of_the_duration_that_they_say() {
        for (room, expected) in [
            (119, None),
            (120, Some(120)),
            (479, Some(240)),
            (480, Some(480)),
            (959, Some(480)),
            (100_000, Some(960)),
        ] {
            for is_silence in [false, true] {
                let filler = Filler::new(0x7c, room, is_silence);
                assert_eq!(filler.map(|filler| filler.duration), expected, "{room}");
                if let Some(filler) = filler {
                    let octets = filler.octets();
                    assert_eq!(duration(octets), Some(filler.duration));
                    assert_eq!(octets[0] & 0x07, 0x04, "one stereo frame");
                    assert_eq!(octets.len(), if is_silence { 3 } else { 1 });
                }
            }
        }
    }

    #[test]
    fn fillers_after_a_tone_are_decoded_and_die_away() {
        let mut encoder =
            opus_rs::OpusEncoder::new(48_000, 1, opus_rs::Application::Audio).unwrap();
        let mut decoder = opus_rs::OpusDecoder::new(48_000, 1).unwrap();
        let mut sound = [0.0f32; 960];
        let loudest = |sound: &[f32]| sound.iter().fold(0.0f32, |most, s| most.max(s.abs()));
        for packet in 0..20 {
            let tone: Vec<f32> = (0..960)
                .map(|i| (((packet * 960 + i) as f32) * 0.05).sin() * 0.5)
                .collect();
            let mut coded = [0; 1_000];
            let length = encoder.encode(&tone, 960, &mut coded).unwrap();
            decoder.decode(&coded[..length], 960, &mut sound).unwrap();
        }
        assert!(loudest(&sound) > 0.3);
        for packet in 0..50 {
            let filler = Filler::new(0, 960, packet >= 25).unwrap();
            let length = decoder.decode(filler.octets(), 960, &mut sound).unwrap();
            assert_eq!(length, 960);
        }
        assert!(loudest(&sound) < 0.001, "{}", loudest(&sound));
    }
}
