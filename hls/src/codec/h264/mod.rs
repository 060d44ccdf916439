//! H.264: parameter sets are kept apart from the samples, except where they change; the sample entry is `avc1`.

mod cabac;
mod params;
mod repeat;
#[cfg(test)]
mod repeat_tests;

use bytes::Bytes;
use h264_reader::nal::pps::PicParamSetId;
use payload::h264::NalType;
use payload::h264::units::NalUnits;

pub(crate) use repeat::Slice;

use super::{Change, Coded, Format, Payload, Recipe};
use params::{Active, Store};

/// One track's H.264.
#[derive(Default)]
pub(crate) struct H264 {
    store: Store,
    active: Option<Active>,
    /// Parameter sets that changed since the keyframe: they go into the next sample, since the sample entry has others.
    unsent: Vec<Bytes>,
    shift: repeat::Shift,
    /// Whether a picture since the keyframe is kept for long: then nothing is repeated.
    long_term: bool,
    has_captions: bool,
}

/// How captions begin in a message of supplemental enhancement information (ATSC A/53 part 4 section 6.2.3.1): the country and provider
/// codes of ITU-T T.35, and the user identifier. No emulation prevention byte comes in between.
const CAPTIONS: &[u8] = b"\xb5\x00\x31GA94";

impl H264 {
    pub(crate) fn format(&self) -> Option<&Format> {
        self.active.as_ref().map(|active| &active.format)
    }

    /// Whether there were captions in a picture.
    pub(crate) fn has_captions(&self) -> bool {
        self.has_captions
    }

    pub(crate) fn reorder_depth(&self) -> usize {
        self.active
            .as_ref()
            .map_or(0, |active| active.reorder_depth)
    }

    /// Sorts the units of a frame.
    pub(crate) fn take(&mut self, data: Bytes) -> Result<Option<Coded>, &'static str> {
        let mut payload = Payload::new();
        let mut run = 0..0;
        let mut first_slice = None;
        let mut keyframe = false;
        for unit in NalUnits::new(&data) {
            let unit = unit?;
            match unit.kind {
                NalType::SPS | NalType::PPS => self.keep(data.slice(unit.body.clone())),
                NalType::DELIMITER | NalType::FILLER => {}
                kind => {
                    if kind == NalType::SEI && !self.has_captions {
                        let mut places = data[unit.body.clone()].windows(CAPTIONS.len());
                        self.has_captions = places.any(|place| place == CAPTIONS);
                    }
                    if matches!(kind, NalType::SLICE | NalType::IDR) && first_slice.is_none() {
                        first_slice = Some(unit.body.clone());
                        keyframe = kind == NalType::IDR;
                    }
                    if run.end != unit.whole.start {
                        push_run(&mut payload, &data, run);
                        run = unit.whole.clone();
                    }
                    run.end = unit.whole.end;
                }
            }
        }
        push_run(&mut payload, &data, run);
        let Some(slice) = first_slice else {
            return Ok(None);
        };
        let slice = data.slice(slice);
        let mut sets = std::mem::take(&mut self.unsent);
        let change = if keyframe {
            let change = self.activate(&slice)?;
            sets.clear();
            // Who plays on from what was before may not see the new sample entry: FFmpeg keeps the first one, and shaka-player takes the part
            // that a preload hint named behind the old one.
            if change != Change::Nothing
                && let Some(active) = &self.active
            {
                sets.extend(active.sets().cloned());
            }
            change
        } else {
            Change::Nothing
        };
        for set in sets.into_iter().rev() {
            payload.insert(0, set);
            let length = (payload[0].len() as u32).to_be_bytes();
            payload.insert(0, Bytes::copy_from_slice(&length));
        }
        Ok(Some(Coded {
            payload,
            keyframe,
            change,
            recipe: self.recipe(&slice, keyframe),
        }))
    }

    fn keep(&mut self, set: Bytes) {
        if self.store.put(&set)
            && self
                .active
                .as_ref()
                .is_some_and(|active| !active.holds(&set))
        {
            self.unsent.push(set);
        }
    }

    /// Makes the parameter sets that a keyframe names the ones in use.
    fn activate(&mut self, slice: &[u8]) -> Result<Change, &'static str> {
        let next = self.store.activate(slice)?;
        let change = self.active.as_ref().map_or(Change::Picture, |active| {
            if active.shows_the_same(&next) {
                if active.decodes_the_same(&next) {
                    Change::Nothing
                } else {
                    Change::Init
                }
            } else {
                Change::Picture
            }
        });
        if change != Change::Nothing {
            self.active = Some(next);
        }
        Ok(change)
    }

    fn recipe(&mut self, slice: &[u8], keyframe: bool) -> Option<Recipe> {
        if keyframe {
            self.long_term = false;
        }
        let (slice, long_term) = Slice::read(slice, self.store.context())?;
        self.long_term |= long_term;
        (!self.long_term).then_some(Recipe::H264(slice))
    }

    /// Renumbers a picture, if repeats were put before it.
    pub(crate) fn follow(&mut self, coded: &mut Coded) {
        if coded.keyframe {
            self.shift = repeat::Shift::default();
        } else if !self.shift.is_none() {
            if let Some(sps) = self.active.as_ref().map(|active| &active.sps) {
                coded.payload = self.shift.apply(&coded.payload, sps);
            }
            if let Some(Recipe::H264(slice)) = &mut coded.recipe {
                self.shift.apply_to(slice);
            }
        }
    }

    /// The access unit that shows the picture of `slice` again.
    pub(crate) fn repeat(&mut self, slice: &Slice) -> Option<(Bytes, Option<Slice>)> {
        let id = PicParamSetId::from_u32(slice.pps.into()).ok()?;
        let pps = self.store.context().pps_by_id(id)?;
        let active = self.active.as_ref()?;
        repeat::repeat(slice, &active.sps, pps, &mut self.shift)
    }
}

fn push_run(payload: &mut Payload, data: &Bytes, run: std::ops::Range<usize>) {
    if !run.is_empty() {
        payload.push(data.slice(run));
    }
}
