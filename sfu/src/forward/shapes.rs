//! Scalable streams for tests: descriptors as browsers send them, and what each frame needs, which they only hint at.

use std::time::{Duration, Instant};

use payload::CodecKind;
use payload::inspect::{dependency, inspect};

use crate::packet::{Dependency, MediaPacket};

/// A way of coding, with Chrome's patterns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// VP8 L1T3, 0 2 1 2: sync points in every group of four.
    Vp8,
    /// VP8 L1T3, 0 2 1 2 0 2 1 2: sync points in the first half only.
    Vp8Long,
    /// VP9 L1T3, non-flexible: U on pictures that need lower layers only.
    Vp9Fixed,
    /// VP9 L1T3, non-flexible, as of old: U everywhere, and no reference among equals.
    Vp9FixedOld,
    /// VP9 L1T3, non-flexible, eight pictures.
    Vp9FixedLong,
    /// VP9 L3T3, flexible: each spatial layer needs the one below in every picture.
    Vp9Full,
    /// VP9 `L3T3_KEY`, flexible: only in key pictures.
    Vp9Key,
    /// AV1 L3T3 with dependency descriptors.
    Av1Full,
    /// AV1 `L3T3_KEY` with dependency descriptors.
    Av1Key,
}

pub(super) const SHAPES: [Shape; 9] = [
    Shape::Vp8,
    Shape::Vp8Long,
    Shape::Vp9Fixed,
    Shape::Vp9FixedOld,
    Shape::Vp9FixedLong,
    Shape::Vp9Full,
    Shape::Vp9Key,
    Shape::Av1Full,
    Shape::Av1Key,
];

/// Temporal layer, sync bit, and how many pictures back the needed ones lie.
type Step = (u8, bool, &'static [u32]);

const SHORT: &[Step] = &[
    (0, false, &[4]),
    (2, true, &[1]),
    (1, true, &[2]),
    (2, false, &[1, 2]),
];
const SHORT_OLD: &[Step] = &[
    (0, true, &[4]),
    (2, true, &[1]),
    (1, true, &[2]),
    (2, true, &[1]),
];
const LONG: &[Step] = &[
    (0, false, &[4]),
    (2, true, &[1]),
    (1, true, &[2]),
    (2, false, &[1, 2]),
    (0, false, &[4]),
    (2, false, &[1, 2, 3]),
    (1, false, &[2, 4]),
    (2, false, &[1, 2]),
];
/// Flexible mode, where browsers set U when every reference is in a lower layer.
const FLEXIBLE: &[Step] = &[
    (0, false, &[4]),
    (2, true, &[1]),
    (1, true, &[2]),
    (2, true, &[1]),
];

/// One spatial layer of one picture.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub(super) picture: u32,
    pub(super) spatial: u8,
    pub(super) temporal: u8,
    pub(super) is_key: bool,
    /// Pictures and spatial layers that it is predicted from.
    pub(super) needs: Vec<(u32, u8)>,
    pub(super) packets: Vec<MediaPacket>,
}

/// Makes pictures one after the other.
#[derive(Debug)]
pub(super) struct Camera {
    shape: Shape,
    start: Instant,
    next: u32,
    sequence: u64,
    /// Pictures since the key picture.
    since_key: u32,
    tl0: u8,
    /// How many spatial layers each picture since the key picture had.
    spatial: Vec<u8>,
}

impl Shape {
    pub(super) fn kind(self) -> CodecKind {
        match self {
            Self::Vp8 | Self::Vp8Long => CodecKind::Vp8,
            Self::Av1Full | Self::Av1Key => CodecKind::Av1,
            _ => CodecKind::Vp9,
        }
    }

    pub(super) fn spatial_layers(self) -> u8 {
        match self {
            Self::Vp9Full | Self::Vp9Key | Self::Av1Full | Self::Av1Key => 3,
            _ => 1,
        }
    }

    fn steps(self) -> &'static [Step] {
        match self {
            Self::Vp8 | Self::Vp9Fixed => SHORT,
            Self::Vp9FixedOld => SHORT_OLD,
            Self::Vp8Long | Self::Vp9FixedLong => LONG,
            Self::Vp9Full | Self::Vp9Key | Self::Av1Full | Self::Av1Key => FLEXIBLE,
        }
    }
}

impl Camera {
    pub(super) fn new(shape: Shape, start: Instant) -> Self {
        Self {
            shape,
            start,
            next: 0,
            sequence: 65_500,
            since_key: 0,
            tl0: 250,
            spatial: Vec::new(),
        }
    }

    /// Whether a picture of the lowest temporal layer is next.
    pub(super) fn is_at_base(&self) -> bool {
        let steps = self.shape.steps();
        steps[self.since_key as usize % steps.len()].0 == 0
    }

    /// The next picture, with `spatial` layers of `packets` packets each.
    pub(super) fn shoot(&mut self, is_key: bool, spatial: u8, packets: usize) -> Vec<Frame> {
        if is_key {
            self.since_key = 0;
            self.spatial.clear();
        }
        let number = self.next;
        let steps = self.shape.steps();
        let (temporal, is_sync, back) = steps[self.since_key as usize % steps.len()];
        if temporal == 0 {
            self.tl0 = self.tl0.wrapping_add(1);
        }
        let frames = (0..spatial)
            .map(|layer| {
                let known = |back: u32| {
                    let at = self.since_key.checked_sub(back)?;
                    (self.spatial[at as usize] > layer).then_some(number - back)
                };
                let earlier: Vec<u32> = back.iter().filter_map(|&back| known(back)).collect();
                let mut needs: Vec<_> = earlier.iter().map(|&picture| (picture, layer)).collect();
                let is_simulcast = matches!(self.shape, Shape::Vp9Key | Shape::Av1Key);
                let is_stacked = !is_simulcast || is_key || earlier.is_empty();
                if layer > 0 && is_stacked {
                    needs.push((number, layer - 1));
                }
                let mut frame = Frame {
                    picture: number,
                    spatial: layer,
                    temporal,
                    is_key,
                    needs,
                    packets: Vec::new(),
                };
                self.packetize(&mut frame, &earlier, is_sync, layer + 1 == spatial, packets);
                frame
            })
            .collect();
        self.next += 1;
        self.since_key += 1;
        self.spatial.push(spatial);
        frames
    }

    fn packetize(
        &mut self,
        frame: &mut Frame,
        earlier: &[u32],
        is_sync: bool,
        is_top: bool,
        packets: usize,
    ) {
        let at = self.start + Duration::from_micros(33_333) * frame.picture;
        for part in 0..packets {
            let is_last = part + 1 == packets;
            let payload = match self.shape.kind() {
                CodecKind::Vp8 => self.vp8(frame, is_sync, part == 0),
                CodecKind::Av1 => av1(frame, part == 0),
                _ => self.vp9(frame, earlier, is_sync, part == 0, is_last),
            };
            let mut inspection = inspect(self.shape.kind(), &payload);
            let dependency = (self.shape.kind() == CodecKind::Av1).then(|| {
                inspection.describe(dependency::Frame {
                    is_end: is_last,
                    spatial: frame.spatial,
                    temporal: frame.temporal,
                    needs_others: !frame.needs.is_empty(),
                    is_switch: is_sync || frame.temporal == 0,
                });
                // A number for each spatial layer of each picture.
                let number = frame.picture * 3 + u32::from(frame.spatial) + 65_000;
                Dependency {
                    bytes: [0; 3].as_slice().into(),
                    frame_number: u16::try_from(number & 0xffff).expect("16 bits"),
                }
            });
            frame.packets.push(MediaPacket {
                sequence: self.sequence,
                timestamp: frame.picture.wrapping_mul(3000).wrapping_sub(90_000),
                marker: is_last && is_top,
                arrival: at,
                wallclock: at,
                inspection,
                payload: payload.into(),
                red: false,
                audio_level: None,
                orientation: None,
                captured_us: None,
                dependency,
                ahead: std::time::Duration::ZERO,
            });
            self.sequence += 1;
        }
    }

    /// The picture's number on the wire: it turns over after a second.
    pub(super) fn picture_id(picture: u32) -> u16 {
        u16::try_from((picture + 32_740) & 0x7fff).expect("15 bits")
    }

    fn vp8(&self, frame: &Frame, is_sync: bool, is_first: bool) -> Vec<u8> {
        let [high, low] = Self::picture_id(frame.picture).to_be_bytes();
        let layer = frame.temporal << 6 | u8::from(is_sync) << 5 | 3;
        let start = if is_first { 0x90 } else { 0x80 };
        let mut payload = vec![start, 0xf0, 0x80 | high, low, self.tl0, layer];
        payload.extend([u8::from(!frame.is_key); 20]);
        payload
    }

    fn vp9(
        &self,
        frame: &Frame,
        earlier: &[u32],
        is_sync: bool,
        is_first: bool,
        is_last: bool,
    ) -> Vec<u8> {
        let [high, low] = Self::picture_id(frame.picture).to_be_bytes();
        let is_flexible = matches!(self.shape, Shape::Vp9Full | Shape::Vp9Key);
        let stacks = frame
            .needs
            .contains(&(frame.picture, frame.spatial.wrapping_sub(1)));
        let flags = 0xa0
            | u8::from(!earlier.is_empty()) << 6
            | u8::from(is_flexible) << 4
            | u8::from(is_first) << 3
            | u8::from(is_last) << 2;
        let layer =
            frame.temporal << 5 | u8::from(is_sync) << 4 | frame.spatial << 1 | u8::from(stacks);
        let mut payload = vec![flags, 0x80 | high, low, layer];
        if is_flexible {
            for (at, picture) in earlier.iter().enumerate() {
                let difference = u8::try_from(frame.picture - picture).expect("at most four back");
                payload.push(difference << 1 | u8::from(at + 1 < earlier.len()));
            }
        } else {
            payload.push(self.tl0);
        }
        payload.extend([0x82; 20]);
        payload
    }
}

/// One unit, whole or in part; N where a coded video sequence begins.
fn av1(frame: &Frame, is_first: bool) -> Vec<u8> {
    let begins = is_first && frame.is_key && frame.spatial == 0;
    let mut payload = vec![u8::from(!is_first) << 7 | 0x10 | u8::from(begins) << 3];
    payload.extend([0x30; 20]);
    payload
}
