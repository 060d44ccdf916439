//! The boxes, read back.

use bytes::Bytes;
use hls::{CodecKind, Frame, Output, Packager, Part, Settings, TrackConfig};
use mp4_atom::{Codec, Decode, Ftyp, Moov};

use crate::rules::Fragment;
use crate::source::Camera;

/// When each sample of a part is shown, in ticks.
pub(crate) fn presentation_times(part: &Part) -> Vec<i64> {
    let fragments = Fragment::all(&part.bytes).expect("a part is fragments");
    let mut time = part.start;
    let samples = fragments.iter().flat_map(Fragment::samples);
    let shown = samples.map(|sample| {
        let show = time + sample.cts.unwrap_or(0);
        time += i64::from(sample.duration.expect("every sample says its duration"));
        show
    });
    shown.collect()
}

/// The first initialisation segment and part of one frame after the other.
fn package(codec: CodecKind, frames: &[Bytes]) -> (Bytes, Bytes) {
    let mut packager = Packager::new(Settings::default(), String::from("0badcafe"), 0);
    packager.begin(vec![TrackConfig {
        rendition: String::from("one"),
        codec,
        channels: if codec.is_video() { 0 } else { 2 },
        config: Bytes::new(),
    }]);
    for (place, data) in frames.iter().enumerate() {
        packager.push(
            0,
            Frame {
                pts: place as i64 * 1000,
                keyframe: place == 0,
                data: data.clone(),
                duration: Some(1000),
            },
        );
    }
    packager.end();
    let (mut init, mut part) = (None, None);
    while let Some(output) = packager.poll() {
        match output {
            Output::Init { bytes, .. } => init = init.or(Some(bytes)),
            Output::Part(first) => part = part.or(Some(first.bytes.clone())),
            _ => {}
        }
    }
    (init.expect("an init"), part.expect("a part"))
}

fn entry(init: &[u8]) -> (Moov, Codec) {
    let mut rest = init;
    let ftyp = Ftyp::decode(&mut rest).expect("an ftyp");
    assert_eq!(ftyp.major_brand.to_string(), "iso6");
    let moov = Moov::decode(&mut rest).expect("a moov");
    assert!(rest.is_empty());
    let codec = moov.trak[0].mdia.minf.stbl.stsd.codecs[0].clone();
    (moov, codec)
}

fn film(codec: CodecKind) -> (Moov, Codec) {
    let mut camera = Camera::new(codec, 640, 368);
    let frames: Vec<Bytes> = (0..3)
        .flat_map(|place| camera.picture(place == 0, 20))
        .collect();
    let (moov, codec) = entry(&package(codec, &frames).0);
    let track = &moov.trak[0];
    assert_eq!(track.tkhd.track_id, 1);
    assert_eq!(
        (track.tkhd.width.integer(), track.tkhd.height.integer()),
        (640, 368)
    );
    assert_eq!(track.mdia.mdhd.timescale, 90_000);
    let mvex = moov.mvex.as_ref().expect("the samples are in fragments");
    assert_eq!(mvex.trex[0].track_id, 1);
    (moov, codec)
}

#[test]
fn each_picture_format_has_its_sample_entry() {
    let Codec::Avc1(h264) = film(CodecKind::H264).1 else {
        panic!("H.264 is avc1")
    };
    assert_eq!(h264.avcc.avc_profile_indication, 66);
    assert_eq!(h264.avcc.sequence_parameter_sets.len(), 1);
    assert_eq!(h264.avcc.picture_parameter_sets.len(), 1);
    let Codec::Vp09(vp9) = film(CodecKind::Vp9).1 else {
        panic!("VP9 is vp09")
    };
    assert_eq!((vp9.vpcc.profile, vp9.vpcc.bit_depth), (0, 8));
    let Codec::Av01(av1) = film(CodecKind::Av1).1 else {
        panic!("AV1 is av01")
    };
    assert_eq!((av1.visual.width, av1.visual.height), (640, 368));
    assert!(av1.av1c.chroma_subsampling_x && av1.av1c.chroma_subsampling_y);
}

#[test]
fn each_sound_format_has_its_sample_entry() {
    let packets = vec![Bytes::from_static(&[0xfc, 1]); 3];
    let (moov, codec) = entry(&package(CodecKind::Opus, &packets).0);
    let Codec::Opus(opus) = codec else {
        panic!("Opus is Opus")
    };
    assert_eq!((opus.dops.output_channel_count, opus.dops.pre_skip), (2, 0));
    assert_eq!(moov.trak[0].tkhd.track_id, 2);
    assert_eq!(moov.trak[0].mdia.mdhd.timescale, 48_000);
    let Codec::Mp4a(aac) = entry(&package(CodecKind::Aac, &packets).0).1 else {
        panic!("AAC is mp4a")
    };
    let specific = aac.esds.es_desc.dec_config.dec_specific.unwrap();
    assert_eq!(specific.raw, [0x11, 0x90]);
}

/// Byte for byte, so that no change of the boxes goes unnoticed: what players have cached must stay what it was.
#[test]
fn a_part_is_what_it_was() {
    let packets = vec![
        Bytes::from_static(&[0xfc, 1, 2]),
        Bytes::from_static(&[0xfc, 3]),
    ];
    let (_, part) = package(CodecKind::Opus, &packets);
    let golden: &[u8] = b"\0\0\0\x6c\
moof\0\0\0\x10mfhd\0\0\0\0\0\0\0\x01\
\0\0\0\x54traf\
\0\0\0\x14tfhd\0\x02\0\x20\0\0\0\x02\x02\0\0\0\
\0\0\0\x14tfdt\x01\0\0\0\0\0\0\0\0\0\0\0\
\0\0\0\x24trun\x01\0\x03\x01\0\0\0\x02\0\0\0\x74\
\0\0\x03\xe8\0\0\0\x03\0\0\x03\xe8\0\0\0\x02\
\0\0\0\x0dmdat\xfc\x01\x02\xfc\x03";
    assert_eq!(part, golden, "{part:02x?}");
}
