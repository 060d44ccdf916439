//! VP9: the payload descriptor (RFC 9628 section 4.2), and how an uncompressed header begins (bitstream specification,
//! section 6.2).

use crate::bits::Reader;

const PICTURE_ID: u8 = 0x80;
const INTER_PREDICTED: u8 = 0x40;
const LAYERS: u8 = 0x20;
const FLEXIBLE: u8 = 0x10;
const BEGINS_FRAME: u8 = 0x08;
const ENDS_FRAME: u8 = 0x04;
const STRUCTURE: u8 = 0x02;

/// What a payload descriptor says. A frame is one spatial layer of one picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Descriptor {
    pub(crate) is_inter_predicted: bool,
    pub(crate) begins_frame: bool,
    pub(crate) ends_frame: bool,
    /// PictureID, and whether it has 15 bits.
    pub(crate) picture_id: Option<u16>,
    pub(crate) wide: bool,
    pub(crate) layer: Option<Layer>,
    /// Flexible mode: how many pictures back the needed ones lie; 0 for no more.
    pub(crate) references: [u8; 3],
    /// There are more than a picture may have.
    pub(crate) has_more_references: bool,
    has_structure: bool,
    /// Octets, without the scalability structure.
    pub(crate) length: usize,
}

/// The layer indices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layer {
    pub(crate) spatial: u8,
    pub(crate) temporal: u8,
    /// U: one may switch up to this temporal layer here.
    pub(crate) is_switch: bool,
    /// D: needs the spatial layer below.
    pub(crate) depends_on_lower: bool,
}

impl Descriptor {
    /// Reads what a payload begins with; `None` when it is cut short.
    #[inline]
    pub(crate) fn read(payload: &[u8]) -> Option<Self> {
        let first = *payload.first()?;
        let mut at = 1;
        let (mut picture_id, mut wide) = (None, false);
        if first & PICTURE_ID != 0 {
            let high = *payload.get(at)?;
            at += 1;
            wide = high & 0x80 != 0;
            picture_id = Some(if wide {
                let low = *payload.get(at)?;
                at += 1;
                u16::from_be_bytes([high & 0x7f, low])
            } else {
                u16::from(high)
            });
        }
        let mut layer = None;
        if first & LAYERS != 0 {
            let octet = *payload.get(at)?;
            at += 1;
            layer = Some(Layer {
                spatial: (octet >> 1) & 0x07,
                temporal: octet >> 5,
                is_switch: octet & 0x10 != 0,
                depends_on_lower: octet & 0x01 != 0,
            });
            if first & FLEXIBLE == 0 {
                // TL0PICIDX
                payload.get(at)?;
                at += 1;
            }
        }
        let is_inter_predicted = first & INTER_PREDICTED != 0;
        let (mut references, mut has_more_references) = ([0; 3], false);
        if first & FLEXIBLE != 0 && is_inter_predicted {
            for reference in &mut references {
                let octet = *payload.get(at)?;
                at += 1;
                *reference = octet >> 1;
                has_more_references = octet & 0x01 != 0;
                if !has_more_references {
                    break;
                }
            }
        }
        Some(Self {
            is_inter_predicted,
            begins_frame: first & BEGINS_FRAME != 0,
            ends_frame: first & ENDS_FRAME != 0,
            picture_id,
            wide,
            layer,
            references,
            has_more_references,
            has_structure: first & STRUCTURE != 0,
            length: at,
        })
    }

    /// Octets with the scalability structure, section 4.2.1; `None` when that is cut short.
    pub(crate) fn whole_length(&self, payload: &[u8]) -> Option<usize> {
        let mut octets = payload.get(self.length..)?.iter().copied();
        if self.has_structure {
            skip_structure(&mut octets)?;
        }
        Some(payload.len() - octets.len())
    }
}

fn skip_structure(octets: &mut impl Iterator<Item = u8>) -> Option<()> {
    let flags = octets.next()?;
    if flags & 0x10 != 0 {
        for _ in 0..4 * (usize::from(flags >> 5) + 1) {
            octets.next()?;
        }
    }
    if flags & 0x08 != 0 {
        for _ in 0..octets.next()? {
            for _ in 0..octets.next()? >> 2 & 0x03 {
                octets.next()?;
            }
        }
    }
    Some(())
}

/// How an uncompressed header begins, up to `show_existing_frame`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderStart {
    /// 0 to 3.
    pub profile: u8,
    /// Profile 3 has a bit that must not be set, and is.
    pub is_reserved: bool,
    /// A kept picture is shown, whose place follows; otherwise it follows whether the frame is no key frame.
    pub shows_existing: bool,
}

impl HeaderStart {
    /// Reads the first bits of a frame; `None` when it is none.
    pub fn read(reader: &mut Reader<'_>) -> Option<Self> {
        if reader.bits(2)? != 2 {
            return None;
        }
        let profile = (reader.bits(1)? | reader.bits(1)? << 1) as u8;
        Some(Self {
            profile,
            is_reserved: profile == 3 && reader.flag()?,
            shows_existing: reader.flag()?,
        })
    }
}
