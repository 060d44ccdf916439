//! Fragments of sound, taken apart and put together again: for whoever makes a rendition's sound only when it is wanted.

use bytes::Bytes;
use mp4_atom::{Any, Decode as _, Encode as _, Moof, TrunSamples};

/// The header of an `mdat`.
const MDAT_HEADER_BYTES: usize = 8;

/// One sample of a fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoundSample {
    /// Decode time in ticks since the life's begin.
    pub start: i64,
    /// Ticks.
    pub duration: u32,
    /// The payload, a slice of the fragment.
    pub data: Bytes,
}

/// The samples of a part or a segment that a [`crate::Packager`] made, or of several, one after the other. Nothing when it
/// cannot be read.
#[must_use]
pub fn sound_samples(fragments: &Bytes) -> Option<Vec<SoundSample>> {
    let mut found = Vec::new();
    for (moof, data) in split(fragments)? {
        let traf = moof.traf.first()?;
        let time = traf.tfdt.as_ref()?.base_media_decode_time;
        let mut start = i64::try_from(time).ok()?;
        let mut at = 0;
        for entry in traf.trun.first()?.samples.iter() {
            let end = at + usize::try_from(entry.size?).ok()?;
            let duration = entry.duration?;
            data.get(at..end)?;
            found.push(SoundSample {
                start,
                duration,
                data: data.slice(at..end),
            });
            start += i64::from(duration);
            at = end;
        }
    }
    Some(found)
}

/// The same fragments with other payloads, one for each sample; nothing when they cannot be read, or there are more or less.
#[must_use]
pub fn replace_sound(fragments: &Bytes, payloads: &[Bytes]) -> Option<Bytes> {
    let mut rest = payloads;
    let mut bytes = Vec::with_capacity(fragments.len());
    for (mut moof, _) in split(fragments)? {
        let trun = moof.traf.first_mut()?.trun.first_mut()?;
        let TrunSamples::Explicit(entries) = &mut trun.samples else {
            return None;
        };
        let (mine, others) = rest.split_at_checked(entries.len())?;
        rest = others;
        for (entry, payload) in entries.iter_mut().zip(mine) {
            entry.size = Some(u32::try_from(payload.len()).ok()?);
        }
        // The table has as many bytes as before, so that the data begins where it did.
        moof.encode(&mut bytes).ok()?;
        let length = MDAT_HEADER_BYTES + mine.iter().map(Bytes::len).sum::<usize>();
        bytes.extend(u32::try_from(length).ok()?.to_be_bytes());
        bytes.extend(*b"mdat");
        mine.iter()
            .for_each(|payload| bytes.extend_from_slice(payload));
    }
    rest.is_empty().then(|| bytes.into())
}

/// Each `moof` with its data.
fn split(fragments: &Bytes) -> Option<Vec<(Moof, Bytes)>> {
    let mut found = Vec::new();
    let mut rest = &fragments[..];
    while !rest.is_empty() {
        let Any::Moof(moof) = Any::decode(&mut rest).ok()? else {
            return None;
        };
        let at = fragments.len() - rest.len();
        let (header, _) = rest.split_at_checked(MDAT_HEADER_BYTES)?;
        let (length, kind) = header.split_at(4);
        let length = usize::try_from(u32::from_be_bytes(length.try_into().ok()?)).ok()?;
        if kind != b"mdat" || length < MDAT_HEADER_BYTES {
            return None;
        }
        rest = rest.get(length..)?;
        found.push((moof, fragments.slice(at + MDAT_HEADER_BYTES..at + length)));
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boxes::{Sample, put_fragment};

    fn part(start: u64, payloads: &[&'static [u8]]) -> Bytes {
        let samples = payloads.iter().map(|payload| Sample {
            duration: 1024,
            offset: 0,
            keyframe: true,
            is_repeat: false,
            payload: vec![Bytes::from_static(payload)],
        });
        let mut bytes = Vec::new();
        put_fragment(&mut bytes, false, 1, start, &samples.collect::<Vec<_>>());
        bytes.into()
    }

    #[test]
    fn what_was_put_in_comes_out_and_can_be_replaced() {
        let mut segment = part(7, &[b"one", b"two"]).to_vec();
        segment.extend(part(7 + 2048, &[b"", b"three"]));
        let segment = Bytes::from(segment);
        let read = sound_samples(&segment).unwrap();
        let data: Vec<&[u8]> = read.iter().map(|sample| &sample.data[..]).collect();
        assert_eq!(data, [&b"one"[..], b"two", b"", b"three"]);
        let starts: Vec<i64> = read.iter().map(|sample| sample.start).collect();
        assert_eq!(starts, [7, 1031, 2055, 3079]);
        let others = ["a longer one", "", "x", "y"].map(Bytes::from);
        let replaced = replace_sound(&segment, &others).unwrap();
        let again = sound_samples(&replaced).unwrap();
        assert!(
            again
                .iter()
                .zip(&others)
                .all(|(one, other)| one.data == *other)
        );
        assert_eq!(again[3].start, 3079);
        // The data stands where the table says, and all lengths are those of the new payloads.
        let mut expected = part(7, &[b"a longer one", b""]).to_vec();
        expected.extend(part(7 + 2048, &[b"x", b"y"]));
        assert_eq!(replaced, expected);
        assert_eq!(replace_sound(&segment, &others[..3]), None);
        let more = [&others[..], &others[..1]].concat();
        assert_eq!(replace_sound(&segment, &more), None);
    }

    #[test]
    fn nonsense_is_refused() {
        let whole = part(0, &[b"one", b"two"]);
        for end in 1..whole.len() {
            assert_eq!(sound_samples(&whole.slice(..end)), None, "{end}");
            assert_eq!(replace_sound(&whole.slice(..end), &[]), None, "{end}");
        }
        let header = whole.len() - "onetwo".len() - MDAT_HEADER_BYTES;
        for length in [0_u32, 7, 13, u32::MAX] {
            let mut bytes = whole.to_vec();
            bytes[header..header + 4].copy_from_slice(&length.to_be_bytes());
            assert_eq!(sound_samples(&bytes.into()), None, "{length}");
        }
        assert_eq!(sound_samples(&Bytes::new()), Some(Vec::new()));
    }
}
