//! H.264 NAL units to RTP payloads, RFC 6184 packetization mode 1.

use std::sync::Arc;

use bytes::Bytes;
use rtc_rtp::codec::h264::H264Payloader;
use rtc_rtp::packetizer::Payloader;

use super::NalType;
use crate::PAYLOAD_MAX;

/// The RTP payloads of one frame, in order; the last one takes the marker bit.
///
/// Parameter sets travel as packets of their own: the library would join one SPS and one PPS, and forget further ones,
/// which some encoders have. Access unit delimiters and filler are left out. A parameter set that does not fit into a
/// packet is left out as well; real ones have less than 100 bytes.
pub fn packetise(nals: impl IntoIterator<Item = Bytes>) -> Vec<Arc<[u8]>> {
    let mut payloader = H264Payloader::default();
    let mut payloads = Vec::new();
    for nal in nals {
        match NalType::of(&nal) {
            None => {}
            Some(kind) if kind.is_parameter_set() => {
                let fits = nal.len() <= PAYLOAD_MAX;
                payloads.extend(fits.then(|| Arc::from(&nal[..])));
            }
            Some(_) => {
                // The library fails for no input; it says nothing for what it leaves out.
                let parts = payloader.payload(PAYLOAD_MAX, &nal).unwrap_or_default();
                payloads.extend(parts.iter().map(|part| Arc::from(&part[..])));
            }
        }
    }
    payloads
}

#[cfg(test)]
mod tests {
    use rtc_rtp::codec::h264::H264Packet;
    use rtc_rtp::packetizer::Depacketizer;

    use super::*;

    /// A NAL unit of `len` bytes without anything that looks like a start code.
    fn nal(header: u8, len: usize) -> Bytes {
        let mut bytes: Vec<u8> = (0..len).map(|i| (i % 251) as u8 | 1).collect();
        bytes[0] = header;
        bytes.into()
    }

    fn round_trip(nals: &[Bytes]) -> Vec<u8> {
        let mut depacketiser = H264Packet::default();
        let mut annex_b = Vec::new();
        for payload in packetise(nals.iter().cloned()) {
            assert!(payload.len() <= PAYLOAD_MAX);
            annex_b.extend_from_slice(
                &depacketiser
                    .depacketize(&Bytes::copy_from_slice(&payload))
                    .unwrap(),
            );
        }
        annex_b
    }

    #[test]
    fn frames_of_every_size_survive_the_round_trip() {
        for size in [3, 1199, 1200, 1201, 1202, 2397, 2398, 2399, 60_000] {
            let frame = [
                nal(0x67, 30),
                nal(0x68, 5),
                nal(0x65, size),
                nal(0x65, size / 2 + 3),
            ];
            let expected: Vec<u8> = frame
                .iter()
                .flat_map(|nal| [&[0, 0, 0, 1][..], nal].concat())
                .collect();
            assert_eq!(round_trip(&frame), expected, "a slice of {size} bytes");
        }
    }

    #[test]
    fn every_parameter_set_is_kept_and_comes_first() {
        let payloads = packetise([nal(0x67, 30), nal(0x68, 5), nal(0x68, 6), nal(0x65, 100)]);
        let lengths: Vec<usize> = payloads.iter().map(|payload| payload.len()).collect();
        assert_eq!(lengths, [30, 5, 6, 100]);
    }

    #[test]
    fn delimiters_filler_and_empty_units_are_left_out() {
        assert!(packetise([nal(0x09, 2), nal(0x0c, 900), Bytes::new()]).is_empty());
        assert!(packetise([nal(0x67, PAYLOAD_MAX + 1)]).is_empty());
    }
}
