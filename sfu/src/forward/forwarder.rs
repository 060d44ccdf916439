//! One track on its way to one viewer.

mod replay;

use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) use self::replay::REPLAY_TICK;
use super::dependency::DependencyRewriter;
use super::gop::GopCache;
use super::layers::{LayerFilter, Verdict};
use super::sequence::SequenceRewriter;
use super::timeline::{Timeline, is_newer};
use super::vp8::Vp8Rewriter;
use crate::packet::{Dependency, MediaPacket, Orientation};

/// Packets at the very start that are sent twice.
const REPEATED: usize = 2;

/// How long a change of layers waits for the end of a picture. One frame takes a few milliseconds to arrive; some
/// senders forget the marker.
const PICTURE_MAX: Duration = Duration::from_millis(100);

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
    /// When it was captured, by the publisher's clock.
    pub(crate) captured_us: Option<u64>,
    pub(crate) dependency: Option<Dependency>,
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
    dependency: DependencyRewriter,
    /// Temporal and spatial layers inside the one that is sent.
    layers: LayerFilter,
    last_replay: Option<Instant>,
    /// Nothing was shown yet, as far as can be told: what was sent of this source may be sent again from its start.
    is_fresh: bool,
    /// Layer, source timestamp and capture of the newest packet that was sent of this source.
    newest: Option<(usize, u32, Instant)>,
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
            dependency: DependencyRewriter::default(),
            layers: LayerFilter::default(),
            last_replay: None,
            is_fresh: true,
            newest: None,
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
        self.pause();
        self.is_fresh = true;
        self.newest = None;
    }

    /// Nothing is sent before another start, of the same source.
    pub(crate) fn pause(&mut self) {
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

    /// Pictures of `layer` were lost in a cut of the publisher: nothing of it can be shown before its next keyframe, and what
    /// comes late from before that leads nowhere.
    pub(crate) fn on_cut(&mut self, layer: usize) {
        if self.is_waiting() || layer != self.layer {
            return;
        }
        self.state = State::Waiting;
        self.layer = self.next_layer.take().unwrap_or(layer);
        self.close_picture();
    }

    /// Whether this viewer was sent a picture of the same source that is no older than the start of `gop`, a group of `layer`:
    /// to begin there would go back in time.
    pub(crate) fn has_passed(&self, layer: usize, gop: &GopCache) -> bool {
        match self.newest {
            Some((of, timestamp, _)) if of == layer => !is_newer(gop.gop_timestamp(), timestamp),
            Some((_, _, captured)) => gop
                .get(gop.first())
                .is_some_and(|first| first.wallclock <= captured),
            None => false,
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

    /// Lets pass only spatial layers (VP9 SVC) up to `spatial` and temporal layers up to `temporal`; 255 for all. Going
    /// down happens with the next picture, going up where the layer can be decoded. Holds across replays, changes of
    /// layer and take-overs, until it is called again. Without layers in a stream it does nothing.
    pub(crate) fn limit(&mut self, spatial: u8, temporal: u8) {
        self.layers.limit(spatial, temporal);
    }

    /// Whether the viewer can follow spatial layers of AV1, for which it needs dependency descriptors. Without them it is
    /// sent the lowest, whatever the limits allow, where the publisher tells them apart.
    pub(crate) fn follow_av1_layers(&mut self, can: bool) {
        self.layers.cap(if can { u8::MAX } else { 0 });
    }

    /// Whether the limits allow a spatial or temporal layer that only a keyframe of [`Self::current_layer`] can bring
    /// back. Nothing else happens at that keyframe: no replay, no jump.
    pub(crate) fn needs_keyframe(&self, now: Instant) -> bool {
        matches!(self.state, State::Live) && self.layers.needs_keyframe(now)
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

    /// A packet of `layer` just came. Video that is not live is served from the group instead.
    pub(crate) fn forward(&mut self, layer: usize, packet: &MediaPacket) -> Option<Outgoing> {
        match self.state {
            State::Live if layer == self.layer => self.rewrite(packet),
            _ => None,
        }
    }

    /// In Hz.
    pub(crate) fn clock_rate(&self) -> u32 {
        self.clock_rate
    }

    /// A picture or sound of somebody else's begins, captured at `wallclock`. The source is waited for as before.
    pub(crate) fn begin_stand_in(&mut self, wallclock: Instant) {
        self.timeline.restart(0, wallclock);
    }

    /// One packet of it.
    pub(crate) fn stand_in(
        &mut self,
        wallclock: Instant,
        payload: Arc<[u8]>,
        marker: bool,
    ) -> Outgoing {
        let (timestamp, wallclock) = self.timeline.rewrite(0, wallclock);
        Outgoing {
            sequence: self.sequence.append(),
            timestamp,
            wallclock,
            marker,
            payload,
            vp8: None,
            red: false,
            audio_level: None,
            orientation: None,
            captured_us: None,
            dependency: None,
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
        if !self.sequence.is_current(packet.sequence) {
            return None;
        }
        let (ends_picture, left_out) = match self.layers.judge(packet) {
            Verdict::Pass {
                ends_picture,
                pictures_left_out,
            } => (ends_picture, pictures_left_out),
            Verdict::LeaveOut(sources) => {
                self.sequence.leave_out(sources);
                return None;
            }
            Verdict::TooLate => return None,
        };
        let marker = packet.marker || ends_picture;
        let sequence = self.sequence.rewrite(packet.sequence)?;
        let (timestamp, wallclock) = self.timeline.rewrite(packet.timestamp, packet.wallclock);
        if self.sequence.is_newest(sequence) {
            self.open = (!marker).then_some(packet.timestamp);
            self.newest = Some((self.layer, packet.timestamp, packet.wallclock));
        }
        let outgoing = Outgoing {
            sequence,
            timestamp,
            wallclock,
            marker,
            payload: packet.payload.clone(),
            vp8: packet
                .inspection
                .vp8
                .map(|ids| self.vp8.rewrite(ids, left_out)),
            red: packet.red,
            audio_level: packet.audio_level,
            orientation: packet.orientation,
            captured_us: packet.captured_us,
            dependency: packet
                .dependency
                .as_ref()
                .map(|dependency| self.dependency.rewrite(dependency)),
        };
        self.remember_first(&outgoing);
        Some(outgoing)
    }

    fn remember_first(&mut self, outgoing: &Outgoing) {
        if let Some(first) = self.first.as_mut().filter(|first| first.len() < REPEATED) {
            first.push(outgoing.clone());
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "an epoch for virtual time")]
mod tests;
