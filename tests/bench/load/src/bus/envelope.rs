//! The message that a crowd says: 120 bytes of JSON as an artist's patch sends it, whose `datetime` tells when it was said.

/// How long it is, in bytes.
pub(super) const LENGTH: usize = 120;

const HEAD: &[u8] =
    br#"{"id":"abcdefghijklmnop","type":"KNOB","channel":"s","datetime":"2026-01-01T"#;
/// As in Python, without a zone.
const TIME: &[u8] = b"00:00:00.000000";
const TAIL: &[u8] = br#"","userId":"000","value":127}"#;

/// An envelope by client number `client`, `us` after the crowd began.
pub(super) fn envelope(client: usize, us: u64) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    let (head, rest) = bytes.split_at_mut(HEAD.len());
    let (time, tail) = rest.split_at_mut(TIME.len());
    head.copy_from_slice(HEAD);
    time.copy_from_slice(TIME);
    tail.copy_from_slice(TAIL);
    digits(&mut time[9..15], us % 1_000_000);
    let seconds = us / 1_000_000;
    digits(&mut time[6..8], seconds % 60);
    digits(&mut time[3..5], seconds / 60 % 60);
    digits(&mut time[0..2], seconds / 3600 % 24);
    digits(&mut tail[12..15], client as u64 % 1000);
    bytes
}

/// When this was said, if it is such an envelope.
pub(super) fn said_at(bytes: &[u8]) -> Option<u64> {
    if bytes.len() != LENGTH || !bytes.starts_with(HEAD) {
        return None;
    }
    let time = &bytes[HEAD.len()..HEAD.len() + TIME.len()];
    let seconds = number(&time[0..2]) * 3600 + number(&time[3..5]) * 60 + number(&time[6..8]);
    Some(seconds * 1_000_000 + number(&time[9..15]))
}

fn digits(place: &mut [u8], mut value: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

fn number(digits: &[u8]) -> u64 {
    let value = |sum, digit: &u8| sum * 10 + u64::from(digit.wrapping_sub(b'0'));
    digits.iter().fold(0, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_is_json_and_tells_when_it_was_said() {
        let us = 3 * 3_600_000_000 + 2 * 60_000_000 + 1_234_567;
        let bytes = envelope(42, us);
        let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(value["datetime"], "2026-01-01T03:02:01.234567");
        assert_eq!(value["userId"], "042");
        assert_eq!(said_at(&bytes), Some(us));
        assert_eq!(said_at(&bytes[1..]), None);
    }
}
