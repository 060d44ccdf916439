//! What all lanes of a life share.

use std::collections::VecDeque;
use std::time::Duration;

use super::RenditionInfo;
use crate::{CodecKind, Output, Settings, SoundCounters, Warning};

/// Ticks per second of the time that lanes compare: the least common multiple of all timescales.
pub(crate) const COMMON_HZ: i64 = 720_000;

/// A frame that comes this much later than newer ones of other tracks is late: it was held for a retransmission (250 ms
/// at most), or its encoder is that much slower. Until then a picture that stands still waits for its successor.
pub(crate) const LATE_MAX: i64 = COMMON_HZ * 4 / 10;

/// A frame that far ahead of all others does not continue the timeline.
pub(crate) const GAP_MAX: i64 = COMMON_HZ * 30;

/// The time between two requests for keyframes, at least. It doubles with each that had no answer, up to eightfold: whoever is
/// deaf is not asked all the time.
const KEYFRAME_DUE_EVERY: i64 = COMMON_HZ * 4 / 10;
const DOUBLINGS_MAX: u32 = 3;

/// A keyframe that comes so soon after it was asked for is an answer. One that comes every two seconds anyway comes later.
const ANSWER_MAX: i64 = COMMON_HZ * 3 / 10;

/// Answers after which a publisher is known to give them.
const ANSWERS_KNOWN: u32 = 2;

/// A segment may begin with a keyframe that comes this much before the segment's time is over; and one is asked for this
/// much before, so that an answer of 850 ms still fits into the least target duration.
const SEGMENT_EARLY_MS: i64 = 500;
const ASK_EARLY_MS: i64 = 400;

/// Keyframes that are so much later than the first ones were still fit the target duration.
const TARGET_SPARE_MS: i64 = 100;

/// A target duration above this costs so much that the performer is told.
const TARGET_TOLD_S: u32 = 3;

/// A part may be this much shorter than PART-TARGET, RFC 8216bis section 4.4.4.9.
const PART_MIN_PERCENT: i64 = 85;

/// The longest step by which a picture's time is moved to make a part fit: less than the display shows.
const RETIME_MS: i64 = 20;

/// Cuts that the sound did not follow yet, at most. It is behind by less than a second.
const CUTS_MAX: usize = 64;

/// What is rounded down to the target duration, RFC 8216bis section 4.4.3.1. Sound is cut at its first packet after the
/// picture, and must fit as well.
const VIDEO_EXCESS_MS: i64 = 450;
const AUDIO_EXCESS_MS: i64 = 495;

/// To the common time.
pub(crate) fn common(ticks: i64, timescale: u32) -> i64 {
    ticks.saturating_mul(COMMON_HZ / i64::from(timescale))
}

/// From the common time to ticks, rounded down.
pub(crate) fn ticks(common: i64, timescale: u32) -> i64 {
    common.div_euclid(COMMON_HZ / i64::from(timescale))
}

/// The settings in ticks of one timescale.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) part: i64,
    pub(crate) part_min: i64,
    pub(crate) retime: i64,
    pub(crate) segment: i64,
    pub(crate) segment_early: i64,
    pub(crate) segment_ask: i64,
    pub(crate) segment_max: i64,
    /// What is rounded down to the target duration.
    excess: i64,
    timescale: i64,
}

impl Limits {
    pub(crate) fn new(settings: &Settings, kind: CodecKind) -> Self {
        let timescale = i64::from(kind.timescale());
        let excess_ms = if kind.is_video() {
            VIDEO_EXCESS_MS
        } else {
            AUDIO_EXCESS_MS
        };
        let from_ms = |ms: i64| ms * timescale / 1000;
        let ms = |duration: Duration| {
            i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 1_000_000)
        };
        let part = from_ms(ms(settings.part_target));
        Self {
            part,
            part_min: (part * PART_MIN_PERCENT + 99) / 100,
            retime: from_ms(RETIME_MS),
            segment: from_ms(ms(settings.segment_target)),
            segment_early: from_ms(SEGMENT_EARLY_MS),
            segment_ask: from_ms(ms(settings.segment_target) - ASK_EARLY_MS),
            segment_max: from_ms(i64::from(settings.target_duration_max_s) * 1000 + excess_ms),
            excess: from_ms(excess_ms),
            timescale,
        }
    }

    /// The longest segment of a target duration of so many seconds.
    pub(crate) fn segment_max_of(&self, seconds: u32) -> i64 {
        i64::from(seconds) * self.timescale + self.excess
    }
}

/// The least target duration that fits segments of about this common time, in seconds.
fn target_of(length: i64) -> u32 {
    let ms = length / (COMMON_HZ / 1000) + TARGET_SPARE_MS - VIDEO_EXCESS_MS;
    u32::try_from((ms.max(0) + 999) / 1000).unwrap_or(u32::MAX)
}

/// A time at which the pictures were cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    /// Common time.
    pub(crate) at: i64,
    pub(crate) epoch: u64,
}

/// What all lanes of a life share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) origin_ms: u64,
    pub(crate) outputs: VecDeque<Output>,
    /// All renditions that the life has had.
    pub(crate) infos: Vec<RenditionInfo>,
    pub(crate) sound: SoundCounters,
    /// The newest time that any frame told, in common time.
    pub(crate) newest: i64,
    /// The same, but no further than the slowest lane's pace: what is 400 ms before it is late.
    pub(crate) clock: i64,
    /// The discontinuities of the life so far.
    pub(crate) epoch: u64,
    /// The rendition whose cuts the sound follows.
    pub(crate) leader: Option<usize>,
    /// The last cuts of this publication, and how many came before them.
    cuts: VecDeque<Cut>,
    cuts_before: u64,
    keyframe_due: i64,
    /// Requests since the last cut, and how many of late had an answer.
    asked: u32,
    answers: u32,
    /// `EXT-X-TARGETDURATION`, once it is known.
    pub(crate) target_s: Option<u32>,
    /// How long the open segment of each rendition of pictures is with the part that is open, in common time.
    open: Vec<i64>,
    has_outgrown: bool,
    /// Whether what comes stands for a publisher who is away.
    pub(crate) is_stand_in: bool,
}

impl Shared {
    pub(crate) fn new(settings: Settings, origin_ms: u64) -> Self {
        Self {
            settings,
            origin_ms,
            outputs: VecDeque::new(),
            infos: Vec::new(),
            sound: SoundCounters::default(),
            newest: i64::MIN / 2,
            clock: i64::MIN / 2,
            epoch: 0,
            leader: None,
            cuts: VecDeque::new(),
            cuts_before: 0,
            keyframe_due: i64::MIN / 2,
            asked: 0,
            answers: 0,
            target_s: None,
            open: Vec::new(),
            has_outgrown: false,
            is_stand_in: false,
        }
    }

    pub(crate) fn warn(&mut self, warning: Warning) {
        self.outputs.push_back(Output::Warning(warning));
    }

    /// Notes a cut, if it is one to follow.
    pub(crate) fn cut(&mut self, rendition: usize, cut: Cut) {
        if self.leader.is_some_and(|leader| leader != rendition) {
            return;
        }
        self.asked = 0;
        if self.cuts.len() == CUTS_MAX {
            self.cuts.pop_front();
            self.cuts_before += 1;
        }
        self.cuts.push_back(cut);
    }

    pub(crate) fn last_cut(&self) -> Option<Cut> {
        self.cuts.back().copied()
    }

    /// The cut with which sound begins whose first packet is at `at`, and its number: the last one before, so that the sound that came
    /// is kept; else the first of the publication.
    pub(crate) fn cut_for(&self, at: i64) -> Option<(u64, Cut)> {
        let place = self.cuts.iter().rposition(|cut| cut.at <= at).unwrap_or(0);
        let cut = self.cuts.get(place)?;
        Some((self.cuts_before + place as u64, *cut))
    }

    /// How many cuts there were.
    pub(crate) fn cuts_end(&self) -> u64 {
        self.cuts_before + self.cuts.len() as u64
    }

    /// The `number`th cut.
    pub(crate) fn cut_at(&self, number: u64) -> Option<Cut> {
        let place = usize::try_from(number.saturating_sub(self.cuts_before)).ok()?;
        self.cuts.get(place).copied()
    }

    /// A publication begins.
    pub(crate) fn forget_cuts(&mut self) {
        self.cuts_before = self.cuts_end();
        self.cuts.clear();
        self.leader = None;
    }

    /// Asks for keyframes, but not too often.
    pub(crate) fn ask_for_keyframes(&mut self) {
        let doublings = self.asked.saturating_sub(1).min(DOUBLINGS_MAX);
        if self.clock - self.keyframe_due >= KEYFRAME_DUE_EVERY << doublings {
            if self.asked > 0 {
                self.answers = self.answers.saturating_sub(1);
            }
            self.asked += 1;
            self.keyframe_due = self.clock;
            self.outputs.push_back(Output::KeyframeDue);
        }
    }

    /// A keyframe came.
    pub(crate) fn note_keyframe(&mut self) {
        if self.clock - self.keyframe_due <= ANSWER_MAX {
            self.answers = (self.answers + 1).min(2 * ANSWERS_KNOWN);
        }
    }

    /// Whether the publisher sends a keyframe when it is asked.
    pub(crate) fn is_answered(&self) -> bool {
        self.answers >= ANSWERS_KNOWN
    }

    /// The open segment of `rendition`, which has pictures, will be at least so long, in common time.
    pub(crate) fn set_open(&mut self, rendition: usize, length: i64) {
        if self.open.len() <= rendition {
            self.open.resize(rendition + 1, 0);
        }
        self.open[rendition] = length;
    }

    /// Chooses the target duration if a segment of `length` ticks of common time is the first one to be complete: so that it
    /// and all that are open fit.
    pub(crate) fn choose_target(&mut self, rendition: usize, length: i64) {
        if self.target_s.is_some() {
            return;
        }
        let open = self.open.iter().copied();
        let seconds = target_of(open.fold(length, i64::max));
        let Settings {
            target_duration_min_s: least,
            target_duration_max_s: most,
            ..
        } = self.settings;
        let seconds = seconds.clamp(least, most.max(least));
        self.target_s = Some(seconds);
        self.outputs.push_back(Output::TargetDuration(seconds));
        self.tell_of_rare_keyframes(rendition, seconds);
    }

    fn tell_of_rare_keyframes(&mut self, rendition: usize, seconds: u32) {
        if seconds > TARGET_TOLD_S {
            self.warn(Warning::KeyframesRare { rendition, seconds });
        }
    }

    /// Groups of pictures of `length` ticks of common time have come again and again, and do not fit.
    pub(crate) fn outgrow(&mut self, rendition: usize, length: i64) {
        let Some(target) = self.target_s else {
            return;
        };
        let seconds = target_of(length).min(self.settings.target_duration_max_s);
        if seconds > target && !self.has_outgrown {
            self.has_outgrown = true;
            self.outputs.push_back(Output::Outgrown(seconds));
            self.tell_of_rare_keyframes(rendition, seconds);
        }
    }
}
