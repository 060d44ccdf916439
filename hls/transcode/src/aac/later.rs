//! AAC that is made only when somebody wants it: a unit without sound holds its place until then.

use bytes::Bytes;
use hls::{CodecKind, Frame, SoundSample, TrackConfig};

use super::{AacError, OpusToAac, UNIT};

/// Before the first unit that is wanted: what an Opus decoder needs to be as if it had heard everything (80 ms, RFC 7845
/// section 4.6), and then some, and two units for the encoder.
pub(super) const LEAD: i64 = 2 * UNIT + 5_760;

/// After the begin of the last one: its sound and that of the next, with which it overlaps. The encoder looks no further ahead.
const REACH: i64 = 2 * UNIT;

/// By how much a unit's timestamp may have left the count of samples where it ends.
const SLEW: i64 = 64;

/// Units without sound (ISO/IEC 14496-3 section 4.4.2.1) for one channel and for two: an empty spectrum, and a fill element
/// of eight bytes, by which they differ from those of any encoder.
pub(super) const PLACES: [&[u8]; 2] = [
    &[
        0x00, 0xc8, 0x00, 0x06, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x0e,
    ],
    &[
        0x21, 0x00, 0x03, 0x20, 0x64, 0x1a, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x38,
    ],
];

/// A unit that holds a place; `channels` is 1 or 2.
pub(super) fn place(channels: usize) -> Bytes {
    Bytes::from_static(PLACES[channels.clamp(1, 2) - 1])
}

fn is_place(unit: &[u8]) -> bool {
    PLACES.contains(&unit)
}

/// Whether a part or a segment of AAC has places whose sound was not made.
#[must_use]
pub fn lacks_sound(aac: &Bytes) -> bool {
    let samples = hls::sound_samples(aac).unwrap_or_default();
    samples.iter().any(|sample| is_place(&sample.data))
}

/// The packets of parts or segments of Opus, in their order.
#[must_use]
pub fn opus_packets(opus: &[Bytes]) -> Vec<Frame> {
    let samples = opus.iter().filter_map(hls::sound_samples).flatten();
    samples.map(frame).collect()
}

/// Whether these packets reach as far as [`with_sound`] needs them: with later ones it makes the same.
#[must_use]
pub fn reaches(packets: &[Frame], aac: &Bytes) -> bool {
    let samples = hls::sound_samples(aac).unwrap_or_default();
    let last = samples.iter().rfind(|sample| is_place(&sample.data));
    let end = packets.last().map_or(i64::MIN, |packet| {
        let length = packet.duration.unwrap_or_default();
        packet.pts.saturating_add(length.into())
    });
    last.is_none_or(|last| last.start.saturating_add(REACH + SLEW) <= end)
}

/// The same part or segment with its sound, which is made of the Opus `packets` around it and depends on nothing else; silence
/// where there are none. Nothing when it cannot be read, or the encoder fails. A second of sound takes 15 to 25 ms of one core, and each call 4 ms more.
#[must_use]
pub fn with_sound(aac: &Bytes, packets: &[Frame]) -> Option<Bytes> {
    let samples = hls::sound_samples(aac)?;
    let places = samples.iter().filter(|sample| is_place(&sample.data));
    let wanted: Vec<i64> = places.map(|sample| sample.start).collect();
    let first = samples.iter().find(|sample| is_place(&sample.data))?;
    let channels = if *first.data == *PLACES[0] { 1 } else { 2 };
    let made = units_at(channels, packets, &wanted).ok()?;
    let mut made = made.into_iter();
    let silence = silence(channels)?;
    let payloads = samples.iter().map(|sample| match is_place(&sample.data) {
        true => made.next().flatten().unwrap_or_else(|| silence.clone()),
        false => sample.data.clone(),
    });
    hls::replace_sound(aac, &payloads.collect::<Vec<_>>())
}

/// A unit without sound that holds no place.
fn silence(channels: u8) -> Option<Bytes> {
    let config = TrackConfig {
        rendition: String::new(),
        codec: CodecKind::Aac,
        channels,
        config: Bytes::new(),
    };
    Some(hls::silence(&config)?.0)
}

fn frame(sample: SoundSample) -> Frame {
    Frame {
        pts: sample.start,
        keyframe: true,
        data: sample.data,
        duration: Some(sample.duration),
    }
}

/// A unit for each of these timestamps, which ascend, where there are packets for it.
pub(super) fn units_at(
    channels: u8,
    packets: &[Frame],
    wanted: &[i64],
) -> Result<Vec<Option<Bytes>>, AacError> {
    let (Some(first), Some(last)) = (wanted.first(), wanted.last()) else {
        return Ok(Vec::new());
    };
    let mut converter = OpusToAac::new(channels)?;
    let around = first.saturating_sub(LEAD)..last.saturating_add(2 * REACH);
    let mut newest = i64::MIN;
    let is_new = |packet: &&Frame| {
        let is_new = around.contains(&packet.pts) && packet.pts > newest;
        newest = newest.max(packet.pts);
        is_new
    };
    let packets: Vec<Frame> = packets.iter().filter(is_new).cloned().collect();
    converter.aim(&packets, *first);
    let mut units = Vec::new();
    for packet in &packets {
        converter.push(packet, &mut units)?;
    }
    converter.finish(&mut units)?;
    let unit_at = |pts: &i64| {
        let after = units.partition_point(|unit| unit.pts < pts - UNIT / 2);
        let found = units.get(after)?;
        ((found.pts - pts).abs() <= UNIT / 2).then(|| found.data.clone())
    };
    Ok(wanted.iter().map(unit_at).collect())
}
