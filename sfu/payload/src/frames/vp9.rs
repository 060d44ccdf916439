//! VP9, RFC 9628, flexible and non-flexible mode.
//!
//! Of a stream with spatial layers the lowest is kept, which every decoder plays. All of them would have to be one
//! superframe of which one frame is shown; but layers that were made for WebRTC may each be marked as shown, and decoders
//! differ in what they make of that. A publisher for large audiences sends simulcast, or one layer.

use std::sync::Arc;

use bytes::{BufMut, BytesMut};

use super::video::Built;
use crate::bits::Reader;
use crate::vp9::{self, HeaderStart};

/// What a payload descriptor says, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Descriptor {
    begins_frame: bool,
    spatial: u8,
    /// Octets.
    length: usize,
}

/// Puts a picture together.
pub(super) fn build(payloads: &[Arc<[u8]>], bytes: usize) -> Built {
    let mut out = BytesMut::with_capacity(bytes);
    for payload in payloads {
        let Some(descriptor) = Descriptor::read(payload) else {
            return Built::Damaged;
        };
        if descriptor.spatial > 0 {
            continue;
        }
        // One frame per picture and layer: it begins once, and first.
        if descriptor.begins_frame != out.is_empty() {
            return Built::Damaged;
        }
        out.put_slice(&payload[descriptor.length..]);
    }
    if out.is_empty() {
        // A picture may leave out its lowest layer, if later pictures do not need it.
        return Built::Nothing;
    }
    match is_key(&out) {
        Some(is_key) => Built::Frame {
            data: out.freeze(),
            is_key,
        },
        None => Built::Damaged,
    }
}

/// Whether a picture begins with `payload`.
pub(super) fn starts_frame(payload: &[u8]) -> bool {
    Descriptor::read(payload)
        .is_some_and(|descriptor| descriptor.begins_frame && descriptor.spatial == 0)
}

impl Descriptor {
    fn read(payload: &[u8]) -> Option<Self> {
        let read = vp9::Descriptor::read(payload).filter(|read| !read.has_more_references)?;
        let length = read.whole_length(payload)?;
        // Something must follow.
        (payload.len() > length).then(|| Self {
            begins_frame: read.begins_frame,
            spatial: read.layer.map_or(0, |layer| layer.spatial),
            length,
        })
    }
}

/// Whether an uncompressed header is that of a key frame; `None` when it is no header.
fn is_key(frame: &[u8]) -> Option<bool> {
    let mut reader = Reader::new(frame, 0);
    let start = HeaderStart::read(&mut reader)?;
    Some(!start.shows_existing && !reader.flag()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(payload: &[u8], expected: Option<(bool, u8, usize)>) {
        let seen =
            Descriptor::read(payload).map(|seen| (seen.begins_frame, seen.spatial, seen.length));
        assert_eq!(seen, expected, "{payload:02x?}");
    }

    #[test]
    fn descriptors_of_both_modes_are_read() {
        check(&[0x08, 0x82], Some((true, 0, 1)));
        check(&[0x88, 0x81, 0x02, 0x82], Some((true, 0, 3)));
        check(&[0x88, 0x01, 0x82], Some((true, 0, 2)));
        // Non-flexible with layers and TL0PICIDX.
        check(&[0xa0, 0x81, 0x02, 0x04, 0x00, 0x82], Some((false, 2, 5)));
        // Flexible with three references.
        check(
            &[0xf8, 0x81, 0x02, 0x02, 0x03, 0x03, 0x02, 0x82],
            Some((true, 1, 7)),
        );
        // Two spatial layers with sizes, a group of two pictures, one of which has two references.
        let structure = [
            0x0a, 0x38, 1, 2, 3, 4, 5, 6, 7, 8, 2, 0x00, 0x08, 1, 2, 0x82,
        ];
        check(&structure, Some((true, 0, 15)));
        for end in 0..structure.len() {
            check(&structure[..end], None);
        }
    }

    #[test]
    fn descriptors_that_end_too_early_or_refer_to_too_much_are_refused() {
        for payload in [
            &[][..],
            &[0x08],
            &[0x88, 0x81],
            &[0xa8, 0x01, 0x00],
            &[0xa8, 0x01],
            &[0xf8, 0x01, 0x02, 0x03],
            &[0xd8, 0x01, 0x03, 0x03, 0x03, 0x02, 0x82],
        ] {
            check(payload, None);
        }
    }

    fn frame(payloads: &[&[u8]]) -> Built {
        let payloads: Vec<Arc<[u8]>> = payloads.iter().map(|payload| (*payload).into()).collect();
        build(&payloads, 100)
    }

    #[test]
    fn fragments_are_joined_and_keyframes_are_known_from_their_own_header() {
        for (first, is_key) in [(0x82, true), (0x86, false), (0x8a, false), (0xb1, true)] {
            let Built::Frame { data, is_key: key } = frame(&[&[0x08, first, 1], &[0x04, 2, 3]])
            else {
                panic!("no frame");
            };
            assert_eq!((&data[..], key), (&[first, 1, 2, 3][..], is_key));
        }
    }

    #[test]
    fn only_the_lowest_layer_is_kept() {
        let built = frame(&[
            &[0xa8, 0x01, 0x00, 0x00, 0x82, 7],
            &[0xa4, 0x01, 0x00, 0x00, 8],
            &[0xac, 0x01, 0x03, 0x00, 0x82, 9],
        ]);
        let Built::Frame { data, is_key: true } = built else {
            panic!("{built:?}");
        };
        assert_eq!(&data[..], [0x82, 7, 8]);
    }

    #[test]
    fn pictures_without_their_beginning_are_damaged() {
        for payloads in [
            &[&[0x00, 0x82][..]][..],
            &[&[0x08, 0x82], &[0x08, 0x82]],
            &[&[0x08, 0x12]],
            &[&[0x08, 0x82], &[]],
        ] {
            assert!(matches!(frame(payloads), Built::Damaged), "{payloads:02x?}");
        }
    }
}
