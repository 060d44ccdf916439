//! The MP4 file of a life, read back by another crate.

use std::fs;

use mp4_atom::{
    Any, Audio, Avc1, Avcc, Codec, Decode as _, Dinf, Dops, Dref, DrefEntry, Encode as _, Ftyp,
    Hdlr, Mdia, Mfhd, Minf, Moof, Moov, Mvex, Opus, Sidx, Smhd, Stbl, Stco, Stsd, Tfdt, Tfhd, Tkhd,
    Traf, Trak, Trex, Trun, TrunEntry, TrunSamples, Url, Visual, Vmhd,
};

use super::*;

const LIFE: &str = "00c0ffee";

/// Samples of a fragment, and fragments of a segment, here.
const SAMPLES: u32 = 5;
const PARTS: u32 = 2;

fn init(track_id: u32, entry: Codec) -> Bytes {
    let is_video = track_id == 1;
    let mut track = Trak {
        tkhd: Tkhd {
            track_id,
            enabled: true,
            in_movie: true,
            ..Tkhd::default()
        },
        mdia: Mdia {
            hdlr: Hdlr {
                handler: if is_video { b"vide" } else { b"soun" }.into(),
                name: String::new(),
            },
            minf: Minf {
                vmhd: is_video.then(Vmhd::default),
                smhd: (!is_video).then(Smhd::default),
                dinf: Dinf {
                    dref: Dref {
                        entries: vec![DrefEntry::Url(Url::default())],
                    },
                },
                stbl: Stbl {
                    stsd: Stsd {
                        codecs: vec![entry],
                    },
                    stco: Some(Stco::default()),
                    ..Stbl::default()
                },
                ..Minf::default()
            },
            ..Mdia::default()
        },
        ..Trak::default()
    };
    track.mdia.mdhd.timescale = if is_video { 90_000 } else { 48_000 };
    let moov = Moov {
        mvex: Some(Mvex {
            mehd: None,
            trex: vec![Trex {
                track_id,
                default_sample_description_index: 1,
                ..Trex::default()
            }],
        }),
        trak: vec![track],
        ..Moov::default()
    };
    let mut bytes = Vec::new();
    let ftyp = Ftyp {
        major_brand: b"iso6".into(),
        minor_version: 0,
        compatible_brands: Vec::new(),
    };
    ftyp.encode(&mut bytes).unwrap();
    moov.encode(&mut bytes).unwrap();
    bytes.into()
}

fn picture(sps: &[u8]) -> Codec {
    Codec::Avc1(Avc1 {
        visual: Visual {
            width: 1280,
            height: 720,
            data_reference_index: 1,
            ..Visual::default()
        },
        avcc: Avcc {
            configuration_version: 1,
            avc_profile_indication: sps[1],
            avc_level_indication: sps[3],
            length_size: 4,
            sequence_parameter_sets: vec![sps.to_vec()],
            picture_parameter_sets: vec![vec![0x68, 0xce]],
            ..Avcc::default()
        },
        ..Avc1::default()
    })
}

fn sound() -> Codec {
    Codec::Opus(Opus {
        audio: Audio {
            data_reference_index: 1,
            channel_count: 2,
            sample_size: 16,
            sample_rate: 48_000.into(),
        },
        dops: Dops {
            output_channel_count: 2,
            pre_skip: 312,
            input_sample_rate: 48_000,
            output_gain: 0,
            channel_mapping: None,
        },
        btrt: None,
    })
}

/// A segment of 2 s from `start_ms` on.
fn fragments(track_id: u32, msn: u64, start_ms: u64) -> hls::Segment {
    let timescale: u32 = if track_id == 1 { 90_000 } else { 48_000 };
    let per_sample = timescale * 2 / (SAMPLES * PARTS);
    let start = start_ms * u64::from(timescale) / 1000;
    let mut bytes = Vec::new();
    for part in 0..PARTS {
        let size = |sample: u32| 40 + sample + msn as u32;
        let samples = (0..SAMPLES).map(|sample| TrunEntry {
            duration: Some(per_sample),
            size: Some(size(sample)),
            flags: (track_id == 1).then_some(0),
            cts: None,
        });
        let moof = Moof {
            mfhd: Mfhd {
                sequence_number: 99,
            },
            traf: vec![Traf {
                tfhd: Tfhd {
                    track_id,
                    default_base_is_moof: true,
                    ..Tfhd::default()
                },
                tfdt: Some(Tfdt {
                    base_media_decode_time: start + u64::from(part * SAMPLES * per_sample),
                }),
                trun: vec![Trun {
                    data_offset: Some(1),
                    samples: TrunSamples::Explicit(samples.collect()),
                }],
                ..Traf::default()
            }],
        };
        moof.encode(&mut bytes).unwrap();
        let len: u32 = (0..SAMPLES).map(size).sum();
        bytes.extend((len + 8).to_be_bytes());
        bytes.extend(b"mdat");
        bytes.extend(vec![msn as u8; len as usize]);
    }
    hls::Segment {
        start: start as i64,
        duration: u64::from(timescale) * 2,
        timescale,
        parts: PARTS,
        date_ms: BEGIN_MS + start_ms,
        ..segment(msn, 0, bytes.into())
    }
}

fn send_init(desk: &mut Desk, rendition: &str, number: u32, bytes: Bytes) {
    desk.send(Entry::Init {
        life: LIFE.into(),
        info: info(rendition),
        number,
        bytes,
    });
}

/// A life with pictures and sound that begins at `start_ms`, and goes on `hole_ms` later after five segments.
fn record(start_ms: u64, hole_ms: u64) -> Desk {
    let mut desk = Desk::new(|_| {});
    desk.begin(LIFE, true);
    send_init(&mut desk, "video", 0, init(1, picture(&[0x67, 66, 0, 31])));
    send_init(&mut desk, "audio", 0, init(2, sound()));
    for place in 0..10 {
        let hole = if place < 5 { 0 } else { hole_ms };
        let at = start_ms + hole + place * 2000;
        desk.segment(LIFE, "video", fragments(1, place + 1, at));
        // Sound begins a little after the picture that it goes with.
        desk.segment(LIFE, "audio", fragments(2, place + 1, at + 13));
    }
    desk
}

struct Fragment {
    track_id: u32,
    at: u64,
    seconds: f64,
    data: Vec<u8>,
    sizes: u64,
}

/// The whole file, whatever ranges it is read in.
fn whole(file: &Mp4) -> Vec<u8> {
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < file.content_length() {
        let start = bytes.len() as u64;
        let some = file.read(start..file.content_length()).unwrap();
        assert!(!some.is_empty());
        bytes.extend(some);
    }
    assert_eq!(bytes.len() as u64, file.content_length());
    bytes
}

/// Reads the file back; sequence numbers must count.
fn read(bytes: &[u8]) -> (Moov, Sidx, u64, Vec<Fragment>) {
    let mut rest = bytes;
    let (mut moov, mut index, mut anchor) = (None, None, 0);
    let mut fragments: Vec<Fragment> = Vec::new();
    while !rest.is_empty() {
        let at = (bytes.len() - rest.len()) as u64;
        match Any::decode(&mut rest).unwrap() {
            Any::Ftyp(_) => assert_eq!(at, 0),
            Any::Moov(one) => moov = Some(one),
            Any::Sidx(one) => {
                index = Some(one);
                anchor = (bytes.len() - rest.len()) as u64;
            }
            Any::Moof(moof) => {
                assert_eq!(moof.mfhd.sequence_number as usize, fragments.len() + 1);
                let traf = &moof.traf[0];
                let track_id = traf.tfhd.track_id;
                let time = traf.tfdt.as_ref().unwrap().base_media_decode_time;
                let timescale = if track_id == 1 { 90_000.0 } else { 48_000.0 };
                let sizes = traf.trun[0].samples.iter();
                fragments.push(Fragment {
                    track_id,
                    at,
                    seconds: time as f64 / timescale,
                    data: Vec::new(),
                    sizes: sizes.map(|sample| u64::from(sample.size.unwrap())).sum(),
                });
            }
            Any::Mdat(mdat) => {
                let last = fragments.last_mut().unwrap();
                assert_eq!(
                    mdat.data.len() as u64,
                    last.sizes,
                    "the table fits the data"
                );
                last.data = mdat.data;
            }
            other => panic!("{other:?}"),
        }
    }
    (moov.unwrap(), index.unwrap(), anchor, fragments)
}

/// Times of each track begin near 0 and have no holes.
fn check_times(fragments: &[Fragment], seconds: f64) {
    for track_id in [1, 2] {
        let of_track = fragments.iter().filter(|one| one.track_id == track_id);
        let mut expected = 0.0;
        for fragment in of_track {
            let late = fragment.seconds - expected;
            assert!(
                (0.0..0.02).contains(&late),
                "track {track_id}: {late} s late"
            );
            expected = fragment.seconds + 1.0;
        }
        assert!(
            (expected - seconds).abs() < 0.03,
            "track {track_id}: {expected} s"
        );
    }
}

#[test]
fn the_file_has_both_tracks_by_time_from_zero_and_can_be_sought() {
    for (start_ms, hole_ms) in [(0, 0), (3_600_000, 0), (0, 1_200_000), (77_777, 3_333)] {
        let mut desk = record(start_ms, hole_ms);
        assert!(desk.archive.mp4(LIFE).unwrap().is_none(), "it still grows");
        desk.end(LIFE);
        let file = desk.archive.mp4(LIFE).unwrap().unwrap();
        let bytes = whole(&file);
        let (moov, sidx, anchor, fragments) = read(&bytes);
        let ids: Vec<u32> = moov.trak.iter().map(|track| track.tkhd.track_id).collect();
        assert_eq!(ids, [1, 2]);
        assert!(matches!(
            moov.trak[0].mdia.minf.stbl.stsd.codecs[0],
            Codec::Avc1(_)
        ));
        let mvex = moov.mvex.unwrap();
        assert_eq!(
            mvex.trex
                .iter()
                .map(|trex| trex.track_id)
                .collect::<Vec<_>>(),
            [1, 2]
        );
        let ms = mvex.mehd.unwrap().fragment_duration;
        assert!((20_000..20_030).contains(&ms), "{ms}");
        check_times(&fragments, 20.0);
        let order: Vec<f64> = fragments.chunks(4).map(|four| four[0].seconds).collect();
        assert!(order.is_sorted(), "interleaved by segment");
        assert_eq!(
            fragments
                .chunks(4)
                .filter(|four| four[0].track_id == 1)
                .count(),
            10
        );

        assert_eq!((sidx.reference_id, sidx.references.len()), (1, 10));
        let (mut at, mut time) = (anchor, sidx.earliest_presentation_time);
        for reference in &sidx.references {
            let fragment = fragments.iter().find(|one| one.at == at).unwrap();
            assert_eq!(fragment.track_id, 1);
            assert!((fragment.seconds - time as f64 / 90_000.0).abs() < 1e-9);
            at += u64::from(reference.referenced_size);
            time += u64::from(reference.subsegment_duration);
        }
        assert_eq!(at, bytes.len() as u64);
    }
}

#[test]
fn any_range_is_the_same_as_that_part_of_the_whole() {
    let mut desk = record(0, 5_000);
    desk.end(LIFE);
    let file = desk.restart().archive.mp4(LIFE).unwrap().unwrap();
    let bytes = whole(&file);
    let mut random = fastrand::Rng::with_seed(8);
    for _ in 0..500 {
        let start = random.usize(0..=bytes.len() + 3);
        let end = random.usize(start..=bytes.len() + 5);
        let got = file.read(start as u64..end as u64).unwrap();
        let expected = bytes.get(start..end.min(bytes.len())).unwrap_or_default();
        assert_eq!(got.is_empty(), expected.is_empty(), "{start}..{end}");
        assert!(expected.starts_with(&got), "{start}..{end}");
    }
    fs::remove_dir_all(desk.path(LIFE)).unwrap();
    let error = file
        .read(bytes.len() as u64 - 1..bytes.len() as u64)
        .unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
}

#[test]
fn when_the_parameters_change_they_stand_before_each_segment() {
    let mut desk = record(0, 0);
    let other = [0x67, 66, 0, 40, 1];
    send_init(&mut desk, "video", 1, init(1, picture(&other)));
    for msn in 11..13 {
        let after = hls::Segment {
            init: 1,
            ..fragments(1, msn, (msn - 1) * 2000)
        };
        desk.segment(LIFE, "video", after);
        desk.segment(LIFE, "audio", fragments(2, msn, (msn - 1) * 2000 + 13));
    }
    desk.end(LIFE);
    let file = desk.archive.mp4(LIFE).unwrap().unwrap();
    let (moov, sidx, anchor, fragments) = read(&whole(&file));
    assert!(matches!(
        moov.trak[0].mdia.minf.stbl.stsd.codecs[0],
        Codec::Avc3(_)
    ));
    check_times(&fragments, 24.0);
    let total: u64 = sidx
        .references
        .iter()
        .map(|one| u64::from(one.referenced_size))
        .sum();
    assert_eq!(anchor + total, file.content_length());
    let pictures: Vec<&Fragment> = fragments.iter().filter(|one| one.track_id == 1).collect();
    for (place, fragment) in pictures.iter().enumerate() {
        let first = [&[0, 0, 0, 4, 0x67, 66, 0, 31, 0, 0, 0, 2, 0x68, 0xce][..]].concat();
        let second = [&[0, 0, 0, 5][..], &other, &[0, 0, 0, 2, 0x68, 0xce]].concat();
        let expected = if place < 20 { &first } else { &second };
        assert_eq!(
            fragment.data.starts_with(expected),
            place % 2 == 0,
            "{place}"
        );
    }
}

#[test]
fn the_best_rendition_that_is_there_all_the_time_is_taken() {
    let check = |aac_from: u64, expected: bool| {
        let mut desk = record(0, 0);
        send_init(&mut desk, "aac", 0, init(2, sound()));
        for msn in aac_from..11 {
            let mut one = fragments(2, msn, (msn - 1) * 2000);
            one.bytes = [&one.bytes[..], &[0, 0, 0, 9, b'f', b'r', b'e', b'e', 1]]
                .concat()
                .into();
            desk.segment(LIFE, "aac", one);
        }
        desk.end(LIFE);
        let file = desk.archive.mp4(LIFE).unwrap().unwrap();
        let has_aac = whole(&file).windows(4).any(|name| name == b"free");
        assert_eq!(has_aac, expected, "aac from segment {aac_from}");
    };
    check(1, true);
    check(4, false);
}

#[test]
fn sound_alone_is_a_file_too_and_nonsense_is_none() {
    let mut desk = Desk::new(|_| {});
    desk.begin(LIFE, true);
    send_init(&mut desk, "audio", 0, init(2, sound()));
    desk.segments(LIFE, "video", 1..5);
    for msn in 1..5 {
        desk.segment(LIFE, "audio", fragments(2, msn, (msn - 1) * 2000));
    }
    desk.end(LIFE);
    let file = desk.archive.mp4(LIFE).unwrap().unwrap();
    let (moov, sidx, _, fragments) = read(&whole(&file));
    assert_eq!(
        moov.trak.len(),
        1,
        "the initialisation segment of the pictures is none"
    );
    assert_eq!(sidx.reference_id, 2);
    assert_eq!(fragments.len(), 8);

    desk.begin("0000beef", true);
    desk.segments("0000beef", "video", 1..5);
    desk.end("0000beef");
    assert!(desk.archive.mp4("0000beef").unwrap().is_none());
    assert!(desk.archive.mp4("0000dead").unwrap().is_none());
}
