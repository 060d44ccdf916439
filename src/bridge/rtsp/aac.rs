//! RTP packets of a camera to AAC access units, RFC 3640 in its mode AAC-hbr, the one that cameras use.
//!
//! Ours, because retina can only take AAC apart together with every other track, see [`super::h264`].

use bytes::{Bytes, BytesMut};

use transcode::Unit;

/// An access unit's length has 13 bits.
const UNIT_MAX: usize = 8_191;

/// Takes packets apart, and joins units that are spread over several.
#[derive(Debug, Default)]
pub(crate) struct Units {
    /// The beginning of a unit, its whole length and its timestamp.
    partial: Option<(BytesMut, usize, i64)>,
    malformed: u64,
}

impl Units {
    /// Packets that could not be read.
    pub(crate) fn malformed(&self) -> u64 {
        self.malformed
    }

    /// The units that a packet completes. After a loss, what had begun is forgotten.
    pub(crate) fn push(&mut self, elapsed: i64, lost: bool, payload: &Bytes) -> Vec<Unit> {
        if lost
            || self
                .partial
                .as_ref()
                .is_some_and(|(_, _, begun)| *begun != elapsed)
        {
            self.partial = None;
        }
        let mut units = Vec::new();
        if self.take(elapsed, payload, &mut units).is_none() {
            self.partial = None;
            self.malformed += 1;
        }
        units
    }

    fn take(&mut self, elapsed: i64, payload: &Bytes, units: &mut Vec<Unit>) -> Option<()> {
        // Section 3.2.1: the headers' length in bits, then 16 bits for each unit: 13 of length and 3 of index.
        let bits = usize::from(u16::from_be_bytes([*payload.first()?, *payload.get(1)?]));
        let headers = payload.get(2..2 + bits.div_ceil(8))?;
        if bits == 0 || !bits.is_multiple_of(16) {
            return None;
        }
        let mut rest = payload.slice(2 + headers.len()..);
        for (index, header) in headers.chunks_exact(2).enumerate() {
            let length = usize::from(u16::from_be_bytes([header[0], header[1]]) >> 3);
            let elapsed = (index == 0).then_some(elapsed);
            if length <= rest.len() && self.partial.is_none() {
                units.push(Unit {
                    elapsed,
                    data: rest.split_to(length),
                });
            } else if headers.len() == 2 {
                let (mut data, whole, begun) = self.partial.take().unwrap_or_else(|| {
                    (
                        BytesMut::with_capacity(length),
                        length,
                        elapsed.unwrap_or_default(),
                    )
                });
                data.extend_from_slice(&rest);
                match data.len().cmp(&whole.min(UNIT_MAX)) {
                    std::cmp::Ordering::Less => self.partial = Some((data, whole, begun)),
                    std::cmp::Ordering::Equal => units.push(Unit {
                        elapsed: Some(begun),
                        data: data.freeze(),
                    }),
                    std::cmp::Ordering::Greater => return None,
                }
            } else {
                return None;
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(lengths: &[usize], data: &[u8]) -> Bytes {
        let mut packet = ((lengths.len() * 16) as u16).to_be_bytes().to_vec();
        for length in lengths {
            packet.extend_from_slice(&((length << 3) as u16).to_be_bytes());
        }
        packet.extend_from_slice(data);
        packet.into()
    }

    fn unit(elapsed: Option<i64>, data: &'static [u8]) -> Unit {
        Unit {
            elapsed,
            data: Bytes::from_static(data),
        }
    }

    #[test]
    fn one_unit_several_units_and_a_unit_in_pieces_are_understood() {
        let mut units = Units::default();
        assert_eq!(
            units.push(0, false, &packet(&[3], b"abc")),
            [unit(Some(0), b"abc")]
        );
        assert_eq!(
            units.push(1_024, false, &packet(&[2, 3], b"abcde")),
            [unit(Some(1_024), b"ab"), unit(None, b"cde")]
        );
        assert_eq!(units.push(3_072, false, &packet(&[6], b"ab")), []);
        assert_eq!(units.push(3_072, false, &packet(&[6], b"cd")), []);
        assert_eq!(
            units.push(3_072, false, &packet(&[6], b"ef")),
            [unit(Some(3_072), b"abcdef")]
        );
        assert_eq!(units.malformed(), 0);
    }

    #[test]
    fn a_loss_in_a_unit_in_pieces_costs_that_unit_only() {
        let mut units = Units::default();
        units.push(0, false, &packet(&[6], b"ab"));
        assert_eq!(units.push(0, true, &packet(&[6], b"ef")), []);
        assert_eq!(
            units.push(1_024, false, &packet(&[1], b"x")),
            [unit(Some(1_024), b"x")]
        );
    }

    #[test]
    fn malformed_packets_are_counted_and_dropped() {
        let mut units = Units::default();
        let malformed: Vec<Bytes> = vec![
            Bytes::new(),
            Bytes::from_static(&[0]),
            Bytes::from_static(&[0, 0, 1]),
            Bytes::from_static(&[0, 13, 0, 8, 1]),
            Bytes::from_static(&[0xff, 0xff, 0, 8]),
            packet(&[2, 9], b"abc"),
        ];
        for payload in &malformed {
            units.push(0, false, payload);
        }
        assert_eq!(units.malformed(), malformed.len() as u64);
        units.push(5, false, &packet(&[4], b"ab"));
        assert_eq!(units.push(5, false, &packet(&[4], b"cdefg")), []);
        assert_eq!(units.push(6, false, &packet(&[1], b"x")).len(), 1);
    }
}
