//! AV1: the sequence header tells everything (AV1 bitstream specification, section 5.5).

use mp4_atom::{Av01, Av1c, Codec, Visual};
use payload::av1::{self, FRAME, FRAME_HEADER, HAS_EXTENSION, HAS_SIZE, SEQUENCE_HEADER, leb128};
use payload::bits::Reader;

use super::{Change, Coded, Format, Recipe};
use crate::Frame;

const KEY_FRAME: u32 = 0;
const INTRA_ONLY_FRAME: u32 = 2;
const SWITCH_FRAME: u32 = 3;

/// `SELECT_SCREEN_CONTENT_TOOLS` and `SELECT_INTEGER_MV`: each frame says it.
const BY_FRAME: u32 = 2;

/// A padding OBU (section 5.13): a decoder shows nothing for it, so that the picture before stays.
const PADDING: [u8; 3] = [0x7a, 1, 0x80];

/// Octets of a size (section 4.10.5).
const SIZE_OCTETS_MAX: usize = 8;

/// Operating points, at most.
const POINTS_MAX: u32 = 32;

/// One track's AV1.
#[derive(Default)]
pub(crate) struct Av1 {
    sequence: Option<Sequence>,
    format: Option<Format>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Sequence {
    config: Av1c,
    width: u32,
    height: u32,
    bit_depth: u8,
    tools: Tools,
}

/// What a frame header's length depends on.
#[derive(Clone, Debug, Default, PartialEq)]
struct Tools {
    /// A still picture's header is another one.
    is_reduced: bool,
    /// Frames carry timing or numbers, which this crate does not write.
    has_more: bool,
    screen: u32,
    integer: u32,
    order_hint_bits: usize,
}

impl Av1 {
    pub(crate) fn format(&self) -> Option<&Format> {
        self.format.as_ref()
    }

    pub(crate) fn take(&mut self, frame: Frame) -> Result<Coded, &'static str> {
        let mut header = None;
        let mut recipe = None;
        let mut rest = &frame.data[..];
        while !rest.is_empty() {
            let (unit, after) = split_unit(rest).ok_or("an OBU's size is wrong")?;
            if unit.kind == SEQUENCE_HEADER && header.is_none() {
                header = Some((&rest[..rest.len() - after.len()], unit.payload));
            }
            if matches!(unit.kind, FRAME | FRAME_HEADER)
                && let Some(sequence) = self.sequence.as_ref().filter(|_| !frame.keyframe)
                && let Some((true, slot)) = sequence.tools.read_frame(unit.payload)
            {
                recipe = slot.map(|slot| Recipe::Av1([0x1a, 1, 1 << 7 | slot << 4 | 1 << 3]));
            }
            rest = after;
        }
        let mut change = Change::Nothing;
        if frame.keyframe {
            if let Some((whole, payload)) = header {
                let mut sequence =
                    Sequence::read(payload).ok_or("a sequence header makes no sense")?;
                sequence.config.config_obus = whole.to_vec();
                change = self.activate(sequence)?;
            } else if self.sequence.is_none() {
                return Err("a keyframe without its sequence header");
            }
        }
        Ok(Coded {
            payload: vec![frame.data],
            keyframe: frame.keyframe,
            change,
            // A keyframe must not be shown again (section 6.8.2), and what is in no slot cannot be.
            recipe: Some(recipe.unwrap_or(Recipe::Av1(PADDING))),
        })
    }

    fn activate(&mut self, sequence: Sequence) -> Result<Change, &'static str> {
        let shape = |sequence: &Sequence| {
            (
                sequence.width,
                sequence.height,
                sequence.config.seq_profile,
                sequence.config.seq_level_idx_0,
            )
        };
        let change = match &self.sequence {
            Some(before) if *before == sequence => Change::Nothing,
            Some(before) if shape(before) == shape(&sequence) => Change::Init,
            _ => Change::Picture,
        };
        if change != Change::Nothing {
            self.format = Some(sequence.format()?);
            self.sequence = Some(sequence);
        }
        Ok(change)
    }
}

struct Unit<'a> {
    kind: u8,
    payload: &'a [u8],
}

/// Splits the first OBU off; one without a size reaches to the end.
fn split_unit(data: &[u8]) -> Option<(Unit<'_>, &[u8])> {
    let (&header, mut rest) = data.split_first()?;
    if header & HAS_EXTENSION != 0 {
        rest = rest.get(1..)?;
    }
    let mut size = rest.len();
    if header & HAS_SIZE != 0 {
        let number = leb128(&mut rest.iter().copied(), SIZE_OCTETS_MAX)?;
        size = number.value;
        rest = &rest[number.octets..];
    }
    let (payload, after) = rest.split_at_checked(size)?;
    let unit = Unit {
        kind: av1::kind(header),
        payload,
    };
    Some((unit, after))
}

impl Sequence {
    fn read(payload: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(payload, 0);
        let mut sequence = Self::default();
        sequence.config.seq_profile = reader.bits(3)? as u8;
        reader.bits(1)?;
        let is_reduced = reader.flag()?;
        sequence.tools.is_reduced = is_reduced;
        if is_reduced {
            sequence.config.seq_level_idx_0 = reader.bits(5)? as u8;
        } else {
            sequence.read_points(&mut reader)?;
        }
        let width_bits = reader.bits(4)? as usize + 1;
        let height_bits = reader.bits(4)? as usize + 1;
        sequence.width = reader.bits(width_bits)? + 1;
        sequence.height = reader.bits(height_bits)? + 1;
        if !is_reduced && reader.flag()? {
            reader.bits(7)?;
            sequence.tools.has_more = true;
        }
        reader.bits(3)?;
        if !is_reduced {
            sequence.tools.read(&mut reader)?;
        }
        reader.bits(3)?;
        sequence.read_colour(&mut reader)?;
        Some(sequence)
    }

    /// Timing and operating points.
    fn read_points(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        let mut delay_bits = None;
        if reader.flag()? {
            reader.bits(32)?;
            reader.bits(32)?;
            if reader.flag()? {
                reader.exp_golomb()?;
            }
            if reader.flag()? {
                self.tools.has_more = true;
                delay_bits = Some(reader.bits(5)? as usize + 1);
                reader.bits(32)?;
                reader.bits(10)?;
            }
        }
        let has_display_delays = reader.flag()?;
        let points = reader.bits(5)? + 1;
        for point in 0..points.min(POINTS_MAX) {
            reader.bits(12)?;
            let level = reader.bits(5)? as u8;
            let tier = level > 7 && reader.flag()?;
            if point == 0 {
                self.config.seq_level_idx_0 = level;
                self.config.seq_tier_0 = tier;
            }
            if let Some(bits) = delay_bits
                && reader.flag()?
            {
                reader.bits(bits)?;
                reader.bits(bits)?;
                reader.bits(1)?;
            }
            if has_display_delays && reader.flag()? {
                reader.bits(4)?;
            }
        }
        Some(())
    }

    /// `color_config()`.
    fn read_colour(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        let config = &mut self.config;
        config.high_bitdepth = reader.flag()?;
        config.twelve_bit = config.seq_profile == 2 && config.high_bitdepth && reader.flag()?;
        self.bit_depth = match (config.high_bitdepth, config.twelve_bit) {
            (_, true) => 12,
            (true, false) => 10,
            (false, false) => 8,
        };
        config.monochrome = config.seq_profile != 1 && reader.flag()?;
        let description = if reader.flag()? {
            (reader.bits(8)?, reader.bits(8)?, reader.bits(8)?)
        } else {
            (2, 2, 2)
        };
        let is_srgb = description == (1, 13, 0);
        let (across, down) = if config.monochrome {
            reader.bits(1)?;
            (true, true)
        } else if is_srgb {
            (false, false)
        } else {
            reader.bits(1)?;
            match config.seq_profile {
                0 => (true, true),
                1 => (false, false),
                _ if config.twelve_bit => {
                    let across = reader.flag()?;
                    (across, across && reader.flag()?)
                }
                _ => (true, false),
            }
        };
        config.chroma_subsampling_x = across;
        config.chroma_subsampling_y = down;
        if !config.monochrome && across && down {
            config.chroma_sample_position = reader.bits(2)? as u8;
        }
        Some(())
    }

    fn format(&self) -> Result<Format, &'static str> {
        let config = &self.config;
        Ok(Format {
            codec: format!(
                "av01.{}.{:02}{}.{:02}",
                config.seq_profile,
                config.seq_level_idx_0,
                if config.seq_tier_0 { 'H' } else { 'M' },
                self.bit_depth
            ),
            width: self.width,
            height: self.height,
            entry: Codec::Av01(Av01 {
                visual: Visual {
                    data_reference_index: 1,
                    width: self.width.try_into().map_err(|_| "a picture is too wide")?,
                    height: self
                        .height
                        .try_into()
                        .map_err(|_| "a picture is too high")?,
                    ..Visual::default()
                },
                av1c: config.clone(),
                ..Av01::default()
            }),
        })
    }
}

impl Tools {
    /// From `enable_interintra_compound` to `order_hint_bits`.
    fn read(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        reader.bits(4)?;
        let has_order_hints = reader.flag()?;
        if has_order_hints {
            reader.bits(2)?;
        }
        self.screen = if reader.flag()? {
            BY_FRAME
        } else {
            reader.bits(1)?
        };
        self.integer = if self.screen == 0 || reader.flag()? {
            BY_FRAME
        } else {
            reader.bits(1)?
        };
        if has_order_hints {
            self.order_hint_bits = reader.bits(3)? as usize + 1;
        }
        Some(())
    }

    /// Whether a frame is shown, and the slot that it goes to (section 5.9.2).
    fn read_frame(&self, payload: &[u8]) -> Option<(bool, Option<u8>)> {
        if self.is_reduced || self.has_more {
            return None;
        }
        let mut reader = Reader::new(payload, 0);
        if reader.flag()? {
            // A frame that was kept: it may have been a keyframe.
            return Some((true, None));
        }
        let kind = reader.bits(2)?;
        let is_shown = reader.flag()?;
        if !is_shown {
            reader.bits(1)?;
        }
        let is_whole = kind == SWITCH_FRAME || kind == KEY_FRAME && is_shown;
        let is_resilient = is_whole || reader.flag()?;
        reader.bits(1)?;
        let screen = match self.screen {
            BY_FRAME => reader.bits(1)?,
            fixed => fixed,
        };
        if screen == 1 && self.integer == BY_FRAME {
            reader.bits(1)?;
        }
        if kind != SWITCH_FRAME {
            reader.bits(1)?;
        }
        reader.bits(self.order_hint_bits)?;
        if !is_resilient && !matches!(kind, KEY_FRAME | INTRA_ONLY_FRAME) {
            reader.bits(3)?;
        }
        let refreshed = if is_whole { 0xff } else { reader.bits(8)? };
        let slot = (refreshed != 0 && kind != KEY_FRAME).then(|| refreshed.trailing_zeros() as u8);
        Some((is_shown, slot))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    /// A sequence header as libaom writes it for 352x288, level 2.0 and 8 bits.
    const LIBAOM: [u8; 13] = [
        0x0a, 0x0b, 0x00, 0x00, 0x00, 0x04, 0x3c, 0xff, 0xbc, 0xff, 0xf9, 0x80, 0x40,
    ];

    fn frame(data: &[u8]) -> Frame {
        Frame {
            pts: 0,
            keyframe: true,
            data: Bytes::copy_from_slice(data),
            duration: None,
        }
    }

    #[test]
    fn a_keyframe_without_its_sequence_header_is_refused() {
        assert!(Av1::default().take(frame(&[0x32, 1, 0])).is_err());
    }

    #[test]
    fn noise_is_refused() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..10_000 {
            let mut data = LIBAOM.to_vec();
            for _ in 0..3 {
                let at = random.usize(..data.len());
                data[at] = random.u8(..);
            }
            let _ = Av1::default().take(frame(&data));
        }
    }
}
