//! VP9: the uncompressed header tells everything (VP9 bitstream specification, section 6.2).

use bytes::Bytes;
use mp4_atom::{Codec, Visual, Vp09, VpcC};
use payload::bits::Reader;
use payload::vp9::HeaderStart;

use super::{Change, Coded, Format, Recipe};

const SYNC_CODE: u32 = 0x49_83_42;
const COLOUR_SPACE_RGB: u32 = 7;

/// The frames that a decoder keeps.
const SLOTS: usize = 8;

/// Frames in a superframe, at most (annex B).
const FRAMES_MAX: usize = 8;

/// Levels times ten, with their largest picture and most luma samples per second (annex A).
const LEVELS: [(u8, u64, u64); 10] = [
    (10, 36_864, 829_440),
    (11, 73_728, 2_764_800),
    (20, 122_880, 4_608_000),
    (21, 245_760, 9_216_000),
    (30, 552_960, 20_736_000),
    (31, 983_040, 36_864_000),
    (40, 2_228_224, 83_558_400),
    (41, 2_228_224, 160_432_128),
    (50, 8_912_896, 311_951_360),
    (51, 8_912_896, 588_251_136),
];

/// The frame rate that the level is computed for: the headers tell none, and a level is a promise.
const RATE_MAX: u64 = 60;

/// One track's VP9.
#[derive(Default)]
pub(crate) struct Vp9 {
    format: Option<Format>,
    sizes: [(u32, u32); SLOTS],
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Colour {
    bit_depth: u8,
    /// As `vpcC` numbers it.
    subsampling: u8,
    is_full_range: bool,
}

struct Header {
    profile: u8,
    keyframe: bool,
    is_shown: bool,
    size: (u32, u32),
    colour: Option<Colour>,
    /// The slot that has the picture afterwards.
    slot: Option<u8>,
}

impl Vp9 {
    pub(crate) fn format(&self) -> Option<&Format> {
        self.format.as_ref()
    }

    pub(crate) fn take(&mut self, data: Bytes) -> Result<Coded, &'static str> {
        let mut keyframe = None;
        let mut shown = None;
        for frame in frames(&data) {
            let header = self
                .header(frame)
                .ok_or("a VP9 frame header makes no sense")?;
            if keyframe.is_none() {
                keyframe = Some(header.colour.filter(|_| header.keyframe));
            }
            if header.is_shown {
                shown = Some(header);
            }
        }
        let shown = shown.ok_or("a VP9 superframe that shows nothing")?;
        let change = match keyframe.flatten() {
            Some(colour) => self.activate(&shown, colour)?,
            None => Change::Nothing,
        };
        Ok(Coded {
            payload: vec![data],
            keyframe: keyframe.flatten().is_some(),
            change,
            recipe: shown.slot.map(|slot| {
                // Frame marker 2, the profile, `show_existing_frame`, and the slot.
                let profile = (shown.profile & 1) << 5 | (shown.profile >> 1) << 4;
                Recipe::Vp9(2 << 6 | profile | 1 << 3 | slot)
            }),
        })
    }

    fn activate(&mut self, header: &Header, colour: Colour) -> Result<Change, &'static str> {
        let format = format(header, colour)?;
        let change = if self.format.as_ref() == Some(&format) {
            Change::Nothing
        } else {
            Change::Picture
        };
        self.format = Some(format);
        Ok(change)
    }

    fn header(&mut self, frame: &[u8]) -> Option<Header> {
        let mut reader = Reader::new(frame, 0);
        let start = HeaderStart::read(&mut reader).filter(|start| !start.is_reserved)?;
        let profile = start.profile;
        if start.shows_existing {
            let slot = reader.bits(3)? as u8;
            return Some(Header {
                profile,
                keyframe: false,
                is_shown: true,
                size: self.sizes[usize::from(slot)],
                colour: None,
                slot: Some(slot),
            });
        }
        let keyframe = !reader.flag()?;
        let is_shown = reader.flag()?;
        let is_resilient = reader.flag()?;
        let (refreshed, size, colour) = if keyframe {
            let colour = colour(&mut reader, profile)?;
            (0xff, size(&mut reader)?, Some(colour))
        } else {
            let (refreshed, size) = self.inter(&mut reader, profile, is_shown, is_resilient)?;
            (refreshed, size, None)
        };
        for (slot, kept) in self.sizes.iter_mut().enumerate() {
            if refreshed >> slot & 1 == 1 {
                *kept = size;
            }
        }
        Some(Header {
            profile,
            keyframe,
            is_shown,
            size,
            colour,
            // Profile 3 has one bit more, which a recipe of one byte has no room for.
            slot: (refreshed != 0 && profile < 3).then(|| refreshed.trailing_zeros() as u8),
        })
    }

    /// The slots that a picture which is not a keyframe goes to, and its size.
    fn inter(
        &self,
        reader: &mut Reader<'_>,
        profile: u8,
        is_shown: bool,
        is_resilient: bool,
    ) -> Option<(u32, (u32, u32))> {
        let is_intra = !is_shown && reader.flag()?;
        if !is_resilient {
            reader.bits(2)?;
        }
        if is_intra {
            if profile > 0 {
                colour(reader, profile)?;
            } else if reader.bits(24)? != SYNC_CODE {
                return None;
            }
            return Some((reader.bits(8)?, size(reader)?));
        }
        let refreshed = reader.bits(8)?;
        let mut references = [0; 3];
        for reference in &mut references {
            *reference = reader.bits(3)? as usize;
            reader.bits(1)?;
        }
        for reference in references {
            if reader.flag()? {
                return Some((refreshed, self.sizes[reference]));
            }
        }
        Some((refreshed, size(reader)?))
    }
}

fn size(reader: &mut Reader<'_>) -> Option<(u32, u32)> {
    Some((reader.bits(16)? + 1, reader.bits(16)? + 1))
}

/// The sync code and `color_config()`.
fn colour(reader: &mut Reader<'_>, profile: u8) -> Option<Colour> {
    if reader.bits(24)? != SYNC_CODE {
        return None;
    }
    let bit_depth = match profile {
        2.. if reader.flag()? => 12,
        2.. => 10,
        _ => 8,
    };
    let is_rgb = reader.bits(3)? == COLOUR_SPACE_RGB;
    let has_subsampling = profile & 1 == 1;
    let is_full_range = is_rgb || reader.flag()?;
    let subsampling = match (is_rgb, has_subsampling) {
        (true, true) => {
            reader.bits(1)?;
            3
        }
        (true, false) => return None,
        (false, true) => match reader.bits(3)? >> 1 {
            0 => 3,
            2 => 2,
            _ => return None,
        },
        (false, false) => 1,
    };
    Some(Colour {
        bit_depth,
        subsampling,
        is_full_range,
    })
}

fn format(header: &Header, colour: Colour) -> Result<Format, &'static str> {
    let (width, height) = header.size;
    let samples = u64::from(width) * u64::from(height);
    let level = LEVELS
        .into_iter()
        .find(|(_, picture, rate)| samples <= *picture && samples * RATE_MAX <= *rate)
        .map_or(61, |(level, ..)| level);
    let (profile, bit_depth) = (header.profile, colour.bit_depth);
    Ok(Format {
        codec: format!("vp09.{profile:02}.{level:02}.{bit_depth:02}"),
        width,
        height,
        entry: Codec::Vp09(Vp09 {
            visual: Visual {
                data_reference_index: 1,
                width: width.try_into().map_err(|_| "a picture is too wide")?,
                height: height.try_into().map_err(|_| "a picture is too high")?,
                ..Visual::default()
            },
            vpcc: VpcC {
                profile,
                level,
                bit_depth,
                chroma_subsampling: colour.subsampling,
                video_full_range_flag: colour.is_full_range,
                ..VpcC::default()
            },
            ..Vp09::default()
        }),
    })
}

/// The frames of a superframe (annex B), or the one frame that it is.
fn frames(data: &[u8]) -> Vec<&[u8]> {
    let whole = vec![data];
    let Some(&marker) = data.last() else {
        return whole;
    };
    if marker >> 5 != 6 {
        return whole;
    }
    let count = usize::from(marker & 7) + 1;
    let size_bytes = usize::from(marker >> 3 & 3) + 1;
    let index = count * size_bytes + 2;
    if count > FRAMES_MAX || data.len() < index || data[data.len() - index] != marker {
        return whole;
    }
    let (mut rest, index) = data.split_at(data.len() - index);
    let mut frames = Vec::with_capacity(count);
    for size in index[1..=count * size_bytes].chunks(size_bytes) {
        let size = size
            .iter()
            .rev()
            .fold(0, |size, byte| size << 8 | usize::from(*byte));
        let Some((frame, after)) = rest.split_at_checked(size) else {
            return whole;
        };
        if !frame.is_empty() {
            frames.push(frame);
        }
        rest = after;
    }
    frames
}

#[cfg(test)]
mod tests {
    use payload::bits::Writer;

    use super::*;

    fn keyframe(width: u32, height: u32) -> Bytes {
        let mut writer = Writer::default();
        writer.bits(2, 2);
        writer.bits(0, 2); // profile 0
        writer.bits(0, 1); // not an existing frame
        writer.bits(0, 1); // a keyframe
        writer.bits(1, 1); // shown
        writer.bits(0, 1);
        writer.bits(SYNC_CODE, 24);
        writer.bits(2, 3); // BT.709
        writer.bits(0, 1);
        writer.bits(width - 1, 16);
        writer.bits(height - 1, 16);
        writer.bits(0, 16);
        writer.bytes.into()
    }

    fn inter(refreshed: u32) -> Bytes {
        let mut writer = Writer::default();
        writer.bits(2, 2);
        writer.bits(0, 3);
        writer.bits(1, 1); // not a keyframe
        writer.bits(1, 1); // shown
        writer.bits(0, 1);
        writer.bits(0, 2);
        writer.bits(refreshed, 8);
        writer.bits(0, 12);
        writer.bits(1, 1); // the size of the first reference
        writer.bits(0, 16);
        writer.bytes.into()
    }

    #[test]
    fn a_keyframe_tells_size_and_codec() {
        let mut vp9 = Vp9::default();
        let coded = vp9.take(keyframe(1280, 720)).unwrap();
        assert!(coded.keyframe);
        assert_eq!(coded.change, Change::Picture);
        let format = vp9.format().unwrap();
        assert_eq!((format.width, format.height), (1280, 720));
        assert_eq!(format.codec, "vp09.00.40.08");
        assert_eq!(
            vp9.take(keyframe(1280, 720)).unwrap().change,
            Change::Nothing
        );
        assert_eq!(
            vp9.take(keyframe(640, 360)).unwrap().change,
            Change::Picture
        );
    }

    #[test]
    fn the_picture_is_shown_again_from_the_slot_it_went_to() {
        let mut vp9 = Vp9::default();
        vp9.take(keyframe(320, 180)).unwrap();
        let check = |vp9: &mut Vp9, refreshed, recipe| {
            assert_eq!(vp9.take(inter(refreshed)).unwrap().recipe, recipe);
        };
        check(&mut vp9, 0b100, Some(Recipe::Vp9(0b1000_1010)));
        check(&mut vp9, 0, None);
    }

    #[test]
    fn a_superframe_is_what_its_index_says() {
        let (first, second) = (keyframe(320, 180), inter(1));
        let mut data = [&first[..], &second[..]].concat();
        let marker = 6 << 5 | 1;
        data.extend([marker, first.len() as u8, second.len() as u8, marker]);
        assert_eq!(frames(&data), [&first[..], &second[..]]);
        let coded = Vp9::default().take(data.into()).unwrap();
        assert!(coded.keyframe);
    }

    #[test]
    fn noise_is_refused() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..10_000 {
            let data: Vec<u8> = (0..random.usize(0..40)).map(|_| random.u8(..)).collect();
            let _ = Vp9::default().take(data.into());
        }
    }
}
