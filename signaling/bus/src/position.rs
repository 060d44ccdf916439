//! Where somebody is, as JSON and as bytes.
//!
//! The binary form is for the data channel `positions`, little endian: `u8` version 1, `u8` flags (bit 0: the whole state), `u16` count,
//! `u32` tick, then count times `u16` number, `u16` zero, six `f32`. Each frame stands for itself and is at most 1,100 bytes, which fits
//! into one datagram with all that is around it. A client sends the same with one entry of number 0.

use std::io::Write as _;

use super::scan;

/// The version of the binary form.
const VERSION: u8 = 1;
/// Bytes before the entries.
const HEAD_BYTES: usize = 8;
/// Bytes of an entry.
const ENTRY_BYTES: usize = 28;
/// Entries of a frame: 8 + 39 * 28 = 1,100 bytes.
pub const FRAME_ENTRIES_MAX: usize = 39;

/// The fields of the elektron wire, in the order of [`Position::numbers`].
pub(super) const FIELDS: [&str; 6] = [
    "userX",
    "userY",
    "userZ",
    "userRotationX",
    "userRotationY",
    "userRotationZ",
];

/// Where somebody is and where they look.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Position {
    /// X, Y and Z, in the units of the space.
    pub place: [f32; 3],
    /// Rotation about X, Y and Z, in the units of the space.
    pub rotation: [f32; 3],
}

impl Position {
    /// X, Y, Z, then the rotation about X, Y and Z.
    pub fn numbers(&self) -> [f32; 6] {
        let ([x, y, z], [rx, ry, rz]) = (self.place, self.rotation);
        [x, y, z, rx, ry, rz]
    }

    /// The reverse of [`numbers`](Self::numbers).
    pub fn from_numbers([x, y, z, rx, ry, rz]: [f32; 6]) -> Self {
        Self {
            place: [x, y, z],
            rotation: [rx, ry, rz],
        }
    }

    /// Whether every number is one that JSON knows.
    pub fn is_finite(&self) -> bool {
        self.numbers().iter().all(|number| number.is_finite())
    }

    /// The distance between the places.
    pub(super) fn distance_squared(&self, other: &Self) -> f32 {
        let pairs = self.place.iter().zip(&other.place);
        pairs.map(|(a, b)| (a - b) * (a - b)).sum()
    }

    /// The value of a message of type POSITION: `[x,y,z,rx,ry,rz]`, `[x,y,z]`, or an object with these names, of which missing ones are 0.
    pub(super) fn read(json: &str) -> Option<Self> {
        if let Some(numbers) = scan::numbers(json) {
            return Some(Self::from_numbers(numbers));
        }
        if let Some(place) = scan::numbers(json) {
            return Some(Self {
                place,
                rotation: [0.0; 3],
            });
        }
        let names = ["\"x\"", "\"y\"", "\"z\"", "\"rx\"", "\"ry\"", "\"rz\""];
        let mut numbers = [0.0; 6];
        let mut has_any = false;
        for (key, value) in scan::fields(json) {
            if let Some((_, slot)) =
                (names.iter().zip(&mut numbers)).find(|(name, _)| **name == key)
            {
                *slot = scan::number(value)?;
                has_any = true;
            }
        }
        has_any.then(|| Self::from_numbers(numbers))
    }

    /// Appends `[x,y,z,rx,ry,rz]`.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let [x, y, z, rx, ry, rz] = self.numbers();
        write!(out, "[{x},{y},{z},{rx},{ry},{rz}]").expect("memory takes it");
    }
}

/// The position in a binary frame that a client sent: its first entry. `None` for what is no such frame.
pub fn read_frame(bytes: &[u8]) -> Option<Position> {
    let ([VERSION, _, low, high, ..], Some(entry)) =
        (bytes, bytes.get(HEAD_BYTES..HEAD_BYTES + ENTRY_BYTES))
    else {
        return None;
    };
    if u16::from_le_bytes([*low, *high]) == 0 {
        return None;
    }
    let mut numbers = [0.0; 6];
    let (values, _) = entry.get(4..)?.as_chunks::<4>();
    for (slot, value) in numbers.iter_mut().zip(values) {
        *slot = f32::from_le_bytes(*value);
    }
    let position = Position::from_numbers(numbers);
    position.is_finite().then_some(position)
}

/// A binary frame; at most [`FRAME_ENTRIES_MAX`] entries.
pub fn write_frame(tick: u32, is_whole: bool, entries: &[(u16, Position)]) -> Vec<u8> {
    let entries = entries.get(..FRAME_ENTRIES_MAX).unwrap_or(entries);
    let count = u16::try_from(entries.len()).expect("39 entries are fewer than 65,536");
    let mut out = Vec::with_capacity(HEAD_BYTES + ENTRY_BYTES * entries.len());
    out.extend_from_slice(&[VERSION, u8::from(is_whole)]);
    out.extend_from_slice(&count.to_le_bytes());
    out.extend_from_slice(&tick.to_le_bytes());
    for (number, position) in entries {
        out.extend_from_slice(&number.to_le_bytes());
        out.extend_from_slice(&[0, 0]);
        for value in position.numbers() {
            out.extend_from_slice(&value.to_le_bytes());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_frame_has_1100_bytes_and_its_first_entry_can_be_read() {
        let position = Position::from_numbers([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let frame = write_frame(7, true, &[(3, position); 60]);
        assert_eq!(frame.len(), 1100);
        assert_eq!(frame[..12], [1, 1, 39, 0, 7, 0, 0, 0, 3, 0, 0, 0]);
        assert_eq!(read_frame(&frame), Some(position));
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        let good = write_frame(0, false, &[(0, Position::default())]);
        assert!(read_frame(&good).is_some());
        for end in 0..good.len() {
            assert_eq!(read_frame(&good[..end]), None);
        }
        let other_version = [&[2], &good[1..]].concat();
        assert_eq!(read_frame(&other_version), None);
        let endless = write_frame(0, false, &[(0, Position::from_numbers([f32::NAN; 6]))]);
        assert_eq!(read_frame(&endless), None);
        assert_eq!(read_frame(&write_frame(0, false, &[])), None);
    }

    #[test]
    fn positions_are_read_as_arrays_and_objects() {
        let check = |json: &str, expected: Option<[f32; 6]>| {
            assert_eq!(
                Position::read(json).map(|position| position.numbers()),
                expected,
                "{json}"
            );
        };
        check("[1,2,3,4,5,6]", Some([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
        check("[1,2,3]", Some([1.0, 2.0, 3.0, 0.0, 0.0, 0.0]));
        check(
            "{\"x\":1,\"rz\":-0.5,\"other\":[]}",
            Some([1.0, 0.0, 0.0, 0.0, 0.0, -0.5]),
        );
        check("{\"x\":1e999}", None);
        check("{\"userX\":1}", None);
        check("[1,2]", None);
        check("\"x\"", None);
    }
}
