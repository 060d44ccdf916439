//! The first look at SCTP, before str0m has it: data for streams that nobody needs does not get in.
//!
//! str0m keeps an entry for each of the 65,536 streams of an association that the other side sends something on, whether or not it
//! ever opens a channel there, and looks at every entry after every datagram. With all of them that is some milliseconds for one
//! datagram, during which a media thread does nothing else.

/// Streams that data may come on. Browsers take the lowest even, or odd, numbers that are free: this is as good as 128 channels at
/// once, of which a participant has two.
const STREAMS_MAX: u16 = 256;

/// The common header, RFC 9260 section 3.1.
const HEADER: usize = 12;

/// Type, flags and length of a chunk.
const CHUNK_HEADER: usize = 4;

/// RFC 9260 section 3.3.1.
const DATA: u8 = 0;

/// RFC 8260 section 2.1.
const I_DATA: u8 = 64;

/// Whether str0m may see this packet. One that is refused is not acknowledged: only its sender waits.
pub(super) fn is_admitted(packet: &[u8]) -> bool {
    let mut rest = packet.get(HEADER..).unwrap_or_default();
    while let Some((header, _)) = rest.split_first_chunk::<CHUNK_HEADER>() {
        let [kind, _, high, low] = *header;
        let length = usize::from(u16::from_be_bytes([high, low]));
        if matches!(kind, DATA | I_DATA)
            && let Some(&[high, low]) = rest.get(8..10)
            && u16::from_be_bytes([high, low]) >= STREAMS_MAX
        {
            return false;
        }
        // Each chunk but the last fills up to four bytes. A length that is too short to be one is str0m's to complain about.
        let next = length.max(CHUNK_HEADER).next_multiple_of(4);
        rest = rest.get(next..).unwrap_or_default();
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(chunks: &[(u8, u16, usize)]) -> Vec<u8> {
        let mut packet = vec![0; HEADER];
        for (kind, stream, length) in chunks {
            let mut chunk = vec![0; (CHUNK_HEADER + 12 + length).next_multiple_of(4)];
            chunk[0] = *kind;
            let size = u16::try_from(CHUNK_HEADER + 12 + length).unwrap();
            chunk[2..4].copy_from_slice(&size.to_be_bytes());
            chunk[8..10].copy_from_slice(&stream.to_be_bytes());
            packet.extend(chunk);
        }
        packet
    }

    #[test]
    fn data_for_high_streams_does_not_get_in() {
        let check = |chunks: &[(u8, u16, usize)], expected| {
            assert_eq!(is_admitted(&packet(chunks)), expected, "{chunks:?}");
        };
        check(&[], true);
        check(&[(DATA, 0, 10)], true);
        check(&[(DATA, STREAMS_MAX - 1, 1000)], true);
        check(&[(DATA, STREAMS_MAX, 1)], false);
        check(&[(DATA, u16::MAX, 0)], false);
        check(&[(I_DATA, 3000, 4)], false);
        check(&[(DATA, 2, 3), (3, 9000, 4), (DATA, 5, 1)], true);
        check(&[(DATA, 2, 3), (3, 9000, 4), (DATA, 500, 1)], false);
    }

    #[test]
    fn what_is_no_sctp_is_not_for_us_to_judge() {
        for length in 0..40 {
            assert!(is_admitted(&vec![0; length]), "{length}");
            is_admitted(&vec![0xff; length]);
        }
        let mut cut = packet(&[(DATA, 1, 20)]);
        cut.truncate(HEADER + 9);
        assert!(is_admitted(&cut));
    }
}
