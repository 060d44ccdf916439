//! Keyframes of the demo clip and of an encoder, whole and broken.

use mp4_atom::{Atom, Codec, Header, Moov, ReadAtom, ReadFrom, StszSamples};
use openh264::encoder::Encoder as H264Encoder;
use openh264::formats::YUVBuffer;

use super::*;

/// The clip of the built-in performer.
const CLIP: &[u8] = include_bytes!("../../../../assets/demo.mp4");

/// NAL units without their start codes.
fn split(annex_b: &[u8]) -> Vec<Vec<u8>> {
    let mut nals: Vec<Vec<u8>> = Vec::new();
    let mut at = 0;
    while at < annex_b.len() {
        let rest = &annex_b[at..];
        if rest.starts_with(&[0, 0, 0, 1]) || rest.starts_with(&[0, 0, 1]) {
            at += if rest[2] == 1 { 3 } else { 4 };
            nals.push(Vec::new());
        } else {
            nals.last_mut().unwrap().push(rest[0]);
            at += 1;
        }
    }
    nals
}

fn join(nals: &[Vec<u8>]) -> Vec<u8> {
    let with_length = |nal: &Vec<u8>| [&(nal.len() as u32).to_be_bytes()[..], nal].concat();
    nals.iter().flat_map(with_length).collect()
}

/// The first keyframes of the demo clip.
fn keyframes(count: usize) -> Vec<Vec<Vec<u8>>> {
    let moov = moov();
    let tables = moov.trak.iter().map(|trak| &trak.mdia.minf.stbl);
    let mut video = tables.filter_map(|table| match table.stsd.codecs.first() {
        Some(Codec::Avc1(entry)) => Some((table, &entry.avcc)),
        _ => None,
    });
    let (table, avcc) = video.next().unwrap();
    let StszSamples::Different { sizes } = &table.stsz.samples else {
        panic!("the pictures differ in size");
    };
    let chunks = &table.stco.as_ref().unwrap().entries;
    let runs = &table.stsc.entries;
    let mut places = Vec::new();
    for (number, chunk) in (1..).zip(chunks) {
        let run = runs.iter().rfind(|run| run.first_chunk <= number).unwrap();
        let mut at = *chunk as usize;
        for _ in 0..run.samples_per_chunk {
            let end = at + sizes[places.len()] as usize;
            places.push(at..end);
            at = end;
        }
    }
    let sets = [&avcc.sequence_parameter_sets, &avcc.picture_parameter_sets];
    let sets: Vec<Vec<u8>> = sets.into_iter().flatten().cloned().collect();
    let keyframe = |place: &std::ops::Range<usize>| {
        let units = nals(&CLIP[place.clone()]).map(|nal| nal.unwrap().to_vec());
        sets.iter().cloned().chain(units).collect()
    };
    places
        .iter()
        .step_by(30)
        .take(count)
        .map(keyframe)
        .collect()
}

fn moov() -> Moov {
    let mut rest = CLIP;
    loop {
        let header = Header::read_from(&mut rest).unwrap();
        if header.kind == Moov::KIND {
            return Moov::read_atom(&header, &mut rest).unwrap();
        }
        rest = &rest[header.size.unwrap()..];
    }
}

/// A keyframe whose upper half is black and whose lower half is white.
fn halves(width: usize, height: usize) -> Vec<Vec<u8>> {
    let mut planes = vec![128; width * height * 3 / 2];
    planes[..width * height / 2].fill(16);
    planes[width * height / 2..width * height].fill(235);
    let mut encoder = H264Encoder::new().unwrap();
    let stream = encoder.encode(&YUVBuffer::from_vec(planes, width, height));
    split(&stream.unwrap().to_vec())
}

fn thumbnailer() -> Thumbnailer {
    Thumbnailer::new().unwrap()
}

/// Width and height that a baseline JPEG says, if it is whole.
fn dimensions(jpeg: &[u8]) -> Option<(u16, u16)> {
    if !jpeg.starts_with(&[0xff, 0xd8]) || !jpeg.ends_with(&[0xff, 0xd9]) {
        return None;
    }
    let mut at = 2;
    while let [0xff, marker, high, low, ..] = jpeg[at..] {
        if marker == 0xc0 {
            let number = |i: usize| u16::from_be_bytes([jpeg[at + i], jpeg[at + i + 1]]);
            return Some((number(7), number(5)));
        }
        at += 2 + usize::from(u16::from_be_bytes([high, low]));
    }
    None
}

#[test]
fn each_keyframe_of_the_demo_clip_becomes_a_picture_of_its_own() {
    let mut thumbnailer = thumbnailer();
    let mut jpegs = Vec::new();
    for nals in keyframes(12) {
        let picture = thumbnailer.picture(&join(&nals)).unwrap();
        let luma = || picture.pixels.iter().step_by(3);
        let spread = luma().max().unwrap() - luma().min().unwrap();
        assert!(spread > 100, "luma differs by {spread} only");
        let jpeg = thumbnailer.jpeg(&join(&nals)).unwrap();
        assert_eq!(dimensions(&jpeg), Some((320, 180)));
        jpegs.push(jpeg);
    }
    let sizes: Vec<usize> = jpegs.iter().map(|jpeg| jpeg.len()).collect();
    eprintln!("bytes: {sizes:?}");
    assert!(sizes.iter().all(|size| (2_000..=25_000).contains(size)));
    jpegs.dedup();
    assert_eq!(jpegs.len(), 12);
}

#[test]
fn pictures_of_every_shape_keep_it() {
    let mut thumbnailer = thumbnailer();
    for ((width, height), expected) in [
        ((1_280, 720), (320, 180)),
        ((360, 640), (320, 568)),
        ((1_918, 1_078), (320, 179)),
        ((160, 120), (160, 120)),
    ] {
        let picture = thumbnailer.picture(&join(&halves(width, height))).unwrap();
        assert_eq!((picture.width, picture.height), expected);
        let row = |row: u16| &picture.pixels[usize::from(row) * 3 * usize::from(expected.0)..][..3];
        let is_near = |pixel: &[u8], y: u8| {
            let near = |a: u8, b: u8| a.abs_diff(b) <= 4;
            near(pixel[0], y) && near(pixel[1], 128) && near(pixel[2], 128)
        };
        assert!(is_near(row(5), 0) && is_near(row(expected.1 - 5), 255));
        let jpeg = thumbnailer.jpeg(&join(&halves(width, height))).unwrap();
        assert_eq!(dimensions(&jpeg), Some(expected));
    }
}

#[test]
fn noise_is_compressed_until_it_is_small_enough() {
    let mut random = fastrand::Rng::with_seed(4);
    let (width, height) = (320, 480);
    let pixels = (0..3 * 320 * 480).map(|_| random.u8(..)).collect();
    let jpeg = encode(&Picture {
        width,
        height,
        pixels,
    })
    .unwrap();
    let calm = encode(&Picture {
        width,
        height,
        pixels: vec![90; 3 * 320 * 480],
    })
    .unwrap();
    eprintln!(
        "noise has {} bytes, an even area {}",
        jpeg.len(),
        calm.len()
    );
    assert!(jpeg.len() < 100_000 && calm.len() < 5_000);
}

#[test]
fn keyframes_that_lack_something_are_refused() {
    let nals = keyframes(1).remove(0);
    let without = |kind: NalType| {
        let kept = nals.iter().filter(|nal| NalType::of(nal) != Some(kind));
        join(&kept.cloned().collect::<Vec<_>>())
    };
    let cut = |bytes: usize| join(&nals)[..bytes].to_vec();
    for broken in [
        without(NalType::SPS),
        without(NalType::PPS),
        without(NalType::IDR),
        Vec::new(),
        cut(3),
        cut(10),
        cut(join(&nals).len() - 1),
        vec![0; ACCESS_UNIT_MAX + 1],
        [0; 4].repeat(NALS_MAX + 1),
    ] {
        let refused = thumbnailer().jpeg(&broken);
        assert!(
            matches!(refused, Err(ThumbnailError::Malformed(_))),
            "{refused:?}"
        );
    }
}

#[test]
fn nothing_passes_behind_a_start_code() {
    let mut nals = keyframes(1).remove(0);
    let hidden = [&[0, 0, 1][..], &nals[0]].concat();
    nals[1].extend_from_slice(&hidden);
    let refused = thumbnailer().jpeg(&join(&nals));
    assert!(
        matches!(refused, Err(ThumbnailError::Malformed(_))),
        "{refused:?}"
    );
}

#[test]
fn what_is_too_large_or_unknown_is_refused_before_it_is_decoded() {
    let too_large = |width, height, references| {
        let colours = scale::Colours {
            is_full_range: false,
            is_bt709: true,
        };
        let sps = Sps {
            width,
            height,
            coded: (width, height),
            references,
            colours,
        };
        matches!(check_size(&sps), Err(ThumbnailError::TooLarge { .. }))
    };
    for size in [
        (4_096, 2_304, 5),
        (2_304, 4_096, 5),
        (1_920, 1_088, 16),
        (16, 16, 16),
    ] {
        assert!(!too_large(size.0, size.1, size.2), "{size:?}");
    }
    for size in [
        (4_112, 16, 1),
        (4_096, 2_320, 1),
        (16, 4_112, 1),
        (4_096, 2_304, 6),
    ] {
        assert!(too_large(size.0, size.1, size.2), "{size:?}");
    }
}

#[test]
fn broken_keyframes_do_no_harm() {
    let seed = 0x7468_756d;
    eprintln!("seed {seed:#x}");
    let mut random = fastrand::Rng::with_seed(seed);
    let whole = [keyframes(2), vec![halves(64, 64), halves(320, 180)]].concat();
    let mut thumbnailer = thumbnailer();
    let (mut pictures, mut refused) = (0, 0);
    for _ in 0..600 {
        let mut nals = whole[random.usize(..whole.len())].clone();
        for _ in 0..random.usize(1..4) {
            let index = random.usize(..nals.len());
            let length = nals[index].len();
            match random.u8(..8) {
                0 => nals[index].truncate(random.usize(..=length)),
                1 => nals.swap(0, index),
                2 => nals.push(whole[random.usize(..whole.len())][0].clone()),
                3 => nals[index].extend((0..random.usize(..50)).map(|_| random.u8(..))),
                _ if length > 1 => {
                    // Mostly near the front, where the headers are.
                    let end = if random.bool() {
                        length.min(24)
                    } else {
                        length
                    };
                    nals[index][random.usize(1..end)] ^= 1 << random.u8(..8);
                }
                _ => {}
            }
        }
        match thumbnailer.jpeg(&join(&nals)) {
            Ok(jpeg) => {
                assert!(dimensions(&jpeg).is_some_and(|(width, _)| width <= 320));
                pictures += 1;
            }
            Err(_) => refused += 1,
        }
    }
    eprintln!("{pictures} pictures, {refused} refusals");
    assert!(pictures > 20 && refused > 20);
    assert!(thumbnailer.jpeg(&join(&whole[0])).is_ok());
}
