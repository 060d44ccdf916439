//! H.264 payloads, RFC 6184: single NAL units, STAP-A and FU-A, in whatever mix an encoder sends.

use std::sync::Arc;

use super::Inspection;
use crate::h264::NalType;
use crate::h264::payload::{aggregate_header, each_start};

/// Parameter sets longer than this are not kept: real ones are 10-60 bytes, with VUI and scaling lists under 300.
const PARAMETER_SET_MAX: usize = 512;

/// Whether an IDR slice or parameter sets are in `payload`.
pub(super) fn inspect(payload: &[u8]) -> Inspection {
    let mut inspection = Inspection::default();
    each_start(payload, |nal, _| match NalType::of(nal) {
        Some(NalType::IDR) => inspection.keyframe = true,
        Some(kind) if kind.is_parameter_set() => inspection.parameters = true,
        _ => {}
    });
    inspection
}

/// The last sequence and picture parameter sets of a layer, kept apart because OBS may send them in different packets.
#[derive(Debug, Clone, Default)]
pub struct ParameterSets {
    sps: Vec<u8>,
    pps: Vec<u8>,
    /// One was seen that is too long to be kept, or came in fragments.
    has_unkept: bool,
}

impl ParameterSets {
    /// Remembers what `payload` holds.
    pub fn learn(&mut self, payload: &[u8]) {
        each_start(payload, |unit, is_whole| {
            let kept = match NalType::of(unit) {
                Some(NalType::SPS) => &mut self.sps,
                Some(NalType::PPS) => &mut self.pps,
                _ => return,
            };
            if !is_whole || unit.len() > PARAMETER_SET_MAX {
                self.has_unkept = true;
            } else if kept != unit {
                kept.clear();
                kept.extend_from_slice(unit);
            }
        });
    }

    /// Whether both sets were seen, as far as can be told.
    #[inline]
    pub fn is_complete(&self) -> bool {
        self.has_unkept || (!self.sps.is_empty() && !self.pps.is_empty())
    }

    /// Both sets as one STAP-A payload, for a viewer who starts at an IDR that came without them.
    pub fn payload(&self) -> Option<Arc<[u8]>> {
        if self.sps.is_empty() || self.pps.is_empty() {
            return None;
        }
        let mut out = Vec::with_capacity(5 + self.sps.len() + self.pps.len());
        out.push(aggregate_header(self.sps[0] | self.pps[0]));
        for unit in [&self.sps, &self.pps] {
            let length = u16::try_from(unit.len()).expect("bounded by PARAMETER_SET_MAX");
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(unit);
        }
        Some(out.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPS_UNIT: &[u8] = &[0x67, 0x64, 0x00, 0x28, 0xac];
    const PPS_UNIT: &[u8] = &[0x68, 0xee, 0x3c, 0x80];

    fn check(payload: &[u8], keyframe: bool, parameters: bool) {
        let seen = inspect(payload);
        assert_eq!(
            (seen.keyframe, seen.parameters),
            (keyframe, parameters),
            "{payload:02x?}"
        );
    }

    #[test]
    fn every_packaging_of_an_idr_is_seen() {
        check(&[0x65, 1, 2], true, false);
        check(&[0x41, 1, 2], false, false);
        check(SPS_UNIT, false, true);
        check(PPS_UNIT, false, true);
        check(&[0x78, 0, 2, 0x68, 1, 0, 2, 0x65, 9], true, true);
        check(&[0x7c, 0x85, 1], true, false);
        check(&[0x7c, 0x45, 1], false, false);
        check(&[0x7c, 0x05, 1], false, false);
        check(&[0x7c, 0x81, 1], false, false);
    }

    #[test]
    fn nonsense_is_nothing_special() {
        check(&[], false, false);
        check(&[0x78], false, false);
        check(&[0x78, 0], false, false);
        check(&[0x78, 0xff, 0xff, 0x65], false, false);
        check(&[0x78, 0, 0, 0, 0], false, false);
        check(&[0x7c], false, false);
        check(&[0x00, 0x65], false, false);
        check(&[0x1f, 0x65], false, false);
    }

    #[test]
    fn parameter_sets_sent_apart_come_back_together() {
        let mut sets = ParameterSets::default();
        assert!(sets.payload().is_none());
        sets.learn(SPS_UNIT);
        assert!(sets.payload().is_none());
        sets.learn(PPS_UNIT);
        let joined = sets.payload().expect("both are known");
        check(&joined, false, true);
        let mut again = ParameterSets::default();
        again.learn(&joined);
        assert_eq!(again.sps, SPS_UNIT);
        assert_eq!(again.pps, PPS_UNIT);
    }

    #[test]
    fn a_monstrous_parameter_set_is_not_kept() {
        let mut sets = ParameterSets::default();
        let mut monster = vec![0x67; 2000];
        monster[1] = 0x42;
        sets.learn(&monster);
        assert!(sets.sps.is_empty());
    }
}
