//! The last group of pictures of a layer, kept so that a late joiner has a picture at once although OBS and FFmpeg
//! ignore keyframe requests.

use std::collections::VecDeque;
use std::sync::Arc;

use payload::CodecKind;
use payload::inspect::ParameterSets;

use super::timeline::is_newer;
use crate::packet::MediaPacket;

/// 20 seconds at 6 Mbit/s, what a stage sends with the longest keyframe interval that encoders offer.
const BYTES_MAX: usize = 16 << 20;

/// A publisher that answers keyframe requests needs no long memory: two seconds at 6 Mbit/s.
const BYTES_MAX_RESPONSIVE: usize = 3 << 19;

/// `BYTES_MAX` in small packets of 1,000 bytes.
const PACKETS_MAX: usize = 16 << 10;

/// Packets kept before a group is known: the first packet of a keyframe may be lost and come again after the rest of
/// it. The largest keyframes have some 200 packets, a repair takes up to a fifth of a second.
const LIMBO_MAX: usize = 512;

/// What [`GopCache::push`] noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// A packet like any other.
    Continues,
    /// With this packet a new group of pictures became known; it begins at [`GopCache::first`].
    StartsGop,
}

/// Packets by arrival, addressed by a running index that survives trimming.
#[derive(Debug)]
pub(crate) struct GopCache {
    kind: CodecKind,
    packets: VecDeque<MediaPacket>,
    /// Index of `packets[0]`.
    first: u64,
    bytes: usize,
    /// Whether `packets` begins with a keyframe and nothing was lost to a limit since.
    intact: bool,
    /// Source sequence number at which the group begins.
    gop_sequence: u64,
    gop_timestamp: u32,
    /// The highest source sequence number.
    newest: Option<u64>,
    /// What comes late from before this source sequence number is not kept.
    floor: u64,
    /// The access unit that is arriving.
    unit_timestamp: Option<u32>,
    /// Distinct timestamps since the group began.
    frames: u32,
    parameter_sets: ParameterSets,
    /// To be sent before the group, when its IDR came without parameter sets.
    missing_parameters: Option<Arc<[u8]>>,
}

impl GopCache {
    /// An empty cache for packets of this codec.
    pub(crate) fn new(kind: CodecKind) -> Self {
        Self {
            kind,
            packets: VecDeque::new(),
            first: 0,
            bytes: 0,
            intact: false,
            gop_sequence: 0,
            gop_timestamp: 0,
            newest: None,
            floor: 0,
            unit_timestamp: None,
            frames: 0,
            parameter_sets: ParameterSets::default(),
            missing_parameters: None,
        }
    }

    /// Keeps `packet`. `responsive`: the publisher answers keyframe requests, so little memory is enough.
    pub(crate) fn push(&mut self, packet: &MediaPacket, responsive: bool) -> Pushed {
        if packet.inspection.parameters {
            self.parameter_sets.learn(&packet.payload);
        }
        if packet.sequence < self.floor {
            return Pushed::Continues;
        }
        if self.newest.is_none_or(|newest| packet.sequence > newest) {
            self.newest = Some(packet.sequence);
            if self.unit_timestamp != Some(packet.timestamp) {
                self.begin_unit(packet.timestamp);
            }
        } else if self.intact
            && packet.sequence < self.gop_sequence
            && packet.timestamp != self.gop_timestamp
        {
            // Late, by reordering or repair, and of no use to anybody who starts here.
            return Pushed::Continues;
        }
        self.append(packet, responsive);
        if self.intact && packet.timestamp == self.gop_timestamp {
            self.gop_sequence = self.gop_sequence.min(packet.sequence);
            return Pushed::Continues;
        }
        if self.completes_keyframe(packet) {
            self.begin_gop(packet.timestamp);
            return Pushed::StartsGop;
        }
        Pushed::Continues
    }

    /// So much was lost before the packet `sequence` that what is kept leads nowhere.
    pub(crate) fn break_off(&mut self, sequence: u64) {
        self.intact = false;
        self.trim_to(self.end());
        self.floor = sequence;
    }

    fn begin_unit(&mut self, timestamp: u32) {
        self.unit_timestamp = Some(timestamp);
        self.frames = self.frames.saturating_add(1);
        if !self.intact {
            let limbo = u64::try_from(LIMBO_MAX).expect("a small constant");
            self.trim_to(self.end().saturating_sub(limbo));
        }
    }

    /// Whether with `packet` a picture became known, of this or an earlier moment, at which a newer group can begin.
    fn completes_keyframe(&self, packet: &MediaPacket) -> bool {
        let inspection = &packet.inspection;
        if !inspection.keyframe && !inspection.parameters {
            return false;
        }
        if self.kind == CodecKind::H264 && !self.parameter_sets.is_complete() {
            return false;
        }
        let recent = self.packets.iter().rev().take(LIMBO_MAX);
        let mut unit = recent.filter(|kept| kept.timestamp == packet.timestamp);
        (!self.intact || packet.sequence > self.gop_sequence)
            && unit.any(|kept| kept.inspection.keyframe)
    }

    fn begin_gop(&mut self, timestamp: u32) {
        let first = self
            .packets
            .iter()
            .position(|kept| kept.timestamp == timestamp);
        self.trim_to(self.first + first.unwrap_or(0) as u64);
        self.intact = true;
        self.gop_timestamp = timestamp;
        let unit = self
            .packets
            .iter()
            .filter(|kept| kept.timestamp == timestamp);
        self.gop_sequence = unit.clone().map(|kept| kept.sequence).min().unwrap_or(0);
        let mut last = timestamp;
        self.frames = 1;
        for kept in &self.packets {
            if is_newer(kept.timestamp, last) {
                last = kept.timestamp;
                self.frames += 1;
            }
        }
        let mut own = ParameterSets::default();
        unit.for_each(|kept| own.learn(&kept.payload));
        self.missing_parameters = (self.kind == CodecKind::H264 && !own.is_complete())
            .then(|| self.parameter_sets.payload())
            .flatten();
    }

    fn append(&mut self, packet: &MediaPacket, responsive: bool) {
        let bytes_max = if responsive {
            BYTES_MAX_RESPONSIVE
        } else {
            BYTES_MAX
        };
        if self.bytes + packet.payload.len() > bytes_max || self.packets.len() >= PACKETS_MAX {
            self.intact = false;
            self.trim_to(self.end());
        }
        self.bytes += packet.payload.len();
        self.packets.push_back(packet.clone());
    }

    fn trim_to(&mut self, index: u64) {
        while self.first < index {
            let Some(dropped) = self.packets.pop_front() else {
                self.first = index;
                return;
            };
            self.bytes -= dropped.payload.len();
            self.first += 1;
        }
    }

    /// Whether a viewer can start here.
    pub(crate) fn is_intact(&self) -> bool {
        self.intact
    }

    /// Index of the first packet kept: the start of the group when the cache is intact.
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// Index that the next packet will get.
    pub(crate) fn end(&self) -> u64 {
        self.first + self.packets.len() as u64
    }

    /// The packet with this index, unless it was trimmed or is yet to come.
    pub(crate) fn get(&self, index: u64) -> Option<&MediaPacket> {
        let at = usize::try_from(index.checked_sub(self.first)?).ok()?;
        self.packets.get(at)
    }

    /// The newest packet in decoding order of the unit that is arriving.
    pub(crate) fn live_edge(&self) -> Option<&MediaPacket> {
        let timestamp = self.unit_timestamp?;
        self.packets
            .iter()
            .rev()
            .find(|packet| packet.timestamp == timestamp)
    }

    /// Source sequence number at which the group begins.
    pub(crate) fn gop_sequence(&self) -> u64 {
        self.gop_sequence
    }

    /// Timestamp of the group's keyframe.
    pub(crate) fn gop_timestamp(&self) -> u32 {
        self.gop_timestamp
    }

    /// Distinct timestamps in the group.
    pub(crate) fn frames(&self) -> u32 {
        self.frames
    }

    /// Payload bytes kept.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Parameter sets that must precede the group because its IDR came without (H.264 only).
    pub(crate) fn missing_parameters(&self) -> Option<&Arc<[u8]>> {
        self.missing_parameters.as_ref()
    }

    /// Every packet kept, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &MediaPacket> {
        self.packets.iter()
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "an epoch for virtual time")]
mod tests {
    use payload::inspect::inspect;

    use super::*;
    use std::time::Instant;

    fn packet(sequence: u64, timestamp: u32, payload: &[u8]) -> MediaPacket {
        let now = Instant::now();
        MediaPacket {
            sequence,
            timestamp,
            marker: false,
            arrival: now,
            wallclock: now,
            payload: payload.into(),
            red: false,
            audio_level: None,
            orientation: None,
            captured_us: None,
            dependency: None,
            ahead: std::time::Duration::ZERO,
            inspection: inspect(CodecKind::H264, payload),
        }
    }

    const SPS: &[u8] = &[0x67, 0x42, 0xe0, 0x1f];
    const PPS: &[u8] = &[0x68, 0xce];
    const IDR: &[u8] = &[0x65, 1];
    const SLICE: &[u8] = &[0x41, 1];
    const FIRST_FRAGMENT: &[u8] = &[0x7c, 0x85, 1];
    const FRAGMENT: &[u8] = &[0x7c, 0x05, 1];

    #[test]
    fn a_group_begins_at_the_parameter_sets_of_its_idr() {
        let mut gop = GopCache::new(CodecKind::H264);
        assert_eq!(gop.push(&packet(1, 0, SLICE), false), Pushed::Continues);
        assert!(!gop.is_intact());
        gop.push(&packet(2, 3000, SPS), false);
        gop.push(&packet(3, 3000, PPS), false);
        assert_eq!(gop.push(&packet(4, 3000, IDR), false), Pushed::StartsGop);
        assert_eq!(gop.push(&packet(5, 3000, IDR), false), Pushed::Continues);
        gop.push(&packet(6, 6000, SLICE), false);
        assert_eq!((gop.gop_sequence(), gop.end() - gop.first()), (2, 5));
        assert_eq!(gop.frames(), 2);
        assert!(gop.missing_parameters().is_none());
    }

    #[test]
    fn a_bare_idr_gets_the_last_parameter_sets() {
        let mut gop = GopCache::new(CodecKind::H264);
        gop.push(&packet(1, 0, SPS), false);
        gop.push(&packet(2, 0, PPS), false);
        gop.push(&packet(3, 3000, IDR), false);
        assert!(gop.missing_parameters().is_some());
    }

    #[test]
    fn late_packets_join_their_group_only() {
        let mut gop = GopCache::new(CodecKind::H264);
        gop.push(&packet(9, 3000, PPS), false);
        gop.push(&packet(10, 3000, SPS), false);
        gop.push(&packet(11, 3000, IDR), false);
        gop.push(&packet(13, 6000, SLICE), false);
        gop.push(&packet(12, 3000, IDR), false);
        gop.push(&packet(8, 0, SLICE), false);
        let kept: Vec<u64> = gop.iter().map(|kept| kept.sequence).collect();
        assert_eq!(kept, [9, 10, 11, 13, 12]);
    }

    #[test]
    fn a_keyframe_whose_first_packet_comes_late_begins_a_group_all_the_same() {
        for was_intact in [false, true] {
            let mut gop = GopCache::new(CodecKind::H264);
            for (sequence, payload) in [(1, SPS), (2, PPS)] {
                gop.push(&packet(sequence, 0, payload), false);
            }
            if was_intact {
                gop.push(&packet(3, 0, IDR), false);
            }
            gop.push(&packet(11, 3000, FRAGMENT), false);
            gop.push(&packet(12, 6000, SLICE), false);
            assert_eq!(
                gop.push(&packet(10, 3000, FIRST_FRAGMENT), false),
                Pushed::StartsGop
            );
            assert_eq!(gop.gop_sequence(), 10, "{was_intact}");
            assert_eq!((gop.iter().count(), gop.frames()), (3, 2));
            assert!(gop.missing_parameters().is_some());
        }
    }

    #[test]
    fn an_idr_waits_for_parameter_sets_that_were_lost() {
        let mut gop = GopCache::new(CodecKind::H264);
        gop.push(&packet(2, 0, PPS), false);
        assert_eq!(gop.push(&packet(3, 0, IDR), false), Pushed::Continues);
        gop.push(&packet(4, 3000, SLICE), false);
        assert_eq!(gop.push(&packet(1, 0, SPS), false), Pushed::StartsGop);
        assert_eq!(gop.gop_sequence(), 1);
    }

    #[test]
    fn an_encoder_that_starts_its_clock_again_begins_a_new_group() {
        let mut gop = GopCache::new(CodecKind::H264);
        for (sequence, payload) in [(1, SPS), (2, PPS), (3, IDR)] {
            gop.push(&packet(sequence, 900_000, payload), false);
        }
        gop.push(&packet(4, 100, SPS), false);
        gop.push(&packet(5, 100, PPS), false);
        assert_eq!(gop.push(&packet(6, 100, IDR), false), Pushed::StartsGop);
        assert_eq!((gop.gop_timestamp(), gop.gop_sequence()), (100, 4));
    }

    #[test]
    fn little_is_kept_before_a_keyframe_is_known() {
        let mut gop = GopCache::new(CodecKind::H264);
        for sequence in 0..5000_u32 {
            gop.push(&packet(u64::from(sequence), sequence * 3000, SLICE), false);
        }
        assert!(gop.iter().count() <= LIMBO_MAX + 1);
    }

    #[test]
    fn a_group_that_outgrows_its_limit_is_given_up_until_the_next() {
        let mut gop = GopCache::new(CodecKind::H264);
        gop.push(&packet(0, 0, PPS), true);
        gop.push(&packet(1, 0, SPS), true);
        gop.push(&packet(2, 0, IDR), true);
        let mut big = vec![0; 1000];
        big[0] = 0x41;
        for i in 0..1600 {
            gop.push(&packet(3 + i, 3000 * (1 + i as u32), &big), true);
            assert!(gop.bytes() <= BYTES_MAX_RESPONSIVE);
        }
        assert!(!gop.is_intact());
        gop.push(&packet(2000, 9_000_000, IDR), true);
        assert!(gop.is_intact());
        assert_eq!(gop.iter().count(), 1);
    }
}
