//! The MP4 file of a life, read back by another crate.

use std::fs;

use mp4_atom::{
    Any, Audio, Avc1, Avcc, Codec, Decode as _, Dinf, Dops, Dref, DrefEntry, Encode as _, Ftyp,
    Hdlr, Mdia, Mfhd, Minf, Moof, Moov, Mvex, Opus, Smhd, Stbl, Stco, Stsd, StszSamples, Tfdt,
    Tfhd, Tkhd, Traf, Trak, Trex, Trun, TrunEntry, TrunSamples, Url, Visual, Vmhd,
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

/// The bytes of a sample: whose it is, and no start of a parameter set.
fn content_of(track_id: u32, msn: u64, part: u32, sample: u32, size: u32) -> Vec<u8> {
    let head = [track_id as u8, msn as u8, part as u8, sample as u8];
    head.into_iter().cycle().take(size as usize).collect()
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
            flags: (track_id == 1).then_some(if sample == 0 {
                0x0200_0000
            } else {
                0x0101_0000
            }),
            cts: None,
        });
        let mut moof = Moof {
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
                    data_offset: Some(0),
                    samples: TrunSamples::Explicit(samples.collect()),
                }],
                ..Traf::default()
            }],
        };
        let mut alone = Vec::new();
        moof.encode(&mut alone).unwrap();
        moof.traf[0].trun[0].data_offset = Some(alone.len() as i32 + 8);
        moof.encode(&mut bytes).unwrap();
        let len: u32 = (0..SAMPLES).map(size).sum();
        bytes.extend((len + 8).to_be_bytes());
        bytes.extend(b"mdat");
        for sample in 0..SAMPLES {
            bytes.extend(content_of(track_id, msn, part, sample, size(sample)));
        }
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

/// A sample as the tables tell it.
#[derive(Debug)]
struct Written {
    seconds: f64,
    lasts: f64,
    /// The number of its sample entry.
    description: u32,
    is_sync: bool,
    at: u64,
    data: Vec<u8>,
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

/// Reads the file back: `moov`, and the samples of each track. Everything in `mdat` must be a sample's, once.
fn read(bytes: &[u8]) -> (Moov, Vec<Vec<Written>>) {
    let mut rest = bytes;
    let Any::Ftyp(_) = Any::decode(&mut rest).unwrap() else {
        panic!("ftyp comes first");
    };
    let Any::Moov(moov) = Any::decode(&mut rest).unwrap() else {
        panic!("moov comes before the media");
    };
    assert_eq!(&rest[4..8], b"mdat");
    assert_eq!(
        rest[..4],
        u32::try_from(rest.len()).unwrap().to_be_bytes(),
        "mdat is the rest"
    );
    let begin = (bytes.len() - rest.len() + 8) as u64;
    let tracks: Vec<Vec<Written>> = moov.trak.iter().map(|trak| samples(trak, bytes)).collect();
    let mut places: Vec<(u64, usize)> = tracks
        .iter()
        .flatten()
        .map(|one| (one.at, one.data.len()))
        .collect();
    places.sort_unstable();
    let mut at = begin;
    for (place, len) in places {
        assert_eq!(place, at);
        at += len as u64;
    }
    assert_eq!(at, bytes.len() as u64);
    (moov, tracks)
}

fn samples(trak: &Trak, bytes: &[u8]) -> Vec<Written> {
    let stbl = &trak.mdia.minf.stbl;
    let timescale = f64::from(trak.mdia.mdhd.timescale);
    let StszSamples::Different { sizes } = &stbl.stsz.samples else {
        panic!("sizes differ");
    };
    let runs = stbl.stts.entries.iter();
    let deltas: Vec<u32> = runs
        .flat_map(|run| vec![run.sample_delta; run.sample_count as usize])
        .collect();
    assert_eq!(deltas.len(), sizes.len());
    let elst = trak.edts.as_ref().and_then(|edts| edts.elst.as_ref());
    let edits = elst.map_or(&[][..], |elst| &elst.entries);
    let empty = edits.iter().filter(|edit| edit.media_time.is_none());
    let mut seconds = empty
        .map(|edit| edit.segment_duration as f64 / 1000.0)
        .sum::<f64>();
    let stco = &stbl.stco.as_ref().unwrap().entries;
    let mut written = Vec::new();
    for (chunk, at) in stco.iter().enumerate() {
        let number = chunk as u32 + 1;
        let entry = stbl
            .stsc
            .entries
            .iter()
            .rfind(|entry| entry.first_chunk <= number)
            .unwrap();
        let mut at = *at as usize;
        for _ in 0..entry.samples_per_chunk {
            let place = written.len();
            let size = sizes[place] as usize;
            let lasts = f64::from(deltas[place]) / timescale;
            let sync = stbl.stss.as_ref().map(|stss| &stss.entries);
            written.push(Written {
                seconds,
                lasts,
                description: entry.sample_description_index,
                is_sync: sync.is_none_or(|sync| sync.contains(&(place as u32 + 1))),
                at: at as u64,
                data: bytes[at..at + size].to_vec(),
            });
            seconds += lasts;
            at += size;
        }
    }
    assert_eq!(written.len(), sizes.len());
    written
}

/// Each track is there from the beginning to `seconds`, and each sample is what was recorded, `per_s` of them in a second.
fn check_times(samples: &[Written], track_id: u8, seconds: f64) {
    let per_s = f64::from(SAMPLES * PARTS) / 2.0;
    let mut recorded = samples.iter().filter(|one| one.data[0] == track_id);
    let mut expected = 0.0;
    for msn in 1..=(seconds / 2.0).round() as u8 {
        for place in 0..SAMPLES * PARTS {
            let one = recorded.next().unwrap();
            let head = [
                track_id,
                msn,
                (place / SAMPLES) as u8,
                (place % SAMPLES) as u8,
            ];
            assert_eq!(one.data[..4], head);
            let late = one.seconds - expected;
            assert!(
                (-0.001..0.02).contains(&late),
                "track {track_id}: {late} s late"
            );
            expected = one.seconds + 1.0 / per_s;
        }
    }
    assert!(recorded.next().is_none());
    assert!(
        (expected - seconds).abs() < 0.03,
        "track {track_id}: {expected} s"
    );
}

#[test]
fn the_file_has_both_tracks_by_time_from_zero_and_its_tables_before_them() {
    for (start_ms, hole_ms) in [(0, 0), (3_600_000, 0), (0, 1_200_000), (77_777, 3_333)] {
        let mut desk = record(start_ms, hole_ms);
        assert!(desk.archive.mp4(LIFE).unwrap().is_none(), "it still grows");
        desk.end(LIFE);
        assert!(desk.archive.mp4_at_hand(LIFE).is_none());
        let file = desk.archive.mp4(LIFE).unwrap().unwrap();
        let bytes = whole(&file);
        assert_eq!(whole(&desk.archive.mp4_at_hand(LIFE).unwrap()), bytes);
        let (moov, tracks) = read(&bytes);
        assert!(moov.mvex.is_none(), "no fragments");
        let ids: Vec<u32> = moov.trak.iter().map(|track| track.tkhd.track_id).collect();
        assert_eq!(ids, [1, 2]);
        let codecs = &moov.trak[0].mdia.minf.stbl.stsd.codecs;
        assert!(matches!(codecs.as_slice(), [Codec::Avc1(_)]));
        assert!((20_000..20_030).contains(&moov.mvhd.duration));
        check_times(&tracks[0], 1, 20.0);
        check_times(&tracks[1], 2, 20.0);
        // The sound was 13 ms behind the picture, and is all along.
        for (picture, sound) in tracks[0].iter().zip(&tracks[1]) {
            let apart = sound.seconds - picture.seconds;
            assert!((apart - 0.013).abs() < 0.001, "{apart} s apart");
        }
        let sync = tracks[0].iter().filter(|one| one.is_sync).count();
        assert_eq!(sync, 20, "one in each fragment");
        // Who reads on finds both tracks' next second within a second.
        let mut both: Vec<&Written> = tracks.iter().flatten().collect();
        both.sort_by_key(|one| one.at);
        for pair in both.windows(2) {
            assert!((pair[1].seconds - pair[0].seconds).abs() < 1.1, "{pair:?}");
        }
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
fn when_the_parameters_change_there_are_two_entries_and_they_stand_before_keyframes_too() {
    let mut desk = record(0, 0);
    let other = [0x67, 66, 0, 40, 1];
    send_init(&mut desk, "video", 1, init(1, picture(&other)));
    for msn in 11..15 {
        if msn == 13 {
            // As the first ones again, which needs no third entry.
            send_init(&mut desk, "video", 2, init(1, picture(&[0x67, 66, 0, 31])));
        }
        let after = hls::Segment {
            init: if msn < 13 { 1 } else { 2 },
            ..fragments(1, msn, (msn - 1) * 2000)
        };
        desk.segment(LIFE, "video", after);
        desk.segment(LIFE, "audio", fragments(2, msn, (msn - 1) * 2000 + 13));
    }
    desk.end(LIFE);
    let file = desk.archive.mp4(LIFE).unwrap().unwrap();
    let (moov, tracks) = read(&whole(&file));
    let entries: Vec<&[u8]> = moov.trak[0]
        .mdia
        .minf
        .stbl
        .stsd
        .codecs
        .iter()
        .map(|codec| match codec {
            Codec::Avc1(entry) => entry.avcc.sequence_parameter_sets[0].as_slice(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(entries, [&[0x67, 66, 0, 31][..], &other]);
    let first = [&[0, 0, 0, 4, 0x67, 66, 0, 31, 0, 0, 0, 2, 0x68, 0xce][..]].concat();
    let second = [&[0, 0, 0, 5][..], &other, &[0, 0, 0, 2, 0x68, 0xce]].concat();
    let mut stripped = Vec::new();
    for (place, mut sample) in tracks.into_iter().next().unwrap().into_iter().enumerate() {
        let (description, sets) = match place {
            100..120 => (2, &second),
            _ => (1, &first),
        };
        assert_eq!(
            (sample.description, sample.is_sync),
            (description, place % 5 == 0),
            "{place}"
        );
        if sample.is_sync {
            assert!(sample.data.starts_with(sets), "{place}");
            sample.data.drain(..sets.len());
        }
        stripped.push(sample);
    }
    check_times(&stripped, 1, 28.0);
}

#[test]
fn a_hole_in_the_sound_is_silence_and_one_in_the_picture_a_long_picture() {
    let mut desk = record(0, 0);
    // 4 s without sound, then 2 s without pictures, then both again.
    for msn in [11, 12, 14] {
        desk.segment(LIFE, "video", fragments(1, msn, (msn - 1) * 2000));
    }
    for msn in [13, 14] {
        desk.segment(LIFE, "audio", fragments(2, msn, (msn - 1) * 2000 + 13));
    }
    desk.end(LIFE);
    let (_, tracks) = read(&whole(&desk.archive.mp4(LIFE).unwrap().unwrap()));
    let [pictures, sounds] = tracks.as_slice() else {
        panic!("two tracks");
    };
    assert_eq!(pictures.len(), 130);
    assert!((pictures[119].lasts - 2.2).abs() < 0.001, "{pictures:?}");
    assert!((pictures[120].seconds - 26.0).abs() < 0.001);
    let is_silent = |one: &&Written| one.data == [0xfc, 0xff, 0xfe];
    let silence: Vec<&Written> = sounds.iter().filter(is_silent).collect();
    assert_eq!(silence.len(), 200, "4 s of 20 ms");
    assert!((silence[0].seconds - 20.013).abs() < 0.001);
    let next = sounds.iter().find(|one| one.data[..2] == [2, 13]).unwrap();
    assert!((next.seconds - 24.013).abs() < 0.001, "{}", next.seconds);
    let least = sounds.iter().map(|one| one.lasts).fold(f64::MAX, f64::min);
    assert!(least > 0.0199, "no sound is cut: {least}");
}

#[test]
fn what_changed_is_another_file_and_one_that_is_too_long_is_none() {
    let mut desk = record(0, 0);
    desk.end(LIFE);
    let before = desk.archive.mp4(LIFE).unwrap().unwrap().content_length();
    desk.keep(LIFE, false);
    assert!(desk.archive.mp4_at_hand(LIFE).is_none(), "it is made anew");
    assert_eq!(
        desk.archive.mp4(LIFE).unwrap().unwrap().content_length(),
        before
    );
    let (model, _) = mend::load(&desk.path(LIFE)).unwrap();
    let plan = |most| Mp4::plan(&desk.path(LIFE), &model, most);
    assert!(plan(200).unwrap().is_some());
    let error = plan(199).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::FileTooLarge);
    assert_eq!(error.to_string(), "more than 199 samples");
}

#[test]
fn the_best_rendition_that_is_there_all_the_time_is_taken() {
    let check = |aac_from: u64, expected: bool| {
        let mut desk = record(0, 0);
        send_init(&mut desk, "aac", 0, init(2, sound()));
        for msn in aac_from..11 {
            let mut one = fragments(2, msn, (msn - 1) * 2000);
            // What comes from here is known by its last byte.
            let mut bytes = one.bytes.to_vec();
            *bytes.last_mut().unwrap() = 0xaa;
            one.bytes = bytes.into();
            desk.segment(LIFE, "aac", one);
        }
        desk.end(LIFE);
        let (_, tracks) = read(&whole(&desk.archive.mp4(LIFE).unwrap().unwrap()));
        let has_aac = tracks[1].last().unwrap().data.ends_with(&[0xaa]);
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
    let (moov, tracks) = read(&whole(&file));
    assert_eq!(
        moov.trak.len(),
        1,
        "the initialisation segment of the pictures is none"
    );
    assert_eq!(moov.trak[0].tkhd.track_id, 2);
    check_times(&tracks[0], 2, 8.0);

    desk.begin("0000beef", true);
    desk.segments("0000beef", "video", 1..5);
    desk.end("0000beef");
    assert!(desk.archive.mp4("0000beef").unwrap().is_none());
    assert!(desk.archive.mp4("0000dead").unwrap().is_none());
}

#[test]
fn a_segment_that_is_none_is_left_out_and_the_rest_stays_in_its_time() {
    let mut desk = record(0, 0);
    let torn = hls::Segment {
        bytes: Bytes::from_static(b"no fragments at all"),
        ..fragments(1, 11, 20_000)
    };
    desk.segment(LIFE, "video", torn);
    desk.segment(LIFE, "video", fragments(1, 12, 22_000));
    desk.end(LIFE);
    let (_, tracks) = read(&whole(&desk.archive.mp4(LIFE).unwrap().unwrap()));
    assert_eq!(tracks[0].len(), 110);
    assert!((tracks[0][100].seconds - 22.0).abs() < 0.001);
}
