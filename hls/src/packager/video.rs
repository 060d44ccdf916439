//! A lane of pictures.

use super::order::{Order, Ordered};
use super::shared::{COMMON_HZ, Cut, LATE_MAX, Shared, common, ticks};
use super::writer::Writer;
use crate::boxes::Sample;
use crate::codec::{Change, Coded, Format, Parser, Recipe};
use crate::{Frame, TrackConfig, Warning};

/// A keyframe that comes earlier after a cut than this does not cut again.
const SEGMENT_MIN: i64 = COMMON_HZ / 2;

/// A layer cuts at a keyframe where another one has cut this recently.
const TOGETHER: i64 = COMMON_HZ / 4;

/// A group of pictures of a publisher of whom less than `GROUPS_KNOWN` are known may be this long.
const GROUP_GUESS: i64 = COMMON_HZ * 7;
const GROUPS_KNOWN: u32 = 2;

/// So many groups in succession that are too long for a segment are no accident.
const LONG_GROUPS_MAX: u32 = 2;

/// The interval of pictures that is assumed before there are two.
const INTERVAL_GUESS: i64 = COMMON_HZ / 30;

/// A picture this far behind the last one is from another timeline.
const STEP_BACK_MAX: i64 = COMMON_HZ * 2;

/// A layer without frames for this long rests.
const FRESH_MAX: i64 = COMMON_HZ * 3 / 2;

struct Incoming {
    coded: Coded,
    /// Of a keyframe that changes it.
    format: Option<Box<Format>>,
}

/// The picture whose end is not known yet.
struct Pending {
    start: i64,
    show: i64,
    coded: Coded,
    is_repeat: bool,
}

/// Where the open part may end.
struct Room {
    limit: i64,
    floor: i64,
}

impl Room {
    /// The last part of a segment that is about to become too long ends with it.
    fn of(writer: &Writer) -> Self {
        let (start, limits) = (writer.part_start(), &writer.limits);
        let limit = start + limits.part;
        let end = writer.segment_start().unwrap_or(start) + limits.segment_max;
        if limit <= end {
            Self {
                limit,
                floor: start + limits.part_min,
            }
        } else {
            Self {
                limit: end.max(start + 1),
                floor: start + 1,
            }
        }
    }
}

/// One track of pictures in a publication.
pub(crate) struct Video {
    pub(crate) rendition: usize,
    parser: Parser,
    order: Order<Incoming>,
    pending: Option<Pending>,
    /// What is before this, in ticks, is settled: no frame may begin there any more.
    settled: i64,
    interval: i64,
    /// The time of the last frame, in common time.
    newest: i64,
    has_started: bool,
    group_start: i64,
    group_max: i64,
    groups: u32,
    /// How many of the last groups were longer than a segment may be, one after the other.
    long_groups: u32,
}

impl Video {
    pub(crate) fn new(config: &TrackConfig, rendition: usize, writer: &Writer) -> Self {
        Self {
            rendition,
            parser: Parser::new(config),
            order: Order::new(),
            pending: None,
            settled: writer.end(),
            interval: ticks(INTERVAL_GUESS, writer.timescale),
            newest: 0,
            has_started: false,
            group_start: 0,
            group_max: 0,
            groups: 0,
            long_groups: 0,
        }
    }

    pub(crate) fn has_started(&self) -> bool {
        self.has_started
    }

    /// How far this lane has come, in common time: nothing before it will be cut differently.
    pub(crate) fn frontier(&self, writer: &Writer, shared: &Shared) -> i64 {
        let at = self.pending.as_ref().map_or(0, |pending| pending.start);
        // A part may still be made to end earlier by as much as a picture may be moved.
        let at = at.max(self.settled) - writer.limits.retime;
        common(at, writer.timescale).max(self.horizon(shared, writer))
    }

    /// Whether frames came lately.
    pub(crate) fn is_fresh(&self, shared: &Shared) -> bool {
        self.has_started && shared.clock - self.newest < FRESH_MAX
    }

    /// The time before which no frame of this lane is expected any more, in common time.
    fn horizon(&self, shared: &Shared, writer: &Writer) -> i64 {
        let held = self.order.depth() as i64 * common(self.interval, writer.timescale);
        shared.clock - LATE_MAX - held
    }

    /// Takes a frame in decode order.
    pub(crate) fn push(&mut self, frame: Frame, writer: &mut Writer, shared: &mut Shared) {
        let show = frame.pts;
        let rendition = self.rendition;
        let bad = |reason| Warning::BadFrame { rendition, reason };
        if show < 0 || show + ticks(STEP_BACK_MAX, writer.timescale) < self.settled {
            return shared.warn(bad("its time is over"));
        }
        let coded = match self.parser.take(frame) {
            Ok(Some(coded)) => coded,
            Ok(None) => return,
            Err(reason) => return shared.warn(bad(reason)),
        };
        shared.infos[rendition].may_have_captions |= self.parser.may_have_captions();
        let is_first = !self.has_started && self.order.is_empty();
        if is_first && !coded.keyframe {
            return;
        }
        self.newest = common(show, writer.timescale);
        let format = match coded.change {
            Change::Nothing if !is_first => None,
            _ => self.parser.format().cloned().map(Box::new),
        };
        if coded.keyframe {
            // What comes after a keyframe is shown after it.
            self.flush(writer, shared);
            self.order.expect_depth(self.parser.reorder_depth());
        }
        if self.order.push(show, Incoming { coded, format }) {
            shared.warn(Warning::BFrames { rendition });
        }
        while let Some(frame) = self.order.pop() {
            self.accept(frame, writer, shared);
        }
    }

    fn flush(&mut self, writer: &mut Writer, shared: &mut Shared) {
        while let Some(frame) = self.order.pop_anyway() {
            self.accept(frame, writer, shared);
        }
    }

    /// Takes the frame that is decoded next: the one before ends where it begins.
    fn accept(&mut self, frame: Ordered<Incoming>, writer: &mut Writer, shared: &mut Shared) {
        let Incoming { mut coded, format } = frame.item;
        let after = self.pending.as_ref().map(|pending| pending.start + 1);
        let mut start = frame.decode.max(self.settled).max(after.unwrap_or(0));
        let before = self.interval;
        if let Some(after) = after {
            self.interval = (start - after + 1).max(1);
        }
        let cuts = coded.keyframe && self.cuts_at(start, coded.change, writer, shared);
        start = self.settle(start, cuts, writer, shared);
        self.parser.follow(&mut coded);
        if coded.keyframe {
            // A gap before it: something was lost, and what would have come says nothing of the encoder.
            let is_whole = self.interval <= before * 2 + ticks(COMMON_HZ / 10, writer.timescale);
            self.count_group(start, is_whole, writer, shared);
        }
        if cuts {
            writer.close_segment(shared);
            if let Some(format) = format {
                writer.set_format(&format, shared);
            }
            let is_behind = writer.has_begun() && writer.epoch() < shared.epoch;
            if coded.change == Change::Picture && self.has_started && !is_behind {
                shared.epoch += 1;
            }
            self.begin_segment(start, writer, shared);
            self.has_started = true;
        }
        self.settled = start;
        self.pending = Some(Pending {
            start,
            show: if self.order.depth() == 0 {
                start
            } else {
                frame.show
            },
            coded,
            is_repeat: false,
        });
    }

    fn begin_segment(&mut self, start: i64, writer: &mut Writer, shared: &mut Shared) {
        writer.begin_segment(start, shared.epoch);
        let cut = Cut {
            at: common(start, writer.timescale),
            epoch: shared.epoch,
        };
        shared.cut(self.rendition, cut);
    }

    /// Whether a segment begins with the keyframe at `start`.
    fn cuts_at(&self, start: i64, change: Change, writer: &Writer, shared: &Shared) -> bool {
        let limits = &writer.limits;
        let Some(begin) = writer.segment_start() else {
            return true;
        };
        if !self.has_started || change != Change::Nothing || writer.epoch() < shared.epoch {
            return true;
        }
        let age = start - begin;
        if age >= limits.segment - limits.segment_early {
            return true;
        }
        if age < ticks(SEGMENT_MIN, writer.timescale) {
            return false;
        }
        // The others have just cut; or the next keyframe may come too late.
        let at = common(start, writer.timescale);
        let is_together = shared
            .last_cut()
            .is_some_and(|cut| (at - TOGETHER..=at).contains(&cut.at));
        if is_together {
            return true;
        }
        let (group, segment_max) = match shared.target_s {
            Some(_) if shared.is_answered() => return false,
            Some(_) if self.groups < GROUPS_KNOWN => {
                let guess = ticks(GROUP_GUESS, writer.timescale);
                (guess.max(self.group_max), limits.segment_max)
            }
            Some(_) => (self.group_max, limits.segment_max),
            // The first segment shows how far keyframes are apart: a short one shows it only if the next would be too long.
            None => {
                let least = limits.segment_max_of(shared.settings.target_duration_min_s);
                (self.group_max.max(age), least)
            }
        };
        age + group + group / 8 > segment_max
    }

    /// A group of pictures has come to its end; nothing is missing in it if it `is_whole`.
    fn count_group(&mut self, start: i64, is_whole: bool, writer: &Writer, shared: &mut Shared) {
        shared.note_keyframe();
        if self.has_started {
            let length = start - self.group_start;
            self.groups += 1;
            self.group_max = self.group_max.max(length);
            let is_long = is_whole && length > writer.limits.segment_max;
            self.long_groups = if is_long { self.long_groups + 1 } else { 0 };
            if self.long_groups >= LONG_GROUPS_MAX && shared.leader == Some(self.rendition) {
                shared.outgrow(self.rendition, common(self.group_max, writer.timescale));
            }
        }
        self.group_start = start;
    }

    /// Writes the pending picture, which lasts until `end`. Gives the time at which it really ends.
    fn settle(&mut self, end: i64, cuts: bool, writer: &mut Writer, shared: &mut Shared) -> i64 {
        while let Some(pending) = self.pending.take() {
            let Room { limit, floor } = Room::of(writer);
            if end <= limit {
                let is_full = end >= floor && end + self.interval > limit;
                self.write(pending, end, writer);
                if is_full && !cuts {
                    self.close_part(writer, shared);
                }
                return end;
            }
            let early = end - limit;
            if !self.make_room(pending, Some(early), writer, shared) {
                return self.give_up(end, writer, shared);
            }
            if self.pending.is_none() {
                return limit;
            }
        }
        end
    }

    /// Closes as many parts as a picture that goes on until `until` at least fills.
    pub(crate) fn stretch(&mut self, writer: &mut Writer, shared: &mut Shared) {
        if !self.has_started || self.order.depth() > 0 {
            return;
        }
        let until = ticks(self.horizon(shared, writer), writer.timescale);
        while let Some(pending) = self.pending.take() {
            let limit = Room::of(writer).limit;
            if until <= limit + writer.limits.retime {
                self.pending = Some(pending);
                break;
            }
            if !self.make_room(pending, None, writer, shared) {
                break;
            }
        }
        if self.pending.is_some() {
            self.settled = self.settled.max(until);
        }
    }

    /// Closes the open part, which `pending` does not fit in: it lasts `early` ticks too long, or nobody knows how
    /// long. Says whether that could be done well; then `pending` is what goes on, or nothing, if all of it is written.
    fn make_room(
        &mut self,
        mut pending: Pending,
        early: Option<i64>,
        writer: &mut Writer,
        shared: &mut Shared,
    ) -> bool {
        let Room { limit, floor } = Room::of(writer);
        let retime = writer.limits.retime;
        let late = floor - pending.start;
        let is_first = writer.part_is_empty();
        if !is_first && late <= 0 {
            self.close_part(writer, shared);
            self.pending = Some(pending);
            return true;
        }
        if !is_first && late <= retime && early.is_none_or(|early| late <= early) {
            writer.stretch(floor);
            pending.start = floor;
            if self.order.depth() == 0 {
                pending.show = floor;
            }
            self.close_part(writer, shared);
            self.pending = Some(pending);
            return true;
        }
        if early.is_some_and(|early| early <= retime) {
            self.write(pending, limit, writer);
            self.close_part(writer, shared);
            return true;
        }
        let repeat = pending
            .coded
            .recipe
            .as_ref()
            .filter(|_| self.order.depth() == 0)
            .and_then(|recipe: &Recipe| self.parser.repeat(recipe));
        let Some((payload, recipe)) = repeat else {
            self.pending = Some(pending);
            return false;
        };
        self.write(pending, limit, writer);
        self.close_part(writer, shared);
        self.pending = Some(Pending {
            start: limit,
            show: limit,
            coded: Coded {
                payload,
                keyframe: false,
                change: Change::Nothing,
                recipe,
            },
            is_repeat: true,
        });
        true
    }

    /// Writes the pending picture as it is, although no part is left that is as it should be.
    fn give_up(&mut self, end: i64, writer: &mut Writer, shared: &mut Shared) -> i64 {
        let Some(pending) = self.pending.take() else {
            return end;
        };
        if !writer.part_is_empty() {
            shared.warn(Warning::PartTooShort {
                rendition: self.rendition,
                duration_ms: milliseconds(writer.end() - writer.part_start(), writer.timescale),
            });
            self.close_part(writer, shared);
        }
        let limits = &writer.limits;
        let begin = writer.segment_start().unwrap_or(pending.start);
        if end - begin > limits.segment_max && pending.start > begin {
            self.cut_without_keyframe(pending.start, writer, shared);
        }
        let limits = &writer.limits;
        if end - pending.start > limits.segment_max {
            // Too long for any segment: the timeline goes on after a hole.
            let until = pending.start + limits.part;
            self.write(pending, until, writer);
            writer.close_segment(shared);
            shared.epoch += 1;
            self.begin_segment(end, writer, shared);
            return end;
        }
        if end - pending.start > limits.part {
            shared.warn(Warning::PartTooLong {
                rendition: self.rendition,
                duration_ms: milliseconds(end - pending.start, writer.timescale),
            });
        }
        let is_full = end - pending.start >= limits.part_min;
        self.write(pending, end, writer);
        if is_full {
            self.close_part(writer, shared);
        }
        end
    }

    fn write(&mut self, pending: Pending, end: i64, writer: &mut Writer) {
        let sample = Sample {
            duration: 0,
            offset: i32::try_from(pending.show - pending.start).unwrap_or(0),
            keyframe: pending.coded.keyframe,
            is_repeat: pending.is_repeat,
            payload: pending.coded.payload,
        };
        writer.append(sample, end);
    }

    /// Closes a part, and the segment with it if it would become too long.
    fn close_part(&mut self, writer: &mut Writer, shared: &mut Shared) {
        writer.close_part(shared);
        let end = writer.end();
        let begin = writer.segment_start().unwrap_or(end);
        // Nothing is left that is worth a part of its own.
        let rest = begin + writer.limits.segment_max - end;
        if rest < self.interval.max(writer.limits.part / 8) {
            self.cut_without_keyframe(end, writer, shared);
        }
    }

    fn cut_without_keyframe(&mut self, at: i64, writer: &mut Writer, shared: &mut Shared) {
        let begin = writer.segment_start().unwrap_or(at);
        shared.warn(Warning::KeyframeMissing {
            rendition: self.rendition,
            seconds: milliseconds(at - begin, writer.timescale) / 1000,
        });
        let epoch = writer.epoch();
        writer.close_segment(shared);
        writer.begin_segment(at, epoch);
        let at = common(at, writer.timescale);
        shared.cut(self.rendition, Cut { at, epoch });
    }

    /// Writes everything: the publication is over. The last picture lasts as long as the one before, unless it `is_known` that it
    /// ends with what is settled.
    pub(crate) fn finish(&mut self, is_known: bool, writer: &mut Writer, shared: &mut Shared) {
        self.flush(writer, shared);
        if let Some(pending) = &self.pending {
            let interval = self.interval.min(writer.limits.part);
            // How long a picture stands still that was repeated is known: until now.
            let is_known = is_known || pending.is_repeat;
            let least = if is_known { 1 } else { interval };
            let end = (pending.start + least).max(self.settled);
            self.settle(end, true, writer, shared);
        }
        writer.close_last_segment(shared);
    }
}

fn milliseconds(ticks: i64, timescale: u32) -> u32 {
    u32::try_from(ticks * 1000 / i64::from(timescale)).unwrap_or(0)
}
