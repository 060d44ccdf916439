//! The dependency descriptor, "RTP Payload Format for AV1" appendix A: what a frame is, and what it needs.
//!
//! A descriptor names one of the templates of the structure that came with the last key picture. Without that structure the
//! first three octets can be read and no more. Nothing is decoded further than the choice of layers needs: where a frame
//! begins and ends, its layers, whether it needs earlier ones and whether a higher frame rate can begin with it.

use crate::bits::Reader;

/// Octets of a descriptor: what a header extension can carry.
pub const LENGTH_MAX: usize = 255;

/// Templates: their ids have six bits.
const TEMPLATES_MAX: usize = 64;

/// Decode targets: their count has five bits.
const TARGETS_MAX: usize = 32;

/// What a frame is to a decode target.
const NOT_PRESENT: u8 = 0;
const SWITCH: u8 = 2;

/// What one packet's descriptor says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptor {
    /// Counts the frames of a source.
    pub frame_number: u16,
    /// What a frame is, if the structure that says so is known.
    pub frame: Option<Frame>,
}

/// One frame: one spatial layer of one picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// The packet is the frame's last.
    pub is_end: bool,
    /// Resolution: 0 is the lowest.
    pub spatial: u8,
    /// Frame rate: 0 is the lowest.
    pub temporal: u8,
    /// It needs frames before it, of this picture or of others.
    pub needs_others: bool,
    /// From here on the decode target of its own layers can be decoded, and for a frame of the lowest temporal layer those
    /// of all higher ones.
    pub is_switch: bool,
}

/// The templates that a source's frames refer to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Structure {
    id_offset: u8,
    /// Spatial and temporal layer of each decode target.
    targets: Vec<(u8, u8)>,
    templates: Vec<Template>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Template {
    spatial: u8,
    temporal: u8,
    /// What a frame is to each decode target.
    indications: Vec<u8>,
    needs_others: bool,
}

/// The first three octets: whether a frame ends, the template, the frame's number.
fn mandatory(bytes: &[u8]) -> Option<(bool, u8, u16)> {
    let [first, high, low, ..] = *bytes else {
        return None;
    };
    let number = u16::from_be_bytes([high, low]);
    Some((first & 0x40 != 0, first & 0x3f, number))
}

/// Writes another frame number into a descriptor.
#[inline]
pub fn set_frame_number(bytes: &mut [u8], number: u16) {
    if let Some(place) = bytes.get_mut(1..3) {
        place.copy_from_slice(&number.to_be_bytes());
    }
}

/// Reads a descriptor, and keeps its structure in `known` if it brings one. `None` for what is none.
pub fn read(bytes: &[u8], known: &mut Option<Structure>) -> Option<Descriptor> {
    let (is_end, template, frame_number) =
        mandatory(bytes).filter(|_| bytes.len() <= LENGTH_MAX)?;
    let nothing = Descriptor {
        frame_number,
        frame: None,
    };
    let mut bits = Reader::new(&bytes[3..], 0);
    let has_more = bytes.len() > 3;
    let mut flags = [false; 5];
    if has_more {
        for flag in &mut flags {
            *flag = bits.flag()?;
        }
    }
    // Differences and chains themselves are for receivers.
    let [
        brings_structure,
        says_active,
        has_indications,
        has_differences,
        _,
    ] = flags;
    if brings_structure {
        *known = Some(Structure::read(&mut bits)?);
    }
    let Some(structure) = known.as_ref() else {
        return Some(nothing);
    };
    if says_active {
        bits.skip(structure.targets.len())?;
    }
    let at = usize::from(template.wrapping_sub(structure.id_offset) & 0x3f);
    let Some(template) = structure.templates.get(at) else {
        return Some(nothing);
    };
    let mut custom = [NOT_PRESENT; TARGETS_MAX];
    let indications = if has_indications {
        for place in custom.iter_mut().take(structure.targets.len()) {
            *place = bits.few(2)?;
        }
        &custom[..structure.targets.len()]
    } else {
        &template.indications
    };
    let needs_others = if has_differences {
        bits.few(2)? != 0
    } else {
        template.needs_others
    };
    Some(Descriptor {
        frame_number,
        frame: Some(Frame {
            is_end,
            spatial: template.spatial,
            temporal: template.temporal,
            needs_others,
            is_switch: structure.is_switch(template, indications),
        }),
    })
}

impl Structure {
    fn read(bits: &mut Reader<'_>) -> Option<Self> {
        let id_offset = bits.few(6)?;
        let count = usize::from(bits.few(5)?) + 1;
        let mut templates = read_layers(bits)?;
        for template in &mut templates {
            for _ in 0..count {
                template.indications.push(bits.few(2)?);
            }
        }
        for template in &mut templates {
            while bits.flag()? {
                template.needs_others = true;
                bits.skip(4)?;
            }
        }
        let chains = bits.non_symmetric(u8::try_from(count).ok()? + 1)?;
        if chains > 0 {
            for _ in 0..count {
                bits.non_symmetric(chains)?;
            }
            bits.skip(templates.len() * usize::from(chains) * 4)?;
        }
        if bits.flag()? {
            let highest = templates.iter().map(|template| template.spatial).max();
            bits.skip((usize::from(highest.unwrap_or(0)) + 1) * 32)?;
        }
        let targets = (0..count)
            .map(|target| {
                let part = templates
                    .iter()
                    .filter(|template| template.indications[target] != NOT_PRESENT);
                let spatial = part.clone().map(|template| template.spatial).max();
                let temporal = part.map(|template| template.temporal).max();
                (spatial.unwrap_or(0), temporal.unwrap_or(0))
            })
            .collect();
        Some(Self {
            id_offset,
            targets,
            templates,
        })
    }

    /// Whether the decode targets of the frame's spatial layer can begin with it: the one of its temporal layer, or for the
    /// lowest temporal layer each.
    fn is_switch(&self, template: &Template, indications: &[u8]) -> bool {
        let mut own = self
            .targets
            .iter()
            .zip(indications)
            .filter(|((spatial, temporal), _)| {
                *spatial == template.spatial
                    && (template.temporal == 0 || *temporal == template.temporal)
            })
            .peekable();
        own.peek().is_some() && own.all(|(_, indication)| *indication == SWITCH)
    }
}

/// The layers of all templates, in their order.
fn read_layers(bits: &mut Reader<'_>) -> Option<Vec<Template>> {
    let mut templates = Vec::new();
    let (mut spatial, mut temporal) = (0_u8, 0_u8);
    loop {
        if templates.len() >= TEMPLATES_MAX {
            return None;
        }
        templates.push(Template {
            spatial,
            temporal,
            ..Template::default()
        });
        match bits.few(2)? {
            0 => {}
            1 => temporal += 1,
            2 => (spatial, temporal) = (spatial + 1, 0),
            _ => return Some(templates),
        }
        // AV1 has four spatial and eight temporal layers.
        if spatial > 3 || temporal > 7 {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Writes descriptors, bit by bit.
    #[derive(Default)]
    struct Writer(Vec<bool>);

    impl Writer {
        fn bits(&mut self, value: u32, count: u32) -> &mut Self {
            self.0
                .extend((0..count).rev().map(|bit| value >> bit & 1 != 0));
            self
        }

        fn bytes(&self) -> Vec<u8> {
            let octet = |bits: &[bool]| {
                (0..8).fold(0, |octet, at| {
                    octet << 1 | u8::from(bits.get(at) == Some(&true))
                })
            };
            self.0.chunks(8).map(octet).collect()
        }
    }

    /// The first three octets: a whole frame in one packet.
    fn head(template: u32, number: u32) -> Writer {
        let mut writer = Writer::default();
        writer.bits(3, 2).bits(template, 6).bits(number, 16);
        writer
    }

    /// L2T2 with five decode targets' worth of nothing special: S0T0 and S1T0 of the key picture, then S0T0, S0T1, S1T0, S1T1.
    fn l2t2(template: u32, number: u32) -> Vec<u8> {
        let mut writer = head(template, number);
        // Structure and active targets; id offset 60 turns over; four targets.
        writer.bits(0b11000, 5).bits(60, 6).bits(3, 5);
        // Same, next temporal, next spatial, same, next temporal, end.
        for next in [0, 1, 2, 0, 1, 3] {
            writer.bits(next, 2);
        }
        // Targets: S0T0, S0T1, S1T0, S1T1. 0 not present, 1 discardable, 2 switch, 3 required.
        for indications in [
            [2, 2, 2, 2],
            [2, 2, 3, 3],
            [0, 1, 0, 3],
            [0, 0, 2, 2],
            [0, 0, 2, 2],
            [0, 0, 0, 1],
        ] {
            for one in indications {
                writer.bits(one, 2);
            }
        }
        // Differences: of S0T0 none, then 4; S0T1 2; S1T0 1, then 4 and 1; S1T1 2 and 1.
        for differences in [&[][..], &[4], &[2], &[1], &[4, 1], &[2, 1]] {
            for one in differences {
                writer.bits(1, 1).bits(one - 1, 4);
            }
            writer.bits(0, 1);
        }
        // Two chains of "ns(5)"; whom they protect, "ns(2)"; four bits for each template and chain.
        writer.bits(2, 2);
        for chain in [0, 0, 1, 1] {
            writer.bits(chain, 1);
        }
        for _ in 0..6 {
            writer.bits(0x47, 8);
        }
        // Two resolutions, and the mask of active targets.
        writer.bits(1, 1).bits(319 << 16 | 179, 32);
        writer.bits(639 << 16 | 359, 32).bits(0b1111, 4);
        writer.bytes()
    }

    fn frame(known: &mut Option<Structure>, bytes: &[u8]) -> (u8, u8, bool, bool) {
        let frame = read(bytes, known).unwrap().frame.unwrap();
        assert!(frame.is_end);
        (
            frame.spatial,
            frame.temporal,
            frame.needs_others,
            frame.is_switch,
        )
    }

    #[test]
    fn a_key_picture_brings_the_templates_and_the_others_name_them() {
        let mut known = None;
        let first = l2t2(60, 65_535);
        assert_eq!(read(&first, &mut known).unwrap().frame_number, 65_535);
        let targets = &known.as_ref().unwrap().targets;
        assert_eq!(targets, &[(0, 0), (0, 1), (1, 0), (1, 1)]);
        // Spatial, temporal, needs others, is a switch.
        for (template, expected) in [
            (60, (0, 0, false, true)),
            (61, (0, 0, true, true)),
            (62, (0, 1, true, false)),
            (63, (1, 0, true, true)),
            (0, (1, 0, true, true)),
            (1, (1, 1, true, false)),
        ] {
            let bytes = head(template, 7).bytes();
            assert_eq!(frame(&mut known, &bytes), expected, "{template}");
        }
        let stranger = read(&head(2, 9).bytes(), &mut known);
        let unknown = Descriptor {
            frame_number: 9,
            frame: None,
        };
        assert_eq!(stranger, Some(unknown), "no such template");
    }

    #[test]
    fn a_frame_may_differ_from_its_template() {
        let mut known = None;
        read(&l2t2(60, 1), &mut known).unwrap();
        let mut writer = head(62, 7);
        // Own indications and own differences: one of four bits.
        writer.bits(0b00110, 5);
        for indication in [0, 2, 0, 3] {
            writer.bits(indication, 2);
        }
        writer.bits(1, 2).bits(3, 4).bits(0, 2);
        assert_eq!(frame(&mut known, &writer.bytes()), (0, 1, true, true));
        let mut alone = head(61, 8);
        alone.bits(0b00010, 5).bits(0, 2);
        assert_eq!(frame(&mut known, &alone.bytes()), (0, 0, false, true));
    }

    #[test]
    fn without_its_structure_a_descriptor_is_a_number() {
        let bytes = head(1, 770).bytes();
        let expected = Descriptor {
            frame_number: 770,
            frame: None,
        };
        assert_eq!(read(&bytes, &mut None), Some(expected));
        assert_eq!(read(&bytes[..2], &mut None), None);
        assert_eq!(read(&[], &mut None), None);
        assert_eq!(read(&[0; LENGTH_MAX + 1], &mut None), None);
    }

    #[test]
    fn a_structure_that_ends_early_or_has_no_end_changes_nothing() {
        let mut known = None;
        let whole = l2t2(60, 1);
        read(&whole, &mut known).unwrap();
        let before = known.clone();
        // The last octet is the mask's and filling.
        for end in 4..whole.len() - 9 {
            assert_eq!(read(&whole[..end], &mut known), None, "{end} octets");
            assert_eq!(known, before, "{end} octets");
        }
        for next in [0_u8, 0x55, 0xaa] {
            let mut endless = head(0, 1).bytes();
            endless.extend([0x80, 0x00]);
            endless.extend([next; LENGTH_MAX - 5]);
            assert_eq!(read(&endless, &mut known), None);
            assert_eq!(known, before);
        }
    }

    #[test]
    fn a_frame_number_is_written_in_its_place() {
        let mut bytes = l2t2(60, 1);
        set_frame_number(&mut bytes, 0x1234);
        let descriptor = read(&bytes, &mut None).unwrap();
        assert_eq!(descriptor.frame_number, 0x1234);
        assert_eq!(bytes[3..], l2t2(60, 1)[3..]);
        set_frame_number(&mut [0; 2], 1);
    }

    proptest! {
        #[test]
        fn no_bytes_confuse_the_reader(
            first in prop::collection::vec(any::<u8>(), 0..80),
            second in prop::collection::vec(any::<u8>(), 0..40),
            place in 0_usize..60,
            octet in any::<u8>(),
        ) {
            let mut known = None;
            read(&first, &mut known);
            read(&second, &mut known);
            let mut mutated = l2t2(60, 1);
            let at = place % mutated.len();
            mutated[at] = octet;
            read(&mutated, &mut known);
            if let Some(frame) = read(&second, &mut known).and_then(|read| read.frame) {
                prop_assert!(frame.spatial <= 3 && frame.temporal <= 7);
            }
            if let Some(known) = known {
                prop_assert!(known.templates.len() <= TEMPLATES_MAX);
                prop_assert!(known.targets.len() <= TARGETS_MAX);
            }
        }
    }
}
