//! Any packets in any order: nothing panics, memory is bounded, and frames keep what every reader of them relies on.
#![no_main]

use libfuzzer_sys::fuzz_target;
use payload::CodecKind;
use payload::frames::{Assembler, Frame, Lead, Packet};
use payload::h264::{camera, units};

#[path = "../input.rs"]
mod input;
use input::Bytes;

const KINDS: [CodecKind; 4] = [CodecKind::H264, CodecKind::Vp9, CodecKind::Av1, CodecKind::Opus];

fuzz_target!(|data: &[u8]| {
    let mut input = Bytes(data);
    let kind = KINDS[usize::from(input.byte()) % KINDS.len()];
    let mut assembler = Assembler::new(kind);
    let mut camera = camera::Assembler::new([]);
    let (mut lead, _) = Lead::begin(&[None]);
    let (mut sequence, mut timestamp, mut now_us) = (1_000_u64, 0_u32, 0_i64);
    let mut frames = Vec::new();
    let mut is_first = true;
    let mut end = i64::MIN;
    while !input.0.is_empty() {
        let (what, steps) = (input.byte(), input.byte());
        // Mostly one after the other, of the same frame or of the next.
        sequence = sequence.wrapping_add(u64::from(steps & 3)).wrapping_sub(u64::from(steps >> 2 & 1));
        timestamp = timestamp.wrapping_add(u32::from(steps >> 4) * 960);
        now_us += i64::from(input.byte().cast_signed()) * 1_000;
        let packet = Packet {
            sequence,
            timestamp,
            marker: what & 1 != 0,
            arrival_us: now_us,
            wallclock_us: now_us,
            payload: input.take(usize::from(what >> 2)).into(),
            red: what & 2 != 0,
        };
        if kind == CodecKind::H264 {
            let packet = camera::Packet {
                elapsed: i64::from(timestamp),
                marker: packet.marker,
                lost: what & 2 != 0,
                payload: bytes::Bytes::copy_from_slice(&packet.payload),
            };
            for frame in camera.push(&packet) {
                assert!(!frame.nals.is_empty() && frame.nals.iter().all(|nal| !nal.is_empty()));
            }
        }
        lead.note(0, assembler.ahead(&packet));
        assembler.push(packet, lead.us(), &mut frames);
        assembler.expire(now_us, lead.us(), &mut frames);
        judge(kind, &mut frames, &mut is_first, &mut end);
    }
    assembler.finish(lead.us(), &mut frames);
    judge(kind, &mut frames, &mut is_first, &mut end);
});

fn judge(kind: CodecKind, frames: &mut Vec<Frame>, is_first: &mut bool, end: &mut i64) {
    for frame in frames.drain(..) {
        assert!(frame.keyframe || !std::mem::take(is_first), "the first frame is no keyframe");
        *is_first = false;
        assert!(!frame.data.is_empty());
        assert_eq!(frame.duration.is_some(), kind == CodecKind::Opus);
        if kind == CodecKind::H264 {
            assert!(units::nals(&frame.data).all(|nal| nal.is_some_and(|nal| !nal.is_empty())));
        }
        if let Some(duration) = frame.duration {
            assert!(frame.pts >= *end, "sound overlaps");
            *end = frame.pts + i64::from(duration);
        }
    }
}
