//! WebSocket frames as a server sends them: not masked, and so the same bytes for every client (RFC 6455 section 5.2).

use bus::FrameKind;
use bytes::{BufMut as _, Bytes, BytesMut};

/// The longest head of a frame that is not masked.
pub const HEAD_MAX: usize = 10;

/// Final frames of each kind.
const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;

/// The longest reason of a close: a control frame carries 125 bytes, two of them are the code.
const REASON_MAX: usize = 123;

/// A ping without a payload.
pub const PING_FRAME: Bytes = Bytes::from_static(&[PING, 0]);

/// Writes the head of a message of `length` bytes.
pub fn put_head(buffer: &mut BytesMut, kind: FrameKind, length: usize) {
    buffer.put_u8(match kind {
        FrameKind::Text => TEXT,
        FrameKind::Binary => BINARY,
    });
    if length < 126 {
        buffer.put_u8(length as u8);
    } else if let Ok(length) = u16::try_from(length) {
        buffer.put_u8(126);
        buffer.put_u16(length);
    } else {
        buffer.put_u8(127);
        buffer.put_u64(length as u64);
    }
}

/// The head of a message of `length` bytes by itself, for a payload that is not to be copied.
#[must_use]
pub fn head(kind: FrameKind, length: usize) -> Bytes {
    let mut buffer = BytesMut::with_capacity(HEAD_MAX);
    put_head(&mut buffer, kind, length);
    buffer.freeze()
}

/// A close with a code and a reason, which is cut to what fits.
#[must_use]
pub fn close(code: u16, reason: &str) -> Bytes {
    let mut end = reason.len().min(REASON_MAX);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    let reason = &reason.as_bytes()[..end];
    let mut buffer = BytesMut::with_capacity(4 + reason.len());
    buffer.put_u8(CLOSE);
    buffer.put_u8(2 + reason.len() as u8);
    buffer.put_u16(code);
    buffer.put_slice(reason);
    buffer.freeze()
}

/// Where the frame ends that is under way after `written` bytes of whole frames; `written` itself between two frames.
///
/// `frames` must begin with a frame and have been made here.
#[must_use]
pub fn boundary(frames: &[u8], written: usize) -> usize {
    let mut end = 0;
    while end < written {
        let Some((head, length)) = frames.get(end..).and_then(size) else {
            return frames.len();
        };
        end = end.saturating_add(head).saturating_add(length);
    }
    end.min(frames.len())
}

/// Length of the head and of the payload of the first frame.
fn size(frames: &[u8]) -> Option<(usize, usize)> {
    match *frames.get(1)? {
        126 => {
            let length = frames.get(2..4)?.try_into().ok()?;
            Some((4, usize::from(u16::from_be_bytes(length))))
        }
        127 => {
            let length = frames.get(2..10)?.try_into().ok()?;
            Some((10, usize::try_from(u64::from_be_bytes(length)).ok()?))
        }
        length => Some((2, usize::from(length))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_has_the_shortest_form_of_its_length() {
        let check = |kind, length: usize, expected: &[u8]| {
            assert_eq!(head(kind, length), expected, "{length}");
        };
        check(FrameKind::Text, 0, &[0x81, 0]);
        check(FrameKind::Text, 125, &[0x81, 125]);
        check(FrameKind::Binary, 126, &[0x82, 126, 0, 126]);
        check(FrameKind::Text, 65_535, &[0x81, 126, 0xff, 0xff]);
        check(
            FrameKind::Text,
            65_536,
            &[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0],
        );
    }

    #[test]
    fn a_close_has_its_code_and_as_much_of_the_reason_as_fits() {
        assert_eq!(close(1001, "bye"), &b"\x88\x05\x03\xe9bye"[..]);
        let long = close(1001, &"ö".repeat(80));
        assert_eq!((long.len(), long[1]), (2 + 2 + 122, 2 + 122));
    }

    #[test]
    fn the_end_of_the_frame_under_way_is_found_wherever_it_was_left() {
        let mut frames = BytesMut::new();
        let mut ends = vec![0];
        for length in [0, 5, 125, 126, 300, 70_000, 1] {
            put_head(&mut frames, FrameKind::Text, length);
            frames.put_bytes(b'x', length);
            ends.push(frames.len());
        }
        for written in 0..=frames.len() {
            let expected = ends.iter().find(|end| **end >= written);
            assert_eq!(Some(&boundary(&frames, written)), expected, "{written}");
        }
        // Not ours: never beyond the end.
        assert_eq!(boundary(&[0x81, 127, 0xff], 3), 3);
        assert_eq!(boundary(&[0x81, 120, 0xff], 3), 3);
    }
}
