//! The end of a rendition: its open segment and part.

use std::sync::Arc;

use bytes::Bytes;

use super::shared::{Limits, Shared, common};
use super::{Past, RenditionInfo};
use crate::boxes::{self, Sample, fragment_bytes, put_fragment};
use crate::codec::Format;
use crate::{CodecKind, Output, Part, Segment};

struct OpenSegment {
    start: i64,
    epoch: u64,
    is_discontinuity: bool,
    is_independent: bool,
    keyframe_bytes: u32,
    parts: Vec<Bytes>,
    end: i64,
    frames: u32,
}

/// One rendition in a life: what it is, and what is open of it. It outlives publications.
pub(crate) struct Writer {
    pub(crate) rendition: usize,
    pub(crate) kind: CodecKind,
    pub(crate) limits: Limits,
    pub(crate) timescale: u32,
    init: Option<Bytes>,
    inits: u32,
    init_number: u32,
    msn: u64,
    fragments: u32,
    /// Of the last complete segment.
    epoch: Option<u64>,
    segment: Option<OpenSegment>,
    part: Vec<Sample>,
    part_start: i64,
    end: i64,
    bits: u64,
    keyframe_bits: u64,
    ticks: u64,
}

impl Writer {
    pub(crate) fn new(rendition: usize, kind: CodecKind, limits: Limits) -> Self {
        Self {
            rendition,
            kind,
            init_number: 0,
            limits,
            timescale: kind.timescale(),
            init: None,
            inits: 0,
            msn: 1,
            fragments: 0,
            epoch: None,
            segment: None,
            part: Vec::new(),
            part_start: 0,
            end: 0,
            bits: 0,
            keyframe_bits: 0,
            ticks: 0,
        }
    }

    /// Keeps to the target duration as soon as it is known.
    pub(crate) fn follow_target(&mut self, shared: &Shared) {
        if let Some(seconds) = shared.target_s {
            self.limits.segment_max = self.limits.segment_max_of(seconds);
        }
    }

    /// Goes on behind what was written of it in another process.
    pub(crate) fn resume(&mut self, past: &Past) {
        self.msn = past.next_msn;
        self.inits = past.next_init;
        self.epoch = Some(past.discontinuity_sequence);
        self.end = past.end;
        self.part_start = past.end;
    }

    /// Where the open part began.
    pub(crate) fn part_start(&self) -> i64 {
        self.part_start
    }

    pub(crate) fn part_is_empty(&self) -> bool {
        self.part.is_empty()
    }

    /// Where the open segment began.
    pub(crate) fn segment_start(&self) -> Option<i64> {
        self.segment.as_ref().map(|segment| segment.start)
    }

    /// The end of the last sample.
    pub(crate) fn end(&self) -> i64 {
        self.end
    }

    /// Whether anything was ever written.
    pub(crate) fn has_begun(&self) -> bool {
        self.epoch.is_some() || self.segment.is_some()
    }

    /// The discontinuities before the open segment, or the last one.
    pub(crate) fn epoch(&self) -> u64 {
        let open = self.segment.as_ref().map(|segment| segment.epoch);
        open.or(self.epoch).unwrap_or(0)
    }

    /// Uses `format` from the next segment on.
    pub(crate) fn set_format(&mut self, format: &Format, shared: &mut Shared) {
        let is_video = self.kind.is_video();
        let bytes = boxes::init(format, is_video, self.timescale);
        let info = &mut shared.infos[self.rendition];
        if !shared.is_stand_in {
            info.codec.clone_from(&format.codec);
            info.width = format.width;
            info.height = format.height;
        }
        if self.init.as_ref() == Some(&bytes) {
            return;
        }
        let number = self.inits;
        self.inits += 1;
        self.init = Some(bytes.clone());
        self.init_number = number;
        info.init = Some(number);
        shared.outputs.push_back(Output::Init {
            rendition: self.rendition,
            number,
            bytes,
        });
    }

    /// Begins a segment; none is open.
    pub(crate) fn begin_segment(&mut self, start: i64, epoch: u64) {
        let is_discontinuity = self.epoch.is_some_and(|before| before != epoch);
        self.part_start = start;
        self.end = start;
        self.segment = Some(OpenSegment {
            start,
            epoch,
            is_discontinuity,
            is_independent: false,
            keyframe_bytes: 0,
            parts: Vec::new(),
            end: start,
            frames: 0,
        });
    }

    /// Adds a sample that lasts until `end`.
    pub(crate) fn append(&mut self, mut sample: Sample, end: i64) {
        sample.duration = u32::try_from(end - self.end).unwrap_or(0);
        if self.part.is_empty() {
            self.part_start = self.end;
        }
        self.end = end;
        self.part.push(sample);
    }

    /// Makes the last sample of the open part last until `end`.
    pub(crate) fn stretch(&mut self, end: i64) {
        if let Some(last) = self.part.last_mut() {
            last.duration += u32::try_from(end - self.end).unwrap_or(0);
            self.end = end;
        }
    }

    /// Closes the open part, if there is anything in it.
    pub(crate) fn close_part(&mut self, shared: &mut Shared) {
        let Some(segment) = &mut self.segment else {
            return;
        };
        let Some(first) = self.part.first() else {
            return;
        };
        let is_video = self.kind.is_video();
        let is_independent = first.keyframe;
        let index = segment.parts.len() as u32;
        if index == 0 {
            segment.is_independent = is_independent;
        }
        // FFmpeg learns from a fragment how far B-frames move its pictures, and would show the only one of the first too early.
        let is_in_order = self.part.iter().all(|sample| sample.offset == 0);
        // GStreamer drops most pictures of VP9 behind one that is alone.
        let may_be_alone = self.kind == CodecKind::H264 && is_in_order;
        let alone = usize::from(index == 0 && is_independent && may_be_alone);
        let (keyframe, others) = self.part.split_at(alone);
        let mut start = self.part_start;
        let mut bytes = Vec::with_capacity(fragment_bytes(keyframe) + fragment_bytes(others));
        for samples in [keyframe, others] {
            if samples.is_empty() {
                continue;
            }
            self.fragments = self.fragments.wrapping_add(1);
            let time = u64::try_from(start).unwrap_or(0);
            put_fragment(&mut bytes, is_video, self.fragments, time, samples);
            if segment.keyframe_bytes == 0 && alone > 0 {
                segment.keyframe_bytes = u32::try_from(bytes.len()).unwrap_or(0);
            }
            start += samples
                .iter()
                .map(|sample| i64::from(sample.duration))
                .sum::<i64>();
        }
        let bytes = Bytes::from(bytes);
        segment.frames += self.part.iter().filter(|sample| !sample.is_repeat).count() as u32;
        segment.parts.push(bytes.clone());
        segment.end = self.end;
        let part = Part {
            rendition: self.rendition,
            msn: self.msn,
            index,
            duration: u32::try_from(self.end - self.part_start).unwrap_or(0),
            timescale: self.timescale,
            independent: is_independent,
            start: self.part_start,
            date_ms: date_ms(shared.origin_ms, self.part_start, self.timescale),
            init: self.init_number,
            discontinuity_sequence: segment.epoch,
            bytes,
        };
        self.part.clear();
        self.part_start = self.end;
        if is_video {
            let length = segment.end + self.limits.part - segment.start;
            shared.set_open(self.rendition, common(length, self.timescale));
        }
        if self.ticks == 0 && !shared.is_stand_in {
            let bits = segment.parts.iter().map(|part| part.len() as u64 * 8).sum();
            let ticks = (segment.end - segment.start).unsigned_abs();
            let rate = self.rate(bits, ticks);
            shared.infos[self.rendition].note_rate(rate, rate);
        }
        shared.outputs.push_back(Output::Part(Arc::new(part)));
    }

    /// Closes the open part and segment, if there is anything in it.
    pub(crate) fn close_segment(&mut self, shared: &mut Shared) {
        self.close(false, shared);
    }

    /// The same at the end of a publication.
    pub(crate) fn close_last_segment(&mut self, shared: &mut Shared) {
        self.close(true, shared);
    }

    fn close(&mut self, is_last: bool, shared: &mut Shared) {
        self.close_part(shared);
        let Some(segment) = self.segment.take().filter(|open| !open.parts.is_empty()) else {
            return;
        };
        let length = segment.parts.iter().map(Bytes::len).sum();
        let mut bytes = Vec::with_capacity(length);
        for part in &segment.parts {
            bytes.extend_from_slice(part);
        }
        let duration = (segment.end - segment.start).unsigned_abs();
        if self.kind.is_video() {
            shared.set_open(self.rendition, 0);
        }
        let whole = common(segment.end - segment.start, self.timescale);
        shared.choose_target(self.rendition, whole);
        if !shared.is_stand_in {
            let info = &mut shared.infos[self.rendition];
            self.measure(info, length as u64 * 8, duration, segment.frames);
            self.measure_keyframe(info, segment.keyframe_bytes, duration);
        }
        let closed = Segment {
            rendition: self.rendition,
            msn: self.msn,
            start: segment.start,
            duration,
            timescale: self.timescale,
            init: self.init_number,
            discontinuity: segment.is_discontinuity,
            discontinuity_sequence: segment.epoch,
            independent: segment.is_independent,
            date_ms: date_ms(shared.origin_ms, segment.start, self.timescale),
            bytes: bytes.into(),
            parts: segment.parts.len() as u32,
            keyframe_bytes: segment.keyframe_bytes,
            is_last,
        };
        self.msn += 1;
        self.epoch = Some(segment.epoch);
        shared.outputs.push_back(Output::Segment(Arc::new(closed)));
    }

    fn measure(&mut self, info: &mut RenditionInfo, bits: u64, ticks: u64, frames: u32) {
        if self.ticks == 0 {
            info.bandwidth_peak = 0;
        }
        self.bits += bits;
        self.ticks += ticks;
        info.note_rate(self.rate(bits, ticks), self.rate(self.bits, self.ticks));
        // One of a moment, as at the end of a publication, says little.
        if self.kind.is_video() && ticks >= u64::from(self.timescale) {
            let rate = u64::from(frames) * u64::from(self.timescale) * 1000 / ticks;
            info.note_frame_rate(rate.try_into().unwrap_or(u32::MAX));
        }
    }

    /// As [`Self::measure`], which comes before.
    fn measure_keyframe(&mut self, info: &mut RenditionInfo, bytes: u32, ticks: u64) {
        let bits = u64::from(bytes) * 8;
        self.keyframe_bits += bits;
        // As with the frame rate.
        if bits > 0 && ticks >= u64::from(self.timescale) {
            info.note_keyframe_rate(
                self.rate(bits, ticks),
                self.rate(self.keyframe_bits, self.ticks),
            );
        }
    }

    fn rate(&self, bits: u64, ticks: u64) -> u64 {
        bits * u64::from(self.timescale) / ticks.max(1)
    }
}

fn date_ms(origin_ms: u64, start: i64, timescale: u32) -> u64 {
    origin_ms.saturating_add_signed(start.saturating_mul(1000) / i64::from(timescale))
}
