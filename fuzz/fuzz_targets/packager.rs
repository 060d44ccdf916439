//! Any frames in any order of time and of publications: nothing panics, and what comes out keeps the rules that no input may break.
#![no_main]

use std::collections::BTreeMap;

use hls::{CodecKind, Frame, Output, Packager, Settings, Timeline, TrackConfig, View};
use libfuzzer_sys::fuzz_target;

#[path = "../input.rs"]
mod input;
use input::Bytes;

const KINDS: [CodecKind; 5] = [CodecKind::H264, CodecKind::Vp9, CodecKind::Av1, CodecKind::Opus, CodecKind::Aac];

/// Outputs that one input may cause; a frame may be far ahead, and the timeline before it has to be filled.
const OUTPUTS_MAX: usize = 100_000;

fn tracks(choice: u8) -> Vec<TrackConfig> {
    let count = 1 + usize::from(choice % 4);
    let track = |at: usize| {
        let codec = KINDS[(usize::from(choice) + at * 3) % KINDS.len()];
        TrackConfig {
            rendition: format!("r{at}"),
            codec,
            channels: if codec.is_video() { 0 } else { 2 },
            config: bytes::Bytes::new(),
        }
    };
    (0..count).map(track).collect()
}

fuzz_target!(|data: &[u8]| {
    let mut input = Bytes(data);
    let settings = Settings::default();
    let mut packager = Packager::new(settings.clone(), "0123abcd".into(), 1_700_000_000_000);
    let mut timelines: BTreeMap<usize, Timeline> = BTreeMap::new();
    let mut last: BTreeMap<usize, (u64, u32)> = BTreeMap::new();
    let mut clocks = [0i64; 4];
    packager.begin(tracks(input.byte()));
    let mut outputs = 0;
    while !input.0.is_empty() {
        let what = input.byte();
        match what >> 4 {
            0 => packager.begin(tracks(what)),
            1 => packager.pause(),
            2 => packager.advance(i64::from(input.byte()) * 40),
            _ => {
                let track = usize::from(what & 3);
                let step = i64::from(input.byte().cast_signed());
                // At most a second and a half: longer holes are filled, which only takes longer.
                clocks[track] += step * step * step / 16;
                let length = usize::from(input.byte());
                let frame = Frame {
                    pts: clocks[track],
                    keyframe: what & 4 != 0,
                    data: bytes::Bytes::copy_from_slice(input.take(length)),
                    duration: (what & 8 != 0).then_some(960),
                };
                packager.push(track, frame);
            }
        }
        while let Some(output) = packager.poll() {
            outputs += 1;
            assert!(outputs < OUTPUTS_MAX, "an input of {} bytes makes too much", data.len());
            check(&packager, &mut timelines, &mut last, &settings, output);
        }
    }
    packager.end();
    while let Some(output) = packager.poll() {
        check(&packager, &mut timelines, &mut last, &settings, output);
    }
    for timeline in timelines.values_mut() {
        timeline.end();
        let text = timeline.render(View::Vod, &[]);
        assert!(text.starts_with("#EXTM3U\n") && text.contains("#EXT-X-ENDLIST"));
    }
});

fn check(
    packager: &Packager,
    timelines: &mut BTreeMap<usize, Timeline>,
    last: &mut BTreeMap<usize, (u64, u32)>,
    settings: &Settings,
    output: Output,
) {
    match output {
        Output::Part(part) => {
            let place = (part.msn, part.index);
            if let Some(before) = last.insert(part.rendition, place) {
                assert!(place > before, "{place:?} after {before:?}");
            }
            assert!(!part.bytes.is_empty() && part.msn >= 1);
            let name = &packager.renditions()[part.rendition].name;
            timelines
                .entry(part.rendition)
                .or_insert_with(|| Timeline::new(settings.clone(), "0123abcd", name))
                .apply_part(&part);
        }
        Output::Segment(segment) => {
            assert!(segment.duration / u64::from(segment.timescale) <= u64::from(settings.target_duration_max_s) + 1);
            if let Some(timeline) = timelines.get_mut(&segment.rendition) {
                timeline.apply_segment(&segment);
                timeline.render(View::Live, &[]);
            }
        }
        Output::Init { bytes, .. } => assert!(!bytes.is_empty()),
        Output::TargetDuration(seconds) => {
            timelines.values_mut().for_each(|timeline| timeline.set_target_duration(seconds));
        }
        Output::KeyframeDue | Output::Outgrown(_) | Output::Warning(_) => {}
    }
}
