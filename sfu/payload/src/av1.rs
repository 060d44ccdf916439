//! AV1: the aggregation header and its elements ("RTP Payload Format for AV1" section 4.4), and the headers of OBUs (bitstream
//! specification, section 5.3).

/// An OBU's header: must be clear.
pub const FORBIDDEN: u8 = 0x80;
/// An OBU's header: an octet with its layers follows.
pub const HAS_EXTENSION: u8 = 0x04;
/// An OBU's header: its size follows.
pub const HAS_SIZE: u8 = 0x02;

/// Types of OBUs, see [`kind`].
pub const SEQUENCE_HEADER: u8 = 1;
/// Begins a temporal unit; has no place in RTP and in files.
pub const TEMPORAL_DELIMITER: u8 = 2;
/// A frame's header alone.
pub const FRAME_HEADER: u8 = 3;
/// A frame's header with its tiles.
pub const FRAME: u8 = 6;
/// Tiles of a large scene.
pub const TILE_LIST: u8 = 8;
/// Nothing.
pub const PADDING: u8 = 15;

/// Octets of a number in RTP; eight in theory, but nothing there is longer than 2^28.
pub(crate) const RTP_NUMBER_MAX: usize = 4;

/// The type that an OBU's header names.
#[inline]
pub fn kind(header: u8) -> u8 {
    header >> 3 & 0x0f
}

/// A LEB128 number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number {
    /// What it says.
    pub value: usize,
    /// How many octets it has.
    pub octets: usize,
    /// Whether the last of them says so.
    pub is_ended: bool,
}

/// Reads a LEB128 number of at most `max` octets, up to eight; `None` when the octets end before it does.
#[inline]
pub fn leb128(octets: &mut impl Iterator<Item = u8>, max: usize) -> Option<Number> {
    let mut value = 0;
    for at in 0..max {
        let octet = octets.next()?;
        value |= usize::from(octet & 0x7f) << (7 * at);
        if octet & 0x80 == 0 {
            return Some(Number {
                value,
                octets: at + 1,
                is_ended: true,
            });
        }
    }
    Some(Number {
        value,
        octets: max,
        is_ended: false,
    })
}

/// A number of an RTP payload and what follows it.
#[inline]
pub(crate) fn split_number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let number = leb128(&mut bytes.iter().copied(), RTP_NUMBER_MAX).filter(|one| one.is_ended)?;
    Some((number.value, &bytes[number.octets..]))
}

/// The first octet of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Aggregation(u8);

impl Aggregation {
    /// Splits it off.
    #[inline]
    pub(crate) fn read(payload: &[u8]) -> Option<(Self, &[u8])> {
        let (&header, rest) = payload.split_first()?;
        Some((Self(header), rest))
    }

    /// Z: the first element goes on with the last one of the packet before.
    #[inline]
    pub(crate) fn continues(self) -> bool {
        self.0 & 0x80 != 0
    }

    /// Y: the last element goes on in the next packet.
    #[inline]
    pub(crate) fn is_continued(self) -> bool {
        self.0 & 0x40 != 0
    }

    /// W: how many elements there are; 0 for as many as come.
    #[inline]
    pub(crate) fn count(self) -> usize {
        usize::from(self.0 >> 4 & 0x03)
    }

    /// N: the first packet of a coded video sequence.
    #[inline]
    pub(crate) fn starts_sequence(self) -> bool {
        self.0 & 0x08 != 0
    }

    /// The elements of what follows; `None` for one whose length lies, which is the last.
    #[inline]
    pub(crate) fn elements(self, rest: &[u8]) -> Elements<'_> {
        Elements {
            rest,
            at: 0,
            count: self.count(),
        }
    }
}

/// See [`Aggregation::elements`].
#[derive(Debug)]
pub(crate) struct Elements<'a> {
    rest: &'a [u8],
    at: usize,
    count: usize,
}

impl<'a> Iterator for Elements<'a> {
    type Item = Option<&'a [u8]>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        self.at += 1;
        // The last one of a known number goes to the end.
        if self.at == self.count {
            return Some(Some(std::mem::take(&mut self.rest)));
        }
        let element =
            split_number(self.rest).and_then(|(length, after)| after.split_at_checked(length));
        let (element, rest) = match element {
            Some((element, rest)) => (Some(element), rest),
            None => (None, &[][..]),
        };
        self.rest = rest;
        Some(element)
    }
}
