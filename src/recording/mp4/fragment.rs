//! Changes in fragments that leave everything else, and the length but for what is put in, as it is.

use std::ops::Range;

use bytes::Bytes;

/// What is changed in the fragments of a segment.
#[derive(Debug, Clone, Default)]
pub(super) struct Changes {
    /// The first fragment's sequence number; the others count on.
    pub(super) sequence: u32,
    /// Ticks by which everything is earlier.
    pub(super) earlier: u64,
    /// What is put before the first sample's data, into the sample.
    pub(super) prefix: Bytes,
}

/// Bytes of a box's length and name.
const BOX_HEADER: usize = 8;

/// The same with version and flags.
const FULL_BOX_HEADER: usize = 12;

const TRUN_DATA_OFFSET: u32 = 0x1;
const TRUN_FIRST_FLAGS: u32 = 0x4;
const TRUN_DURATION: u32 = 0x100;
const TRUN_SIZE: u32 = 0x200;

/// Applies the changes to a segment: any number of `moof` and `mdat`, other boxes stay. Nothing when it is not that.
pub(super) fn change(segment: &[u8], changes: &Changes) -> Option<Bytes> {
    let mut bytes = Vec::with_capacity(segment.len() + changes.prefix.len());
    let mut sequence = changes.sequence;
    // The first fragment gets the prefix: first in its sample table, then in its data.
    let mut is_first = !changes.prefix.is_empty();
    for range in boxes(segment, 0..segment.len())? {
        let one = &segment[range];
        let at = bytes.len();
        match &one[4..8] {
            b"moof" => {
                bytes.extend_from_slice(one);
                let grown = if is_first { changes.prefix.len() } else { 0 };
                change_moof(&mut bytes[at..], sequence, changes.earlier, grown)?;
                sequence = sequence.wrapping_add(1);
            }
            b"mdat" if is_first => {
                let len = u32::try_from(one.len() + changes.prefix.len()).ok()?;
                bytes.extend_from_slice(&len.to_be_bytes());
                bytes.extend_from_slice(b"mdat");
                bytes.extend_from_slice(&changes.prefix);
                bytes.extend_from_slice(&one[BOX_HEADER..]);
                is_first = false;
            }
            _ => bytes.extend_from_slice(one),
        }
    }
    (!is_first).then(|| bytes.into())
}

fn change_moof(moof: &mut [u8], sequence: u32, earlier: u64, grown: usize) -> Option<()> {
    for range in boxes(moof, BOX_HEADER..moof.len())? {
        match &moof[range.start + 4..range.start + 8] {
            b"mfhd" => put(moof, range.start + FULL_BOX_HEADER, sequence)?,
            b"traf" => change_traf(moof.get_mut(range)?, earlier, grown)?,
            _ => {}
        }
    }
    Some(())
}

fn change_traf(traf: &mut [u8], earlier: u64, mut grown: usize) -> Option<()> {
    for range in boxes(traf, BOX_HEADER..traf.len())? {
        let at = range.start;
        match &traf[at + 4..at + 8] {
            b"tfdt" if *traf.get(at + BOX_HEADER)? == 0 => {
                let time = u64::from(get(traf, at + FULL_BOX_HEADER)?).checked_sub(earlier)?;
                put(traf, at + FULL_BOX_HEADER, u32::try_from(time).ok()?)?;
            }
            b"tfdt" => {
                let high = u64::from(get(traf, at + FULL_BOX_HEADER)?);
                let low = u64::from(get(traf, at + FULL_BOX_HEADER + 4)?);
                let time = (high << 32 | low).checked_sub(earlier)?;
                let place = at + FULL_BOX_HEADER;
                traf.get_mut(place..place + 8)?
                    .copy_from_slice(&time.to_be_bytes());
            }
            b"trun" if grown > 0 => {
                grow_first_sample(traf, at, u32::try_from(grown).ok()?)?;
                grown = 0;
            }
            _ => {}
        }
    }
    // Without a sample table there is no sample to put anything into.
    (grown == 0).then_some(())
}

fn grow_first_sample(traf: &mut [u8], trun: usize, grown: u32) -> Option<()> {
    let flags = get(traf, trun + BOX_HEADER)? & 0x00ff_ffff;
    let samples = get(traf, trun + FULL_BOX_HEADER)?;
    if samples == 0 || flags & TRUN_SIZE == 0 {
        return None;
    }
    let optional = [TRUN_DATA_OFFSET, TRUN_FIRST_FLAGS, TRUN_DURATION];
    let before = optional.iter().filter(|flag| flags & **flag != 0).count();
    let place = trun + FULL_BOX_HEADER + 4 + 4 * before;
    let size = get(traf, place)?.checked_add(grown)?;
    put(traf, place, size)
}

/// The boxes that fill `range` of `bytes`; nothing when they do not.
fn boxes(bytes: &[u8], range: Range<usize>) -> Option<Vec<Range<usize>>> {
    let mut found = Vec::new();
    let mut at = range.start;
    while at < range.end {
        let len = usize::try_from(get(bytes, at)?).ok()?;
        let end = at.checked_add(len)?;
        // Lengths of 0 and 1 mean something else; no fragment here needs them.
        if len < BOX_HEADER || end > range.end {
            return None;
        }
        found.push(at..end);
        at = end;
    }
    Some(found)
}

fn get(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(word.try_into().ok()?))
}

fn put(bytes: &mut [u8], at: usize, value: u32) -> Option<()> {
    let word = bytes.get_mut(at..at.checked_add(4)?)?;
    word.copy_from_slice(&value.to_be_bytes());
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_fragment_is_refused_without_a_panic() {
        let changes = Changes {
            sequence: 1,
            earlier: 5,
            prefix: Bytes::from_static(b"prefix"),
        };
        let mut random = fastrand::Rng::with_seed(4);
        let names = [*b"moof", *b"mdat", *b"traf", *b"trun", *b"tfdt", *b"mfhd"];
        for _ in 0..20_000 {
            let mut bytes: Vec<u8> = (0..random.usize(0..80)).map(|_| random.u8(0..40)).collect();
            for _ in 0..random.usize(0..4) {
                if bytes.len() > 8 {
                    let at = random.usize(0..bytes.len() - 8);
                    let len = u32::try_from(random.usize(0..=bytes.len() - at)).unwrap();
                    bytes[at..at + 4].copy_from_slice(&len.to_be_bytes());
                    bytes[at + 4..at + 8].copy_from_slice(random.choice(names.iter()).unwrap());
                }
            }
            let changed = change(&bytes, &changes);
            assert!(changed.is_none_or(|changed| changed.len() == bytes.len() + 6));
        }
        assert_eq!(change(b"", &Changes::default()), Some(Bytes::new()));
    }
}
