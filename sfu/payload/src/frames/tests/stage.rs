//! Assemblers on virtual time, for the tests of this crate and for those of whoever gives it what makes Opus: what stands around this
//! module says what an assembler is there.

use std::sync::Arc;

use super::{Assembler, CodecKind, Counters, Frame, Lead, Packet, assembler};

pub(super) const SPS: &[u8] = &[0x67, 0x42, 0xc0, 0x1e, 0x11];
pub(super) const PPS: &[u8] = &[0x68, 0xce, 0x38];

/// A packet that was captured when it arrived.
pub(super) fn packet(sequence: u64, timestamp: u32, at_us: i64, payload: &[u8]) -> Packet {
    Packet {
        sequence,
        timestamp,
        marker: true,
        arrival_us: at_us,
        wallclock_us: at_us,
        payload: payload.into(),
        red: false,
    }
}

/// An assembler with all that it has given.
pub(super) struct Bench {
    pub(super) assembler: Assembler,
    /// That of a publication with one track.
    pub(super) lead: Lead,
    pub(super) frames: Vec<Frame>,
}

impl Bench {
    pub(super) fn new(kind: CodecKind) -> Self {
        Self {
            assembler: assembler(kind),
            lead: Lead::begin(&[None]).0,
            frames: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, packet: Packet) -> &mut Self {
        self.lead.note(0, self.assembler.ahead(&packet));
        self.assembler
            .push(packet, self.lead.us(), &mut self.frames);
        self
    }

    pub(super) fn expire(&mut self, now_us: i64) -> &mut Self {
        self.assembler
            .expire(now_us, self.lead.us(), &mut self.frames);
        self
    }

    pub(super) fn counters(&self) -> Counters {
        self.assembler.counters()
    }
}

/// Sound has no hole: each frame begins where the one before ends.
pub(super) fn assert_gapless(frames: &[Frame]) {
    for pair in frames.windows(2) {
        let duration = i64::from(pair[0].duration.expect("sound has durations"));
        assert_eq!(pair[0].pts + duration, pair[1].pts, "{pair:?}");
    }
}

/// Payloads as packets of one frame.
pub(super) fn frame<T: Clone + Into<Arc<[u8]>>>(
    first: u64,
    timestamp: u32,
    at_us: i64,
    payloads: &[T],
) -> Vec<Packet> {
    let last = payloads.len() - 1;
    let packet = |(index, payload): (usize, &T)| Packet {
        sequence: first + index as u64,
        timestamp,
        marker: index == last,
        arrival_us: at_us,
        wallclock_us: at_us,
        payload: payload.clone().into(),
        red: false,
    };
    payloads.iter().enumerate().map(packet).collect()
}

/// The NAL units of a frame of H.264.
pub(super) fn units(frame: &Frame) -> Vec<Vec<u8>> {
    let mut units = Vec::new();
    let mut rest = &frame.data[..];
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let (unit, after) = after.split_at(u32::from_be_bytes(*length) as usize);
        units.push(unit.to_vec());
        rest = after;
    }
    assert!(rest.is_empty());
    units
}
