//! The boxes before the media: those of the tracks' own initialisation segments, put together, with the sample tables.

use std::io;

use bytes::{BufMut as _, Bytes, BytesMut};
use mp4_atom::{Any, Avcc, Codec, Decode as _, Encode as _, Ftyp, Moov};

use super::table::Finished;

/// Track ids are the same in all initialisation segments.
pub(super) const VIDEO_TRACK: u32 = 1;
pub(super) const AUDIO_TRACK: u32 = 2;

/// Milliseconds, for durations of the whole.
const TIMESCALE: u32 = 1000;

/// What an initialisation segment holds.
pub(super) struct Init {
    moov: Moov,
}

impl Init {
    /// Reads `ftyp` and `moov`; nothing when there is no track, or not the one that should be.
    pub(super) fn read(bytes: &[u8], track_id: u32) -> Option<Self> {
        let mut rest = bytes;
        while !rest.is_empty() {
            if let Any::Moov(moov) = Any::decode(&mut rest).ok()? {
                let is_ours = moov.trak.len() == 1 && moov.trak[0].tkhd.track_id == track_id;
                return is_ours.then_some(Self { moov });
            }
        }
        None
    }

    /// The sample entry.
    pub(super) fn codec(&self) -> Option<&Codec> {
        self.moov.trak.first()?.mdia.minf.stbl.stsd.codecs.first()
    }

    fn avcc(&self) -> Option<&Avcc> {
        match self.codec()? {
            Codec::Avc1(entry) => Some(&entry.avcc),
            Codec::Avc3(entry) => Some(&entry.avcc),
            _ => None,
        }
    }

    /// Whether both are of one codec, so that one track can have both.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        match (self.codec(), other.codec()) {
            (Some(one), Some(two)) => {
                let width = |init: &Self| init.avcc().map(|avcc| avcc.length_size);
                std::mem::discriminant(one) == std::mem::discriminant(two)
                    && width(self) == width(other)
            }
            _ => false,
        }
    }

    /// The H.264 parameter sets as they stand in a sample; nothing for other codecs, which have them in band anyway.
    pub(super) fn parameter_sets(&self) -> Bytes {
        let mut bytes = BytesMut::new();
        let Some(avcc) = self.avcc() else {
            return Bytes::new();
        };
        let width = usize::from(avcc.length_size).clamp(1, 4);
        let sets = avcc.sequence_parameter_sets.iter();
        for set in sets.chain(&avcc.picture_parameter_sets) {
            // Sets are some dozen bytes long; the format allows 65,535.
            let len = u32::try_from(set.len()).unwrap_or(u32::MAX).to_be_bytes();
            bytes.put_slice(&len[4 - width..]);
            bytes.put_slice(set);
        }
        bytes.freeze()
    }
}

/// A track with its tables.
pub(super) struct Track {
    /// Of its first samples: all but the tables is taken from it.
    pub(super) init: Init,
    pub(super) tables: Finished,
}

/// `ftyp`, `moov` and the head of an `mdat` of `data_len` bytes.
pub(super) fn write(tracks: Vec<Track>, data_len: u64) -> io::Result<Bytes> {
    let ftyp = Ftyp {
        major_brand: b"isom".into(),
        minor_version: 512,
        compatible_brands: vec![b"isom".into(), b"iso2".into(), b"mp41".into()],
    };
    let (mut moov, mut finished) = join(tracks);
    let mut encode = |base: u64, is_large: bool| {
        for (trak, tables) in moov.trak.iter_mut().zip(&mut finished) {
            tables.place(base, is_large);
            let stbl = &mut trak.mdia.minf.stbl;
            // Only these change from one time to the next.
            stbl.stco.clone_from(&tables.stbl.stco);
            stbl.co64.clone_from(&tables.stbl.co64);
        }
        let mut bytes = Vec::new();
        let written = ftyp
            .encode(&mut bytes)
            .and_then(|()| moov.encode(&mut bytes));
        written.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
        bytes.extend(mdat_head(data_len));
        Ok::<_, io::Error>(bytes)
    };
    // How long this is does not depend on what the offsets are, only on how wide they are.
    let base = encode(0, false)?.len() as u64;
    let is_large = base + data_len > u64::from(u32::MAX);
    let base = match is_large {
        true => encode(0, true)?.len() as u64,
        false => base,
    };
    Ok(encode(base, is_large)?.into())
}

/// The movie, whose tracks have all tables but the offsets.
fn join(tracks: Vec<Track>) -> (Moov, Vec<Finished>) {
    let mut moov = Moov::default();
    let mut duration_ms = 0;
    let mut finished = Vec::with_capacity(tracks.len());
    for (place, Track { init, mut tables }) in tracks.into_iter().enumerate() {
        if place == 0 {
            moov.mvhd = init.moov.mvhd;
        }
        duration_ms = tables.duration_ms.max(duration_ms);
        for mut trak in init.moov.trak {
            trak.tkhd.duration = tables.duration_ms;
            trak.edts = tables.edts.take();
            trak.mdia.mdhd.duration = tables.duration;
            trak.mdia.minf.stbl = std::mem::take(&mut tables.stbl);
            moov.trak.push(trak);
        }
        finished.push(tables);
    }
    moov.mvhd.timescale = TIMESCALE;
    moov.mvhd.duration = duration_ms;
    moov.mvhd.next_track_id = AUDIO_TRACK + 1;
    (moov, finished)
}

/// The length in 64 bits when 32 are too few.
fn mdat_head(data_len: u64) -> Vec<u8> {
    let short = u32::try_from(data_len.saturating_add(8));
    let mut head = short.unwrap_or(1).to_be_bytes().to_vec();
    head.extend(b"mdat");
    if short.is_err() {
        head.extend(data_len.saturating_add(16).to_be_bytes());
    }
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_of_the_data_says_its_length_in_as_many_bits_as_it_needs() {
        assert_eq!(mdat_head(1), [&[0, 0, 0, 9], &b"mdat"[..]].concat());
        let most = u64::from(u32::MAX) - 8;
        assert_eq!(mdat_head(most), [&[255; 4], &b"mdat"[..]].concat());
        let long = [&[0, 0, 0, 1], &b"mdat"[..], &[0, 0, 0, 1, 0, 0, 0, 8]].concat();
        assert_eq!(mdat_head(most + 1), long);
    }
}
