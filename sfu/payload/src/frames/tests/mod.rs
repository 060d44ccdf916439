//! Assemblers as the bridge uses them, on virtual time.

mod clocks;
mod drift;
mod hostile;
mod pictures;
mod seeds;
mod sound;
mod stage;
mod sync;

use super::{Assembler, Counters, Frame, Lead, Packet};
use crate::CodecKind;

use stage::{Bench, PPS, SPS, assert_gapless, frame, packet, units};

fn assembler(kind: CodecKind) -> Assembler {
    Assembler::new(kind)
}

impl Bench {
    /// One whose first packets wait no more: they have been given.
    pub(super) fn begun(kind: CodecKind, first: Vec<Packet>) -> Self {
        let mut bench = Self::new(kind);
        let now_us = first.last().map_or(0, |packet| packet.arrival_us) + 50_000;
        for packet in first {
            bench.push(packet);
        }
        bench.expire(now_us);
        bench
    }

    pub(super) fn take(&mut self) -> Vec<Frame> {
        std::mem::take(&mut self.frames)
    }

    /// The times of all frames since they were taken.
    pub(super) fn times(&self) -> Vec<i64> {
        self.frames.iter().map(|frame| frame.pts).collect()
    }
}
