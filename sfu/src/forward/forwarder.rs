//! One track on its way to one viewer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::gop::GopCache;
use super::sequence::SequenceRewriter;
use super::timeline::Timeline;
use super::vp8::Vp8Rewriter;
use crate::packet::{MediaPacket, Orientation};

/// A replay is sent this many times faster than the stream itself.
const REPLAY_FACTOR: u64 = 4;

/// Slower than this a replay would not be worth its name; faster than that it would flood a home router.
const REPLAY_BPS: std::ops::RangeInclusive<u64> = 10_000_000..=50_000_000;

/// Bytes that a replay may send at once: 30 packets, what a pacer would let through in a few milliseconds.
const REPLAY_BURST: u64 = 36_000;

/// How often an unfinished replay goes on.
pub(crate) const REPLAY_TICK: Duration = Duration::from_millis(5);

/// Packets at the very start that are sent twice.
const REPEATED: usize = 2;

/// How long a change of layers waits for the end of a picture. One frame takes a few milliseconds to arrive; some
/// senders forget the marker.
const PICTURE_MAX: Duration = Duration::from_millis(100);

/// Between two replays that a lossy viewer asks for.
const REPLAY_INTERVAL: Duration = Duration::from_secs(1);

/// One packet as it must leave; the payload is still the source's.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    pub(crate) sequence: u64,
    pub(crate) timestamp: u32,
    pub(crate) wallclock: Instant,
    pub(crate) marker: bool,
    pub(crate) payload: Arc<[u8]>,
    /// PictureID and TL0PICIDX to write into the payload descriptor.
    pub(crate) vp8: Option<(u16, Option<u8>)>,
    pub(crate) red: bool,
    pub(crate) audio_level: Option<(i8, bool)>,
    pub(crate) orientation: Option<Orientation>,
}

#[derive(Debug)]
enum State {
    /// For a first packet (audio) or a keyframe (video).
    Waiting,
    /// The kept group of pictures is being sent.
    Replaying {
        cursor: u64,
        rate_bps: u64,
        credit: u64,
        last: Instant,
    },
    /// Packets go out as they come.
    Live,
}

/// Rewrites one track for one viewer.
#[derive(Debug)]
pub(crate) struct Forwarder {
    clock_rate: u32,
    state: State,
    /// The layer that is being sent or waited for.
    layer: usize,
    /// A layer to change to at its next keyframe.
    next_layer: Option<usize>,
    sequence: SequenceRewriter,
    timeline: Timeline,
    vp8: Vp8Rewriter,
    last_replay: Option<Instant>,
    /// Source timestamp of a picture whose last packet was not sent yet.
    open: Option<u32>,
    /// What a paced replay still owes of that picture, should its group be replaced meanwhile.
    owed: Vec<MediaPacket>,
    /// The owed packets after a restart: they leave before anything else.
    farewell: Vec<Outgoing>,
    /// The very first packets of this track, to be sent again after the first burst: a receiver cannot ask for what was
    /// lost before anything came.
    first: Option<Vec<Outgoing>>,
    /// Since when the next layer could be sent, were it not for the open picture.
    ready: Option<Instant>,
}

impl Forwarder {
    /// A forwarder that waits for its first packet, in a clock of `clock_rate` Hz.
    pub(crate) fn new(clock_rate: u32) -> Self {
        Self {
            clock_rate,
            state: State::Waiting,
            layer: 0,
            next_layer: None,
            sequence: SequenceRewriter::default(),
            timeline: Timeline::new(clock_rate),
            vp8: Vp8Rewriter::default(),
            last_replay: None,
            open: None,
            owed: Vec::new(),
            farewell: Vec::new(),
            first: Some(Vec::new()),
            ready: None,
        }
    }

    /// The source is another one now (take-over, codec change); the viewer's stream goes on.
    pub(crate) fn reset(&mut self, clock_rate: u32) {
        if clock_rate != self.clock_rate {
            self.clock_rate = clock_rate;
            self.timeline = Timeline::new(clock_rate);
        }
        self.state = State::Waiting;
        self.layer = 0;
        self.next_layer = None;
        // Its rest may be of another codec than what this viewer is sent from now on.
        self.owed.clear();
        self.farewell.clear();
        self.close_picture();
    }

    /// Ends the open picture before something else begins: with what is owed of it, or with a hole in the sequence
    /// numbers, so that the receiver takes it for lost and not for whole.
    fn close_picture(&mut self) {
        self.ready = None;
        let owed = std::mem::take(&mut self.owed);
        for packet in &owed {
            let outgoing = self.rewrite(packet);
            self.farewell.extend(outgoing);
        }
        if self.open.take().is_some() {
            self.sequence.skip();
        }
    }

    /// Whether nothing can be sent before a keyframe comes.
    pub(crate) fn is_waiting(&self) -> bool {
        matches!(self.state, State::Waiting)
    }

    /// Whether a replay wants to go on after [`REPLAY_TICK`].
    pub(crate) fn is_replaying(&self) -> bool {
        matches!(self.state, State::Replaying { .. })
    }

    /// The layer that is sent, if any.
    pub(crate) fn current_layer(&self) -> Option<usize> {
        (!self.is_waiting()).then_some(self.layer)
    }

    /// The layer that a keyframe is wanted of.
    pub(crate) fn wanted_layer(&self) -> Option<usize> {
        self.next_layer
            .or_else(|| self.is_waiting().then_some(self.layer))
    }

    /// Chooses a layer; the change happens at that layer's next keyframe, so that no picture lacks its references.
    pub(crate) fn choose_layer(&mut self, layer: usize) {
        if self.is_waiting() {
            self.layer = layer;
            self.next_layer = None;
        } else {
            self.next_layer = (layer != self.layer).then_some(layer);
        }
    }

    /// A group of pictures began in `layer`: start or change there if it is the one wanted.
    pub(crate) fn on_gop(&mut self, now: Instant, layer: usize, gop: &GopCache, bps: u64) {
        if self.wanted_layer() != Some(layer) {
            return;
        }
        if matches!(self.state, State::Live) && self.open.is_some() {
            self.ready.get_or_insert(now);
        } else {
            self.replay(now, layer, gop, bps);
        }
    }

    /// The layer to change to now that the open picture is complete, or was waited for long enough. Follow with
    /// [`Self::replay`].
    pub(crate) fn due_layer(&self, now: Instant) -> Option<usize> {
        let since = self.ready?;
        let is_overdue = now.saturating_duration_since(since) >= PICTURE_MAX;
        self.next_layer
            .filter(|_| self.open.is_none() || is_overdue)
    }

    /// Starts from the kept group of pictures. `bps` is the layer's own rate.
    pub(crate) fn replay(&mut self, now: Instant, layer: usize, gop: &GopCache, bps: u64) {
        if !gop.is_intact() {
            return;
        }
        let (Some(first), Some(live)) = (gop.get(gop.first()), gop.live_edge()) else {
            return;
        };
        let rate_bps = (bps * REPLAY_FACTOR).clamp(*REPLAY_BPS.start(), *REPLAY_BPS.end());
        let span_out = Duration::from_micros(gop.bytes() as u64 * 8_000_000 / rate_bps);
        self.close_picture();
        self.layer = layer;
        self.next_layer = None;
        self.last_replay = Some(now);
        self.sequence.restart(gop.gop_sequence());
        self.timeline.restart_squeezed(
            gop.gop_timestamp(),
            live.timestamp,
            live.wallclock,
            span_out,
            gop.frames(),
        );
        if let Some(ids) = first.inspection.vp8 {
            self.vp8.restart(ids);
        }
        self.state = State::Replaying {
            cursor: gop.first(),
            rate_bps,
            credit: REPLAY_BURST,
            last: now,
        };
    }

    /// A viewer lost its picture and the publisher does not listen: show the group again from its start.
    pub(crate) fn replay_for_loss(&mut self, now: Instant, gop: &GopCache, bps: u64) -> bool {
        let too_soon = self
            .last_replay
            .is_some_and(|last| now.saturating_duration_since(last) < REPLAY_INTERVAL);
        if too_soon || !matches!(self.state, State::Live) || !gop.is_intact() {
            return false;
        }
        self.replay(now, self.layer, gop, bps);
        true
    }

    /// Sends what the replay's pace allows; afterwards the forwarder may be live.
    pub(crate) fn advance(&mut self, now: Instant, gop: &GopCache, mut emit: impl FnMut(Outgoing)) {
        let State::Replaying {
            mut cursor,
            rate_bps,
            mut credit,
            last,
        } = self.state
        else {
            return;
        };
        self.farewell.drain(..).for_each(&mut emit);
        if cursor < gop.first() || !gop.is_intact() {
            // A newer group began, or the group outgrew its limits.
            if !gop.is_intact() {
                self.close_picture();
                self.farewell.drain(..).for_each(&mut emit);
            }
            self.state = State::Waiting;
            if gop.is_intact() {
                self.replay(now, self.layer, gop, rate_bps / REPLAY_FACTOR);
                self.advance(now, gop, emit);
            }
            return;
        }
        if cursor == gop.first()
            && let (Some(parameters), Some(first)) = (gop.missing_parameters(), gop.get(cursor))
        {
            let outgoing = self.inserted(parameters.clone(), first);
            emit(outgoing);
        }
        let elapsed =
            u64::try_from(now.saturating_duration_since(last).as_micros()).unwrap_or(u64::MAX);
        credit = credit.saturating_add(elapsed.saturating_mul(rate_bps) / 8_000_000);
        while let Some(packet) = gop.get(cursor) {
            let cost = packet.payload.len() as u64;
            if credit < cost {
                self.first.take().into_iter().flatten().for_each(emit);
                self.owe(gop, cursor);
                self.state = State::Replaying {
                    cursor,
                    rate_bps,
                    credit,
                    last: now,
                };
                return;
            }
            credit -= cost;
            cursor += 1;
            if let Some(outgoing) = self.rewrite(packet) {
                emit(outgoing);
            }
        }
        self.first.take().into_iter().flatten().for_each(emit);
        self.owed.clear();
        self.state = State::Live;
    }

    /// Keeps the rest of the picture that a pause interrupts.
    fn owe(&mut self, gop: &GopCache, cursor: u64) {
        self.owed.clear();
        let Some(open) = self.open else { return };
        // A picture's packets lie together but for late ones.
        self.owed.extend(
            (cursor..)
                .map_while(|index| gop.get(index))
                .take_while(|packet| packet.timestamp == open)
                .cloned(),
        );
    }

    /// A packet of `layer` just came. Video that is not live is served from the group instead.
    pub(crate) fn forward(&mut self, layer: usize, packet: &MediaPacket) -> Option<Outgoing> {
        match self.state {
            State::Live if layer == self.layer => self.rewrite(packet),
            _ => None,
        }
    }

    /// A packet of a track without keyframes (audio) just came.
    pub(crate) fn forward_audio(&mut self, packet: &MediaPacket) -> Option<Outgoing> {
        if self.is_waiting() {
            self.sequence.restart(packet.sequence);
            self.timeline.restart(packet.timestamp, packet.wallclock);
            self.state = State::Live;
        }
        let outgoing = self.rewrite(packet);
        self.open = None;
        self.first = None;
        outgoing
    }

    fn rewrite(&mut self, packet: &MediaPacket) -> Option<Outgoing> {
        let sequence = self.sequence.rewrite(packet.sequence)?;
        let (timestamp, wallclock) = self.timeline.rewrite(packet.timestamp, packet.wallclock);
        if self.sequence.is_newest(sequence) {
            self.open = (!packet.marker).then_some(packet.timestamp);
        }
        let outgoing = Outgoing {
            sequence,
            timestamp,
            wallclock,
            marker: packet.marker,
            payload: packet.payload.clone(),
            vp8: packet.inspection.vp8.map(|ids| self.vp8.rewrite(ids)),
            red: packet.red,
            audio_level: packet.audio_level,
            orientation: packet.orientation,
        };
        self.remember_first(&outgoing);
        Some(outgoing)
    }

    fn inserted(&mut self, payload: Arc<[u8]>, before: &MediaPacket) -> Outgoing {
        let (timestamp, wallclock) = self.timeline.rewrite(before.timestamp, before.wallclock);
        let outgoing = Outgoing {
            sequence: self.sequence.insert(),
            timestamp,
            wallclock,
            marker: false,
            payload,
            vp8: None,
            red: false,
            audio_level: None,
            orientation: None,
        };
        self.remember_first(&outgoing);
        outgoing
    }

    fn remember_first(&mut self, outgoing: &Outgoing) {
        if let Some(first) = self.first.as_mut().filter(|first| first.len() < REPEATED) {
            first.push(outgoing.clone());
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "an epoch for virtual time")]
mod tests {
    use super::*;
    use crate::api::CodecKind;
    use crate::codec::inspect;

    const MS: Duration = Duration::from_millis(1);

    /// A picture of `packets` packets of 1,000 bytes; every tenth is a key picture.
    fn picture(start: Instant, number: u32, packets: u32) -> Vec<MediaPacket> {
        let key = number.is_multiple_of(10);
        let at = start + 33 * MS * number;
        (0..packets)
            .map(|part| {
                let mut payload = vec![0; 1000];
                payload[0] = if part == 0 { 0x10 } else { 0 };
                payload[1] = u8::from(!key);
                MediaPacket {
                    sequence: u64::from(number * packets + part),
                    timestamp: number * 3000,
                    marker: part + 1 == packets,
                    arrival: at,
                    wallclock: at,
                    inspection: inspect(CodecKind::Vp8, &payload),
                    payload: payload.into(),
                    red: false,
                    audio_level: None,
                    orientation: None,
                }
            })
            .collect()
    }

    fn group(start: Instant, pictures: std::ops::Range<u32>, packets: u32) -> GopCache {
        let mut gop = GopCache::new(CodecKind::Vp8);
        for number in pictures {
            push(&mut gop, &picture(start, number, packets));
        }
        gop
    }

    fn push(gop: &mut GopCache, packets: &[MediaPacket]) {
        for packet in packets {
            gop.push(packet, false);
        }
    }

    fn advance(forwarder: &mut Forwarder, now: Instant, gop: &GopCache) -> Vec<Outgoing> {
        let mut sent = Vec::new();
        forwarder.advance(now, gop, |outgoing| sent.push(outgoing));
        sent
    }

    #[test]
    fn a_replay_is_paced_and_ends_live() {
        let start = Instant::now();
        let gop = group(start, 0..5, 40);
        let mut forwarder = Forwarder::new(90_000);
        forwarder.replay(start, 0, &gop, 0);
        let mut sent = advance(&mut forwarder, start, &gop).len();
        assert_eq!(
            sent,
            36 + REPEATED,
            "the burst, and the first packets again"
        );
        let mut ticks = 0;
        while forwarder.is_replaying() {
            ticks += 1;
            let now = start + REPLAY_TICK * ticks;
            sent += advance(&mut forwarder, now, &gop).len();
        }
        assert_eq!(sent, 200 + REPEATED);
        assert!(
            (25..=28).contains(&ticks),
            "164 kB at 10 Mbit/s in {ticks} ticks of 5 ms"
        );
    }

    #[test]
    fn a_group_that_is_replaced_under_a_replay_cuts_no_picture() {
        let start = Instant::now();
        let mut gop = group(start, 5..10, 20);
        push(&mut gop, &picture(start, 10, 20));
        push(&mut gop, &picture(start, 11, 20));
        push(&mut gop, &picture(start, 12, 20));
        let mut forwarder = Forwarder::new(90_000);
        forwarder.replay(start, 0, &gop, 0);
        let mut sent = advance(&mut forwarder, start, &gop);
        assert!(!sent.last().unwrap().marker, "the pause is in mid-picture");
        push(&mut gop, &picture(start, 20, 20));
        for tick in 1..100 {
            sent.extend(advance(&mut forwarder, start + REPLAY_TICK * tick, &gop));
        }
        sent.drain(36..36 + REPEATED);
        let sequences: Vec<u64> = sent.iter().map(|outgoing| outgoing.sequence).collect();
        assert_eq!(
            sequences,
            (1..=60).collect::<Vec<_>>(),
            "two whole pictures, then the new group"
        );
        let ends = sent.iter().filter(|outgoing| outgoing.marker).count();
        assert_eq!(ends, 3);
    }

    #[test]
    fn a_layer_changes_between_two_pictures() {
        let start = Instant::now();
        let low = group(start, 0..1, 2);
        let mut forwarder = Forwarder::new(90_000);
        forwarder.replay(start, 0, &low, 0);
        advance(&mut forwarder, start, &low);
        let next = picture(start, 1, 2);
        forwarder.choose_layer(1);
        assert!(forwarder.forward(0, &next[0]).is_some());
        let high = group(start, 10..11, 3);
        let now = start + 330 * MS;
        forwarder.on_gop(now, 1, &high, 0);
        assert_eq!(forwarder.due_layer(now), None, "the picture is open");
        assert!(forwarder.forward(0, &next[1]).is_some());
        assert_eq!(forwarder.due_layer(now), Some(1));
        forwarder.replay(now, 1, &high, 0);
        let sent = advance(&mut forwarder, now, &high);
        assert_eq!(sent[0].sequence, 5);
        assert_eq!(forwarder.current_layer(), Some(1));
    }

    #[test]
    fn a_picture_without_an_end_delays_a_change_for_a_moment_and_leaves_a_hole() {
        let start = Instant::now();
        let low = group(start, 0..1, 2);
        let mut forwarder = Forwarder::new(90_000);
        forwarder.replay(start, 0, &low, 0);
        advance(&mut forwarder, start, &low);
        forwarder.choose_layer(1);
        forwarder.forward(0, &picture(start, 1, 2)[0]);
        let high = group(start, 10..11, 3);
        forwarder.on_gop(start, 1, &high, 0);
        assert_eq!(forwarder.due_layer(start + PICTURE_MAX), Some(1));
        forwarder.replay(start, 1, &high, 0);
        assert_eq!(
            advance(&mut forwarder, start, &high)[0].sequence,
            5,
            "4 never comes"
        );
    }

    #[test]
    fn another_publisher_is_waited_for_from_its_keyframe() {
        let start = Instant::now();
        let gop = group(start, 0..2, 2);
        let mut forwarder = Forwarder::new(90_000);
        forwarder.replay(start, 0, &gop, 0);
        let before = advance(&mut forwarder, start, &gop);
        forwarder.reset(90_000);
        assert!(forwarder.is_waiting() && forwarder.forward(0, &picture(start, 2, 1)[0]).is_none());
        let other = group(start, 10..11, 1);
        forwarder.on_gop(start + 330 * MS, 0, &other, 0);
        let after = advance(&mut forwarder, start + 330 * MS, &other);
        assert_eq!(after[0].sequence, 5);
        let last = before
            .iter()
            .map(|outgoing| outgoing.timestamp)
            .max()
            .unwrap();
        assert_eq!(
            after[0].timestamp - last,
            9 * 3000 - 90 * 3,
            "297 ms on the wall clock"
        );
    }
}
