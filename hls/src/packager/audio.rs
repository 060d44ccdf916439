//! A lane of sound.

use std::collections::VecDeque;

use bytes::Bytes;

use super::shared::{COMMON_HZ, LATE_MAX, Shared, common, ticks};
use super::writer::Writer;
use crate::boxes::Sample;
use crate::codec::Parser;
use crate::{CodecKind, Frame, TrackConfig, Warning};

/// How long sound waits for the first picture of a publication that promised one.
const PICTURE_WAIT_MAX: i64 = COMMON_HZ * 3;

/// The ticks of a packet that does not tell.
const DURATION_GUESS: u32 = 960;

/// The ticks of a packet, at most: 120 ms of Opus.
const DURATION_MAX: u32 = 5_760;

/// Sound that is later than what was put in its place by less than this, 100 ms, is shifted; more is left out, unless it stays so late.
const SHIFT_MAX: i64 = 4_800;

/// Sound that stays late for so long, a second, is no network that catches up: it is shifted by whatever it takes.
const LATE_RUN: i64 = 48_000;

/// A packet of so many bytes says nothing: it is left out where that brings sound and picture together again.
pub(crate) const QUIET_BYTES_MAX: usize = 3;

struct Packet {
    start: i64,
    end: i64,
    data: Bytes,
    /// It stands for sound that did not come.
    is_silence: bool,
}

/// One track of sound in a publication.
pub(crate) struct Audio {
    pub(crate) rendition: usize,
    parser: Parser,
    /// Without holes and overlaps. The end of the last one is not known before the next one is.
    queue: VecDeque<Packet>,
    has_started: bool,
    /// The number of the cut to follow next.
    next_cut: u64,
    /// The end of what is written.
    end: i64,
    /// The time of the last packet that came, and for how long packets have been left out since one was not.
    newest: i64,
    late_run: i64,
    /// By how much sound is played later than its time, because it came after silence was written in its place.
    shift: i64,
    /// Whether it is this track that is counted: the same sound in another format is not counted again.
    is_counted: bool,
}

/// What the sound must wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    /// The publication has no pictures.
    Alone,
    /// Its pictures did not begin yet.
    Closed,
    /// Its pictures have come so far, in common time.
    Until(i64),
}

impl Audio {
    pub(crate) fn new(config: &TrackConfig, rendition: usize, writer: &Writer) -> Self {
        Self {
            rendition,
            parser: Parser::new(config),
            queue: VecDeque::new(),
            has_started: false,
            next_cut: 0,
            end: writer.end(),
            newest: i64::MIN,
            late_run: 0,
            shift: 0,
            is_counted: config.codec == CodecKind::Opus,
        }
    }

    pub(crate) fn has_started(&self) -> bool {
        self.has_started
    }

    /// Takes the next packet.
    pub(crate) fn push(&mut self, frame: Frame, shared: &mut Shared) {
        let duration = frame.duration.unwrap_or(DURATION_GUESS);
        let duration = i64::from(duration.clamp(1, DURATION_MAX));
        let start = frame.pts;
        if frame.data.is_empty() || start < 0 {
            return shared.warn(Warning::BadFrame {
                rendition: self.rendition,
                reason: "an empty packet, or one from before the beginning",
            });
        }
        if start < self.newest.saturating_add(duration / 2) {
            // It came twice.
            return;
        }
        self.newest = start;
        self.take_back(start - duration / 2);
        let Some(start) = self.fit(start, duration, &frame.data, shared) else {
            return;
        };
        let end = self.queue.back().map_or(self.end, |last| last.end);
        if self.queue.is_empty() && !self.has_started {
            self.end = self.end.max(start);
        } else if start > end + duration / 2 {
            self.fill(start);
        }
        let start = match self.queue.back_mut() {
            Some(last) if start > last.start => {
                last.end = start;
                start
            }
            Some(last) => last.end,
            None => start.max(self.end),
        };
        self.queue.push_back(Packet {
            start,
            end: start + duration,
            data: frame.data,
            is_silence: false,
        });
    }

    /// Takes back what is not written yet of the silence that was put in the place of a packet that has come after all.
    fn take_back(&mut self, from: i64) {
        while self
            .queue
            .back()
            .is_some_and(|last| last.is_silence && last.start >= from + self.shift)
        {
            self.queue.pop_back();
        }
    }

    /// Where a packet of the time `start` is played: in its time, or after the silence that is written in its place. `None`
    /// when it is left out.
    fn fit(&mut self, start: i64, duration: i64, data: &[u8], shared: &mut Shared) -> Option<i64> {
        let end = self.queue.back().map_or(self.end, |last| last.end);
        let is_quiet = data.len() <= QUIET_BYTES_MAX;
        if self.is_counted {
            shared.sound.ticks += duration.unsigned_abs();
        }
        if self.shift >= duration && is_quiet {
            self.shift -= duration;
            return None;
        }
        let hole = start + self.shift - end;
        if hole > 0 {
            self.shift -= self.shift.min(hole);
        } else if self.shift > 0 && self.late_run == 0 {
            // As in all small corrections of sound: a sample in 20 ms.
            self.shift -= 1;
        }
        let late = end - start - self.shift;
        if late <= duration / 2 {
            self.late_run = 0;
            return Some(start + self.shift);
        }
        let is_lasting = self.late_run >= LATE_RUN;
        if is_quiet || !is_lasting && late > SHIFT_MAX {
            self.late_run += duration;
            if self.is_counted && !is_quiet {
                shared.sound.dropped += duration.unsigned_abs();
            }
            return None;
        }
        self.late_run = 0;
        self.shift += late;
        Some(end)
    }

    /// Puts silence after the last packet until less than a packet is left before `until`.
    fn fill(&mut self, until: i64) {
        while let Some(last) = self.queue.back() {
            let Some((data, duration)) = self.parser.silence(&last.data) else {
                return;
            };
            let start = last.end;
            let end = start + i64::from(duration);
            if end > until {
                return;
            }
            self.queue.push_back(Packet {
                start,
                end,
                data,
                is_silence: true,
            });
        }
    }

    /// Writes what the gate lets through.
    pub(crate) fn advance(
        &mut self,
        gate: Gate,
        fills: bool,
        writer: &mut Writer,
        shared: &mut Shared,
    ) {
        if self.has_started && fills {
            // The microphone is silent, or gone.
            self.fill(ticks(shared.clock - LATE_MAX, writer.timescale));
        } else if !self.has_started && !self.start(gate, writer, shared) {
            return;
        }
        while self.queue.len() > 1 {
            let end = common(self.queue[0].end, writer.timescale);
            if matches!(gate, Gate::Until(until) if end > until) {
                break;
            }
            if let Some(packet) = self.queue.pop_front() {
                let is_alone = !matches!(gate, Gate::Until(_));
                self.write(packet, is_alone, writer, shared);
            }
        }
    }

    /// Begins with the pictures, or alone if there are none.
    fn start(&mut self, gate: Gate, writer: &mut Writer, shared: &mut Shared) -> bool {
        let Some(first) = self.queue.front().map(|packet| packet.start) else {
            return false;
        };
        let waited = shared.clock - common(first, writer.timescale);
        let (mut next_cut, mut epoch) = (shared.cuts_end(), shared.epoch);
        match gate {
            Gate::Closed if waited < PICTURE_WAIT_MAX => return false,
            Gate::Closed | Gate::Alone => {}
            Gate::Until(_) => {
                let Some((number, cut)) = shared.cut_for(common(first, writer.timescale)) else {
                    return false;
                };
                (next_cut, epoch) = (number + 1, cut.epoch);
                let at = ticks(
                    cut.at + COMMON_HZ / i64::from(writer.timescale) - 1,
                    writer.timescale,
                );
                while self.queue.front().is_some_and(|packet| packet.start < at) {
                    self.queue.pop_front();
                }
            }
        }
        let Some(packet) = self.queue.front() else {
            return false;
        };
        self.has_started = true;
        self.next_cut = next_cut;
        if let Some(format) = self.parser.format().cloned() {
            writer.set_format(&format, shared);
        }
        writer.begin_segment(packet.start, epoch);
        true
    }

    fn write(&mut self, packet: Packet, is_alone: bool, writer: &mut Writer, shared: &mut Shared) {
        let limits = writer.limits.clone();
        let Packet {
            start,
            end,
            data,
            is_silence,
        } = packet;
        if is_silence && self.is_counted {
            shared.sound.filled += (end - start).unsigned_abs();
        }
        let begin = writer.segment_start().unwrap_or(start);
        if end - begin > limits.segment_max && start > begin {
            let epoch = writer.epoch();
            writer.close_segment(shared);
            writer.begin_segment(start, epoch);
        }
        if end - writer.part_start() > limits.part && !writer.part_is_empty() {
            self.close_part(start, writer, shared);
        }
        let part_start = if writer.part_is_empty() {
            start
        } else {
            writer.part_start()
        };
        let duration = end - start;
        let sample = Sample {
            duration: 0,
            offset: 0,
            keyframe: true,
            is_repeat: false,
            payload: vec![data],
        };
        writer.append(sample, end);
        self.end = end;
        if self.cut(end, duration, is_alone, writer, shared) {
            return;
        }
        if end - part_start >= limits.part_min && end + duration - part_start > limits.part {
            self.close_part(end, writer, shared);
        }
    }

    fn close_part(&mut self, end: i64, writer: &mut Writer, shared: &mut Shared) {
        let duration = end - writer.part_start();
        let duration_ms = u32::try_from(duration * 1000 / i64::from(writer.timescale)).unwrap_or(0);
        let rendition = self.rendition;
        if duration < writer.limits.part_min {
            shared.warn(Warning::PartTooShort {
                rendition,
                duration_ms,
            });
        } else if duration > writer.limits.part {
            shared.warn(Warning::PartTooLong {
                rendition,
                duration_ms,
            });
        }
        writer.close_part(shared);
    }

    /// Begins a segment at `end`, if one is due there.
    fn cut(
        &mut self,
        end: i64,
        duration: i64,
        is_alone: bool,
        writer: &mut Writer,
        shared: &mut Shared,
    ) -> bool {
        let is_due = if is_alone {
            let begin = writer.segment_start().unwrap_or(end);
            (end + duration / 2 - begin >= writer.limits.segment).then_some(shared.epoch)
        } else {
            let at = common(end, writer.timescale);
            let mut epoch = None;
            while let Some(cut) = shared.cut_at(self.next_cut).filter(|cut| cut.at <= at) {
                epoch = Some(cut.epoch);
                self.next_cut += 1;
            }
            epoch
        };
        let begin = writer.segment_start().unwrap_or(end);
        let is_long = end + duration - begin > writer.limits.segment_max;
        let Some(epoch) = is_due.or(is_long.then(|| writer.epoch())) else {
            return false;
        };
        writer.close_segment(shared);
        writer.begin_segment(end, epoch);
        true
    }

    /// Writes everything: the publication is over.
    pub(crate) fn finish(&mut self, writer: &mut Writer, shared: &mut Shared) {
        if self.has_started {
            while let Some(packet) = self.queue.pop_front() {
                self.write(packet, false, writer, shared);
            }
        }
        writer.close_last_segment(shared);
    }
}
