//! What the fragments of a segment hold, without reading their media.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};

use mp4_atom::{Decode as _, Moof, Traf, Trun};

/// A sample of a track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sample {
    /// Ticks.
    pub(super) duration: u32,
    /// Bytes.
    pub(super) size: u32,
    /// Ticks from decoding to showing; negative where pictures come out of order.
    pub(super) offset: i32,
    /// Whether decoding can begin here.
    pub(super) is_sync: bool,
}

/// A `moof` with its `mdat`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fragment {
    /// Decode time of the first sample in ticks since the life's begin.
    pub(super) time: u64,
    /// Where the data of the first sample is in the file of the chunk. That of the others follows it.
    pub(super) data_at: u64,
    /// Never empty.
    pub(super) samples: Vec<Sample>,
}

/// Bytes of a box's length and name.
const BOX_HEADER: u64 = 8;

/// What is read at once: a `moof` of half a second has 0.2 to 1.2 kB.
const WINDOW: u64 = 4_096;

/// The longest `moof`: one of 0.5 s has some hundred bytes, and 16 for each sample.
const MOOF_MAX: u64 = 1 << 20;

/// Sample flags: not one to begin at (`sample_is_non_sync_sample`).
const NOT_SYNC: u32 = 0x0001_0000;

/// The fragments of a segment in the `len` bytes from `start` of a chunk's file; nothing when it is not that, wholly. Other
/// boxes are passed over.
pub(super) fn fragments(
    file: &mut File,
    start: u64,
    len: u64,
) -> io::Result<Option<Vec<Fragment>>> {
    let end = start.saturating_add(len);
    let mut window = Window::new(file, end);
    let mut found = Vec::new();
    let mut moof: Option<(u64, Moof)> = None;
    let mut at = start;
    while at < end {
        let Some(head) = window.get(at, BOX_HEADER)? else {
            return Ok(None);
        };
        let size = u64::from(u32::from_be_bytes([head[0], head[1], head[2], head[3]]));
        let kind = [head[4], head[5], head[6], head[7]];
        // Lengths of 0 and 1 mean something else; no fragment here needs them.
        if size < BOX_HEADER || size > end - at {
            return Ok(None);
        }
        match (&kind, moof.take()) {
            (b"moof", None) if size <= MOOF_MAX => {
                let Some(mut bytes) = window.get(at, size)? else {
                    return Ok(None);
                };
                let Ok(decoded) = Moof::decode(&mut bytes) else {
                    return Ok(None);
                };
                moof = Some((at, decoded));
            }
            (b"mdat", Some((moof_at, moof))) => {
                let Some(fragment) = fragment(moof_at, &moof, (at + BOX_HEADER, at + size)) else {
                    return Ok(None);
                };
                found.push(fragment);
            }
            (b"moof" | b"mdat", _) => return Ok(None),
            (_, pending) => moof = pending,
        }
        at += size;
    }
    Ok((moof.is_none() && !found.is_empty()).then_some(found))
}

/// The one fragment whose data lies in `data`.
fn fragment(moof_at: u64, moof: &Moof, data: (u64, u64)) -> Option<Fragment> {
    let [traf] = moof.traf.as_slice() else {
        return None;
    };
    let [trun] = traf.trun.as_slice() else {
        return None;
    };
    let samples = samples(traf, trun)?;
    let data_at = moof_at.checked_add_signed(trun.data_offset?.into())?;
    let bytes: u64 = samples.iter().map(|sample| u64::from(sample.size)).sum();
    let is_within = data_at >= data.0 && data_at.checked_add(bytes)? <= data.1;
    (is_within && !samples.is_empty()).then_some(Fragment {
        time: traf.tfdt.as_ref()?.base_media_decode_time,
        data_at,
        samples,
    })
}

fn samples(traf: &Traf, trun: &Trun) -> Option<Vec<Sample>> {
    let defaults = &traf.tfhd;
    let all = trun.samples.iter().map(|entry| {
        let flags = entry.flags.or(defaults.default_sample_flags).unwrap_or(0);
        Some(Sample {
            duration: entry.duration.or(defaults.default_sample_duration)?,
            size: entry.size.or(defaults.default_sample_size)?,
            offset: i32::try_from(entry.cts.unwrap_or(0)).ok()?,
            is_sync: flags & NOT_SYNC == 0,
        })
    });
    all.collect()
}

/// Reads a file forward in steps that are larger than what is asked for.
struct Window<'a> {
    file: &'a mut File,
    end: u64,
    at: u64,
    bytes: Vec<u8>,
}

impl<'a> Window<'a> {
    fn new(file: &'a mut File, end: u64) -> Self {
        Self {
            file,
            end,
            at: 0,
            bytes: Vec::new(),
        }
    }

    /// `len` bytes from `at`; nothing when there are not so many.
    fn get(&mut self, at: u64, len: u64) -> io::Result<Option<&[u8]>> {
        let has =
            |window: &Self| at >= window.at && at + len <= window.at + window.bytes.len() as u64;
        if !has(self) {
            self.file.seek(SeekFrom::Start(at))?;
            self.bytes.clear();
            self.at = at;
            let wanted = len.max(WINDOW).min(self.end.saturating_sub(at));
            self.file
                .by_ref()
                .take(wanted)
                .read_to_end(&mut self.bytes)?;
        }
        if !has(self) {
            return Ok(None);
        }
        let (Ok(from), Ok(len)) = (usize::try_from(at - self.at), usize::try_from(len)) else {
            return Ok(None);
        };
        Ok(self.bytes.get(from..from + len))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn what_is_no_fragment_is_refused_without_a_panic() {
        let mut file = tempfile::tempfile().unwrap();
        let mut random = fastrand::Rng::with_seed(4);
        let names = [*b"moof", *b"mdat", *b"traf", *b"trun", *b"tfdt", *b"mfhd"];
        for _ in 0..5_000 {
            let mut bytes: Vec<u8> = (0..random.usize(0..80)).map(|_| random.u8(0..40)).collect();
            for _ in 0..random.usize(0..4) {
                if bytes.len() > 8 {
                    let at = random.usize(0..bytes.len() - 8);
                    let len = u32::try_from(random.usize(0..=bytes.len() - at)).unwrap();
                    bytes[at..at + 4].copy_from_slice(&len.to_be_bytes());
                    bytes[at + 4..at + 8].copy_from_slice(random.choice(names.iter()).unwrap());
                }
            }
            file.set_len(0).unwrap();
            file.seek(SeekFrom::Start(0)).unwrap();
            file.write_all(&bytes).unwrap();
            let len = bytes.len() as u64;
            assert_eq!(fragments(&mut file, 0, len).unwrap(), None, "{bytes:?}");
            // Longer than the file is.
            assert_eq!(fragments(&mut file, 3, len + 9).unwrap(), None);
        }
    }
}
