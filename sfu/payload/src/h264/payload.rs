//! How RTP carries NAL units, RFC 6184 packetization modes 0 and 1: single ones, aggregates (STAP-A) and fragments (FU-A).

use super::units::split_all;

/// The five bits of a payload's first octet that say what it is.
const TYPE_MASK: u8 = 0x1f;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;
/// A fragment's second octet: the first one, the last one.
const FU_START: u8 = 0x80;
const FU_END: u8 = 0x40;

/// What a payload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form<'a> {
    /// One NAL unit, header included.
    Single(&'a [u8]),
    /// What follows the first octet of an aggregate: see [`units`].
    Aggregate(&'a [u8]),
    /// A part of one NAL unit.
    Fragment(Fragment<'a>),
}

/// A part of one NAL unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fragment<'a> {
    indicator: u8,
    header: u8,
    /// What it has of the unit, behind its header.
    pub(crate) data: &'a [u8],
}

impl Fragment<'_> {
    /// The first one of its unit.
    pub(crate) fn is_start(&self) -> bool {
        self.header & FU_START != 0
    }

    /// The last one of its unit.
    pub(crate) fn is_end(&self) -> bool {
        self.header & FU_END != 0
    }

    /// The unit's header, with those of the indicator's first three bits that `mask` has.
    pub(crate) fn nal_header(&self, mask: u8) -> u8 {
        self.indicator & mask | self.header & TYPE_MASK
    }
}

impl<'a> Form<'a> {
    /// Reads a payload; `None` for an empty one, for a fragment without its two octets, and for what modes 0 and 1 do not have.
    #[inline]
    pub(crate) fn of(payload: &'a [u8]) -> Option<Self> {
        match payload {
            [first, rest @ ..] if first & TYPE_MASK == STAP_A => Some(Self::Aggregate(rest)),
            [indicator, rest @ ..] if indicator & TYPE_MASK == FU_A => {
                let (header, data) = rest.split_first()?;
                Some(Self::Fragment(Fragment {
                    indicator: *indicator,
                    header: *header,
                    data,
                }))
            }
            [first, ..] if matches!(first & TYPE_MASK, 1..=23) => Some(Self::Single(payload)),
            _ => None,
        }
    }
}

/// The first octet of an aggregate of units with these headers, RFC 6184 section 5.7.1: F is 0, NRI the highest of theirs.
pub(crate) fn aggregate_header(headers: u8) -> u8 {
    headers & 0x60 | STAP_A
}

/// The units of an aggregate, empty ones included; `None` for one that is cut short, which is the last.
#[inline]
pub(crate) fn units(aggregate: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    split_all(aggregate, |rest| {
        let (length, after) = rest.split_first_chunk()?;
        after.split_at_checked(usize::from(u16::from_be_bytes(*length)))
    })
}

/// Calls `each` with every NAL unit that starts in `payload`, and whether that is all of it: of a fragmented one with its header and the
/// first octet after it.
#[inline]
pub(crate) fn each_start(payload: &[u8], mut each: impl FnMut(&[u8], bool)) {
    match Form::of(payload) {
        Some(Form::Single(nal)) => each(nal, true),
        Some(Form::Aggregate(rest)) => {
            for nal in units(rest).map_while(|nal| nal) {
                if !nal.is_empty() {
                    each(nal, true);
                }
            }
        }
        Some(Form::Fragment(fragment)) if fragment.is_start() => {
            let nal = [
                fragment.nal_header(0x60),
                fragment.data.first().copied().unwrap_or(0),
            ];
            each(&nal[..1 + fragment.data.len().min(1)], false);
        }
        _ => {}
    }
}
