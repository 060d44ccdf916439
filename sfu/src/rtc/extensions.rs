//! RTP header extensions (RFC 8285): which ones we speak, and what they say.

use std::time::{Duration, UNIX_EPOCH};

use payload::inspect::dependency::{LENGTH_MAX, set_frame_number};
use str0m::Rtc;
use str0m::media::ExtensionValues;
use str0m::rtp::{AbsCaptureTime, Extension, ExtensionMap, ExtensionSerializer, VideoOrientation};

use super::Mid;
use crate::forward::Outgoing;
use crate::packet::{Dependency, Orientation};

/// The dependency descriptor of "RTP Payload Format for AV1".
pub(super) const DEPENDENCY: &str =
    "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension";

/// Octets that the shorter form of extensions carries (RFC 8285 section 4.2).
const SHORT_MAX: usize = 16;

/// Adds what str0m does not speak by itself. The numbers are for our own offers, and below 15 so that packets can have the
/// shorter form; an answer takes the offerer's.
pub(super) fn add(map: &mut ExtensionMap) {
    map.set(5, Extension::AbsoluteCaptureTime);
    map.set(12, dependency_descriptor());
}

fn dependency_descriptor() -> Extension {
    Extension::with_serializer(DEPENDENCY, DependencyDescriptor)
}

/// Whether dependency descriptors were agreed on in section `mid`.
pub(super) fn has_dependencies(rtc: &Rtc, mid: Mid) -> bool {
    rtc.media(mid).is_some_and(|media| {
        media
            .remote_extmap()
            .id_of(dependency_descriptor())
            .is_some()
    })
}

/// Carries descriptors as they are, but for their frame number.
#[derive(Debug)]
struct DependencyDescriptor;

impl ExtensionSerializer for DependencyDescriptor {
    fn write_to(&self, buffer: &mut [u8], values: &ExtensionValues) -> usize {
        let Some(dependency) = values.user_values.get::<Dependency>() else {
            return 0;
        };
        let length = dependency.bytes.len();
        let Some(place) = buffer.get_mut(..length) else {
            return 0;
        };
        place.copy_from_slice(&dependency.bytes);
        set_frame_number(place, dependency.frame_number);
        length
    }

    fn parse_value(&self, bytes: &[u8], values: &mut ExtensionValues) -> bool {
        let [_, high, low, ..] = *bytes else {
            return false;
        };
        if bytes.len() > LENGTH_MAX {
            return false;
        }
        // An allocation for each packet that has one; it is shared by all who get it.
        values.user_values.set(Dependency {
            bytes: bytes.into(),
            frame_number: u16::from_be_bytes([high, low]),
        });
        true
    }

    fn is_video(&self) -> bool {
        true
    }

    fn is_audio(&self) -> bool {
        false
    }

    fn requires_two_byte_form(&self, values: &ExtensionValues) -> bool {
        let dependency = values.user_values.get::<Dependency>();
        dependency.is_some_and(|dependency| dependency.bytes.len() > SHORT_MAX)
    }
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
    let mut values = ExtensionValues {
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
    };
    if let Some(dependency) = &outgoing.dependency {
        values.user_values.set(dependency.clone());
    }
    values
}

/// The packet's dependency descriptor.
pub(super) fn dependency(values: &ExtensionValues) -> Option<Dependency> {
    values.user_values.get::<Dependency>().cloned()
}
