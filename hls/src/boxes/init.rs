//! `ftyp` and `moov`.

use bytes::Bytes;
use mp4_atom::{
    Codec, Dinf, Dref, DrefEntry, Encode, FourCC, Ftyp, Hdlr, Mdhd, Mdia, Minf, Moov, Mvex, Mvhd,
    Smhd, Stbl, Stco, Stsd, Tkhd, Trak, Trex, Url, Vmhd,
};

use super::track_id;
use crate::codec::Format;

/// The initialisation segment of a format (ISO/IEC 14496-12, 23000-19).
pub(crate) fn init(format: &Format, is_video: bool, timescale: u32) -> Bytes {
    let brand = |name: &[u8; 4]| FourCC::new(name);
    let ftyp = Ftyp {
        major_brand: brand(b"iso6"),
        minor_version: 0,
        compatible_brands: vec![brand(b"iso6"), brand(b"cmfc"), brand(b"mp41")],
    };
    let moov = Moov {
        mvhd: Mvhd {
            timescale: 1000,
            rate: 1.into(),
            volume: 1.into(),
            next_track_id: 3,
            ..Mvhd::default()
        },
        mvex: Some(Mvex {
            mehd: None,
            trex: vec![Trex {
                track_id: track_id(is_video),
                default_sample_description_index: 1,
                ..Trex::default()
            }],
        }),
        trak: vec![track(format, is_video, timescale)],
        ..Moov::default()
    };
    let mut bytes = Vec::new();
    ftyp.encode(&mut bytes)
        .and_then(|()| moov.encode(&mut bytes))
        .expect("lengths and versions of our own boxes are in range");
    bytes.into()
}

fn track(format: &Format, is_video: bool, timescale: u32) -> Trak {
    let pixels = |size: u32| u16::try_from(size).unwrap_or(u16::MAX).into();
    Trak {
        tkhd: Tkhd {
            track_id: track_id(is_video),
            enabled: true,
            in_movie: true,
            volume: if is_video { 0 } else { 1 }.into(),
            width: pixels(format.width),
            height: pixels(format.height),
            ..Tkhd::default()
        },
        mdia: Mdia {
            mdhd: Mdhd {
                timescale,
                language: String::from("und"),
                ..Mdhd::default()
            },
            hdlr: Hdlr {
                handler: FourCC::new(if is_video { b"vide" } else { b"soun" }),
                name: String::from(if is_video { "video" } else { "audio" }),
            },
            minf: Minf {
                vmhd: is_video.then(Vmhd::default),
                smhd: (!is_video).then(Smhd::default),
                dinf: Dinf {
                    dref: Dref {
                        entries: vec![DrefEntry::Url(Url::default())],
                    },
                },
                stbl: tables(format.entry.clone()),
                ..Minf::default()
            },
        },
        ..Trak::default()
    }
}

/// Empty tables: the samples are in the fragments.
fn tables(entry: Codec) -> Stbl {
    Stbl {
        stsd: Stsd {
            codecs: vec![entry],
        },
        stco: Some(Stco::default()),
        ..Stbl::default()
    }
}
