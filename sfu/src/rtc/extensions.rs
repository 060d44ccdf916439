//! RTP header extensions (RFC 8285): which ones we speak, and what they say.

use std::time::{Duration, UNIX_EPOCH};

use str0m::media::ExtensionValues;
use str0m::rtp::{AbsCaptureTime, Extension, ExtensionMap, VideoOrientation};

use crate::forward::Outgoing;
use crate::packet::Orientation;

/// Adds what str0m does not speak by itself. The numbers are for our own offers, and below 15 so that packets can have the
/// shorter form; an answer takes the offerer's.
pub(super) fn add(map: &mut ExtensionMap) {
    map.set(5, Extension::AbsoluteCaptureTime);
}

/// RFC 6464.
pub(super) fn audio_level(values: &ExtensionValues) -> Option<(i8, bool)> {
    let level = values.audio_level?;
    Some((level, values.voice_activity.unwrap_or(false)))
}

pub(super) fn orientation(values: &ExtensionValues) -> Option<Orientation> {
    Some(match values.video_orientation? {
        VideoOrientation::Deg0 => Orientation::Deg0,
        VideoOrientation::Deg90 => Orientation::Deg90,
        VideoOrientation::Deg180 => Orientation::Deg180,
        VideoOrientation::Deg270 => Orientation::Deg270,
    })
}

/// The capture time in microseconds since 1970. Before that is no time: a clock that was never set.
pub(super) fn captured_us(values: &ExtensionValues) -> Option<u64> {
    let captured = values.abs_capture_time?.capture_time;
    let since = captured.duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since.as_micros()).ok().filter(|us| *us > 0)
}

/// What a packet says in its header on the way out.
pub(super) fn values(outgoing: &Outgoing) -> ExtensionValues {
    ExtensionValues {
        audio_level: outgoing.audio_level.map(|(level, _)| level),
        voice_activity: outgoing.audio_level.map(|(_, voice)| voice),
        video_orientation: outgoing.orientation.map(|orientation| match orientation {
            Orientation::Deg0 => VideoOrientation::Deg0,
            Orientation::Deg90 => VideoOrientation::Deg90,
            Orientation::Deg180 => VideoOrientation::Deg180,
            Orientation::Deg270 => VideoOrientation::Deg270,
        }),
        abs_capture_time: outgoing.captured_us.map(|us| AbsCaptureTime {
            capture_time: UNIX_EPOCH + Duration::from_micros(us),
            // How far the publisher's clock is from ours is not known, for a report's transit is in every estimate of it. To
            // pass on the publisher's own word would say that its clock is ours.
            clock_offset: None,
        }),
        ..ExtensionValues::default()
    }
}
