//! The boxes before the fragments: those of the tracks' own initialisation segments, put together.

use std::io;

use bytes::{BufMut as _, Bytes, BytesMut};
use mp4_atom::{Any, Avc3, Avcc, Codec, Decode as _, Encode as _, Ftyp, Mehd, Moov, Mvex, Sidx};

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

    fn codec(&self) -> Option<&Codec> {
        self.moov.trak.first()?.mdia.minf.stbl.stsd.codecs.first()
    }

    fn avcc(&self) -> Option<&Avcc> {
        match self.codec()? {
            Codec::Avc1(entry) => Some(&entry.avcc),
            Codec::Avc3(entry) => Some(&entry.avcc),
            _ => None,
        }
    }

    /// Whether both are of one codec, so that one sample entry can stand for both.
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

    /// From here on, parameter sets stand in the samples.
    pub(super) fn make_in_band(&mut self) {
        let codecs = self
            .moov
            .trak
            .first_mut()
            .map(|track| &mut track.mdia.minf.stbl.stsd.codecs);
        for codec in codecs.into_iter().flatten() {
            if let Codec::Avc1(entry) = codec {
                let entry = std::mem::take(entry);
                *codec = Codec::Avc3(Avc3 {
                    visual: entry.visual,
                    avcc: entry.avcc,
                    btrt: entry.btrt,
                    colr: entry.colr,
                    pasp: entry.pasp,
                    taic: entry.taic,
                    fiel: entry.fiel,
                    spatial: entry.spatial,
                });
            }
        }
    }
}

/// `ftyp`, `moov` and `sidx`.
pub(super) fn write(tracks: Vec<Init>, duration_ms: u64, sidx: &Sidx) -> io::Result<Bytes> {
    let mut moov = Moov::default();
    let mut mvex = Mvex {
        mehd: Some(Mehd {
            fragment_duration: duration_ms,
        }),
        trex: Vec::new(),
    };
    for (place, track) in tracks.into_iter().enumerate() {
        if place == 0 {
            moov.mvhd = track.moov.mvhd;
        }
        for mut trak in track.moov.trak {
            trak.tkhd.duration = duration_ms;
            trak.edts = None;
            moov.trak.push(trak);
        }
        mvex.trex
            .extend(track.moov.mvex.into_iter().flat_map(|mvex| mvex.trex));
    }
    moov.mvhd.timescale = TIMESCALE;
    moov.mvhd.duration = duration_ms;
    moov.mvhd.next_track_id = AUDIO_TRACK + 1;
    moov.mvex = Some(mvex);
    let ftyp = Ftyp {
        major_brand: b"iso6".into(),
        minor_version: 0,
        compatible_brands: vec![b"iso6".into(), b"cmfc".into(), b"mp41".into()],
    };
    let mut bytes = Vec::new();
    let written = ftyp
        .encode(&mut bytes)
        .and_then(|()| moov.encode(&mut bytes))
        .and_then(|()| sidx.encode(&mut bytes));
    written.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
    Ok(bytes.into())
}
